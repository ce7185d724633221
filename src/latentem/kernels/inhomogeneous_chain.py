"""Forward-backward over all sequences of a batch where every step has a transition matrix of its own; in logarithms.

The rows of a batch are cut into about √n blocks of √n rows.  What a block does to any vector that enters it is a
matrix, found for all blocks at once; then the vectors at the seams follow block by block, and those within the blocks
again for all blocks at once: some 3 √n vectorized steps instead of n small ones.  A sequence's first row starts afresh,
so blocks need not know where sequences begin.
"""

from __future__ import annotations

from itertools import pairwise
from math import fsum, isqrt
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library
from .normalize import finite, log_sum_exp, normalize_states
from .viterbi import best_paths

# Sums below this, of terms of at most 1, may have lost digits to underflow.
SMALLEST_SUM = 1e-290


def smooth_inhomogeneous(
    log_transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior state probabilities (K, n), p(zₜ₋₁ = j, zₜ = k | x) of every row (K, K, n), and log p(x) (G,).

    log αₜ(k) = log Σⱼ αₜ₋₁(j) Aₜ(j, k) + log bₜ(k) and log βₜ₋₁(j) = log Σₖ Aₜ(j, k) bₜ(k) βₜ(k), without loss where
    masses underflow.  Rabiner (1989), equations 19 to 27, with Aₜ in the place of A.

    Parameters
    ----------
    log_transition : (K, K, n)
        log Aₜ(j, k), into row t; not looked at in the first rows of sequences.  Below +∞, and no NaN in the other rows.
    log_density : (K, n)
        log bₜ(k), in first rows with the logarithm of the initial probability.  Below +∞, no NaN.
    offsets : (G + 1,) int
        Sequence g has the rows `offsets[g]` to `offsets[g + 1]`.

    Returns
    -------
    posterior, pairs, log_likelihood
        Impossible sequences have -inf, and probabilities 0; so have the pairs of first rows.

    Notes
    -----
    The compiled recursion is scaled; sequences in which underflow could matter, and impossible ones, go to the
    reference in NumPy, which is in logarithms.
    """
    compiled = library()
    if compiled is None:
        return smooth_inhomogeneous_reference(log_transition, log_density, offsets)
    k, n = log_density.shape
    result = np.empty((k, n)), np.empty((k, k, n)), np.empty(len(offsets) - 1)
    for g in _smooth_compiled(compiled, as_doubles(log_transition), as_doubles(log_density), offsets, result):
        rows = slice(offsets[g], offsets[g + 1])
        whole = np.array([0, offsets[g + 1] - offsets[g]])
        one = smooth_inhomogeneous_reference(log_transition[:, :, rows], log_density[:, rows], whole)
        result[0][:, rows], result[1][:, :, rows], result[2][g] = one[0], one[1], one[2][0]
    return result


def _smooth_compiled(
    compiled: Any,
    log_transition: FloatArray,
    log_density: FloatArray,
    offsets: Array,
    result: tuple[FloatArray, FloatArray, FloatArray],
) -> Array:
    """Fill the results; return the sequences that need the reference."""
    k, n = log_density.shape
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    careful = np.zeros(len(bounds) - 1, np.uint8)
    space = np.empty(compiled.latentem_inhomogeneous_work(k, int(np.diff(bounds).max(initial=1))))
    arrays = bounds, log_transition, log_density, *result, careful, space
    compiled.latentem_inhomogeneous(k, n, len(careful), *(address(array) for array in arrays))
    return np.flatnonzero(careful)


def smooth_inhomogeneous_reference(
    log_transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same in NumPy, in logarithms throughout."""
    first = np.zeros(log_density.shape[1], bool)
    first[offsets[:-1]] = True
    with np.errstate(invalid="ignore"):  # in first rows
        steps = np.moveaxis(log_transition, 2, 0) + log_density.T[:, None, :]
    steps[first] = 0.0
    forward, scales = _prefixes(steps, first, log_density.T)
    # In reversed time β is a product of such steps too, from row t + 1 to row t.
    into = np.roll(steps, -1, axis=0)[::-1].transpose(0, 2, 1)
    backward = _prefixes(into, np.roll(first, -1)[::-1], np.zeros_like(forward))[0][::-1]
    log_likelihood = _sums(scales, offsets)
    unknown = np.repeat(log_likelihood == -np.inf, np.diff(offsets))
    joint = np.roll(forward, 1, axis=0)[:, :, None] + steps + backward[:, None, :]
    return _shares(forward + backward, unknown), _shares(joint, unknown | first), log_likelihood


def _shares(log_joint: FloatArray, unknown: Array) -> FloatArray:
    """exp(log joint), added up to one over all axes but the first, which comes last; 0 where `unknown`."""
    n, *shape = log_joint.shape
    shares = np.ascontiguousarray(log_joint.reshape(n, -1).T)
    shares[:, unknown] = 0.0
    normalize_states(shares)
    shares[:, unknown] = 0.0
    return shares.reshape(*shape, n)


def _prefixes(steps: FloatArray, fresh: Array, starts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithms of vₜ ∝ startsₜ where `fresh`, else vₜ ∝ vₜ₋₁ stepsₜ, (n, K); and of what they added up to, (n,).

    The first row must be fresh.
    """
    n, n_states = starts.shape
    length = isqrt(n - 1) + 1
    lanes = [_in_lanes(column, length) for column in (steps, fresh, starts)]
    vectors = _at_seams(*lanes)
    result, totals = np.empty_like(lanes[2]), np.empty(lanes[1].shape)
    for t, (step, is_fresh, start) in enumerate(zip(*lanes, strict=True)):
        moved = np.where(is_fresh[:, None], start, log_product(vectors[:, None], step)[:, 0])
        totals[t] = log_sum_exp(moved)
        vectors = result[t] = moved - finite(totals[t])[:, None]
    return result.swapaxes(0, 1).reshape(-1, n_states)[:n], totals.T.reshape(-1)[:n]


def _in_lanes(column: FloatArray, length: int) -> FloatArray:
    """Blocks of `length` rows side by side, (length, blocks, …); the last one is filled up with zeros."""
    blocks = -(-len(column) // length)
    padded = np.zeros((blocks * length, *column.shape[1:]), column.dtype)
    padded[: len(column)] = column
    return np.ascontiguousarray(padded.reshape(blocks, length, *column.shape[1:]).swapaxes(0, 1))


def _at_seams(steps: FloatArray, fresh: Array, starts: FloatArray) -> FloatArray:
    """The vectors that enter the blocks, normalized, (blocks, K); arbitrary for the first one."""
    n_blocks, n_states = starts.shape[1:]
    with np.errstate(divide="ignore"):
        products = np.broadcast_to(np.log(np.eye(n_states)), (n_blocks, n_states, n_states))
    for step, is_fresh, start in zip(steps, fresh, starts, strict=True):
        products = np.where(is_fresh[:, None, None], start[:, None, :], log_product(products, step))
        products -= finite(products.max(axis=(1, 2), keepdims=True))
    forgets: Array = np.any(fresh, axis=0)
    vectors = np.zeros((n_blocks, n_states))
    for block in range(1, n_blocks):
        product = products[block - 1]
        vectors[block] = product[0] if forgets[block - 1] else log_product(vectors[block - 1 : block], product)[0]
        vectors[block] -= finite(log_sum_exp(vectors[block]))
    return vectors


def log_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """log(exp(left) exp(right)) for (stacks of) matrices of logarithms below +∞, to full precision."""
    row, column = finite(left.max(axis=-1, keepdims=True)), finite(right.max(axis=-2, keepdims=True))
    total = np.exp(left - row) @ np.exp(right - column)
    with np.errstate(divide="ignore"):
        result = np.log(total) + row + column
    small = np.nonzero(total < SMALLEST_SUM)
    if len(small[0]):
        *stack, i, k = small
        result[small] = log_sum_exp(left[*stack, i] + right.swapaxes(-1, -2)[*stack, k])
    return np.asarray(result)


def _sums(scales: FloatArray, offsets: Array) -> FloatArray:
    """The sums over each sequence, correctly rounded: there may be very many terms."""
    terms, bounds = scales.tolist(), offsets.tolist()
    return np.array([fsum(terms[a:b]) for a, b in pairwise(bounds)])


def decode_inhomogeneous(
    log_transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The most probable path of each sequence (n,) and its log p(x, z) (G,), for the arguments of the smoother.

    States of an impossible sequence are -1.
    """
    fresh, steps = np.zeros(len(log_density)), np.moveaxis(log_transition, 2, 0)
    return best_paths(fresh, steps, log_density, offsets)
