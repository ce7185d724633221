"""Rows that are linear in a vector z with Gaussian noise: factor analysis, and what a state space model observes.

p(x | z) = N(x; d + B u + Λ z, R), with u the inputs (covariates) if there are any.  Missing entries (NaN) are
integrated out exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form, LinearGaussianDensity
from ..errors import DataError, ParameterError
from ..kernels.cholesky import log_cholesky_score
from ..kernels.gaussian import above_floor, inverse_factors
from ..kernels.linear_gaussian import Presence
from ..kernels.linear_regression import (
    Freedom,
    Moments,
    expected_log_normal,
    inverse_variances,
    is_plain,
    maximize,
    precision,
)
from ..model import Family, Posterior
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..patterns import HELD, Pattern, means_of, spread
from ..statistics import Reference, Statistics
from .columnwise import weighted_column_mean

STRUCTURES = ("full", "diagonal", "isotropic")
DEFAULT_FLOOR = 1e-12


@dataclass(frozen=True, init=False, repr=False)
class NoiseDomain(Positive):
    """Variances (p,) of at least zero, or a covariance matrix (p, p)."""

    def n_free(self, shape: tuple[int, ...]) -> int:
        return Positive.n_free(self, shape) if len(shape) == 1 else PositiveDefinite().n_free(shape)

    def flatten(self, value: FloatArray) -> FloatArray:
        return Positive.flatten(self, value) if np.ndim(value) == 1 else PositiveDefinite().flatten(value)

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        if len(shape) == 1:
            return Positive.unflatten(self, vector, shape, xp)
        return PositiveDefinite().unflatten(vector, shape, xp)

    def _holds(self, value: FloatArray) -> bool:
        if value.ndim == 1:
            return bool(np.all(np.isfinite(value) & (value >= 0)))
        square = value.ndim == 2 and value.shape[0] == value.shape[1] and np.all(np.isfinite(value))
        return bool(square and np.allclose(value, value.T) and np.linalg.eigvalsh(value)[0] >= -1e-12 * value.max())


@dataclass(frozen=True, eq=False)
class Layout:
    """Which numbers are free: groups of equal entries, -1 where held.

    Attributes
    ----------
    coefficients : (p, 1 + m + q) int
        Of d, B and Λ side by side.
    noise : (p,) int or None
        Of the variances; None: a free covariance matrix.
    """

    coefficients: Array
    noise: Array | None

    @cached_property
    def is_plain(self) -> bool:
        """Whether no coefficient is held or equal to another; they are then numbered in order."""
        return is_plain(self.coefficients)


@dataclass(frozen=True)
class LinearGaussianParameters(Parameters):
    """Offset d (p,), loadings Λ (p, q), noise R as variances (p,) or a matrix (p, p), weights B (p, m) of the inputs.

    `layout` says what is held or equal; without one all is free.
    """

    offset: FloatArray = parameter(Real())
    loadings: FloatArray = parameter(Real())
    noise: FloatArray = parameter(NoiseDomain())
    inputs: FloatArray = parameter(Real())
    layout: Layout | None = None

    @classmethod
    def of(cls, offset: Any, loadings: Any, noise: Any, inputs: Any = None) -> LinearGaussianParameters:
        """Parameters from nested lists or arrays, without inputs unless their weights are given."""
        d, matrix, r = (np.asarray(part, float) for part in (offset, loadings, noise))
        weights = np.empty((len(d), 0)) if inputs is None else np.asarray(inputs, float)
        return cls(d, matrix, r, weights).check()

    @property
    def coefficients(self) -> FloatArray:
        """(p, 1 + m + q): d, B and Λ side by side."""
        return np.concatenate([self.offset[:, None], self.inputs, self.loadings], axis=1)

    def with_coefficients(self, coefficients: FloatArray) -> LinearGaussianParameters:
        """The parameters with d, B and Λ taken from (p, 1 + m + q)."""
        m = self.inputs.shape[1]
        return replace(
            self, offset=coefficients[:, 0], inputs=coefficients[:, 1 : 1 + m], loadings=coefficients[:, 1 + m :]
        )

    @cached_property
    def groups(self) -> Layout:
        """The layout, made where there is none."""
        if self.layout is not None:
            return self.layout
        p, a = self.coefficients.shape
        return Layout(np.arange(p * a).reshape(p, a), np.arange(p) if self.noise.ndim == 1 else None)

    @property
    def n_free(self) -> int:
        return self._n_coefficients + self._n_noise

    def coordinate_names(self, prefix: str = "") -> list[str]:
        p, q = self.loadings.shape
        m = self.inputs.shape[1]
        heads = ["offset", *(f"inputs[:,{j}]" for j in range(m)), *(f"loadings[:,{j}]" for j in range(q))]
        names = np.array([[prefix + head.replace(":", str(i)) for head in heads] for i in range(p)], dtype=object)
        names[:, 0] = [f"{prefix}offset[{i}]" for i in range(p)]
        first = _first_of(self.groups.coefficients, names)
        if self.groups.noise is None:
            return first + PositiveDefinite().coordinate_names(f"{prefix}noise", self.noise.shape)
        return first + _first_of(
            self.groups.noise, np.array([f"log {prefix}noise[{i}]" for i in range(p)], dtype=object)
        )

    @property
    def _n_coefficients(self) -> int:
        return int(self.groups.coefficients.max(initial=-1)) + 1

    @property
    def _n_noise(self) -> int:
        groups = self.groups.noise
        return PositiveDefinite().n_free(self.noise.shape) if groups is None else int(groups.max(initial=-1)) + 1

    def flatten(self) -> FloatArray:
        plain = self.groups.is_plain
        free = self.coefficients.ravel() if plain else means_of(self.groups.coefficients, self.coefficients)
        if self.groups.noise is None:
            return np.concatenate([free, PositiveDefinite().flatten(self.noise)])
        if not self._n_noise:
            return free
        return np.concatenate([free, Positive().flatten(means_of(self.groups.noise, self.noise))])

    def unflatten(self, vector: FloatArray) -> LinearGaussianParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        free, rest = np.split(vector, [self._n_coefficients])
        shape = self.groups.coefficients.shape
        plain = self.groups.is_plain
        moved = self.with_coefficients(
            free.reshape(shape) if plain else spread(self.groups.coefficients, free, self.coefficients)
        )
        if self.groups.noise is None:
            return replace(moved, noise=PositiveDefinite().unflatten(rest, self.noise.shape))
        if not self._n_noise:
            return moved
        variances = Positive().unflatten(rest, rest.shape)
        return replace(moved, noise=spread(self.groups.noise, variances, self.noise))


@dataclass(frozen=True)
class LinearGaussianStatistics(Statistics):
    """Expected moments of y = x - d₀ (d₀ the reference) and w = (1, u, z).

    Attributes
    ----------
    count : ()
        Σ w.
    gram : (a, a)
        Σ E[w wᵀ].
    cross : (p, a)
        Σ E[y wᵀ].
    square : (p,) or (p, p)
        Σ E[y²] where the noise is diagonal, else Σ E[y yᵀ].
    reference : Reference
    """

    count: FloatArray
    gram: FloatArray
    cross: FloatArray
    square: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> LinearGaussianStatistics:
        """The same moments about another offset."""
        by = self.reference.point - reference.point
        ones = self.gram[0]
        if self.square.ndim == 1:
            square = self.square + 2 * by * self.cross[:, 0] + by**2 * self.count
        else:
            mixed = np.outer(self.cross[:, 0], by)
            square = self.square + mixed + mixed.T + self.count * np.outer(by, by)
        return LinearGaussianStatistics(
            self.count, self.gram, self.cross + np.outer(by, ones), square, reference
        )

    def moments_about(self, offset: FloatArray) -> Moments:
        """As moments of a regression of x - offset."""
        moved = self.shift(Reference(offset))
        return Moments(float(moved.count), moved.gram, moved.cross, moved.square)


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
        patterns = [
            Pattern.of("offset", self.offset, (p,)),
            Pattern.of("inputs", given, (p, m)),
            Pattern.of("loadings", self.loadings, (p, q)),
        ]
        together = Pattern.of("coefficients", _joined(patterns), (p, 1 + m + q))
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
        entries = {"diagonal": None, "isotropic": ["R"] * p}.get(self.noise, self.noise) if isinstance(
            self.noise, str
        ) else self.noise
        pattern = Pattern.of("noise", entries, (p,))
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
        rows, slopes, rest = _complete(batch, presence, mean, known, params)
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
            counts = presence.sums(weights)
            cross[:, k:] += np.einsum("mpq,mqr->pr", slopes, spreads)
            square = square + _hidden_squares(slopes, spreads, rest, counts, params.noise.ndim)
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
        first = _summed(groups.coefficients, by_coefficient)
        if groups.noise is None:
            whiten = inverse_factors(params.noise[None])
            second = log_cholesky_score(whiten, scatter[None], np.atleast_1d(moments.count))[0]
        elif params._n_noise:
            second = _summed(groups.noise, 0.5 * (scatter * inverse - moments.count))
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

    def findings(
        self, statistics: LinearGaussianStatistics, params: LinearGaussianParameters
    ) -> list[tuple[int, str]]:
        groups, floors = params.groups.noise, self._floors(len(params.offset))
        if groups is None or params.noise.ndim == 2:
            return []
        held = np.flatnonzero((groups >= 0) & (params.noise <= floors * (1 + 1e-6)))
        if not len(held):
            return []
        slopes = self.score(statistics, params)[-params._n_noise :][groups[held]]
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


def loadings_given_noise(covariance: FloatArray, noise: FloatArray, q: int) -> FloatArray:
    """The loadings (p, q) that maximize the likelihood given noise variances (p,): Λ = Ψ^½ U (L - I)^½.

    U and L are the leading eigenvectors and eigenvalues of Ψ^-½ S Ψ^-½ (Lawley 1940; Jöreskog 1967); in this order and
    with positive sums of columns they are unique: Λᵀ Ψ⁻¹ Λ is diagonal.
    """
    root = np.sqrt(noise)
    values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
    size = np.sqrt(np.maximum(values[::-1][:q] - 1.0, 0.0))
    loadings = root[:, None] * vectors[:, ::-1][:, :q] * size
    return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))


def principal_factors(correlation: FloatArray, q: int) -> tuple[FloatArray, FloatArray]:
    """Loadings (p, q) and noise variances (p,) that the leading eigenvectors of a correlation matrix suggest."""
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    rest = values[q:].mean() if q < len(values) else 0.5 * values[-1]
    size = np.sqrt(np.maximum(values[:q] - rest, 0.05 * np.maximum(values[:q], 1e-3)))
    loadings = np.zeros((len(values), q))
    loadings[:, : len(size)] = vectors[:, :q] * size
    return loadings, np.maximum(np.diagonal(correlation) - np.sum(loadings**2, axis=1), 0.05)


def _complete(
    batch: Batch, presence: Presence, mean: FloatArray, known: FloatArray, params: LinearGaussianParameters
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rows y = x - d with missing entries expected, how these depend on z (m, p, q), and their covariance given z.

    The covariance is (m, p) where the noise is diagonal, else (m, p, p).
    """
    p, q = params.loadings.shape
    deviations = batch.values - params.offset
    m = len(presence.seen)
    if not batch.missing:
        return deviations, np.empty((0, p, q)), np.empty((0, p))
    given = known[:, 1:] @ params.inputs.T
    if params.noise.ndim == 1:
        slopes = np.where(presence.seen[:, :, None], 0.0, params.loadings)
        filled = np.where(batch.observed, deviations, given + mean @ params.loadings.T)
        return filled, slopes, np.where(presence.seen, 0.0, params.noise)
    filled = np.where(batch.observed, deviations, 0.0)
    slopes, rest = np.zeros((m, p, q)), np.zeros((m, p, p))
    residuals = np.where(batch.observed, deviations - given - mean @ params.loadings.T, 0.0)
    for i, seen in enumerate(presence.seen):
        has, lacks = np.flatnonzero(seen), np.flatnonzero(~seen)
        rows = np.flatnonzero(presence.pattern == i)
        across = params.noise[np.ix_(lacks, has)]
        regression = across @ np.linalg.pinv(params.noise[np.ix_(has, has)], hermitian=True)
        slopes[i][lacks] = params.loadings[lacks] - regression @ params.loadings[has]
        rest[i][np.ix_(lacks, lacks)] = params.noise[np.ix_(lacks, lacks)] - regression @ across.T
        expected = given[np.ix_(rows, lacks)] + mean[rows] @ params.loadings[lacks].T
        filled[np.ix_(rows, lacks)] = expected + residuals[np.ix_(rows, has)] @ regression.T
    return filled, slopes, rest


def _hidden_squares(
    slopes: FloatArray, spreads: FloatArray, rest: FloatArray, counts: FloatArray, dimensions: int
) -> FloatArray:
    """Σ w of the covariance of missing entries: what z leaves open, and what remains given z."""
    if dimensions == 1:
        return np.asarray(np.einsum("mpq,mqr,mpr->p", slopes, spreads, slopes) + counts @ rest)
    return np.asarray(np.einsum("mpq,mqr,msr->ps", slopes, spreads, slopes) + np.tensordot(counts, rest, 1))


def _covariates(batch: Batch) -> FloatArray:
    if batch.covariates is None:
        raise DataError("the family has inputs, but the data came without covariates")
    return batch.covariates


def _summed(groups: Array, slopes: FloatArray) -> FloatArray:
    """Derivatives by the free numbers: sums over the entries that each drives."""
    free = groups >= 0
    return np.asarray(np.bincount(groups[free], slopes[free]))


def _first_of(groups: Array, names: Array) -> list[str]:
    """For each group the name of its first entry."""
    numbers, first = np.unique(groups, return_index=True)
    return [str(names.ravel()[i]) for number, i in zip(numbers, first, strict=True) if number >= 0]


def _joined(patterns: list[Pattern]) -> Array | None:
    """The entries of offset, inputs and loadings side by side; a name is one of its own in each.  None: all free."""
    if all(pattern.is_free for pattern in patterns):
        return None
    p = patterns[0].shape[0]
    tables = []
    for number, pattern in enumerate(patterns):
        named = [f"{number} {entry}" if isinstance(entry, str) else entry for entry in pattern.array.flat]
        table = np.full(len(named), None, dtype=object)
        table[:] = named
        tables.append(table.reshape(p, -1) if len(named) else np.empty((p, 0), dtype=object))
    return np.concatenate(tables, axis=1)


def _frozen(name: str, value: Any) -> Any:
    """An option as given by name or number, or its entries as a `Pattern`, which compares and hashes."""
    if value is None or isinstance(value, str | int | Pattern):
        return value
    return Pattern.of(name, value, np.array(value, dtype=object).shape)
