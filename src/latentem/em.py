"""The only loop: evaluate, step, safeguard, stop.

It names no model, no acceleration and no executor; it knows what it asks of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite, nan, sqrt
from typing import Any, TypeVar

import numpy as np

from ._typing import FloatArray
from .data import Batch, Source
from .errors import ParameterError
from .model import Model
from .result import EMResult, Finding, Iteration, Status, Step
from .statistics import Expectation, Statistics

T = TypeVar("T", bound=Statistics)
# A share of the tolerance that gains must fall below where their ratio is not known: it serves up to a ratio of 0.999.
CAUTIOUS = 1e-3
HALVINGS = 12


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
        return _contraction(gains)

    def remaining(self, gains: tuple[float, ...]) -> float:
        """Estimated remaining gain; infinite where the gains do not contract, NaN if unknown."""
        return _tail(gains[-1], self.ratio(gains)) if gains else nan

    def status(self, iteration: Iteration) -> Status | None:
        """Why to stop here, or None."""
        if iteration.step is Step.NONE:
            return Status.ROUNDING if max(iteration.gains, default=inf) <= iteration.rounding else Status.STALLED
        last = iteration.gains[-2:]
        if len(last) == 2 and max(map(abs, last)) <= iteration.rounding:
            return Status.ROUNDING
        surely = (*iteration.gains[:-1], *(max(gain, iteration.rounding) for gain in iteration.gains[-1:]))
        return Status.CONVERGED if self.remaining(surely) <= self.tol else None

    def is_near(self, iteration: Iteration) -> bool:
        """Whether the limit may be near (by the last known ratio, if there is one): plain steps should find out.

        A ratio of one or more says nothing, but that the limit was far when it was seen: the gain must be smaller then.
        """
        if not iteration.gains or len(iteration.gains) > 2:
            return False
        gain, bound = abs(iteration.gains[-1]), max(self.tol, iteration.rounding)
        if iteration.ratio >= 1:
            return gain <= max(CAUTIOUS * self.tol, iteration.rounding)
        return (_tail(gain, iteration.ratio) if iteration.ratio < 1 else gain) <= bound


def _contraction(gains: tuple[float, ...]) -> float:
    if len(gains) < 3 or min(gains[-3:-1]) <= 0:
        return nan
    before, now = gains[-2] / gains[-3], max(gains[-1], 0.0) / gains[-2]
    return now * max(1.0, now / before)


def _tail(gain: float, ratio: float) -> float:
    """g ρ + g ρ² + …: what remains after a gain g."""
    return gain * ratio / (1 - ratio) if ratio < 1 else (inf if ratio >= 1 else nan)


def _beyond_rounding(iteration: Iteration) -> float:
    """What may remain where gains drown in rounding: the tail of a gain of that size, at the last ratio known."""
    known = iteration.ratio < 1
    return max(iteration.rounding, _tail(iteration.rounding, iteration.ratio)) if known else iteration.rounding


def iterate(
    model: Model,
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
    problem = Problem(model, source, executor)
    if resume is None:
        current = _first(problem, model.conform(parameters), acceleration)
    else:
        current = _with_scheme(resume, acceleration)
    if resume is None:
        yield current
    while True:
        current = _advance(problem, acceleration, rule, current)
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
        return _result(model, source, resume, ended, rule, ((resume.step, resume.objective),))
    last, status, history = consume(steps, rule.status, max_iter, callbacks, resume)
    return _result(model, source, last, status, rule, history)


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
    if acceleration is not None and not rule.is_near(current):
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
    return model.objective_score(current.expectation.statistics, current.parameters)


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
    ratio = _contraction(gains)
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
    last: Iteration,
    status: Status,
    rule: RemainingGain,
    history: tuple[tuple[Step, float], ...],
) -> EMResult:
    told = model.told(last.expectation.statistics, last.parameters)
    return EMResult(
        model=model,
        parameters=last.parameters,
        status=status,
        log_likelihood=last.log_likelihood,
        objective=last.objective,
        n_iter=last.index,
        remaining_gain=_beyond_rounding(last) if status is Status.ROUNDING else rule.remaining(last.gains),
        rate=sqrt(last.ratio) if last.ratio == last.ratio else nan,
        history=history,
        findings=tuple(Finding(code, text, k) for k, code, text in told),
        expectation=last.expectation,
        n_rows=source.n_rows,
        source=source,
    )
