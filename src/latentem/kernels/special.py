"""Special functions of densities, elementwise, in forms that do not cancel; with `stirling` for factorials."""

from __future__ import annotations

import numpy as np
from scipy.special import zeta

from .._typing import Array, FloatArray
from .stirling import ASYMPTOTIC, deviance, digamma_minus_log, digamma_minus_log_slope, log_peak

_SPLITTER = 134217729.0
_RAISED = 10
# Terms up to this size, or this many times their sum, may cancel: it costs two of the digits.
_EASY = 100.0
# B₂ₖ / 2k for k = 1 … 7: the asymptotic series of the digamma function.
_DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def exact_product(a: Array, b: Array) -> tuple[FloatArray, FloatArray]:
    """(p, e) with p + e = a b exactly, p the rounded product (Dekker 1971); e = 0 where it is not representable."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        product = np.multiply(a, b)
        a_high, b_high = _upper_half(a), _upper_half(b)
        a_low, b_low = a - a_high, b - b_high
        error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, np.where(np.isfinite(error), error, 0.0)


def exact_sum(a: Array, b: Array) -> tuple[FloatArray, FloatArray]:
    """(s, e) with s + e = a + b exactly (Knuth's two-sum)."""
    total = np.add(a, b)
    b_part = total - a
    return total, np.asarray((a - (total - b_part)) + (b - b_part))


def count_deviance(x: FloatArray, mean: FloatArray) -> FloatArray:
    """x log(x/m) + m - x for counts x ≥ 0 and means m > 0: by log1p, and with more work where that would cancel."""
    away = x - mean
    with np.errstate(over="ignore", divide="ignore"):
        result = x * np.log1p(np.where(x > 0, away / mean, 0.0)) - away
    hard = ~(np.abs(away) <= _EASY * np.maximum(1.0, result))
    if hard.any():
        result[hard] = deviance(x[hard], np.broadcast_to(mean, x.shape)[hard], away[hard])
    return result


def log_gamma_density(x: FloatArray, shape: FloatArray, rate: FloatArray) -> FloatArray:
    """log of β^α x^(α-1) e^(-βx) / Γ(α), for x > 0.

    As log α/x plus the log Poisson probability of α events where βx are expected (Loader 2000): its deviance by log1p,
    and with more work where that would cancel.
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        away = rate * x - shape
        result = away - shape * np.log1p(away / shape)
    hard = ~((away > -0.5 * shape) & (np.abs(away) <= _EASY * np.maximum(1.0, result)))
    if hard.any():
        shapes, rates = (np.broadcast_to(value, x.shape)[hard] for value in (shape, rate))
        result[hard] = _expected_deviance(x[hard], shapes, rates)
    return np.asarray(np.log(shape) - np.log(x) + log_peak(shape) - result)


def _expected_deviance(x: FloatArray, shape: FloatArray, rate: FloatArray) -> FloatArray:
    """The deviance of α from βx, the rounding error of their product taken into account."""
    expected, error = exact_product(rate, x)
    # Where the product leaves the range of normal numbers nothing cancels.
    plain = ~((expected > 1e-290) & (expected < 1e290))
    mean = np.where(plain, 1.0, expected)
    result = deviance(shape, mean, (shape - mean) - np.where(plain, 0.0, error))
    if plain.any():
        with np.errstate(over="ignore", under="ignore"):
            wide = rate * x - shape * (np.log(rate) + np.log(x) - np.log(shape) + 1.0)
        result = np.where(plain, wide, result)
    return result


def log_beta_density(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """log of x^(a-1) (1-x)^(b-1) / B(a, b), for 0 < x < 1.

    As log ab / (a+b) x (1-x) plus the log binomial probability of a successes in a + b trials (Loader 2000).
    """
    total, total_error = exact_sum(a, b)
    rest = 1.0 - x
    expected, error = exact_product(total, x)
    excess = ((a - expected) - error) - total_error * x
    bends = deviance(a + 0 * x, expected, excess) + deviance(b + 0 * x, total * rest, -excess)
    return np.asarray(_log_peak_of_beta(a, b) - np.log(x) - np.log1p(-x) - bends)


def log_beta(a: FloatArray, b: FloatArray) -> FloatArray:
    """log B(a, b) = log Γ(a) + log Γ(b) - log Γ(a + b), without the cancellation of the three."""
    return np.asarray(-_log_peak_of_beta(a, b) - a * _log1p_ratio(b, a) - b * _log1p_ratio(a, b))


def digamma_step(x: FloatArray, h: FloatArray) -> FloatArray:
    """ψ(x + h) - ψ(x) > 0 for x, h > 0, to full relative accuracy however small h is beside x.

    Ten steps of ψ(x) = ψ(x + 1) - 1/x, then the asymptotic series (DLMF 5.11.2) differenced term by term.
    """
    total = np.zeros(np.broadcast(x, h).shape)
    for i in range(_RAISED):
        total += (h / (x + h + i)) / (x + i)
    y = x + _RAISED
    log_ratio = np.log1p(h / y)
    total += log_ratio + 0.5 * (h / (y + h)) / y
    for k, coefficient in enumerate(_DIGAMMA_SERIES, start=1):
        total -= coefficient * y ** (-2.0 * k) * np.expm1(-2 * k * log_ratio)
    return total


def reciprocal_trigamma_excess(x: FloatArray) -> FloatArray:
    """1/ψ'(x) - x, between -½ and 0."""
    small, large = np.minimum(x, ASYMPTOTIC), np.maximum(x, ASYMPTOTIC)
    w = 1.0 / large
    v = w * w
    bend = w * (0.5 + w * (1 / 6 - v * (1 / 30 - v * (1 / 42 - v * (1 / 30 - v * 5 / 66)))))
    series = -large * bend / (1 + bend)
    return np.where(x < ASYMPTOTIC, 1.0 / zeta(2.0, np.maximum(small, 1e-150)) - small, series)


def gamma_shape(log_ratio: FloatArray, largest: float) -> FloatArray:
    """The α with log α - ψ(α) = s, where s = log of the mean minus mean of the logs; at most `largest`.

    Newton's method on the logarithms of both sides, which is nearly linear, from and within 1/2s < α < 1/s.
    """
    s = np.maximum(log_ratio, 0.5 / largest)
    low, high = np.log(0.5 / s), np.log(1.0 / s)
    # Minka (2002), "Estimating a Gamma distribution": within 1.5 per cent of the root.
    point = np.log((3 - s + np.sqrt((s - 3) ** 2 + 24 * s)) / (12 * s))
    for _ in range(20):
        shape = np.exp(point)
        value = -digamma_minus_log(shape)
        slope = -shape * digamma_minus_log_slope(shape) / value
        moved = np.clip(point - np.log(value / s) / slope, low, high)
        done = np.max(np.abs(moved - point), initial=0.0) <= 4e-16 * (1 + np.max(np.abs(point), initial=0.0))
        point = moved
        if done:
            break
    return np.minimum(np.exp(point), largest)


def _log_peak_of_beta(a: FloatArray, b: FloatArray) -> FloatArray:
    """log ab/(a+b) plus the log of the largest binomial probability of a successes in a + b trials."""
    total = a + b
    share = np.log(np.minimum(a, b)) + np.log(np.maximum(a, b) / total)
    return np.asarray(share + log_peak(a) + log_peak(b) - log_peak(total))


def _log1p_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """log(1 + a/b), also where the ratio overflows."""
    with np.errstate(over="ignore", under="ignore"):
        ratio = a / b
    return np.where(ratio < 1e300, np.log1p(ratio), np.log(a) - np.log(b))


def _upper_half(x: Array) -> FloatArray:
    scaled = np.multiply(_SPLITTER, x)
    return np.asarray(scaled - (scaled - x))
