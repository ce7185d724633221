"""`partial_fit` of hidden Markov models: whole sequences at a time."""

from __future__ import annotations

from typing import Any

from sklearn.utils.metaestimators import available_if

from ..data import Source
from ..errors import ParameterError
from ..execution.opening import opened
from ..fitting import as_generator
from ..model import LatentVariableModel, check_source
from ..online import OnlineState
from ..result import EMResult
from .inputs import require_observed
from .partial import PARTIAL_DOC, learn, left_off


class LearnsSequences:
    """`partial_fit` of hidden Markov models."""

    _stream: tuple[OnlineState, list[float]] | None = None
    result_: EMResult

    def _adds(self) -> bool:
        """Whether the statistics of the observations add between different θ."""
        return True

    @available_if(lambda self: self._adds())
    def partial_fit(
        self: Any,
        X: Any,
        lengths: Any = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        step_size: Any = None,
    ) -> Any:
        columns = {"groups": groups, "sample_weight": sample_weight, "labels": labels}
        return learn(self, lambda fresh: self._sequences(X, lengths, reset=fresh, **columns), step_size)

    partial_fit.__doc__ = PARTIAL_DOC.format(
        data="""X, lengths, groups, sample_weight, labels
            As for `fit`: whole sequences.  One of them counts as a unit of weight, whatever its length."""
    )

    def _first(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and a start from the first batch, or from the attributes that were set."""
        require_observed(source)
        family = self._family(source)
        check_source(family, source)
        with opened(self.executor) as workers:
            start = self._start(family, source, as_generator(self.random_state), 0, workers)
        model, start = self._model_at(family, start)
        return model, OnlineState(start), []

    def _next(self: Any, source: Source) -> tuple[LatentVariableModel, OnlineState, list[float]]:
        """The model, and where the last batch or the fit left off."""
        own = self._fitted_arrays()
        changed = [name for name, value in own.items() if getattr(self, name, None) is not value]
        if changed:
            raise ParameterError(f"{changed[0]} was set by hand: partial_fit goes on from fitted parameters; fit first")
        return left_off(self, source)

    def _show_stream(self: Any, result: EMResult, state: OnlineState, _: Source) -> None:
        self.result_ = result
        self._show_parameters(state.best)
        self.converged_, self.n_iter_ = False, state.step
