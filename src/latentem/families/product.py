"""Different families for different columns of one table: p(x | z = k) = Π_parts f_part(x_columns; θ_k)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError, name_columns
from ..model import Posterior
from .composite import AnyFamily, Composite, CompositeParameters, CompositeStatistics, common_unit, demand_rows

Columns = tuple[int, ...]


class _ColumnComposite(Composite):
    """What `Product` and `PerColumn` share: part i sees only its columns, and the log densities add."""

    @abstractmethod
    def layout(self, params: CompositeParameters) -> tuple[Columns, ...]:
        """The columns of each part."""

    def log_density(self, batch: Batch, params: CompositeParameters) -> FloatArray:
        return np.asarray(sum(family.log_density(part, own) for family, part, own in self._seen(batch, params)))

    def statistics(self, batch: Batch, posterior: Posterior, params: CompositeParameters) -> CompositeStatistics:
        return CompositeStatistics(
            tuple(family.statistics(part, posterior, own) for family, part, own in self._seen(batch, params))
        )

    def sample(self, params: CompositeParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.sample_given(params, states, None, rng)

    def sample_given(
        self, params: CompositeParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        layout = self.layout(params)
        draws = np.empty((len(states), sum(map(len, layout))))
        for family, columns, own in zip(self.families_of(params), layout, params.parts, strict=True):
            draws[:, columns] = family.sample_given(own, states, given, rng)
        return draws

    def findings(self, statistics: CompositeStatistics, params: CompositeParameters) -> list[tuple[int, str]]:
        return [
            (k, placed(text, columns))
            for columns, (family, part, own) in zip(self.layout(params), self._terms(statistics, params), strict=True)
            for k, text in family.findings(part, own)
        ]

    def _seen(self, batch: Batch, params: CompositeParameters) -> list[tuple[AnyFamily, Batch, object]]:
        families, layout = self.families_of(params), self.layout(params)
        demand_columns(batch, sum(map(len, layout)), type(self).__name__)
        return [
            (family, part_of(batch, columns), own)
            for family, columns, own in zip(families, layout, params.parts, strict=True)
        ]


@dataclass(frozen=True)
class Product(_ColumnComposite):
    """Different families for different columns, independent given the state.

    log p(x | z = k) = Σ_parts log f_part(x_columns; θ_k): numbers, counts and categories in one table.

    Attributes
    ----------
    parts : tuple of (Family, tuple of int)
        A family and the numbers of its columns, from 0; together the parts cover each column of the table once.

    Raises
    ------
    ParameterError
        No parts, a column in two parts, a gap in the columns, or families whose units differ.
    DataError
        A table with another number of columns.
    """

    parts: tuple[tuple[AnyFamily, Columns], ...]

    def __post_init__(self) -> None:
        common_unit("Product", self._families)
        taken = sorted(column for _, columns in self.parts for column in columns)
        empty = [number for number, (_, columns) in enumerate(self.parts) if not len(columns)]
        if empty:
            raise ParameterError(f"part {empty[0]} of Product has no columns; leave it out")
        if taken != list(range(len(taken))):
            raise ParameterError(
                f"the parts of Product must cover each column of the table exactly once, counted from 0; got {taken}"
            )

    @property
    def _families(self) -> tuple[AnyFamily, ...]:
        return tuple(family for family, _ in self.parts)

    @property
    def per_group(self) -> bool:
        return self._families[0].per_group

    @property
    def discrete(self) -> bool:
        return all(family.discrete for family in self._families)

    def families_of(self, params: CompositeParameters) -> tuple[AnyFamily, ...]:
        return self._families

    def layout(self, params: CompositeParameters) -> tuple[Columns, ...]:
        return tuple(columns for _, columns in self.parts)

    def start(self, batch: Batch, n_components: int) -> CompositeParameters:
        self._demand(batch)
        return CompositeParameters(
            tuple(family.start(part_of(batch, columns), n_components) for family, columns in self.parts)
        )

    def check(self, batch: Batch) -> None:
        self._demand(batch)
        for family, columns in self.parts:
            check_columns(family, batch, columns)

    def _demand(self, batch: Batch) -> None:
        demand_columns(batch, sum(len(columns) for _, columns in self.parts), "Product")


@dataclass(frozen=True)
class PerColumn(_ColumnComposite):
    """The same family of one column for each column of the table, with parameters of its own in each.

    log p(x | z = k) = Σ_d log f(x_d; θ_kd).  It spreads families of one column over a table (`ZeroInflated`,
    `Truncated`).

    Attributes
    ----------
    family : Family
        Of one column, whose unit is a row.
    """

    family: AnyFamily

    def __post_init__(self) -> None:
        demand_rows("PerColumn", self.family)

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    def families_of(self, params: CompositeParameters) -> tuple[AnyFamily, ...]:
        return (self.family,) * len(params.parts)

    def layout(self, params: CompositeParameters) -> tuple[Columns, ...]:
        return tuple((column,) for column in range(len(params.parts)))

    def start(self, batch: Batch, n_components: int) -> CompositeParameters:
        columns = range(batch.n_columns)
        return CompositeParameters(tuple(self.family.start(part_of(batch, (d,)), n_components) for d in columns))

    def check(self, batch: Batch) -> None:
        for column in range(batch.n_columns):
            check_columns(self.family, batch, (column,))


def part_of(batch: Batch, columns: Columns) -> Batch:
    """The batch with some of its columns; their values are copied once, and what is remembered of them is kept."""
    part = batch.once(("columns", columns), lambda: batch.columns(np.array(columns)))
    return replace(part, weights=batch.weights, labels=batch.labels, offsets=batch.offsets)


def check_columns(family: AnyFamily, batch: Batch, columns: Columns) -> None:
    """Let a family check its columns; its message counts columns within them, which are then those of the table."""
    try:
        family.check(part_of(batch, columns))
    except DataError as error:
        raise DataError(placed(str(error), columns)) from None


def placed(text: str, columns: Columns) -> str:
    """What a family says of its columns, or of all of them, in the numbers of the table's."""
    if "column" in text:
        return name_columns(text, columns)
    return f"column{'s' * (len(columns) > 1)} {', '.join(map(str, columns))}: {text}"


def demand_columns(batch: Batch, expected: int, name: str) -> None:
    if batch.n_columns != expected:
        raise DataError(f"{name} is made for {expected} columns, but the table has {batch.n_columns}")
