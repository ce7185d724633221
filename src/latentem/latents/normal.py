"""Independent units, each with a vector z ~ N(m, V), seen through a linear Gaussian emission."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form, LinearGaussianDensity
from ..errors import ParameterError
from ..kernels.cholesky import log_cholesky_score
from ..kernels.gaussian import LOG_2PI, inverse_factors, keep_definite
from ..kernels.linear_gaussian import Presence, infer
from ..model import Latent, Posterior
from ..parameters import Parameters, PositiveDefinite, Real, parameter
from ..statistics import Statistics

SMALLEST_COUNT = 1e-150


@dataclass(frozen=True)
class NormalParameters(Parameters):
    """Mean m (q,) and covariance V (q, q) of z; what `free` does not name is held, and no free parameter."""

    mean: FloatArray = parameter(Real())
    covariance: FloatArray = parameter(PositiveDefinite())
    free: tuple[str, ...] = ()

    @property
    def n_free(self) -> int:
        return sum(domain.n_free(np.shape(value)) for value, domain in self._free())

    def flatten(self) -> FloatArray:
        return np.concatenate([np.empty(0), *(domain.flatten(value) for value, domain in self._free())])

    def unflatten(self, vector: FloatArray) -> NormalParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        changes: dict[str, Any] = {}
        start = 0
        for name, value, domain in self._leaves():
            if name in self.free:
                stop = start + domain.n_free(np.shape(value))
                changes[name] = domain.unflatten(vector[start:stop], np.shape(value))
                start = stop
        return replace(self, **changes)

    def _free(self) -> list[tuple[FloatArray, Any]]:
        return [(value, domain) for name, value, domain in self._leaves() if name in self.free]


@dataclass(frozen=True)
class NormalStatistics(Statistics):
    """Σ w (), Σ w E[z] (q,) and Σ w E[z zᵀ] (q, q)."""

    count: FloatArray
    first: FloatArray
    second: FloatArray


@dataclass(frozen=True, init=False)
class Normal(Latent[NormalParameters, NormalStatistics]):
    """z is real: a number, `Normal()`, or a vector of q, `Normal(q)`.

    With a linear Gaussian family z ~ N(0, I), unless `free` says otherwise, and its posterior is normal too.
    In a declared model the name says what z usually is; the joint density says what it is.

    Parameters
    ----------
    *sizes : int
        q, or nothing for a number; `shape` says the same as a tuple.
    free : tuple of {"mean", "covariance"}
        What is estimated of N(m, V).  With free loadings and offset neither can be told from them.
    expand : bool
        Whether M-steps are parameter-expanded (`expansion`), where N(0, I) is held and the family can absorb it.
    """

    shape: tuple[int, ...]
    free: tuple[str, ...]
    expand: bool

    def __init__(
        self, *sizes: int, shape: tuple[int, ...] = (), free: tuple[str, ...] = (), expand: bool = True
    ) -> None:
        shape = (*sizes, *shape)
        if len(shape) > 1 or not all(_is_whole(d) and d >= 1 for d in shape):
            raise ParameterError(f"Normal is a number, Normal(), or a vector of d numbers, Normal(d); got {shape}")
        if not isinstance(free, tuple | list) or not set(free) <= {"mean", "covariance"}:
            raise ParameterError(f'free is a tuple of "mean" and "covariance", got {free!r}')
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "free", tuple(free))
        object.__setattr__(self, "expand", bool(expand))

    def __repr__(self) -> str:
        options = ([f"free={self.free!r}"] if self.free else []) + ([] if self.expand else ["expand=False"])
        return f"Normal({', '.join([*map(str, self.shape), *options])})"

    @property
    def form(self) -> Form:
        return Form.LINEAR_GAUSSIAN

    @property
    def size(self) -> int:
        return self.shape[0] if self.shape else 1

    def start(self) -> NormalParameters:
        return NormalParameters(np.zeros(self.size), np.eye(self.size), self.free)

    def conform(self, params: NormalParameters) -> NormalParameters:
        return replace(params, free=self.free)

    def posterior(
        self, log_density: LinearGaussianDensity, batch: Batch, params: NormalParameters
    ) -> tuple[Posterior, FloatArray]:
        """With z = m + C u, V = C Cᵀ and u ~ N(0, I): the posterior of u, brought back to z."""
        if log_density.size != self.size:
            raise ParameterError(f"the loadings have {log_density.size} columns, but z has {self.size} coordinates")
        if log_density.varies:
            raise ParameterError(
                "Normal takes loadings and noise that are the same in all rows; join NormalChain with a family that "
                "has loadings_by or noise_by"
            )
        loadings, deviations = log_density.loadings, log_density.deviations
        presence = presence_of(log_density, batch)
        plain = not np.any(params.mean) and np.array_equal(params.covariance, np.eye(self.size))
        if plain:
            means, covariance, log_likelihood = infer(deviations, presence, loadings, log_density.noise)
            return Posterior(mean=means, covariance=covariance), log_likelihood
        factor = np.linalg.cholesky(params.covariance)
        deviations = np.where(log_density.observed, deviations - loadings @ params.mean, 0.0)
        means, covariance, log_likelihood = infer(deviations, presence, loadings @ factor, log_density.noise)
        posterior = Posterior(mean=params.mean + means @ factor.T, covariance=factor @ covariance @ factor.T)
        return posterior, log_likelihood

    def statistics(self, posterior: Posterior, batch: Batch) -> NormalStatistics:
        weights = np.ones(len(batch)) if posterior.weights is None else posterior.weights
        mean, covariance = posterior.moments
        second = (mean.T * weights) @ mean
        shared = len(covariance) == 1 < len(weights)
        second += weights.sum() * covariance[0] if shared else np.tensordot(weights, covariance, 1)
        return NormalStatistics(weights.sum(), weights @ mean, second)

    def maximize(self, statistics: NormalStatistics, params: NormalParameters) -> NormalParameters:
        if statistics.count <= SMALLEST_COUNT:
            return params
        mean = statistics.first / statistics.count if "mean" in self.free else params.mean
        if "covariance" not in self.free:
            return replace(params, mean=mean)
        scatter = _scatter(statistics, mean) / statistics.count
        return replace(params, mean=mean, covariance=keep_definite(scatter[None])[0])

    def expansion(self, statistics: NormalStatistics) -> tuple[FloatArray, FloatArray] | None:
        if self.free or not self.expand or statistics.count <= SMALLEST_COUNT:
            return None
        mean = statistics.first / statistics.count
        scatter = _scatter(statistics, mean) / statistics.count
        return mean, np.linalg.cholesky(keep_definite(scatter[None])[0])

    def expected_log_density(self, statistics: NormalStatistics, params: NormalParameters) -> float:
        whiten = inverse_factors(params.covariance[None])[0]
        log_scale = np.log(np.diagonal(whiten)).sum() - 0.5 * self.size * LOG_2PI
        quadratic = np.sum((whiten.T @ whiten) * _scatter(statistics, params.mean))
        return float(statistics.count * log_scale - 0.5 * quadratic)

    def score(self, statistics: NormalStatistics, params: NormalParameters) -> FloatArray:
        whiten = inverse_factors(params.covariance[None])
        parts = {
            "mean": whiten[0].T @ whiten[0] @ (statistics.first - statistics.count * params.mean),
            "covariance": log_cholesky_score(
                whiten, _scatter(statistics, params.mean)[None], np.atleast_1d(statistics.count)
            )[0],
        }
        return np.concatenate([np.empty(0), *(part for name, part in parts.items() if name in params.free)])

    def pseudo_statistics(self, concentration: float) -> NormalStatistics:
        """None: there are no states that a Dirichlet prior could count (the model refuses other concentrations)."""
        return NormalStatistics(np.zeros(()), np.zeros(self.size), np.zeros((self.size, self.size)))

    def sample(self, params: NormalParameters, lengths: Array, rng: np.random.Generator) -> FloatArray:
        """Vectors z for groups of these lengths, (n, q)."""
        noise = rng.standard_normal((int(np.sum(lengths)), self.size))
        return np.asarray(params.mean + noise @ np.linalg.cholesky(params.covariance).T)


def presence_of(density: LinearGaussianDensity, batch: Batch) -> Presence:
    """Which entries the rows have, found once a batch."""
    if not density.missing:
        return Presence.complete(*density.values.shape)
    if density.values is not batch.values:
        return Presence.of(density.observed)
    return batch.once("presence", lambda: Presence.of(density.observed))


def _scatter(statistics: NormalStatistics, mean: FloatArray) -> FloatArray:
    """Σ w E[(z - m)(z - m)ᵀ]."""
    cross = np.outer(statistics.first, mean)
    return np.asarray(statistics.second - cross - cross.T + statistics.count * np.outer(mean, mean))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
