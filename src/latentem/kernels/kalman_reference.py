"""The recursions of kernels/c/kalman.c in NumPy, number for number; docs/formulas.md has them as formulas."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._typing import Array, FloatArray

if TYPE_CHECKING:
    from .kalman import Dynamics, Numbers, Path, Smoothed

LOG_2_PI = float(np.log(2 * np.pi))
DEPENDENT, PINNED, SETTLED, AGREES = 1e-12, 1e-10, 2e-15, 1e-9


class _OpenError(Exception):
    """A flat direction is left open (status 1)."""


class _ImpossibleError(Exception):
    """An exact observation disagrees (status 2)."""


@dataclass
class _Record:
    """What a step does to covariances and means, and how zₜ and the disturbance follow from zₜ₊₁."""

    before: FloatArray  # predicted covariance
    predicted_root: FloatArray
    filtered_root: FloatArray
    gains: list[FloatArray] = field(default_factory=list)
    inverse: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)
    log_determinant: float = 0.0
    back: FloatArray | None = None
    back_noise: FloatArray | None = None
    rest: FloatArray | None = None  # (2q, ·): of z and of the disturbance


def reference(dynamics: Dynamics, numbers: Numbers, offsets: Array, path: Path) -> None:
    """Fill the path."""
    for g, (start, stop) in enumerate(pairwise(np.asarray(offsets).tolist())):
        try:
            records, log_likelihood = _forward(dynamics, numbers, path, start, stop)
            path.log_likelihood[g] = log_likelihood
            if path.smoothed is not None:
                _backward(records, path, path.smoothed, start, stop)
        except _OpenError:
            path.status[g] = 1
        except _ImpossibleError:
            path.status[g] = 2


def _forward(
    dynamics: Dynamics, numbers: Numbers, path: Path, start: int, stop: int
) -> tuple[dict[int, _Record], float]:
    records: dict[int, _Record] = {}
    root, flat = dynamics.start_root, dynamics.start_flat
    after = root @ root.T
    mean, total, last, key = dynamics.start, 0.0, -1, (-1, -1)
    for t in range(start, stop):
        pattern = 0 if numbers.pattern is None else int(numbers.pattern[t])
        arrival = -1 if t + 1 == stop else 0 if dynamics.arrival is None else int(dynamics.arrival[t + 1])
        repeats = last >= 0 and (pattern, arrival) == key and not flat.shape[1]
        if not (repeats and (path.record[t - 1] != t - 1 or _is_same(records[last].before, after))):
            record, flat = _observe(numbers, pattern, root, after, flat)
            if arrival >= 0:
                root, flat = _advance(dynamics, arrival, record, flat, path.smoothed is not None)
                after = root @ root.T
            last, key, records[t] = t, (pattern, arrival), record
            path.predicted_root[t], path.filtered_root[t] = record.predicted_root, record.filtered_root
        path.record[t], path.predicted[t] = last, mean
        path.filtered[t], added = _observe_mean(numbers, records[last], pattern, numbers.values[t], mean)
        total += added
        if arrival >= 0:
            shift = dynamics.shift[t + 1 if len(dynamics.shift) > 1 else 0]
            mean = shift + dynamics.transition[arrival] @ path.filtered[t]
    if flat.shape[1]:
        raise _OpenError
    return records, -0.5 * total


def _observe(
    numbers: Numbers, pattern: int, root: FloatArray, before: FloatArray, flat: FloatArray
) -> tuple[_Record, FloatArray]:
    record = _Record(before, root, root)
    for i in range(int(numbers.counts[pattern])):
        h, deviation = numbers.rows[pattern, i], float(numbers.deviations[pattern, i])
        hs = h @ root
        if flat.shape[1] and np.linalg.norm(h @ flat) > PINNED * (np.abs(h) @ np.abs(flat).max(axis=1)):
            turned = _reflect(np.vstack([h @ flat, flat]), 0, 0)
            gain, inverse, spread = turned[1:, 0] / turned[0, 0], 0.0, -1.0
            record.log_determinant += 2 * float(np.log(np.abs(turned[0, 0])))
            wide, flat = np.column_stack([root - np.outer(gain, hs), gain * deviation]), turned[1:, 1:]
            for j in range(len(root)):
                wide = _reflect(wide, j, j)
            root = wide[:, :-1]
        else:
            gain, inverse, spread = _gain(root, h, hs, deviation, before)
            if inverse:
                variance = 1 / inverse
                root = root - np.outer(root @ hs, hs) / (variance + deviation * np.sqrt(variance))
                record.log_determinant += float(np.log(variance)) + LOG_2_PI
        record.gains.append(gain)
        record.inverse.append(inverse)
        record.spread.append(spread)
    record.filtered_root = root
    return record, flat


def _gain(
    root: FloatArray, h: FloatArray, hs: FloatArray, deviation: float, before: FloatArray
) -> tuple[FloatArray, float, float]:
    """The gain, 1 / variance, and the size of a number that is known already (else -1)."""
    signal, scale = float(hs @ hs), float(h**2 @ np.diag(before))
    variance = deviation**2 + signal
    if variance == 0 or (deviation == 0 and signal <= DEPENDENT**2 * scale):
        return np.zeros(len(h)), 0.0, float(np.sqrt(scale))
    return root @ hs / variance, 1 / variance, -1.0


def _observe_mean(
    numbers: Numbers, record: _Record, pattern: int, values: FloatArray, mean: FloatArray
) -> tuple[FloatArray, float]:
    total = record.log_determinant
    for i, gain in enumerate(record.gains):
        h = numbers.rows[pattern, i]
        error = float(values[i] - h @ mean)
        known = record.spread[i]
        if known >= 0 and not abs(error) <= AGREES * (abs(values[i]) + known + np.abs(h * mean).sum()):
            raise _ImpossibleError
        total += error**2 * record.inverse[i]
        mean = mean + gain * error
    return mean, total


def _advance(
    dynamics: Dynamics, arrival: int, record: _Record, flat: FloatArray, joint: bool
) -> tuple[FloatArray, FloatArray]:
    """The square root and the flat directions of the next step; where wanted, the record learns the way back."""
    A, B, root = dynamics.transition[arrival], dynamics.noise_root[arrival], record.filtered_root
    q, k = flat.shape
    zero = np.zeros((q, q))
    ahead = np.column_stack([A @ root, B, -np.eye(q), A @ flat])
    now = np.column_stack([root, zero, zero, flat])
    noise = np.column_stack([zero, B, zero, np.zeros((q, k))])
    sizes, order = np.linalg.norm(ahead[:, : 2 * q], axis=1), np.arange(q)
    wide, _ = _triangularize(ahead, order, sizes.copy(), q, 2 * q)
    following = np.empty((q, q))
    following[order] = wide[:q, :q]
    if joint:
        wide, left = np.vstack([ahead, now, noise]), q
        if k:
            wide, sizes, left = _eliminate_flat(wide, sizes, q, k)
        wide, rank = _triangularize(wide, np.arange(q), sizes, left, 2 * q)
        solved = np.linalg.solve(wide[:rank, :rank], wide[:rank, 2 * q : 3 * q]) if rank else np.empty((0, q))
        ways = wide[q:, 2 * q : 3 * q] - wide[q:, :rank] @ solved
        record.back, record.back_noise, record.rest = ways[:q], ways[q:], wide[q:, rank : 2 * q]
    return following, A @ flat


def _eliminate_flat(wide: FloatArray, sizes: FloatArray, q: int, k: int) -> tuple[FloatArray, FloatArray, int]:
    """Solve rows of zₜ₊₁ for the flat directions and put them into all others."""
    wide, sizes, left = wide.copy(), sizes.copy(), q
    for f in range(k):
        table = np.abs(wide[:left, 3 * q + f :])
        row, column = np.unravel_index(int(np.argmax(table)), table.shape)
        if not table[row, column] > PINNED * np.abs(wide[q : 2 * q, 3 * q + f :]).max():
            raise _OpenError
        wide[:, [3 * q + f, 3 * q + f + column]] = wide[:, [3 * q + f + column, 3 * q + f]]
        pivot, size = wide[row].copy(), sizes[row]
        ratio = wide[:, 3 * q + f] / pivot[3 * q + f]
        ratio[row] = ratio[left:q] = 0.0
        wide -= np.outer(ratio, pivot)
        sizes[:left] += np.abs(ratio[:left]) * size
        left -= 1
        wide[[row, left]], sizes[[row, left]] = wide[[left, row]], sizes[[left, row]]
    return wide, sizes, left


def _triangularize(
    wide: FloatArray, order: Array, sizes: FloatArray, left: int, columns: int
) -> tuple[FloatArray, int]:
    """The first rows lower triangular, the largest remaining share first; how many of them are independent."""
    wide = wide.copy()
    for j in range(left):
        rest = np.linalg.norm(wide[j:left, j:columns], axis=1)
        share = np.divide(rest, sizes[j:left], out=np.zeros(left - j), where=sizes[j:left] > 0)
        if not share.max() > DEPENDENT:
            wide[j:left, j:columns] = 0.0
            return wide, j
        chosen = j + int(np.argmax(share))
        for array in (wide, order, sizes):
            array[[j, chosen]] = array[[chosen, j]]
        wide[:, :columns] = _reflect(wide[:, :columns], j, j)
    return wide, left


def _reflect(wide: FloatArray, row: int, first: int) -> FloatArray:
    """Reflect the columns from `first` on so that the row keeps one number there; the rows after it come along."""
    x = wide[row, first:]
    tail = float(x[1:] @ x[1:])
    if tail == 0:
        return wide
    length = float(np.sqrt(x[0] ** 2 + tail))
    kept = -length if x[0] > 0 else length
    vector = x.copy()
    vector[0] -= kept
    result = wide.copy()
    share = result[row + 1 :, first:] @ vector / (length * (length + abs(x[0])))
    result[row + 1 :, first:] -= np.outer(share, vector)
    result[row, first], result[row, first + 1 :] = kept, 0.0
    return result


def _is_same(one: FloatArray, other: FloatArray) -> bool:
    unit = np.sqrt(np.diag(one))
    return bool(np.all(np.abs(one - other) <= SETTLED * np.outer(unit, unit)))


def _backward(records: dict[int, _Record], path: Path, out: Smoothed, start: int, stop: int) -> None:
    end = stop - 1
    root = records[end].filtered_root
    out.mean[end], out.covariance[end], out.kept[end] = path.filtered[end], root @ root.T, end
    out.noise_covariance[end] = out.cross[end] = out.disturbance[start] = 0.0
    settled = False
    for t in range(end - 1, start - 1, -1):
        record, following = records[int(path.record[t])], int(out.kept[t + 1])
        repeats = t + 1 < end and path.record[t] == path.record[t + 1]
        settled = settled and repeats
        out.kept[t] = following if settled else t
        if not settled:
            V = out.covariance[following]
            _carry(record, V, out, t)
            settled = repeats and _is_same(out.covariance[t], V)
        assert record.back is not None and record.back_noise is not None
        error = out.mean[t + 1] - path.predicted[t + 1]
        out.mean[t] = path.filtered[t] + record.back @ error
        out.disturbance[t + 1] = record.back_noise @ error


def _carry(record: _Record, V: FloatArray, out: Smoothed, t: int) -> None:
    """The covariances of step t, from that of zₜ₊₁: what is left of zₜ once it is known, and what V adds."""
    J, N, rest = record.back, record.back_noise, record.rest
    assert J is not None and N is not None and rest is not None
    q = len(V)
    covariance, noise = rest[:q] @ rest[:q].T + J @ V @ J.T, rest[q:] @ rest[q:].T + N @ V @ N.T
    out.covariance[t], out.noise_covariance[t] = 0.5 * (covariance + covariance.T), 0.5 * (noise + noise.T)
    out.cross[t] = rest[q:] @ rest[:q].T + N @ V @ J.T
