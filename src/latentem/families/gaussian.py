"""Gaussians with full, tied, diagonal and spherical covariances; a floor holds under the eigenvalues.

log N(x; μ, Σ) = -½ [ D log 2π + log|Σ| + (x - μ)ᵀ Σ⁻¹ (x - μ) ].  Missing entries (NaN) are integrated out exactly.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..kernels import gaussian as kernel
from ..kernels.cholesky import log_cholesky_score
from ..kernels.products import axis_features, expected_sums, passes_by, product_features, weighted_sums
from ..model import Family, Held, Posterior, hold
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..statistics import Reference, Statistics
from .columnwise import weighted_column_mean

P = TypeVar("P", bound=Parameters)
# Below this an expected count cannot be divided by; weights may be of any scale.
EMPTY = 1e-150
DEFAULT_FLOOR = 1e-6


@dataclass(frozen=True)
class MomentStatistics(Statistics):
    """Σ r (K,), Σ r y (K, D), packed Σ r y yᵀ (K, D(D+1)/2), where y = x - reference of the component (K, D)."""

    counts: FloatArray
    first: FloatArray
    second: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> MomentStatistics:
        """The same moments about other centres c': y' = y + (c - c')."""
        by = self.reference.point - reference.point
        cross = self.first[:, :, None] * by[:, None, :]
        second = kernel.unpack(self.second, self.first.shape[1]) + cross + np.swapaxes(cross, 1, 2)
        second += self.counts[:, None, None] * by[:, :, None] * by[:, None, :]
        return MomentStatistics(
            self.counts, self.first + self.counts[:, None] * by, kernel.pack(second), reference
        )


@dataclass(frozen=True)
class AxisStatistics(Statistics):
    """Σ r (K, D), Σ r y (K, D), Σ r y² (K, D) over observed entries, where y = x - reference (K, D)."""

    counts: FloatArray
    first: FloatArray
    second: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> AxisStatistics:
        """The same moments about other centres."""
        by = self.reference.point - reference.point
        second = self.second + 2 * by * self.first + by**2 * self.counts
        return AxisStatistics(self.counts, self.first + self.counts * by, second, reference)


@dataclass(frozen=True)
class FullGaussianParameters(Parameters):
    """Means (K, D) and covariances (K, D, D)."""

    means: FloatArray = parameter(Real())
    covariances: FloatArray = parameter(PositiveDefinite())

    @cached_property
    def plan(self) -> kernel.GaussianPlan:
        return kernel.plan_gaussian(self.means, self.covariances)


@dataclass(frozen=True)
class TiedGaussianParameters(Parameters):
    """Means (K, D) and one covariance (D, D) for all components."""

    means: FloatArray = parameter(Real())
    covariance: FloatArray = parameter(PositiveDefinite())

    @property
    def covariances(self) -> FloatArray:
        return np.broadcast_to(self.covariance, (len(self.means), *self.covariance.shape))

    @cached_property
    def plan(self) -> kernel.GaussianPlan:
        return kernel.plan_gaussian(self.means, self.covariances)


@dataclass(frozen=True)
class DiagonalGaussianParameters(Parameters):
    """Means (K, D) and variances (K, D)."""

    means: FloatArray = parameter(Real())
    variances: FloatArray = parameter(Positive())

    @cached_property
    def plan(self) -> AxisPlan:
        return plan_axes(self.means, self.variances)


@dataclass(frozen=True)
class SphericalGaussianParameters(Parameters):
    """Means (K, D) and one variance for all columns of a component (K,)."""

    means: FloatArray = parameter(Real())
    variances: FloatArray = parameter(Positive())

    @cached_property
    def plan(self) -> AxisPlan:
        return plan_axes(self.means, np.broadcast_to(self.variances[:, None], self.means.shape))


@dataclass(frozen=True, eq=False)
class AxisPlan:
    """What a pass needs of means and variances (K, D): see `kernels.gaussian.GaussianPlan`."""

    means: FloatArray
    variances: FloatArray
    centre: FloatArray
    references: FloatArray
    slopes: FloatArray
    constants: FloatArray
    centred: Array


def plan_axes(means: FloatArray, variances: FloatArray) -> AxisPlan:
    """Prepare a pass for independent columns."""
    centre, centred = kernel.common_centre(means, lambda offset: np.sum(1.0 + offset**2 / variances, axis=1))
    offset = means - centre
    references = np.where(np.isin(np.arange(len(means)), centred)[:, None], means, centre)
    slopes = np.concatenate([-0.5 / variances, offset / variances], axis=1)
    constants = -0.5 * (kernel.LOG_2PI + np.log(variances) + offset**2 / variances)
    return AxisPlan(means, variances, centre, references, slopes, constants, centred)


class _FlooredGaussian(Family[P, Any]):
    """What all four share: the floor, the start and the empty component."""

    floor: float | tuple[float, ...]
    _spread_name: ClassVar[str] = "covariances"

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.floor)) or np.any(np.asarray(self.floor) < 0):
            raise ParameterError(f"the variance floor must be finite and not negative, got {self.floor}")

    def _floors(self, d: int) -> FloatArray:
        floors = np.broadcast_to(np.asarray(self.floor, float), (d,))
        return np.maximum(floors, np.finfo(float).tiny)

    def start(self, batch: Batch, n_components: int) -> P:
        mean = weighted_column_mean(batch)
        square = weighted_column_mean(Batch((batch.values - mean) ** 2, batch.weights))
        variance = np.maximum(square, self._floors(batch.n_columns)) + (square == 0) * 1.0
        return self._from_pooled(np.tile(mean, (n_components, 1)), variance)

    def maximize(self, statistics: Any, params: P) -> P:
        return self._maximized(statistics, params, {}, pooled=False)

    def maximize_constrained(self, statistics: Any, params: P, held: Held, tied: tuple[str, ...]) -> P | None:
        """In closed form unless means are tied: those would weigh in the covariances."""
        return None if "means" in tied else self._maximized(statistics, params, held, self._spread_name in tied)

    def _maximized(self, statistics: Any, params: Any, held: Held, pooled: bool) -> P:
        """μ = Σ r x / Σ r where it is not held, then the spread about these means, lifted to the floor."""
        name = self._spread_name
        means = hold(held, "means", params.means, _means(statistics, params.means))
        current = getattr(params, name)
        spread = np.broadcast_to(self._spread(statistics, means, current, pooled), np.shape(current))
        updated: P = replace(params, means=means, **{name: hold(held, name, current, spread)})
        return updated

    @abstractmethod
    def _spread(self, statistics: Any, means: FloatArray, current: FloatArray, pooled: bool) -> FloatArray:
        """Covariances or variances about the means, at least the floor; of all components together if `pooled`."""

    @abstractmethod
    def _from_pooled(self, means: FloatArray, variance: FloatArray) -> P: ...

    def findings(self, statistics: Any, params: P) -> list[tuple[int, str]]:
        return [
            (int(k), "its covariance is held by the floor (reg_covar): the likelihood would grow without bound")
            for k in np.flatnonzero(self._held(statistics, params))
        ]

    @abstractmethod
    def _held(self, statistics: Any, params: P) -> Array:
        """(K,) bool: components whose covariance lies on the floor."""


class _MatrixGaussian(_FlooredGaussian[P]):
    """Full and tied: the E-step."""

    def log_density(self, batch: Batch, params: Any) -> FloatArray:
        plan = params.plan
        if batch.missing:
            return kernel.log_density_observed(batch.values, batch.observed, plan)
        return kernel.log_density(batch.values, plan, self._features(batch, plan))

    def statistics(self, batch: Batch, posterior: Posterior, params: Any) -> MomentStatistics:
        plan, r = params.plan, posterior.responsibilities
        if batch.missing:
            counts, first, second = kernel.moments_observed(batch.values, batch.observed, r, plan)
        else:
            counts, first, second = kernel.moments(batch.values, r, plan, self._features(batch, plan))
        return MomentStatistics(counts, first, second, Reference(plan.references))

    def _features(self, batch: Batch, plan: kernel.GaussianPlan) -> FloatArray | None:
        """What density and statistics share; None where sharing does not pay."""
        if passes_by(len(plan.means), batch.values):
            return None
        return batch.once(("products", plan), lambda: product_features(batch.values, plan.centre))

    def admissible(self, params: Any) -> bool:
        return kernel.above_floor(params.covariances, self._floors(params.means.shape[1]))

    def expected_log_density(self, statistics: MomentStatistics, params: Any) -> float:
        plan = params.plan
        scatter = _scatter_about(statistics, params.means)
        precisions = np.swapaxes(plan.whiten, 1, 2) @ plan.whiten
        return float(statistics.counts @ plan.log_scale - 0.5 * np.sum(precisions * scatter))

    def score(self, statistics: MomentStatistics, params: Any) -> FloatArray:
        about, whiten = statistics.shift(Reference(params.means)), params.plan.whiten
        by_mean = np.einsum("kji,kjl,kl->ki", whiten, whiten, about.first)
        scatter = kernel.unpack(about.second, params.means.shape[1])
        return np.concatenate([by_mean.ravel(), self._covariance_score(whiten, scatter, statistics.counts).ravel()])

    @abstractmethod
    def _covariance_score(self, whiten: FloatArray, scatter: FloatArray, counts: FloatArray) -> FloatArray:
        """∇Q in the coordinates of the covariances, from S (K, D, D) about the means."""

    def _lifted(self, covariances: FloatArray) -> FloatArray:
        return kernel.keep_definite(kernel.floor_eigenvalues(covariances, self._floors(covariances.shape[-1])))

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        factors = np.linalg.cholesky(params.covariances)
        noise = rng.standard_normal((len(states), params.means.shape[1]))
        return np.asarray(params.means[states] + np.einsum("nij,nj->ni", factors[states], noise))


@dataclass(frozen=True)
class FullGaussian(_MatrixGaussian[FullGaussianParameters]):
    """One mean and one full covariance for each component.

    M-step: μ = Σ r x / Σ r, and Σ = S / Σ r with S = Σ r (x - μ)(x - μ)ᵀ, eigenvalues lifted to the floor, which is the
    exact maximizer under Σ ⪰ floor · I (so EM stays monotone, as adding floor · I would not be).

    Attributes
    ----------
    floor : float or one for each column
        Smallest eigenvalue of a covariance, in squared units of the data.
    """

    floor: float | tuple[float, ...] = DEFAULT_FLOOR

    def _from_pooled(self, means: FloatArray, variance: FloatArray) -> FullGaussianParameters:
        return FullGaussianParameters(means, np.tile(np.diag(variance), (len(means), 1, 1)))

    def _spread(
        self, statistics: MomentStatistics, means: FloatArray, current: FloatArray, pooled: bool
    ) -> FloatArray:
        scatter, counts = _scatter_about(statistics, means), statistics.counts[:, None, None]
        if pooled:
            scatter, counts = scatter.sum(axis=0, keepdims=True), counts.sum(axis=0, keepdims=True)
        return np.where(counts > EMPTY, self._lifted(scatter / np.where(counts > EMPTY, counts, 1.0)), current)

    def _covariance_score(self, whiten: FloatArray, scatter: FloatArray, counts: FloatArray) -> FloatArray:
        return log_cholesky_score(whiten, scatter, counts)

    def _held(self, statistics: MomentStatistics, params: FullGaussianParameters) -> Array:
        return kernel.on_floor(params.covariances, self._floors(params.means.shape[1]))


@dataclass(frozen=True)
class TiedGaussian(_MatrixGaussian[TiedGaussianParameters]):
    """One mean for each component, one full covariance for all: Σ = Σₖ Sₖ / Σ r, eigenvalues lifted to the floor.

    Attributes
    ----------
    floor : float or one for each column
    """

    floor: float | tuple[float, ...] = DEFAULT_FLOOR
    _spread_name: ClassVar[str] = "covariance"

    def _from_pooled(self, means: FloatArray, variance: FloatArray) -> TiedGaussianParameters:
        return TiedGaussianParameters(means, np.diag(variance))

    def _spread(
        self, statistics: MomentStatistics, means: FloatArray, current: FloatArray, pooled: bool
    ) -> FloatArray:
        total = statistics.counts.sum()
        if total <= EMPTY:
            return current
        return self._lifted(_scatter_about(statistics, means).sum(axis=0, keepdims=True) / total)[0]

    def _covariance_score(self, whiten: FloatArray, scatter: FloatArray, counts: FloatArray) -> FloatArray:
        return log_cholesky_score(whiten[:1], scatter.sum(axis=0, keepdims=True), counts.sum(keepdims=True))

    def _held(self, statistics: MomentStatistics, params: TiedGaussianParameters) -> Array:
        return kernel.on_floor(params.covariance[None], self._floors(params.means.shape[1]))


class _AxisGaussian(_FlooredGaussian[P]):
    """Diagonal and spherical: the E-step."""

    def log_density(self, batch: Batch, params: Any) -> FloatArray:
        plan = params.plan
        constants = plan.constants if batch.missing else plan.constants.sum(axis=1, keepdims=True)
        result = weighted_sums(np.concatenate([plan.slopes, constants], axis=1), self._features(batch, plan))
        for k in plan.centred:
            z = (batch.values - plan.means[k]) ** 2 / plan.variances[k] + np.log(plan.variances[k]) + kernel.LOG_2PI
            result[k] = -0.5 * np.where(batch.observed, z, 0.0).sum(axis=1)
        return np.asarray(result)

    def statistics(self, batch: Batch, posterior: Posterior, params: Any) -> AxisStatistics:
        plan, r, d = params.plan, posterior.responsibilities, batch.n_columns
        totals = expected_sums(r, self._features(batch, plan))
        second, first, counts = totals[:, :d], totals[:, d : 2 * d], totals[:, 2 * d :]
        for k in plan.centred:
            y = np.where(batch.observed, batch.values - plan.references[k], 0.0)
            first[k], second[k] = r[k] @ y, r[k] @ y**2
        return AxisStatistics(np.broadcast_to(counts, (len(r), d)), first, second, Reference(plan.references))

    def _features(self, batch: Batch, plan: AxisPlan) -> FloatArray:
        if batch.missing:
            return batch.once(("axes", plan), lambda: _observed_axis_features(batch, plan.centre))
        return batch.once(("axes", plan), lambda: axis_features(batch.values, plan.centre))

    def admissible(self, params: Any) -> bool:
        return bool(np.all(params.plan.variances >= self._floors(params.means.shape[1]) * (1 - 1e-6)))

    def expected_log_density(self, statistics: AxisStatistics, params: Any) -> float:
        plan = params.plan
        scatter = _squares_about(statistics, params.means)
        scale = kernel.LOG_2PI + np.log(plan.variances)
        return float(-0.5 * np.sum(statistics.counts * scale + scatter / plan.variances))

    def score(self, statistics: AxisStatistics, params: Any) -> FloatArray:
        about, variances = statistics.shift(Reference(params.means)), params.plan.variances
        by_log_variance = 0.5 * (about.second / variances - about.counts)
        if params.variances.ndim == 1:
            by_log_variance = by_log_variance.sum(axis=1)
        return np.concatenate([np.ravel(about.first / variances), np.ravel(by_log_variance)])

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        noise = rng.standard_normal((len(states), params.means.shape[1]))
        return np.asarray(params.means[states] + np.sqrt(params.plan.variances)[states] * noise)


@dataclass(frozen=True)
class DiagonalGaussian(_AxisGaussian[DiagonalGaussianParameters]):
    """Independent columns: σ² = Σ r (x - μ)² / Σ r for each, at least the floor.

    Attributes
    ----------
    floor : float or one for each column
    """

    floor: float | tuple[float, ...] = DEFAULT_FLOOR
    _spread_name: ClassVar[str] = "variances"

    def _from_pooled(self, means: FloatArray, variance: FloatArray) -> DiagonalGaussianParameters:
        return DiagonalGaussianParameters(means, np.tile(variance, (len(means), 1)))

    def _spread(
        self, statistics: AxisStatistics, means: FloatArray, current: FloatArray, pooled: bool
    ) -> FloatArray:
        squares, counts = _squares_about(statistics, means), statistics.counts
        if pooled:
            squares, counts = squares.sum(axis=0, keepdims=True), counts.sum(axis=0, keepdims=True)
        lifted = np.maximum(squares / np.where(counts > EMPTY, counts, 1.0), self._floors(means.shape[1]))
        return np.where(counts > EMPTY, lifted, current)

    def _held(self, statistics: AxisStatistics, params: DiagonalGaussianParameters) -> Array:
        return np.asarray((params.variances <= self._floors(params.means.shape[1]) * (1 + 1e-9)).any(axis=1))


@dataclass(frozen=True)
class SphericalGaussian(_AxisGaussian[SphericalGaussianParameters]):
    """One variance for all columns of a component: σ² = Σ_d Σ r (x - μ)² / Σ_d Σ r, at least the floor.

    Attributes
    ----------
    floor : float or one for each column
        The largest of them holds.
    """

    floor: float | tuple[float, ...] = DEFAULT_FLOOR
    _spread_name: ClassVar[str] = "variances"

    def _from_pooled(self, means: FloatArray, variance: FloatArray) -> SphericalGaussianParameters:
        return SphericalGaussianParameters(means, np.full(len(means), variance.mean()))

    def _spread(
        self, statistics: AxisStatistics, means: FloatArray, current: FloatArray, pooled: bool
    ) -> FloatArray:
        squares, counts = _squares_about(statistics, means).sum(axis=1), statistics.counts.sum(axis=1)
        if pooled:
            squares, counts = squares.sum(keepdims=True), counts.sum(keepdims=True)
        lifted = np.maximum(squares / np.where(counts > EMPTY, counts, 1.0), self._floors(means.shape[1]).max())
        return np.where(counts > EMPTY, lifted, current)

    def _held(self, statistics: AxisStatistics, params: SphericalGaussianParameters) -> Array:
        return np.asarray(params.variances <= self._floors(params.means.shape[1]).max() * (1 + 1e-9))


def _observed_axis_features(batch: Batch, centre: FloatArray) -> FloatArray:
    """Rows y², y and presence for each column, zero where an entry is missing."""
    present = batch.observed.T
    y = np.where(present, batch.values.T - centre[:, None], 0.0)
    return np.concatenate([y * y, y, present])


def _means(statistics: MomentStatistics | AxisStatistics, current: FloatArray) -> FloatArray:
    counts = statistics.counts if statistics.counts.ndim == 2 else statistics.counts[:, None]
    shift = statistics.first / np.where(counts > EMPTY, counts, 1.0)
    return np.where(counts > EMPTY, statistics.reference.point + shift, current)


def _scatter_about(statistics: MomentStatistics, means: FloatArray) -> FloatArray:
    """Σ r (x - μ)(x - μ)ᵀ, shape (K, D, D)."""
    moved = statistics.shift(Reference(means))
    return kernel.unpack(moved.second, means.shape[1])


def _squares_about(statistics: AxisStatistics, means: FloatArray) -> FloatArray:
    return np.maximum(statistics.shift(Reference(means)).second, 0.0)
