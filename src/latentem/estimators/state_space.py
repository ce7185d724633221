"""Linear-Gaussian state space models by EM, with filter, smoother, forecasts and draws."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from math import log
from operator import add
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..families.linear_gaussian import LinearGaussian
from ..fitting import as_generator, fit as fit_model
from ..latents import NormalChain
from ..model import LatentVariableModel, ModelParameters
from ..models import state_space as asked, structural
from ..result import EMResult, Finding, Status
from .findings import tell
from .partial_series import LearnsSeries
from .series import Series, read_series
from .undoing import unchanged_on_error

LATENT = ("transition", "shift", "state_noise", "state_inputs", "initial_mean", "initial_covariance")
# Of a column's variance: the least that its noise may have.
SMALLEST_SHARE = 1e-12
EMISSION = ("loadings", "offset", "noise", "inputs")


class LinearGaussianStateSpace(LearnsSeries, BaseEstimator):
    """zₜ = A zₜ₋₁ + b + B uₜ + wₜ, xₜ = d + Λ zₜ + D uₜ + eₜ with wₜ ~ N(0, Q), eₜ ~ N(0, R), fitted by EM.

    Every matrix is given by its entries: a number holds one, None leaves it free, a name makes it equal to others of
    that name.  Ready forms: `local_level`, `local_linear_trend`, `structural` (sums of components of
    `models.structural`), `autoregression`, `dynamic_factor`, `dynamic_regression`.

    Matrices vary by columns of the inputs u that multiply them: Λₜ = Λ ∘ Xₜ with the entries of Xₜ among uₜ
    (`loadings_by`), and variances of eₜ (`noise_by`) and of wₜ (`state_noise_by`).  They are known where Λ is held at
    1; since they come with the data, filter, smoother, draws and forecasts ask for them as they ask for inputs.

    Parameters
    ----------
    n_states : int
        q, the coordinates of z.
    transition : (q, q) entries, or (n, q, q), optional
        A; free unless given.  One matrix for each row of the data makes it known and time-varying.
    shift : (q,) entries, optional
        b; held at 0 unless given.
    state_noise : {"full", "diagonal", "isotropic"}, (q,) entries, (q, q), or (n, q, q)
        Q.
    state_inputs : (q, m) entries, optional
        B; 0 unless given.
    loadings : (p, q) entries, optional
        Λ; free unless given.
    offset : (p,) entries, optional
        d; free unless given.
    noise : {"full", "diagonal", "isotropic"}, (p,) entries, or (p, p)
        R.
    inputs : (p, m) entries, optional
        D; 0 unless given.
    loadings_by : (p, q) whole numbers and None, optional
        The column of the inputs, from 0, that each loading is multiplied by; None: by nothing.
    noise_by : whole number, or p of them and None, optional
        The column of the inputs, above 0, that R is multiplied by; or each variance of a diagonal R by its own.
    state_noise_by : whole number, optional
        The column of the inputs that Q is multiplied by on the way to its row: the time since the row before, of a
        random walk.  Above 0, or at least 0 where A, b and B are numbers; that of a first row is not used.
    initial : {"free", "mean", "known", "stationary", "diffuse"}, or q of the last three
        What z₁ is, see `NormalChain`.
    initial_mean, initial_covariance : (q,), (q, q), optional
        m and V of z₁, or where their estimation starts; unless given, what the first rows and the spread of the data
        tell where the loadings are given, else 0 and I.
    start : mapping, optional
        Where the fit starts: arrays by the names above, in place of rough ones.
    tol, max_iter, acceleration, executor, certify
        See `fit`.

    Attributes
    ----------
    transition_, shift_, state_noise_, state_inputs_, loadings_, offset_, noise_, inputs_ : arrays
        A, b, Q (q, q), B, Λ, d, R (p, p), D.
    initial_mean_, initial_covariance_ : arrays
        Of z₁; 0 in diffuse coordinates.
    result_ : EMResult
    converged_, n_iter_, log_likelihood_
    """

    def __init__(
        self,
        n_states: int = 1,
        *,
        transition: Any = None,
        shift: Any = 0.0,
        state_noise: Any = "full",
        state_inputs: Any = None,
        loadings: Any = None,
        offset: Any = None,
        noise: Any = "diagonal",
        inputs: Any = None,
        loadings_by: Any = None,
        noise_by: Any = None,
        state_noise_by: Any = None,
        initial: Any = "free",
        initial_mean: Any = None,
        initial_covariance: Any = None,
        start: Any = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        acceleration: Any = "squarem",
        executor: Any = None,
        certify: bool = False,
    ) -> None:
        self.n_states = n_states
        self.transition = transition
        self.shift = shift
        self.state_noise = state_noise
        self.state_inputs = state_inputs
        self.loadings = loadings
        self.offset = offset
        self.noise = noise
        self.inputs = inputs
        self.loadings_by = loadings_by
        self.noise_by = noise_by
        self.state_noise_by = state_noise_by
        self.initial = initial
        self.initial_mean = initial_mean
        self.initial_covariance = initial_covariance
        self.start = start
        self.tol = tol
        self.max_iter = max_iter
        self.acceleration = acceleration
        self.executor = executor
        self.certify = certify

    # -- ready forms ---------------------------------------------------------------------------

    @classmethod
    def structural(cls, *components: structural.Component, **options: Any) -> Self:
        """One series as the sum of components and noise: `structural(local_level(), seasonal(12))`."""
        if not components:
            raise ParameterError("a structural model is the sum of components; give at least one")
        wrong = [component for component in components if not isinstance(component, structural.Component)]
        if wrong:
            raise ParameterError(
                f"a structural model is the sum of components, such as structural.local_level(); got {wrong[0]!r}"
            )
        total = reduce(add, components)
        form = {
            "transition": total.transition,
            "state_noise": total.noise,
            "loadings": (total.loadings,),
            "offset": (0.0,),
            "initial": total.initial,
            "loadings_by": (total.columns,) if total.n_columns else None,
        }
        return cls(len(total.noise), **{**form, **options})

    @classmethod
    def local_level(cls, **options: Any) -> Self:
        """A random walk observed with noise, diffuse at the start."""
        return cls.structural(structural.local_level(), **options)

    @classmethod
    def local_linear_trend(cls, *, smooth: bool = False, **options: Any) -> Self:
        """A level whose slope is a random walk too, observed with noise; diffuse at the start."""
        return cls.structural(structural.local_linear_trend(smooth=smooth), **options)

    @classmethod
    def autoregression(cls, order: int = 1, **options: Any) -> Self:
        """A stationary autoregression about a constant, observed with noise."""
        return cls.structural(structural.autoregression(order), **{"offset": None, **options})

    @classmethod
    def dynamic_factor(cls, n_series: int, n_factors: int = 1, **options: Any) -> Self:
        """Series that share a few factors, which follow a stationary autoregression; each series has noise of its own.

        The factors' noise is held at I and the loadings above the diagonal at 0, so that rotations change the model.
        """
        for number in (n_series, n_factors):
            if not isinstance(number, int | np.integer):
                raise ParameterError(f"numbers of series and factors are whole, got {number!r}")
        if not 1 <= n_factors <= n_series:
            raise ParameterError(f"expected from 1 to {n_series} factors of {n_series} series, got {n_factors}")
        loadings = [[0.0 if k > j else None for k in range(n_factors)] for j in range(n_series)]
        noise = [1.0] * n_factors
        form = {"loadings": loadings, "state_noise": noise, "initial": "stationary"}
        return cls(n_factors, **{**form, **options})

    @classmethod
    def dynamic_regression(
        cls, n_regressors: int = 1, *, level: bool = True, fixed: bool = False, **options: Any
    ) -> Self:
        """yₜ = μₜ + β₁ₜ u₁ₜ + … + βₖₜ uₖₜ + eₜ, the level μ and the coefficients β random walks, diffuse at the start.

        The u are the first k inputs.  States are the level, then the coefficients; without `level` these alone.  With
        `fixed` the coefficients are constant, and integrated out rather than estimated.
        """
        regression = structural.regression(n_regressors, fixed=fixed)
        return cls.structural(*([structural.local_level()] if level else []), regression, **options)

    # -- fitting -------------------------------------------------------------------------------

    def fit(
        self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None, inputs: Any = None
    ) -> Self:
        """Estimate what is free by EM.

        Parameters
        ----------
        X : (n,) or (n, p), a list of such, or a frame
            NaN marks a missing entry; whole rows may be missing.
        lengths : sequence of int, optional
            Rows of each series; all are one series unless given.
        groups : (n,) or name of a column, optional
            Equal for the rows of a series, instead of `lengths`; a column so named is none of the data.
        sample_weight : (G,), optional
            One weight for each series.
        inputs : (n, m), optional
            Covariates uₜ.

        Raises
        ------
        DataError, ParameterError
            Infinite values, lengths that do not add up, a series too short for a diffuse start, entries that do not
            fit.
        """
        with unchanged_on_error(self):
            series = read_series(X, lengths, groups, sample_weight, inputs)
            model = self._model(series)
            start = self._start(model, series)
            result = fit_model(
                model,
                series.source,
                parameters=start,
                acceleration=self.acceleration,
                executor=self.executor,
                tol=self.tol,
                max_iter=self.max_iter,
                certify=self.certify,
            )
            self._store(result, series)
            self._stream = None
        return self

    def _model(self, series: Series) -> LatentVariableModel:
        _check_count("n_states", self.n_states)
        q, p = self.n_states, series.source.n_columns
        m = 0 if series.source.covariates is None else series.source.covariates.shape[1]
        self._check_inputs(m)
        self._check_columns(p)
        chain = NormalChain(
            q,
            transition=self.transition,
            shift=self.shift,
            noise=self.state_noise,
            inputs=np.zeros((q, m)) if self.state_inputs is None else self.state_inputs,
            initial=self.initial,
            initial_mean=self.initial_mean,
            initial_covariance=self.initial_covariance,
            noise_by=self.state_noise_by,
        )
        weights = (np.zeros((p, m)) if self.inputs is None else self.inputs) if m else 0
        floor = tuple((SMALLEST_SHARE * _variances(series)).tolist())
        family = LinearGaussian(
            noise=self.noise,
            offset=self.offset,
            loadings=self.loadings,
            inputs=weights,
            floor=floor,
            loadings_by=self.loadings_by,
            noise_by=self.noise_by,
        )
        _check_used(chain, family, m, self.inputs is not None or self.state_inputs is not None)
        return LatentVariableModel(chain, family)

    def _check_inputs(self, m: int) -> None:
        """Whether the model takes inputs, and they came."""
        wanted = (self.inputs, self.state_inputs, self.loadings_by, self.noise_by, self.state_noise_by)
        takes = any(option is not None for option in wanted)
        if m == 0 and takes:
            raise DataError("the model has inputs, but none came with the data")
        if m and not takes:
            raise DataError(
                "inputs came with the data, but the model has none: give inputs or state_inputs, or say what they "
                "multiply"
            )

    def _check_columns(self, p: int) -> None:
        """Loadings that are given say how many series there are."""
        given = None if self.loadings is None else np.shape(np.array(getattr(self.loadings, "array", self.loadings)))
        if given and given[0] != p:
            series = "one series (one column)" if given[0] == 1 else f"{given[0]} series (columns)"
            raise ParameterError(f"the loadings have shape {given}, for {series}, but the data have {p} columns")

    def _start(self, model: LatentVariableModel, series: Series) -> ModelParameters:
        """Rough parameters in the units of the data, and the user's arrays in their place."""
        (batch, *_) = series.source
        emission = model.family.start(batch, self.n_states)
        emission = model.family.conform(emission)
        latent = model.latent.start()
        spread = _variances(series)
        multipliers = _emission_of(model).noise_by
        if multipliers is not None:
            spread = spread / multipliers.of_rows(batch).mean(axis=0)
        if self.loadings is not None:
            latent = self._rough_latent(latent, emission, series, model)
            emission = replace(emission, noise=0.5 * np.diag(spread) if emission.noise.ndim == 2 else 0.5 * spread)
        elif self.transition is None:
            latent = replace(latent, transition=0.5 * np.eye(self.n_states))
        given = dict(self.start) if isinstance(self.start, Mapping) else {}
        if set(given) - {*LATENT, *EMISSION} or not isinstance(self.start, Mapping | None):
            raise ParameterError(f"start takes arrays by the names {', '.join(LATENT + EMISSION)}, got {self.start!r}")
        changes = {_field(name): np.asarray(given[name], float) for name in LATENT if name in given}
        _check_shapes({_field(name): getattr(latent, _field(name)) for name in LATENT}, changes)
        mine = {name: np.asarray(given[name], float) for name in EMISSION if name in given}
        _check_shapes({name: getattr(emission, name) for name in EMISSION}, mine)
        option = {} if self.initial_covariance is None else {"initial_covariance": latent.initial_covariance}
        _check_variances(latent, emission, {**option, **changes}, mine)
        return model.conform(ModelParameters(replace(latent, **changes), replace(emission, **mine))).check()

    def _rough_latent(self, latent: Any, emission: Any, series: Series, model: LatentVariableModel) -> Any:
        """Noise of the states, and of z₁ what is not given, in the units of the data."""
        (batch, *_) = series.source
        loadings = model.family.log_density(batch, emission).loadings
        typical = loadings if loadings.ndim == 2 else np.sqrt(np.mean(loadings**2, axis=0))
        shown = _shown(typical, _variances(series))
        noise = 0.1 * shown / asked.chain_of(model).typical_scale(batch)
        latent = replace(latent, noise=np.diag(noise) if latent.noise.ndim == 2 else noise)
        if self.initial not in ("free", "mean"):
            return latent
        if self.initial_mean is None:
            latent = replace(latent, initial_mean=_rough_mean(emission, series, model))
        return replace(latent, initial_covariance=np.diag(shown)) if self.initial_covariance is None else latent

    def _store(self, result: EMResult, series: Series) -> None:
        latent, emission = result.parameters.latent, result.parameters.emission
        start = asked.chain_of(result.model).start_of(latent)
        result = replace(result, findings=(*_findings(result.model, series), *result.findings))
        self.result_, self.n_features_in_ = result, series.source.n_columns
        self.transition_, self.shift_, self.state_inputs_ = latent.transition, latent.shift, latent.inputs
        self.state_noise_ = latent.noise_matrix
        self.loadings_, self.offset_, self.inputs_ = emission.loadings, emission.offset, emission.inputs
        self.noise_ = emission.noise_matrix
        self.initial_mean_, self.initial_covariance_ = start.mean, start.covariance
        self.converged_, self.n_iter_ = result.converged, result.n_iter
        self.log_likelihood_ = result.log_likelihood
        filtered = asked.filter_states(result.model, result.parameters, series.source)
        self._last = asked.last_states(filtered, series.lengths)
        self._n_observed = series.n_observed
        if result.status is Status.ONLINE:
            return
        tell(result)
        if not result.converged and result.status is not Status.STOPPED and self.max_iter > 0:
            warnings.warn(f"the fit did not converge: {result.status.value}", ConvergenceWarning, stacklevel=3)

    # -- states --------------------------------------------------------------------------------

    def filter(self, X: Any, lengths: Any = None, *, groups: Any = None, inputs: Any = None) -> asked.FilteredStates:
        """States of each row given the rows up to it, and as predicted from those before."""
        model, params, series = self._asked(X, lengths, groups, inputs)
        return _in_order(asked.filter_states(model, params, series.source), series)

    def smooth(self, X: Any, lengths: Any = None, *, groups: Any = None, inputs: Any = None) -> asked.SmoothedStates:
        """States of each row given all rows of its series."""
        model, params, series = self._asked(X, lengths, groups, inputs)
        return _in_order(asked.smooth_states(model, params, series.source), series)

    def simulate(
        self,
        X: Any,
        n_draws: int = 1,
        lengths: Any = None,
        *,
        groups: Any = None,
        inputs: Any = None,
        random_state: Any = None,
    ) -> FloatArray:
        """Draws (n_draws, n, q) of all states given all rows: the simulation smoother."""
        _check_count("n_draws", n_draws)
        model, params, series = self._asked(X, lengths, groups, inputs)
        draws = asked.simulate_states(model, params, series.source, n_draws, as_generator(random_state))
        return np.stack([series.in_order(draw) for draw in draws])

    def residuals(self, X: Any, lengths: Any = None, *, groups: Any = None, inputs: Any = None) -> FloatArray:
        """Standardized one-step errors (n, p), independent N(0, 1) if the model is right; NaN where there are none."""
        model, params, series = self._asked(X, lengths, groups, inputs)
        return series.in_order(asked.residuals(model, params, series.source))

    def forecast(
        self,
        steps: int,
        X: Any = None,
        lengths: Any = None,
        *,
        groups: Any = None,
        inputs: Any = None,
        past_inputs: Any = None,
        level: float = 0.95,
    ) -> Any:
        """The steps after a series.

        Parameters
        ----------
        steps : int
            h.
        X : (n, p), optional
            The series; that of the fit unless given, or those (a list of forecasts then).
        lengths, groups
            Of X, as for `fit`.
        inputs : (h, m), optional
            Covariates of the steps to come, where the model has inputs; `past_inputs` are those of X.
        level : float
            Probability of the interval of each entry.

        Returns
        -------
        Forecast, or a list of them
        """
        check_is_fitted(self)
        means, covariances = self._last
        model, params = self.result_.model, self.result_.parameters
        if X is not None:
            model, params, series = self._asked(X, lengths, groups, past_inputs)
            means, covariances = asked.last_states(asked.filter_states(model, params, series.source), series.lengths)
        found = [
            asked.forecast(model, params, m, V, steps, inputs, level) for m, V in zip(means, covariances, strict=True)
        ]
        return found[0] if len(found) == 1 else found

    def sample(
        self, n_steps: int, random_state: Any = None, *, inputs: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        """One series of the model: observations (n, p) and states (n, q); along diffuse directions it begins at 0.

        A model with inputs asks for those of the series, (n, m), or (n,) where m is 1.
        """
        check_is_fitted(self)
        _check_count("n_steps", n_steps)
        model, params, rng = self.result_.model, self.result_.parameters, as_generator(random_state)
        u = asked.known_inputs(inputs, n_steps, params.latent.inputs.shape[1])
        batch = asked.blank_series(u, len(params.emission.offset))
        z = model.latent.sample_given(params.latent, batch, rng)
        return model.family.sample_given(params.emission, z, batch, rng), z

    # -- fit measures --------------------------------------------------------------------------

    def score(
        self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None, inputs: Any = None
    ) -> float:
        """The log-likelihood; of a diffuse start its integral (Durbin and Koopman 2012, section 7.2)."""
        model, params, series = self._asked(X, lengths, groups, inputs, sample_weight)
        return float(sum(model.e_step(params, batch).log_likelihood for batch in series.source))

    def aic(self, X: Any = None, lengths: Any = None, *, groups: Any = None, inputs: Any = None) -> float:
        """-2 ℓ + 2 p with p the free parameters and the diffuse coordinates; of the data of the fit unless X
        is given.
        """
        log_likelihood, _ = self._measured(X, lengths, groups, inputs)
        return -2 * log_likelihood + 2 * self.n_parameters_

    def bic(self, X: Any = None, lengths: Any = None, *, groups: Any = None, inputs: Any = None) -> float:
        """-2 ℓ + p log n with n the rows in which something is observed, by the weights of the fit."""
        log_likelihood, n = self._measured(X, lengths, groups, inputs)
        return -2 * log_likelihood + self.n_parameters_ * log(n)

    @property
    def n_parameters_(self) -> int:
        """Free parameters, and diffuse coordinates of the start (Durbin and Koopman 2012, section 7.4)."""
        check_is_fitted(self)
        return self.result_.n_parameters + asked.chain_of(self.result_.model).initial.count("diffuse")

    def _measured(self, X: Any, lengths: Any, groups: Any, inputs: Any) -> tuple[float, float]:
        check_is_fitted(self)
        if X is None:
            return self.log_likelihood_, self._n_observed
        series = read_series(X, lengths, groups, None, inputs)
        return self.score(X, lengths, groups=groups, inputs=inputs), series.n_observed

    def _asked(
        self, X: Any, lengths: Any, groups: Any, inputs: Any, sample_weight: Any = None
    ) -> tuple[LatentVariableModel, ModelParameters, Series]:
        check_is_fitted(self)
        series = read_series(X, lengths, groups, sample_weight, inputs)
        if series.source.n_columns != self.n_features_in_:
            raise DataError(f"the fit had {self.n_features_in_} columns, got {series.source.n_columns}")
        m = self.result_.parameters.latent.inputs.shape[1]
        given = 0 if series.source.covariates is None else series.source.covariates.shape[1]
        if given != m:
            raise DataError(f"the model has {m} inputs, but {given} came with the data")
        return self.result_.model, self.result_.parameters, series


def _in_order(record: Any, series: Series) -> Any:
    """A record of arrays with one row for each row of the data, in the order of the data."""
    return type(record)(*(series.in_order(getattr(record, name)) for name in record.__dataclass_fields__))


def _check_count(name: str, number: Any) -> None:
    if not isinstance(number, int | np.integer) or number < 1:
        raise ParameterError(f"{name} must be a whole number of at least 1, got {number!r}")


def _field(name: str) -> str:
    return {"state_noise": "noise", "state_inputs": "inputs"}.get(name, name)


def _check_shapes(current: Mapping[str, Array], given: Mapping[str, Array]) -> None:
    for name, value in given.items():
        wanted = np.shape(current[name])
        if value.shape != wanted and not (name == "noise" and value.shape in ((wanted[0],), (wanted[0],) * 2)):
            raise ParameterError(f"start of {name} must have shape {wanted}, got {value.shape}")


def _check_variances(latent: Any, emission: Any, chain: Mapping[str, Array], rows: Mapping[str, Array]) -> None:
    """Free variances start above zero: the M-step gives back a variance of zero as it came."""
    q = len(latent.shift)
    groups = latent.groups
    if "noise" in chain:
        free = groups.moving if groups.noise is None else np.flatnonzero(groups.noise >= 0)
        _check_above_zero("state_noise", chain["noise"], free)
    if "initial_covariance" in chain and groups.initial:
        _check_above_zero("initial_covariance", chain["initial_covariance"], np.arange(q))
    if "noise" in rows:
        held = emission.groups.noise
        free = np.arange(len(emission.offset)) if held is None else np.flatnonzero(held >= 0)
        _check_above_zero("noise", rows["noise"], free)


def _check_above_zero(name: str, given: Array, free: Array) -> None:
    if not len(free):
        return
    matrix = np.diag(given) if given.ndim == 1 else given
    block = matrix[np.ix_(free, free)]
    is_above = bool(np.all(np.isfinite(block)) and np.all(np.diagonal(block) > 0))
    if not is_above or np.linalg.eigvalsh(block)[0] < -1e-12 * block.max():
        raise ParameterError(
            f"start of {name} must be above zero (a matrix: also without negative eigenvalues) where it is free, since "
            f"EM cannot leave a variance of zero; got {given.tolist()}"
        )


def _shown(loadings: FloatArray, spread: FloatArray) -> FloatArray:
    """Variances of states in the units of the data: what the state shows; little where it shows nothing."""
    size = np.abs(loadings)
    shown = np.divide(spread[:, None], size**2, out=np.full(loadings.shape, np.inf), where=size > 0).min(axis=0)
    return np.where(np.isfinite(shown), shown, 1e-2 * spread.mean())


def _emission_of(model: LatentVariableModel) -> LinearGaussian:
    assert isinstance(model.family, LinearGaussian)
    return model.family


def _check_used(chain: NormalChain, family: LinearGaussian, m: int, has_weights: bool) -> None:
    """Each of the m inputs has a weight, or multiplies something."""
    multipliers = (family.loadings_by, family.noise_by, chain.noise_by)
    columns = [np.ravel(part.columns) for part in multipliers if part is not None]
    idle = sorted(set(range(m)) - set(np.concatenate([*columns, np.empty(0)]).astype(int).tolist()))
    if idle and not has_weights:
        raise DataError(
            f"column {idle[0]} of the inputs is used by nothing: leave it out, or give it a weight or a loading"
        )


def _rough_mean(emission: Any, series: Series, model: LatentVariableModel) -> FloatArray:
    """The states (q,) that give the first observed row of each series at best, by least squares; their mean.

    Where loadings vary, those that give all rows at best.
    """
    found = []
    if _emission_of(model).loadings_by is not None:
        return _best_states(emission, series, model)
    for rows in asked.group_slices(series.lengths):
        values = series.source.values[rows]
        seen = ~np.isnan(values)
        if seen.any():
            first = int(np.argmax(seen.any(axis=1)))
            at = seen[first]
            left = (values[first] - emission.offset)[at]
            found.append(np.linalg.lstsq(emission.loadings[at], left, rcond=None)[0])
    return np.mean(found, axis=0) if found else np.zeros(emission.loadings.shape[1])


def _best_states(emission: Any, series: Series, model: LatentVariableModel) -> FloatArray:
    """States (q,) that, were they constant, would give all rows at best."""
    batch = Batch(series.source.values, covariates=series.source.covariates, missing=True)
    density = model.family.log_density(batch, emission)
    seen = density.observed
    return np.asarray(np.linalg.lstsq(density.loadings[seen], density.deviations[seen], rcond=None)[0])


def _variances(series: Series) -> FloatArray:
    """Those of the columns; 1 where a column does not tell one."""
    observed = [column[~np.isnan(column)] for column in series.source.values.T]
    found = np.array([float(column.var()) if len(column) else 0.0 for column in observed])
    return np.where(found > 0, found, 1.0)


def _findings(model: LatentVariableModel, series: Series) -> list[Finding]:
    """What a user should know of the model and the data, whatever the fit finds."""
    found, chain, family = [], asked.chain_of(model), _emission_of(model)
    free = getattr(family.loadings, "is_free", family.loadings is None)
    if free and chain.is_free:
        found.append(
            Finding(
                "rotation",
                "loadings, transition and state noise are all free: any invertible change of the states gives the same "
                "likelihood, so entries mean nothing; hold the state noise at I and some loadings, or take a form",
            )
        )
    values = series.source.values
    for j, name in enumerate(series.source.names):
        column = values[~np.isnan(values[:, j]), j]
        if not len(column):
            message = f"column {name!r} has no observed entry; what belongs to it is arbitrary"
            found.append(Finding("empty-column", message))
        elif len(column) > 1 and np.all(column == column[0]):
            found.append(
                Finding("constant-column", f"column {name!r} is constant: its noise variance goes to its floor")
            )
    return found
