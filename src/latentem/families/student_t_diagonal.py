"""Student's t with a diagonal scale matrix: the columns of a row share one gamma factor, and so are not independent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels import student_t as kernel
from ..kernels.gaussian import LOG_2PI
from ..model import Posterior
from ..parameters import Parameters, Positive, Real, parameter
from ..statistics import Reference, Statistics
from .gaussian import DEFAULT_FLOOR, EMPTY
from .student_t import DOF_RANGE, StudentT


@dataclass(frozen=True)
class DiagonalStudentTStatistics(Statistics):
    """Expected moments of y = x - reference of the component and of the precision factor u.

    Attributes
    ----------
    counts, log_excess : (K,)
        Σ r and Σ r E[log u - u + 1].
    present, mass, first, second : (K, D)
        Σ r, Σ r E[u], Σ r E[u] y and Σ r E[u] y² over observed entries.
    reference : Reference
        The centres (K, D).
    """

    counts: FloatArray
    log_excess: FloatArray
    present: FloatArray
    mass: FloatArray
    first: FloatArray
    second: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> DiagonalStudentTStatistics:
        """The same about other centres c': y' = y + (c - c')."""
        by = self.reference.point - reference.point
        second = self.second + 2 * by * self.first + by**2 * self.mass
        first = self.first + by * self.mass
        return DiagonalStudentTStatistics(
            self.counts, self.log_excess, self.present, self.mass, first, second, reference
        )


@dataclass(frozen=True)
class DiagonalStudentTParameters(Parameters):
    """Means (K, D), squared scales (K, D), and degrees of freedom: (K,), (1,) if tied, (0,) if fixed by the family.

    The variance of a column is ν/(ν - 2) times its squared scale where ν > 2.
    """

    means: FloatArray = parameter(Real())
    scales: FloatArray = parameter(Positive())
    dof: FloatArray = parameter(Positive())

    @cached_property
    def plan(self) -> kernel.ScalePlan:
        return kernel.plan_axes(self.scales)


@dataclass(frozen=True)
class DiagonalStudentT(StudentT[DiagonalStudentTParameters]):
    """Multivariate t with a diagonal scale matrix diag(s).

    M-step: μ = Σ r u x / Σ r u and s = Σ r u (x - μ)² / Σ r over the observed entries of each column, s at least the
    floor; ν as for `FullStudentT`.  Given u the columns are independent: missing entries are simply left out.

    Attributes
    ----------
    dof : "free", "tied" or a positive number
    dof_range : (float, float)
    floor : float or one for each column
        As for `FullStudentT`; the floor holds under the squared scales.

    Raises
    ------
    ParameterError
        An option lies outside its domain.
    """

    dof: str | float = "free"
    dof_range: tuple[float, float] = DOF_RANGE
    floor: float | tuple[float, ...] = DEFAULT_FLOOR

    def _from_pooled(self, means: FloatArray, variance: FloatArray, dof: FloatArray) -> DiagonalStudentTParameters:
        return DiagonalStudentTParameters(means, np.tile(variance, (len(means), 1)), dof)

    def geometry(self, batch: Batch, params: DiagonalStudentTParameters) -> kernel.Geometry:
        observed, plan = batch.observed if batch.missing else None, params.plan
        return batch.once(("t", plan), lambda: kernel.axes_geometry(batch.values, observed, params.means, plan))

    def statistics(
        self, batch: Batch, posterior: Posterior, params: DiagonalStudentTParameters
    ) -> DiagonalStudentTStatistics:
        u, excess = self.precision_factor(batch, params)
        r = posterior.responsibilities
        observed = batch.observed if batch.missing else None
        first, second = kernel.axes_moments(batch.values, observed, r * u, params.means)
        presence = batch.observed.astype(float)
        log_excess = np.einsum("kn,kn->k", r, excess)
        return DiagonalStudentTStatistics(
            r.sum(axis=1), log_excess, r @ presence, (r * u) @ presence, first, second, Reference(params.means)
        )

    def maximize(
        self, statistics: DiagonalStudentTStatistics, params: DiagonalStudentTParameters
    ) -> DiagonalStudentTParameters:
        filled = statistics.present > EMPTY
        shift = statistics.first / np.where(filled, statistics.mass, 1.0)
        means = np.where(filled, statistics.reference.point + shift, params.means)
        scales = self._squares(statistics, means) / np.where(filled, statistics.present, 1.0)
        lifted = np.where(filled, np.maximum(scales, self._floors(means.shape[1])), params.scales)
        return DiagonalStudentTParameters(means, lifted, self._maximize_dof(statistics, params))

    def expected_log_density(
        self, statistics: DiagonalStudentTStatistics, params: DiagonalStudentTParameters
    ) -> float:
        """E[log p(x, u)], less the part of E[log u] that no parameter touches."""
        logs = statistics.present * (LOG_2PI + np.log(params.scales))
        normal = -0.5 * np.sum(logs + self._squares(statistics, params.means) / params.scales)
        return float(normal) + self._expected_log_gamma(statistics, params)

    def score(self, statistics: DiagonalStudentTStatistics, params: DiagonalStudentTParameters) -> FloatArray:
        about = statistics.shift(Reference(params.means))
        by_scale = 0.5 * (about.second / params.scales - about.present)
        by_mean = about.first / params.scales
        return np.concatenate([by_mean.ravel(), by_scale.ravel(), self._dof_score(statistics, params)])

    def sample(self, params: DiagonalStudentTParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return np.asarray(params.means[states] + np.sqrt(params.scales)[states] * self._noise(params, states, rng))

    def _squares(self, statistics: DiagonalStudentTStatistics, means: FloatArray) -> FloatArray:
        return np.maximum(statistics.shift(Reference(means)).second, 0.0)

    def _above_floor(self, params: DiagonalStudentTParameters) -> bool:
        return bool(np.all(params.scales >= self._floors(params.means.shape[1]) * (1 - 1e-6)))

    def _held(self, params: DiagonalStudentTParameters) -> Array:
        return np.asarray((params.scales <= self._floors(params.means.shape[1]) * (1 + 1e-9)).any(axis=1))
