"""The contracts: `Posterior`, `Family`, `Latent`, and `LatentVariableModel`, which joins the two.

A mixture is Categorical × family, a hidden Markov model is MarkovChain × the same family.  A model
with one component is itself a family, so models nest.  No code anywhere is written for a pair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import pairwise
from operator import add
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from ._typing import Array, FloatArray
from .data import ArraySource, Batch, Source, default_chunk_rows
from .densities import Form, LinearGaussianDensity
from .errors import DataError, LatentemError, ParameterError, name_columns
from .parameters import Parameters
from .statistics import Expectation, PairwiseSum, Statistics, arrays_of

P = TypeVar("P", bound=Parameters)
S = TypeVar("S", bound=Statistics)

# The terms that a log density is the sum of: larger than their sum, and never much smaller than this.
SMALLEST_TERMS = 16.0
# From this many rows on a group is worked on block by block.
LONG = 16_384


# What a family says of its rows as a function of z: log densities (K, units), or a linear Gaussian form.
Density: TypeAlias = Any

Mask: TypeAlias = tuple[bool, ...]
Held: TypeAlias = Mapping[str, Mask | None]


def hold(held: Held, name: str, current: FloatArray, updated: FloatArray) -> FloatArray:
    """The updated array, with the current values where it is held: in the components of the mask, or (None) in all."""
    if name not in held:
        return updated
    mask = held[name]
    if mask is None:
        return current
    return np.where(np.reshape(mask, (-1,) + (1,) * (np.ndim(updated) - 1)), current, updated)


@dataclass(frozen=True)
class Posterior:
    """What a latent hands to an emission: probabilities of states, or moments of a vector z.

    Attributes
    ----------
    probabilities : (K, units)
        p(z = k | x; θ); units are rows, or groups where a family's unit is the group.  Empty where z is a vector.
    weights : (units,) or None
        Weights of the units; None stands for ones.
    pairs : (units?, K, K) or None
        Σ over time of p(zₜ = j, zₜ₊₁ = k | x), weighted, where the latent is a chain.
    mean : (n, q) or None
        E[z | x; θ], where z is a vector.
    covariance : (n, q, q), or (1, q, q) for all rows, or None
        Cov(z | x; θ).
    lagged : (n, q, q) or None
        Cov(zₜ, zₜ₋₁ | x; θ) where z is a chain of vectors; zero in the first row of a group.
    """

    probabilities: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    weights: FloatArray | None = None
    pairs: FloatArray | None = None
    mean: FloatArray | None = None
    covariance: FloatArray | None = None
    lagged: FloatArray | None = None

    @cached_property
    def responsibilities(self) -> FloatArray:
        """(K, units): probabilities times weights, what expected statistics are summed with."""
        return self.probabilities if self.weights is None else self.probabilities * self.weights

    @property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """E[z | x] (n, q) and Cov(z | x) (n, q, q) or (1, q, q), where z is a vector."""
        assert self.mean is not None and self.covariance is not None
        return self.mean, self.covariance

    def covariance_sum(self, weights: FloatArray) -> FloatArray:
        """(q, q): Σ w Cov(z | x) over the rows, where z is a vector."""
        covariance = self.moments[1]
        if len(covariance) == 1 < len(weights):
            return np.asarray(weights.sum() * covariance[0])
        return np.asarray(np.tensordot(weights, covariance, 1))

    def component(self, k: int) -> Posterior:
        """The posterior of one state alone, for a family with one component."""
        return Posterior(self.probabilities[k : k + 1], self.weights)


class Family(ABC, Generic[P, S]):
    """p(x | z = k; θ) for k = 1 … K, where K is the leading length of its parameters' arrays.

    A family is a value without state: frozen options, no data, no parameters.
    """

    @property
    def per_group(self) -> bool:
        """Whether its unit is a group of rows (as for a chain) rather than a row."""
        return False

    @property
    def rowwise(self) -> bool:
        """Whether a row's density depends on that row alone, so that a batch may be cut between any two rows."""
        return not self.per_group and all(inner.rowwise for inner in _families_in(self))

    @property
    def discrete(self) -> bool:
        """Whether its values are whole numbers from 0, so that densities are probabilities (a class may set it)."""
        return False

    @property
    def form(self) -> Form:
        """What `log_density` returns: a table over states, unless a class says otherwise."""
        return Form.TABLE

    @property
    def only_moments(self) -> bool:
        """Whether complete rows matter through their weight, mean and covariance alone once z ~ N is integrated out."""
        return False

    def conform(self, params: P) -> P:
        """The parameters as this family's options want them: those that are held are marked as such."""
        return params

    @abstractmethod
    def start(self, batch: Batch, n_components: int) -> P:
        """Rough parameters from pooled rows, equal for all components: where a Newton step may begin.

        Where z is a vector, `n_components` is the number of its coordinates, and the rows should tell them apart.
        """

    @abstractmethod
    def log_density(self, batch: Batch, params: P) -> Density:
        """log p(xₙ | z; θ) as a function of z: log p(xₙ | z = k; θ), shape (K, units), or as `form` says."""

    @abstractmethod
    def statistics(self, batch: Batch, posterior: Posterior, params: P) -> S:
        """Σₙ wₙ p(k | xₙ) T(xₙ); relative to a reference that is a function of `params` alone."""

    @abstractmethod
    def maximize(self, statistics: S, params: P) -> P:
        """argmax_θ Q(θ; statistics), from `params`; for `LocalQ` one safeguarded Newton step."""

    def maximize_constrained(self, statistics: S, params: P, held: Held, tied: tuple[str, ...]) -> P | None:
        """The same with whole arrays held or tied over components, where that has a closed form; else None."""
        return None

    def absorbed(self, params: P, shift: FloatArray, factor: FloatArray) -> P | None:
        """Parameters that give z what these give m + C z, with m (q,) and C (q, q); None where there are no such."""
        return None

    @abstractmethod
    def expected_log_density(self, statistics: S, params: P) -> float:
        """This family's part of Q: E_q[log p(x | z; θ)] at `params`, from the statistics alone."""

    @abstractmethod
    def sample(self, params: P, states: Array, rng: np.random.Generator) -> FloatArray:
        """Draw one row for each entry of `states`; shape (n, D)."""

    def sample_given(self, params: P, states: Array, given: Batch | None, rng: np.random.Generator) -> FloatArray:
        """The same for the covariates and the groups of a batch of as many rows, whose values are not looked at."""
        return self.sample(params, states, rng)

    def points(self, batch: Batch) -> FloatArray | None:
        """A point for each unit, (units, …), by whose distances a start tells units apart; None where none would."""
        return unit_points(batch, self.per_group)

    def check(self, batch: Batch) -> None:
        """Raise `DataError`, naming row and column, where a value lies outside the support."""

    def log_prior(self, params: P) -> float:
        """The log prior that `maximize` takes into account, up to a constant."""
        return 0.0

    def admissible(self, params: P) -> bool:
        """Whether the parameters respect what `maximize` imposes beyond their domains (a floor under variances)."""
        return True

    def score(self, statistics: S, params: P) -> FloatArray:
        """∇Q at fixed statistics in unconstrained coordinates (by central differences unless a family knows better)."""
        from .kernels.derivatives import gradient

        return gradient(lambda v: self.expected_log_density(statistics, params.unflatten(v)), params.flatten())

    finding_code: ClassVar[str] = "floor"

    def findings(self, statistics: S, params: P) -> list[tuple[int, str]]:
        """What a user should know of these estimates: (component, sentence), e.g. a variance held by its floor."""
        return []


@dataclass(frozen=True)
class LongGroup:
    """A group of rows too long to be looked at all at once.

    Attributes
    ----------
    edges : tuple of int
        Where its blocks of rows begin and end; at least two blocks.
    log_density : callable
        (start, stop) → log p(xₙ | z = k) of these rows, (K, stop - start), which may be overwritten.
    visit : callable
        (part, start, stop, probabilities): to be told the posterior of all rows, once each, in blocks.  Parts 0 and 1
        may be told at once; the order within a part must be the same every time.
    """

    edges: tuple[int, ...]
    log_density: Callable[[int, int], FloatArray]
    visit: Callable[[int, int, int, FloatArray], None]


class Latent(ABC, Generic[P, S]):
    """p(z; θ) and how its posterior is found."""

    n_states: int

    @property
    def form(self) -> Form:
        """What it takes of a family: a table over states, unless a class says otherwise."""
        return Form.TABLE

    @property
    def size(self) -> int:
        """What families make room for: the number of states, or of coordinates where z is a vector."""
        return self.n_states

    @property
    def per_group(self) -> bool:
        """Whether its joint log-likelihoods belong to groups (a chain) rather than to single units."""
        return False

    @abstractmethod
    def start(self) -> P:
        """Even parameters: every state equally likely."""

    def conform(self, params: P) -> P:
        """The parameters as this latent's options want them: those that are held are marked as such."""
        return params

    @abstractmethod
    def posterior(self, log_density: Density, batch: Batch, params: P) -> tuple[Posterior, FloatArray]:
        """The posterior given a density (see `form`), and the log-likelihood of each unit or group.

        `log_density` may be overwritten.
        """

    def fold_group(self, group: LongGroup, params: P) -> tuple[S, float] | None:
        """The statistics (of weight 1) and log-likelihood of one long group, block by block; None where that cannot be.

        A group without possible states has the log-likelihood -∞.
        """
        return None

    @abstractmethod
    def statistics(self, posterior: Posterior, batch: Batch) -> S: ...

    @abstractmethod
    def maximize(self, statistics: S, params: P) -> P: ...

    def expansion(self, statistics: S) -> tuple[FloatArray, FloatArray] | None:
        """m and C of the N(m, C Cᵀ) that maximizes Q though N(0, I) is held, for a family to absorb; None: as it is.

        A parameter-expanded M-step (Liu, Rubin and Wu 1998): never slower than EM's, and as monotone.
        """
        return None

    @abstractmethod
    def expected_log_density(self, statistics: S, params: P) -> float: ...

    @abstractmethod
    def pseudo_statistics(self, concentration: float) -> S:
        """The statistics of a Dirichlet prior with parameter 1 + concentration."""

    @abstractmethod
    def sample(self, params: P, lengths: Array, rng: np.random.Generator) -> Array:
        """States for groups of these lengths, concatenated."""

    def sample_given(self, params: P, given: Batch, rng: np.random.Generator) -> Array:
        """The same for the groups of a batch and its covariates."""
        return self.sample(params, given.group_lengths, rng)

    def check(self, batch: Batch) -> None:
        """Raise `DataError` where the batch lacks what the latent conditions on."""

    def findings(self, statistics: S, params: P) -> list[tuple[int, str]]:
        """What a user should know of these estimates: (state, sentence)."""
        return []

    def score(self, statistics: S, params: P) -> FloatArray:
        """∇Q at fixed statistics in unconstrained coordinates."""
        from .kernels.derivatives import gradient

        return gradient(lambda v: self.expected_log_density(statistics, params.unflatten(v)), params.flatten())


# Adds the shares of the chunks of the data: what an executor does for one source.
Fold: TypeAlias = Callable[[Callable[[Batch], Any]], Any]


class Model(ABC):
    """What the loop asks of a model: the two steps, and the objective."""

    def conform(self, params: Any) -> Any:
        """The parameters as the model's options want them: where a fit starts."""
        return params

    @abstractmethod
    def e_step(self, params: Any, batch: Batch) -> Expectation:
        """The batch's share of the expected sufficient statistics and of the log-likelihood."""

    @abstractmethod
    def m_step(self, statistics: Any, params: Any, fold: Fold | None = None) -> Any:
        """argmax_θ of Q plus the log prior; a model whose statistics do not tell Q may fold over the data again."""

    def check(self, batch: Batch) -> None:  # noqa: B027 - a model may take any numbers
        """Raise `DataError`, naming row and column, where a value lies outside the support."""

    def log_prior(self, params: Any) -> float:
        """The log prior up to a constant."""
        return 0.0

    def admissible(self, params: Any) -> bool:
        """Whether the parameters respect what the M-step imposes beyond their domains."""
        return True

    @abstractmethod
    def objective_score(self, statistics: Any, params: Any) -> FloatArray:
        """The gradient of the objective at `params` in unconstrained coordinates, from the statistics there."""

    def told(self, statistics: Any, params: Any) -> list[tuple[int | None, str, str]]:
        """What a user should know of these estimates: (component, code, sentence)."""
        return []


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
class Prior:
    """A conjugate prior as pseudo-statistics: observations that were never made, with weights.

    Attributes
    ----------
    rows : (m, D)
        Pseudo-observations, seen by every component.
    weights : (m,)
        Their weights; all components see each with this weight.
    concentration : float, or the latent's Statistics
        Pseudo-count of each state: a Dirichlet prior with parameter 1 + concentration.  Statistics of the latent are
        pseudo-counts of each state or transition by itself.
    """

    rows: FloatArray | None = None
    weights: FloatArray | None = None
    concentration: float | Statistics = 0.0

    def __post_init__(self) -> None:
        given = self.concentration
        counts = arrays_of(given) if isinstance(given, Statistics) else [np.asarray(given)]
        if not all(np.all(np.isfinite(count) & (count >= 0)) for count in counts):
            raise ParameterError(f"a prior's concentration must be finite and not negative, got {given}")
        if self.weights is not None and self.rows is None:
            raise ParameterError("a prior has weights, but no rows that they could belong to")

    @property
    def is_flat(self) -> bool:
        return self.rows is None and not isinstance(self.concentration, Statistics) and self.concentration == 0

    def counts(self, latent: Latent[Any, Any]) -> Any:
        """The latent's pseudo-statistics."""
        given = self.concentration
        return given if isinstance(given, Statistics) else latent.pseudo_statistics(given)

    def check(self, family: Family[Any, Any], n_columns: int) -> None:
        """Raise `DataError` where the pseudo-observations could not be rows of the data."""
        if self.rows is None:
            return
        try:
            rows = np.asarray(self.rows, float)
            source = ArraySource(rows[None] if rows.ndim == 1 else rows, weights=self.weights)
            if source.n_columns != n_columns:
                raise DataError(f"its rows have {source.n_columns} columns, the data have {n_columns}")
            check_source(family, source)
        except ValueError as error:
            raise DataError(f"the pseudo-observations of the prior: {error}") from error

    def batch(self) -> Batch | None:
        if self.rows is None:
            return None
        rows = np.atleast_2d(np.asarray(self.rows, float))
        weights = np.ones(len(rows)) if self.weights is None else np.asarray(self.weights, float)
        return Batch(rows, weights=weights, missing=bool(np.isnan(rows).any()))


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
        impossible = ~np.isfinite(log_likelihood)
        if np.any(impossible):
            if np.any(batch.unit_weights(self.per_group)[impossible] > 0):
                raise _impossible(log_likelihood, batch, self.per_group, self.latent.form)
            posterior, log_likelihood = self._infer(params, batch, impossible)
        weights = None if batch.weights is None else batch.unit_weights(self.family.per_group)
        return replace(posterior, weights=weights), log_likelihood

    def _infer(
        self, params: ModelParameters, batch: Batch, ignored: Array | None = None
    ) -> tuple[Posterior, FloatArray]:
        log_density = self.state_densities(params, batch)
        if ignored is not None:
            finer = self.per_group and not self.family.per_group
            log_density = _silenced(log_density, np.repeat(ignored, batch.group_lengths) if finer else ignored)
        return self.latent.posterior(log_density, batch, params.latent)

    def state_densities(self, params: ModelParameters, batch: Batch) -> FloatArray:
        """log p(xₙ | z = k), (K, units), -∞ for states other than a known one; of many rows found block by block."""
        if self.family.rowwise and self.latent.form is Form.TABLE and len(batch) >= LONG:
            edges = [*range(0, len(batch), default_chunk_rows(batch.n_columns)), len(batch)]
            densities = np.empty((self.latent.n_states, len(batch)))
            for start, stop in pairwise(edges):
                densities[:, start:stop] = self._state_densities(params, batch.rows_between(start, stop))
            return densities
        return self._state_densities(params, batch)

    def _state_densities(self, params: ModelParameters, batch: Batch) -> FloatArray:
        log_density = self.family.log_density(batch.without_labels(), params.emission)
        if batch.labels is not None:
            _impose(batch.labels, log_density, batch, self.family.per_group)
        return log_density

    def e_step(self, params: ModelParameters, batch: Batch) -> Expectation:
        """The batch's share of the expected sufficient statistics and of the log-likelihood."""
        if not (self.latent.per_group and self.family.rowwise and len(batch) >= LONG):
            return self._e_step(params, batch)
        parts = (
            self._e_step_of_long(params, batch.groups_between(first, last))
            for first, last in _runs(batch.group_lengths)
        )
        return reduce(add, parts)

    def _e_step_of_long(self, params: ModelParameters, batch: Batch) -> Expectation:
        """The same for one long group in blocks, if the latent knows how; and for several short ones."""
        if batch.n_groups > 1 or len(batch) < LONG:
            return self._e_step(params, batch)
        weight = float(batch.unit_weights(per_group=True)[0])
        blocks = _Blocks(self, params, batch, ignored=weight == 0)
        found = self.latent.fold_group(blocks.group, params.latent)
        if found is None:
            return self._e_step(params, batch)
        latent, log_likelihood = found
        if log_likelihood == -np.inf:
            raise _impossible(np.array([log_likelihood]), batch, True, self.latent.form)
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

    def objective_score(self, statistics: ModelStatistics, params: ModelParameters) -> FloatArray:
        """By Fisher's identity the gradient of Q at θ, pseudo-observations and the family's own prior counted in."""
        score = self.score(self.with_prior(statistics, params), params)
        if self.family.log_prior(params.emission) == 0:
            return score
        from .kernels.derivatives import gradient

        emission = params.emission
        own = gradient(lambda v: self.family.log_prior(emission.unflatten(v)), emission.flatten())
        return np.concatenate([score[: len(score) - len(own)], score[len(score) - len(own) :] + own])

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
        from .kernels import seeding

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


class _Blocks:
    """A long group of a model, cut into blocks: their log densities, and the emission's statistics so far."""

    def __init__(self, model: LatentVariableModel, params: ModelParameters, batch: Batch, ignored: bool) -> None:
        self.model, self.params, self.batch, self.ignored = model, params, batch, ignored
        edges = (*range(0, len(batch), default_chunk_rows(batch.n_columns)), len(batch))
        self.group = LongGroup(edges, self._log_density, self._visit)
        self.parts: dict[int, PairwiseSum[Any]] = {}

    def statistics(self) -> Any:
        """Those of all blocks, after the visits."""
        return reduce(add, (self.parts[part].total() for part in sorted(self.parts)))

    def _log_density(self, start: int, stop: int) -> FloatArray:
        if self.ignored:  # a group of weight 0 may be impossible
            return np.zeros((self.model.latent.n_states, stop - start))
        return self.model._state_densities(self.params, self.batch.rows_between(start, stop))

    def _visit(self, part: int, start: int, stop: int, probabilities: FloatArray) -> None:
        block = self.batch.rows_between(start, stop).without_labels()
        posterior = Posterior(probabilities, None if block.weights is None else block.unit_weights(False))
        statistics = self.model.family.statistics(block, posterior, self.params.emission)
        self.parts.setdefault(part, PairwiseSum()).push(statistics)


def _runs(lengths: Array) -> list[tuple[int, int]]:
    """(first, last) of groups that are worked on together: a long one alone, the short ones between two such."""
    long = np.flatnonzero(lengths >= LONG).tolist()
    edges = sorted({0, len(lengths), *long, *(g + 1 for g in long)})
    return list(pairwise(edges))


def unit_points(batch: Batch, per_group: bool) -> FloatArray:
    """A point for each unit, to measure distances with: the row, or the mean of the group's rows."""
    if not per_group:
        return batch.values
    seen = batch.observed
    starts = batch.group_offsets[:-1]
    totals = np.add.reduceat(np.where(seen, batch.values, 0.0), starts, axis=0)
    counts = np.add.reduceat(seen.astype(float), starts, axis=0)
    return np.where(counts > 0, totals / np.maximum(counts, 1.0), np.nan)


def sequence_points(batch: Batch) -> FloatArray:
    """(G, 3D): mean, standard deviation and lag-one autocorrelation of each column in each group."""
    seen, starts = batch.observed, batch.group_offsets[:-1]
    means = unit_points(batch, per_group=True)
    centred = np.where(seen, batch.values - np.repeat(means, batch.group_lengths, axis=0), 0.0)
    later = np.vstack([centred[1:], np.zeros((1, batch.n_columns))])
    later[batch.group_offsets[1:] - 1] = 0.0
    squares = np.add.reduceat(centred**2, starts, axis=0)
    products = np.add.reduceat(centred * later, starts, axis=0)
    counts = np.maximum(np.add.reduceat(seen.astype(float), starts, axis=0), 1.0)
    return np.hstack([means, np.sqrt(squares / counts), products / np.where(squares > 0, squares, 1.0)])


def _check_forms(latent: Latent[Any, Any], family: Family[Any, Any]) -> None:
    """Raise where a latent cannot take what its family, or a family inside that, says of z."""
    if latent.form is not family.form:
        raise ParameterError(
            f"a {type(latent).__name__} takes {latent.form.value}, but {type(family).__name__} gives "
            f"{family.form.value}; join Normal with LinearGaussian, and latents with states with all others"
        )
    for inner in () if isinstance(family, LatentVariableModel) else _families_in(family):
        _check_forms(latent, inner)


def _families_in(part: Any) -> list[Family[Any, Any]]:
    """The families that a family is made of."""
    if not isinstance(part, tuple):
        part = tuple(getattr(part, name) for name in getattr(part, "__dataclass_fields__", ()))
    inner = [[item] if isinstance(item, Family) else _families_in(item) for item in part if _may_hold(item)]
    return [family for families in inner for family in families]


def _may_hold(item: Any) -> bool:
    return isinstance(item, Family | tuple)


def _silenced(log_density: Density, units: Array) -> Density:
    """The density with these units telling nothing about z."""
    if isinstance(log_density, LinearGaussianDensity):
        return log_density.without(units)
    log_density[:, units] = 0.0
    return log_density


def _impose(labels: Array, log_density: Density, batch: Batch, per_group: bool) -> None:
    """Make every state but the known one impossible."""
    if isinstance(log_density, LinearGaussianDensity):
        raise DataError("labels are known states, but z is a vector here; leave them out")
    known = labels[batch.group_offsets[:-1]] if per_group else labels
    rows = np.flatnonzero(known >= 0)
    too_high = rows[known[rows] >= len(log_density)]
    if len(too_high):
        row = batch.row_of_unit(int(too_high[0]), per_group)
        raise DataError(f"row {row} has the known state {known[too_high[0]]}, but there are {len(log_density)} states")
    kept = log_density[known[rows], rows]
    log_density[:, rows] = -np.inf
    log_density[known[rows], rows] = kept


def _impossible(log_likelihood: FloatArray, batch: Batch, per_group: bool, form: Form) -> LatentemError:
    unit = int(np.flatnonzero(~np.isfinite(log_likelihood))[0])
    row = batch.row_of_unit(unit, per_group)
    if per_group and batch.group_lengths[unit] > 1:
        hint = "rescale the columns, start from larger variances"
        if form is Form.TABLE:
            hint = "allow more transitions (probabilities of 0 stay 0), widen the support"
        return DataError(
            f"{_group_in_words(batch, unit)} log-likelihood {log_likelihood[unit]} together at the current "
            f"parameters: no states can have produced them one after the other; {hint}, or leave the rows out"
        )
    value = batch.values[batch.group_offsets[unit] if per_group else unit].tolist()
    return DataError(
        f"row {row} ({value}) has log-likelihood {log_likelihood[unit]} at the current parameters: no state can have "
        "produced it; remove the row, widen the support, or add a component for outliers (UniformNoise)"
    )


def _group_in_words(batch: Batch, group: int) -> str:
    row, n = batch.row_of_unit(group, True), int(batch.group_lengths[group])
    first = int(batch.group_offsets[group])
    adjacent = batch.rows is None or np.all(np.diff(batch.rows[first : first + n]) == 1)
    return f"the {n} rows from row {row} on have" if adjacent else f"the group of row {row} ({n} rows) has"


def check_source(model: Family[Any, Any] | Model, source: Source) -> None:
    """One pass over the data that raises where a row lies outside the model's support, and likewise for its prior."""
    if isinstance(model, LatentVariableModel):
        model.prior.check(model.family, source.n_columns)
    for batch in source:
        check_batch(model, batch, source.names)


def check_batch(model: Family[Any, Any] | Model, batch: Batch, names: Sequence[str]) -> None:
    """Raise where a row lies outside the model's support, with its column by name."""
    try:
        model.check(batch)
    except DataError as error:
        raise DataError(name_columns(str(error), names)) from error
