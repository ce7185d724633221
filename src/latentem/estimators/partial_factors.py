"""`partial_fit` of factor models: rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Source
from ..execution.opening import opened
from ..model import LatentVariableModel, ModelParameters
from ..models.moment_rows import moment_rows
from ..online import OnlineState
from ..result import EMResult
from .factor_units import Units
from .inputs import require_observed
from .partial import PARTIAL_DOC, learn, left_off, seen_of


class LearnsRows:
    """`partial_fit` of factor models."""

    _stream: tuple[OnlineState, list[float]] | None = None
    _moments: tuple[FloatArray, FloatArray] | None
    result_: EMResult

    def partial_fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None, *, step_size: Any = None) -> Any:
        return learn(self, lambda fresh: self._source(X, sample_weight, reset=fresh), step_size)

    partial_fit.__doc__ = PARTIAL_DOC.format(
        data="""X : array-like (n, p), or Source
            Later batches have the columns of the first, and may have any number of rows.
        y : None
            Ignored.
        sample_weight : (n,), optional
            As for `fit`."""
    )

    def _first(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, its floors in units of the first batch, and the start that `fit` would have there."""
        q = self._factors(source.n_columns)
        require_observed(source)
        with opened(self.executor) as workers:
            few = moment_rows(source, workers)
            units = Units.of(few, common=self._noise == "isotropic")
            inner = self._model(np.ones(source.n_columns), q)
            emission = units.as_they_came(self._start(inner, units.applied(few), q, None, units.scale))
        model = self._model(units.scale, q)
        return model, OnlineState(model.conform(ModelParameters(model.latent.start(), emission))), []

    def _next(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and where the last batch or the fit left off."""
        return left_off(self, source)

    def _show_stream(self: Any, result: EMResult, state: OnlineState, _: Source) -> None:
        self.result_ = result
        self._show(state.best, self._factors(self.n_features_in_))
        self.loglike_, self.n_iter_, self.converged_ = seen_of(result), state.step, False
        self._moments = None
