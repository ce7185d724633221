"""`partial_fit` of state space models: whole series at a time."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from ..model import LatentVariableModel
from ..online import OnlineState
from ..result import EMResult
from .partial import PARTIAL_DOC, learn, left_off
from .series import Series, read_series


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
        return learn(self, lambda _: read_series(X, lengths, groups, sample_weight, inputs), step_size)

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
        if series.source.n_columns != self.n_features_in_:
            raise DataError(f"expected the {self.n_features_in_} columns of before, got {series.source.n_columns}")
        return left_off(self, series.source)

    def _show_stream(self: Any, result: EMResult, _: OnlineState, series: Series) -> None:
        self._store(result, series)
