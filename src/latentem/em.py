"""The only loop: evaluate, step, safeguard, stop.

It names no model, no acceleration and no executor; it knows what it asks of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite, nan
from typing import Any, TypeVar

import numpy as np

from ._typing import FloatArray
from .data import Batch, Source
from .errors import ParameterError
from .model import Model
from .result import EMResult, Finding, Iteration, Status, Step
from .secants import Secants
from .statistics import Expectation, Statistics
from .stopping import MEMORY, RemainingGain as RemainingGain, contraction

T = TypeVar("T", bound=Statistics)
HALVINGS = 12
TO_ROUNDING = RemainingGain(0.0)


class Executor(ABC):
    """Folds a function over the chunks of a source, adding pairwise in chunk order."""

    @abstractmethod
    def fold(self, function: Callable[[Batch], T], source: Source) -> T:
        """Σ over chunks of function(batch): the same bits for any number of workers."""

    @property
    def threads(self) -> int:
        """How many threads may work on what is no fold: one, unless threads are what it has."""
        return 1


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

    def describe(self, state: Any) -> str:
        """What a result says of the algorithm."""
        return type(self).__name__


def iterate(
    model: Model,
    source: Source,
    parameters: Any,
    *,
    executor: Executor,
    acceleration: Acceleration | None = None,
    rule: RemainingGain = TO_ROUNDING,
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
        Where it cannot tell what is left from the scores, the acceleration pauses near the tolerance: gains of plain
        steps tell it then.
    resume : Iteration, optional
        Go on from here instead of from `parameters`.

    Raises
    ------
    DataError
        A row is impossible under the parameters; it is named.
    """
    problem = Problem(model, source, executor)
    if resume is None:
        current = _first(problem, model.conform(parameters), acceleration)
        current = _recorded(problem, acceleration, rule, current, current)
    else:
        current = _with_scheme(resume, acceleration)
    if resume is None:
        yield current
    while True:
        current = _recorded(problem, acceleration, rule, current, _advance(problem, acceleration, rule, current))
        yield current


def run(
    model: Model,
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
    if resume is not None and resume.step is not Step.START and (ended := _ended(rule, resume, max_iter)):
        at_its_end = ((resume.step, resume.objective),)
        return _result(model, source, parameters, resume, ended, rule, at_its_end, acceleration)
    last, status, history = consume(steps, rule.status, max_iter, callbacks, resume)
    return _result(model, source, parameters, last, status, rule, history, acceleration)


def consume(
    steps: Iterable[Iteration],
    decide: Callable[[Iteration], Status | None],
    max_iter: int,
    callbacks: Iterable[Callable[[Iteration], object]] = (),
    last: Iteration | None = None,
) -> tuple[Iteration, Status, tuple[tuple[Step, float], ...]]:
    """The last of the iterations, why it is the last, and the history: until `decide`, the limit, a callback or Ctrl-C.

    Ctrl-C before the first iteration goes on to the caller, unless there is one from before (`last`).
    """
    history: list[tuple[Step, float]] = []
    watchers, status = list(callbacks), Status.INTERRUPTED
    try:
        for iteration in steps:
            last = iteration
            history.append((iteration.step, iteration.objective))
            decided = decide(iteration)
            stop = sum(watcher(iteration) is True for watcher in watchers) > 0
            status = decided or (Status.STOPPED if stop else Status.MAX_ITER)
            if decided or stop or iteration.index >= max_iter:
                break
            status = Status.INTERRUPTED
    except KeyboardInterrupt:
        if last is None:
            raise
    assert last is not None
    return last, status, tuple(history)


def _ended(rule: RemainingGain, iteration: Iteration, max_iter: int) -> Status | None:
    """Why a fit that is resumed here was already at its end, or None."""
    return rule.status(iteration) or (Status.MAX_ITER if iteration.index >= max_iter else None)


@dataclass(frozen=True)
class Problem:
    """A model and the data that it is fitted to, and who folds over them."""

    model: Model
    source: Source
    executor: Executor

    def fold(self, function: Callable[[Batch], T]) -> T:
        return self.executor.fold(function, self.source)

    def evaluate(self, parameters: Any) -> tuple[Expectation, float]:
        """The expectation and the objective at θ."""
        expectation = self.fold(partial(self.model.e_step, parameters))
        return expectation, expectation.log_likelihood + self.model.log_prior(parameters)

    @staticmethod
    def rounding(expectation: Expectation, objective: float) -> float:
        """Bound on the rounding error of the objective: of the log-likelihood, and of the log prior beside it."""
        return expectation.rounding + 32 * float(np.finfo(float).eps) * abs(objective - expectation.log_likelihood)

    def m_step(self, expectation: Expectation, parameters: Any) -> tuple[Any, int]:
        """Where an EM step leads from θ, and how many passes over the data that took."""
        passes = 0

        def fold(function: Callable[[Batch], T]) -> T:
            nonlocal passes
            passes += 1
            return self.fold(function)

        return self.model.m_step(expectation.statistics, parameters, fold), passes


def _with_scheme(resume: Iteration, acceleration: Acceleration | None) -> Iteration:
    """The iteration with a fresh state of the acceleration, where it comes from a fit with another one or with none."""
    fresh = None if acceleration is None else acceleration.init(resume.parameters.flatten())
    return resume if type(fresh) is type(resume.scheme) else replace(resume, scheme=fresh)


def _no_start(objective: float, log_likelihood: float) -> str:
    told = f"the objective is {objective} at the starting parameters"
    if not isfinite(log_likelihood):
        return f"{told}: a sum of log densities overflows; start nearer to the rows or divide the weights by a constant"
    return (
        f"{told}: the prior holds them for impossible, as a weight or a probability of 0 is under pseudo-counts; start "
        "above 0"
    )


def _first(problem: Problem, parameters: Any, acceleration: Acceleration | None) -> Iteration:
    expectation, objective = problem.evaluate(parameters)
    if not isfinite(objective):
        raise ParameterError(_no_start(objective, expectation.log_likelihood))
    em_parameters, passes = problem.m_step(expectation, parameters)
    return Iteration(
        index=passes,
        parameters=parameters,
        em_parameters=em_parameters,
        objective=objective,
        log_likelihood=expectation.log_likelihood,
        rounding=problem.rounding(expectation, objective),
        step=Step.START,
        gain=nan,
        gains=(),
        expectation=expectation,
        scheme=None if acceleration is None else acceleration.init(parameters.flatten()),
    )


def _advance(
    problem: Problem,
    acceleration: Acceleration | None,
    rule: RemainingGain,
    current: Iteration,
) -> Iteration:
    """One more iteration: an accelerated step if it does not lower the objective, else the EM step."""
    passes, scheme, step = current.index, current.scheme, Step.EM
    proposal = None
    if acceleration is not None and not rule.asks_for_plain_steps(current):
        proposal, scheme = _propose(problem.model, acceleration, current)
    if proposal is not None:
        step = Step.REJECTED
        candidate, expectation, objective = _attempt(problem, current.parameters, proposal)
        passes += candidate is not None
        if objective >= current.objective - current.rounding:
            return _moved(problem, current, passes, candidate, expectation, objective, Step.ACCELERATED, scheme)
    expectation, objective = problem.evaluate(current.em_parameters)
    passes += 1
    if objective >= current.objective - current.rounding:
        return _moved(problem, current, passes, current.em_parameters, expectation, objective, step, scheme)
    return _damped(problem, current, passes, scheme)


def _propose(
    model: Model, acceleration: Acceleration, current: Iteration
) -> tuple[FloatArray | None, Any]:
    trial = Trial(
        theta=current.parameters.flatten(),
        em_theta=current.em_parameters.flatten(),
        objective=current.objective,
        accepted=current.step in (Step.START, Step.EM, Step.ACCELERATED),
        score=partial(_score, model, current),
    )
    return acceleration.propose(trial, current.scheme)


def _score(model: Model, current: Iteration) -> FloatArray:
    """∇ of the objective at θ."""
    if current.secants is not None and np.array_equal(current.secants.points[-1], current.parameters.flatten()):
        return np.asarray(current.secants.scores[-1])
    return model.objective_score(current.expectation.statistics, current.parameters)


def _recorded(
    problem: Problem, acceleration: Acceleration | None, rule: RemainingGain, before: Iteration, now: Iteration
) -> Iteration:
    """The iteration with its point, EM step and score recorded: always beside an acceleration, else near the limit."""
    if acceleration is None and not rule.is_near(now):
        return now
    theta = now.parameters.flatten()
    known = before.secants
    if known is None or known.points.shape[1:] != theta.shape:
        known = Secants.none(len(theta))
    try:
        score = _score(problem.model, now)
    except (ArithmeticError, ValueError):
        return now
    return replace(now, secants=known.seen(theta, now.em_parameters.flatten() - theta, score, MEMORY))


def _attempt(problem: Problem, template: Any, vector: FloatArray) -> tuple[Any, Any, float]:
    """Parameters at a vector, with expectation and objective: minus infinity where the model cannot be evaluated.

    Also where it does not admit them, as a variance below its floor: an M-step would lower the objective from there.
    Overflow is no concern here: whatever comes of it is no finite objective, or a lower one.
    """
    if not np.all(np.isfinite(vector)):
        return None, None, -inf
    with np.errstate(all="ignore"):
        parameters = template.unflatten(vector)
        try:
            if not problem.model.admissible(parameters):
                return None, None, -inf
            expectation, objective = problem.evaluate(parameters)
        except (ArithmeticError, ValueError):
            return parameters, None, -inf
    return parameters, expectation, objective if isfinite(objective) else -inf


def _damped(problem: Problem, current: Iteration, passes: int, scheme: Any) -> Iteration:
    """Halve the EM step until the objective does not fall.

    Needed where the M-step is one Newton step on Q (`LocalQ`): its direction ascends, its length may not.
    """
    here, there = current.parameters.flatten(), current.em_parameters.flatten()
    for halving in range(1, HALVINGS + 1):
        candidate, expectation, objective = _attempt(
            problem, current.parameters, here + (there - here) * 0.5**halving
        )
        if objective >= current.objective - current.rounding:
            return _moved(problem, current, passes + halving, candidate, expectation, objective, Step.DAMPED, scheme)
    return _moved(
        problem,
        current,
        passes + HALVINGS,
        current.parameters,
        current.expectation,
        current.objective,
        Step.NONE,
        scheme,
    )


def _moved(
    problem: Problem,
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
    gains = (*current.gains[-2:], gain) if plain else (current.gains if step is Step.NONE else ())
    ratio = contraction(gains)
    em_parameters, more = problem.m_step(expectation, parameters)
    return Iteration(
        index=index + more,
        parameters=parameters,
        em_parameters=em_parameters,
        objective=objective,
        log_likelihood=expectation.log_likelihood,
        rounding=problem.rounding(expectation, objective),
        step=step,
        gain=gain,
        gains=gains,
        expectation=expectation,
        scheme=scheme,
        ratio=ratio if ratio == ratio else current.ratio,
    )


def _result(
    model: Model,
    source: Source,
    start: Any,
    last: Iteration,
    status: Status,
    rule: RemainingGain,
    history: tuple[tuple[Step, float], ...],
    acceleration: Acceleration | None,
) -> EMResult:
    told = model.told(last.expectation.statistics, last.parameters)
    return EMResult(
        model=model,
        parameters=last.parameters,
        status=status,
        log_likelihood=last.log_likelihood,
        objective=last.objective,
        n_iter=last.index,
        remaining_gain=rule.beyond_rounding(last) if status is Status.ROUNDING else rule.remaining(last),
        rate=rule.rate(last),
        history=history,
        findings=tuple(Finding(code, text, k) for k, code, text in told),
        expectation=last.expectation,
        n_rows=source.n_rows,
        source=source,
        algorithm="plain EM" if acceleration is None else acceleration.describe(last.scheme),
        start=start,
    )
