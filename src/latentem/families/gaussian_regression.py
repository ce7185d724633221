"""Gaussian rows whose mean is linear in a vector of predictors: what `LinearRegression` and `Autoregression` share.

Statistics are moments about the current fit, e = y - B c at θₜ: Σ r c cᵀ, Σ r c eᵀ and Σ r e eᵀ add over rows, move to
any other coefficients exactly, and do not cancel where the fit is good.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..kernels import gaussian as kernel
from ..kernels.cholesky import log_cholesky_score
from ..kernels.linear_predictor import is_collinear, solve_normal
from ..model import Family, Held, Posterior, hold
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..statistics import Reference, Statistics

# Below this an expected count cannot be divided by; weights may be of any scale.
EMPTY = 1e-150
COVARIANCES = ("full", "diagonal")


@dataclass(frozen=True)
class DiagonalRegressionParameters(Parameters):
    """Coefficients B (K, M, P) of M responses on P predictors, and variances (K, M)."""

    coefficients: FloatArray = parameter(Real())
    variances: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class FullRegressionParameters(Parameters):
    """Coefficients B (K, M, P) of M responses on P predictors, and covariances (K, M, M)."""

    coefficients: FloatArray = parameter(Real())
    covariances: FloatArray = parameter(PositiveDefinite())

    @cached_property
    def whiten(self) -> FloatArray:
        return kernel.inverse_factors(self.covariances)


@dataclass(frozen=True)
class ResidualStatistics(Statistics):
    """Moments about the residuals e = y - B c of the reference's coefficients B (K, M, P).

    Attributes
    ----------
    counts : (K, M)
        Σ r over the rows where a response is observed.
    gram : (K, M, P, P)
        Σ r c cᵀ over those.
    cross : (K, M, P)
        Σ r e c.
    squares : (K, M) or (K, M, M)
        Σ r e², or Σ r e eᵀ.
    reference : Reference
    """

    counts: FloatArray
    gram: FloatArray
    cross: FloatArray
    squares: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> ResidualStatistics:
        """The same moments about other coefficients."""
        by = reference.point - self.reference.point
        moved = np.einsum("kmpq,kmq->kmp", self.gram, by)
        if self.squares.ndim == 2:
            squares = self.squares - 2 * np.sum(by * self.cross, axis=-1) + np.sum(by * moved, axis=-1)
        else:
            sides = np.einsum("kmp,klp->kml", by, self.cross)
            inner = np.einsum("kmp,klp->kml", by, moved)
            squares = self.squares - sides - np.swapaxes(sides, 1, 2) + 0.5 * (inner + np.swapaxes(inner, 1, 2))
        return ResidualStatistics(self.counts, self.gram, self.cross - moved, squares, reference)


class GaussianRegression(Family[Any, ResidualStatistics]):
    """y ~ N(B_k c, Σ_k); the M-step is weighted least squares, Σ lifted to the floor.

    A new family says what the predictors are (`predictors`), which rows count (`counted`), and how to sample.
    """

    covariance: str
    floor: float

    def __post_init__(self) -> None:
        if self.covariance not in COVARIANCES:
            raise ParameterError(f"covariance must be one of {', '.join(COVARIANCES)}, got {self.covariance!r}")
        if not (np.isfinite(self.floor) and self.floor >= 0):
            raise ParameterError(f"the variance floor must be finite and not negative, got {self.floor}")

    @abstractmethod
    def predictors(self, batch: Batch) -> FloatArray:
        """(n, P): c of each row."""

    def counted(self, batch: Batch) -> Array | None:
        """(n, M) bool: the entries that have a density, (n, 1) where that is for rows to say; None: all."""
        if not batch.missing:
            return None
        return np.asarray(batch.observed.all(axis=1, keepdims=True)) if self._is_full else batch.observed

    def check(self, batch: Batch) -> None:
        if self.covariance == "full" and batch.missing:
            seen = batch.observed
            partly = np.flatnonzero(seen.any(axis=1) & ~seen.all(axis=1))
            if len(partly):
                row = batch.row_of_unit(int(partly[0]), per_group=False)
                raise DataError(
                    f"row {row} misses some of its responses; {type(self).__name__} with covariance='full' takes rows "
                    "that are observed or missing as a whole, covariance='diagonal' any"
                )

    def start(self, batch: Batch, n_components: int) -> Any:
        m, p = batch.n_columns, self.predictors(batch).shape[1]
        blank = self._parameters(np.zeros((1, m, p)), np.ones((1, m)))
        pooled = self.maximize(self.statistics(batch, Posterior(np.ones((1, len(batch))), batch.weights), blank), blank)
        variances = self._variances(pooled)
        variances = np.where(variances <= self.floor * (1 + 1e-6), np.maximum(variances, 1.0), variances)
        spread = np.tile(variances, (n_components, 1))
        return self._parameters(np.tile(pooled.coefficients, (n_components, 1, 1)), spread)

    def log_density(self, batch: Batch, params: Any) -> FloatArray:
        counted = self.counted(batch)
        result = np.empty((len(params.coefficients), len(batch)))
        for k in range(len(result)):
            terms = self._terms(self._residuals(batch, params, k, counted), params, k)
            result[k] = (terms if counted is None else np.where(counted, terms, 0.0)).sum(axis=1)
        return result

    def statistics(self, batch: Batch, posterior: Posterior, params: Any) -> ResidualStatistics:
        c, counted = self.predictors(batch), self.counted(batch)
        blocks = [
            self._moments(c, self._residuals(batch, params, k, counted), r, counted)
            for k, r in enumerate(posterior.responsibilities)
        ]
        counts, gram, cross, squares = (np.stack(part) for part in zip(*blocks, strict=True))
        return ResidualStatistics(counts, gram, cross, squares, Reference(params.coefficients))

    def maximize(self, statistics: ResidualStatistics, params: Any) -> Any:
        return self._maximized(statistics, params, {}, pooled=False)

    def maximize_constrained(
        self, statistics: ResidualStatistics, params: Any, held: Held, tied: tuple[str, ...]
    ) -> Any | None:
        """In closed form unless coefficients are tied: variances would weigh in those."""
        return None if "coefficients" in tied else self._maximized(statistics, params, held, self._spread_name in tied)

    def _maximized(self, statistics: ResidualStatistics, params: Any, held: Held, pooled: bool) -> Any:
        filled = (statistics.counts > EMPTY)[:, :, None]
        best = statistics.reference.point + solve_normal(statistics.gram, statistics.cross)
        coefficients = hold(held, "coefficients", params.coefficients, np.where(filled, best, params.coefficients))
        squares = statistics.shift(Reference(coefficients)).squares
        counts = statistics.counts if squares.ndim == 2 else statistics.counts[:, :, None]
        if pooled:
            squares, counts = squares.sum(axis=0, keepdims=True), counts.sum(axis=0, keepdims=True)
        current = getattr(params, self._spread_name)
        lifted = self._lifted(squares / np.where(counts > EMPTY, counts, 1.0))
        spread = np.broadcast_to(np.where(counts > EMPTY, lifted, current), current.shape)
        spread = hold(held, self._spread_name, current, spread)
        return replace(params, coefficients=coefficients, **{self._spread_name: spread})

    def expected_log_density(self, statistics: ResidualStatistics, params: Any) -> float:
        squares, counts = statistics.shift(Reference(params.coefficients)).squares, statistics.counts
        if self._is_full:
            precisions = np.swapaxes(params.whiten, 1, 2) @ params.whiten
            logs = np.log(np.diagonal(params.whiten, axis1=1, axis2=2)) - 0.5 * kernel.LOG_2PI
            return float(np.sum(counts * logs) - 0.5 * np.sum(precisions * squares))
        logs = kernel.LOG_2PI + np.log(params.variances)
        return float(-0.5 * np.sum(counts * logs + squares / params.variances))

    def score(self, statistics: ResidualStatistics, params: Any) -> FloatArray:
        about = statistics.shift(Reference(params.coefficients))
        if self._is_full:
            precisions = np.swapaxes(params.whiten, 1, 2) @ params.whiten
            by_spread = log_cholesky_score(params.whiten, about.squares, about.counts[:, 0])
            return np.concatenate([np.ravel(precisions @ about.cross), by_spread.ravel()])
        by_spread = 0.5 * (about.squares / params.variances - about.counts)
        return np.concatenate([np.ravel(about.cross / params.variances[:, :, None]), by_spread.ravel()])

    def admissible(self, params: Any) -> bool:
        floors = np.full(params.coefficients.shape[1], max(self.floor, float(np.finfo(float).tiny)))
        if self._is_full:
            return kernel.above_floor(params.covariances, floors)
        return bool(np.all(params.variances >= floors * (1 - 1e-6)))

    def findings(self, statistics: ResidualStatistics, params: Any) -> list[tuple[int, str]]:
        filled = statistics.counts > EMPTY
        loose = np.flatnonzero((is_collinear(statistics.gram) & filled).any(axis=1))
        held = np.flatnonzero(self._held(params))
        return [(int(k), COLLINEAR) for k in loose] + [
            (int(k), "its variance is held by the floor: the likelihood would grow without bound") for k in held
        ]

    # -- the two kinds of covariance -------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        return self.covariance == "full"

    @property
    def _spread_name(self) -> str:
        return "covariances" if self._is_full else "variances"

    def _parameters(self, coefficients: FloatArray, variances: FloatArray) -> Any:
        if self._is_full:
            return FullRegressionParameters(coefficients, variances[:, :, None] * np.eye(variances.shape[1]))
        return DiagonalRegressionParameters(coefficients, variances)

    def _variances(self, params: Any) -> FloatArray:
        return np.diagonal(params.covariances, axis1=1, axis2=2) if self._is_full else params.variances

    def _lifted(self, spread: FloatArray) -> FloatArray:
        least = max(self.floor, float(np.finfo(float).tiny))
        if not self._is_full:
            return np.maximum(spread, least)
        return kernel.keep_definite(kernel.floor_eigenvalues(spread, np.full(spread.shape[-1], least)))

    def _held(self, params: Any) -> Array:
        least = max(self.floor, float(np.finfo(float).tiny))
        if self._is_full:
            return kernel.on_floor(params.covariances, np.full(params.covariances.shape[-1], least))
        return np.asarray((params.variances <= least * (1 + 1e-9)).any(axis=1))

    def _residuals(self, batch: Batch, params: Any, k: int, counted: Array | None) -> FloatArray:
        residuals = batch.values - self.predictors(batch) @ params.coefficients[k].T
        return residuals if counted is None else np.where(counted, residuals, 0.0)

    def _terms(self, residuals: FloatArray, params: Any, k: int) -> FloatArray:
        """What each entry adds to the log density of its row, (n, M)."""
        if self._is_full:
            z = residuals @ params.whiten[k].T
            return np.asarray(np.log(np.diagonal(params.whiten[k])) - 0.5 * (kernel.LOG_2PI + z * z))
        variances = params.variances[k]
        return np.asarray(-0.5 * (kernel.LOG_2PI + np.log(variances) + residuals**2 / variances))

    def _moments(self, c: FloatArray, e: FloatArray, r: FloatArray, counted: Array | None) -> tuple[FloatArray, ...]:
        """Counts, gram, cross and squares of one component."""
        m, n_predictors = e.shape[1], c.shape[1]
        squares = (e * r[:, None]).T @ e if self._is_full else r @ e**2
        cross = (e * r[:, None]).T @ c
        if counted is None or counted.shape[1] == 1:
            r = r if counted is None else r * counted[:, 0]
            gram = np.broadcast_to((c * r[:, None]).T @ c, (m, n_predictors, n_predictors))
            return np.full(m, r.sum()), gram, cross, squares
        grams = np.stack([(c * (r * counted[:, j])[:, None]).T @ c for j in range(m)])
        return r @ counted, grams, cross, squares

    def _noise(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        """A deviation from the mean for each entry of `states`, (n, M)."""
        noise = rng.standard_normal((len(states), params.coefficients.shape[1]))
        if self._is_full:
            return np.einsum("nij,nj->ni", np.linalg.cholesky(params.covariances)[states], noise)
        return np.asarray(np.sqrt(params.variances)[states] * noise)


COLLINEAR = (
    "the covariates of its rows are collinear (one is a combination of others): its coefficients are one of many "
    "solutions; leave a covariate out"
)
