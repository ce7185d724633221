"""Units of a group in sequence: p(z₁ = k) = ιₖ, p(zₜ₊₁ = k | zₜ = j) = Aⱼₖ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..execution.spare import both
from ..kernels.chain import smooth
from ..kernels.chain_blocks import ImpossibleSequence, NeedsLogarithms, smooth_from_both_ends
from ..kernels.simplex import expected_log_simplex, maximize_simplex
from ..model import Latent, LongGroup, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics


@dataclass(frozen=True)
class MarkovChainParameters(Parameters):
    """Initial probabilities ι (K,) and transition matrix A (K, K), rows adding to one."""

    initial: FloatArray = parameter(Simplex())
    transition: FloatArray = parameter(Simplex())


@dataclass(frozen=True)
class MarkovChainStatistics(Statistics):
    """Expected first states (K,) and expected transitions (K, K)."""

    initial: FloatArray
    transitions: FloatArray


@dataclass(frozen=True)
class MarkovChain(Latent[MarkovChainParameters, MarkovChainStatistics]):
    """A Markov chain over the rows of each group; posterior by forward-backward.

    Transitions that start at exactly zero stay at zero (left-to-right and banded chains).
    """

    n_states: int

    def __post_init__(self) -> None:
        if self.n_states < 1:
            raise ParameterError(f"a MarkovChain needs at least one state, got {self.n_states}")

    @property
    def per_group(self) -> bool:
        return True

    def start(self) -> MarkovChainParameters:
        k = self.n_states
        return MarkovChainParameters(np.full(k, 1.0 / k), np.full((k, k), 1.0 / k))

    def posterior(
        self, log_density: FloatArray, batch: Batch, params: MarkovChainParameters
    ) -> tuple[Posterior, FloatArray]:
        probabilities, pairs, log_likelihood = smooth(
            params.initial, params.transition, log_density, batch.group_offsets
        )
        return Posterior(probabilities, pairs=pairs), log_likelihood

    def fold_group(
        self, group: LongGroup, params: MarkovChainParameters
    ) -> tuple[MarkovChainStatistics, float] | None:
        try:
            found = smooth_from_both_ends(
                params.initial, params.transition, group.edges, group.log_density, group.visit, both
            )
        except NeedsLogarithms:
            return None
        except ImpossibleSequence:
            return self.pseudo_statistics(0.0), -np.inf
        return MarkovChainStatistics(found.first, found.pairs), found.log_likelihood

    def statistics(self, posterior: Posterior, batch: Batch) -> MarkovChainStatistics:
        weights = batch.unit_weights(per_group=True)
        first = posterior.probabilities[:, batch.group_offsets[:-1]]
        assert posterior.pairs is not None
        return MarkovChainStatistics(first @ weights, np.tensordot(weights, posterior.pairs, 1))

    def maximize(self, statistics: MarkovChainStatistics, params: MarkovChainParameters) -> MarkovChainParameters:
        return MarkovChainParameters(
            maximize_simplex(statistics.initial, params.initial),
            maximize_simplex(statistics.transitions, params.transition),
        )

    def expected_log_density(self, statistics: MarkovChainStatistics, params: MarkovChainParameters) -> float:
        return expected_log_simplex(statistics.initial, params.initial) + expected_log_simplex(
            statistics.transitions, params.transition
        )

    def pseudo_statistics(self, concentration: float) -> MarkovChainStatistics:
        k = self.n_states
        return MarkovChainStatistics(np.full(k, float(concentration)), np.full((k, k), float(concentration)))

    def sample(self, params: MarkovChainParameters, lengths: Array, rng: np.random.Generator) -> Array:
        return np.concatenate([self._sample_path(params, int(length), rng) for length in lengths])

    def _sample_path(self, params: MarkovChainParameters, length: int, rng: np.random.Generator) -> Array:
        path = np.empty(length, int)
        probabilities = params.initial
        for t in range(length):
            path[t] = rng.choice(self.n_states, p=probabilities)
            probabilities = params.transition[path[t]]
        return path
