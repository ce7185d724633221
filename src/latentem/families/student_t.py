"""Student's t with a full scale matrix: clusters with heavy tails, on which outliers pull little.

p(x) = Γ((ν+D)/2) / Γ(ν/2) · |πν Σ|^{-1/2} · (1 + δ/ν)^{-(ν+D)/2},  δ = (x - μ)ᵀ Σ⁻¹ (x - μ).  EM takes x for a normal
with covariance Σ/u, u ~ Gamma(ν/2, ν/2) (Peel and McLachlan 2000).  Missing entries (NaN) are integrated out exactly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..kernels import gaussian as gaussian_kernel, student_t as kernel
from ..kernels.cholesky import log_cholesky_score
from ..model import Family, Posterior
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..statistics import Reference, Statistics
from .columnwise import weighted_column_mean
from .gaussian import DEFAULT_FLOOR, EMPTY
from .local import WIDEST_RANGE, check_range

P = TypeVar("P", bound=Parameters)
START_DOF = 8.0
DOF_RANGE = (0.1, 1e3)
# From here on the normal with the same scale differs by about D(D + 6)/4ν² a row: 4e-5 in one dimension.
PRACTICALLY_NORMAL = 200.0


class StudentT(Family[P, Any]):
    """What t families share: the density, the degrees of freedom, the floor, the start.

    A new one says how far rows lie from the means (`geometry`), its moments (`statistics`), its part of the M-step,
    and `_from_pooled` and `_held`.
    """

    dof: str | float
    dof_range: tuple[float, float]
    floor: float | tuple[float, ...]

    def __post_init__(self) -> None:
        if isinstance(self.dof, str):
            if self.dof not in ("free", "tied"):
                raise ParameterError(f'dof must be "free", "tied" or a positive number, got {self.dof!r}')
        elif not WIDEST_RANGE[0] <= self.dof <= WIDEST_RANGE[1]:
            raise ParameterError(f"fixed degrees of freedom must lie between 1e-20 and 1e20, got {self.dof}")
        check_range("dof_range", self.dof_range)
        if not np.all(np.isfinite(self.floor)) or np.any(np.asarray(self.floor) < 0):
            raise ParameterError(f"the scale floor must be finite and not negative, got {self.floor}")

    @abstractmethod
    def geometry(self, batch: Batch, params: P) -> kernel.Geometry:
        """Distances of the rows from the means, over what is observed of them."""

    @abstractmethod
    def _from_pooled(self, means: FloatArray, variance: FloatArray, dof: FloatArray) -> P: ...

    @abstractmethod
    def _above_floor(self, params: P) -> bool:
        """Whether all scales respect the floor, as far as rounding tells."""

    @abstractmethod
    def _held(self, params: P) -> Array:
        """(K,) bool: components whose scale lies on the floor."""

    def degrees_of_freedom(self, params: Any) -> FloatArray:
        """ν of each component, (K,): estimated, tied or fixed; estimates beyond `dof_range` count as its ends."""
        k = len(params.means)
        if not isinstance(self.dof, str):
            return np.full(k, float(self.dof))
        return np.broadcast_to(np.clip(params.dof, *self.dof_range), (k,))

    def start(self, batch: Batch, n_components: int) -> P:
        mean = weighted_column_mean(batch)
        square = weighted_column_mean(Batch((batch.values - mean) ** 2, batch.weights))
        variance = np.maximum(square, self._floors(batch.n_columns)) + (square == 0) * 1.0
        size = {"free": n_components, "tied": 1}.get(str(self.dof), 0)
        dof = np.full(size, np.clip(START_DOF, *self.dof_range))
        return self._from_pooled(np.tile(mean, (n_components, 1)), variance, dof)

    def log_density(self, batch: Batch, params: P) -> FloatArray:
        return kernel.log_density(self.geometry(batch, params), self.degrees_of_freedom(params))

    def precision_factor(self, batch: Batch, params: P) -> tuple[FloatArray, FloatArray]:
        """E[u | x] and E[log u - u + 1 | x] for each component and row, (K, n)."""
        return kernel.precision_factor(self.geometry(batch, params), self.degrees_of_freedom(params))

    def admissible(self, params: Any) -> bool:
        low, high = self.dof_range
        inside = (params.dof >= low * (1 - 1e-9)) & (params.dof <= high * (1 + 1e-9))
        return bool(np.all(inside)) and self._above_floor(params)

    def findings(self, statistics: Any, params: P) -> list[tuple[int, str]]:
        held = "its scale is held by the floor (reg_covar): the likelihood would grow without bound"
        return [*_told(self._held(params), held), *self._dof_findings(self.degrees_of_freedom(params))]

    def _dof_findings(self, dof: FloatArray) -> list[tuple[int, str]]:
        if not isinstance(self.dof, str):
            return []
        low = self.dof_range[0]
        heavy = f"its degrees of freedom are held at the lower bound {low:g}; it takes in outliers of any size"
        normal = f"with {PRACTICALLY_NORMAL:g} degrees of freedom or more it is in effect normal; a Gaussian would do"
        return [*_told(dof <= low * (1 + 1e-9), heavy), *_told(dof >= PRACTICALLY_NORMAL, normal)]

    def _floors(self, d: int) -> FloatArray:
        floors = np.broadcast_to(np.asarray(self.floor, float), (d,))
        return np.asarray(np.maximum(floors, np.finfo(float).tiny))

    def _maximize_dof(self, statistics: Any, params: Any) -> FloatArray:
        counts, log_excess = statistics.counts, statistics.log_excess
        if self.dof == "tied":
            counts, log_excess = counts.sum(keepdims=True), log_excess.sum(keepdims=True)
        elif self.dof != "free":
            return np.asarray(params.dof)
        filled = counts > EMPTY
        low, high = self.dof_range
        best = kernel.maximize_dof(np.where(filled, -log_excess, 1.0) / np.where(filled, counts, 1.0), high)
        return np.asarray(np.where(filled, np.clip(best, low, high), params.dof))

    def _expected_log_gamma(self, statistics: Any, params: Any) -> float:
        dof = self.degrees_of_freedom(params)
        return float(kernel.expected_log_gamma(statistics.counts, statistics.log_excess, dof).sum())

    def _dof_score(self, statistics: Any, params: Any) -> FloatArray:
        """∇Q in the logarithms of the degrees of freedom that are estimated."""
        slopes = kernel.expected_log_gamma_slope(
            statistics.counts, statistics.log_excess, self.degrees_of_freedom(params)
        )
        return slopes.sum(keepdims=True) if self.dof == "tied" else slopes[: len(params.dof)]

    def _noise(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        """Standard normals over √u, one u a row; u is kept above 1e-280, that no draw overflows."""
        half = 0.5 * self.degrees_of_freedom(params)[states]
        u = np.maximum(rng.standard_gamma(half) / half, 1e-280)
        return np.asarray(rng.standard_normal((len(states), params.means.shape[1])) / np.sqrt(u)[:, None])


@dataclass(frozen=True)
class FullStudentTStatistics(Statistics):
    """Expected moments of y = x - reference of the component and of the precision factor u.

    Attributes
    ----------
    counts, log_excess, mass : (K,)
        Σ r, Σ r E[log u - u + 1], Σ r E[u].
    first, second : (K, D), (K, D(D+1)/2)
        Σ r E[u y], and Σ r E[u y yᵀ] packed.
    reference : Reference
        The centres (K, D).
    """

    counts: FloatArray
    log_excess: FloatArray
    mass: FloatArray
    first: FloatArray
    second: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> FullStudentTStatistics:
        """The same about other centres c': y' = y + (c - c')."""
        by = self.reference.point - reference.point
        cross = self.first[:, :, None] * by[:, None, :]
        added = cross + np.swapaxes(cross, 1, 2) + self.mass[:, None, None] * by[:, :, None] * by[:, None, :]
        first = self.first + self.mass[:, None] * by
        second = self.second + gaussian_kernel.pack(added)
        return FullStudentTStatistics(self.counts, self.log_excess, self.mass, first, second, reference)


@dataclass(frozen=True)
class FullStudentTParameters(Parameters):
    """Means (K, D), scale matrices (K, D, D), and degrees of freedom: (K,), (1,) if tied, (0,) if fixed by the family.

    The covariance of a component is ν/(ν - 2) times its scale matrix where ν > 2.
    """

    means: FloatArray = parameter(Real())
    scales: FloatArray = parameter(PositiveDefinite())
    dof: FloatArray = parameter(Positive())

    @cached_property
    def plan(self) -> kernel.ScalePlan:
        return kernel.plan_scales(self.scales)


@dataclass(frozen=True)
class FullStudentT(StudentT[FullStudentTParameters]):
    """Multivariate t with a full scale matrix for each component.

    M-step: μ = Σ r u x / Σ r u, Σ = Σ r u (x - μ)(x - μ)ᵀ / Σ r with eigenvalues lifted to the floor, and ν solves
    log(ν/2) - ψ(ν/2) = -Σ r E[log u - u + 1] / Σ r.

    Attributes
    ----------
    dof : "free", "tied" or a positive number
        Degrees of freedom estimated for each component, one estimate for all, or fixed.
    dof_range : (float, float)
        Estimates are held in it.  At 0.1 a quarter of the mass is further out than 1e5 scales; at 1e3 a row's expected
        log-likelihood is D (D + 6)/4ν² from the normal's (2e-6 in one dimension), and EM would creep on without end.
    floor : float or one for each column
        Smallest eigenvalue of a scale matrix, in squared units of the data.

    Raises
    ------
    ParameterError
        An option lies outside its domain.
    """

    dof: str | float = "free"
    dof_range: tuple[float, float] = DOF_RANGE
    floor: float | tuple[float, ...] = DEFAULT_FLOOR

    def _from_pooled(self, means: FloatArray, variance: FloatArray, dof: FloatArray) -> FullStudentTParameters:
        return FullStudentTParameters(means, np.tile(np.diag(variance), (len(means), 1, 1)), dof)

    def geometry(self, batch: Batch, params: FullStudentTParameters) -> kernel.Geometry:
        observed, plan = batch.observed if batch.missing else None, params.plan
        return batch.once(("t", plan), lambda: kernel.full_geometry(batch.values, observed, params.means, plan))

    def statistics(self, batch: Batch, posterior: Posterior, params: FullStudentTParameters) -> FullStudentTStatistics:
        u, excess = self.precision_factor(batch, params)
        r = posterior.responsibilities
        observed = batch.observed if batch.missing else None
        first, second = kernel.full_moments(batch.values, observed, r, u, params.means, params.plan)
        log_excess, mass = np.einsum("kn,kn->k", r, excess), np.einsum("kn,kn->k", r, u)
        return FullStudentTStatistics(r.sum(axis=1), log_excess, mass, first, second, Reference(params.means))

    def maximize(self, statistics: FullStudentTStatistics, params: FullStudentTParameters) -> FullStudentTParameters:
        filled = statistics.counts > EMPTY
        shift = statistics.first / np.where(filled, statistics.mass, 1.0)[:, None]
        means = np.where(filled[:, None], statistics.reference.point + shift, params.means)
        scatter = self._scatter(statistics, means) / np.where(filled, statistics.counts, 1.0)[:, None, None]
        lifted = gaussian_kernel.floor_eigenvalues(scatter, self._floors(means.shape[1]))
        scales = np.where(filled[:, None, None], gaussian_kernel.keep_definite(lifted), params.scales)
        return FullStudentTParameters(means, scales, self._maximize_dof(statistics, params))

    def expected_log_density(self, statistics: FullStudentTStatistics, params: FullStudentTParameters) -> float:
        """E[log p(x, u)], less the part of E[log u] that no parameter touches."""
        plan, d = params.plan, params.means.shape[1]
        precisions = np.swapaxes(plan.whiten, 1, 2) @ plan.whiten
        normal = statistics.counts @ (-0.5 * d * gaussian_kernel.LOG_2PI - plan.log_root)
        normal -= 0.5 * np.sum(precisions * self._scatter(statistics, params.means))
        return float(normal) + self._expected_log_gamma(statistics, params)

    def score(self, statistics: FullStudentTStatistics, params: FullStudentTParameters) -> FloatArray:
        about, whiten = statistics.shift(Reference(params.means)), params.plan.whiten
        by_mean = np.einsum("kji,kjl,kl->ki", whiten, whiten, about.first)
        scatter = gaussian_kernel.unpack(about.second, params.means.shape[1])
        by_scale = log_cholesky_score(whiten, scatter, statistics.counts)
        return np.concatenate([by_mean.ravel(), by_scale.ravel(), self._dof_score(statistics, params)])

    def sample(self, params: FullStudentTParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        factors = np.linalg.cholesky(params.scales)[states]
        noise = self._noise(params, states, rng)
        return np.asarray(params.means[states] + np.einsum("nij,nj->ni", factors, noise))

    def _scatter(self, statistics: FullStudentTStatistics, means: FloatArray) -> FloatArray:
        return gaussian_kernel.unpack(statistics.shift(Reference(means)).second, means.shape[1])

    def _above_floor(self, params: FullStudentTParameters) -> bool:
        return gaussian_kernel.above_floor(params.scales, self._floors(params.means.shape[1]))

    def _held(self, params: FullStudentTParameters) -> Array:
        held = gaussian_kernel.on_floor(params.scales, self._floors(params.means.shape[1]))
        singular = gaussian_kernel.smallest_correlation(params.scales) <= 2 * gaussian_kernel.SMALLEST_CORRELATION
        return np.asarray(held | singular)


def _told(components: Array, sentence: str) -> Iterable[tuple[int, str]]:
    return [(int(k), sentence) for k in np.flatnonzero(components)]
