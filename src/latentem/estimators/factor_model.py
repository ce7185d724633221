"""What factor analysis and probabilistic PCA share: data to moments, starts, fits, scores and measures of fit."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from itertools import groupby
from math import inf, nan
from numbers import Integral, Real
from typing import Any, ClassVar, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..acceleration import SCHEMES, Anderson
from ..data import ArraySource, Source
from ..em import Executor, run
from ..errors import DataError, ParameterError
from ..execution.opening import opened
from ..families.columnwise import weighted_column_mean
from ..families.gaussian import FullGaussian, FullGaussianParameters
from ..families.linear_gaussian import LinearGaussian
from ..families.linear_gaussian_parameters import LinearGaussianParameters
from ..fitting import as_acceleration, as_generator, best_of, name_places
from ..kernels.factors import left_over, likely_factors, loadings_given_noise
from ..kernels.gaussian import inverse_factors
from ..kernels.rotations import METHODS, Rotation, rotate
from ..latents import Categorical, Normal
from ..latents.categorical import CategoricalParameters
from ..model import LatentVariableModel, ModelParameters
from ..models.factor_fit import FactorFit, factor_fit
from ..models.moment_rows import MomentRows, moment_rows
from ..models.starts import draw_pool
from ..result import EMResult, Finding, Iteration, Status
from .certified import CONSTRAINT, at_a_maximum
from .factor_units import Units
from .findings import FindingWarning, examine, tell
from .inputs import read_table, read_weights, require_observed, survey
from .partial_factors import LearnsRows
from .undoing import unchanged_on_error

# A uniqueness below the first may be on its way to zero, where EM slows down without end; where EM did not converge,
# one below the second; below the third it surely is.
SUSPECT, SUSPECT_IF_SLOW, ON_ITS_WAY = 1e-2, 0.1, 1e-3
# Rows in a chunk: a few compiled calls each, which make no products of columns but their sum.
CHUNK_ROWS = 2016
# How many columns are tried at their floors at a time.
TRIED = 3
_SINGULAR = (
    "the covariance of the columns is singular (constant, equal or dependent columns, or no more rows than columns), "
    "and the likelihood of an unrestricted normal has no bound: chi-square and all made of it are NaN; drop columns"
)
# Share of a column's variance that the others leave, below which columns may be equal or constant.
SINGULAR = 1e-9


class FactorModel(LearnsRows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """x = μ + Λ z + e with z ~ N(0, I) and independent noise, by EM on the moments of the data."""

    _parameter_constraints: dict[str, Any] = {
        "n_components": [Interval(Integral, 0, None, closed="left"), None],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "rotation": [StrOptions(set(METHODS)), None],
        "kaiser": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "floor": [Interval(Real, 0.0, None, closed="left")],
        "acceleration": [StrOptions(set(SCHEMES)), HasMethods(["init", "propose"]), None],
        "executor": [StrOptions({"serial", "threads", "processes"}), HasMethods(["fold"]), None],
        "random_state": ["random_state", np.random.Generator],
        **CONSTRAINT,
    }
    _noise: ClassVar[str]

    # -- fitting -------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Estimate mean, loadings and noise by maximum likelihood.

        Parameters
        ----------
        X : array-like (n, p), or Source
            NaN marks a missing entry, which is integrated out.  Complete data are read once.
        y : None
            Ignored.
        sample_weight : (n,), optional
            Weights of the rows: 2 is the row twice, 0 is no row.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Data without an observed entry in a column, infinite values; row and column are named.
        """
        with unchanged_on_error(self):
            with opened(self.executor) as workers:
                source, few = self._read(X, sample_weight, workers)
                q = self._factors(source.n_columns)
                rows = survey(source, 1)
                require_observed(source)
                singular = source.missing or _may_be_singular(few)
                found = examine(source, rows.n_repeated, 1, variances=singular)
                fitted = replace(self._fitted(few, q, workers), n_rows=source.n_rows)
            self._store(fitted, few, source, found, rows.n_repeated)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_covariance(self, covariance: Any, n_samples: float, mean: Any = None) -> Self:
        """The same from a covariance or correlation matrix instead of data.

        Parameters
        ----------
        covariance : (p, p)
            With divisor n; a correlation matrix stands for standardized columns.
        n_samples : float
            The rows that it was computed from.
        mean : (p,), optional
            Zeros unless given.

        Returns
        -------
        self

        Raises
        ------
        DataError
            A matrix that is not square, symmetric, finite and positive semidefinite.
        ParameterError
            A mean that is not p finite numbers, a number of rows that is not positive.
        """
        with unchanged_on_error(self):
            matrix = _checked_covariance(covariance)
            p = len(matrix)
            n = _checked_count(n_samples)
            centre = np.zeros(p) if mean is None else _checked_mean(mean, p)
            q = self._factors(p)
            few = MomentRows(n, centre, matrix * n)
            self.n_features_in_ = p
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
            with opened(self.executor) as workers:
                fitted = replace(self._fitted(few, q, workers), n_rows=round(n))
            self._store(fitted, few, few, [], round(n))
        return self

    def _read(self, X: Any, sample_weight: Any, workers: Executor) -> tuple[Source, Source]:
        """The data, and rows that stand for them: of complete data the sums tell that all entries are numbers."""
        source = self._source(X, sample_weight, reset=True, unseen=True)
        few = moment_rows(source, workers)
        if few is not source or not (isinstance(source, ArraySource) and source.unseen):
            return source, few
        source = self._source(X, sample_weight, reset=True)
        return source, moment_rows(source, workers)

    def _source(self, X: Any, sample_weight: Any, *, reset: bool, unseen: bool = False) -> Source:
        if isinstance(X, Source):
            if sample_weight is not None:
                raise ParameterError("the weights of a source are its own: give them when you make it")
            if reset:
                self.n_features_in_ = X.n_columns
            return X
        table = read_table(self, X, reset=reset)
        names = getattr(self, "feature_names_in_", None)
        weights = read_weights(sample_weight, table.shape[0])
        plain = weights is None and table.dtype == np.float64
        return ArraySource(table, weights=weights, names=names, chunk_rows=CHUNK_ROWS, unseen=unseen and plain)

    def _factors(self, p: int) -> int:
        q = p if self.n_components is None else int(self.n_components)
        if q > p:
            raise DataError(f"n_components={q} factors for {p} columns; use at most {p}")
        return q

    def _model(self, scale: FloatArray, q: int) -> LatentVariableModel:
        floors = tuple((max(self.floor, 1e-12) * scale**2).tolist())
        return LatentVariableModel(Normal(max(q, 1)), self._family(q, floors))

    def _family(self, q: int, floors: tuple[float, ...]) -> LinearGaussian:
        """Without factors the loadings of the one that there is are held at zero."""
        held = None if q else np.zeros((len(floors), 1))
        return LinearGaussian(self._noise, loadings=held, floor=floors)

    def _fitted(self, few: Source, q: int, workers: Executor) -> EMResult:
        """In units of the columns' spread, so that none of them counts for more in a step; told in the user's."""
        units = Units.of(few, common=self._noise == "isotropic")
        found = self._fitted_in_units(units.applied(few), q, workers, units.scale)
        model = self._model(units.scale, q)
        return units.undone(found, model, few)

    def _fitted_in_units(self, few: Source, q: int, workers: Executor, scale: FloatArray) -> EMResult:
        model, rng = self._model(np.ones(len(scale)), q), as_generator(self.random_state)

        def climb(
            model: LatentVariableModel, start: ModelParameters, *watchers: Any, tol: float = self.tol
        ) -> EMResult:
            return run(
                model,
                few,
                model.conform(start),
                executor=workers,
                acceleration=as_acceleration(self.acceleration),
                tol=tol,
                max_iter=self.max_iter,
                callbacks=watchers,
            )

        def attempt(number: int) -> EMResult:
            emission = self._start(model, few, q, rng if number else None, scale)
            start = ModelParameters(model.latent.start(), emission)
            if not q or self._noise != "diagonal":
                return climb(model, start)
            return _at_the_floor(climb, model, climb(model, start, partial(_runs_to_floor, model)))

        interrupted = Status.INTERRUPTED
        best = best_of(attempt, self.n_init, 0, lambda result: result, lambda result: result.status is interrupted)
        if not self.certify:
            return best
        return at_a_maximum(best, lambda model, start, tol: climb(model, start, tol=tol), self.tol, workers)

    def _start(
        self, model: LatentVariableModel, few: Source, q: int, rng: np.random.Generator | None, scale: FloatArray
    ) -> LinearGaussianParameters:
        """From the user's noise variances or random ones, each with its best loadings; else from `likely_factors` of S.

        Principal axes serve where S is singular or entries are missing.
        """
        offset, covariance = _spread(few)
        variances, p = np.diagonal(covariance), len(covariance)
        given = getattr(self, "noise_variance_init", None)
        if not q:
            return cast("LinearGaussianParameters", model.family.start(_pooled(few), 1))
        if rng is not None:
            noise = np.maximum(variances, SINGULAR) * rng.uniform(0.05, 0.95, size=p)
        elif given is not None:
            noise = np.maximum(_checked_variances(given, p) / scale**2, 1e-12)
        elif self._noise == "isotropic":
            noise = np.full(p, left_over(covariance, q))
        elif few.missing or _is_singular(covariance, SINGULAR):
            return cast("LinearGaussianParameters", model.family.start(_pooled(few), q))
        else:
            return LinearGaussianParameters.of(offset, *likely_factors(covariance, q, max(self.floor, 1e-12)))
        if self._noise == "isotropic":
            noise = np.full(p, noise.mean())
        return LinearGaussianParameters.of(offset, loadings_given_noise(covariance, noise, q), noise)

    def _store(self, result: EMResult, few: Source, source: Source, found: list[Finding], n: int) -> None:
        p, q = source.n_columns, self._factors(source.n_columns)
        findings = (*found, *_identification(p, q, n, self._noise), *result.findings)
        self.result_ = name_places(replace(result, findings=findings), source)
        self._show(result.parameters, q)
        self._stream = None
        self.loglike_ = [objective for objective, _ in groupby(objective for _, objective in result.history)]
        self.n_iter_ = max(1, len(result.history) - 1)
        self.converged_ = result.converged
        self._moments = _table(few) if few is not source or few.n_rows <= p + 1 else None
        tell(self.result_)
        if not result.converged:
            warnings.warn(
                f"{type(self).__name__} did not converge; {result.status.value}", ConvergenceWarning, stacklevel=4
            )

    def _show(self, parameters: ModelParameters, q: int) -> None:
        """As attributes, rotated."""
        emission = parameters.emission
        rotated = self._rotated(emission.loadings[:, :q], emission.noise)
        self._parameters, self.mean_ = parameters, emission.offset
        self.components_ = rotated.loadings.T
        self.rotation_matrix_, self.factor_correlations_ = rotated.transform, rotated.correlations
        self.noise_variance_ = emission.noise

    def _rotated(self, loadings: FloatArray, noise: FloatArray) -> Rotation:
        """The loadings as Λᵀ Ψ⁻¹ Λ diagonal, largest first, which is unique; then as the user wants them rotated."""
        values, vectors = np.linalg.eigh((loadings.T / noise) @ loadings)
        first = vectors[:, ::-1]
        signs = np.where((loadings @ first).sum(axis=0) < 0, -1.0, 1.0)
        first = first * signs
        if self.rotation is None or loadings.shape[1] < 2:
            return Rotation(loadings @ first, np.eye(len(values)), first)
        found = rotate(loadings @ first, self.rotation, kaiser=self.kaiser)
        order = np.argsort(-np.sum(found.loadings**2, axis=0), kind="stable")
        signs = np.where(found.loadings[:, order].sum(axis=0) < 0, -1.0, 1.0)
        flips = signs[:, None] * signs
        return Rotation(
            found.loadings[:, order] * signs,
            found.correlations[np.ix_(order, order)] * flips,
            first @ found.transform[:, order] * signs,
        )

    # -- what it says of the columns -----------------------------------------------------------

    @property
    def loadings_(self) -> FloatArray:
        """(p, q): Λ, the transpose of `components_`."""
        check_is_fitted(self)
        return np.asarray(self.components_.T)

    @property
    def communalities_(self) -> FloatArray:
        """(p,): the share of each column's variance that the factors explain."""
        covariance = self.get_covariance()
        return np.asarray(1.0 - self._variances / np.diagonal(covariance))

    @property
    def uniquenesses_(self) -> FloatArray:
        """(p,): the share of each column's variance that they do not."""
        return np.asarray(self._variances / np.diagonal(self.get_covariance()))

    @property
    def _variances(self) -> FloatArray:
        check_is_fitted(self)
        return np.broadcast_to(np.asarray(self.noise_variance_, float), (self.n_features_in_,))

    @property
    def n_parameters_(self) -> int:
        """Free parameters, those that a rotation makes up for not counted: p + p q - q (q - 1) / 2 and the noise's."""
        p, q = self.n_features_in_, len(self.components_)
        return p + p * q - q * (q - 1) // 2 + (p if self._noise == "diagonal" else 1)

    def get_covariance(self) -> FloatArray:
        """(p, p): Λ Φ Λᵀ + Ψ."""
        check_is_fitted(self)
        loadings = self.components_.T
        return np.asarray(loadings @ self.factor_correlations_ @ loadings.T + np.diag(self._variances))

    def get_precision(self) -> FloatArray:
        """(p, p): the inverse of `get_covariance`, from its own factor: a noise variance near zero does it no harm."""
        whiten = inverse_factors(self.get_covariance()[None])[0]
        return np.asarray(whiten.T @ whiten)

    # -- what it says of rows ------------------------------------------------------------------

    def transform(self, X: Any, *, method: str = "regression") -> FloatArray:
        """Scores of the factors, (n, q).

        Parameters
        ----------
        X : array-like (n, p)
            Of a row with missing entries what is observed counts.
        method : {"regression", "bartlett"}
            E[f | x], Thomson's regression scores; or the weighted least squares estimates of f (Bartlett 1937),
            unbiased given f, which need as many observed columns as there are factors.
        """
        if method not in ("regression", "bartlett"):
            raise ParameterError(f'method must be "regression" or "bartlett", got {method!r}')
        source, q = self._new(X), len(self.components_)
        scores = np.empty((source.n_rows, q))
        for batch in source:
            rows = slice(batch.first_row, batch.first_row + len(batch))
            if method == "regression":
                mean = self.result_.model.infer(self._parameters, batch)[0].moments[0]
                scores[rows] = mean[:, :q] @ self.rotation_matrix_
            else:
                scores[rows] = self._bartlett(batch.values, batch.first_row)
        return scores

    def _bartlett(self, values: FloatArray, first_row: int) -> FloatArray:
        loadings, weights = self.components_.T, 1 / self._variances
        seen = ~np.isnan(values)
        gram = np.einsum("np,pq,pr->nqr", seen * weights, loadings, loadings)
        right = np.where(seen, values - self.mean_, 0.0) * weights @ loadings
        short = np.flatnonzero(np.linalg.matrix_rank(gram, hermitian=True) < loadings.shape[1])
        if len(short):
            raise DataError(
                f"row {first_row + short[0]}: too few columns are observed, or tell the factors apart, for Bartlett's "
                'scores; use method="regression" or fewer factors'
            )
        return np.asarray(np.linalg.solve(gram, right[:, :, None])[:, :, 0])

    def score_samples(self, X: Any) -> FloatArray:
        """(n,): log density of each row."""
        source = self._new(X)
        parts = [self.result_.model.infer(self._parameters, batch)[1] for batch in source]
        return np.concatenate(parts)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log density of the rows, weighted by `sample_weight`."""
        values = self.score_samples(X)
        weights = read_weights(sample_weight, len(values))
        return float(np.average(values, weights=weights))

    def sample(self, n_samples: int = 1) -> FloatArray:
        """Draw rows from the fitted model, (n_samples, p)."""
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 0:
            raise ParameterError(f"n_samples must be a whole number, at least 0, got {n_samples!r}")
        rng = as_generator(self.random_state)
        return self.result_.model.sample(self._parameters, np.zeros(int(n_samples), int), rng)

    def _new(self, X: Any) -> Source:
        check_is_fitted(self)
        source = self._source(X, None, reset=False)
        if source.n_columns != self.n_features_in_:
            raise DataError(f"X has {source.n_columns} columns, but the fit had {self.n_features_in_}")
        return source

    # -- how well it fits ----------------------------------------------------------------------

    @property
    def log_likelihood_(self) -> float:
        """ℓ of the data that were fitted."""
        check_is_fitted(self)
        return float(self.result_.log_likelihood)

    def aic(self) -> float:
        """-2 ℓ + 2 × `n_parameters_` (Akaike 1974) of the fitted data; smaller is better."""
        return -2 * self.log_likelihood_ + 2 * self.n_parameters_

    def bic(self) -> float:
        """-2 ℓ + `n_parameters_` × log n with n the sum of the weights (Schwarz 1978); smaller is better."""
        return -2 * self.log_likelihood_ + self.n_parameters_ * float(np.log(self.result_.expectation.weight))

    def fit_measures(self, X: Any = None, sample_weight: Any = None) -> FactorFit:
        """χ², RMSEA, CFI, TLI and SRMR of the fitted data; where entries are missing, against a full normal by EM.

        Parameters
        ----------
        X, sample_weight
            The data of the fit, needed only where rows have so many patterns of missing entries that no moments stand
            for them.

        Warns
        -----
        FindingWarning
            The covariance is singular: all but SRMR are NaN.
        ConvergenceWarning
            The full normal did not converge, so that χ² may be too small.
        """
        check_is_fitted(self)
        rows = self._rows_again(X, sample_weight)
        units = Units.of(rows, common=False)
        moved = units.applied(rows)
        implied = self.get_covariance() / np.outer(units.scale, units.scale)
        observed, saturated = self._saturated(moved, implied, (self.mean_ - units.centre) / units.scale)
        totals, variances = _alone(moved)
        jacobian = float(totals @ np.log(units.scale))
        if np.isnan(saturated):
            warnings.warn(_SINGULAR, FindingWarning, stacklevel=2)
        return factor_fit(
            log_likelihood=self.log_likelihood_ + jacobian,
            saturated=saturated,
            independent=float(-0.5 * totals @ (np.log(2 * np.pi * np.maximum(variances, SINGULAR)) + 1)),
            observed=observed,
            implied=implied,
            n=float(self.result_.expectation.weight),
            n_parameters=self.n_parameters_ - self.n_features_in_,
            n_factors=len(self.components_),
        )

    def _saturated(self, rows: Source, implied: FloatArray, mean: FloatArray) -> tuple[FloatArray, float]:
        """The covariance (p, p) of an unrestricted normal and its ℓ, NaN where it is singular: ℓ has no bound there.

        In closed form where nothing is missing; else by EM from what the factor model implies.
        """
        p = len(mean)
        if not rows.missing:
            covariance = _spread(rows)[1]
            singular = _is_singular(covariance, SINGULAR)
            log_determinant = nan if singular else np.linalg.slogdet(covariance)[1]
            weight = float(self.result_.expectation.weight)
            return covariance, -0.5 * weight * float(p * np.log(2 * np.pi) + log_determinant + p)
        model = LatentVariableModel(Categorical(1), FullGaussian(floor=(1e-12,) * p))
        emission = FullGaussianParameters(mean[None], implied[None])
        start = ModelParameters(CategoricalParameters(np.ones(1)), emission)

        def collapses(iteration: Iteration) -> bool:
            params = cast("ModelParameters", iteration.parameters)
            return _is_singular(params.emission.covariances[0], SINGULAR)

        with opened(self.executor) as workers:
            climb = partial(run, executor=workers, acceleration=Anderson(), tol=1e-4, max_iter=2000)
            full = climb(model, rows, start, callbacks=(collapses,))
        covariance = full.parameters.emission.covariances[0]
        if _is_singular(covariance, SINGULAR):
            return covariance, nan
        if not full.converged:
            warnings.warn(
                f"the unrestricted normal that the factors are measured against did not converge; {full.status.value}; "
                "chi-square and all that is made of it may be too small",
                ConvergenceWarning,
                stacklevel=3,
            )
        return covariance, full.log_likelihood

    def _rows_again(self, X: Any, sample_weight: Any) -> Source:
        if self._moments is not None:
            return ArraySource(self._moments[0], weights=self._moments[1])
        if X is None:
            raise DataError(
                "no moments stand for these data (missing entries that vary from row to row, or batches): give X again"
            )
        return self._source(X, sample_weight, reset=False)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _shares(params: ModelParameters) -> FloatArray:
    """(p,): uniquenesses."""
    emission = params.emission
    return np.asarray(emission.noise / (emission.noise + np.sum(emission.loadings**2, axis=1)))


def _held(model: LatentVariableModel, params: ModelParameters) -> Array:
    """(p,) bool: noise variances at their floors."""
    return np.asarray(params.emission.noise <= np.asarray(cast("LinearGaussian", model.family).floor) * (1 + 1e-6))


def _runs_to_floor(model: LatentVariableModel, iteration: Iteration) -> bool:
    """Whether some uniqueness is on its way to the floor."""
    params = cast("ModelParameters", iteration.parameters)
    return bool(np.any((_shares(params) < ON_ITS_WAY) & ~_held(model, params)))


def _at_the_floor(climb: Any, model: LatentVariableModel, result: EMResult) -> EMResult:
    """Try each small uniqueness at its floor, where EM would take for ever to arrive; keep what is better."""
    family = cast("LinearGaussian", model.family)
    floors = np.asarray(family.floor)
    for _ in range(len(floors)):
        shares, held = _shares(result.parameters), _held(model, result.parameters)
        suspects = (shares < (SUSPECT if result.converged else SUSPECT_IF_SLOW)) & ~held
        moved = result
        for j in np.flatnonzero(suspects)[np.argsort(shares[suspects])][:TRIED]:
            noise = np.where(held | (np.arange(len(shares)) == j), floors, np.nan)
            tried = climb(replace(model, family=replace(family, noise=noise)), result.parameters)
            moved = max(moved, tried, key=lambda found: found.objective)
        if moved is result:
            break
        result = climb(model, moved.parameters)
    return climb(model, result.parameters) if result.status is Status.STOPPED else result


def _is_singular(covariance: FloatArray, least: FloatArray | float) -> bool:
    """Whether columns may be constant or equal: no variance beyond the least, or correlations that lost a direction."""
    scale = np.sqrt(np.diagonal(covariance))
    if not np.all(scale**2 > least):
        return True
    try:
        factor = np.linalg.cholesky(covariance / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return True
    return bool(np.min(np.diagonal(factor)) ** 2 < SINGULAR)


def _may_be_singular(few: Source) -> bool:
    """The same of complete rows; a variance of the size that rounding of the mean leaves is none."""
    mean, covariance = _spread(few)
    return _is_singular(covariance, np.finfo(float).eps * mean**2)


def _alone(rows: Source) -> tuple[FloatArray, FloatArray]:
    """Weights of the observed entries of each column, and their variances, each (p,)."""
    values, weights = _table(rows)
    seen = ~np.isnan(values)
    totals = weights @ seen
    mean = weights @ np.where(seen, values, 0.0) / totals
    return totals, weights @ np.where(seen, values - mean, 0.0) ** 2 / totals


def _table(source: Source) -> tuple[FloatArray, FloatArray]:
    """All rows and their weights."""
    batches = list(source)
    return (
        np.concatenate([batch.values for batch in batches]),
        np.concatenate([batch.unit_weights(per_group=False) for batch in batches]),
    )


def _pooled(source: Source) -> Any:
    """All rows as one batch."""
    if len(source.chunks) == 1:
        return source.read(source.chunks[0])
    return draw_pool(source, np.random.default_rng(0), source.n_rows)


def _spread(source: Source) -> tuple[FloatArray, FloatArray]:
    """Mean (p,) and covariance (p, p), with missing entries at the mean."""
    if isinstance(source, MomentRows):
        return source.mean, source.covariance
    batch = _pooled(source)
    mean, weights = weighted_column_mean(batch), batch.unit_weights(per_group=False)
    deviations = np.where(batch.observed, batch.values - mean, 0.0)
    return mean, np.asarray((deviations.T * weights) @ deviations / weights.sum())


def _checked_variances(given: Any, p: int) -> FloatArray:
    variances = np.asarray(given, float)
    if variances.shape != (p,) or not np.all(np.isfinite(variances) & (variances > 0)):
        raise ParameterError(f"noise_variance_init must be {p} positive numbers, got {given!r}")
    return variances


def _checked_covariance(covariance: Any) -> FloatArray:
    matrix = np.asarray(covariance, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise DataError(f"a covariance is a square matrix, got shape {matrix.shape}")
    if not np.all(np.isfinite(matrix)) or not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12):
        raise DataError("a covariance is finite and symmetric; this one is not")
    if np.linalg.eigvalsh(matrix)[0] < -1e-8 * np.diagonal(matrix).max():
        raise DataError("a covariance has no negative eigenvalue; this matrix has one (pairwise deletion can cause it)")
    return matrix


def _checked_count(n_samples: Any) -> float:
    if not (isinstance(n_samples, Real) and 0 < float(n_samples) < inf):
        raise ParameterError(f"n_samples must be a positive number, got {n_samples!r}")
    return float(n_samples)


def _checked_mean(mean: Any, p: int) -> FloatArray:
    centre = np.asarray(mean, float)
    if centre.shape != (p,):
        raise ParameterError(f"mean must have shape ({p},), got {centre.shape}")
    if not np.all(np.isfinite(centre)):
        j = int(np.flatnonzero(~np.isfinite(centre))[0])
        raise ParameterError(f"mean must be {p} finite numbers, but entry {j} is {centre[j]}")
    return centre


def _identification(p: int, q: int, n: int, noise: str) -> list[Finding]:
    """What the numbers of columns, factors and rows alone say."""
    found = []
    free = p * q - q * (q - 1) // 2 + (p if noise == "diagonal" else 1)
    df = p * (p + 1) // 2 - free
    if q and df < 0:
        found.append(
            Finding(
                "not-identified",
                f"{q} factors of {p} columns have {free} free parameters for {p * (p + 1) // 2} moments (df = {df}): "
                "many loadings and variances fit equally well; use fewer factors",
            )
        )
    if 1 < n <= p:
        found.append(
            Finding(
                "few-rows",
                f"there are {n} rows for {p} columns: the sample covariance is singular, and noise variances may run "
                "to their floors; use more rows or a higher floor",
            )
        )
    return found
