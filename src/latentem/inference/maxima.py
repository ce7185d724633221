"""The map of maxima: many starts race, equal ends are told from different ones, and the best is asked for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Source
from ..models.starts import draw_pool
from ..result import EMResult, Finding, Status
from .certificate import Certificate

# Up to so many starts all go to the end; of more, those that lead after some passes.
ALL_TO_THE_END = 4
LEGS = (25, 100)
FEWEST = 3
# Solutions are one if the log-likelihoods of single units differ by no more, root mean square.
ALIKE = 5e-3
NEARLY_ALIKE = 0.05
POOL_ROWS = 5000


@dataclass(frozen=True)
class Maximum:
    """One of the points where starts ended, up to the order of components.

    Attributes
    ----------
    objective, log_likelihood : float
    parameters : Parameters
    found : int
        How many starts ended there.
    converged : bool
    certificate : Certificate or None
    """

    objective: float
    log_likelihood: float
    parameters: Any = field(repr=False)
    found: int
    converged: bool
    certificate: Certificate | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MapOfMaxima:
    """Where several starts of a fit ended.

    Attributes
    ----------
    maxima : tuple of Maximum
        The highest first.
    starts : int
        How many there were.
    abandoned : int
        How many of them lay behind after some passes and were not followed to the end.
    """

    maxima: tuple[Maximum, ...]
    starts: int
    abandoned: int

    @property
    def replicated(self) -> bool:
        """Whether more than one start ended at the best of them."""
        return self.maxima[0].found > 1

    def __str__(self) -> str:
        told = "more than once" if self.replicated else "once only: a better one may have been missed"
        head = (
            f"{self.starts} starts, {self.abandoned} of them abandoned; {len(self.maxima)} different ends, "
            f"the best found {told}"
        )
        rows = [f"  {one.log_likelihood:16.6f}  {one.found:5d}  {_state(one)}" for one in self.maxima]
        return "\n".join([head, f"  {'log-likelihood':>16}  {'found':>5}", *rows])


def _state(one: Maximum) -> str:
    if one.certificate is not None:
        return one.certificate.verdict.name.lower().replace("_", " ")
    return "converged" if one.converged else "not converged"


Begin = Callable[[int, int | None], EMResult]
GoOn = Callable[[EMResult, int | None], EMResult]


def race(begin: Begin, go_on: GoOn | None, starts: int, source: Source, first: int = 0) -> tuple[list[EMResult], int]:
    """The results of the starts that were followed to the end, and how many were not.

    Parameters
    ----------
    begin : callable
        (number, passes) → the result of a new start after so many passes; None: at its end.
    go_on : callable
        (result, passes) → the same further on; None: every start goes to its end.
    starts : int
    source : Source
    first : int
        The number of the first start.
    """
    if go_on is None or starts <= ALL_TO_THE_END:
        return _until_stopped(lambda number: begin(number, None), range(first, first + starts)), 0
    running = _until_stopped(lambda number: begin(number, LEGS[0]), range(first, first + starts))
    for passes in (*LEGS[1:], None):
        if any(map(was_stopped, running)):
            break
        leading = _leading(running, source, max(FEWEST, (len(running) + 1) // 2))
        running = _until_stopped(partial(further, go_on, passes), leading)
    return running, starts - len(running)


def _leading(running: list[EMResult], source: Source, n: int) -> list[EMResult]:
    """All that have ended, and the n highest of the others, of those on the way to one end at first two."""
    groups = distinct(running, source, NEARLY_ALIKE)
    order = [one for group in groups for one in group[:2]] + [one for group in groups for one in group[2:]]
    ended = [one for one in order if one.status is not Status.MAX_ITER]
    return ended + [one for one in order if one.status is Status.MAX_ITER][:n]


def further(go_on: GoOn, passes: int | None, result: EMResult) -> EMResult:
    """A result further on; itself, where it has ended."""
    return go_on(result, passes) if result.status is Status.MAX_ITER else result


def _until_stopped(step: Callable[[Any], EMResult], items: Sequence[Any]) -> list[EMResult]:
    done: list[EMResult] = []
    for item in items:
        done.append(step(item))
        if was_stopped(done[-1]):
            break
    return done


def was_stopped(result: EMResult) -> bool:
    """Whether a user or a callback ended it."""
    return result.status in (Status.INTERRUPTED, Status.STOPPED)


def distinct(results: Sequence[EMResult], source: Source, alike: float = ALIKE) -> list[list[EMResult]]:
    """The results in groups of equal solutions, the highest first.

    Two solutions are one if they give each unit the same likelihood, whatever the order of their components.
    """
    pool = draw_pool(source, np.random.default_rng(0), POOL_ROWS, cut=True)
    groups: list[tuple[FloatArray, list[EMResult]]] = []
    for result in sorted(results, key=lambda result: -result.objective):
        units = result.model.unit_log_likelihoods(result.parameters, pool)
        for known, group in groups:
            if np.sqrt(np.mean((known - units) ** 2)) <= alike:
                group.append(result)
                break
        else:
            groups.append((units, [result]))
    return [group for _, group in groups]


def map_of(groups: Sequence[Sequence[EMResult]], abandoned: int) -> MapOfMaxima:
    """What the groups of results say."""
    maxima = [
        Maximum(
            objective=group[0].objective,
            log_likelihood=group[0].log_likelihood,
            parameters=group[0].parameters,
            found=len(group),
            converged=group[0].converged,
            certificate=group[0].certificate,
        )
        for group in groups
    ]
    return MapOfMaxima(tuple(maxima), sum(map(len, groups)) + abandoned, abandoned)


def charted(best: EMResult, results: Sequence[EMResult], source: Source) -> EMResult:
    """The best of some results with the map of where all of them ended; as it is if there is one only."""
    return best if len(results) < 2 else replace(best, maxima=map_of(distinct(results, source), 0))


def best_of_starts(
    begin: Begin,
    go_on: GoOn | None,
    starts: int,
    source: Source,
    certified: Callable[[EMResult], EMResult] | None,
) -> EMResult:
    """The highest of the ends of several starts, with the map of them; as many starts again if it was found only once.

    Parameters
    ----------
    begin, go_on, starts
        See `race`.
    source : Source
    certified : callable, optional
        What brings one result of each group to a maximum, with its certificate.
    """
    results, abandoned = race(begin, go_on, starts, source)
    if starts == 1:
        return results[0] if certified is None else certified(results[0])
    groups = distinct(results, source)
    if len(groups[0]) == 1 and not any(map(was_stopped, results)):
        more, more_abandoned = race(begin, go_on, starts, source, first=starts)
        abandoned += more_abandoned
        groups = distinct([*results, *more], source)
    if certified is not None:
        ends = [[certified(group[0]), *group[1:]] for group in groups]
        groups = sorted(ends, key=lambda group: -group[0].objective)
    found = map_of(groups, abandoned)
    best = groups[0][0]
    told = () if found.replicated else (_not_replicated(found),)
    return replace(best, maxima=found, findings=(*best.findings, *told))


def _not_replicated(found: MapOfMaxima) -> Finding:
    return Finding(
        "not-replicated",
        f"the best of {found.starts} starts was found once only: a higher maximum may have been missed; raise n_init",
    )
