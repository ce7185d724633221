"""Families put together from parts that share no parameter: Q is a sum, and each part maximizes its own term."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..model import Family
from ..parameters import Parameters
from ..statistics import Statistics

AnyFamily = Family[Any, Any]


@dataclass(frozen=True)
class CompositeParameters(Parameters):
    """Parameters of the parts, in order: `parts[i]` are those of part i."""

    parts: tuple[Any, ...]


@dataclass(frozen=True)
class CompositeStatistics(Statistics):
    """Statistics of the parts, in order."""

    parts: tuple[Any, ...]


class Composite(Family[CompositeParameters, CompositeStatistics]):
    """What composites share: the M-step, Q, the prior and the score, part by part.

    A composite says which family each part has (`families_of`), and how log densities and statistics of a batch come
    from its parts.
    """

    @abstractmethod
    def families_of(self, params: CompositeParameters) -> tuple[AnyFamily, ...]:
        """The family of each part."""

    def maximize(self, statistics: CompositeStatistics, params: CompositeParameters) -> CompositeParameters:
        return CompositeParameters(tuple(f.maximize(s, p) for f, s, p in self._terms(statistics, params)))

    def expected_log_density(self, statistics: CompositeStatistics, params: CompositeParameters) -> float:
        return sum(f.expected_log_density(s, p) for f, s, p in self._terms(statistics, params))

    def score(self, statistics: CompositeStatistics, params: CompositeParameters) -> FloatArray:
        return np.concatenate([f.score(s, p) for f, s, p in self._terms(statistics, params)])

    def log_prior(self, params: CompositeParameters) -> float:
        return sum(f.log_prior(p) for f, p in zip(self.families_of(params), params.parts, strict=True))

    def admissible(self, params: CompositeParameters) -> bool:
        return all(f.admissible(p) for f, p in zip(self.families_of(params), params.parts, strict=True))

    def _terms(
        self, statistics: CompositeStatistics, params: CompositeParameters
    ) -> Iterator[tuple[AnyFamily, Any, Any]]:
        return zip(self.families_of(params), statistics.parts, params.parts, strict=True)


def common_unit(name: str, families: tuple[AnyFamily, ...]) -> bool:
    """Whether the unit of the families is the group; they must agree."""
    if not families:
        raise ParameterError(f"{name} needs at least one family")
    units = [family.per_group for family in families]
    if any(unit != units[0] for unit in units):
        odd = units.index(not units[0])
        raise ParameterError(
            f"all families of {name} must have the same unit, but that of {_described(families[0])} is a "
            f"{_unit(units[0])} and that of {_described(families[odd])}, number {odd}, a {_unit(units[odd])}; wrap "
            "families of rows in Plate where groups of rows share one state"
        )
    return units[0]


def demand_rows(wrapper: str, family: AnyFamily) -> None:
    """Raise `ParameterError` where the unit of a family is the group and `wrapper` treats single rows."""
    if family.per_group:
        raise ParameterError(
            f"{wrapper} takes families whose unit is a row, but that of {_described(family)} is a group of rows"
        )


def _described(family: AnyFamily) -> str:
    return type(family).__name__


def _unit(per_group: bool) -> str:
    return "group of rows" if per_group else "row"
