"""Where the expected log-likelihood of a negative binomial peaks, from what is known of it at one point."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from .stirling import digamma_minus_log, digamma_minus_log_slope, log_minus_excess

# The size moves by at most this factor at a time.
LARGEST_FACTOR = 100.0


def negative_binomial_peak(
    mean: FloatArray, size: FloatArray, average: FloatArray, gradient: FloatArray, curvature: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The best mean, which is the average of the counts, and nearly the best size.

    The best r makes f(r) vanish, the average of ψ(x + r) - ψ(r) less log(1 + x̄/r).  With φ(r) = ψ(r) - log r and
    g(r) = φ(x̄ + r) - φ(r), the function T(r) = ((1 - f/g)(1 + x̄/r) - 1) / x̄ is about (s² - x̄)/x̄² wherever it is
    evaluated, s² the variance, which moments would take for 1/r; Newton's method solves T(r) = 1/r.  Where that has no
    positive solution the size grows by the largest factor.

    Parameters
    ----------
    mean, size : arrays
        Where Q is known.
    average : array
        x̄.
    gradient, curvature : arrays
        ∂Q/∂ log r and ∂²Q/∂ (log r)², for one row on average.
    """
    shift = (average - mean) / (size + mean)
    total = average + size
    f = gradient / size - log_minus_excess(1 + shift, shift)
    f_slope = (curvature - gradient) / size**2 - shift**2 / total
    g = digamma_minus_log(total) - digamma_minus_log(size)
    g_slope = digamma_minus_log_slope(total) - digamma_minus_log_slope(size)
    # t = 1/r and dt = -dr/r²; T = t - (f/g)(1 + x̄ t)/x̄.
    off = f / g * (total / (size * average))
    off_slope = -(size**2) * (f_slope - f * g_slope / g) / g * (total / (size * average)) + f / g
    moved = 1 / size - off / np.maximum(off_slope, 0.2)
    factor = np.where(moved > 0, 1 / (size * moved), LARGEST_FACTOR)
    return average, size * np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
