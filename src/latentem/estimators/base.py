"""What all mixtures share: checking, starting, fitting, telling, predicting."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from .._typing import Array
from ..acceleration import SCHEMES
from ..data import Source
from ..em import RemainingGain
from ..errors import DataError, ParameterError
from ..execution.blas import single_threaded_blas
from ..execution.opening import opened
from ..families.components import Components
from ..fitting import as_checkpoint
from ..inference.certifying import certify
from ..latents import Categorical
from ..model import Family, LatentVariableModel, ModelParameters, Prior, check_source
from ..result import EMResult, Status
from .certified import CONSTRAINT
from .components import ORDERS, sort_components
from .equal_rows import collapse
from .findings import examine, tell
from .fits import Plan, best_fit
from .inputs import Survey, read_table, require_observed, survey
from .partial import LearnsByBatches
from .predicting import Predicting, in_precision, precision
from .starting import METHODS, rough_parameters
from .starting_values import carried_on, check_init, constrain, same_model
from .undoing import unchanged_on_error
from .watching import CallbackSupportMixin, Tasks, with_callbacks


class Mixture(CallbackSupportMixin, LearnsByBatches, Predicting, DensityMixin, BaseEstimator, ABC):
    """A mixture p(x) = Σₖ πₖ p(x | k), fitted by EM; subclasses say from which family the components come.

    Parameters are stored as given and checked when `fit` is called.  Components keep the order in which the start put
    them, unless `order` asks for another.
    """

    _parameter_constraints: dict[str, Any] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS)), "array-like"],
        "weights_init": ["array-like", None],
        "prior": [Prior, None],
        "fixed": [tuple, list, dict, None],
        "tied": [tuple, list, None],
        "order": [StrOptions(set(ORDERS)), None],
        "restart_collapsed": [Interval(Integral, 0, None, closed="left")],
        "acceleration": [StrOptions(set(SCHEMES)), HasMethods(["init", "propose"]), None],
        "executor": [StrOptions({"serial", "threads", "processes"}), HasMethods(["fold"]), None],
        "random_state": ["random_state", np.random.Generator],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        **CONSTRAINT,
    }

    _takes_sparse = False
    _takes_missing = True
    _estimates_variances = False

    # -- what a subclass says ------------------------------------------------------------------

    @abstractmethod
    def _family(self, source: Source) -> Family[Any, Any]:
        """The components' family, its options taken from the constructor's."""

    def _read(self, X: Any, *, reset: bool) -> Any:
        """X as a table of numbers."""
        return read_table(self, X, reset=reset)

    def _start_values(self, family: Family[Any, Any]) -> dict[str, Any]:
        """The user's starting values for the components, by the names of the arrays they replace."""
        given = getattr(self, "parameters_init", None)
        return {} if given is None else dict(given)

    def _judge(self, result: EMResult) -> None:
        """Raise where a result must not be handed over."""

    def _attributes(self, params: ModelParameters) -> dict[str, Any]:
        """The fitted attributes that show these parameters."""
        arrays = params.emission.arrays() if params.emission is not None else {}
        shown = {f"{name}_": self._show(value) for name, value in arrays.items() if "." not in name}
        return {"weights_": self._show(params.latent.weights), **shown, "parameters_": params.emission}

    # -- fitting -------------------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, checkpoint: Any = None
    ) -> Self:
        """Estimate the parameters by EM.

        Parameters
        ----------
        X : array-like (n, D), or Source
            NumPy, pandas, polars, pyarrow, `io.Table`; NaN marks a missing entry.  A `Source`, such as a
            `ParquetSource` larger than memory, holds its weights and labels itself.
        y : None
            Ignored.
        sample_weight : (n,), optional
            Weights of the rows: 2 is the row twice, 0 is no row.
        labels : (n,) of int, optional
            Known components of the rows, -1 where unknown.
        checkpoint : path or Checkpoint, optional
            A file for the state of the fit, written once a minute (or as the `Checkpoint` says); the fit goes on from
            there if it exists.  For one start.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Data that cannot come from the model; row and column are named.
        """
        with unchanged_on_error(self):
            source = self._source(X, sample_weight, labels, reset=True)
            rows = survey(source, self._n_states)
            self._enough_rows(rows.n_repeated)
            distinct = collapse(source)
            model = self._model_for(distinct)
            require_observed(source)
            check_source(model, source)
            self._dtype = precision(source)
            plan = self._plan(model, source, distinct, rows, checkpoint)
            metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
            tasks = Tasks(self, {"X": X, "y": y, "metadata": metadata})
            self._store(best_fit(self, model, source, distinct, plan, tasks), source, distinct, rows, tasks)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None) -> Array:
        """`fit(X, …)`, then `predict(X)`."""
        return self.fit(X, y, sample_weight=sample_weight, labels=labels).predict(X)

    @property
    def _n_states(self) -> int:
        return int(self.n_components)

    def _enough_rows(self, n: int) -> None:
        if n < self._n_states:
            raise DataError(
                f"Expected n_samples >= n_components but got n_components = {self._n_states}, n_samples = {n} "
                "(rows with a positive weight); use fewer components or more rows"
            )

    def _model_for(self, source: Source) -> LatentVariableModel:
        k = self._n_states
        family, weights = constrain(self._family(source), self.fixed, self.tied, k)
        if self.order is not None and isinstance(self.fixed, dict):
            raise ParameterError("fixed names components by their number here: use order=None with it")
        if self.order is not None and isinstance(family, Components):
            raise ParameterError("components of different families keep the order of their list; use order=None")
        if weights and self.weights_init is None:
            raise ParameterError("fixed holds 'weights' at their starting values: give those by weights_init")
        return LatentVariableModel(Categorical(k, weights), family, self.prior or Prior())

    def _plan(
        self, model: LatentVariableModel, source: Source, distinct: Source, rows: Survey, checkpoint: Any
    ) -> Plan:
        """How to fit: what `fits.best_fit` needs of the constructor's options."""
        warm = self.warm_start and hasattr(self, "result_")
        n_init = self.n_init if isinstance(self.init_params, str) and not warm else 1
        if rows.labelled and self.order is not None:
            raise ParameterError("labels name components by their number: use order=None with them")
        if warm and checkpoint is not None:
            raise ParameterError("a checkpoint goes on from its own file: use warm_start=False with it")
        return Plan(
            n_init=n_init,
            init=check_init(self.init_params, source.n_rows, self._n_states),
            start=self._warm(model, distinct) if warm else None,
            weights=self.weights_init,
            values=self._start_values(model.family),
            gains=self._gains if warm and same_model(self.result_.model, model) else None,
            scale_free=getattr(self, "reg_covar", None) == "auto",
            rule=RemainingGain(self.tol * rows.weight),
            max_iter=self.max_iter,
            acceleration=self.acceleration,
            executor=self.executor,
            restart_collapsed=self.restart_collapsed,
            certify=bool(self.certify),
            verbose=int(self.verbose),
            verbose_interval=self.verbose_interval,
            random_state=self._random_state(),
            survey=rows,
            checkpoint=as_checkpoint(checkpoint, n_init, self.restart_collapsed),
        )

    def _random_state(self) -> Any:
        given = self.random_state
        if given is None or isinstance(given, np.random.Generator):
            return np.random.default_rng(given)  # never NumPy's global stream
        return check_random_state(given)

    def _warm(self, model: LatentVariableModel, source: Source) -> ModelParameters:
        """The last fit's parameters, brought under the options of this one."""
        rough = rough_parameters(model, source)
        return carried_on(model, self.result_.model, self.result_.parameters, rough, self._lifted)

    def _lifted(self, family: Any, emission: Any) -> Any:
        """The components' parameters with what lies under the family's floor lifted onto it."""
        return emission

    def _store(
        self, fitted: tuple[EMResult, tuple[Any, ...]], source: Source, distinct: Source, rows: Survey, tasks: Tasks
    ) -> None:
        result, self._gains = fitted
        weight = result.expectation.weight
        result = replace(result, n_rows=source.n_rows, findings=(*self._examined(source, rows), *result.findings))
        self._judge(result)
        self.result_, self._stream = result, None
        self._told(result)
        params = self._sorted(result, distinct)
        for name, value in self._fitted(result.model, params).items():
            setattr(self, name, value)
        self.converged_, self.n_iter_ = result.converged, result.n_iter
        self.lower_bound_ = result.objective / weight
        self.lower_bounds_ = [objective / weight for step, objective in result.history if step.name != "START"]
        tasks.end(self._fitted(result.model, params))

    def _examined(self, source: Source, rows: Survey) -> list[Any]:
        return examine(source, rows.n_repeated, self._n_states, self._estimates_variances)

    def _told(self, result: EMResult) -> None:
        tell(result)
        if not result.converged and result.status is not Status.STOPPED and self.max_iter > 0:
            warnings.warn(f"The best start did not converge; {result.status.value}", ConvergenceWarning, stacklevel=6)

    def _sorted(self, result: EMResult, source: Source) -> ModelParameters:
        params: ModelParameters = result.parameters
        if self.order is None:
            return params
        with opened(self.executor) as executor, single_threaded_blas():
            params, permutation = sort_components(result.model, params, source, self.order)
            expectation = executor.fold(partial(result.model.e_step, params), source)
        old = {int(k): new for new, k in enumerate(permutation)}
        findings = tuple(f if f.component is None else replace(f, component=old[f.component]) for f in result.findings)
        self.result_ = replace(result, parameters=params, expectation=expectation, findings=findings)
        if result.certificate is not None:  # its entries go by the numbers of their components
            self.result_ = replace(self.result_, certificate=certify(self.result_, executor=self.executor))
        return params

    def _fitted(self, model: LatentVariableModel, params: ModelParameters) -> dict[str, Any]:
        return {**self._attributes(params), "_model": model, "_parameters": params}

    def _show(self, array: Any) -> Any:
        """An array as a fitted attribute: in the precision of the data, where its numbers fit into that."""
        return in_precision(np.array(array, dtype=float), self._dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_missing
        tags.input_tags.sparse = self._takes_sparse
        return tags
