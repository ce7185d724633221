"""Units of a group in sequence: p(z₁ = k) = ιₖ, p(zₜ₊₁ = k | zₜ = j) = Aⱼₖ."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..execution.spare import in_pairs
from ..kernels.chain import smooth
from ..kernels.chain_blocks import ImpossibleSequenceError, NeedsLogarithmsError, smooth_from_both_ends
from ..kernels.filtering import sample_paths
from ..kernels.newton import maximize_twice_differentiable
from ..kernels.simplex import expected_log_simplex
from ..kernels.stationary import stationary_curvature, stationary_distribution, stationary_slopes
from ..kernels.viterbi import decode
from ..model import Latent, LongGroup, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics
from .patterns import Pattern, Table, as_table, pattern_of

# A stationary chain's M-step is Newton's up to so many free transition probabilities.  Only a probability that goes to
# zero takes more than so many steps, and goes on at the next M-step.
_MOST_FOR_NEWTON, _MOST_NEWTON = 250, 20
_MOST_CLIMBING = 200


@dataclass(frozen=True)
class MarkovChainParameters(Parameters):
    """Initial probabilities ι (K,) and transition matrix A (K, K), rows adding to one.

    The other fields are those of `MarkovChain`: what is held is no free parameter, what is tied is one, and a
    stationary ι is a function of A.
    """

    initial: FloatArray = parameter(Simplex())
    transition: FloatArray = parameter(Simplex())
    fixed: Table | None = None
    tied: Table | None = None
    fixed_initial: Table | None = None
    stationary: bool = False

    @property
    def pattern(self) -> Pattern:
        """What is free in the transition matrix."""
        return pattern_of(np.shape(self.transition), self.fixed, self.tied, "fixed")

    @property
    def initial_pattern(self) -> Pattern:
        """What is free in the initial probabilities, as a table with one row."""
        return pattern_of((1, len(self.initial)), self.fixed_initial, None, "fixed_initial")

    @property
    def n_free(self) -> int:
        return self.pattern.n_free + (0 if self.stationary else self.initial_pattern.n_free)

    def flatten(self) -> FloatArray:
        transition = self.pattern.flatten(self.transition)
        if self.stationary:
            return transition
        return np.concatenate([self.initial_pattern.flatten(self.initial[None]), transition])

    def unflatten(self, vector: FloatArray) -> MarkovChainParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        own = self.n_free - self.pattern.n_free
        transition = self.pattern.unflatten(vector[own:])
        if self.stationary:
            initial = stationary_distribution(transition)
        else:
            initial = self.initial_pattern.unflatten(vector[:own])[0]
        return replace(self, initial=initial, transition=transition)

    def coordinate_names(self, prefix: str = "") -> list[str]:
        names = self.pattern.names(f"{prefix}transition", one_row=False)
        return names if self.stationary else self.initial_pattern.names(f"{prefix}initial", one_row=True) + names


@dataclass(frozen=True)
class MarkovChainStatistics(Statistics):
    """Expected first states (K,) and expected transitions (K, K)."""

    initial: FloatArray
    transitions: FloatArray


@dataclass(frozen=True)
class MarkovChain(Latent[MarkovChainParameters, MarkovChainStatistics]):
    """A Markov chain over the rows of each group; posterior by forward-backward.

    Transitions that start at exactly zero stay at zero, but count as free parameters; hold them to have them forbidden.

    Attributes
    ----------
    n_states : int
    fixed : (K, K) numbers, optional
        Values at which transition probabilities are held, NaN where they are free; zeros are forbidden transitions.
        `left_to_right`, `banded` and `blocks` make such tables.
    tied : (K, K) whole numbers, optional
        Transitions with the same number have the same probability; NaN where an entry is on its own.  Rows that share a
        probability must share all of them, as many times each.
    fixed_initial : (K,) numbers, optional
        Values at which initial probabilities are held, NaN where they are free.
    stationary : bool
        Whether the initial probabilities are the stationary distribution of the transition matrix.  The M-step is then
        a Newton ascent from the better of the current matrix and the one that would be best without this.

    Raises
    ------
    ParameterError
        Held probabilities that do not add up, ties without exact M-step, no unique stationary distribution.
    """

    n_states: int
    fixed: Any = None
    tied: Any = None
    fixed_initial: Any = None
    stationary: bool = False

    def __post_init__(self) -> None:
        k = self.n_states
        if k < 1:
            raise ParameterError(f"a MarkovChain needs at least one state, got {k}")
        if self.stationary and self.fixed_initial is not None:
            raise ParameterError("the initial probabilities cannot be both held (fixed_initial) and stationary")
        object.__setattr__(self, "fixed", as_table(self.fixed, (k, k), "fixed"))
        object.__setattr__(self, "tied", as_table(self.tied, (k, k), "tied"))
        object.__setattr__(self, "fixed_initial", as_table(self.fixed_initial, (1, k), "fixed_initial"))
        self.start()

    @property
    def per_group(self) -> bool:
        return True

    def start(self) -> MarkovChainParameters:
        k = self.n_states
        even = self._marked(MarkovChainParameters(np.full(k, 1.0 / k), np.full((k, k), 1.0 / k)))
        return self._with(even, even.initial_pattern.start()[0], even.pattern.start())

    def conform(self, params: MarkovChainParameters) -> MarkovChainParameters:
        """Held entries at their values, tied ones at their average; with the marks of what is held and tied."""
        marked = self._marked(params)
        initial = marked.initial_pattern.conform(params.initial[None])[0]
        return self._with(marked, initial, marked.pattern.conform(params.transition))

    def posterior(
        self, log_density: FloatArray, batch: Batch, params: MarkovChainParameters
    ) -> tuple[Posterior, FloatArray]:
        probabilities, pairs, log_likelihood = smooth(
            params.initial, params.transition, log_density, batch.group_offsets
        )
        return Posterior(probabilities, pairs=pairs), log_likelihood

    def tempered(
        self, log_density: FloatArray, batch: Batch, params: MarkovChainParameters, beta: float
    ) -> tuple[Posterior, FloatArray]:
        """Forward-backward on powers of all probabilities: its recursions do not ask that they add to one."""
        probabilities, pairs, total = smooth(
            params.initial**beta, params.transition**beta, beta * log_density, batch.group_offsets
        )
        return Posterior(probabilities, pairs=pairs), total

    def decode(
        self, log_density: FloatArray, batch: Batch, params: MarkovChainParameters
    ) -> tuple[Array, FloatArray]:
        return decode(params.initial, params.transition, log_density, batch.group_offsets)

    def draw(
        self, log_density: FloatArray, batch: Batch, params: MarkovChainParameters, rng: np.random.Generator
    ) -> Array:
        return sample_paths(params.initial, params.transition, log_density, batch.group_offsets, rng, 1)[0]

    def fold_group(
        self, group: LongGroup, params: MarkovChainParameters
    ) -> tuple[MarkovChainStatistics, float] | None:
        try:
            found = smooth_from_both_ends(
                params.initial, params.transition, group.edges, group.log_density, group.visit, in_pairs
            )
        except NeedsLogarithmsError:
            return None
        except ImpossibleSequenceError:
            return self.pseudo_statistics(0.0), -np.inf
        return MarkovChainStatistics(found.first, found.pairs), found.log_likelihood

    def statistics(self, posterior: Posterior, batch: Batch) -> MarkovChainStatistics:
        weights = batch.unit_weights(per_group=True)
        first = posterior.probabilities[:, batch.group_offsets[:-1]]
        assert posterior.pairs is not None
        return MarkovChainStatistics(first @ weights, np.tensordot(weights, posterior.pairs, 1))

    def maximize(self, statistics: MarkovChainStatistics, params: MarkovChainParameters) -> MarkovChainParameters:
        transition = params.pattern.maximize(statistics.transitions, params.transition)
        initial = params.initial_pattern.maximize(statistics.initial[None], params.initial[None])[0]
        if not params.stationary:
            return replace(params, initial=initial, transition=transition)
        return self._ascend(statistics, params, transition)

    def expected_log_density(self, statistics: MarkovChainStatistics, params: MarkovChainParameters) -> float:
        return expected_log_simplex(statistics.initial, params.initial) + expected_log_simplex(
            statistics.transitions, params.transition
        )

    def score(self, statistics: MarkovChainStatistics, params: MarkovChainParameters) -> FloatArray:
        totals = statistics.transitions
        if params.stationary:
            slopes = stationary_slopes(params.transition, params.initial, statistics.initial)
            return params.pattern.score(totals + params.transition * slopes, params.transition)
        initial = params.initial_pattern.score(statistics.initial[None], params.initial[None])
        return np.concatenate([initial, params.pattern.score(totals, params.transition)])

    def pseudo_statistics(self, concentration: float) -> MarkovChainStatistics:
        """Counts of what is free; a stationary start has none of its own."""
        start = self.start()
        first = start.initial_pattern.group[0] >= 0
        counts = np.where(first & (not self.stationary), float(concentration), 0.0)
        return MarkovChainStatistics(counts, np.where(start.pattern.group >= 0, float(concentration), 0.0))

    def sample(self, params: MarkovChainParameters, lengths: Array, rng: np.random.Generator) -> Array:
        return np.concatenate([self._sample_path(params, int(length), rng) for length in lengths])

    def _sample_path(self, params: MarkovChainParameters, length: int, rng: np.random.Generator) -> Array:
        """By inversion: the first state whose cumulative probability exceeds a uniform number."""
        rows = [_cumulative(row) for row in params.transition]
        path, odds = np.empty(length, int), _cumulative(params.initial)
        for t, uniform in enumerate(rng.random(length).tolist()):
            path[t] = state = bisect_right(odds, uniform)
            odds = rows[state]
        return path

    def _marked(self, params: MarkovChainParameters) -> MarkovChainParameters:
        return replace(
            params,
            fixed=self.fixed,
            tied=self.tied,
            fixed_initial=self.fixed_initial,
            stationary=self.stationary,
        )

    def _with(
        self, params: MarkovChainParameters, initial: FloatArray, transition: FloatArray
    ) -> MarkovChainParameters:
        if params.stationary:
            initial = stationary_distribution(transition)
        return replace(params, initial=initial, transition=transition)

    def _ascend(
        self, statistics: MarkovChainStatistics, params: MarkovChainParameters, without: FloatArray
    ) -> MarkovChainParameters:
        """From the better of the current transition matrix and the best one without regard to the start."""

        def q(point: MarkovChainParameters) -> float:
            return self.expected_log_density(statistics, point)

        candidates = [params]
        with suppress(ParameterError):  # where it falls into parts it is no start
            candidates.append(self._with(params, params.initial, without))
        begin = max(candidates, key=q)
        start = begin.flatten()
        if not len(start) or not np.isfinite(q(begin)):
            return begin
        if len(start) > _MOST_FOR_NEWTON:
            vector = self._climb(statistics, begin, start)
        else:
            vector = maximize_twice_differentiable(
                lambda x: self._derivatives(statistics, begin.unflatten(x)), start, _MOST_NEWTON
            )
        return max((params, begin, begin.unflatten(vector)), key=q)

    def _derivatives(
        self, statistics: MarkovChainStatistics, params: MarkovChainParameters
    ) -> tuple[float, FloatArray, FloatArray]:
        """Q, its gradient and its Hessian in the coordinates of a stationary chain."""
        pattern, (a, initial) = params.pattern, (params.transition, params.initial)
        slopes = a * stationary_slopes(a, initial, statistics.initial)
        curvature = stationary_curvature(a, initial, statistics.initial, pattern.group, len(pattern.times))
        bends = np.bincount(pattern.group[pattern.group >= 0], slopes[pattern.group >= 0], len(pattern.times))
        totals = statistics.transitions + slopes
        return (
            self.expected_log_density(statistics, params),
            pattern.score(totals, a),
            pattern.hessian(totals, curvature + np.diag(bends), a),
        )

    def _climb(
        self, statistics: MarkovChainStatistics, begin: MarkovChainParameters, start: FloatArray
    ) -> FloatArray:
        """By limited memory, where the Hessian would be large."""

        def loss(vector: FloatArray) -> tuple[float, FloatArray]:
            try:
                params = begin.unflatten(vector)
                value, slope = self.expected_log_density(statistics, params), self.score(statistics, params)
            except ValueError:  # where it falls into parts
                return np.inf, np.zeros_like(vector)
            return -value, -slope

        options = {"maxiter": _MOST_CLIMBING, "ftol": 1e-14, "gtol": 1e-9, "maxls": 40}
        with np.errstate(all="ignore"):
            found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        return np.asarray(found.x) if np.isfinite(found.fun) else start


def _cumulative(probabilities: FloatArray) -> list[float]:
    """Cumulative probabilities; from the last possible state on 1, above every uniform number."""
    total = np.cumsum(probabilities)
    last = np.flatnonzero(probabilities)[-1]
    return [*total[:last].tolist(), *[1.0] * (len(total) - last)]
