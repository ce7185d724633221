"""Kalman filter and smoother over all sequences of a batch: compiled where it can be, else by the NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod
from threading import local
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library
from .kalman_reference import reference

UNDETERMINED, IMPOSSIBLE = 1, 2
# Numbers of scratch space that a thread keeps from call to call, at most, for each use.
LARGEST_KEPT = 1_000_000
_kept = local()


@dataclass(frozen=True)
class Dynamics:
    """z₁ = start + W d + S e with d flat; zₜ = A zₜ₋₁ + shiftₜ + B e.

    Attributes
    ----------
    transition : (N, q, q)
        The different A.
    noise_root : (N, q, q)
        B of each, B Bᵀ = Q.
    shift : (n, q) or (1, q)
        What is added on arrival at t; one row stands for all.
    start, start_root, start_flat : (q,), (q, q), (q, k)
    arrival : (n,) int or None
        Which A and B lead to t; None stands for the only one.
    """

    transition: FloatArray
    noise_root: FloatArray
    shift: FloatArray
    start: FloatArray
    start_root: FloatArray
    start_flat: FloatArray
    arrival: Array | None = None

    @property
    def n_states(self) -> int:
        return int(self.transition.shape[-1])

    def leading_to(self, t: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A, B and what is added, of the transition that leads to t."""
        a = 0 if self.arrival is None else int(self.arrival[t])
        return self.transition[a], self.noise_root[a], self.shift[t if len(self.shift) > 1 else 0]


@dataclass(frozen=True)
class Numbers:
    """Observations as independent numbers y = hᵀz + deviation · e, those of a step one after the other.

    Attributes
    ----------
    values : (n, m)
    rows : (P, m, q)
        h of each number, for each pattern of what a step observes and how.
    deviations : (P, m)
    counts : (P,) int
        How many of the m there are.
    pattern : (n,) int or None
        The pattern of each step; None stands for the only one.
    """

    values: FloatArray
    rows: FloatArray
    deviations: FloatArray
    counts: Array
    pattern: Array | None = None


@dataclass(frozen=True)
class Smoothed:
    """Moments given the whole sequence.

    Attributes
    ----------
    mean : (n, q)
        E zₜ.
    disturbance : (n, q)
        E wₜ of what led to t, wₜ = zₜ - A zₜ₋₁ - shiftₜ; 0 in the first row of a sequence.
    kept : (n,) int
        Row of the tables that holds the covariances of a step.
    covariance, noise_covariance, cross : (n, q, q)
        Tables of Cov zₜ, Cov wₜ₊₁ and Cov(wₜ₊₁, zₜ); rows that `kept` does not name are undefined.
    """

    mean: FloatArray
    disturbance: FloatArray
    kept: Array
    covariance: FloatArray
    noise_covariance: FloatArray
    cross: FloatArray


@dataclass(frozen=True)
class Path:
    """What the filter leaves behind.

    Attributes
    ----------
    predicted, filtered : (n, q)
        Means before and after the observations of a step, flat directions that are not yet pinned down at 0.
    record : (n,) int
        Row of the tables that holds a step's covariances.
    predicted_root, filtered_root : (n, q, q)
        Tables of S, Cov = S Sᵀ; rows that `record` does not name are undefined.
    n_flat : (n, 2) int
        Table of how many flat directions are open before and after the observations of a step.
    log_likelihood : (G,)
        Of the numbers; over flat directions it is the integral.
    status : (G,) int
        0, or UNDETERMINED: the sequence leaves a flat direction open; or IMPOSSIBLE: an exact observation disagrees.
        Whatever else is there of such a sequence is 0.
    smoothed : Smoothed or None
    """

    predicted: FloatArray
    filtered: FloatArray
    record: Array
    predicted_root: FloatArray
    filtered_root: FloatArray
    n_flat: Array
    log_likelihood: FloatArray
    status: Array
    smoothed: Smoothed | None = None


def run(dynamics: Dynamics, numbers: Numbers, offsets: Array, *, smooth: bool) -> Path:
    """Filter, and if asked smooth, the sequences [offsets[g], offsets[g + 1])."""
    return _filled(_empty(len(numbers.values), dynamics.n_states, len(offsets) - 1, smooth), dynamics, numbers, offsets)


def smooth(dynamics: Dynamics, numbers: Numbers, offsets: Array) -> tuple[Smoothed, FloatArray, Array]:
    """Smoothed moments, log-likelihoods and status alone: what `run` fills beside them is written over at the
    next call.
    """
    n, q = len(numbers.values), dynamics.n_states
    sizes = ((n, q), (n, q), (n,), (n, q, q), (n, q, q), (n, 2))
    predicted, filtered, record, before, after, n_flat = _scratch(sizes, "path")
    whole = _smoothed(n, q)
    groups = np.zeros(len(offsets) - 1), np.zeros(len(offsets) - 1, np.int64)
    index = record.view(np.int64), n_flat.view(np.int64)
    path = Path(predicted, filtered, index[0], before, after, index[1], *groups, whole)
    _filled(path, dynamics, numbers, offsets)
    return whole, path.log_likelihood, path.status


def _filled(path: Path, dynamics: Dynamics, numbers: Numbers, offsets: Array) -> Path:
    compiled = library()
    if compiled is None:
        reference(dynamics, numbers, offsets, path)
    else:
        _run_compiled(compiled, dynamics, numbers, offsets, path)
    for g in np.flatnonzero(path.status):
        _blank(path, int(offsets[g]), int(offsets[g + 1]))
    return path


def _scratch(shapes: Sequence[tuple[int, ...]], use: str) -> list[FloatArray]:
    """Arrays to write over, from memory that the thread keeps: fresh memory costs more than the recursion."""
    sizes = [prod(shape) for shape in shapes]
    space = getattr(_kept, use, None)
    if space is None or len(space) < sum(sizes):
        space = np.empty(sum(sizes))
        if len(space) <= LARGEST_KEPT:
            setattr(_kept, use, space)
    ends = np.cumsum(sizes).tolist()
    return [space[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True)]


def _blank(path: Path, start: int, stop: int) -> None:
    """Zeros for a sequence that failed, so that nothing reads what was never written."""
    rows = slice(start, stop)
    parts: list[Any] = [path] if path.smoothed is None else [path, path.smoothed]
    for part in parts:
        for item in fields(part):
            array = getattr(part, item.name)
            if isinstance(array, np.ndarray) and len(array) == len(path.record) and array.dtype == float:
                array[rows] = 0.0
    path.record[rows] = np.arange(start, stop)
    if path.smoothed is not None:
        path.smoothed.kept[rows] = np.arange(start, stop)


def _empty(n: int, q: int, n_groups: int, smooth: bool) -> Path:
    index, n_flat, status = np.empty(n, np.int64), np.zeros((n, 2), np.int64), np.zeros(n_groups, np.int64)
    rows, tables = (np.empty((n, q)), np.empty((n, q))), (np.empty((n, q, q)), np.empty((n, q, q)))
    smoothed = _smoothed(n, q) if smooth else None
    return Path(rows[0], rows[1], index, tables[0], tables[1], n_flat, np.zeros(n_groups), status, smoothed)


def _smoothed(n: int, q: int) -> Smoothed:
    tables = [np.empty((n, q, q)) for _ in range(3)]
    return Smoothed(np.empty((n, q)), np.empty((n, q)), np.empty(n, np.int64), *tables)


def _run_compiled(compiled: Any, dynamics: Dynamics, numbers: Numbers, offsets: Array, path: Path) -> None:
    n, m = numbers.values.shape
    q, k = dynamics.start_flat.shape
    varying = len(dynamics.shift) > 1 or n == 1
    bounds = np.ascontiguousarray(offsets, np.int64)
    sizes = np.array([q, m, k, len(bounds) - 1, q if varying else 0], np.int64)
    D, smoothed = q + k, path.smoothed
    ways: list[Any] = [None] * 6
    moments: list[Any] = [None] * 6
    if smoothed is not None:
        ways = _scratch(((n, q, D), (n, D, m), (n, D, D), (n, D, D), (n, q, q), (n, q, q)), "ways")
        moments = [getattr(smoothed, item.name) for item in fields(smoothed)]
    arrays = [
        sizes,
        bounds,
        _as_index(dynamics.arrival),
        as_doubles(dynamics.transition),
        as_doubles(dynamics.noise_root),
        as_doubles(dynamics.shift),
        _as_index(numbers.pattern),
        _as_index(numbers.counts),
        as_doubles(numbers.rows),
        as_doubles(numbers.deviations),
        as_doubles(numbers.values),
        as_doubles(dynamics.start),
        as_doubles(dynamics.start_root),
        as_doubles(dynamics.start_flat),
        path.predicted,
        path.filtered,
        path.record,
        path.predicted_root,
        path.filtered_root,
        *_scratch(((n, m),), "innovations"),
        *ways,
        path.n_flat,
        *moments,
        path.log_likelihood,
        path.status,
        np.empty(compiled.latentem_kalman_work(q, m, k)),
    ]
    compiled.latentem_kalman(*(None if array is None else address(array) for array in arrays))


def _as_index(index: Array | None) -> Array | None:
    return None if index is None else np.ascontiguousarray(index, np.int64)
