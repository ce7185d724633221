"""The most probable paths of Markov chains: the best one of each sequence, and the k best ones of one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .chain import padded
from .compiled import address, as_doubles, library

# The rows of the densities and three rows of scores that the kernel works on.
_WORK_ROWS = 64 + 3
_NARROW, _WIDE = 2**8, 2**16


def decode(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The most probable path of each sequence, argmax_z p(x, z), and its log p(x, z) (Viterbi 1967).

    δ₁(k) = log ιₖ + log b₁(k) and δₜ(k) = maxⱼ [δₜ₋₁(j) + log Aⱼₖ] + log bₜ(k); the path is read off from the end.

    Parameters
    ----------
    initial : (K,)
    transition : (K, K)
        Rows add to one; zeros are forbidden transitions.
    log_density : (K, n)
        log bₜ(k).  Zeros for all states stand for a row that was not seen.  It is not changed.
    offsets : (G + 1,) int
        Sequence g has the columns `offsets[g]` to `offsets[g + 1]`.

    Returns
    -------
    states : (n,) int
        Of equal predecessors, and of equal last states, the one with the lowest index is taken.  The states of an
        impossible sequence (or of one with NaN or +∞ among its densities) are -1.
    log_joint : (G,)
        -∞ for impossible sequences.
    """
    compiled = library() if len(initial) <= _WIDE else None
    if compiled is None:
        return decode_reference(initial, transition, log_density, offsets)
    return _decode_compiled(compiled, initial, transition, as_doubles(log_density), offsets)


def decode_in_blocks(
    initial: FloatArray, transition: FloatArray, blocks: Iterable[FloatArray], n_rows: int
) -> tuple[Array, float]:
    """The same path of one sequence, whose log densities (K, rows) come block by block: they are never all there."""
    compiled = library() if len(initial) <= _WIDE else None
    if compiled is None:
        whole = np.concatenate([*blocks], axis=1)
        path, totals = decode_reference(initial, transition, whole, np.array([0, n_rows]))
        return path, float(totals[0])
    best, rows, work = _tables(initial, transition)
    origins = _origins(n_rows, len(initial))
    start = 0
    for block in map(as_doubles, blocks):
        n_states, n = block.shape
        arrays = rows, block, best, origins[start:], work
        if compiled.latentem_viterbi_rows(n_states, n, n, start == 0, *map(address, arrays)):
            return np.full(n_rows, -1), -np.inf
        start += n
    path = np.empty(n_rows, np.int64)
    log_joint: float = compiled.latentem_viterbi_path(len(initial), n_rows, *map(address, (best, origins, path)))
    if log_joint == -np.inf:
        path[:] = -1
    return path.astype(np.intp, copy=False), log_joint


def _decode_compiled(
    compiled: Any, initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    n_states, n_rows = log_density.shape
    bounds, lengths = np.ascontiguousarray(offsets, dtype=np.int64), np.diff(offsets)
    start, rows, work = _tables(initial, transition)
    origins = _origins(int(lengths.max(initial=0)), n_states)
    path, log_joint = np.empty(n_rows, np.int64), np.empty(len(lengths))
    arrays = bounds, start, rows, log_density, origins, path, log_joint, work
    compiled.latentem_viterbi(n_states, n_rows, len(log_joint), *map(address, arrays))
    for g in np.flatnonzero(log_joint == -np.inf):
        path[bounds[g] : bounds[g + 1]] = -1
    return path.astype(np.intp, copy=False), log_joint


def _tables(initial: FloatArray, transition: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithms of both as the kernel reads them, and its work space."""
    with np.errstate(divide="ignore"):
        start = padded(np.log(initial)[None], len(initial), -np.inf)[0]
        rows = padded(np.log(transition), len(initial), -np.inf)
    return start, rows, np.empty((_WORK_ROWS, len(start)))


def _origins(n_rows: int, n_states: int) -> Array:
    """Room for the states that the best ways came from."""
    return np.empty((n_rows, n_states), np.uint8 if n_states <= _NARROW else np.uint16)


def decode_reference(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The same in NumPy."""
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    steps = np.broadcast_to(log_transition, (log_density.shape[1], *log_transition.shape))
    return best_paths(log_initial, steps, log_density, offsets)


def best_paths(
    log_initial: FloatArray, steps: FloatArray, log_density: FloatArray, offsets: Array
) -> tuple[Array, FloatArray]:
    """The same with log A of the step into each row, (n, K, K)."""
    path, totals = np.empty(log_density.shape[1], np.intp), np.empty(len(offsets) - 1)
    for g, (a, b) in enumerate(pairwise(offsets)):
        path[a:b], totals[g] = _best_path(log_initial, steps[a:b], log_density[:, a:b])
    return path, totals


def _best_path(log_initial: FloatArray, steps: FloatArray, log_density: FloatArray) -> tuple[Array, float]:
    length = log_density.shape[1]
    if not is_defined(log_density):
        return np.full(length, -1), -np.inf
    best, pointers = log_initial + log_density[:, 0], np.empty((length, len(log_initial)), np.intp)
    for t in range(1, length):
        joint = best[:, None] + steps[t]
        pointers[t] = joint.argmax(axis=0)
        best = joint.max(axis=0) + log_density[:, t]
    if not best.max() > -np.inf:
        return np.full(length, -1), -np.inf
    path = np.empty(length, np.intp)
    path[-1] = best.argmax()
    for t in range(length - 1, 0, -1):
        path[t - 1] = pointers[t, path[t]]
    return path, float(best.max())


def k_best_paths(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, k: int
) -> tuple[Array, FloatArray]:
    """The k most probable paths of one sequence, best first, and their log p(x, z) (list Viterbi).

    Each state keeps the k best ways into it; the k best paths are among them (Seshadri and Sundberg 1994).

    Parameters
    ----------
    initial : (K,)
    transition : (K, K)
    log_density : (K, T)
    k : int
        At least 1.

    Returns
    -------
    paths : (k', T) int
        Different paths; k' < k where fewer than k are possible, 0 where none is.
    log_joints : (k',)
        They do not rise.
    """
    n_states, length = log_density.shape
    if not is_defined(log_density):
        return np.empty((0, length), np.intp), np.empty(0)
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    # scores[j, r]: the r-th best way into j; a way is named j k + r.
    scores = np.full((n_states, k), -np.inf)
    scores[:, 0] = log_initial + log_density[:, 0]
    kept = np.arange(n_states)[:, None]
    origins = np.empty((length, n_states, k), np.intp)
    for t in range(1, length):
        ways = (scores[:, :, None] + log_transition[:, None, :]).reshape(n_states * k, n_states).T
        origins[t] = np.argsort(-ways, axis=1, kind="stable")[:, :k]
        scores = ways[kept, origins[t]] + log_density[:, t, None]
    return _read_off(scores, origins)


def _read_off(scores: FloatArray, origins: Array) -> tuple[Array, FloatArray]:
    """The best ways into any state at the end, followed back to the start."""
    length, _, k = origins.shape
    ways = np.argsort(-scores.ravel(), kind="stable")[:k]
    log_joints = scores.ravel()[ways]
    ways, log_joints = ways[log_joints > -np.inf], log_joints[log_joints > -np.inf]
    paths = np.empty((len(ways), length), np.intp)
    for t in range(length - 1, -1, -1):
        paths[:, t] = ways // k
        ways = origins[t].ravel()[ways] if t else ways
    return paths, log_joints


def is_defined(log_density: FloatArray) -> bool:
    """Whether every time has a state that is possible, and no density is NaN or +∞."""
    return bool(np.all(np.isfinite(log_density.max(axis=0))))
