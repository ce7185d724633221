"""Semi-Markov chains: forward-backward and the most probable path on pairs (state, rows spent in it so far).

A state is entered afresh in the first row; it is left after d rows with the hazard h_k(d) = p_k(d) / P(duration ≥ d),
to another state by A; the stay in which a sequence ends is cut off there, and counts by P(duration ≥ d).  Every step is
a sum over K D pairs and K² moves, so that a sequence costs O(T K (K + D)) (Yu 2010, section 2; Guédon 2003 for the
censored last stay).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library
from .normalize import log_sum_exp


@dataclass(frozen=True)
class Stays:
    """Sums over sequences of which stays ended and which were cut off.

    Attributes
    ----------
    probabilities : (K, n)
        p(zₜ = k | x).
    pairs : (G, K, K)
        Expected moves from one state to another.
    ended : (G, K, D)
        Expected stays of d rows (from 1) that ended.
    censored : (G, K, D)
        Probabilities that the last stay had lasted d rows when the sequence ended.
    log_likelihood : (G,)
        -∞ for impossible sequences, whose other results are NaN.
    """

    probabilities: FloatArray
    pairs: FloatArray
    ended: FloatArray
    censored: FloatArray
    log_likelihood: FloatArray


def smooth_stays(
    initial: FloatArray, transition: FloatArray, durations: FloatArray, log_density: FloatArray, offsets: Array
) -> Stays:
    """Forward-backward over all sequences: compiled where it can be, in logarithms where underflow could matter.

    Parameters
    ----------
    initial : (K,)
    transition : (K, K)
        Where a state that is left leads; zeros on the diagonal.
    durations : (K, D)
        p_k(d) for d = 1 … D, each row adding to one.
    log_density : (K, n)
        It is not changed.
    offsets : (G + 1,) int
    """
    (k, n), d, g = log_density.shape, durations.shape[1], len(offsets) - 1
    result = Stays(
        np.empty((k, n)), np.zeros((g, k, k)), np.zeros((g, k, d)), np.zeros((g, k, d)), np.zeros(g)
    )
    compiled = library()
    left = np.arange(g)
    if compiled is not None:
        left = _smooth_compiled(compiled, initial, transition, durations, as_doubles(log_density), offsets, result)
    for group in left:
        rows = slice(offsets[group], offsets[group + 1])
        one = smooth_one(initial, transition, durations, log_density[:, rows])
        result.probabilities[:, rows], result.pairs[group] = one.probabilities, one.pairs[0]
        result.ended[group], result.censored[group] = one.ended[0], one.censored[0]
        result.log_likelihood[group] = one.log_likelihood[0]
    return result


def hazards(durations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """h(d) = p(d) / P(≥ d) and 1 - h(d) = P(≥ d + 1) / P(≥ d), (K, D) each; 1 and 0 where nothing lasts so long."""
    ahead = sums_from(durations)
    beyond = np.concatenate([ahead[:, 1:], np.zeros((len(durations), 1))], axis=1)
    reached = ahead > 0
    whole = np.where(reached, ahead, 1.0)
    return np.where(reached, durations / whole, 1.0), np.where(reached, beyond / whole, 0.0)


def sums_from(values: FloatArray) -> FloatArray:
    """Sums from d on, over the last axis."""
    return np.asarray(np.cumsum(values[..., ::-1], axis=-1)[..., ::-1])


def _smooth_compiled(
    compiled: Any,
    initial: FloatArray,
    transition: FloatArray,
    durations: FloatArray,
    log_density: FloatArray,
    offsets: Array,
    result: Stays,
) -> Array:
    """Fill the results; return the sequences that need the reference."""
    (k, n), d = log_density.shape, durations.shape[1]
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    careful = np.zeros(len(bounds) - 1, np.uint8)
    space = np.empty(compiled.latentem_semi_markov_work(k, d, int(np.diff(bounds).max(initial=1))))
    ending, staying = map(as_doubles, hazards(durations))
    inputs = bounds, as_doubles(initial), as_doubles(transition), ending, staying, log_density
    results = result.probabilities, result.pairs, result.ended, result.censored, result.log_likelihood
    arrays = *inputs, *results, careful, space
    compiled.latentem_semi_markov(k, d, n, len(careful), *(address(array) for array in arrays))
    return np.flatnonzero(careful)


@dataclass(frozen=True)
class _Logs:
    """The chain in logarithms."""

    initial: FloatArray
    transition: FloatArray
    ending: FloatArray
    staying: FloatArray


def _logs(initial: FloatArray, transition: FloatArray, durations: FloatArray) -> _Logs:
    with np.errstate(divide="ignore"):
        return _Logs(np.log(initial), np.log(transition), *map(np.log, hazards(durations)))


def smooth_one(
    initial: FloatArray, transition: FloatArray, durations: FloatArray, log_density: FloatArray
) -> Stays:
    """Forward-backward over one sequence in logarithms, without loss where masses underflow: the reference."""
    chain, (k, length), d = _logs(initial, transition, durations), log_density.shape, durations.shape[1]
    highest = log_density.max(axis=0)
    peaks = np.where(np.isfinite(highest), highest, 0.0)  # so that a huge density takes no digits from the states
    log_density = log_density - peaks
    seams, scales = _forward(chain, log_density, d)
    if scales is None:
        unknown = np.full((1, k, d), np.nan)
        return Stays(
            np.full((k, length), np.nan), np.full((1, k, k), np.nan), unknown, unknown, np.array([-np.inf])
        )
    posterior, pairs, ended = np.empty((length, k)), np.zeros((k, k)), np.zeros((k, d))
    beta, censored = np.zeros((k, d)), np.zeros((k, d))
    for t, alpha in _rows_backwards(chain, log_density, seams, scales):
        if t == length - 1:
            censored = np.exp(alpha)
        else:
            ahead = beta + (log_density[:, t + 1] - scales[t + 1])[:, None]
            entering = chain.transition + ahead[:, 0]
            onward = log_sum_exp(entering)
            stay = np.concatenate([chain.staying[:, :-1] + ahead[:, 1:], np.full((k, 1), -np.inf)], axis=1)
            beta = np.logaddexp(chain.ending + onward[:, None], stay)
            drift = log_sum_exp((alpha + beta).ravel())  # zero, but for rounding
            beta, leaving = beta - drift, alpha + chain.ending - drift
            pairs += np.exp(log_sum_exp(leaving)[:, None] + entering)
            ended += np.exp(leaving + onward[:, None])
        posterior[t] = np.exp(log_sum_exp(alpha + beta))
    total = np.array([float(np.sum(scales) + np.sum(peaks))])
    return Stays(posterior.T, pairs[None], ended[None], censored[None], total)


def _forward(chain: _Logs, log_density: FloatArray, d: int) -> tuple[list[FloatArray], FloatArray | None]:
    """log α, adding to one, at the seams of about √T blocks, and log c; None for an impossible sequence."""
    k, length = log_density.shape
    step, scales = isqrt(length - 1) + 1, np.empty(length)
    seams: list[FloatArray] = []
    alpha = np.full((k, d), -np.inf)
    for t in range(length):
        alpha = _first(chain, log_density, d) if t == 0 else _next(chain, alpha, log_density[:, t])
        scales[t] = log_sum_exp(alpha.ravel())
        if not np.isfinite(scales[t]):
            return seams, None
        alpha = alpha - scales[t]
        if t % step == 0:
            seams.append(alpha)
    return seams, scales


def _first(chain: _Logs, log_density: FloatArray, d: int) -> FloatArray:
    alpha = np.full((len(chain.initial), d), -np.inf)
    alpha[:, 0] = chain.initial + log_density[:, 0]
    return alpha


def _next(chain: _Logs, alpha: FloatArray, log_density: FloatArray) -> FloatArray:
    leaving = log_sum_exp(alpha + chain.ending)
    entering = log_sum_exp((leaving[:, None] + chain.transition).T)
    moved = np.concatenate([entering[:, None], alpha[:, :-1] + chain.staying[:, :-1]], axis=1)
    return np.asarray(moved + log_density[:, None])


def _rows_backwards(
    chain: _Logs, log_density: FloatArray, seams: list[FloatArray], scales: FloatArray
) -> Iterator[tuple[int, FloatArray]]:
    """(t, log α) from the last row to the first, computed again block by block."""
    length = len(scales)
    step = isqrt(length - 1) + 1
    for block in range(len(seams) - 1, -1, -1):
        rows = [seams[block]]
        for t in range(block * step + 1, min(length, (block + 1) * step)):
            rows.append(_next(chain, rows[-1], log_density[:, t]) - scales[t])
        for i in range(len(rows) - 1, -1, -1):
            yield block * step + i, rows[i]


def decode_stays(
    initial: FloatArray, transition: FloatArray, durations: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The most probable path of each sequence, stays and all, and its log p(x, z) (Viterbi 1967 on the pairs).

    Returns
    -------
    states : (n,) int
        -1 throughout an impossible sequence.
    log_joint : (G,)
    """
    compiled = library()
    if compiled is None:
        return decode_stays_reference(initial, transition, durations, log_density, offsets)
    (k, n), d = log_density.shape, durations.shape[1]
    chain, bounds = _logs(initial, transition, durations), np.ascontiguousarray(offsets, dtype=np.int64)
    longest = int(np.diff(bounds).max(initial=1))
    path, log_joint = np.empty(n, np.int64), np.empty(len(bounds) - 1)
    indices = np.empty(compiled.latentem_semi_markov_decode_indices(k, longest), np.int64)
    space = np.empty(compiled.latentem_semi_markov_decode_work(k, d))
    logs = chain.initial, chain.transition, chain.ending, chain.staying, log_density
    arrays = bounds, *map(as_doubles, logs), path, log_joint, indices, space
    compiled.latentem_semi_markov_decode(k, d, n, len(log_joint), *(address(array) for array in arrays))
    return path, log_joint


def decode_stays_reference(
    initial: FloatArray, transition: FloatArray, durations: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The same in NumPy."""
    chain = _logs(initial, transition, durations)
    found = [_best_path(chain, log_density[:, a:b], durations.shape[1]) for a, b in pairwise(offsets)]
    return np.concatenate([path for path, _ in found]), np.array([total for _, total in found])


def _best_path(chain: _Logs, log_density: FloatArray, d: int) -> tuple[Array, float]:
    k, length = log_density.shape
    left_after, came_from = np.empty((length, k), np.intp), np.empty((length, k), np.intp)
    best = _first(chain, log_density, d)
    for t in range(1, length):
        leaving = best + chain.ending
        left_after[t] = leaving.argmax(axis=1)
        joint = leaving[np.arange(k), left_after[t]][:, None] + chain.transition
        came_from[t] = joint.argmax(axis=0)
        entering = joint[came_from[t], np.arange(k)]
        best = np.concatenate([entering[:, None], best[:, :-1] + chain.staying[:, :-1]], axis=1)
        best = best + log_density[:, t][:, None]
    state, spent = np.unravel_index(int(best.argmax()), best.shape)
    total = float(best[state, spent])
    if not np.isfinite(total):
        return np.full(length, -1), -np.inf
    return _read_back(int(state), int(spent), left_after, came_from), total


def _read_back(state: int, spent: int, left_after: Array, came_from: Array) -> Array:
    """The path that ends in `state` after `spent` + 1 rows there."""
    path, t = np.empty(len(left_after), np.intp), len(left_after) - 1
    while True:
        path[t - spent : t + 1] = state
        t -= spent
        if t == 0:
            return path
        state = int(came_from[t, state])
        spent = int(left_after[t, state])
        t -= 1
