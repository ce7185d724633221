"""Domains of numbers: each entry of an array has its own coordinate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .base import LARGEST_STEP_LOG, LOG_OF_ZERO, TINY, ZERO, Shaped, count

# What is left below 1 by the largest share of an interval that is not its end; float64 has nothing there.
_REST = 1e-17
_LOG_OF_REST = float(np.log(_REST)) + 0.5
_LARGEST_LOG = 709.78


class _Elementwise(Shaped):
    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape)

    def flatten(self, value: FloatArray) -> FloatArray:
        return np.ravel(self._to_line(np.asarray(value, float)))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        value: FloatArray = xp.reshape(self._from_line(vector, xp), shape)
        return value

    def _to_line(self, value: FloatArray) -> FloatArray:
        return value

    def _from_line(self, value: FloatArray, xp: Any) -> FloatArray:
        return value

    def _names(self, labels: Array) -> list[str]:
        return [self._name(label) for label in labels.ravel()]

    def _name(self, label: str) -> str:
        return label

    def _free_coordinates(self, free: Array) -> Array:
        return np.ravel(free)


@dataclass(frozen=True, init=False, repr=False)
class Real(_Elementwise):
    """Any finite number; the coordinate is the number.

    Parameters
    ----------
    *sizes : int
        Shape of the array: `Real(2)`, `Real(3, 4)`; `Real()` is one number.
    """

    def _holds(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value)))


@dataclass(frozen=True, init=False, repr=False)
class Positive(_Elementwise):
    """Numbers above zero; the coordinate is the logarithm.

    Parameters
    ----------
    *sizes : int
        Shape of the array.
    """

    def _to_line(self, value: FloatArray) -> FloatArray:
        return np.log(np.maximum(value, TINY))

    def _from_line(self, value: FloatArray, xp: Any) -> FloatArray:
        positive: FloatArray = xp.exp(xp.clip(value, np.log(TINY), _LARGEST_LOG))
        return positive

    def _holds(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value) & (value > 0)))

    def _name(self, label: str) -> str:
        return f"log {label}"


@dataclass(frozen=True, init=False, repr=False)
class Interval(_Elementwise):
    """Numbers from `low` to `high`; the coordinate is the logit of the relative position.

    x = low + (high - low) / (1 + exp(-v)), and with one infinite end x = low + exp(v) or x = high - exp(v).

    The ends themselves have the finite coordinates of 1e-300 and 1 - 1e-17, and come back as the ends.

    Parameters
    ----------
    low, high : float
        The ends, which belong to the domain; one of them may be infinite.
    *sizes : int
        Shape of the array.

    Raises
    ------
    ParameterError
        low >= high, both ends are infinite, or high - low overflows.
    """

    low: float
    high: float

    def __init__(self, low: float, high: float, *sizes: int, shape: Sequence[int] = ()) -> None:
        low, high = _checked_ends(low, high)
        super().__init__(*sizes, shape=shape)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def __repr__(self) -> str:
        if (self.low, self.high) == (0.0, 1.0):
            return f"UnitInterval({', '.join(map(str, self.shape))})"
        return f"Interval({', '.join(map(str, (self.low, self.high, *self.shape)))})"

    def _to_line(self, value: FloatArray) -> FloatArray:
        if np.isinf(self.high):
            return np.log(np.maximum(value - self.low, ZERO))
        if np.isinf(self.low):
            return np.log(np.maximum(self.high - value, ZERO))
        width = self.high - self.low
        below, above = (value - self.low) / width, (self.high - value) / width
        return np.log(np.maximum(below, ZERO)) - np.log(np.maximum(above, _REST))

    def _from_line(self, value: FloatArray, xp: Any) -> FloatArray:
        if np.isinf(self.high):
            return self.low + _distance(value, xp)
        if np.isinf(self.low):
            return self.high - _distance(value, xp)
        width = self.high - self.low
        # Each half is measured from its own end, so that both ends are met exactly and never passed.
        up, down = _logistic(value, LOG_OF_ZERO, xp), _logistic(-value, _LOG_OF_REST, xp)
        inside: FloatArray = xp.where(value < 0, self.low + width * up, self.high - width * down)
        return inside

    def _holds(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value) & (value >= self.low) & (value <= self.high)))

    def _name(self, label: str) -> str:
        if np.isinf(self.high):
            return f"log({label} {_plus(-self.low)})"
        if np.isinf(self.low):
            return f"log({self.high:g} - {label})"
        return f"logit {label}" if (self.low, self.high) == (0, 1) else f"logit {label} ({self.low:g} to {self.high:g})"


def UnitInterval(*sizes: int) -> Interval:  # noqa: N802 - a domain, named as one
    """Numbers from 0 to 1, such as probabilities; the coordinate is the logit.

    Parameters
    ----------
    *sizes : int
        Shape of the array.
    """
    return Interval(0.0, 1.0, *sizes)


def _checked_ends(low: float, high: float) -> tuple[float, float]:
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the ends of an Interval must be numbers, got {low!r} and {high!r}") from error
    if not low < high:
        raise ParameterError(f"an Interval needs low < high, got {low:g} and {high:g}")
    if low == -np.inf and high == np.inf:
        raise ParameterError("an Interval needs a finite end; for any number take Real")
    if low == np.inf or high == -np.inf or (np.isfinite([low, high]).all() and high - low == np.inf):
        raise ParameterError(f"no float64 tells how wide the Interval from {low:g} to {high:g} is; take Real")
    return low, high


def _plus(number: float) -> str:
    return f"{'-' if number <= 0 else '+'} {abs(number):g}"


def _logistic(value: FloatArray, cut: float, xp: Any) -> FloatArray:
    """1 / (1 + exp(-v)) for v ≤ 0, and 0 below `cut`; the exponential never overflows, so that no derivative is NaN."""
    odds = xp.exp(xp.where(value <= 0, value, 0.0))
    share: FloatArray = xp.where(value < cut, 0.0, odds / (1.0 + odds))
    return share


def _distance(value: FloatArray, xp: Any) -> FloatArray:
    """exp(v), bounded, and 0 where v is the coordinate of 1e-300 or less."""
    away: FloatArray = xp.where(value < LOG_OF_ZERO, 0.0, xp.exp(xp.clip(value, LOG_OF_ZERO, LARGEST_STEP_LOG)))
    return away
