"""Domains made of others: entries that are equal along an axis, entries that are held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .base import Domain, as_axes, entry_labels, pick


@dataclass(frozen=True, repr=False)
class Tied(Domain):
    """Arrays of a domain that are equal along some axes: what `domain.tied(axis)` returns.

    Attributes
    ----------
    base : Domain
    along : tuple of int or None
        The axes; None: all, whatever the array's shape.
    """

    base: Domain
    along: tuple[int, ...] | None = None
    shape: tuple[int, ...] = field(init=False, compare=False)
    axes: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.base, Fixed | Tied):
            raise ParameterError(f"call {self.base}.tied(...) instead of Tied: it keeps fixed and tied in one order")
        if self.base.axes and self.along is None:
            raise ParameterError(
                f"not all entries of {self.base} can be equal; name an axis that stands before its "
                f"{('', 'vectors', 'matrices')[self.base.axes]}, as in tied(axis=0)"
            )
        object.__setattr__(self, "shape", self.base.shape)
        object.__setattr__(self, "axes", self.base.axes)
        if self.shape:
            object.__setattr__(self, "along", self._tied_axes(self.shape))

    def __repr__(self) -> str:
        if self.along is None or len(self.along) == len(self.shape) > 0:
            return f"{self.base}.tied()"
        return f"{self.base}.tied(axis={self.along[0] if len(self.along) == 1 else self.along})"

    def n_free(self, shape: tuple[int, ...]) -> int:
        return self.base.n_free(self._once(shape))

    def flatten(self, value: FloatArray) -> FloatArray:
        return self.base.flatten(self._first(value))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        value: FloatArray = xp.array(xp.broadcast_to(self.base.unflatten(vector, self._once(shape), xp), shape))
        return value

    def coordinate_names(self, name: str, shape: tuple[int, ...]) -> list[str]:
        return self._names(entry_labels(name, shape, self._tied_axes(shape)))

    def tied(self, axis: int | tuple[int, ...] | None = None) -> Domain:
        along = as_axes(axis)
        return self.base.tied(None if self.along is None or along is None else self.along + along)

    def _holds(self, value: FloatArray) -> bool:
        return self.base.contains(value) and bool(np.all(value == self._first(value)))

    def _names(self, labels: Array) -> list[str]:
        return self.base._names(self._first(labels))

    def _free_coordinates(self, free: Array) -> Array:
        once = self._first(free)
        if np.any(free != once):
            raise ParameterError(f"entries of {self} that are equal must all be fixed, or all be NaN (free)")
        return self.base._free_coordinates(once)

    def _tied_axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of an array of this shape along which it is equal, from 0 on and in order."""
        if self.along is None:
            return tuple(range(len(shape)))
        allowed = len(shape) - self.base.axes
        along = {axis + len(shape) if axis < 0 else axis for axis in self.along}
        if not along <= set(range(allowed)):
            one = ("", ", the last one being a vector's", ", the last two being a matrix's")[self.base.axes]
            raise ParameterError(f"{self.base} of shape {shape} has {allowed} axes to tie{one}; got axis {self.along}")
        return tuple(sorted(along))

    def _once(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        along = self._tied_axes(shape)
        return tuple(1 if axis in along else n for axis, n in enumerate(shape))

    def _first(self, value: Array) -> Array:
        """Of entries that are equal the first one, all axes kept."""
        once: tuple[Any, ...] = tuple(slice(n) for n in self._once(np.shape(value)))
        return np.asarray(value[(..., *once)])


@dataclass(frozen=True, repr=False)
class Fixed(Domain):
    """Arrays of a domain some of whose entries are held: what `domain.fixed(values)` returns.

    Attributes
    ----------
    base : Domain
    values : nested tuple of float or None
        Where the entries are held; None (NaN, when given) where they are free.
    """

    base: Domain
    values: Any
    shape: tuple[int, ...] = field(init=False, compare=False)
    axes: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.base, Fixed):
            raise ParameterError(f"call {self.base}.fixed(...) instead of Fixed: it puts both together")
        values = _numbers(self.values, self.base)
        object.__setattr__(self, "values", _nested(values.tolist()))
        object.__setattr__(self, "shape", values.shape)
        object.__setattr__(self, "axes", self.base.axes)
        vector = np.zeros(len(self.base._free_coordinates(np.isnan(values))))
        whole = np.where(np.isnan(values), self.base.unflatten(vector, values.shape), values)
        if not self.base.contains(whole):
            raise ParameterError(f"the values of fixed(...) must lie in {self.base}, got {values.tolist()}")

    def __repr__(self) -> str:
        return f"{self.base}.fixed({self._held(self.shape).tolist()})"

    def n_free(self, shape: tuple[int, ...]) -> int:
        return int(np.sum(self._moves(shape)))

    def flatten(self, value: FloatArray) -> FloatArray:
        return self.base.flatten(value)[self._moves(np.shape(value))]

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        moves, held = self._moves(shape), self._held(shape)
        place = np.where(moves, np.cumsum(moves) - 1, np.sum(moves))
        value = self.base.unflatten(pick(vector, place, xp), shape, xp)
        exact: FloatArray = xp.where(np.isnan(held), value, np.nan_to_num(held))
        return exact

    def coordinate_names(self, name: str, shape: tuple[int, ...]) -> list[str]:
        names = self.base.coordinate_names(name, shape)
        return [name for name, moves in zip(names, self._moves(shape), strict=True) if moves]

    def fixed(self, values: Any) -> Domain:
        now, new = self._held(self.shape), _numbers(values, self)
        now, new = np.broadcast_arrays(now, new)
        if np.any((now != new) & ~np.isnan(now) & ~np.isnan(new)):
            raise ParameterError(f"{self} is fixed already, at other values than {new.tolist()}")
        return self.base.fixed(np.where(np.isnan(new), now, new))

    def tied(self, axis: int | tuple[int, ...] | None = None) -> Domain:
        return self.base.tied(axis).fixed(self._held(self.shape))

    def _holds(self, value: FloatArray) -> bool:
        held = self._held(value.shape)
        return self.base.contains(value) and bool(np.all(np.isnan(held) | (held == value)))

    def _names(self, labels: Array) -> list[str]:
        names = zip(self.base._names(labels), self._moves(labels.shape), strict=True)
        return [name for name, moves in names if moves]

    def _held(self, shape: tuple[int, ...]) -> FloatArray:
        return np.broadcast_to(np.array(self.values, float), shape)

    def _moves(self, shape: tuple[int, ...]) -> Array:
        """Which coordinates of the base are free."""
        return self.base._free_coordinates(np.isnan(self._held(shape)))


def _numbers(values: Any, domain: Domain) -> FloatArray:
    """Values to hold a domain at, NaN where free, of its shape."""
    try:
        numbers = np.array(values, float)
        numbers = np.broadcast_to(numbers, domain.shape) if domain.shape else numbers
    except (TypeError, ValueError) as error:
        needed = f"numbers that broadcast to shape {domain.shape}" if domain.shape else "numbers"
        raise ParameterError(f"{domain} can be fixed at {needed}, or NaN where it is free; got {values!r}") from error
    if not domain._fits(numbers.shape):
        raise ParameterError(f"{domain} cannot be fixed at values of shape {numbers.shape}")
    return numbers


def _nested(values: Any) -> Any:
    """Lists as tuples and NaN as None, which unlike NaN equals itself."""
    if isinstance(values, list):
        return tuple(map(_nested, values))
    return None if np.isnan(values) else values


def without_constraints(domain: Domain) -> Domain:
    """The domain of which some entries are fixed or tied."""
    while isinstance(domain, Fixed | Tied):
        domain = domain.base
    return domain
