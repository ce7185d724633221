"""The units of a batch, rows or groups whose rows share z, and their log joints as functions of their own u."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....errors import DataError
from ..compiled import Compiled, Values
from .points import Points

# Numbers that the points of a portion of units may hold: these are worked on together.
SLAB = 20_000_000


@dataclass(frozen=True)
class Units:
    """The units of a batch: rows, or groups whose rows share z.

    A *problem* is a pair of unit and state: its log joint is a function of u alone.

    Attributes
    ----------
    functions : Compiled
    theta : Values
    x : (n, D)
    offsets : (units + 1,) int
        Where the rows of each unit begin.
    per_group : bool
    """

    functions: Compiled
    theta: Values
    x: FloatArray
    offsets: Array
    per_group: bool

    @classmethod
    def of(cls, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Self:
        """The units of a batch."""
        per_group = functions.declaration.per_group
        return cls(functions, theta, x, batch.group_offsets if per_group else np.arange(len(x) + 1), per_group)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_states(self) -> int:
        return self.functions.space.n_states

    @property
    def dimension(self) -> int:
        return self.functions.space.dimension

    @property
    def lengths(self) -> Array:
        return np.diff(self.offsets)

    def problems(self, units: Array | None = None) -> tuple[Array, Array]:
        """Every pair of unit and state, (K · units,) each: all units in state 0 first, then in state 1, …"""
        units = np.arange(len(self)) if units is None else units
        return np.tile(units, self.n_states), np.repeat(np.arange(self.n_states), len(units))

    def slabs(self, nodes: int) -> Iterator[Array]:
        """The units in portions that have few enough points, with so many nodes for each unit and state."""
        numbers = self.x.shape[1] + self.dimension + 2 * self.n_states + 3
        portion = (np.cumsum(self.lengths) * nodes * self.n_states * numbers) // SLAB
        yield from np.split(np.arange(len(self)), np.flatnonzero(np.diff(portion)) + 1)

    def rows(self, units: Array) -> tuple[Array, Array]:
        """The rows of units one after the other, and how many each of the units has."""
        if not self.per_group:
            return units, np.ones(len(units), int)
        lengths = self.lengths[units]
        ends = np.cumsum(lengths)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return np.repeat(self.offsets[units], lengths) + within, lengths

    def total(self, of_rows: FloatArray, lengths: Array) -> FloatArray:
        """Sums over the rows of each unit, along the first axis."""
        if not self.per_group or not len(lengths):
            return of_rows
        return np.asarray(np.add.reduceat(of_rows, np.cumsum(lengths) - lengths, axis=0))

    def derivatives(
        self, units: Array, states: Array, u: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log p(x, z) of m pairs of unit and state at u (m, d), its gradient (m, d) and Hessian (m, d, d) in u."""
        rows, lengths = self.rows(units)
        value, gradient, hessian = self.functions.coordinates(
            self.theta, self.x[rows], np.repeat(u, lengths, axis=0), np.repeat(states, lengths)
        )
        with np.errstate(invalid="ignore", over="ignore"):
            return self.total(value, lengths), self.total(gradient, lengths), self.total(hessian, lengths)

    def values(self, units: Array, states: Array, u: FloatArray) -> FloatArray:
        """log p(x, z) of m pairs of unit and state at u (m, d)."""
        rows, lengths = self.rows(units)
        table = self.functions.values(self.theta, self.x[rows], np.repeat(u, lengths, axis=0))
        with np.errstate(invalid="ignore", over="ignore"):
            return self.total(table[np.repeat(states, lengths), np.arange(len(rows))], lengths)


@dataclass(frozen=True)
class Nodes:
    """The log joints of problems at nodes of their own.

    Attributes
    ----------
    rows : (m,) int
        The rows of the unit of each problem, for each of its nodes: problem by problem, node by node, row by row.
    u : (m, d)
    table : (K, m)
        The log densities of these rows.
    lengths : (problems · J,) int
        How many rows each node has.
    states : (problems,) int
    joint : (problems, J)
        log p(x, z) of the units.
    """

    rows: Array
    u: FloatArray
    table: FloatArray
    lengths: Array
    states: Array
    joint: FloatArray

    @classmethod
    def at(cls, units: Units, of: Array, states: Array, u: FloatArray) -> Self:
        """The log joints of problems at their nodes u (problems, J, d)."""
        m, count, d = u.shape
        rows, lengths = units.rows(np.repeat(of, count))
        everywhere = np.repeat(u.reshape(-1, d), lengths, axis=0)
        table = units.functions.values(units.theta, units.x[rows], everywhere)
        own = table[np.repeat(np.repeat(states, count), lengths), np.arange(len(rows))]
        with np.errstate(invalid="ignore", over="ignore"):
            joint = units.total(own, lengths).reshape(m, count)
        return cls(rows, everywhere, table, lengths, states, joint)

    def weighted(self, weights: FloatArray) -> tuple[Array, FloatArray, FloatArray, FloatArray]:
        """Rows, u, weights and values of the points whose weight (problems, J) is not 0, as `Points` holds them."""
        of_points = np.repeat(weights.ravel(), self.lengths)
        kept = np.flatnonzero(of_points)
        label = np.repeat(np.repeat(self.states, weights.shape[1]), self.lengths)[kept]
        by_label = np.zeros((len(self.table), len(kept)))
        by_label[label, np.arange(len(kept))] = of_points[kept]
        return self.rows[kept], self.u[kept], by_label, self.table[:, kept]


def joined(
    parts: Iterable[tuple[Array, FloatArray, FloatArray, FloatArray]], log_likelihood: FloatArray, noise: float = 0.0
) -> Points:
    """The points of several slabs of units together."""
    rows, u, weights, values = zip(*parts, strict=True)
    return Points(
        np.concatenate(rows),
        np.concatenate(u),
        np.concatenate(weights, axis=1),
        np.concatenate(values, axis=1),
        log_likelihood,
        noise,
    )


def refuse_improper(batch: Batch, units: Units, improper: Array) -> None:
    """Raise where units (units,) of positive weight have a log joint that cannot be integrated over z.

    Raises
    ------
    DataError
        It names the first row of the first such unit.
    """
    weighted = np.flatnonzero(improper & (batch.unit_weights(units.per_group) > 0))
    if not len(weighted):
        return
    row = batch.row_of_unit(int(weighted[0]), units.per_group)
    raise DataError(
        f"row {row}: the integral of the joint density over z is infinite, as its log does not fall off in every "
        "direction of z; add the log density of z to the log joint (such as norm.logpdf(z)), or keep its scale from "
        "growing without bound"
    )
