"""Which probabilities of a table are held and which are equal; and tables of forbidden transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from ..parameters import Simplex

# A table as nested tuples, which unlike arrays are equal or not, and have hashes; None stands for NaN.
Table: TypeAlias = tuple[tuple[Any, ...], ...]


def left_to_right(n_states: int, longest: int | None = None) -> FloatArray:
    """For `MarkovChain(fixed=…)`: no state is left for an earlier one, nor (if given) for one further than `longest`.

    Returns
    -------
    (K, K)
        0 where a transition is forbidden, NaN where it is free.
    """
    ahead = np.arange(n_states)[None, :] - np.arange(n_states)[:, None]
    return _allowing((ahead >= 0) & (ahead <= (n_states if longest is None else longest)))


def banded(n_states: int, width: int) -> FloatArray:
    """For `MarkovChain(fixed=…)`: the number of a state changes by at most `width`."""
    states = np.arange(n_states)
    return _allowing(np.abs(states[None, :] - states[:, None]) <= width)


def blocks(sizes: Sequence[int]) -> FloatArray:
    """For `MarkovChain(fixed=…)`: states come in blocks of these sizes that are never left."""
    block = np.repeat(np.arange(len(sizes)), sizes)
    return _allowing(block[None, :] == block[:, None])


def _allowing(allowed: Array) -> FloatArray:
    return np.where(allowed, np.nan, 0.0)


def as_table(values: Any, shape: tuple[int, int], name: str) -> Table | None:
    """Numbers as nested tuples, NaN as None."""
    if values is None:
        return None
    try:
        numbers = np.array(values, float).reshape(shape)
    except (TypeError, ValueError) as error:
        wanted = shape if shape[0] > 1 else shape[1:]
        raise ParameterError(f"{name} must be numbers of shape {wanted}, NaN where free; got {values!r}") from error
    return tuple(tuple(None if np.isnan(x) else float(x) for x in row) for row in numbers)


@dataclass(frozen=True, eq=False)
class Pattern:
    """What is free in a table of probabilities (R, K) whose rows add to one.

    Free entries fall into groups of equal ones; a row's groups share what its held entries leave.  Rows that have
    groups in common have all of them in common, as many times each, so that the shares of a class of rows are one
    simplex.

    Attributes
    ----------
    held : (R, K)
        NaN where free.
    group : (R, K) int
        -1 where held.
    times : (G,)
        How often a group occurs in a row of its class.
    first : (C,) int
        The first group of each class; a class's groups are consecutive.
    mass : (C,)
        What the held entries of its rows leave.
    """

    held: FloatArray
    group: Array
    times: FloatArray
    first: Array
    mass: FloatArray

    @property
    def n_free(self) -> int:
        return len(self.times) - len(self.mass)

    def start(self) -> FloatArray:
        """Every free entry of a row equally likely."""
        per_class = np.add.reduceat(self.times, self.first) if len(self.first) else self.mass
        return self._filled(self._spread(self.mass / per_class))

    def conform(self, table: FloatArray) -> FloatArray:
        """A table of probabilities with held entries at their values, equal ones averaged, the others scaled."""
        return table if self.n_free == table.size - len(table) else self.maximize(table, self.start())

    def maximize(self, counts: FloatArray, current: FloatArray) -> FloatArray:
        """argmax of Σ c log p; a class without counts stays as it is."""
        totals = self._sums(counts)
        of_class = np.add.reduceat(totals, self.first) if len(self.first) else self.mass
        shares = totals / self._spread(np.where(of_class > 0, of_class, 1.0))
        values = np.where(
            self._spread(of_class) > 0, self._spread(self.mass) * shares / self.times, self._values(current)
        )
        return self._filled(values)

    def flatten(self, table: FloatArray) -> FloatArray:
        """Log-ratios of each class's shares to its last one."""
        parts = [Simplex().flatten(shares / (shares.sum() or 1.0)) for shares in self._split(self._shares(table))]
        return np.concatenate([np.empty(0), *parts])

    def unflatten(self, vector: FloatArray) -> FloatArray:
        sizes = [len(groups) for groups in self._split(self.times)]
        parts = np.split(vector, np.cumsum([size - 1 for size in sizes])[:-1]) if sizes else []
        shares = [Simplex().unflatten(part, (size,)) for part, size in zip(parts, sizes, strict=True)]
        values = np.concatenate([np.empty(0), *shares]) * self._spread(self.mass) / self.times
        return self._filled(values)

    def score(self, totals: FloatArray, table: FloatArray) -> FloatArray:
        """The gradient of f in these coordinates, from pᵢ ∂f/∂pᵢ (R, K): t - s Σ t for all but a class's last share."""
        sums, shares = self._sums(totals), self._shares(table)
        pairs = zip(self._split(sums), self._split(shares), strict=True)
        return np.concatenate([np.empty(0), *((t - s * t.sum())[:-1] for t, s in pairs)])

    def hessian(self, totals: FloatArray, curvature: FloatArray, table: FloatArray) -> FloatArray:
        """The Hessian of f in these coordinates, from pᵢ ∂f/∂pᵢ (R, K) and ∂²f/∂log p ∂log p of the groups (G, G).

        With ∂log p/∂x = 1 - s within a class it is Jᵀ C J - (Σ t)(diag s - s sᵀ).
        """
        shares, of_class = self._shares(table), np.repeat(np.arange(len(self.mass)), self._sizes())
        same = of_class[:, None] == of_class
        inner = np.append(of_class[1:] == of_class[:-1], False)
        moves = (np.eye(len(shares)) - same * shares)[:, inner]
        spread = np.diag(shares) - same * np.outer(shares, shares)
        total = np.bincount(of_class, self._sums(totals), len(self.mass))[of_class]
        return np.asarray(moves.T @ curvature @ moves - (total[:, None] * spread)[np.ix_(inner, inner)])

    def names(self, label: str, one_row: bool) -> list[str]:
        """What the coordinates are."""
        places = [np.argwhere(self.group == g)[0] for g in range(len(self.times))]
        entries = [f"{label}[{k}]" if one_row else f"{label}[{j},{k}]" for j, k in places]
        split = self._split(np.array(entries, dtype=object))
        return [f"log {entry}/{part[-1]}" for part in split for entry in part[:-1]]

    def _split(self, groups: Array) -> list[Array]:
        return np.split(groups, self.first[1:]) if len(self.first) else []

    def _spread(self, classes: FloatArray) -> FloatArray:
        """A number for each class as one for each group."""
        return np.repeat(classes, self._sizes())

    def _sizes(self) -> Array:
        """How many groups a class has."""
        return np.diff([*self.first, len(self.times)])

    def _sums(self, table: FloatArray) -> FloatArray:
        free = self.group >= 0
        return np.asarray(np.bincount(self.group[free], table[free], len(self.times)), float)

    def _values(self, table: FloatArray) -> FloatArray:
        """The value of each group."""
        return self._sums(table) / np.maximum(self._sums(np.ones(table.shape)), 1.0)

    def _shares(self, table: FloatArray) -> FloatArray:
        return self._values(table) * self.times / self._spread(self.mass)

    def _filled(self, values: FloatArray) -> FloatArray:
        return np.where(self.group >= 0, np.append(values, 0.0)[self.group], self.held)


@lru_cache(maxsize=256)
def pattern_of(shape: tuple[int, int], fixed: Table | None, tied: Table | None, name: str) -> Pattern:
    """The pattern of a table of this shape.

    Raises
    ------
    ParameterError
        A row of held entries that does not add to one, or whose held entries leave nothing to the free ones; ties of
        entries that are held, or that have no exact M-step.
    """
    held = np.full(shape, np.nan) if fixed is None else np.array(fixed, float)
    free = np.isnan(held)
    for row in range(shape[0]):
        _check_row(held[row], f"{name}, row {row}" if shape[0] > 1 else name)
    label = np.arange(held.size).reshape(shape).astype(float)
    if tied is not None:
        given = np.array(tied, float)
        label = np.where(np.isnan(given) | ~free, label, held.size + given)
        if np.any(~np.isnan(given) & ~free):
            j, k = np.argwhere(~np.isnan(given) & ~free)[0]
            raise ParameterError(f"entry ({j}, {k}) cannot be both fixed and tied")
    return _numbered(held, free, label)


def _check_row(held: FloatArray, place: str) -> None:
    known = held[~np.isnan(held)]
    if np.any(known < 0) or known.sum() > 1 + 1e-8:
        listed = held.tolist()
        raise ParameterError(f"{place}: held probabilities must be at least 0 and add to at most 1, got {listed}")
    if len(known) == len(held) and abs(known.sum() - 1) > 1e-8:
        raise ParameterError(f"{place}: all is held, but adds to {known.sum():g}, not 1; leave an entry free (NaN)")
    if len(known) < len(held) and known.sum() >= 1:
        raise ParameterError(f"{place}: the held probabilities leave nothing to the free ones; hold those at 0")


def _numbered(held: FloatArray, free: Array, label: FloatArray) -> Pattern:
    """Groups in order of the first row that has them; rows whose labels are the same are one class."""
    group = np.full(held.shape, -1)
    times: list[float] = []
    first: list[int] = []
    mass: list[float] = []
    seen: dict[float, tuple[int, int]] = {}
    for j in np.flatnonzero(free.any(axis=1)).tolist():
        own, counts = np.unique(label[j, free[j]], return_counts=True)
        left = 1.0 - np.nansum(held[j])
        known = [value for value in own if value in seen]
        if not known:
            order = np.argsort([np.flatnonzero(label[j] == value)[0] for value in own])
            first.append(len(times))
            mass.append(left)
            for value, count in zip(own[order], counts[order], strict=True):
                seen[value] = (len(times), len(mass) - 1)
                times.append(float(count))
        _check_class(j, own, counts, left, seen, times, mass)
        for value in own:
            group[j, free[j] & (label[j] == value)] = seen[value][0]
    return Pattern(held, group, np.array(times), np.array(first, int), np.array(mass))


def _check_class(
    j: int,
    own: Array,
    counts: Array,
    left: float,
    seen: dict[float, tuple[int, int]],
    times: list[float],
    mass: list[float],
) -> None:
    classes = {seen[value][1] if value in seen else -1 for value in own}
    whole = len(classes) == 1 and sum(c == next(iter(classes)) for _, c in seen.values()) == len(own)
    same = whole and all(times[seen[v][0]] == n for v, n in zip(own, counts, strict=True))
    if not (same and abs(left - mass[next(iter(classes))]) <= 1e-12):
        raise ParameterError(
            f"transitions from state {j} are tied to those from another state in part: there is an exact M-step only "
            "where rows that share a probability share all of them, as many times each (in any order), beside held "
            "entries with the same sum; tie the whole rows or none of them"
        )
