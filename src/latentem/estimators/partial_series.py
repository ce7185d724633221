"""`partial_fit` of state space models: whole series at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import DataError
from ..model import LatentVariableModel, check_source
from ..online import OnlineState
from ..result import EMResult, Step
from ..streaming import online_result
from .partial import PARTIAL_DOC, learnt, resumed_state
from .series import Series, read_series
from .undoing import unchanged_on_error


class LearnsSeries:
    """`partial_fit` of state space models."""

    _stream: tuple[OnlineState, list[float]] | None = None
    result_: EMResult

    def partial_fit(
        self: Any,
        X: Any,
        lengths: Any = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        inputs: Any = None,
        step_size: Any = None,
    ) -> Any:
        with unchanged_on_error(self):
            series = read_series(X, lengths, groups, sample_weight, inputs)
            fresh = not hasattr(self, "result_")
            model, state, seen = self._first(series) if fresh else self._next(series)
            check_source(model, series.source)
            state, found = learnt(model, state, series.source, series.source.n_rows, self.executor, step_size)
            seen = [*seen, found.log_likelihood / (found.weight or 1.0)]
            self.n_features_in_ = series.source.n_columns
            result = online_result(model, state, tuple((Step.STOCHASTIC, value) for value in seen))
            self._store(replace(result, findings=(*self._foreseen(model, series), *result.findings)), series)
            self._stream = state, seen
        return self

    partial_fit.__doc__ = PARTIAL_DOC.format(
        data="""X, lengths, groups, sample_weight, inputs
            As for `fit`: whole series, with the columns of the first batch.  One of them counts as a unit of weight,
            whatever its length.  Forecasts go on from the last batch."""
    )

    def _first(self: Any, series: Series) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and the start that `fit` would have with the first batch."""
        model = self._model(series)
        return model, OnlineState(self._start(model, series)), []

    def _next(self: Any, series: Series) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and where the last batch or the fit left off."""
        result: EMResult = self.result_
        if series.source.n_columns != self.n_features_in_:
            raise DataError(f"expected the {self.n_features_in_} columns of before, got {series.source.n_columns}")
        if self._stream is not None:
            return result.model, *self._stream
        weight = sum(float(batch.unit_weights(per_group=True).sum()) for batch in series.source)
        return result.model, resumed_state(result, result.parameters, weight), []
