"""What the rest of a sequence says of a state: the backward recursion alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .._typing import Array, FloatArray


def log_outlook(transition: FloatArray, log_density: FloatArray, offsets: Array) -> FloatArray:
    """log βₜ(k) = log p(xₜ₊₁ … x_T | zₜ = k) up to a constant for each t, (K, n); 0 at the last step of a sequence.

    βₜ(j) = Σₖ Aⱼₖ bₜ₊₁(k) βₜ₊₁(k), in logarithms, so that no state is lost to underflow; the largest of each t is 0.

    Parameters
    ----------
    transition : (K, K)
    log_density : (K, n)
    offsets : (G + 1,) int
        Sequence g has the columns `offsets[g]` to `offsets[g + 1]`.
    """
    with np.errstate(divide="ignore"):
        log_transition = np.log(transition)
    result = np.zeros_like(log_density)
    for start, stop in pairwise(offsets):
        for t in range(stop - 1, start, -1):
            ahead = np.logaddexp.reduce(log_transition + (log_density[:, t] + result[:, t]), axis=1)
            largest = ahead.max()
            result[:, t - 1] = ahead - (largest if np.isfinite(largest) else 0.0)
    return result
