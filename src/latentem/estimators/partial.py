"""`partial_fit`: an estimator learns batch by batch, where its statistics add between different θ."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import nan
from typing import Any

from sklearn.utils.metaestimators import available_if

from ..data import Source
from ..errors import DataError, ParameterError
from ..execution.opening import opened
from ..model import LatentVariableModel, check_source
from ..online import OnlineState, StepSize, additive, stepped
from ..result import EMResult, Step
from ..statistics import Expectation
from ..streaming import DEFAULT_STEPS, online_result
from .components import sort_components
from .equal_rows import collapse
from .fits import Fits
from .inputs import require_observed, survey
from .predicting import precision
from .undoing import unchanged_on_error
from .watching import Tasks

PARTIAL_DOC = """Learn a batch by one step of online EM: S ← (1 - γ) S + γ s, then an M-step (Cappé and Moulines 2009).

        The first batch also finds the start, as `fit` does.  After `fit` a batch weighs as if the data of the fit had
        come in batches of its size.  Nothing of a batch is kept but its share in S.  The method is missing where the
        family's statistics do not add between different θ.

        Parameters
        ----------
        {data}
        step_size : StepSize, optional
            γ of the t-th batch; (t + 1)^-0.6 unless given.

        Returns
        -------
        self

        Raises
        ------
        DataError
            As for `fit`; the estimator is then as it was before.
        """


def resumed_state(result: EMResult, parameters: Any, weight: float) -> OnlineState:
    """The state after a fit, as if its data had come in batches of this weight."""
    found = result.expectation
    return OnlineState(
        parameters,
        found.statistics * (1 / found.weight),
        step=max(1, round(found.weight / weight)) if weight > 0 else 1,
        weight=found.weight,
        n_rows=result.n_rows,
        log_likelihood=found.log_likelihood,
        magnitude=found.magnitude,
    )


def learnt(
    model: LatentVariableModel, state: OnlineState, source: Source, n_rows: int, executor: Any, step_size: Any
) -> tuple[OnlineState, Expectation]:
    """The state after a batch, and what the batch said at the θ before it."""
    steps = DEFAULT_STEPS if step_size is None else step_size
    if not isinstance(steps, StepSize):
        raise ParameterError(f"step_size must be a StepSize, got {step_size!r}")
    stepping = additive(model, "partial_fit")
    with opened(executor) as workers:
        found = workers.fold(partial(stepping.e_step, state.parameters), source)
    return stepped(stepping, state, found, n_rows, step_size=steps), found


def learn(estimator: Any, read: Callable[[bool], Any], step_size: Any, batch_of: Any = None) -> Any:
    """One step of online EM by an estimator that says how a stream begins, goes on, and is shown.

    Parameters
    ----------
    estimator : estimator with `_first`, `_next` and `_show_stream`
    read : callable
        Whether this is the first batch → its rows, as these three take them: a `Source`, or what has one as `.source`.
    step_size : StepSize or None
    batch_of : callable, optional
        The source → that which is folded over, if it is another.
    """
    with unchanged_on_error(estimator):
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        fresh = not hasattr(estimator, "result_")
        rows = read(fresh)
        source = rows if isinstance(rows, Source) else rows.source
        model, state, seen = estimator._first(rows) if fresh else estimator._next(rows)
        check_source(model, source)
        folded = source if batch_of is None else batch_of(source)
        state, found = learnt(model, state, folded, source.n_rows, estimator.executor, step_size)
        seen = [*seen, found.log_likelihood / (found.weight or 1.0)]
        result = online_result(model, state, tuple((Step.STOCHASTIC, value) for value in seen))
        estimator._show_stream(result, state, rows)
        estimator._stream = state, seen
    return estimator


def left_off(estimator: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
    """The model of an estimator that keeps no other, and where the last batch or the fit left off."""
    result: EMResult = estimator.result_
    if estimator._stream is not None:
        return result.model, *estimator._stream
    per_group = result.model.per_group
    weight = sum(float(batch.unit_weights(per_group=per_group).sum()) for batch in source)
    return result.model, resumed_state(result, result.parameters, weight), []


class LearnsByBatches:
    """`partial_fit` of mixtures."""

    _stream: tuple[OnlineState, list[float]] | None = None
    result_: EMResult

    def _adds(self) -> bool:
        """Whether the statistics of the components add between different θ."""
        return True

    @available_if(lambda self: self._adds())
    def partial_fit(
        self: Any, X: Any, y: Any = None, sample_weight: Any = None, labels: Any = None, *, step_size: Any = None
    ) -> Any:
        return learn(self, lambda fresh: self._source(X, sample_weight, labels, reset=fresh), step_size, collapse)

    partial_fit.__doc__ = PARTIAL_DOC.format(
        data="""X : array-like (n, D), or Source
            Later batches have the columns of the first, and may have any number of rows.
        y : None
            Ignored.
        sample_weight, labels : (n,), optional
            As for `fit`."""
    )

    def _first(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and a start from the first batch."""
        rows, distinct = survey(source, self._n_states), collapse(source)
        self._enough_rows(rows.n_repeated)
        model = self._model_for(distinct)
        require_observed(source)
        check_source(model, source)
        self._dtype = precision(source)
        plan = self._plan(model, source, distinct, rows, None)
        with opened(self.executor) as workers:
            start = Fits(model, source, distinct, plan, workers, Tasks(self, {}), dict).start()
        start = model.conform(start)
        if self.order is not None:
            start = sort_components(model, start, distinct, self.order)[0]
        return model, OnlineState(start), []

    def _next(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and where the last batch or the fit left off."""
        model, parameters = self._current()
        if self._stream is not None:
            return self._model, *self._stream
        if not hasattr(model.latent, "n_states") or model is not self._model:
            raise ParameterError("parameters were set by hand: partial_fit goes on from fitted ones")
        weight = sum(float(batch.unit_weights(model.per_group).sum()) for batch in source)
        return model, resumed_state(self.result_, parameters, weight), []

    def _show_stream(self: Any, result: EMResult, state: OnlineState, _: Source) -> None:
        self.result_ = result
        self._judge(result)
        self._gains = (nan, ())
        for name, value in self._fitted(result.model, state.best).items():
            setattr(self, name, value)
        self.converged_, self.n_iter_ = False, state.step
        self.lower_bounds_ = seen_of(result)
        self.lower_bound_ = self.lower_bounds_[-1]


def seen_of(result: EMResult) -> list[float]:
    """The log-likelihood of each batch, for each unit of weight, before it was learnt."""
    return [value for _, value in result.history]


def adds(families: Any) -> bool:
    """Whether families add; one that cannot be had is judged when it is asked for."""
    try:
        return all(family.additive for family in families())
    except (DataError, ParameterError, AttributeError, TypeError):
        return True
