"""The way of a fit gone again by plain EM, from where it began: what the page shows step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Source
from ..em import Executor, Problem, iterate
from ..inference.bounds import LowerBound
from ..inference.examined import rows_for
from ..result import EMResult, Iteration
from ..statistics import is_local
from ..stopping import RemainingGain

# Iterations that are all shown; later ones are shown at numbers that grow by this factor.
DENSE, SPREAD = 8, 1.35
# The way is gone until so much of the objective is left, or until steps are lost in rounding.
LEFT, LOST = 1e-7, 30.0


@dataclass(frozen=True)
class TrailStep:
    """An iteration that is shown.

    Attributes
    ----------
    number : int
        EM steps from the start to here.
    iteration : Iteration
        θₜ, the E-step there, and where the M-step leads.
    before : Iteration or None
        The iteration before, whose bound the E-step here renews.
    """

    number: int
    iteration: Iteration
    before: Iteration | None

    @property
    def parameters(self) -> Any:
        return self.iteration.parameters


@dataclass(frozen=True)
class Passage:
    """What is kept of every iteration, shown or not.

    Attributes
    ----------
    passes : int
        Over the data, the start's own counted.
    objective : float
    vector : (d,)
        The unconstrained θ.
    q_gain : float
        What Q, the prior included, gained in the step that leads here; NaN at the start, or where Q is local.
    """

    passes: int
    objective: float
    vector: FloatArray
    q_gain: float


@dataclass(frozen=True)
class Trail:
    """The way of plain EM from the start of a fit.

    Attributes
    ----------
    model : Model
    source : Source
        The data as they were fitted.
    names : tuple of str
        Of the columns.
    steps : tuple of TrailStep
        The iterations that are shown.
    passages : tuple of Passage
        All of them.
    problem : Problem
    local : bool
        Whether Q is known to second order only.
    begun : bool
        Whether the start is that of the fit; else the way begins where the fit ended.
    ended : str
        Why the way ends, a clause.
    seconds : float
        What a pass takes.
    """

    model: Any
    source: Source
    names: tuple[str, ...]
    steps: tuple[TrailStep, ...]
    passages: tuple[Passage, ...]
    problem: Problem
    local: bool
    begun: bool
    ended: str
    seconds: float

    @property
    def end(self) -> Any:
        return self.steps[-1].iteration

    def bound(self, iteration: Iteration) -> LowerBound:
        """The bound that touches ℓ at the θₜ of an iteration."""
        return LowerBound(self.model, iteration)


def missing_way(result: EMResult) -> str | None:
    """Why the way cannot be gone again, a sentence, or None where it can."""
    if result.source is None:
        return "The fit has no data with it: it was read from a file or pickled, or its data came as a stream."
    if getattr(getattr(result.model, "declaration", None), "e_step", None) in ("saem", "monte-carlo"):
        return "The E-step is simulated, so that neither ℓ(θ) nor the bound is known exactly."
    return None


def go_again(result: EMResult, executor: Executor, *, most: int = 1000, seconds: float = 20.0) -> Trail:
    """Plain EM from the start of the fit, to the limit, to `most` iterations, or until the time is over.

    Parameters
    ----------
    result : EMResult
        Such that `missing_way` has nothing to say.
    executor : Executor
    most : int
        Iterations.
    seconds : float
        After which no further iteration begins.
    """
    problem = Problem(result.model, rows_for(result.model, result.source, executor), executor)
    start = result.parameters if result.start is None else result.start
    steps: list[TrailStep] = []
    passages: list[Passage] = []
    begun = time.perf_counter()
    rule, due, last, ended = RemainingGain(LEFT), _schedule(), None, ""
    wanted = next(due)
    for number, now in enumerate(iterate(problem.model, problem.source, copy(start), executor=executor, rule=rule)):
        passages.append(_passage(problem.model, last, now))
        ended = _ended(rule, last, now, number, most, time.perf_counter() - begun > seconds)
        if number == wanted or ended:
            steps.append(TrailStep(number, now, last))
            wanted = next(due)
        last = now
        if ended:
            break
    return Trail(
        model=result.model,
        source=result.source,
        names=tuple(result.source.names),
        steps=tuple(steps),
        passages=tuple(passages),
        problem=problem,
        local=is_local(steps[0].iteration.expectation.statistics),
        begun=result.start is not None,
        ended=ended,
        seconds=(time.perf_counter() - begun) / passages[-1].passes,
    )


def _schedule() -> Iterator[int]:
    """Numbers of the iterations that are shown: the first ones all, then ever fewer."""
    yield from range(DENSE)
    number = DENSE
    while True:
        yield number
        number = ceil(number * SPREAD)


def _ended(
    rule: RemainingGain, last: Iteration | None, now: Iteration, number: int, most: int, late: bool
) -> str:
    """Why the way ends here, or nothing."""
    if rule.status(now) is not None:
        return "less than 10⁻⁷ of the log-likelihood was left"
    if last is not None and number > 1 and abs(now.gain) <= LOST * now.rounding:
        return "further steps were lost in rounding"
    if number >= most:
        return f"{most} iterations had shown how it goes on"
    return "the time for it was over" if late else ""


def _passage(model: Any, before: Iteration | None, now: Iteration) -> Passage:
    gain = np.nan
    if before is not None and not is_local(before.expectation.statistics):
        gain = LowerBound(model, before).gain(now.parameters)
    return Passage(now.index + 1, now.objective, now.parameters.flatten(), float(gain))
