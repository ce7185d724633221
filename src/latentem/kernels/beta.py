"""The shapes of a beta distribution from the means of log x and log(1 - x)."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from .special import digamma_step, reciprocal_trigamma_excess

_STEPS = 200
# Neither shape passes it, so that products of shapes with gradients stay finite.
_LARGEST_OF_BOTH = 1e300


def beta_shapes(log_x: FloatArray, log_rest: FloatArray, largest_shape: float) -> tuple[FloatArray, FloatArray]:
    """The a, b with ψ(a) - ψ(a + b) = L₁ and ψ(b) - ψ(a + b) = L₂, the smaller of them at most `largest`.

    The log-likelihood is concave in (a, b).  Newton's method from the start of Johnson and Kotz, damped by the Newton
    decrement while that is large; where the smaller shape would pass the bound it is held there, and the other
    maximizes along the bound.  The bound is lower where the larger shape would pass 1e300 beside it.

    Parameters
    ----------
    log_x, log_rest : arrays
        Means L₁ of log x and L₂ of log(1 - x), both negative.
    largest_shape : float
    """
    log_x, log_rest = np.minimum(log_x, -1e-300), np.minimum(log_rest, -1e-300)
    smaller_mean = np.maximum(np.exp(np.minimum(log_x, log_rest)), 1 / _LARGEST_OF_BOTH)
    largest = np.minimum(largest_shape, _LARGEST_OF_BOTH * smaller_mean)
    a, b = _start(log_x, log_rest, largest)
    held = np.minimum(a, b) > largest
    a, b = _newton(log_x, log_rest, *_hold(a, b, held, largest), held)
    beyond = ~held & (np.minimum(a, b) > largest)
    if beyond.any():
        held = held | beyond
        a, b = _newton(log_x, log_rest, *_hold(a, b, beyond, largest), held)
    return a, b


def _start(log_x: FloatArray, log_rest: FloatArray, largest: FloatArray) -> tuple[FloatArray, FloatArray]:
    """With ψ(a) ≈ log(a - ½): a = ½ + G₁ / 2(1 - G₁ - G₂), G₁ and G₂ the geometric means of x and 1 - x."""
    near, far = np.maximum(log_x, log_rest), np.minimum(log_x, log_rest)
    gap = -np.expm1(near) - np.exp(far)
    gap = np.maximum(gap, 1e-305)
    gap = np.maximum(gap, np.exp(far) / (8 * np.maximum(largest, 1.0)))
    return 0.5 + np.exp(log_x) / (2 * gap), 0.5 + np.exp(log_rest) / (2 * gap)


def _hold(a: FloatArray, b: FloatArray, held: Array, largest: FloatArray) -> tuple[FloatArray, FloatArray]:
    scale = np.where(held, largest / np.minimum(a, b), 1.0)
    return np.where(held & (a <= b), largest, a * scale), np.where(held & (b < a), largest, b * scale)


def _newton(
    log_x: FloatArray, log_rest: FloatArray, a: FloatArray, b: FloatArray, held: Array
) -> tuple[FloatArray, FloatArray]:
    for _ in range(_STEPS):
        d_a, d_b, decrement = _direction(log_x, log_rest, a, b, held)
        length = np.where(decrement < 0.1, 1.0, 1.0 / (1.0 + 1.5 * decrement))
        length = np.minimum(length, 0.9 / np.maximum(np.maximum(-d_a / a, -d_b / b), 0.9))
        a, b = a + length * d_a, b + length * d_b
        # A Newton step leaves an error of about its square; what remains beyond is the rounding of the means.
        if np.all(np.maximum(np.abs(d_a) / a, np.abs(d_b) / b) <= 1e-9 + 1e-13 * np.minimum(a, b)):
            break
    return a, b


def _direction(
    log_x: FloatArray, log_rest: FloatArray, a: FloatArray, b: FloatArray, held: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The Newton step and √(gᵀ H⁻¹ g), by cofactors over ψ'(a) ψ'(b) ψ'(a + b), whose differences do not cancel."""
    g_a, g_b = log_x + digamma_step(a, b), log_rest + digamma_step(b, a)
    e_a, e_b, e_n = (reciprocal_trigamma_excess(value) for value in (a, b, a + b))
    inverse_a, inverse_b = a + e_a, b + e_b
    # 1/ψ'(a + b) less 1/ψ'(b), and less 1/ψ'(a): the Hessian's diagonal; less both: its determinant.
    over_a, over_b, both = a + (e_n - e_b), b + (e_n - e_a), e_n - e_a - e_b
    d_a = inverse_a * (over_a * g_a + inverse_b * g_b) / both
    d_b = inverse_b * (inverse_a * g_a + over_b * g_b) / both
    inverse_n = a + b + e_n
    d_a = np.where(held, np.where(a > b, g_a * inverse_a * (inverse_n / over_b), 0.0), d_a)
    d_b = np.where(held, np.where(b >= a, g_b * inverse_b * (inverse_n / over_a), 0.0), d_b)
    return d_a, d_b, np.sqrt(np.maximum(g_a * d_a + g_b * d_b, 0.0))
