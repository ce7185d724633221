"""Forward-backward over all sequences of a batch: compiled where it can be, by the reference where it must be."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library
from .forward_backward import forward_backward


def smooth(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior state probabilities (K, n), Σₜ p(zₜ = j, zₜ₊₁ = k | x) for each sequence (G, K, K), and log p(x) (G,).

    Sequence g has the columns `offsets[g]` to `offsets[g + 1]` of `log_density` (K, n), which may be overwritten.  The
    compiled recursion is scaled; sequences in which underflow could decide a posterior, and impossible ones, go to the
    reference.
    """
    log_density = as_doubles(log_density)
    n_states, n_groups = len(initial), len(offsets) - 1
    posterior = log_density
    pairs = np.zeros((n_groups, n_states, n_states))
    log_likelihood = np.zeros(n_groups)
    compiled = library()
    left = np.arange(n_groups)
    if compiled is not None:
        left = _smooth_compiled(compiled, initial, transition, log_density, offsets, (posterior, pairs, log_likelihood))
    for g in left:
        rows = slice(offsets[g], offsets[g + 1])
        posterior[:, rows], pairs[g], log_likelihood[g] = forward_backward(initial, transition, log_density[:, rows])
    return posterior, pairs, log_likelihood


def _smooth_compiled(
    compiled: Any,
    initial: FloatArray,
    transition: FloatArray,
    log_density: FloatArray,
    offsets: Array,
    results: tuple[FloatArray, FloatArray, FloatArray],
) -> Array:
    """Fill the results; return the sequences that were left as they were."""
    n_states, n_rows = log_density.shape
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    careful = np.zeros(len(bounds) - 1, np.uint8)
    space = np.empty(compiled.latentem_forward_backward_work(n_states, int(np.diff(bounds).max(initial=0))))
    inputs = bounds, as_doubles(initial), as_doubles(transition), log_density
    arrays = *inputs, *results, careful, space
    compiled.latentem_forward_backward(n_states, n_rows, len(careful), *(address(array) for array in arrays))
    return np.flatnonzero(careful)
