"""The only loop: evaluate, step, safeguard, stop.

It names no model, no acceleration and no executor; it knows what it asks of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, nan, sqrt
from typing import Any, TypeVar

from ._typing import FloatArray
from .data import Batch, Source
from .model import LatentVariableModel
from .parameters import Parameters
from .result import EMResult, Finding, Iteration, Status, Step
from .statistics import Expectation, Statistics

T = TypeVar("T", bound=Statistics)
HALVINGS = 12


class Executor(ABC):
    """Folds a function over the chunks of a source, adding pairwise in chunk order."""

    @abstractmethod
    def fold(self, function: Callable[[Batch], T], source: Source) -> T:
        """Σ over chunks of function(batch): the same bits for any number of workers."""


@dataclass(frozen=True)
class Trial:
    """What an acceleration is told: the unconstrained θ, where EM leads from it, and what came of its last proposal."""

    theta: FloatArray
    em_theta: FloatArray
    objective: float
    accepted: bool
    score: Callable[[], FloatArray]


class Acceleration(ABC):
    """Proposes points on the unconstrained vector; the engine owns the safeguard."""

    @abstractmethod
    def init(self, theta: FloatArray) -> Any:
        """The state at the start."""

    @abstractmethod
    def propose(self, trial: Trial, state: Any) -> tuple[FloatArray | None, Any]:
        """A point to try instead of the EM point, or None for the EM point itself; and the next state."""


@dataclass(frozen=True)
class RemainingGain:
    """Stop when the estimated remaining gain is within `tol`.

    Gains of plain EM steps contract at ρ = λ²; what remains after a gain g is about g ρ / (1 - ρ).  The ratio of two
    gains climbs to ρ from below as the fast directions die out, so three consecutive plain steps are asked for, and
    where their two ratios still climb, the next one is extrapolated.  ρ ≥ 1 means that nothing can be said yet.
    """

    tol: float

    def ratio(self, gains: tuple[float, ...]) -> float:
        """ρ from the last three gains; NaN if there are not three, or no gain to divide by."""
        if len(gains) < 3 or min(gains[-3:-1]) <= 0:
            return nan
        before, now = gains[-2] / gains[-3], max(gains[-1], 0.0) / gains[-2]
        return now * max(1.0, now / before)

    def remaining(self, gains: tuple[float, ...]) -> float:
        """Estimated remaining gain; infinite where the gains do not contract, NaN if unknown."""
        ratio = self.ratio(gains)
        return gains[-1] * ratio / (1 - ratio) if ratio < 1 else (inf if ratio >= 1 else nan)

    def status(self, iteration: Iteration) -> Status | None:
        """Why to stop here, or None."""
        if iteration.step is Step.NONE:
            return Status.STALLED if max(iteration.gains, default=inf) > iteration.rounding else Status.ROUNDING
        last = iteration.gains[-2:]
        if len(last) == 2 and max(map(abs, last)) <= iteration.rounding:
            return Status.ROUNDING
        return Status.CONVERGED if self.remaining(iteration.gains) <= self.tol else None

    def is_near(self, iteration: Iteration) -> bool:
        """Whether the last gain is small enough for plain steps to find out."""
        return bool(iteration.gains) and abs(iteration.gains[-1]) <= max(self.tol, iteration.rounding)


def iterate(
    model: LatentVariableModel,
    source: Source,
    parameters: Any,
    *,
    executor: Executor,
    acceleration: Acceleration | None = None,
    rule: RemainingGain = RemainingGain(0.0),
    resume: Iteration | None = None,
) -> Iterator[Iteration]:
    """Yield iterations without end; the objective never falls beyond its rounding error.

    Parameters
    ----------
    model, source, parameters
        What to fit, to what, from where.
    executor : Executor
    acceleration : Acceleration, optional
        Plain EM is the absence of one.
    rule : RemainingGain
        Near its tolerance the acceleration pauses, so that two plain steps can tell whether the limit is reached.
    resume : Iteration, optional
        Go on from here instead of from `parameters`.

    Raises
    ------
    DataError
        A row is impossible under the parameters; it is named.
    """
    evaluate = partial(_evaluate, model, source, executor)
    current = resume or _first(evaluate, parameters, acceleration)
    if resume is None:
        yield current
    while True:
        current = _advance(model, evaluate, acceleration, rule, current)
        yield current


def run(
    model: LatentVariableModel,
    source: Source,
    parameters: Any,
    *,
    executor: Executor,
    acceleration: Acceleration | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    callbacks: Iterable[Callable[[Iteration], object]] = (),
    resume: Iteration | None = None,
) -> EMResult:
    """Consume iterations until the rule, the limit, a callback or the user says stop.

    A callback is called with every iteration; one that returns True stops the fit.  Ctrl-C returns the best so far.
    """
    rule = RemainingGain(tol)
    steps = iterate(
        model, source, parameters, executor=executor, acceleration=acceleration, rule=rule, resume=resume
    )
    history: list[tuple[Step, float]] = []
    watchers = list(callbacks)
    last = resume
    status = Status.INTERRUPTED
    try:
        for iteration in steps:
            last = iteration
            history.append((iteration.step, iteration.objective))
            decided = rule.status(iteration)
            stop = any([watcher(iteration) is True for watcher in watchers])
            status = decided or (Status.STOPPED if stop else Status.MAX_ITER)
            if decided or stop or iteration.index >= max_iter:
                break
            status = Status.INTERRUPTED
    except KeyboardInterrupt:
        if last is None:
            raise
    assert last is not None
    return _result(model, source, last, status, rule, tuple(history))


def _evaluate(
    model: LatentVariableModel, source: Source, executor: Executor, parameters: Any
) -> tuple[Expectation, float]:
    expectation = executor.fold(partial(model.e_step, parameters), source)
    return expectation, expectation.log_likelihood + model.log_prior(parameters)


Evaluate = Callable[[Any], tuple[Expectation, float]]


def _first(evaluate: Any, parameters: Any, acceleration: Acceleration | None) -> Iteration:
    expectation, objective = evaluate(parameters)
    model: LatentVariableModel = evaluate.args[0]
    return Iteration(
        index=0,
        parameters=parameters,
        em_parameters=model.m_step(expectation.statistics, parameters),
        objective=objective,
        log_likelihood=expectation.log_likelihood,
        rounding=expectation.rounding,
        step=Step.START,
        gain=nan,
        gains=(),
        expectation=expectation,
        scheme=None if acceleration is None else acceleration.init(parameters.flatten()),
    )


def _advance(
    model: LatentVariableModel,
    evaluate: Evaluate,
    acceleration: Acceleration | None,
    rule: RemainingGain,
    current: Iteration,
) -> Iteration:
    """One more iteration: an accelerated step if it does not lower the objective, else the EM step."""
    passes, scheme = current.index, current.scheme
    proposal = None
    if acceleration is not None and not rule.is_near(current):
        proposal, scheme = _propose(model, acceleration, current)
    if proposal is not None:
        passes += 1
        expectation, objective = _attempt(evaluate, proposal)
        if objective >= current.objective - current.rounding:
            return _moved(model, current, passes, proposal, expectation, objective, Step.ACCELERATED, scheme)
    step = Step.EM if proposal is None else Step.REJECTED
    expectation, objective = evaluate(current.em_parameters)
    passes += 1
    if objective >= current.objective - current.rounding:
        return _moved(model, current, passes, current.em_parameters, expectation, objective, step, scheme)
    return _damped(model, evaluate, current, passes, scheme)


def _propose(
    model: LatentVariableModel, acceleration: Acceleration, current: Iteration
) -> tuple[Parameters | None, Any]:
    trial = Trial(
        theta=current.parameters.flatten(),
        em_theta=current.em_parameters.flatten(),
        objective=current.objective,
        accepted=current.step is not Step.REJECTED,
        score=partial(model.score, getattr(current.expectation, "statistics", None), current.parameters),  # type: ignore[arg-type]
    )
    proposal, scheme = acceleration.propose(trial, current.scheme)
    return (None if proposal is None else current.parameters.unflatten(proposal)), scheme


def _attempt(evaluate: Evaluate, parameters: Any) -> tuple[Any, float]:
    """Evaluate a proposal; one at which the model cannot be evaluated counts as minus infinity."""
    try:
        expectation, objective = evaluate(parameters)
    except (ArithmeticError, ValueError):
        return None, -inf
    return expectation, objective if isfinite(objective) else -inf


def _damped(
    model: LatentVariableModel, evaluate: Evaluate, current: Iteration, passes: int, scheme: Any
) -> Iteration:
    """Halve the EM step until the objective does not fall.

    Needed where the M-step is one Newton step on Q (`LocalQ`): its direction ascends, its length may not.
    """
    here, there = current.parameters.flatten(), current.em_parameters.flatten()
    for halving in range(1, HALVINGS + 1):
        candidate = current.parameters.unflatten(here + (there - here) * 0.5**halving)
        expectation, objective = _attempt(evaluate, candidate)
        if objective >= current.objective - current.rounding:
            return _moved(model, current, passes + halving, candidate, expectation, objective, Step.DAMPED, scheme)
    return _moved(
        model, current, passes + HALVINGS, current.parameters, current.expectation, current.objective, Step.NONE, scheme
    )


def _moved(
    model: LatentVariableModel,
    current: Iteration,
    index: int,
    parameters: Any,
    expectation: Expectation,
    objective: float,
    step: Step,
    scheme: Any,
) -> Iteration:
    gain = objective - current.objective
    plain = step in (Step.EM, Step.REJECTED)
    return Iteration(
        index=index,
        parameters=parameters,
        em_parameters=model.m_step(expectation.statistics, parameters),
        objective=objective,
        log_likelihood=expectation.log_likelihood,
        rounding=expectation.rounding,
        step=step,
        gain=gain,
        gains=(*current.gains[-2:], gain) if plain else (current.gains if step is Step.NONE else ()),
        expectation=expectation,
        scheme=scheme,
    )


def _result(
    model: LatentVariableModel,
    source: Source,
    last: Iteration,
    status: Status,
    rule: RemainingGain,
    history: tuple[tuple[Step, float], ...],
) -> EMResult:
    ratio = rule.ratio(last.gains)
    statistics = last.expectation.statistics
    findings = model.family.findings(statistics.emission, last.parameters.emission)  # type: ignore[attr-defined]
    return EMResult(
        model=model,
        parameters=last.parameters,
        status=status,
        log_likelihood=last.log_likelihood,
        objective=last.objective,
        n_iter=last.index,
        remaining_gain=last.rounding if status is Status.ROUNDING else rule.remaining(last.gains),
        rate=sqrt(ratio) if ratio == ratio else nan,
        history=history,
        findings=tuple(Finding("floor", f"component {k}: {text}", k) for k, text in findings),
        expectation=last.expectation,
        n_rows=source.n_rows,
    )
