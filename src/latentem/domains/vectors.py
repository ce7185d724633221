"""Domains of vectors on the last axis: probabilities that add to one, numbers in increasing order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .base import LARGEST_STEP_LOG, LOG_OF_ZERO, TINY, ZERO, Shaped, count


@dataclass(frozen=True, init=False, repr=False)
class Simplex(Shaped):
    """Probabilities along the last axis that add to one; the coordinates are log-ratios to the largest-index entry.

    An entry that is exactly zero has the coordinate of 1e-300, and comes back as exactly zero: no extrapolation of
    such vectors opens a transition that is forbidden.

    Parameters
    ----------
    *sizes : int
        Shape of the array: `Simplex(3, 4)` are three distributions over four categories.
    """

    axes = 1

    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape[:-1]) * (shape[-1] - 1)

    def flatten(self, value: FloatArray) -> FloatArray:
        logs = np.log(np.maximum(value, ZERO))
        return np.ravel(logs[..., :-1] - logs[..., -1:])

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        ratios = xp.reshape(vector, (*shape[:-1], shape[-1] - 1))
        logs = xp.concatenate([ratios, xp.zeros((*shape[:-1], 1))], axis=-1)
        logs = logs - xp.max(logs, axis=-1, keepdims=True)
        odds = xp.where(logs < LOG_OF_ZERO, 0.0, xp.exp(logs))
        shares: FloatArray = odds / xp.sum(odds, axis=-1, keepdims=True)
        return shares

    def _holds(self, value: FloatArray) -> bool:
        total = np.sum(value, axis=-1)
        return bool(np.all(value >= 0) and np.all(np.abs(total - 1) <= 1e-8))

    def _names(self, labels: Array) -> list[str]:
        rows = labels.reshape(-1, labels.shape[-1])
        return [f"log {label}/{row[-1]}" for row in rows for label in row[:-1]]


@dataclass(frozen=True, init=False, repr=False)
class Ordered(Shaped):
    """Numbers that increase strictly along the last axis; the coordinates are x₁, log(x₂ - x₁), log(x₃ - x₂), …

    Parameters
    ----------
    *sizes : int
        Shape of the array.

    Notes
    -----
    Far out, where a difference is less than the rounding of its ends, neighbours come out equal.
    """

    axes = 1

    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape[:-1]) * shape[-1]

    def flatten(self, value: FloatArray) -> FloatArray:
        steps = np.log(np.maximum(np.diff(value, axis=-1), TINY))
        return np.ravel(np.concatenate([value[..., :1], steps], axis=-1))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        line = xp.reshape(vector, shape)
        steps = xp.exp(xp.clip(line[..., 1:], np.log(TINY), LARGEST_STEP_LOG))
        first = line[..., :1]
        value: FloatArray = xp.concatenate([first, first + xp.cumsum(steps, axis=-1)], axis=-1)
        return value

    def _holds(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value)) and np.all(value[..., 1:] > value[..., :-1]))

    def _names(self, labels: Array) -> list[str]:
        rows = labels.reshape(-1, labels.shape[-1])
        return [name for row in rows for name in (row[0], *(f"log({b} - {a})" for a, b in pairwise(row)))]
