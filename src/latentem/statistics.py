"""Statistics: what an E-step leaves behind, values that add.

One EM iteration is a fold over the data: every chunk yields a `Statistics`, and their sum is all
that the M-step sees.  Addition and scalar multiplication are written here once, for every kind.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Generic, Self, TypeVar

import numpy as np

from ._typing import Array, FloatArray

T = TypeVar("T", bound="Statistics")


@dataclass(frozen=True)
class Reference:
    """What relative statistics are relative to: a centre, pivots, or the θ of a `LocalQ`.

    Two statistics add only if their references are the same.
    """

    point: FloatArray

    def same_as(self, other: Reference) -> bool:
        return self is other or np.array_equal(self.point, other.point)


@dataclass(frozen=True)
class Statistics:
    """A frozen dataclass of arrays, other statistics, tuples of those, and references."""

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(*(_add(a, b) for a, b in zip(_values(self), _values(other), strict=True)))

    def __mul__(self, scalar: float) -> Self:
        return type(self)(*(_scale(value, scalar) for value in _values(self)))

    __rmul__ = __mul__

    def shift(self, reference: Reference) -> Self:
        """The same statistics relative to another reference; not every kind can."""
        raise TypeError(f"{type(self).__name__} cannot be moved to another reference")


@dataclass(frozen=True)
class LocalQ(Statistics):
    """Q(·; θₜ) to second order at θₜ, where no finite sufficient statistics exist.

    Attributes
    ----------
    value : (...)
        Q at θₜ, one number for each independent block (component, or component and column).
    gradient : (..., p)
        Its gradient in the block's unconstrained coordinates.
    curvature : (..., p, p)
        Its Hessian there.
    reference : Reference
        θₜ, flattened.  Statistics at different θ do not add: there is no online EM here.
    """

    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray
    reference: Reference


@dataclass(frozen=True)
class Expectation(Statistics):
    """What an E-step returns.

    Attributes
    ----------
    statistics : Statistics
        Σₙ wₙ E_q[T(xₙ, z)].
    log_likelihood : float
        Σₙ wₙ log p(xₙ; θ).
    magnitude : float
        Σₙ wₙ (16 + |log p(xₙ; θ)|), the size of the terms added up, with which the rounding error of
        `log_likelihood` goes.
    weight : float
        Σₙ wₙ.
    noise : float
        By how much quadrature or simulation may let `log_likelihood` jump between neighbouring θ; 0 where it is exact.
    """

    statistics: Any
    log_likelihood: float
    magnitude: float
    weight: float
    noise: float = 0.0

    @property
    def rounding(self) -> float:
        """A bound on the numerical error of `log_likelihood`: of rounding (a modest multiple of ε), and its noise."""
        return float(32 * np.finfo(float).eps * self.magnitude + self.noise)


def moved_like(statistics: Any, like: Any) -> Any:
    """The statistics relative to the references of others of the same kind, so that both add.

    What is part of others by `shift`, where the references differ; that of a `LocalQ` raises a TypeError.
    """
    if isinstance(statistics, tuple):
        return tuple(moved_like(mine, theirs) for mine, theirs in zip(statistics, like, strict=True))
    if not isinstance(statistics, Statistics):
        return statistics
    own = [value for value in _values(statistics) if isinstance(value, Reference)]
    wanted = [value for value in _values(like) if isinstance(value, Reference)]
    if own:
        return statistics if own[0].same_as(wanted[0]) else statistics.shift(wanted[0])
    pairs = zip(_values(statistics), _values(like), strict=True)
    return type(statistics)(*(moved_like(mine, theirs) for mine, theirs in pairs))


def _values(statistics: Statistics) -> list[Any]:
    return [getattr(statistics, field.name) for field in fields(statistics)]


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, Reference):
        if not a.same_as(b):
            raise ValueError("statistics relative to different references do not add; shift one first")
        return a
    if isinstance(a, tuple):
        return tuple(_add(x, y) for x, y in zip(a, b, strict=True))
    if (a is None) != (b is None) or np.shape(a) != np.shape(b):
        raise ValueError(f"statistics of different shapes do not add: {np.shape(a)} and {np.shape(b)}")
    return None if a is None else a + b


def _scale(value: Any, scalar: float) -> Any:
    if value is None or isinstance(value, Reference):
        return value
    if isinstance(value, tuple):
        return tuple(_scale(item, scalar) for item in value)
    return value * scalar


def is_local(statistics: Any) -> bool:
    """Whether a part of the statistics is a `LocalQ`."""
    if isinstance(statistics, LocalQ):
        return True
    if isinstance(statistics, tuple):
        return any(map(is_local, statistics))
    if isinstance(statistics, Statistics):
        return any(is_local(getattr(statistics, field.name)) for field in fields(statistics))
    return False


def arrays_of(statistics: Any) -> list[Array]:
    """Every array in a (nested) statistics, in field order; references left out."""
    if isinstance(statistics, Statistics):
        return [array for value in _values(statistics) for array in arrays_of(value)]
    if isinstance(statistics, tuple):
        return [array for item in statistics for array in arrays_of(item)]
    return [] if statistics is None or isinstance(statistics, Reference) else [np.asarray(statistics)]


class PairwiseSum(Generic[T]):
    """Adds items as a binary counter carries: item 2i with item 2i + 1, then pairs with pairs.

    Memory is logarithmic in the number of items, and the rounding error grows as log n.  A sum over an aligned block
    of 2ᵇ items that is pushed whole leads to the same tree as its items pushed one by one.
    """

    def __init__(self) -> None:
        self._partials: list[tuple[int, T]] = []

    def push(self, item: T, size: int = 1) -> None:
        while self._partials and self._partials[-1][0] == size:
            item = self._partials.pop()[1] + item
            size *= 2
        self._partials.append((size, item))

    def total(self) -> T:
        if not self._partials:
            raise ValueError("nothing was added")
        _, total = self._partials[-1]
        for _, item in reversed(self._partials[:-1]):
            total = item + total
        return total
