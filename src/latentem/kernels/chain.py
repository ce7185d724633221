"""Forward-backward over all sequences of a batch: compiled where it can be, by the reference where it must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library
from .forward_backward import forward_backward

# What the kernels return: a sequence was done, is impossible, or needs logarithms.
POSSIBLE, IMPOSSIBLE, LOST = 0, 1, 2
# Positive transitions below this are raised to it, and the kernels look out for underflow; see c/chain.h.
SMALLEST_TRANSITION = 1e-100
OCTET = 8


@dataclass(frozen=True, eq=False)
class ChainTables:
    """A chain as the kernels read it.

    Attributes
    ----------
    initial : (width,)
        Initial probabilities; the width is the number of states rounded up to eights, with zeros beyond them.
    matrix, transposed : (width, width)
        Transition matrix, positive entries at least `SMALLEST_TRANSITION`; and its transpose.
    transition : (K, K)
        As it was given.
    guarded : int
        Whether some transition is forbidden, or was raised.
    """

    initial: FloatArray
    matrix: FloatArray
    transposed: FloatArray
    transition: FloatArray
    guarded: int

    @property
    def n_states(self) -> int:
        return len(self.transition)

    @property
    def width(self) -> int:
        return len(self.matrix)


def chain_tables(initial: FloatArray, transition: FloatArray) -> ChainTables:
    """Prepare a chain for the kernels."""
    k = len(initial)
    start, matrix = padded(initial[None], k, 0.0)[0], np.zeros((OCTET * -(-k // OCTET),) * 2)
    matrix[:k, :k] = np.where(transition > 0, np.maximum(transition, SMALLEST_TRANSITION), 0.0)
    guarded = int(not np.all(transition >= SMALLEST_TRANSITION))
    return ChainTables(start, matrix, np.ascontiguousarray(matrix.T), as_doubles(transition), guarded)


def padded(rows: FloatArray, n_states: int, beyond: float) -> FloatArray:
    """Rows (m, K) with `beyond` in columns up to the next multiple of eight."""
    wide = np.full((len(rows), OCTET * -(-n_states // OCTET)), beyond)
    wide[:, :n_states] = rows
    return wide


def smooth(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior state probabilities (K, n), Σₜ p(zₜ = j, zₜ₊₁ = k | x) for each sequence (G, K, K), and log p(x) (G,).

    Sequence g has the columns `offsets[g]` to `offsets[g + 1]` of `log_density` (K, n), which may be overwritten.  The
    compiled recursion is scaled and keeps what it needs at the seams of blocks, so that its work space does not grow
    with K n.  Sequences in which underflow could decide a posterior go to the reference.  Impossible ones have -∞, and
    NaN for probabilities.
    """
    log_density = as_doubles(log_density)
    n_states, n_groups = len(initial), len(offsets) - 1
    pairs = np.zeros((n_groups, n_states, n_states))
    log_likelihood = np.zeros(n_groups)
    compiled = library()
    posterior, left = log_density, np.arange(n_groups)
    if compiled is not None:
        tables = chain_tables(initial, transition)
        # Where the recursion may have to start again in logarithms, it leaves the densities as they are.
        posterior = np.empty_like(log_density) if tables.guarded else log_density
        left = _smooth_compiled(compiled, tables, log_density, offsets, (posterior, pairs, log_likelihood))
    for g in left:
        rows = slice(offsets[g], offsets[g + 1])
        posterior[:, rows], pairs[g], log_likelihood[g] = forward_backward(initial, transition, log_density[:, rows])
    return posterior, pairs, log_likelihood


def _smooth_compiled(
    compiled: Any,
    tables: ChainTables,
    log_density: FloatArray,
    offsets: Array,
    results: tuple[FloatArray, FloatArray, FloatArray],
) -> Array:
    """Fill the results; return the sequences that need logarithms."""
    n_states, n_rows = log_density.shape
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    status = np.zeros(len(bounds) - 1, np.uint8)
    space = np.empty(compiled.latentem_forward_backward_work(n_states, int(np.diff(bounds).max(initial=0))))
    chain = tables.initial, tables.matrix, tables.transposed, tables.transition
    arrays = bounds, *chain, log_density, *results, status, space
    places = (address(array) for array in arrays)
    compiled.latentem_forward_backward(n_states, n_rows, len(status), tables.guarded, *places)
    posterior, pairs, log_likelihood = results
    for g in np.flatnonzero(status == IMPOSSIBLE):
        posterior[:, bounds[g] : bounds[g + 1]] = pairs[g] = np.nan
        log_likelihood[g] = -np.inf
    return np.flatnonzero(status == LOST)
