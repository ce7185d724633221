"""Rows that are linear in a vector z with Gaussian noise: factor analysis, and what a state space model observes.

p(x | z) = N(x; d + B u + Λ z, R), with u the inputs (covariates) if there are any.  Missing entries (NaN) are
integrated out exactly.  Covariates may also multiply loadings and variances: Λₜ = Λ ∘ Xₜ, Rₜ = S R S.
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
from ..kernels.linear_regression import (
    Freedom,
    cross_with_one,
    expected_log_normal,
    gram_with_one,
    inverse_variances,
    maximize,
    precision,
)
from ..model import Family, Posterior
from ..multipliers import LoadingMultipliers, VarianceMultipliers
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
    loadings_by : (p, q) columns of the covariates and None, optional
        The loading is multiplied by the covariate of its column: Λₜ = Λ ∘ Xₜ, known where Λ is held at 1.
    noise_by : column, or p columns and None, optional
        Variances are multiplied by a covariate above 0: R by that of one column, or each of p variances by its own.
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
    loadings_by: Any = None
    noise_by: Any = None

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.floor)) or np.any(np.asarray(self.floor) < 0):
            raise ParameterError(f"the variance floor must be finite and not negative, got {self.floor}")
        for name, value in (("noise", self.noise), ("offset", self.offset), ("loadings", self.loadings)):
            object.__setattr__(self, name, _frozen(name, value))
        object.__setattr__(self, "inputs", _frozen("inputs", self.inputs))
        if isinstance(self.noise, str) and self.noise not in STRUCTURES:
            raise ParameterError(f"noise must be one of {', '.join(STRUCTURES)} or entries, got {self.noise!r}")
        if self.loadings_by is not None:
            object.__setattr__(self, "loadings_by", LoadingMultipliers.of(self.loadings_by))
        if self.noise_by is not None:
            object.__setattr__(self, "noise_by", VarianceMultipliers.of("noise_by", self.noise_by))

    @property
    def form(self) -> Form:
        return Form.LINEAR_GAUSSIAN

    @property
    def only_moments(self) -> bool:
        return self.n_inputs == 0 and not self._varies

    @property
    def _varies(self) -> bool:
        """Whether covariates multiply loadings or variances."""
        return self.loadings_by is not None or self.noise_by is not None

    @property
    def n_inputs(self) -> int:
        """m."""
        return self.inputs if isinstance(self.inputs, int) else self.inputs.shape[1]

    # -- parameters ----------------------------------------------------------------------------

    def conform(self, params: LinearGaussianParameters) -> LinearGaussianParameters:
        """The parameters with held entries at their numbers and equal ones at their mean, and marked as such."""
        p, q = np.shape(params.loadings)
        m = self.n_inputs
        self._check_multipliers(p, q)
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

    def _check_multipliers(self, p: int, q: int) -> None:
        if self.loadings_by is not None:
            self.loadings_by.check((p, q))
        columns = () if self.noise_by is None else self.noise_by.columns
        if len(columns) not in (0, 1, p):
            raise ParameterError(f"noise_by must be one column of the inputs, or {p}; got {len(columns)}")
        is_matrix = self.noise == "full" or (isinstance(self.noise, Pattern) and len(self.noise.shape) == 2)
        if len(columns) > 1 and is_matrix:
            raise ParameterError(
                "noise_by with a column for each variance goes with a diagonal noise; a matrix takes one column for all"
            )

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
        if self.loadings_by is not None:
            self.loadings_by.check(loadings.shape)
            seen = np.sqrt(np.mean(self.loadings_by.loadings(batch, np.ones_like(loadings)) ** 2, axis=0))
            loadings = loadings / np.where(seen > 0, seen, 1.0)
        rough = LinearGaussianParameters(mean, scale[:, None] * loadings, variances, np.zeros((p, self.n_inputs)))
        return self.conform(rough)

    # -- the two steps -------------------------------------------------------------------------

    def check(self, batch: Batch) -> None:
        given = 0 if batch.covariates is None else batch.covariates.shape[1]
        if given != self.n_inputs and (self.n_inputs or not self._varies):
            raise DataError(f"the family has {self.n_inputs} inputs, but the data come with {given} covariates")

    def log_density(self, batch: Batch, params: LinearGaussianParameters) -> LinearGaussianDensity:
        if batch.n_columns != len(params.offset):
            raise DataError(f"the data have {batch.n_columns} columns, but the offset has {len(params.offset)} entries")
        offset = params.offset
        if self.n_inputs:
            offset = offset + _covariates(batch) @ params.inputs.T
        loadings = params.loadings if self.loadings_by is None else self.loadings_by.loadings(batch, params.loadings)
        scale = None if self.noise_by is None else self.noise_by.of_rows(batch)
        return LinearGaussianDensity(batch.values, offset, loadings, params.noise, batch.missing, scale)

    def statistics(
        self, batch: Batch, posterior: Posterior, params: LinearGaussianParameters
    ) -> LinearGaussianStatistics:
        """Where an entry is missing it has its expectation given z and what is observed of the row.

        A row with nothing observed (a step without a measurement, in a chain) tells nothing of x given z, and counts 0.
        """
        if not self._varies:
            return self._sums(batch, posterior, params)
        if self.loadings_by is not None:
            mean, covariance = posterior.moments
            covariance = np.broadcast_to(covariance, (len(batch), *covariance.shape[1:]))
            mean, covariance = self.loadings_by.products(batch, mean, covariance)
            posterior = Posterior(weights=posterior.weights, mean=mean, covariance=covariance)
            params = replace(params, loadings=self.loadings_by.widened(params.loadings, 0.0))
        if self.noise_by is None:
            return self._sums(batch, posterior, params)
        scales = self.noise_by.of_rows(batch)
        parts = [self._sums(batch, posterior, params, scale) for scale in scales.T]
        return parts[0] if len(parts) == 1 else _column_by_column(parts)

    def _sums(
        self, batch: Batch, posterior: Posterior, params: LinearGaussianParameters, scale: FloatArray | None = None
    ) -> LinearGaussianStatistics:
        """The moments of one regression for all columns, rows divided by their scale (n,)."""
        assert posterior.mean is not None
        mean = posterior.mean
        weights = np.ones(len(batch)) if posterior.weights is None else posterior.weights
        design = np.concatenate([_covariates(batch), mean], axis=1) if self.n_inputs else mean
        if batch.missing:
            presence = batch.once("presence", lambda: Presence.of(batch.observed))
            weights = weights * np.any(presence.seen, axis=1, keepdims=True)[presence.pattern, 0]
        else:
            presence = Presence.complete(*batch.values.shape)
        counts = weights
        if scale is not None:
            weights = weights / scale
        if presence.is_one:
            spreads = posterior.covariance_sum(weights)[None]
        else:
            spreads = presence.matrix_sums(weights, posterior.moments[1])
        rows = batch.values - params.offset
        if batch.missing:
            expected = mean @ params.loadings.T
            if self.n_inputs:
                expected = _covariates(batch) @ params.inputs.T + expected
            filled = complete(rows, batch.observed, presence, expected, params.loadings, params.noise)
            rows = filled.rows
        k = 1 + self.n_inputs
        is_even = posterior.weights is None and not batch.missing and scale is None
        gram = gram_with_one(weights, design, is_even)
        gram[k:, k:] += spreads.sum(axis=0)
        cross = cross_with_one(weights, rows, design, is_even)
        square: FloatArray
        if params.noise.ndim == 1:
            square = weights @ rows**2
        else:
            square = rows.T @ (rows if is_even else rows * weights[:, None])
        if batch.missing:
            cross[:, k:] += np.einsum("mpq,mqr->pr", filled.slopes, spreads)
            square = square + filled.hidden_squares(spreads, presence.sums(counts))
        return LinearGaussianStatistics(counts.sum(), gram, cross, square, Reference(params.offset))

    def maximize(
        self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters
    ) -> LinearGaussianParameters:
        p = len(params.offset)
        groups = self._groups(params)
        freedom = Freedom(groups.coefficients, groups.noise, self._floors(p), groups.is_plain)
        about = statistics.reference.point
        start = self._coefficients(params)
        start[:, 0] -= about
        coefficients, noise = maximize(statistics.moments_about(about), start, params.noise, freedom)
        coefficients[:, 0] += about
        if self.loadings_by is not None:
            coefficients = self.loadings_by.narrowed(coefficients)
        return replace(params.with_coefficients(coefficients), noise=noise)

    def _coefficients(self, params: LinearGaussianParameters) -> FloatArray:
        """(p, a): d, B and Λ, or what stands for Λ where it is multiplied, as the statistics have them."""
        own = params.coefficients
        return own if self.loadings_by is None else self.loadings_by.widened(own, 0.0)

    def _groups(self, params: LinearGaussianParameters) -> Layout:
        own = params.groups
        if self.loadings_by is None:
            return own
        return Layout(self.loadings_by.widened(own.coefficients, HELD), own.noise)

    def absorbed(
        self, params: LinearGaussianParameters, shift: FloatArray, factor: FloatArray
    ) -> LinearGaussianParameters | None:
        """d + Λ m and Λ C, where nothing of d and Λ is held or equal."""
        if self._varies or not params.groups.is_plain:
            return None
        return replace(params, offset=params.offset + params.loadings @ shift, loadings=params.loadings @ factor)

    def expected_log_density(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> float:
        """Up to the logarithms of what multiplies variances, a constant."""
        return expected_log_normal(self._scatter(statistics, params), float(statistics.count), params.noise)

    def _scatter(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> FloatArray:
        coefficients = self._coefficients(params)
        coefficients[:, 0] = 0.0
        return statistics.moments_about(params.offset).scatter(coefficients)

    def score(self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters) -> FloatArray:
        moments = statistics.moments_about(params.offset)
        coefficients = self._coefficients(params)
        coefficients[:, 0] = 0.0
        slope = moments.cross - moments.fitted(coefficients)
        if params.noise.ndim == 1:
            inverse = inverse_variances(params.noise)
            by_coefficient = inverse[:, None] * slope
        else:
            by_coefficient = precision(params.noise)[0] @ slope
        groups, scatter = self._groups(params), moments.scatter(coefficients)
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
        if self.n_inputs or self._varies:
            raise ParameterError("rows of a model with inputs cannot be drawn without those")
        return np.asarray(params.offset + states @ params.loadings.T + _noise(params, len(states), rng))

    def sample_given(
        self, params: LinearGaussianParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        """The same with the inputs of a batch, which has a row for each z."""
        if given is None or not (self.n_inputs or self._varies):
            return self.sample(params, states, rng)
        self.check(given)
        blank = replace(given, values=np.zeros((len(states), len(params.offset))), missing=False, memo={})
        density, noise = self.log_density(blank, params), _noise(params, len(states), rng)
        noise = noise if density.scale is None else noise * np.sqrt(density.scale)
        return np.asarray(density.offset + density.signal(states) + noise)

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


def _noise(params: LinearGaussianParameters, n: int, rng: np.random.Generator) -> FloatArray:
    """(n, p): draws of N(0, R)."""
    noise = rng.standard_normal((n, len(params.offset)))
    if params.noise.ndim == 1:
        return np.asarray(noise * np.sqrt(params.noise))
    values, vectors = np.linalg.eigh(params.noise)
    return np.asarray((noise * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _column_by_column(parts: list[LinearGaussianStatistics]) -> LinearGaussianStatistics:
    """Of each column the moments that were divided by its own scale."""
    return LinearGaussianStatistics(
        parts[0].count,
        np.stack([part.gram for part in parts]),
        np.stack([part.cross[i] for i, part in enumerate(parts)]),
        np.array([part.square[i] for i, part in enumerate(parts)]),
        parts[0].reference,
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
