"""The recursions of kernels/c/kalman.c in NumPy, number for number; docs/formulas.md has them as formulas."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._typing import Array, FloatArray

if TYPE_CHECKING:
    from .kalman import Dynamics, Numbers, Path, Smoothed

LOG_2_PI = float(np.log(2 * np.pi))
KNOWN, PINNED, SETTLED, AGREES = 1e-12, 1e-10, 2e-15, 1e-9


class _OpenError(Exception):
    """A flat direction is left open (status 1)."""


class _ImpossibleError(Exception):
    """An exact number disagrees (status 2)."""


@dataclass
class _Tall:
    """Rows that are linear in what is unknown: z, and behind it the coordinates X = (d, e) that the step began with.

    `flat` (r, k) on the directions that are still flat, `normal` (r, q) on the coordinates e, `spent` (r, ·) on noise
    that
    z no longer depends on.
    """

    flat: FloatArray
    normal: FloatArray
    spent: FloatArray

    @classmethod
    def at(cls, root: FloatArray, flat: FloatArray) -> _Tall:
        q, k = flat.shape
        rows = np.vstack([np.hstack([flat, root]), np.eye(k + q)])
        return cls(rows[:, :k], rows[:, k:], np.empty((2 * q + k, 0)))


@dataclass
class _Record:
    """What a step does to covariances and means.

    `back`, `noise_back` and the rest: X = Γ v + Φ X' + C ξ, with X' the coordinates of the next step, and the
    disturbance
    on the way there, w = N X' + M ξ.
    """

    before: FloatArray  # predicted covariance
    shape: FloatArray  # (q, k + q): z - predicted on X
    filtered_root: FloatArray
    gains: FloatArray  # (m, q)
    ways: FloatArray  # Γ (k + q, m)
    inverse: FloatArray
    known: FloatArray  # size of a number that is known already, else -1
    log_determinant: float
    back: FloatArray
    rest: FloatArray
    noise_back: FloatArray
    noise_rest: FloatArray


def reference(dynamics: Dynamics, numbers: Numbers, offsets: Array, path: Path) -> None:
    """Fill the path."""
    for g, (start, stop) in enumerate(pairwise(np.asarray(offsets).tolist())):
        try:
            records, innovations, path.log_likelihood[g] = _forward(dynamics, numbers, path, start, stop)
            if path.smoothed is not None:
                _backward(records, innovations, path, path.smoothed, start, stop)
        except _OpenError:
            path.status[g] = 1
        except _ImpossibleError:
            path.status[g] = 2


def _forward(
    dynamics: Dynamics, numbers: Numbers, path: Path, start: int, stop: int
) -> tuple[dict[int, _Record], FloatArray, float]:
    records: dict[int, _Record] = {}
    innovations = np.zeros((stop - start, numbers.values.shape[1]))
    root, flat = dynamics.start_root, dynamics.start_flat
    after = root @ root.T
    mean, total, last, key = dynamics.start, 0.0, -1, (-1, -1)
    for t in range(start, stop):
        pattern = 0 if numbers.pattern is None else int(numbers.pattern[t])
        arrival = -1 if t + 1 == stop else 0 if dynamics.arrival is None else int(dynamics.arrival[t + 1])
        repeats = last >= 0 and (pattern, arrival) == key and not flat.shape[1]
        if not (repeats and (path.record[t - 1] != t - 1 or _is_same(records[last].before, after))):
            path.predicted_root[t], path.n_flat[t, 0] = root, flat.shape[1]
            record, root, flat = _record(dynamics, numbers, pattern, arrival, root, after, flat)
            after, last, key, records[t] = root @ root.T, t, (pattern, arrival), record
            path.filtered_root[t], path.n_flat[t, 1] = record.filtered_root, flat.shape[1]
        path.record[t], path.predicted[t] = last, mean
        path.filtered[t], added = _observe_mean(numbers, records[last], pattern, t, mean, innovations[t - start])
        total += added
        if arrival >= 0:
            shift = dynamics.shift[t + 1 if len(dynamics.shift) > 1 else 0]
            mean = shift + dynamics.transition[arrival] @ path.filtered[t]
    if flat.shape[1]:
        raise _OpenError
    return records, innovations, -0.5 * total


def _record(
    dynamics: Dynamics,
    numbers: Numbers,
    pattern: int,
    arrival: int,
    root: FloatArray,
    before: FloatArray,
    flat: FloatArray,
) -> tuple[_Record, FloatArray, FloatArray]:
    """A step's record, and the square root and the flat directions of the next."""
    q, count = len(root), int(numbers.counts[pattern])
    tall = _Tall.at(root, flat)
    shape = np.hstack([flat, root])
    ways, inverse, known = np.zeros((2 * q + flat.shape[1], count)), np.zeros(count), np.full(count, -1.0)
    log_determinant = 0.0
    for i in range(count):
        h, deviation = numbers.rows[pattern, i], float(numbers.deviations[pattern, i])
        if tall.flat.shape[1] and _pins(h, tall.flat[:q]):
            tall, ways[:, i], pivot = _pin(tall, h, deviation)
            log_determinant += 2 * float(np.log(np.abs(pivot)))
            continue
        hs = h @ tall.normal[:q]
        signal, scale = float(hs @ hs), float(h**2 @ np.diag(before))
        variance = deviation**2 + signal
        if variance == 0 or (deviation == 0 and signal <= KNOWN**2 * scale):
            known[i] = np.sqrt(scale)
            continue
        toward = tall.normal @ hs
        ways[:, i], inverse[i] = toward / variance, 1 / variance
        tall.normal = tall.normal - np.outer(toward, hs) / (variance + deviation * np.sqrt(variance))
        log_determinant += float(np.log(variance)) + LOG_2_PI
    filtered_root = tall.normal[:q]
    if arrival < 0:
        back, rest = np.empty((len(shape[0]), 0)), np.hstack([tall.normal, tall.spent])[q:]
        noise_back, noise_rest, following = np.empty((q, 0)), np.zeros((q, rest.shape[1])), root
        flat = tall.flat[:q]
    else:
        A, B = dynamics.transition[arrival], dynamics.noise_root[arrival]
        wide = np.hstack([tall.normal, np.zeros((len(tall.normal), q))])
        wide = np.vstack([np.hstack([A @ filtered_root, B]), wide[q:], np.zeros((q, 2 * q))])
        wide[-q:, q:] = np.eye(q)
        wide = _triangular(wide, q)
        following, flat = wide[:q, :q], A @ tall.flat[:q]
        back = np.hstack([tall.flat[q:], wide[q:-q, :q]])
        rest = np.hstack([wide[q:-q, q:], tall.spent[q:]])
        noise_back = np.hstack([np.zeros((q, flat.shape[1])), B @ wide[-q:, :q]])
        noise_rest = np.hstack([B @ wide[-q:, q:], np.zeros((q, tall.spent.shape[1]))])
    record = _Record(
        before, shape, filtered_root, ways[:q].T, ways[q:], inverse, known, log_determinant, back, rest, noise_back,
        noise_rest,
    )  # fmt: skip
    return record, following, flat


def _pins(h: FloatArray, flat: FloatArray) -> bool:
    return bool(np.linalg.norm(h @ flat) > PINNED * (np.abs(h) @ np.abs(flat).max(axis=1)))


def _pin(tall: _Tall, h: FloatArray, deviation: float) -> tuple[_Tall, FloatArray, float]:
    """Solve y = hᵀz + noise for a flat direction: turn them so that hᵀW = (w, 0, …), put d₁ = (y - …) / w in."""
    q = len(h)
    turned = _reflect(np.vstack([h @ tall.flat[:q], tall.flat]), 0, 0)
    pivot = float(turned[0, 0])
    ways = turned[1:, 0] / pivot
    wide = np.column_stack([tall.normal - np.outer(ways, h @ tall.normal[:q]), ways * deviation])
    wide = _triangular(wide, q)
    return _Tall(turned[1:, 1:], wide[:, :q], np.column_stack([tall.spent, wide[:, q]])), ways, pivot


def _triangular(wide: FloatArray, q: int) -> FloatArray:
    """Reflect columns so that the first q rows are lower triangular; the rows below come along."""
    for j in range(q):
        wide = _reflect(wide, j, j)
    return wide


def _reflect(wide: FloatArray, row: int, first: int) -> FloatArray:
    """Reflect the columns from `first` on so that the row keeps one number >= 0 there; the rows after it come along."""
    x, result = wide[row, first:], wide.copy()
    head, tail = float(x[0]), float(x[1:] @ x[1:])
    if tail < np.finfo(float).tiny and head >= 0:
        result[row, first + 1 :] = 0.0
        return result
    length = float(np.sqrt(head**2 + tail))
    vector = x.copy()
    vector[0] = -tail / (head + length) if head > 0 else head - length
    share = result[row + 1 :, first:] @ vector / (-length * vector[0])
    result[row + 1 :, first:] -= np.outer(share, vector)
    result[row, first], result[row, first + 1 :] = length, 0.0
    return result


def _observe_mean(
    numbers: Numbers, record: _Record, pattern: int, t: int, mean: FloatArray, innovations: FloatArray
) -> tuple[FloatArray, float]:
    total, values = record.log_determinant, numbers.values[t]
    for i, gain in enumerate(record.gains):
        h, known = numbers.rows[pattern, i], record.known[i]
        error = float(values[i] - h @ mean)
        if known >= 0 and not abs(error) <= AGREES * (abs(values[i]) + known + np.abs(h * mean).sum()):
            raise _ImpossibleError
        innovations[i] = error
        total += error**2 * record.inverse[i]
        mean = mean + gain * error
    return mean, total


def _is_same(one: FloatArray, other: FloatArray) -> bool:
    unit = np.sqrt(np.diag(one))
    return bool(np.all(np.abs(one - other) <= SETTLED * np.outer(unit, unit)))


def _backward(
    records: dict[int, _Record], innovations: FloatArray, path: Path, out: Smoothed, start: int, stop: int
) -> None:
    end = stop - 1
    out.disturbance[start] = 0.0
    ahead, root, settled = np.empty(0), np.empty((0, 0)), False
    for t in range(end, start - 1, -1):
        record, count = records[int(path.record[t])], records[int(path.record[t])].ways.shape[1]
        repeats = t + 1 < end and path.record[t] == path.record[t + 1]
        settled = settled and repeats
        out.kept[t] = out.kept[t + 1] if settled else t
        if not settled:
            root = _spread(record, root, out, t)
            settled = repeats and _is_same(out.covariance[t], out.covariance[int(out.kept[t + 1])])
        if t < end:
            out.disturbance[t + 1] = record.noise_back @ ahead
        ahead = record.ways @ innovations[t - start, :count] + record.back @ ahead
        out.mean[t] = path.predicted[t] + record.shape @ ahead


def _spread(record: _Record, ahead: FloatArray, out: Smoothed, t: int) -> FloatArray:
    """The covariances of a step from the square root of that of X' (r', ·); the square root of that of X."""
    wide = np.hstack([record.back @ ahead, record.rest])
    noise = np.hstack([record.noise_back @ ahead, record.noise_rest])
    if wide.shape[1] < len(wide):
        wide = np.hstack([wide, np.zeros((len(wide), len(wide) - wide.shape[1]))])
        noise = np.hstack([noise, np.zeros((len(noise), wide.shape[1] - noise.shape[1]))])
    seen = record.shape @ wide
    out.covariance[t], out.noise_covariance[t], out.cross[t] = seen @ seen.T, noise @ noise.T, noise @ seen.T
    return _triangular(wide, len(wide))[:, : len(wide)]
