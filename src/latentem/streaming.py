"""`OnlineEM` and `online_fit`: stepwise EM on batches that come one after the other and are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import nan
from typing import Any, Self

from .data import Source
from .em import Executor
from .errors import DataError, ParameterError
from .execution.opening import opened
from .fitting import as_generator
from .model import LatentVariableModel, ModelParameters, check_source
from .models.starts import initial_parameters
from .online import OnlineState, StepSize, additive, in_parts, stepped
from .result import EMResult, Finding, Status, Step
from .sources import as_source

DEFAULT_STEPS = StepSize(delay=1.0)
TOLD = "{seen}: the parameters were learnt batch by batch, and nothing tells how far the maximum is; fit goes on from "
TOLD += "them (parameters=result.parameters) where the data are at hand"


class OnlineEM:
    """Stepwise EM (Cappé and Moulines 2009): after each batch S ← (1 - γ) S + γ s, and an M-step from S.

    s are the expected statistics of a batch at the current θ, for a unit of weight.  Nothing of a batch is kept but S.
    With steps that fall as they should θ ends where EM does, for data without end; on the way the likelihood may fall.

    Parameters
    ----------
    model : LatentVariableModel
        One whose statistics add between different θ: mixtures, hidden Markov models and factor models, of most
        families.
    parameters : ModelParameters, optional
        Where to start; else `init` finds a start in the first batch.
    init : str
        See `models.starts.initial_parameters`.
    step_size : StepSize
        γ for each batch.
    average_from : int, optional
        The batch, from 1, from which on θ is averaged; the mean is then what is told (Polyak and Juditsky 1992).
    warm_up : float
        Weight (rows, or sequences) that must have been seen before the first M-step.  Batches of a few rows want some
        ten for each component.
    executor : None, "serial", "threads", "processes" or Executor
    random_state : None, int, Generator or RandomState
        Of the start.

    Attributes
    ----------
    state : OnlineState or None
        All that is kept; None before the first batch.

    Raises
    ------
    ParameterError
        Statistics that do not add between different θ (`LocalQ`), and declared models.
    """

    def __init__(
        self,
        model: Any,
        *,
        parameters: Any = None,
        init: str = "k-means++",
        step_size: StepSize = DEFAULT_STEPS,
        average_from: int | None = None,
        warm_up: float = 0.0,
        executor: str | Executor | None = None,
        random_state: Any = None,
    ) -> None:
        if average_from is not None and average_from < 1:
            raise ParameterError(f"average_from counts batches from 1, got {average_from!r}")
        if not warm_up >= 0:
            raise ParameterError(f"warm_up must be at least 0, got {warm_up!r}")
        self.model, self._stepping = model, additive(model, "online EM")
        self.init, self.executor, self.random_state = init, executor, random_state
        self._advance = partial(stepped, step_size=step_size, average_from=average_from, warm_up=warm_up)
        self.state = None if parameters is None else OnlineState(self._stepping.conform(parameters))
        self._history: list[tuple[Step, float]] = []

    @property
    def parameters(self) -> ModelParameters:
        """θ after the last batch, or its mean where one is taken."""
        best: ModelParameters = self._begun().best
        return best

    def partial_fit(self, data: Any, **columns: Any) -> Self:
        """Learn a batch, of any size; the first one has a row for each state at least.

        Parameters
        ----------
        data, **columns
            As for `fit`: the data, and `sample_weight`, `labels`, `lengths`, `groups`, `covariates`.

        Raises
        ------
        DataError
            A batch outside the model's support, or impossible at θ; it leaves no trace.
        """
        return self.learn(as_source(data, **columns))

    def learn(self, source: Source, most_weight: float = float("inf")) -> Self:
        """The same for a source; `most_weight` is that of all data, where they are read several times."""
        check_source(self.model, source)
        with opened(self.executor) as workers:
            state = self.state or self._started(source, workers)
            found = workers.fold(partial(self._stepping.e_step, state.parameters), source)
        self.state = self._advance(self._stepping, state, found, source.n_rows, most_weight=most_weight)
        self._history.append((Step.STOCHASTIC, found.log_likelihood / (found.weight or 1.0)))
        return self

    def result(self) -> EMResult:
        """What is known now.

        Returns
        -------
        EMResult
            Its status is `ONLINE`.  Log-likelihood and objective are sums over batches at the θ before each: how well
            they were foreseen.  The history has the mean of that for each batch.
        """
        return online_result(self.model, self._begun(), tuple(self._history))

    def _begun(self) -> OnlineState:
        if self.state is None:
            raise ParameterError("no batch was learnt yet, and there are no parameters to start from")
        return self.state

    def _started(self, source: Source, workers: Executor) -> OnlineState:
        rng = as_generator(self.random_state)
        if source.n_rows < self.model.latent.size:
            raise DataError(
                f"the first batch has {source.n_rows} rows for {self.model.latent.size} states; make it larger, or "
                "give parameters to start from"
            )
        return OnlineState(initial_parameters(self._stepping, source, init=self.init, rng=rng, executor=workers))


def online_result(
    model: LatentVariableModel, state: OnlineState, history: tuple[tuple[Step, float], ...]
) -> EMResult:
    """The record of a stream so far."""
    theta = state.best
    if state.statistics is None:
        raise ParameterError("no batch was learnt yet")
    found = state.expectation
    told = model.told(found.statistics, theta)
    seen = f"{state.step} batch" if state.step == 1 else f"{state.step} batches"
    return EMResult(
        model=model,
        parameters=theta,
        status=Status.ONLINE,
        log_likelihood=found.log_likelihood,
        objective=found.log_likelihood + model.log_prior(theta),
        n_iter=state.step,
        remaining_gain=nan,
        rate=nan,
        history=history,
        findings=(*(Finding(code, text, k) for k, code, text in told), Finding("online", TOLD.format(seen=seen))),
        expectation=found,
        n_rows=state.n_rows,
        algorithm="online EM",
    )


def online_fit(
    model: Any,
    data: Any,
    *,
    batch_rows: int = 1000,
    passes: int = 1,
    callbacks: Iterable[Callable[[OnlineEM], object]] = (),
    **options: Any,
) -> EMResult:
    """Fit a model by stepwise EM, to a stream of batches or to data in batches.

    Parameters
    ----------
    model : LatentVariableModel
    data : iterator, or what `fit` takes
        An iterator (a generator, `iter(list)`) yields batches, each something that `fit` takes (a `Source` where it has
        weights or lengths); it is read once and nothing is kept.  Other data, a `Source` likewise, are divided.
    batch_rows : int
        Rows in a batch of data that are divided, about; a sequence stays whole.
    passes : int
        How often such data are read.
    callbacks : callables
        Called with the `OnlineEM` after each batch; one that returns True stops.
    **options
        Those of `OnlineEM`.

    Returns
    -------
    EMResult
        See `OnlineEM.result`.  Of data that are not a stream the log-likelihood and the objective are those at the
        parameters, by one more pass; `n_iter` counts batches.

    Raises
    ------
    DataError, ParameterError
        See `OnlineEM` and `fit`; a stream without batches.
    """
    online, watchers = OnlineEM(model, **options), list(callbacks)
    if hasattr(data, "__next__"):
        _follow(online, ((as_source(batch), float("inf")) for batch in data), watchers)
        return online.result()
    source = as_source(data)
    if passes < 1 or batch_rows < 1:
        raise ParameterError(f"passes and batch_rows must be at least 1, got {passes!r} and {batch_rows!r}")
    _follow(online, _batches(online, source, batch_rows, passes), watchers)
    result = online.result()
    with opened(online.executor) as workers:
        found = workers.fold(partial(model.e_step, result.parameters), source)
    objective = found.log_likelihood + model.log_prior(result.parameters)
    return replace(result, log_likelihood=found.log_likelihood, objective=objective, expectation=found,
                   n_rows=source.n_rows, source=source)


def _follow(
    online: OnlineEM, batches: Iterable[tuple[Source, float]], watchers: list[Callable[[OnlineEM], object]]
) -> None:
    for source, most_weight in batches:
        online.learn(source, most_weight)
        if sum(watcher(online) is True for watcher in watchers):
            return


def _batches(online: OnlineEM, source: Source, rows: int, passes: int) -> Iterator[tuple[Source, float]]:
    """Parts of the data as sources of their own, in the order of the data, and the weight of all."""
    parts = in_parts(online.model, source, rows)
    weight = sum(float(batch.unit_weights(online.model.per_group).sum()) for batch in source)
    for _ in range(passes):
        for key in parts.keys:
            yield replace(parts, keys=(key,)), weight

