"""Modified Bessel functions of the first kind: I_ν(κ) by its logarithm, and I_ν₊₁(κ) / I_ν(κ), for ν, κ ≥ 0.

Uniformly: neither overflows nor underflows for any order up to tens of thousands and any κ from 0 to 1e150.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
from scipy.special import gammaln, ive

from .._typing import FloatArray

# Orders from here on are left to the uniform expansion, whose error is about order^-9.
UNIFORM_ORDER = 60.0
_UNIFORM_TERMS = 8
_SERIES_LIMIT = 10.0
_SERIES_TERMS = 70
_HANKEL_LIMIT = 1e8
_EXTRA_STEPS = 5


def log_bessel(order: float, kappa: FloatArray) -> FloatArray:
    """log [ I_ν(κ) e^{-κ} (max(κ, 1) / κ)^ν ]: finite at κ = 0, and without large terms at large κ.

    The power series for small κ, SciPy's exponentially scaled function for larger, and the uniform expansion in the
    order (DLMF 10.41.3) where the order is high.
    """
    kappa = np.asarray(kappa, float)
    if order >= UNIFORM_ORDER:
        return _uniform(order, kappa)
    small, large = np.minimum(kappa, _SERIES_LIMIT), np.maximum(kappa, _SERIES_LIMIT)
    return np.where(kappa <= _SERIES_LIMIT, _series(order, small), _log_scaled(order, large))


def bessel_ratio(order: float, kappa: FloatArray) -> FloatArray:
    """I_ν₊₁(κ) / I_ν(κ) in [0, 1), to full relative accuracy.

    From the uniform expansion at a high order, downward by r_ν₋₁ = 1 / (2ν/κ + r_ν), which forgets its errors.
    """
    kappa = np.asarray(kappa, float)
    scale = np.maximum(kappa, 1.0)
    steps = _EXTRA_STEPS + int(np.ceil(max(0.0, UNIFORM_ORDER - order)))
    top = order + steps
    # (I_ν₊₁ / I_ν) scale / κ: stays away from 0 as κ does not.
    ratio = np.exp(_uniform(top + 1, kappa) - _uniform(top, kappa))
    bend = kappa * (kappa / scale)
    for i in range(steps):
        ratio = scale / (2 * (top - i) + bend * ratio)
    return np.asarray(ratio * (kappa / scale))


def _series(order: float, kappa: FloatArray) -> FloatArray:
    """Σⱼ (κ/2)^(2j+ν) / (j! Γ(ν + j + 1)): positive terms."""
    quarter = 0.25 * kappa * kappa
    total = np.ones_like(kappa)
    term = np.ones_like(kappa)
    for j in range(1, _SERIES_TERMS):
        term = term * (quarter / (j * (order + j)))
        total = total + term
    return np.asarray(np.log(total) - kappa - gammaln(order + 1) + order * np.log(0.5 * np.maximum(kappa, 1.0)))


def _log_scaled(order: float, kappa: FloatArray) -> FloatArray:
    """log I_ν(κ) e^{-κ}: SciPy's function, and beyond its reach Hankel's expansion (DLMF 10.40.1), here two terms."""
    near, far = np.minimum(kappa, _HANKEL_LIMIT), np.maximum(kappa, _HANKEL_LIMIT)
    square = 4.0 * order * order
    tail = -(square - 1) / (8 * far) * (1 - (square - 9) / (16 * far))
    expansion = np.log1p(tail) - 0.5 * np.log(2 * np.pi * far)
    return np.where(kappa <= _HANKEL_LIMIT, np.log(ive(order, near)), expansion)


def _uniform(order: float, kappa: FloatArray) -> FloatArray:
    """The uniform expansion in the order."""
    root = np.hypot(order, kappa)
    p = order / root
    total = np.zeros_like(root)
    for coefficients in reversed(_polynomials()):
        total = (total + np.polyval(coefficients, p)) / order
    # √(ν² + κ²) - κ, and ν log of (ν + √(ν² + κ²)) / max(κ, 1): asinh where κ ≥ 1.
    rise = order * (order / (root + kappa))
    fall = np.where(kappa >= 1, np.arcsinh(order / np.maximum(kappa, 1.0)), np.log(order + root))
    return np.asarray(rise - order * fall - 0.5 * np.log(2 * np.pi * root) + np.log1p(total))


@cache
def _polynomials() -> tuple[tuple[float, ...], ...]:
    """u₁ … u₈ of DLMF 10.41.9, highest power first: uₖ₊₁ = ½ p²(1 - p²) u'ₖ + ⅛ ∫₀ᵖ (1 - 5t²) uₖ(t) dt."""
    u = [Fraction(1)]
    found = []
    for _ in range(_UNIFORM_TERMS):
        following = [Fraction(0)] * (len(u) + 3)
        for power, c in enumerate(u):
            following[power + 1] += c * Fraction(power, 2) + c * Fraction(1, 8 * (power + 1))
            following[power + 3] -= c * Fraction(power, 2) + c * Fraction(5, 8 * (power + 3))
        u = following
        found.append(tuple(float(c) for c in reversed(u)))
    return tuple(found)
