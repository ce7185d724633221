"""A family with a conjugate prior on its parameters: each state has pseudo-statistics of its own.

The log prior is what the family's part of Q would be at the pseudo-statistics, up to a constant, so the M-step is the
family's own on statistics and pseudo-statistics together, and maximizes Q plus the log prior exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels import gaussian as kernel
from ..model import Family, Held, Posterior, hold
from ..statistics import Reference, Statistics
from .composite import AnyFamily
from .gaussian import EMPTY, AxisStatistics, MomentStatistics


class ConjugatePrior(ABC):
    """What a `Conjugate` family adds to the data."""

    @abstractmethod
    def pseudo(self, params: Any) -> Any:
        """Statistics at which the family's part of Q is the log prior, and its score the prior's."""

    @abstractmethod
    def combined(self, statistics: Any, params: Any, held: Held) -> Any:
        """Statistics whose maximizer is that of Q plus the log prior."""

    def finished(self, updated: Any, combined: Any) -> Any:
        """The parameters after the family's own M-step, where that leaves something to do."""
        return updated


@dataclass(frozen=True, eq=False)
class PseudoCounts(ConjugatePrior):
    """Statistics of observations that were never made, the same at all parameters: Dirichlet and gamma priors.

    Attributes
    ----------
    statistics : Statistics
        Those of the family, without a reference.
    """

    statistics: Statistics

    def pseudo(self, params: Any) -> Statistics:
        return self.statistics

    def combined(self, statistics: Any, params: Any, held: Held) -> Any:
        return statistics + self.statistics


@dataclass(frozen=True, eq=False)
class NormalInverseWishart(ConjugatePrior):
    """log p(μ, Σ) = -½ [ w (μ - μ₀)ᵀ Σ⁻¹ (μ - μ₀) + tr(Ψ Σ⁻¹) + c log|Σ| ] for each state, up to a constant.

    The joint maximizer of Q plus this is μ = (w μ₀ + Σ r x) / (w + Σ r) and Σ = (Ψ + w (μ - μ₀)(μ - μ₀)ᵀ + S) /
    (c + Σ r), with S the scatter about μ (Huang, Acero and Hon 2001, section 9.6).  For independent columns the same
    holds column by column, with inverse gamma distributions of the variances.

    Attributes
    ----------
    means : (K, D)
        μ₀.
    weights : (K,)
        w: how many observations the prior mean counts for.
    scatter : (K, D, D), or (K, D) for independent columns
        Ψ in squared units of the data; of a covariance that all states share, each state has its share.
    counts : (K,)
        c: how many observations the prior scatter counts for, besides.
    """

    means: FloatArray
    weights: FloatArray
    scatter: FloatArray
    counts: FloatArray

    def pseudo(self, params: Any) -> Any:
        by = self.means - params.means
        pull = self.weights[:, None] * by
        return self._statistics(self.counts, pull, self.scatter + self._squares(by), Reference(params.means))

    def combined(self, statistics: Any, params: Any, held: Held) -> Any:
        means = hold(held, "means", params.means, self._means(statistics, params.means))
        about = statistics.shift(Reference(means))
        added = self.scatter + self._squares(means - self.means)
        pseudo = self._statistics(self.counts, np.zeros_like(means), added, about.reference)
        return replace(about + pseudo, first=np.zeros_like(means))

    def finished(self, updated: Any, combined: Any) -> Any:
        """A state without data has the prior's mean, though nothing says what its covariance is."""
        return replace(updated, means=combined.reference.point)

    def _means(self, statistics: Any, current: FloatArray) -> FloatArray:
        about = statistics.shift(Reference(self.means))
        counts = (about.counts if about.counts.ndim == 2 else about.counts[:, None]) + self.weights[:, None]
        filled = counts > EMPTY
        return np.where(filled, self.means + about.first / np.where(filled, counts, 1.0), current)

    def _squares(self, by: FloatArray) -> FloatArray:
        if self.scatter.ndim == 2:
            return self.weights[:, None] * by**2
        return self.weights[:, None, None] * by[:, :, None] * by[:, None, :]

    def _statistics(self, counts: FloatArray, first: FloatArray, second: FloatArray, reference: Reference) -> Any:
        if self.scatter.ndim == 2:
            return AxisStatistics(np.broadcast_to(counts[:, None], first.shape), first, second, reference)
        return MomentStatistics(counts, first, kernel.pack(second), reference)


@dataclass(frozen=True)
class Conjugate(Family[Any, Any]):
    """A family with a conjugate prior, which its M-step and its `log_prior` take into account.

    Attributes
    ----------
    family : Family
    prior : ConjugatePrior
    """

    family: AnyFamily
    prior: ConjugatePrior

    @property
    def per_group(self) -> bool:
        return self.family.per_group

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    def start(self, batch: Batch, n_components: int) -> Any:
        return self.family.start(batch, n_components)

    def log_density(self, batch: Batch, params: Any) -> FloatArray:
        return self.family.log_density(batch, params)

    def statistics(self, batch: Batch, posterior: Posterior, params: Any) -> Any:
        return self.family.statistics(batch, posterior, params)

    def maximize(self, statistics: Any, params: Any) -> Any:
        combined = self.prior.combined(statistics, params, {})
        return self.prior.finished(self.family.maximize(combined, params), combined)

    def maximize_constrained(self, statistics: Any, params: Any, held: Held, tied: tuple[str, ...]) -> Any:
        if "means" in tied:
            return None
        combined = self.prior.combined(statistics, params, held)
        updated = self.family.maximize_constrained(combined, params, held, tied)
        return None if updated is None else self.prior.finished(updated, combined)

    def expected_log_density(self, statistics: Any, params: Any) -> float:
        return self.family.expected_log_density(statistics, params)

    def score(self, statistics: Any, params: Any) -> FloatArray:
        return self.family.score(statistics, params)

    def log_prior(self, params: Any) -> float:
        own = self.family.expected_log_density(self.prior.pseudo(params), params)
        return own + self.family.log_prior(params)

    def admissible(self, params: Any) -> bool:
        return self.family.admissible(params)

    def findings(self, statistics: Any, params: Any) -> list[tuple[int, str]]:
        return self.family.findings(statistics, params)

    def check(self, batch: Batch) -> None:
        self.family.check(batch)

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.family.sample(params, states, rng)
