"""Rows that are linear in a vector z with Gaussian noise: factor analysis, and what a state space model observes.

p(x | z) = N(x; d + B u + Λ z, R), with u the inputs (covariates) if there are any.  Missing entries (NaN) are
integrated out exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form, LinearGaussianDensity
from ..errors import DataError, ParameterError
from ..kernels.cholesky import log_cholesky_score
from ..kernels.factors import principal_factors
from ..kernels.gaussian import above_floor, inverse_factors
from ..kernels.linear_gaussian import Presence, complete
from ..kernels.linear_regression import Freedom, expected_log_normal, inverse_variances, maximize, precision
from ..model import Family, Posterior
from ..patterns import HELD, STRUCTURES, Pattern, pattern_of_variances, side_by_side, sums_of
from ..statistics import Reference
from .columnwise import weighted_column_mean
from .linear_gaussian_parameters import Layout, LinearGaussianParameters, LinearGaussianStatistics

DEFAULT_FLOOR = 1e-12


@dataclass(frozen=True)
class LinearGaussian(Family[LinearGaussianParameters, LinearGaussianStatistics]):
    """p(x | z) = N(x; d + B u + Λ z, R), z a vector of q coordinates, u the covariates of the row.

    M-step: a least squares regression of x on (1, u, z), then R from the expected residuals.  With entries held or
    equal it is exact too: row by row where nothing ties rows together, else alternating (ECM) until it stands still.

    Attributes
    ----------
    noise : {"full", "diagonal", "isotropic"}, or p entries, or a (p, p) matrix of numbers
        Structure of R.  Entries are variances: numbers are held (0 is allowed), None is free, those with one name are
        equal.  A matrix is held as it is.
    offset : p entries, optional
        Numbers, names and None as for `noise`; without it all of d is free.
    loadings : (p, q) entries, optional
    inputs : (p, m) entries, or a whole number, optional
        Weights B of the m covariates; a number m leaves all free.
    floor : float or one for each column
        Least free variance, in squared units of the column.

    Raises
    ------
    ParameterError
        A structure or a shape that does not fit.
    """

    noise: Any = "diagonal"
    offset: Any = None
    loadings: Any = None
    inputs: Any = 0
    floor: float | tuple[float, ...] = DEFAULT_FLOOR

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.floor)) or np.any(np.asarray(self.floor) < 0):
            raise ParameterError(f"the variance floor must be finite and not negative, got {self.floor}")
        for name, value in (("noise", self.noise), ("offset", self.offset), ("loadings", self.loadings)):
            object.__setattr__(self, name, _frozen(name, value))
        object.__setattr__(self, "inputs", _frozen("inputs", self.inputs))
        if isinstance(self.noise, str) and self.noise not in STRUCTURES:
            raise ParameterError(f"noise must be one of {', '.join(STRUCTURES)} or entries, got {self.noise!r}")

    @property
    def form(self) -> Form:
        return Form.LINEAR_GAUSSIAN

    @property
    def only_moments(self) -> bool:
        return self.n_inputs == 0

    @property
    def n_inputs(self) -> int:
        """m."""
        return self.inputs if isinstance(self.inputs, int) else self.inputs.shape[1]

    # -- parameters ----------------------------------------------------------------------------

    def conform(self, params: LinearGaussianParameters) -> LinearGaussianParameters:
        """The parameters with held entries at their numbers and equal ones at their mean, and marked as such."""
        p, q = np.shape(params.loadings)
        m = self.n_inputs
        given = None if isinstance(self.inputs, int) else self.inputs
        together = side_by_side(
            {
                "d": Pattern.of("offset", self.offset, (p,)),
                "B": Pattern.of("inputs", given, (p, m)),
                "Λ": Pattern.of("loadings", self.loadings, (p, q)),
            }
        )
        moved = params.with_coefficients(together.imposed(params.coefficients))
        noise, groups = self._noise_of(np.asarray(params.noise, float), p)
        return replace(moved, noise=noise, layout=Layout(together.groups, groups))

    def _noise_of(self, current: FloatArray, p: int) -> tuple[FloatArray, Array | None]:
        """The noise under the structure, and its groups."""
        if isinstance(self.noise, Pattern) and len(self.noise.shape) == 2:
            return Pattern.of("noise", self.noise, (p, p)).values, np.full(p, HELD)
        if self.noise == "full":
            return (np.diag(current) if current.ndim == 1 else current), None
        variances = np.diagonal(current).copy() if current.ndim == 2 else current
        pattern = pattern_of_variances(self.noise, p)
        lifted = np.maximum(variances, np.where(pattern.groups >= 0, self._floors(p), 0.0))
        return pattern.imposed(lifted), pattern.groups

    def _floors(self, p: int) -> FloatArray:
        return np.maximum(np.broadcast_to(np.asarray(self.floor, float), (p,)), np.finfo(float).tiny)

    def start(self, batch: Batch, n_components: int) -> LinearGaussianParameters:
        """From the leading principal axes of the pooled rows: Λ from what they carry, R from what they leave.

        Λ = U (L - σ² I)^½ with σ² the mean of the other eigenvalues (Tipping and Bishop 1999), in columns scaled to
        variance 1; missing entries are at the column's mean.
        """
        p = batch.n_columns
        mean = weighted_column_mean(batch)
        deviations = np.where(np.isnan(batch.values), 0.0, batch.values - mean)
        weights = batch.unit_weights(per_group=False)
        square = (deviations.T * weights) @ deviations / max(weights.sum(), np.finfo(float).tiny)
        scale = np.sqrt(np.diagonal(square))
        scale = np.where(scale > 0, scale, 1.0)
        loadings, noise = principal_factors(square / np.outer(scale, scale), n_components)
        variances = np.maximum(scale**2 * noise, self._floors(p))
        rough = LinearGaussianParameters(mean, scale[:, None] * loadings, variances, np.zeros((p, self.n_inputs)))
        return self.conform(rough)

    # -- the two steps -------------------------------------------------------------------------

    def check(self, batch: Batch) -> None:
        given = 0 if batch.covariates is None else batch.covariates.shape[1]
        if given != self.n_inputs:
            raise DataError(f"the family has {self.n_inputs} inputs, but the data come with {given} covariates")

    def log_density(self, batch: Batch, params: LinearGaussianParameters) -> LinearGaussianDensity:
        if batch.n_columns != len(params.offset):
            raise DataError(f"the data have {batch.n_columns} columns, but the offset has {len(params.offset)} entries")
        offset = params.offset
        if self.n_inputs:
            offset = offset + _covariates(batch) @ params.inputs.T
        return LinearGaussianDensity(batch.values, offset, params.loadings, params.noise, batch.missing)

    def statistics(
        self, batch: Batch, posterior: Posterior, params: LinearGaussianParameters
    ) -> LinearGaussianStatistics:
        """Where an entry is missing it has its expectation given z and what is observed of the row.

        A row with nothing observed (a step without a measurement, in a chain) tells nothing of x given z, and counts 0.
        """
        assert posterior.mean is not None
        mean = posterior.mean
        weights = np.ones(len(batch)) if posterior.weights is None else posterior.weights
        ones = np.ones((len(batch), 1))
        known = np.concatenate([ones, _covariates(batch)], axis=1) if self.n_inputs else ones
        if batch.missing:
            presence = batch.once("presence", lambda: Presence.of(batch.observed))
            weights = weights * np.any(presence.seen, axis=1, keepdims=True)[presence.pattern, 0]
        else:
            presence = Presence.complete(*batch.values.shape)
        if presence.is_one:
            spreads = posterior.covariance_sum(weights)[None]
        else:
            spreads = presence.matrix_sums(weights, posterior.moments[1])
        rows = batch.values - params.offset
        if batch.missing:
            expected = known[:, 1:] @ params.inputs.T + mean @ params.loadings.T
            filled = complete(rows, batch.observed, presence, expected, params.loadings, params.noise)
            rows = filled.rows
        design = np.concatenate([known, mean], axis=1)
        k = known.shape[1]
        weighted = design if posterior.weights is None and not batch.missing else design * weights[:, None]
        gram = weighted.T @ design
        gram[k:, k:] += spreads.sum(axis=0)
        cross = rows.T @ weighted
        square: FloatArray
        if params.noise.ndim == 1:
            square = weights @ rows**2
        else:
            square = rows.T @ (rows if weighted is design else rows * weights[:, None])
        if batch.missing:
            cross[:, k:] += np.einsum("mpq,mqr->pr", filled.slopes, spreads)
            square = square + filled.hidden_squares(spreads, presence.sums(weights))
        return LinearGaussianStatistics(weights.sum(), gram, cross, square, Reference(params.offset))

    def maximize(
        self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters
    ) -> LinearGaussianParameters:
        p = len(params.offset)
        groups = params.groups
        freedom = Freedom(groups.coefficients, groups.noise, self._floors(p), groups.is_plain)
        about = statistics.reference.point
        start = params.coefficients
        start[:, 0] -= about
        coefficients, noise = maximize(statistics.moments_about(about), start, params.noise, freedom)
        coefficients[:, 0] += about
        return replace(params.with_coefficients(coefficients), noise=noise)

    def absorbed(
        self, params: LinearGaussianParameters, shift: FloatArray, factor: FloatArray
    ) -> LinearGaussianParameters | None:
        """d + Λ m and Λ C, where nothing of d and Λ is held or equal."""
        if not params.groups.is_plain:
            return None
        return replace(params, offset=params.offset + params.loadings @ shift, loadings=params.loadings @ factor)

    def expected_log_density(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> float:
        return expected_log_normal(self._scatter(statistics, params), float(statistics.count), params.noise)

    def _scatter(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> FloatArray:
        coefficients = params.coefficients
        coefficients[:, 0] = 0.0
        return statistics.moments_about(params.offset).scatter(coefficients)

    def score(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> FloatArray:
        moments = statistics.moments_about(params.offset)
        coefficients = params.coefficients
        coefficients[:, 0] = 0.0
        slope = moments.cross - coefficients @ moments.gram
        if params.noise.ndim == 1:
            inverse = inverse_variances(params.noise)
            by_coefficient = inverse[:, None] * slope
        else:
            by_coefficient = precision(params.noise)[0] @ slope
        groups, scatter = params.groups, moments.scatter(coefficients)
        first = sums_of(groups.coefficients, by_coefficient)
        if groups.noise is None:
            whiten = inverse_factors(params.noise[None])
            second = log_cholesky_score(whiten, scatter[None], np.atleast_1d(moments.count))[0]
        elif params.n_variances:
            second = sums_of(groups.noise, 0.5 * (scatter * inverse - moments.count))
        else:
            second = np.empty(0)
        return np.concatenate([first, second])

    def admissible(self, params: LinearGaussianParameters) -> bool:
        groups, floors = params.groups.noise, self._floors(len(params.offset))
        if groups is None:
            return above_floor(params.noise[None], floors)
        free = groups >= 0
        return bool(np.all(params.noise[free] >= floors[free] * (1 - 1e-6)))

    def sample(self, params: LinearGaussianParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """One row for each z of `states` (n, q); of a model without inputs."""
        if self.n_inputs:
            raise ParameterError("rows of a model with inputs cannot be drawn without those")
        noise = rng.standard_normal((len(states), len(params.offset)))
        if params.noise.ndim == 1:
            noise = noise * np.sqrt(params.noise)
        else:
            values, vectors = np.linalg.eigh(params.noise)
            noise = (noise * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return np.asarray(params.offset + states @ params.loadings.T + noise)

    finding_code = "heywood"

    def findings(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> list[tuple[int, str]]:
        groups, floors = params.groups.noise, self._floors(len(params.offset))
        if groups is None or params.noise.ndim == 2:
            return []
        held = np.flatnonzero((groups >= 0) & (params.noise <= floors * (1 + 1e-6)))
        if not len(held):
            return []
        slopes = self.score(statistics, params)[-params.n_variances :][groups[held]]
        told = (_HEYWOOD if slope <= 0 else _STARTED for slope in slopes)
        return [(int(j), text.format(j)) for j, text in zip(held, told, strict=True)]


_HEYWOOD = (
    "the noise variance of column {} is at its floor (a Heywood case): z explains the column wholly, and the "
    "likelihood would rise further towards zero; use fewer factors, more rows, or a higher floor"
)
_STARTED = (
    "the noise variance of column {} is at its floor, where the fit started: the likelihood would rise with it, but EM "
    "leaves there slowly; start from a larger noise variance, or raise max_iter"
)


def _covariates(batch: Batch) -> FloatArray:
    if batch.covariates is None:
        raise DataError("the family has inputs, but the data came without covariates")
    return batch.covariates


def _frozen(name: str, value: Any) -> Any:
    """An option as given by name or number, or its entries as a `Pattern`, which compares and hashes."""
    if value is None or isinstance(value, str | int | Pattern):
        return value
    return Pattern.of(name, value, np.array(value, dtype=object).shape)
