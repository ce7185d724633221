"""`LatentVariableModel`: a latent joined with a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch, default_chunk_rows
from ..densities import Form
from ..errors import ParameterError
from ..parameters import Parameters
from ..statistics import Expectation, Statistics
from .blocks import LONG, Blocks, runs
from .checking import impossible
from .contracts import SMALLEST_TERMS, Family, Fold, Latent, Model, Posterior, families_in
from .known_states import impose, silenced
from .points import sequence_points
from .prior import Prior


@dataclass(frozen=True)
class ModelParameters(Parameters):
    """Parameters of a latent beside those of its emission."""

    latent: Any
    emission: Any


@dataclass(frozen=True)
class ModelStatistics(Statistics):
    """Statistics of a latent beside those of its emission."""

    latent: Any
    emission: Any


@dataclass(frozen=True)
class LatentVariableModel(Family[ModelParameters, ModelStatistics], Model):
    """A latent joined with an emission: log p(x; θ) = log Σ_z p(z; θ) p(x | z; θ).

    As a family it has one component, whose density is the model's marginal likelihood.

    Attributes
    ----------
    latent : Latent
    family : Family
        Its parameters have as many components as the latent has states.
    prior : Prior
        Pseudo-statistics; the objective is then the log posterior.
    """

    latent: Latent[Any, Any]
    family: Family[Any, Any]
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        if self.latent.per_group and self.family.per_group:
            raise ParameterError(
                f"the states of a {type(self.latent).__name__} belong to single rows, but the unit of "
                f"{type(self.family).__name__} is a whole group; give it a family of rows"
            )
        _check_forms(self.latent, self.family)
        if self.latent.form is not Form.TABLE and not self.prior.is_flat:
            raise ParameterError(f"a prior's pseudo-observations are for states: {type(self.latent).__name__} has none")

    @property
    def per_group(self) -> bool:
        return self.latent.per_group or self.family.per_group

    @property
    def additive(self) -> bool:
        return self.latent.additive and self.family.additive

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    @property
    def moments_suffice(self) -> bool:
        """Whether complete rows matter through their weight, mean and covariance alone."""
        return self.family.only_moments and not self.per_group

    def conform(self, params: ModelParameters) -> ModelParameters:
        """The parameters as the options of latent and family want them: where a fit starts."""
        return ModelParameters(self.latent.conform(params.latent), self.family.conform(params.emission))

    # -- the two steps -------------------------------------------------------------------------

    def infer(self, params: ModelParameters, batch: Batch) -> tuple[Posterior, FloatArray]:
        """The posterior of the latent, and the log-likelihood of each unit.

        A unit that is impossible under the model raises, unless its weight is 0: then it tells nothing about z.
        """
        posterior, log_likelihood = self._infer(params, batch)
        lost = ~np.isfinite(log_likelihood)
        if np.any(lost):
            if np.any(batch.unit_weights(self.per_group)[lost] > 0):
                raise impossible(log_likelihood, batch, self.per_group, self.latent.form)
            posterior, log_likelihood = self._infer(params, batch, lost)
        weights = None if batch.weights is None else batch.unit_weights(self.family.per_group)
        return replace(posterior, weights=weights), log_likelihood

    def _infer(
        self, params: ModelParameters, batch: Batch, ignored: Array | None = None
    ) -> tuple[Posterior, FloatArray]:
        log_density = self.state_densities(params, batch)
        if ignored is not None:
            finer = self.per_group and not self.family.per_group
            log_density = silenced(log_density, np.repeat(ignored, batch.group_lengths) if finer else ignored)
        return self.latent.posterior(log_density, batch, params.latent)

    def unit_log_likelihoods(self, params: ModelParameters, batch: Batch) -> FloatArray:
        log_likelihood = self.infer(params, batch)[1]
        return np.where(np.isfinite(log_likelihood), log_likelihood, 0.0)

    def complete_log_density(self, params: ModelParameters, batch: Batch) -> FloatArray | None:
        log_states = self.latent.log_states(params.latent)
        return None if log_states is None else self.state_densities(params, batch) + log_states[:, None]

    def state_densities(self, params: ModelParameters, batch: Batch) -> FloatArray:
        """log p(xₙ | z = k), (K, units), -∞ for states other than a known one; of many rows found block by block."""
        parts = self.parts(batch)
        if len(parts) == 1:
            return self._state_densities(params, batch)
        densities = np.empty((self.latent.n_states, len(batch)))
        for start, stop in parts:
            densities[:, start:stop] = self._state_densities(params, batch.rows_between(start, stop))
        return densities

    def parts(self, batch: Batch) -> list[tuple[int, int]]:
        """(start, stop) of the blocks of rows whose state densities can be found one by one."""
        if not (self.family.rowwise and self.latent.form is Form.TABLE and len(batch) >= LONG):
            return [(0, len(batch))]
        return list(pairwise([*range(0, len(batch), default_chunk_rows(batch.n_columns)), len(batch)]))

    def _state_densities(self, params: ModelParameters, batch: Batch) -> FloatArray:
        log_density = self.family.log_density(batch.without_labels(), params.emission)
        if batch.labels is not None:
            impose(batch.labels, log_density, batch, self.family.per_group)
        return log_density

    def e_step(self, params: ModelParameters, batch: Batch) -> Expectation:
        """The batch's share of the expected sufficient statistics and of the log-likelihood."""
        if not (self.latent.per_group and self.family.rowwise and len(batch) >= LONG):
            return self._e_step(params, batch)
        parts = (
            self._e_step_of_long(params, batch.groups_between(first, last))
            for first, last in runs(batch.group_lengths)
        )
        return reduce(add, parts)

    def _e_step_of_long(self, params: ModelParameters, batch: Batch) -> Expectation:
        """The same for one long group in blocks, if the latent knows how; and for several short ones."""
        if batch.n_groups > 1 or len(batch) < LONG:
            return self._e_step(params, batch)
        weight = float(batch.unit_weights(per_group=True)[0])
        blocks = Blocks(self, params, batch, ignored=weight == 0)
        found = self.latent.fold_group(blocks.group, params.latent)
        if found is None:
            return self._e_step(params, batch)
        latent, log_likelihood = found
        if log_likelihood == -np.inf:
            raise impossible(np.array([log_likelihood]), batch, True, self.latent.form)
        return Expectation(
            statistics=ModelStatistics(latent * weight, blocks.statistics()),
            log_likelihood=weight * log_likelihood,
            magnitude=weight * (SMALLEST_TERMS + abs(log_likelihood)),
            weight=weight,
        )

    def _e_step(self, params: ModelParameters, batch: Batch) -> Expectation:
        posterior, log_likelihood = self.infer(params, batch)
        weights = batch.unit_weights(self.per_group)
        with np.errstate(over="ignore"):  # the loop refuses infinite sums
            total, terms = weights @ log_likelihood, weights @ (SMALLEST_TERMS + np.abs(log_likelihood))
        return Expectation(
            statistics=ModelStatistics(
                self.latent.statistics(posterior, batch),
                self.family.statistics(batch.without_labels(), posterior, params.emission),
            ),
            log_likelihood=float(total),
            magnitude=float(terms),
            weight=float(weights.sum()),
        )

    def m_step(
        self, statistics: ModelStatistics, params: ModelParameters, fold: Fold | None = None
    ) -> ModelParameters:
        """argmax_θ of Q plus the log prior."""
        complete = self.with_prior(statistics, params)
        emission = self.family.maximize(complete.emission, params.emission)
        expansion = self.latent.expansion(complete.latent)
        absorbed = None if expansion is None else self.family.absorbed(emission, *expansion)
        latent = self.latent.maximize(complete.latent, params.latent)
        return ModelParameters(latent, emission if absorbed is None else absorbed)

    def q_function(self, params: ModelParameters, statistics: ModelStatistics) -> float:
        """Q(θ; statistics) = E_q[log p(x, z; θ)], without the prior."""
        return self.latent.expected_log_density(
            statistics.latent, params.latent
        ) + self.family.expected_log_density(statistics.emission, params.emission)

    def log_prior(self, params: ModelParameters) -> float:
        """The log prior up to a constant: the log density of the pseudo-observations."""
        total = self.family.log_prior(params.emission)
        if self.prior.is_flat:
            return total
        pseudo = self.prior.batch()
        if pseudo is not None:
            weights = pseudo.unit_weights(self.family.per_group)
            total += float(np.sum(self.family.log_density(pseudo, params.emission) @ weights))
        counts = self.prior.counts(self.latent)
        return total + self.latent.expected_log_density(counts, params.latent)

    def complete_score(
        self, statistics: ModelStatistics, params: ModelParameters
    ) -> Callable[[ModelParameters], FloatArray]:
        """θ ↦ ∇(Q(θ; statistics) + log prior(θ)): pseudo-observations and the family's own prior counted in."""
        complete = self.with_prior(statistics, params)

        def score(there: ModelParameters) -> FloatArray:
            slope = self.score(complete, there)
            if self.family.log_prior(there.emission) == 0:
                return slope
            from ..kernels.derivatives import gradient

            own = gradient(lambda v: self.family.log_prior(there.emission.unflatten(v)), there.emission.flatten())
            return np.concatenate([slope[: len(slope) - len(own)], slope[len(slope) - len(own) :] + own])

        return score

    def told(self, statistics: ModelStatistics, params: ModelParameters) -> list[tuple[int | None, str, str]]:
        found = self.family.findings(statistics.emission, params.emission)
        code = self.family.finding_code
        if self.family.form is not Form.TABLE:
            told: list[tuple[int | None, str, str]] = [(None, code, text) for _, text in found]
        else:
            told = [(k, code, f"component {k}: {text}") for k, text in found]
        moves = self.latent.findings(statistics.latent, params.latent)
        return told + [(k, "transitions", f"state {k}: {text}") for k, text in moves]

    def with_prior(self, statistics: ModelStatistics, params: ModelParameters) -> ModelStatistics:
        """The statistics and the pseudo-statistics of the prior together."""
        if self.prior.is_flat:
            return statistics
        pseudo = self._pseudo_statistics(params)
        emission = statistics.emission if pseudo.emission is None else statistics.emission + pseudo.emission
        return ModelStatistics(statistics.latent + pseudo.latent, emission)

    def _pseudo_statistics(self, params: ModelParameters) -> ModelStatistics:
        counts = self.prior.counts(self.latent)
        batch = self.prior.batch()
        if batch is None:
            return ModelStatistics(counts, None)
        units = batch.n_groups if self.family.per_group else len(batch)
        everywhere = Posterior(np.ones((self.latent.n_states, units)), batch.unit_weights(self.family.per_group))
        return ModelStatistics(counts, self.family.statistics(batch, everywhere, params.emission))

    # -- as a family of one component ----------------------------------------------------------

    def start(self, batch: Batch, n_components: int = 1) -> ModelParameters:
        """Rough parameters whose states differ: an M-step from the clusters of the pooled rows."""
        from ..kernels import seeding

        k = self.latent.size
        emission = self.family.start(batch, k)
        if self.latent.form is not Form.TABLE:
            return self.conform(ModelParameters(self.latent.start(), emission))
        points, rng = self.family.points(batch), np.random.default_rng(0)
        if points is None:
            r = rng.dirichlet(np.ones(k), batch.n_groups if self.family.per_group else len(batch)).T
        else:
            standard = seeding.to_standard(points, *seeding.standardize(points))
            seeds = seeding.kmeans_plus_plus(standard, k, rng)
            r = seeding.soften(seeding.one_hot(seeding.nearest_centre(standard, seeds), k))
        statistics = self.family.statistics(batch.without_labels(), Posterior(r), emission)
        return ModelParameters(self.latent.start(), self.family.maximize(statistics, emission))

    def log_density(self, batch: Batch, params: ModelParameters) -> FloatArray:
        log_likelihood = self._infer(params, replace(batch, weights=None))[1]
        return np.where(np.isnan(log_likelihood), -np.inf, log_likelihood)[None, :]

    def statistics(self, batch: Batch, posterior: Posterior, params: ModelParameters) -> ModelStatistics:
        weighted = batch.reweighted(posterior.responsibilities[0], self.per_group)
        result: ModelStatistics = self.e_step(params, weighted).statistics
        return result

    def maximize(self, statistics: ModelStatistics, params: ModelParameters) -> ModelParameters:
        return self.m_step(statistics, params)

    def expected_log_density(self, statistics: ModelStatistics, params: ModelParameters) -> float:
        return self.q_function(params, statistics)

    def score(self, statistics: ModelStatistics, params: ModelParameters) -> FloatArray:
        return np.concatenate(
            [
                self.latent.score(statistics.latent, params.latent),
                self.family.score(statistics.emission, params.emission),
            ]
        )

    def points(self, batch: Batch) -> FloatArray | None:
        """Of a chain's sequences their means, spreads and autocorrelations: level, width and dynamics."""
        return sequence_points(batch) if self.latent.per_group else self.family.points(batch)

    def check(self, batch: Batch) -> None:
        self.latent.check(batch)
        self.family.check(batch)

    def check_prior(self, n_columns: int) -> None:
        self.prior.check(self.family, n_columns)

    def sample(self, params: ModelParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """One draw of the whole model for each entry of `states`; where the unit is a group they form one group."""
        return self.sample_given(params, states, None, rng)

    def sample_given(
        self, params: ModelParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        if self.family.per_group:
            within = np.repeat(self.latent.sample(params.latent, np.ones(1, int), rng), len(states))
        elif self.per_group and given is not None:
            within = self.latent.sample_given(params.latent, replace(given, offsets=None, first_row=0), rng)
        else:
            lengths = np.array([len(states)]) if self.per_group else np.ones(len(states), int)
            within = self.latent.sample(params.latent, lengths, rng)
        return self.family.sample_given(params.emission, within, given, rng)

    def findings(self, statistics: ModelStatistics, params: ModelParameters) -> list[tuple[int, str]]:
        told = self.family.findings(statistics.emission, params.emission)
        told += self.latent.findings(statistics.latent, params.latent)
        states = self.family.form is Form.TABLE
        return [(0, f"state {k}: {text}" if states else text) for k, text in told]

    def admissible(self, params: ModelParameters) -> bool:
        return self.family.admissible(params.emission)


def _check_forms(latent: Latent[Any, Any], family: Family[Any, Any]) -> None:
    """Raise where a latent cannot take what its family, or a family inside that, says of z."""
    if latent.form is not family.form:
        raise ParameterError(
            f"a {type(latent).__name__} takes {latent.form.value}, but {type(family).__name__} gives "
            f"{family.form.value}; join Normal with LinearGaussian, and latents with states with all others"
        )
    for inner in () if isinstance(family, LatentVariableModel) else families_in(family):
        _check_forms(latent, inner)
