"""Units of a group in sequence, in stays whose lengths have distributions of their own: the explicit-duration chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..kernels.semi_markov import decode_stays, smooth_stays
from ..kernels.simplex import expected_log_simplex, maximize_simplex, simplex_score
from ..model import Latent, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics
from .durations import KINDS, Durations

# A share of stays of the longest duration from which on there may be longer ones.
MANY_AT_THE_END = 0.05
NEVER = 1e-8


@dataclass(frozen=True)
class SemiMarkovParameters(Parameters):
    """Where a semi-Markov chain begins, where a state leads when it is left, and how long it lasts.

    Attributes
    ----------
    initial : (K,)
    jumps : (K, K - 1)
        Probabilities of the other states, in their order, after a stay in k.
    durations : FreeDurations, PoissonDurations or NegativeBinomialDurations
    """

    initial: FloatArray = parameter(Simplex())
    jumps: FloatArray = parameter(Simplex())
    durations: Any = None

    @property
    def transition(self) -> FloatArray:
        """(K, K): the jumps with zeros on the diagonal."""
        k = len(self.initial)
        matrix = np.zeros((k, k))
        matrix[~np.eye(k, dtype=bool)] = self.jumps.ravel()
        return matrix


@dataclass(frozen=True)
class SemiMarkovStatistics(Statistics):
    """Expected first states (K,), jumps (K, K - 1), and stays (K, D) that ended and that sequences cut off."""

    initial: FloatArray
    jumps: FloatArray
    ended: FloatArray
    censored: FloatArray


@dataclass(frozen=True)
class StayPosterior(Posterior):
    """A posterior with the expected stays of each group, (G, K, D): those that ended, and those cut off at its end."""

    ended: FloatArray | None = None
    censored: FloatArray | None = None


@dataclass(frozen=True)
class SemiMarkovChain(Latent[SemiMarkovParameters, SemiMarkovStatistics]):
    """Stays of d rows in state s, then in another: p(z) = ι(s₁) Πᵢ p(dᵢ | sᵢ) A(sᵢ, sᵢ₊₁) · P(duration ≥ d | s_last).

    No state follows itself.  A stay begins in the first row of a sequence; the last one is cut off where the sequence
    ends (right-censored), and counts by the probability of lasting at least so long.

    Attributes
    ----------
    n_states : int
    max_duration : int
        D, the longest stay.  An iteration takes O(T K (K + D)).
    durations : {"free", "poisson", "negative-binomial"}
        A probability for each duration; or duration - 1 Poisson or negative binomial, cut off at D.

    Raises
    ------
    ParameterError
        Fewer than two states, no durations, or another name.

    Notes
    -----
    A prior's concentration adds pseudo-counts to initial states and jumps, and to free durations; parametric durations
    have no prior.
    """

    n_states: int
    max_duration: int
    durations: str = "free"

    def __post_init__(self) -> None:
        if self.n_states < 2:
            raise ParameterError(
                f"a SemiMarkovChain needs at least two states, since none follows itself; got {self.n_states}"
            )
        if isinstance(self.max_duration, bool) or not isinstance(self.max_duration, int) or self.max_duration < 1:
            raise ParameterError(f"max_duration must be a whole number of at least 1, got {self.max_duration!r}")
        if self.durations not in KINDS:
            raise ParameterError(f"durations must be one of {', '.join(KINDS)}, got {self.durations!r}")

    @property
    def per_group(self) -> bool:
        return True

    @property
    def _kind(self) -> Durations:
        return KINDS[self.durations]

    def start(self) -> SemiMarkovParameters:
        k = self.n_states
        jumps = np.full((k, k - 1), 1.0 / (k - 1))
        return SemiMarkovParameters(np.full(k, 1.0 / k), jumps, self._kind.start(k, self.max_duration))

    def duration_table(self, params: SemiMarkovParameters) -> FloatArray:
        """p_k(d) for d = 1 … D, (K, D)."""
        table = self._kind.table(params.durations, self.max_duration)
        if table.shape != (self.n_states, self.max_duration):
            raise ParameterError(
                f"the durations have shape {table.shape}, expected {(self.n_states, self.max_duration)}: n_states and "
                "max_duration"
            )
        return table

    def posterior(
        self, log_density: FloatArray, batch: Batch, params: SemiMarkovParameters
    ) -> tuple[StayPosterior, FloatArray]:
        stays = smooth_stays(
            params.initial, params.transition, self.duration_table(params), log_density, batch.group_offsets
        )
        posterior = StayPosterior(
            stays.probabilities, pairs=stays.pairs, ended=stays.ended, censored=stays.censored
        )
        return posterior, stays.log_likelihood

    def decode(
        self, log_density: FloatArray, batch: Batch, params: SemiMarkovParameters
    ) -> tuple[Array, FloatArray]:
        """The most probable states (n,) with their stays, and log p(x, z) of each group; -1 where none is possible."""
        return decode_stays(
            params.initial, params.transition, self.duration_table(params), log_density, batch.group_offsets
        )

    def statistics(self, posterior: Posterior, batch: Batch) -> SemiMarkovStatistics:
        assert isinstance(posterior, StayPosterior)
        assert posterior.pairs is not None
        assert posterior.ended is not None
        assert posterior.censored is not None
        weights = batch.unit_weights(per_group=True)
        first = posterior.probabilities[:, batch.group_offsets[:-1]]
        return SemiMarkovStatistics(
            first @ weights,
            self._off_diagonal(np.tensordot(weights, posterior.pairs, 1)),
            np.tensordot(weights, posterior.ended, 1),
            np.tensordot(weights, posterior.censored, 1),
        )

    def maximize(self, statistics: SemiMarkovStatistics, params: SemiMarkovParameters) -> SemiMarkovParameters:
        return replace(
            params,
            initial=maximize_simplex(statistics.initial, params.initial),
            jumps=maximize_simplex(statistics.jumps, params.jumps),
            durations=self._kind.maximize(statistics.ended, statistics.censored, params.durations),
        )

    def expected_log_density(self, statistics: SemiMarkovStatistics, params: SemiMarkovParameters) -> float:
        moves = expected_log_simplex(statistics.initial, params.initial)
        moves += expected_log_simplex(statistics.jumps, params.jumps)
        return moves + self._kind.expected_log_density(statistics.ended, statistics.censored, params.durations)

    def score(self, statistics: SemiMarkovStatistics, params: SemiMarkovParameters) -> FloatArray:
        return np.concatenate(
            [
                simplex_score(statistics.initial, params.initial),
                simplex_score(statistics.jumps, params.jumps),
                self._kind.score(statistics.ended, statistics.censored, params.durations),
            ]
        )

    def pseudo_statistics(self, concentration: float) -> SemiMarkovStatistics:
        k, even = self.n_states, float(concentration)
        ended = self._kind.pseudo_counts(even, k, self.max_duration)
        return SemiMarkovStatistics(
            np.full(k, even), np.full((k, k - 1), even), ended, np.zeros_like(ended)
        )

    def findings(self, statistics: SemiMarkovStatistics, params: SemiMarkovParameters) -> list[tuple[int, str]]:
        ended = statistics.ended.sum(axis=1)
        longest = statistics.ended[:, -1] + statistics.censored[:, -1]
        stays = ended + statistics.censored.sum(axis=1)
        never = np.flatnonzero(ended <= NEVER * stays)
        told = [(int(k), "it is never left: nothing tells how long it lasts") for k in never]
        told += [
            (int(k), f"{longest[k] / stays[k]:.0%} of its stays last max_duration={self.max_duration} rows: raise it")
            for k in np.flatnonzero((longest > MANY_AT_THE_END * stays) & (stays > 0))
        ]
        return told + self._kind.findings(params.durations)

    def sample(self, params: SemiMarkovParameters, lengths: Array, rng: np.random.Generator) -> Array:
        table, transition = self.duration_table(params), params.transition
        return np.concatenate([self._path(params.initial, transition, table, int(n), rng) for n in lengths])

    def _path(
        self, initial: FloatArray, transition: FloatArray, table: FloatArray, length: int, rng: np.random.Generator
    ) -> Array:
        path, t = np.empty(length, int), 0
        state = rng.choice(self.n_states, p=initial)
        while t < length:
            lasting = 1 + rng.choice(self.max_duration, p=table[state])
            path[t : t + lasting] = state
            t += lasting
            state = rng.choice(self.n_states, p=transition[state])
        return path

    def _off_diagonal(self, matrix: FloatArray) -> FloatArray:
        k = self.n_states
        return matrix[~np.eye(k, dtype=bool)].reshape(k, k - 1)
