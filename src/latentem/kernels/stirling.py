"""Log-gamma and digamma with their leading terms taken out, where differences of them would cancel.

With g(y) = y log y - y - log Γ(y + 1) (the log of the largest Poisson probability at a whole mean y), factorials in
densities become differences of small numbers, and what remains is a deviance (Loader 2000, "Fast and accurate
computation of binomial probabilities").
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln, xlogy, zeta

from .._typing import FloatArray

HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))
# From here on five terms of the asymptotic series are exact to double precision.
ASYMPTOTIC = 15.0
NEAR = 0.3


def log_peak(y: FloatArray) -> FloatArray:
    """g(y) = y log y - y - log Γ(y + 1) for y ≥ 0; g(0) = 0, and about -½ log 2πy for large y."""
    small, large = np.minimum(y, ASYMPTOTIC), np.maximum(y, ASYMPTOTIC)
    w = (1.0 / large) ** 2
    series = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / large
    direct = xlogy(small, small) - small - gammaln(small + 1)
    return np.where(y < ASYMPTOTIC, direct, -series - 0.5 * np.log(large) - HALF_LOG_2PI)


def digamma_minus_log(y: FloatArray) -> FloatArray:
    """h(y) = ψ(y) - log y for y > 0: negative, increasing, between -1/y and -1/2y."""
    small, large = np.minimum(y, ASYMPTOTIC), np.maximum(y, ASYMPTOTIC)
    w = (1.0 / large) ** 2
    series = -0.5 / large - w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w / 132))))
    return np.where(y < ASYMPTOTIC, digamma(small) - np.log(small), series)


def digamma_minus_log_slope(y: FloatArray) -> FloatArray:
    """h'(y) = ψ'(y) - 1/y: positive, between 1/2y² and 1/y²."""
    small, large = np.minimum(y, ASYMPTOTIC), np.maximum(y, ASYMPTOTIC)
    w = (1.0 / large) ** 2
    series = w * (0.5 + (1 / 6 - w * (1 / 30 - w * (1 / 42 - w * (1 / 30 - w * 5 / 66)))) / large)
    return np.where(y < ASYMPTOTIC, zeta(2.0, small) - 1.0 / small, series)


def log_minus_excess(ratio: FloatArray, excess: FloatArray) -> FloatArray:
    """log ρ - (ρ - 1), given ρ and, more accurately than ρ can tell near 1, excess = ρ - 1."""
    near = np.where(np.abs(excess) < NEAR, excess, 0.0)
    v = near / (2 + near)
    with np.errstate(divide="ignore"):
        far = np.log(ratio) - excess
    return np.where(np.abs(excess) < NEAR, -near * v + 2 * v**3 * _atanh_tail(v), far)


def xlogx_minus_excess(ratio: FloatArray, excess: FloatArray) -> FloatArray:
    """ρ log ρ - (ρ - 1) ≥ 0, given ρ and excess = ρ - 1; 1 at ρ = 0."""
    near = np.where(np.abs(excess) < NEAR, excess, 0.0)
    v = near / (2 + near)
    series = near * v + 2 * (1 + near) * v**3 * _atanh_tail(v)
    return np.asarray(np.where(np.abs(excess) < NEAR, series, xlogy(ratio, ratio) - excess))


def deviance(x: FloatArray, mean: FloatArray, difference: FloatArray) -> FloatArray:
    """x log(x/m) + m - x ≥ 0 for x ≥ 0 and mean m ≥ 0, given difference = x - m; infinite where m = 0 < x."""
    positive = np.where(mean > 0, mean, 1.0)
    result = positive * xlogx_minus_excess(x / positive, difference / positive)
    return np.where(mean > 0, result, np.where(x > 0, np.inf, 0.0))


def _atanh_tail(v: FloatArray) -> FloatArray:
    """(atanh v - v) / v³ for |v| < 0.18."""
    w = v * v
    result = np.full_like(w, 1 / 25)
    for odd in range(23, 2, -2):
        result = result * w + 1 / odd
    return result
