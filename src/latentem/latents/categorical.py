"""Independent units, each in one of K states: p(z = k) = πₖ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..kernels.filtering import draw_states
from ..kernels.normalize import normalize_states
from ..kernels.simplex import expected_log_simplex, maximize_simplex
from ..model import Latent, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics


@dataclass(frozen=True)
class CategoricalParameters(Parameters):
    """Weights π, shape (K,).

    Weights of the states in `fixed` are held: they are no free parameters, and the others share what they leave.
    """

    weights: FloatArray = parameter(Simplex())
    fixed: tuple[int, ...] = ()

    @property
    def n_free(self) -> int:
        return max(0, int(self._free.sum()) - 1)

    def flatten(self) -> FloatArray:
        free = self.weights[self._free]
        return Simplex().flatten(free / (free.sum() or 1.0)) if len(free) else np.empty(0)

    def unflatten(self, vector: FloatArray) -> CategoricalParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        weights, free = np.array(self.weights, float), self._free
        if free.any():
            weights[free] = Simplex().unflatten(vector, (int(free.sum()),)) * (1.0 - weights[~free].sum())
        return replace(self, weights=weights)

    @property
    def _free(self) -> Array:
        return ~np.isin(np.arange(len(self.weights)), self.fixed)


@dataclass(frozen=True)
class CategoricalStatistics(Statistics):
    """Expected counts of the states, shape (K,)."""

    counts: FloatArray


@dataclass(frozen=True)
class Categorical(Latent[CategoricalParameters, CategoricalStatistics]):
    """p(z = k) = πₖ; posterior by enumeration, p(k | x) ∝ πₖ p(x | k).

    Attributes
    ----------
    n_states : int
    fixed : tuple of int
        States whose weight stays at its starting value.
    """

    n_states: int
    fixed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.n_states < 1:
            raise ParameterError(f"a Categorical needs at least one state, got {self.n_states}")
        if not set(self.fixed) <= set(range(self.n_states)):
            raise ParameterError(f"fixed must name states from 0 to {self.n_states - 1}, got {self.fixed}")

    def log_states(self, params: CategoricalParameters) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(params.weights))

    def start(self) -> CategoricalParameters:
        return CategoricalParameters(np.full(self.n_states, 1.0 / self.n_states), self.fixed)

    def conform(self, params: CategoricalParameters) -> CategoricalParameters:
        return replace(params, fixed=self.fixed)

    def posterior(
        self, log_density: FloatArray, batch: Batch, params: CategoricalParameters
    ) -> tuple[Posterior, FloatArray]:
        log_density += self.log_states(params)[:, None]
        log_likelihood = normalize_states(log_density)
        return Posterior(log_density), log_likelihood

    def tempered(
        self, log_density: FloatArray, batch: Batch, params: CategoricalParameters, beta: float
    ) -> tuple[Posterior, FloatArray]:
        joint = beta * (log_density + self.log_states(params)[:, None])
        total = normalize_states(joint)
        return Posterior(joint), total

    def decode(
        self, log_density: FloatArray, batch: Batch, params: CategoricalParameters
    ) -> tuple[Array, FloatArray]:
        joint = log_density + self.log_states(params)[:, None]
        states, best = joint.argmax(axis=0), joint.max(axis=0)
        return np.where(best > -np.inf, states, -1), best

    def draw(
        self, log_density: FloatArray, batch: Batch, params: CategoricalParameters, rng: np.random.Generator
    ) -> Array:
        joint = log_density + self.log_states(params)[:, None]
        possible = joint.max(axis=0) > -np.inf
        joint[:, ~possible] = 0.0
        return np.where(possible, draw_states(joint, np.asarray(rng.random(joint.shape[1]))), -1)

    def statistics(self, posterior: Posterior, batch: Batch) -> CategoricalStatistics:
        return CategoricalStatistics(posterior.responsibilities.sum(axis=1))

    def maximize(self, statistics: CategoricalStatistics, params: CategoricalParameters) -> CategoricalParameters:
        held = np.isin(np.arange(self.n_states), self.fixed)
        return replace(params, weights=maximize_simplex(statistics.counts, params.weights, held))

    def expected_log_density(self, statistics: CategoricalStatistics, params: CategoricalParameters) -> float:
        return expected_log_simplex(statistics.counts, params.weights)

    def score(self, statistics: CategoricalStatistics, params: CategoricalParameters) -> FloatArray:
        """∂Q / ∂ log(πₖ / π_K) = cₖ - πₖ Σc / Σπ over the free states."""
        counts, weights = statistics.counts[params._free], params.weights[params._free]
        shares = weights / (weights.sum() or 1.0)
        return np.asarray((counts - shares * counts.sum())[:-1])

    def pseudo_statistics(self, concentration: float) -> CategoricalStatistics:
        return CategoricalStatistics(np.full(self.n_states, float(concentration)))

    def sample(self, params: CategoricalParameters, lengths: Array, rng: np.random.Generator) -> Array:
        return rng.choice(self.n_states, size=int(np.sum(lengths)), p=params.weights)
