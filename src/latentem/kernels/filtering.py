"""What Markov chains know without the future: one-step predictions, filtered states, and draws of whole paths."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .chain import POSSIBLE, SMALLEST_TRANSITION, ChainTables, chain_tables
from .compiled import address, as_doubles, library

_TILE = 64


def filtered(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """p(zₜ | x₁ … xₜ₋₁) and p(zₜ | x₁ … xₜ), both (K, n), and log p(xₜ | x₁ … xₜ₋₁), (n,): the forward recursion alone.

    Parameters
    ----------
    initial : (K,)
    transition : (K, K)
    log_density : (K, n)
        Zeros for all states stand for a row that was not seen.  It is not changed.
    offsets : (G + 1,) int
        Sequence g has the columns `offsets[g]` to `offsets[g + 1]`.

    Returns
    -------
    predicted, filtered, increments
        The increments of a sequence add up to its log p(x).  From the first row on that is impossible given those
        before it (or has an undefined density) increments are -∞ and probabilities NaN; that row's prediction is still
        right.
    """
    raised = np.any((transition > 0) & (transition < SMALLEST_TRANSITION))
    compiled = None if raised else library()
    if compiled is None:
        return filtered_reference(initial, transition, log_density, offsets)
    log_density = as_doubles(log_density)
    tables = chain_tables(initial, transition)
    results = np.empty_like(log_density), np.empty_like(log_density), np.empty(log_density.shape[1])
    for g in _filter_compiled(compiled, tables, log_density, offsets, results):
        rows, length = slice(*offsets[g : g + 2]), offsets[g + 1] - offsets[g]
        again = filtered_reference(initial, transition, log_density[:, rows], np.array([0, length]))
        for result, part in zip(results, again, strict=True):
            result[..., rows] = part
    return results


def _filter_compiled(
    compiled: Any,
    tables: ChainTables,
    log_density: FloatArray,
    offsets: Array,
    results: tuple[FloatArray, FloatArray, FloatArray],
) -> Array:
    """Fill the results; return the sequences that are impossible, or need logarithms."""
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    status, space = np.zeros(len(bounds) - 1, np.uint8), np.empty((_TILE + 1) * 3 * tables.width + 2 * _TILE)
    arrays = bounds, tables.initial, tables.matrix, log_density, *results, status, space
    places = (address(array) for array in arrays)
    compiled.latentem_chain_filter(*log_density.shape, len(status), tables.guarded, *places)
    return np.flatnonzero(status != POSSIBLE)


def filtered_reference(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same in NumPy: in logarithms, so that no state is lost to underflow."""
    predicted, current, increments = log_filtered(initial, transition, log_density, offsets)
    return np.exp(predicted), np.exp(current), increments


def log_filtered(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The logarithms of both probabilities, and the increments."""
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    predicted, current = np.full_like(log_density, np.nan), np.full_like(log_density, np.nan)
    increments = np.full(log_density.shape[1], -np.inf)
    for start, stop in pairwise(offsets):
        ahead = log_initial
        for t in range(start, stop):
            predicted[:, t] = ahead
            peak = log_density[:, t].max()
            if not np.isfinite(peak):
                break
            joint = ahead + (log_density[:, t] - peak)  # so that a huge density takes no digits from the states
            highest = joint.max()
            if not np.isfinite(highest):
                break
            total = _log_sum(joint - highest)
            increments[t] = peak + (highest + total)
            current[:, t] = joint - highest - total
            ahead = _log_sum(current[:, t, None] + log_transition)
    return predicted, current, increments


def sample_paths(
    initial: FloatArray,
    transition: FloatArray,
    log_density: FloatArray,
    offsets: Array,
    rng: np.random.Generator,
    size: int,
) -> Array:
    """Draws from p(z | x): forward filtering, backward sampling (Chib 1996).

    The last state is drawn from p(z_T | x₁ … x_T), each before it from
    p(zₜ = j | zₜ₊₁ = k, x) ∝ p(zₜ = j | x₁ … xₜ) Aⱼₖ.

    Parameters
    ----------
    initial, transition, log_density, offsets
        As for `filtered`.
    rng : Generator
    size : int
        Number of draws.

    Returns
    -------
    (size, n) int
        Impossible sequences have the states -1.
    """
    _, current, increments = log_filtered(initial, transition, log_density, offsets)
    with np.errstate(divide="ignore"):
        log_transition = np.log(transition)
    paths = np.full((size, log_density.shape[1]), -1, np.intp)
    for start, stop in pairwise(offsets):
        if increments[stop - 1] > -np.inf:
            ahead = np.zeros((len(initial), 1))
            for t in range(stop - 1, start - 1, -1):
                paths[:, t] = draw_states(current[:, t, None] + ahead, rng.random(size))
                ahead = log_transition[:, paths[:, t]]
    return paths


def draw_states(log_joint: FloatArray, uniforms: Array) -> Array:
    """A state for each uniform number, by the odds in the columns (K, size or 1)."""
    odds = np.exp(log_joint - log_joint.max(axis=0))
    cumulative = np.cumsum(odds, axis=0)
    return np.asarray((uniforms * cumulative[-1] >= cumulative[:-1]).sum(axis=0))


def _log_sum(values: FloatArray) -> FloatArray:
    """log Σ exp over the first axis; -∞ where all terms are, and no number where one is undefined."""
    return np.asarray(np.logaddexp.reduce(values, axis=0))
