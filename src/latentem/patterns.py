"""Patterns: which entries of an array of parameters are held at numbers, and which are equal to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._typing import Array, FloatArray
from .errors import ParameterError

HELD = -1
# What a noise covariance may be, where its entries are not given one by one.
STRUCTURES = ("full", "diagonal", "isotropic")


@dataclass(frozen=True)
class Pattern:
    """Entries of an array: a number holds an entry, None (or NaN) leaves it free, and those with one name are equal.

    [["a", 0.0], ["a", 1.0], [None, "b"]] has three free numbers, of which the first stands in two places.

    Attributes
    ----------
    entries : nested tuple of float, str and None
        Empty where all are free.
    shape : tuple of int
    """

    entries: tuple[Any, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, name: str, given: Any, shape: tuple[int, ...]) -> Pattern:
        """A pattern from nested lists or an array, of this shape; None: all entries are free.

        Raises
        ------
        ParameterError
            Another shape, or an entry that is no number, name or None; `name` says of what.
        """
        if isinstance(given, Pattern):
            if given.shape == shape:
                return given
            given = given.array
        if given is None:
            return cls((), shape)
        array = np.array(given, dtype=object)
        if array.shape != shape:
            raise ParameterError(f"{name} must have shape {shape}, got {array.shape}")
        return cls(_nested(array.tolist(), name), shape)

    @cached_property
    def array(self) -> Array:
        """The entries as an array of objects."""
        array = np.full(self.shape, None, dtype=object)
        if self.is_free:
            return array
        for index in np.ndindex(self.shape):
            entry: Any = self.entries
            for i in index:
                entry = entry[i]
            array[index] = entry
        return array

    @property
    def is_free(self) -> bool:
        """Whether no entry is held and none are equal by name."""
        return not self.entries

    @cached_property
    def values(self) -> FloatArray:
        """The numbers that entries are held at, NaN where they are free."""
        numbers = [entry if isinstance(entry, float) else np.nan for entry in self.array.flat]
        return np.array(numbers, float).reshape(self.shape)

    @cached_property
    def groups(self) -> Array:
        """For each entry the number of its free value, from 0 in order of appearance; `HELD` where it is held."""
        if self.is_free:
            return np.arange(int(np.prod(self.shape, dtype=int))).reshape(self.shape)
        names: dict[Any, int] = {}
        groups = [
            HELD if isinstance(entry, float) else names.setdefault(place if entry is None else entry, len(names))
            for place, entry in enumerate(self.array.flat)
        ]
        return np.array(groups, int).reshape(self.shape)

    def imposed(self, array: FloatArray) -> FloatArray:
        """The array with held entries at their numbers, and equal ones at their mean."""
        if self.is_free:
            return array
        return spread(self.groups, means_of(self.groups, array), np.nan_to_num(self.values))


def pattern_of_variances(noise: Any, size: int) -> Pattern:
    """The pattern of variances (size,) that are free each, "diagonal", or equal, "isotropic", or given by entries."""
    if isinstance(noise, str):
        noise = {"diagonal": None, "isotropic": ["same"] * size}[noise]
    return Pattern.of("noise", noise, (size,))


def means_of(groups: Array, array: FloatArray) -> FloatArray:
    """The mean of each group's entries, in order of the groups' numbers."""
    free = groups >= 0
    counts = np.bincount(groups[free])
    return np.asarray(np.bincount(groups[free], array[free]) / np.maximum(counts, 1))


def spread(groups: Array, free: FloatArray, held: FloatArray) -> FloatArray:
    """The array whose entries are those of their groups, and `held` where they have none."""
    padded = np.append(free, 0.0)
    return np.where(groups >= 0, padded[groups], held)


def sums_of(groups: Array, slopes: FloatArray) -> FloatArray:
    """Derivatives by the free numbers: sums over the entries that each drives."""
    free = groups >= 0
    return np.asarray(np.bincount(groups[free], slopes[free]))


def side_by_side(parts: Mapping[str, Pattern]) -> Pattern:
    """Patterns (p, ·) as one; a name is one of its own in each."""
    p = next(iter(parts.values())).shape[0]
    width = sum(int(np.prod(pattern.shape[1:], dtype=int)) for pattern in parts.values())
    if all(pattern.is_free for pattern in parts.values()):
        return Pattern((), (p, width))
    tables = [_prefixed(name, pattern.array).reshape(p, pattern.array.size // p) for name, pattern in parts.items()]
    return Pattern.of("coefficients", np.concatenate(tables, axis=1), (p, width))


def _prefixed(prefix: str, entries: Array) -> Array:
    named = np.empty(entries.size, dtype=object)
    named[:] = [f"{prefix} {entry}" if isinstance(entry, str) else entry for entry in entries.flat]
    return named


def _nested(entries: Any, name: str) -> Any:
    if isinstance(entries, list):
        return tuple(_nested(entry, name) for entry in entries)
    if entries is None or isinstance(entries, str):
        return entries
    try:
        number = float(entries)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"an entry of {name} is a number, a name or None; got {entries!r}") from error
    if np.isinf(number):
        raise ParameterError(f"{name} cannot be held at {number}")
    return None if np.isnan(number) else number
