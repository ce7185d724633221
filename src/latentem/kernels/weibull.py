"""Where the expected log-likelihood of a Weibull distribution peaks, from what is known of it at one shape."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray

# The shape moves by at most this factor at a time: so far the model of K is trusted.
LARGEST_FACTOR = 8.0


def weibull_peak(
    shape: FloatArray,
    mean: FloatArray,
    log_power: FloatArray,
    tilted: FloatArray,
    spread: FloatArray,
    shape_range: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """The best shape s' and log λ'/λ, given the cumulants of z = log x/λ tilted by e^(sz).

    With K(t) = log of the mean of e^(tz), the best scale for a shape t is λ e^(K(t)/t), and the best shape has
    1/t = K'(t) - K'(0).  K, K' and K'' are given at t = s, and K'(0); beyond s the excess K'(t) - K'(0), which rises
    from 0, is taken for a t / (1 + b t), or for its tangent at s where it bends upwards.

    Parameters
    ----------
    shape : array
        s.
    mean, log_power, tilted, spread : arrays
        K'(0), K(s), K'(s) and K''(s).
    shape_range : (float, float)
        Where s' may lie.
    """
    excess = tilted - mean
    bends = excess > shape * spread
    b = np.where(bends, excess / (shape * spread) - 1, 0.0) / shape
    a = np.where(bends, excess / shape * (1 + b * shape), spread)
    offset = np.where(bends, 0.0, excess - spread * shape)
    # 1 = t (offset + a t) / (1 + b t) has this positive root; one of `offset` and `b` is zero.
    lead = b - offset
    best = (lead + np.sqrt(lead**2 + 4 * a)) / (2 * a)
    best = np.clip(np.clip(best, shape / LARGEST_FACTOR, shape * LARGEST_FACTOR), *shape_range)

    def modelled(t: FloatArray) -> FloatArray:
        return np.asarray(offset + a * t / (1 + b * t))

    simpson = (excess + 4 * modelled(0.5 * (shape + best)) + modelled(best)) / 6
    return best, (log_power + (best - shape) * (mean + simpson)) / best
