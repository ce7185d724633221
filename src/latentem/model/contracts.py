"""The contracts: `Posterior`, `Family`, `Latent`, and `Model`, which the loop asks for its two steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form
from ..errors import ParameterError
from ..parameters import Parameters
from ..statistics import Expectation, Statistics
from .points import unit_points

P = TypeVar("P", bound=Parameters)
S = TypeVar("S", bound=Statistics)

# The terms that a log density is the sum of: larger than their sum, and never much smaller than this.
SMALLEST_TERMS = 16.0


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
        return not self.per_group and all(inner.rowwise for inner in families_in(self))

    @property
    def additive(self) -> bool:
        """Whether statistics at different θ add, once moved to one reference: no `LocalQ` is among them."""
        return all(inner.additive for inner in families_in(self))

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

    def check_prior(self, n_columns: int) -> None:
        """Raise `DataError` where what the prior holds could not be data of so many columns."""

    def log_prior(self, params: P) -> float:
        """The log prior that `maximize` takes into account, up to a constant."""
        return 0.0

    def admissible(self, params: P) -> bool:
        """Whether the parameters respect what `maximize` imposes beyond their domains (a floor under variances)."""
        return True

    def score(self, statistics: S, params: P) -> FloatArray:
        """∇Q at fixed statistics in unconstrained coordinates (by central differences unless a family knows better)."""
        from ..kernels.derivatives import gradient

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

    @property
    def additive(self) -> bool:
        """Whether statistics at different θ add."""
        return True

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

    def tempered(
        self, log_density: Density, batch: Batch, params: P, beta: float
    ) -> tuple[Posterior, FloatArray]:
        """The posterior that is proportional to p(x, z; θ)^β, β > 0, and log Σ_z p(x, z; θ)^β of each unit or group."""
        raise self._lacks("tempered posterior: annealing")

    def decode(self, log_density: Density, batch: Batch, params: P) -> tuple[Array, FloatArray]:
        """The most probable states z of all units, and log p(x, z; θ) of each unit or group; -1 where none is."""
        raise self._lacks("most probable states: classification EM")

    def draw(self, log_density: Density, batch: Batch, params: P, rng: np.random.Generator) -> Array:
        """States of all units, drawn from p(z | x; θ); of impossible ones -1."""
        raise self._lacks("draws of states: stochastic EM")

    def _lacks(self, what: str) -> ParameterError:
        return ParameterError(f"{type(self).__name__} has no {what} is not for it")

    def fold_group(self, group: LongGroup, params: P) -> tuple[S, float] | None:
        """The statistics (of weight 1) and log-likelihood of one long group, block by block; None where that cannot be.

        A group without possible states has the log-likelihood -∞.
        """
        return None

    @abstractmethod
    def statistics(self, posterior: Posterior, batch: Batch) -> S: ...

    @abstractmethod
    def maximize(self, statistics: S, params: P) -> P: ...

    def log_states(self, params: P) -> FloatArray | None:
        """log p(z = k), (K,), where the states of units are independent of each other and of all else; else None."""
        return None

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
        from ..kernels.derivatives import gradient

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

    def check_prior(self, n_columns: int) -> None:  # noqa: B027 - most have none of their own
        """Raise `DataError` where what the prior holds could not be data of so many columns."""

    def log_prior(self, params: Any) -> float:
        """The log prior up to a constant."""
        return 0.0

    def admissible(self, params: Any) -> bool:
        """Whether the parameters respect what the M-step imposes beyond their domains."""
        return True

    @abstractmethod
    def complete_score(self, statistics: Any, params: Any) -> Callable[[Any], FloatArray]:
        """θ ↦ ∇(Q(θ; statistics) + log prior(θ)) in unconstrained coordinates; the statistics are those at `params`."""

    def objective_score(self, statistics: Any, params: Any) -> FloatArray:
        """The gradient of the objective at `params` in unconstrained coordinates: by Fisher's identity that of Q."""
        return self.complete_score(statistics, params)(params)

    def told(self, statistics: Any, params: Any) -> list[tuple[int | None, str, str]]:
        """What a user should know of these estimates: (component, code, sentence)."""
        return []

    @abstractmethod
    def unit_log_likelihoods(self, params: Any, batch: Batch) -> FloatArray:
        """log p(x; θ) of each unit, (units,); 0 of units of weight 0 that are impossible."""

    def complete_log_density(self, params: Any, batch: Batch) -> FloatArray | None:
        """log p(xₙ, z = k; θ), (K, units), where each unit has a z of its own among K states; else None."""
        return None


def families_in(part: Any) -> list[Family[Any, Any]]:
    """The families that a family is made of."""
    if not isinstance(part, tuple):
        part = tuple(getattr(part, name) for name in getattr(part, "__dataclass_fields__", ()))
    several = [item for item in part if type(item) is not float and isinstance(item, Family | tuple)]
    inner = [[item] if isinstance(item, Family) else families_in(item) for item in several]
    return [family for families in inner for family in families]
