"""`compare`: EM, its accelerations and direct optimizers from the same starts, on the user's own data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log, nan
from typing import Any

import numpy as np

from ..acceleration import SCHEMES
from ..data import Source
from ..em import Executor, Problem, run
from ..errors import LatentemError, ParameterError
from ..execution.opening import opened
from ..result import Iteration, Step
from .certifying import certify
from .direct import DIRECT, Course

EM = "em"
METHODS = (EM, *SCHEMES, *DIRECT)
# A log-likelihood within this of the best counts as reached.
WITHIN = 1e-3
# What EM needs fewer passes for is not slow.
QUICK = 50


@dataclass(frozen=True)
class Run:
    """One method from one start.

    Attributes
    ----------
    method : str
    start : int
    passes : (t,) of int
        Over the data, at every point of its course.
    seconds : (t,)
    objectives : (t,)
        The objective there.
    falls : int
        Steps that lowered the objective by more than its rounding error.
    impossible : int
        Points that it asked for where the objective could not be evaluated, or that the model does not admit.
    failure : str
        Why it ended early, if it did.
    """

    method: str
    start: int
    passes: np.ndarray
    seconds: np.ndarray
    objectives: np.ndarray
    falls: int
    impossible: int
    failure: str

    @property
    def best(self) -> float:
        return float(self.objectives.max()) if len(self.objectives) else -inf

    def reached(self, objective: float) -> tuple[float, float]:
        """Passes and seconds until the objective was first as high; infinite where it never was."""
        there = np.flatnonzero(self.objectives >= objective)
        return (float(self.passes[there[0]]), float(self.seconds[there[0]])) if len(there) else (inf, inf)


@dataclass(frozen=True)
class Comparison:
    """What every method did from every start.

    Attributes
    ----------
    runs : tuple of Run
    within : float
        A method has arrived where its objective is within this of the best that any method reached from that start.
    rate : float
        EM's rate at its best end, the largest fraction of missing information there; NaN if unknown.
    """

    runs: tuple[Run, ...]
    within: float
    rate: float

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.method for one in self.runs))

    @property
    def explanation(self) -> tuple[str, ...]:
        """When EM is preferred, said of these data: sentences."""
        return _explained(self)

    def best_of(self, start: int) -> float:
        """The highest objective that any method reached from a start."""
        return max(one.best for one in self.runs if one.start == start)

    def table(self) -> list[dict[str, Any]]:
        """A row for each method: how often it arrived, median passes and seconds until then, falls, failures."""
        return [self._row(method) for method in self.methods]

    def _row(self, method: str) -> dict[str, Any]:
        own = [one for one in self.runs if one.method == method]
        reached = [one.reached(self.best_of(one.start) - self.within) for one in own]
        arrived = [pair for pair in reached if isfinite(pair[0])]
        return {
            "method": method,
            "arrived": len(arrived),
            "starts": len(own),
            "passes": float(np.median([p for p, _ in arrived])) if arrived else nan,
            "seconds": float(np.median([s for _, s in arrived])) if arrived else nan,
            "gap": float(np.median([self.best_of(one.start) - one.best for one in own])),
            "falls": sum(one.falls for one in own),
            "failures": sum(bool(one.failure) for one in own),
        }

    def __str__(self) -> str:
        head = f"{'method':>16} {'arrived':>8} {'passes':>8} {'seconds':>9} {'gap':>9} {'falls':>6} {'failures':>9}"
        rows = [
            f"{row['method']:>16} {row['arrived']:>4}/{row['starts']:<3} {row['passes']:>8.0f} {row['seconds']:>9.3g} "
            f"{row['gap']:>9.2g} {row['falls']:>6} {row['failures']:>9}"
            for row in self.table()
        ]
        return "\n".join([head, *rows, *self.explanation])


def compare(
    model: Any,
    source: Source,
    starts: Sequence[Any],
    *,
    methods: Sequence[str] = METHODS,
    tol: float = 1e-6,
    max_iter: int = 2000,
    executor: str | Executor | None = None,
) -> Comparison:
    """Every method from every start; see `latentem.compare`, which finds source and starts.

    Raises
    ------
    ParameterError
        A method is unknown.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ParameterError(f"the methods are {', '.join(METHODS)}; got {', '.join(map(repr, unknown))}")
    with opened(executor) as workers:
        problem = Problem(model, source, workers)
        runs = [
            _run(problem, method, number, model.conform(start), tol, max_iter)
            for number, start in enumerate(starts)
            for method in methods
        ]
        rate = _rate(problem, runs)
    return Comparison(tuple(one for one, _ in runs), WITHIN, rate)


def _run(problem: Problem, method: str, number: int, start: Any, tol: float, max_iter: int) -> tuple[Run, Any]:
    course, end, failure = Course(problem), None, ""
    try:
        if method in DIRECT:
            DIRECT[method](course, start, tol, max_iter)
        else:
            end = _climb(problem, method, start, tol, max_iter, course.note)
    except (LatentemError, ArithmeticError, ValueError) as error:
        failure = str(error) or type(error).__name__
    passes, seconds, objectives = map(np.array, (course.passes, course.seconds, course.objectives))
    return Run(method, number, passes, seconds, objectives, course.falls, course.impossible, failure), end


def _climb(problem: Problem, method: str, start: Any, tol: float, max_iter: int, note: Callable[..., None]) -> Any:
    begun = time.perf_counter()

    def watch(iteration: Iteration) -> None:
        fell = iteration.step is not Step.START and iteration.gain < -2 * iteration.rounding
        note(iteration.index + 1, time.perf_counter() - begun, iteration.objective, fell)

    return run(
        problem.model,
        problem.source,
        start,
        executor=problem.executor,
        acceleration=None if method == EM else SCHEMES[method](),
        tol=tol,
        max_iter=max_iter,
        callbacks=(watch,),
    )


def _rate(problem: Problem, runs: Sequence[tuple[Run, Any]]) -> float:
    """EM's rate at the highest end of EM or of one of its accelerations."""
    ends = [end for _, end in runs if end is not None]
    if not ends:
        return nan
    try:
        return certify(max(ends, key=lambda end: end.objective), executor=problem.executor).rate
    except (LatentemError, ArithmeticError, ValueError):
        return nan


def _explained(found: Comparison) -> tuple[str, ...]:
    table = found.table()
    most = max(row["arrived"] for row in table)
    quickest = min((row for row in table if row["arrived"] == most), key=lambda row: row["seconds"])
    told = []
    if isfinite(found.rate) and 0 < found.rate < 1:
        needed = ceil(log(1e-3) / log(found.rate))
        told.append(
            f"At the best end EM's rate is {found.rate:.4g}: up to {found.rate:.1%} of the information is missing, and "
            f"each step of plain EM leaves that share of the distance; a thousandth is left after {needed} passes."
        )
        told.append(
            "That is little: plain EM, which never falls and has nothing to tune, will do."
            if needed <= QUICK
            else "That is slow: use an acceleration, which is as safe."
        )
    told.append(
        f"Of the methods that arrived most often, {quickest['method']} was the quickest: "
        f"{quickest['passes']:.0f} passes in {quickest['seconds']:.3g} s."
    )
    trouble = [row for row in table if row["falls"] or row["failures"] or row["arrived"] < row["starts"]]
    told += [
        f"{row['method']}: arrived {row['arrived']} of {row['starts']} times, fell {row['falls']} times, failed "
        f"{row['failures']} times."
        for row in trouble
    ]
    return tuple(told)
