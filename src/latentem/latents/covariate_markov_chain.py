"""Units of a group in sequence whose transition probabilities depend on covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..kernels.filtering import draw_states
from ..kernels.inhomogeneous_chain import decode_inhomogeneous, smooth_inhomogeneous
from ..kernels.linear_predictor import is_collinear, newton_step
from ..kernels.simplex import expected_log_simplex, maximize_simplex, simplex_score
from ..kernels.transition_logits import log_transitions, transition_derivatives
from ..model import Latent, Posterior
from ..parameters import Parameters, Real, Simplex, parameter
from ..predictors import Predictors, demand_given
from ..statistics import LocalQ, Reference, Statistics

HALVINGS = 30
NEVER = 1e-6


@dataclass(frozen=True)
class CovariateMarkovParameters(Parameters):
    """Initial probabilities and the coefficients of the transitions.

    Attributes
    ----------
    initial : (K,)
    coefficients : (K, K - 1, P)
        β_jk for each j and the other states k in their order: the log odds of moving to k against staying in j are
        β_jkᵀ c.
    """

    initial: FloatArray = parameter(Simplex())
    coefficients: FloatArray = parameter(Real())

    def transition(self, predictors: Any) -> FloatArray:
        """(K, K, n): A(j, k) for each row of predictors (n, P)."""
        return np.exp(log_transitions(self.coefficients, np.asarray(predictors, float)))


@dataclass(frozen=True)
class TransitionQ(LocalQ):
    """`LocalQ` of the transitions from each state in their coefficients, and the covariates' second moments.

    Attributes
    ----------
    counts : (K,)
        Expected rows that follow each state.
    gram : (K, P, P)
        Σ p(zₜ₋₁ = j) c cᵀ over them.
    moves : (K, K)
        Expected transitions.
    """

    counts: FloatArray
    gram: FloatArray
    moves: FloatArray


@dataclass(frozen=True)
class CovariateMarkovStatistics(Statistics):
    """Expected first states (K,), Q of the transitions (None: of no data), and a prior's pseudo-transitions (K, K)."""

    initial: FloatArray
    transitions: TransitionQ | None
    pseudo: FloatArray

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        a, b = self.transitions, other.transitions
        both = a + b if a is not None and b is not None else a if b is None else b
        return type(self)(self.initial + other.initial, both, self.pseudo + other.pseudo)


@dataclass(frozen=True)
class CovariatePosterior(Posterior):
    """A posterior with p(zₜ₋₁ = j, zₜ = k | x) of each row, (K, K, n), and the coefficients that it belongs to."""

    row_pairs: FloatArray | None = None
    coefficients: FloatArray | None = None


@dataclass(frozen=True)
class CovariateMarkovChain(Latent[CovariateMarkovParameters, CovariateMarkovStatistics]):
    """p(zₜ = k | zₜ₋₁ = j, cₜ) = exp(β_jkᵀ cₜ) / Σ_l exp(β_jlᵀ cₜ), with β_jj = 0: staying is the reference.

    cₜ are the covariates of the row that is entered, and p(z₁ = k) = ιₖ does not depend on them.  (Where they should
    act on the way out of a row, as in depmixS4, give each row those of the row before.)  The E-step is forward-backward
    with a matrix for every row; the M-step one Newton step on the multinomial logit of each state's transitions, in
    coordinates in which the scale of the covariates does not matter (EM-gradient; Lange 1995).

    Attributes
    ----------
    n_states : int
    columns : tuple of int
        Columns of the covariates, from 0.
    intercept : bool
        Whether c begins with a 1; its coefficients are then the first.

    Raises
    ------
    ParameterError
        No states, or neither covariates nor an intercept.
    DataError
        The data lack these covariates.

    Notes
    -----
    A prior's concentration adds pseudo-counts to the initial states, and pseudo-transitions at c = (1, 0, …, 0);
    without an intercept none.
    """

    n_states: int
    columns: tuple[int, ...]
    intercept: bool = True

    def __post_init__(self) -> None:
        if self.n_states < 1:
            raise ParameterError(f"a CovariateMarkovChain needs at least one state, got {self.n_states}")
        if not isinstance(self.columns, tuple):
            raise ParameterError(
                f"columns must be a tuple of numbers of covariates, such as (0,); got {self.columns!r}"
            )
        self._predictors  # noqa: B018 - checks the options

    @property
    def per_group(self) -> bool:
        return True

    @property
    def _predictors(self) -> Predictors:
        return Predictors("CovariateMarkovChain", self.columns, self.intercept)

    def check(self, batch: Batch) -> None:
        self._predictors.check(batch)

    def start(self) -> CovariateMarkovParameters:
        k, p = self.n_states, len(self.columns) + self.intercept
        return CovariateMarkovParameters(np.full(k, 1.0 / k), np.zeros((k, k - 1, p)))

    def posterior(
        self, log_density: FloatArray, batch: Batch, params: CovariateMarkovParameters
    ) -> tuple[CovariatePosterior, FloatArray]:
        return self._smoothed(log_density, batch, params, 1.0)

    def _smoothed(
        self, log_density: FloatArray, batch: Batch, params: CovariateMarkovParameters, beta: float
    ) -> tuple[CovariatePosterior, FloatArray]:
        """The posterior proportional to p(x, z; θ)^β."""
        steps = beta * log_transitions(params.coefficients, self._predictors(batch))
        begun = beta * _begun(params.initial, log_density, batch)
        probabilities, rows, log_likelihood = smooth_inhomogeneous(steps, begun, batch.group_offsets)
        pairs = np.moveaxis(np.add.reduceat(rows, batch.group_offsets[:-1], axis=2), 2, 0)
        posterior = CovariatePosterior(
            probabilities, pairs=pairs, row_pairs=rows, coefficients=params.coefficients
        )
        return posterior, log_likelihood

    @property
    def additive(self) -> bool:
        return False

    def tempered(
        self, log_density: FloatArray, batch: Batch, params: CovariateMarkovParameters, beta: float
    ) -> tuple[CovariatePosterior, FloatArray]:
        return self._smoothed(log_density, batch, params, beta)

    def draw(
        self, log_density: FloatArray, batch: Batch, params: CovariateMarkovParameters, rng: np.random.Generator
    ) -> Array:
        """The first state by its probability, each other one by p(zₜ | zₜ₋₁, x)."""
        posterior, total = self.posterior(log_density, batch, params)
        assert posterior.row_pairs is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            first, later = np.log(posterior.probabilities), np.log(posterior.row_pairs)
        path, uniforms = np.full(len(batch), -1), rng.random((len(batch), 1))
        for (start, stop), possible in zip(pairwise(batch.group_offsets), total > -np.inf, strict=True):
            for t in range(start, stop if possible else start):
                odds = first[:, t] if t == start else later[path[t - 1], :, t]
                path[t] = draw_states(odds[:, None], uniforms[t])[0]
        return path

    def decode(
        self, log_density: FloatArray, batch: Batch, params: CovariateMarkovParameters
    ) -> tuple[Array, FloatArray]:
        """The most probable states (n,), and log p(x, z) of each group; -1 where none is possible."""
        steps = log_transitions(params.coefficients, self._predictors(batch))
        return decode_inhomogeneous(steps, _begun(params.initial, log_density, batch), batch.group_offsets)

    def statistics(self, posterior: Posterior, batch: Batch) -> CovariateMarkovStatistics:
        assert isinstance(posterior, CovariatePosterior)
        assert posterior.row_pairs is not None
        assert posterior.coefficients is not None
        weights = batch.unit_weights(per_group=True)
        first = posterior.probabilities[:, batch.group_offsets[:-1]] @ weights
        rows = posterior.row_pairs * np.repeat(weights, batch.group_lengths)
        local = _local(rows, self._predictors(batch), posterior.coefficients)
        return CovariateMarkovStatistics(first, local, np.zeros((self.n_states, self.n_states)))

    def maximize(
        self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters
    ) -> CovariateMarkovParameters:
        initial = maximize_simplex(statistics.initial, params.initial)
        moved = replace(params, initial=initial)
        step = self._step(statistics, params)
        before = self._expected(statistics, params)
        for halving in range(HALVINGS):
            candidate = replace(moved, coefficients=params.coefficients + 0.5**halving * step)
            if self._expected(statistics, candidate) >= before:
                return candidate
        return moved

    def expected_log_density(
        self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters
    ) -> float:
        """The initial states' part, the quadratic model of the transitions', and that of the pseudo-transitions."""
        return expected_log_simplex(statistics.initial, params.initial) + self._expected(statistics, params)

    def score(self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters) -> FloatArray:
        slope = self._slope(statistics, params)[0]
        return np.concatenate([simplex_score(statistics.initial, params.initial), slope.ravel()])

    def pseudo_statistics(self, concentration: float) -> CovariateMarkovStatistics:
        k = self.n_states
        counts = float(concentration) if self.intercept else 0.0
        return CovariateMarkovStatistics(np.full(k, float(concentration)), None, np.full((k, k), counts))

    def findings(
        self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters
    ) -> list[tuple[int, str]]:
        local = statistics.transitions
        if local is None:
            return []
        moves, told = local.moves + statistics.pseudo, []
        for k in np.flatnonzero(local.counts > 0):
            others = np.flatnonzero(moves[k] <= NEVER * moves[k].sum())
            if self.n_states > 1 and moves[k].sum() - moves[k, k] <= NEVER * moves[k].sum():
                told.append((int(k), "it is never left: the coefficients of its transitions have no finite maximum"))
            elif len(others):
                text = f"it never leads to state {others[0]}: those coefficients have no finite maximum"
                told.append((int(k), text))
            if is_collinear(local.gram[k]):
                told.append((int(k), "the covariates of the rows after it are collinear: leave one of them out"))
        return told

    def sample(self, params: CovariateMarkovParameters, lengths: Array, rng: np.random.Generator) -> Array:
        return self.sample_given(params, demand_given("CovariateMarkovChain", None), rng)

    def sample_given(self, params: CovariateMarkovParameters, given: Batch, rng: np.random.Generator) -> Array:
        transition = params.transition(self._predictors(given))
        path, first = np.empty(len(given), int), set(given.group_offsets[:-1].tolist())
        for t in range(len(path)):
            chances = params.initial if t in first else transition[path[t - 1], :, t]
            path[t] = rng.choice(self.n_states, p=chances / chances.sum())
        return path

    # -- Q of the transitions --------------------------------------------------------------------

    def _expected(self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters) -> float:
        total, local = 0.0, statistics.transitions
        if local is not None:
            delta = self._delta(local, params)
            slope = local.gradient + 0.5 * np.einsum("kpq,kq->kp", local.curvature, delta)
            total += float(local.value.sum() + np.sum(slope * delta))
        if statistics.pseudo.any():
            total += float(np.sum(statistics.pseudo * self._at_origin(params)))
        return total

    def _slope(
        self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Gradient and curvature at `params`, gram and counts, for each state's (K - 1) P coefficients."""
        k, others, p = params.coefficients.shape
        size = others * p
        gradient, curvature, gram = np.zeros((k, size)), np.zeros((k, size, size)), np.zeros((k, p, p))
        counts, local = np.zeros(k), statistics.transitions
        if local is not None:
            gradient += local.gradient + np.einsum("kpq,kq->kp", local.curvature, self._delta(local, params))
            curvature, gram, counts = curvature + local.curvature, gram + local.gram, counts + local.counts
        if statistics.pseudo.any():
            origin = np.zeros((1, p))
            origin[0, 0] = 1.0
            prior = _local(statistics.pseudo[:, :, None], origin, params.coefficients)
            gradient, curvature = gradient + prior.gradient, curvature + prior.curvature
            gram, counts = gram + prior.gram, counts + prior.counts
        return gradient, curvature, gram, counts

    def _step(self, statistics: CovariateMarkovStatistics, params: CovariateMarkovParameters) -> FloatArray:
        gradient, curvature, gram, counts = self._slope(statistics, params)
        if not gradient.size:
            return np.zeros_like(params.coefficients)
        blocks = np.stack([np.kron(np.eye(self.n_states - 1), one) for one in gram])
        return newton_step(gradient, curvature, blocks, counts).reshape(params.coefficients.shape)

    def _delta(self, local: TransitionQ, params: CovariateMarkovParameters) -> FloatArray:
        return (params.coefficients - local.reference.point).reshape(self.n_states, -1)

    def _at_origin(self, params: CovariateMarkovParameters) -> FloatArray:
        """log A at c = (1, 0, …, 0), (K, K)."""
        origin = np.zeros((1, params.coefficients.shape[2]))
        origin[0, 0] = 1.0
        return log_transitions(params.coefficients, origin)[:, :, 0]


def _begun(initial: FloatArray, log_density: FloatArray, batch: Batch) -> FloatArray:
    """Log densities with the logarithm of the initial probability in first rows."""
    begun = np.array(log_density, float)
    with np.errstate(divide="ignore"):
        begun[:, batch.group_offsets[:-1]] += np.log(initial)[:, None]
    return begun


def _local(rows: FloatArray, c: FloatArray, coefficients: FloatArray) -> TransitionQ:
    """Q of transitions ξ (K, K, n) at these coefficients."""
    value, gradient, curvature, counts, gram, moves = transition_derivatives(rows, c, coefficients)
    return TransitionQ(value, gradient, curvature, Reference(coefficients), counts, gram, moves)
