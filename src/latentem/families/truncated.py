"""Values seen only between two bounds: p(x) = f(x) / P(low ≤ x ≤ high)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..model import Family, Posterior
from ..parameters import Parameters
from ..statistics import Statistics
from .columnwise import check_support
from .composite import AnyFamily, demand_rows
from .log_mass import Mass, mass_between
from .numeric_step import numeric_m_step
from .rare_draws import draw_rare

# Below this log probability between the bounds, draws are not made by rejection.
_RARE, _ROUNDS = -4.6, 10_000


@dataclass(frozen=True)
class TruncatedParameters(Parameters):
    """The parameters of the family before truncation."""

    base: Any

    @cached_property
    def remembered(self) -> dict[Any, Mass]:
        """The mass by (family, low, high), so that all chunks share one computation."""
        return {}


@dataclass(frozen=True)
class TruncatedStatistics(Statistics):
    """Expected rows (K,), and the family's own statistics."""

    counts: FloatArray
    base: Any


@dataclass(frozen=True)
class Truncated(Family[TruncatedParameters, TruncatedStatistics]):
    """A family of one column, truncated: log p(x | k) = log f(x; θₖ) - log P(low ≤ X ≤ high; θₖ).

    Rows outside the bounds were never recorded (zero-truncated counts: `low=1`).  Statistics are the family's own and
    the expected numbers of rows, and the M-step is Newton's method on Q = Q_f - Σₖ nₖ log P(θₖ).  P is a finite sum
    where values are whole numbers from 0 (`family.discrete`), taken over the outside where most of the mass is inside;
    elsewhere it is adaptive quadrature over the real line, the positive numbers or the unit interval, whichever is the
    family's support.  For several columns wrap it: `PerColumn(Truncated(family, low, high))`.

    Attributes
    ----------
    family : Family
        Any family of rows with one column.
    low, high : float or None
        Inclusive bounds in the units of the data; None leaves that side open.

    Raises
    ------
    ParameterError
        Bounds in the wrong order or not finite, no bound at all, or a family whose unit is a group.
    DataError
        A row outside the bounds, or more than one column.
    """

    family: AnyFamily
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        demand_rows("Truncated", self.family)
        given = [bound for bound in (self.low, self.high) if bound is not None]
        if not given or not np.all(np.isfinite(given)):
            raise ParameterError(f"Truncated needs a finite bound, got low={self.low}, high={self.high}")
        if len(given) == 2 and (given[0] > given[1] or (given[0] == given[1] and not self.discrete)):
            raise ParameterError(f"low must be below high, got low={self.low}, high={self.high}")
        if self.discrete and self.high is not None and np.floor(self.high) < np.ceil(max(self.low or 0.0, 0.0)):
            raise ParameterError(f"there is no whole number from 0 between low={self.low} and high={self.high}")

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    def start(self, batch: Batch, n_components: int) -> TruncatedParameters:
        _demand_one_column(batch)
        return TruncatedParameters(self.family.start(batch, n_components))

    def log_mass(self, params: TruncatedParameters) -> FloatArray:
        """log P(low ≤ X ≤ high; θₖ), shape (K,)."""
        return self._mass(params).log

    def _mass(self, params: TruncatedParameters) -> Mass:
        key = (self.family, self.low, self.high)
        if key not in params.remembered:
            params.remembered[key] = mass_between(self.family, params.base, self.low, self.high)
        return params.remembered[key]

    def log_density(self, batch: Batch, params: TruncatedParameters) -> FloatArray:
        _demand_one_column(batch)
        inside = self.family.log_density(batch, params.base) - self.log_mass(params)[:, None] * batch.observed[:, 0]
        return np.where(self._outside(batch.values)[:, 0], -np.inf, inside)

    def statistics(self, batch: Batch, posterior: Posterior, params: TruncatedParameters) -> TruncatedStatistics:
        counts = (posterior.responsibilities * batch.observed[:, 0]).sum(axis=1)
        return TruncatedStatistics(counts, self.family.statistics(batch, posterior, params.base))

    def maximize(self, statistics: TruncatedStatistics, params: TruncatedParameters) -> TruncatedParameters:
        untruncated = TruncatedParameters(self.family.maximize(statistics.base, params.base))
        return numeric_m_step(self, statistics, params, untruncated)

    def expected_log_density(self, statistics: TruncatedStatistics, params: TruncatedParameters) -> float:
        there = statistics.counts > 0
        log_mass = self.log_mass(params)[there]
        if np.any(log_mass == -np.inf):
            return -np.inf
        lost = float(statistics.counts[there] @ log_mass)
        return self.family.expected_log_density(statistics.base, params.base) - lost

    def score(self, statistics: TruncatedStatistics, params: TruncatedParameters) -> FloatArray:
        """∇Q_f - Σₖ nₖ ∇ log Pₖ, the latter as the mean score between the bounds."""
        score = self.family.score(statistics.base, params.base)
        values, shares = self._mass(params).points
        batch, weights = Batch(values), np.maximum(statistics.counts, 0.0)[:, None] * shares
        for sign in (1.0, -1.0):
            posterior = Posterior(np.maximum(sign * weights, 0.0))
            if posterior.responsibilities.any():
                lost = self.family.statistics(batch, posterior, params.base)
                score = score - sign * self.family.score(lost, params.base)
        return score

    def log_prior(self, params: TruncatedParameters) -> float:
        return self.family.log_prior(params.base)

    def admissible(self, params: TruncatedParameters) -> bool:
        return self.family.admissible(params.base)

    def findings(self, statistics: TruncatedStatistics, params: TruncatedParameters) -> list[tuple[int, str]]:
        return self.family.findings(statistics.base, params.base)

    def check(self, batch: Batch) -> None:
        _demand_one_column(batch)
        self.family.check(batch)
        bounds = f"{'-∞' if self.low is None else self.low} to {'∞' if self.high is None else self.high}"
        check_support(batch, self._outside, f"Truncated takes values from {bounds}; remove the row or move the bound")

    def sample(self, params: TruncatedParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """Draws of the family, drawn again until they lie within the bounds, or those that few would reach directly."""
        draws, rare = self.family.sample(params.base, states, rng), self.log_mass(params) < _RARE
        for _ in range(_ROUNDS):
            again = np.flatnonzero(self._outside(draws)[:, 0] & ~rare[states])
            if not len(again):
                break
            draws[again] = self.family.sample(params.base, states[again], rng)
        left = self._outside(draws)[:, 0]
        for k in np.unique(states[left]):
            own = left & (states == k)
            draws[own, 0] = draw_rare(self.family, params.base, int(k), self.low, self.high, int(own.sum()), rng)
        return draws

    def _outside(self, x: FloatArray) -> Array:
        below = x < self.low if self.low is not None else np.zeros(x.shape, bool)
        return below | (x > self.high) if self.high is not None else below


def _demand_one_column(batch: Batch) -> None:
    if batch.n_columns != 1:
        raise DataError(
            f"Truncated takes one column, got {batch.n_columns}; give each its own with PerColumn(Truncated(…))"
        )
