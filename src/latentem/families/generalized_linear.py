"""Responses with a distribution of their own whose linear predictor η = cᵀβ regresses on covariates.

Q has no finite sufficient statistics: the E-step carries its value, gradient and curvature in β at θₜ, and the M-step
is one Newton step (iteratively reweighted least squares; McCullagh and Nelder 1989, section 2.5), an EM-gradient step.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels.linear_predictor import is_collinear, newton_step
from ..model import Family, Posterior
from ..parameters import Parameters, Real, parameter
from ..predictors import Predictors, demand_given
from ..statistics import LocalQ, Reference
from .columnwise import check_support, weighted_column_mean
from .gaussian_regression import COLLINEAR, EMPTY

# Linear predictors beyond count as these, so that their exponentials and sums of those stay finite.
LARGEST_PREDICTOR = 300.0
# Weights of Newton's step below this share of their largest possible: the fit is at the edge of what can be.
DEGENERATE = 1e-6


@dataclass(frozen=True)
class CoefficientParameters(Parameters):
    """Coefficients β (K, M, P) of M responses on P predictors."""

    coefficients: FloatArray = parameter(Real())


@dataclass(frozen=True)
class PredictorQ(LocalQ):
    """`LocalQ` for each component and response in its coefficients, and the second moments of the predictors.

    Attributes
    ----------
    counts : (K, M)
        Σ r over the rows where the response is observed.
    gram : (K, M, P, P)
        Σ r c cᵀ over those.
    """

    counts: FloatArray
    gram: FloatArray


class GeneralizedLinear(Family[CoefficientParameters, PredictorQ]):
    """p(y | η) of each response with η = β_kᵀ c, in the canonical link; responses independent given the state.

    A new family says: its support (`invalid`), log p(y | η) (`log_pdf`), mean and variance of y (`moments`), the η of a
    mean (`link`), and `draw`.
    """

    columns: tuple[int, ...] | None
    intercept: bool
    support: str = ""

    @property
    def additive(self) -> bool:
        return False

    def __post_init__(self) -> None:
        self._predictors  # noqa: B018 - checks the options

    @abstractmethod
    def invalid(self, y: FloatArray) -> Array:
        """(n, M) bool: responses outside the support."""

    @abstractmethod
    def log_pdf(self, y: FloatArray, eta: FloatArray) -> FloatArray:
        """log p(y | η), entry by entry."""

    @abstractmethod
    def moments(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of y given η: the derivatives of the log partition."""

    @abstractmethod
    def link(self, mean: FloatArray) -> FloatArray:
        """η of a mean, finite also at the edge of what means can be."""

    @abstractmethod
    def draw(self, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
        """y for each entry of η."""

    @property
    @abstractmethod
    def told_when_degenerate(self) -> str:
        """What a user should know where almost no row has a variance left."""

    @property
    def _predictors(self) -> Predictors:
        return Predictors(type(self).__name__, self.columns, self.intercept)

    def check(self, batch: Batch) -> None:
        self._predictors.check(batch)
        check_support(batch, self.invalid, f"{type(self).__name__} takes {self.support}")

    def start(self, batch: Batch, n_components: int) -> CoefficientParameters:
        coefficients = np.zeros((n_components, batch.n_columns, self._predictors(batch).shape[1]))
        if self.intercept:
            coefficients[:, :, 0] = self.link(weighted_column_mean(batch))
        return CoefficientParameters(coefficients)

    def log_density(self, batch: Batch, params: CoefficientParameters) -> FloatArray:
        y, observed = _filled(batch)
        logs = [self.log_pdf(y, self._eta(batch, params, k)) for k in range(len(params.coefficients))]
        return np.stack([(log if observed is None else np.where(observed, log, 0.0)).sum(axis=1) for log in logs])

    def statistics(self, batch: Batch, posterior: Posterior, params: CoefficientParameters) -> PredictorQ:
        (y, observed), c = _filled(batch), self._predictors(batch)
        blocks = []
        for k, r in enumerate(posterior.responsibilities):
            eta = self._eta(batch, params, k)
            mean, variance = self.moments(eta)
            weights = np.broadcast_to(r[:, None], y.shape) if observed is None else r[:, None] * observed
            value, gradient = (weights * self.log_pdf(y, eta)).sum(axis=0), (weights * (y - mean)).T @ c
            curvature, gram = -_grams(c, weights * variance), _grams(c, weights)
            blocks.append((value, gradient, curvature, weights.sum(axis=0), gram))
        value, gradient, curvature, counts, gram = (np.stack(part) for part in zip(*blocks, strict=True))
        return PredictorQ(value, gradient, curvature, Reference(params.coefficients), counts, gram)

    def maximize(self, statistics: PredictorQ, params: CoefficientParameters) -> CoefficientParameters:
        step = newton_step(statistics.gradient, statistics.curvature, statistics.gram, statistics.counts)
        return CoefficientParameters(statistics.reference.point + step)

    def expected_log_density(self, statistics: PredictorQ, params: CoefficientParameters) -> float:
        """The quadratic model of Q about the reference: value + gᵀδ + ½ δᵀHδ."""
        delta = params.coefficients - statistics.reference.point
        slope = statistics.gradient + 0.5 * np.einsum("kmpq,kmq->kmp", statistics.curvature, delta)
        return float(np.sum(statistics.value) + np.sum(slope * delta))

    def score(self, statistics: PredictorQ, params: CoefficientParameters) -> FloatArray:
        delta = params.coefficients - statistics.reference.point
        return np.ravel(statistics.gradient + np.einsum("kmpq,kmq->kmp", statistics.curvature, delta))

    def findings(self, statistics: PredictorQ, params: CoefficientParameters) -> list[tuple[int, str]]:
        filled = statistics.counts > EMPTY
        size = np.trace(statistics.gram, axis1=2, axis2=3)
        flat = -np.trace(statistics.curvature, axis1=2, axis2=3) <= DEGENERATE * size
        loose = np.flatnonzero((is_collinear(statistics.gram) & filled).any(axis=1))
        edge = np.flatnonzero((flat & filled).any(axis=1))
        return [(int(k), COLLINEAR) for k in loose] + [(int(k), self.told_when_degenerate) for k in edge]

    def points(self, batch: Batch) -> None:
        """None: responses lie apart by their covariates as much as by their components."""

    def sample(self, params: CoefficientParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.sample_given(params, states, None, rng)

    def sample_given(
        self, params: CoefficientParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        c = self._predictors(demand_given(type(self).__name__, given))
        return self.draw(_within(np.einsum("nmp,np->nm", params.coefficients[states], c)), rng)

    def _eta(self, batch: Batch, params: CoefficientParameters, k: int) -> FloatArray:
        return _within(self._predictors(batch) @ params.coefficients[k].T)


def _within(eta: FloatArray) -> FloatArray:
    return np.clip(eta, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)


def _filled(batch: Batch) -> tuple[FloatArray, Array | None]:
    """The responses, zeros (which every support here holds) where they are missing, and which are not."""
    if not batch.missing:
        return batch.values, None
    return np.where(batch.observed, batch.values, 0.0), batch.observed


def _grams(c: FloatArray, weights: FloatArray) -> FloatArray:
    """Σₙ wₙₘ c cᵀ for each response, (M, P, P)."""
    return np.stack([(c * column[:, None]).T @ c for column in weights.T])
