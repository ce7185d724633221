"""Zeros of two kinds: p(x) = π₀ 1[x = 0] + (1 - π₀) f(x)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlog1py, xlogy

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError
from ..model import Family, Posterior
from ..parameters import Parameters, UnitInterval, parameter
from ..statistics import Statistics
from .composite import AnyFamily, demand_rows


@dataclass(frozen=True)
class ZeroInflatedParameters(Parameters):
    """Probabilities π₀ of a structural zero (K,), and the parameters of the family that is inflated."""

    inflation: FloatArray = parameter(UnitInterval())
    base: Any  # type: ignore[misc]  # `parameter` sets no default


@dataclass(frozen=True)
class ZeroInflatedStatistics(Statistics):
    """Expected structural zeros (K,), expected rows (K,), and the family's own statistics of all other rows."""

    zeros: FloatArray
    counts: FloatArray
    base: Any


@dataclass(frozen=True)
class ZeroInflated(Family[ZeroInflatedParameters, ZeroInflatedStatistics]):
    """Zero-inflated data of one column: p(x | k) = π₀ₖ 1[x = 0] + (1 - π₀ₖ) f(x; θₖ) (Lambert 1992, section 2).

    Whether a zero is structural is itself hidden, with posterior s = π₀ / (π₀ + (1 - π₀) f(0)) at a zero and 0
    elsewhere.  The M-step is closed: π₀ = Σ r s / Σ r, and the family's own M-step with responsibilities r (1 - s).
    Where f is a density and not a probability (`family.discrete` is False), every zero is structural and the family
    never sees one: the data are a point mass at 0 beside positive or real values.  Missing entries count for neither.
    For several columns wrap it: `PerColumn(ZeroInflated(family))`.

    Attributes
    ----------
    family : Family
        Any family of rows with one column.

    Raises
    ------
    ParameterError
        The unit of the family is a group.
    DataError
        More than one column.
    """

    family: AnyFamily

    def __post_init__(self) -> None:
        demand_rows("ZeroInflated", self.family)

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    def start(self, batch: Batch, n_components: int) -> ZeroInflatedParameters:
        _demand_one_column(batch)
        return ZeroInflatedParameters(
            np.full(n_components, 0.5 * _share_of_zeros(batch)), self.family.start(self._seen(batch), n_components)
        )

    def log_density(self, batch: Batch, params: ZeroInflatedParameters) -> FloatArray:
        return self._split(batch, params)[0]

    def statistics(
        self, batch: Batch, posterior: Posterior, params: ZeroInflatedParameters
    ) -> ZeroInflatedStatistics:
        observed = batch.observed[:, 0]
        structural = self._split(batch, params)[1]
        r = posterior.responsibilities
        rest = replace(posterior, probabilities=posterior.probabilities * (1.0 - structural))
        return ZeroInflatedStatistics(
            (r * structural).sum(axis=1),
            (r * observed).sum(axis=1),
            self.family.statistics(self._seen(batch), rest, params.base),
        )

    def maximize(
        self, statistics: ZeroInflatedStatistics, params: ZeroInflatedParameters
    ) -> ZeroInflatedParameters:
        filled = statistics.counts > 0
        share = statistics.zeros / np.where(filled, statistics.counts, 1.0)
        return ZeroInflatedParameters(
            np.where(filled, np.clip(share, 0.0, 1.0), params.inflation),
            self.family.maximize(statistics.base, params.base),
        )

    def expected_log_density(self, statistics: ZeroInflatedStatistics, params: ZeroInflatedParameters) -> float:
        others = np.maximum(statistics.counts - statistics.zeros, 0.0)
        split = xlogy(statistics.zeros, params.inflation) + xlog1py(others, -params.inflation)
        return float(np.sum(split)) + self.family.expected_log_density(statistics.base, params.base)

    def score(self, statistics: ZeroInflatedStatistics, params: ZeroInflatedParameters) -> FloatArray:
        split = statistics.zeros - statistics.counts * params.inflation
        return np.concatenate([split, self.family.score(statistics.base, params.base)])

    def log_prior(self, params: ZeroInflatedParameters) -> float:
        return self.family.log_prior(params.base)

    def admissible(self, params: ZeroInflatedParameters) -> bool:
        return self.family.admissible(params.base)

    def findings(self, statistics: ZeroInflatedStatistics, params: ZeroInflatedParameters) -> list[tuple[int, str]]:
        return self.family.findings(statistics.base, params.base)

    def check(self, batch: Batch) -> None:
        _demand_one_column(batch)
        self.family.check(self._seen(batch))

    def sample(self, params: ZeroInflatedParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.sample_given(params, states, None, rng)

    def sample_given(
        self, params: ZeroInflatedParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        drawn = self.family.sample_given(params.base, states, given, rng)
        structural = rng.random(len(states)) < params.inflation[states]
        return np.where(structural[:, None], 0.0, drawn)

    def _seen(self, batch: Batch) -> Batch:
        """What the family sees: everything, or everything but the zeros."""
        if self.discrete:
            return batch
        zeros = batch.values == 0
        if not zeros.any():
            return batch
        masked = batch.once("zeros as missing", lambda: replace(
            batch, values=np.where(zeros, np.nan, batch.values), missing=True, memo={}
        ))
        return replace(masked, weights=batch.weights, labels=batch.labels, offsets=batch.offsets)

    def _split(self, batch: Batch, params: ZeroInflatedParameters) -> tuple[FloatArray, FloatArray]:
        """Log densities and posterior probabilities of a structural zero, both (K, n)."""
        _demand_one_column(batch)
        base = self.family.log_density(self._seen(batch), params.base)
        zero, observed = batch.values[:, 0] == 0, batch.observed[:, 0]
        with np.errstate(divide="ignore"):
            inflated, plain = np.log(params.inflation)[:, None], np.log1p(-params.inflation)[:, None]
        ordinary = plain + base if self.discrete else np.where(zero, -np.inf, plain + base)
        either = np.logaddexp(inflated, ordinary)
        density = np.where(observed, np.where(zero, either, ordinary), 0.0)
        with np.errstate(invalid="ignore"):
            structural = np.where(zero & (either > -np.inf), np.exp(inflated - either), 0.0)
        return density, structural


def _share_of_zeros(batch: Batch) -> float:
    """Weighted share of zeros among the observed entries, kept off the ends."""
    weights = batch.unit_weights(False) * batch.observed[:, 0]
    zeros = float(weights @ (batch.values[:, 0] == 0))
    return (zeros + 0.5) / (float(weights.sum()) + 1.0)


def _demand_one_column(batch: Batch) -> None:
    if batch.n_columns != 1:
        raise DataError(
            f"ZeroInflated takes one column, got {batch.n_columns}; give each its own with PerColumn(ZeroInflated(…))"
        )
