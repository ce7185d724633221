"""Incremental EM: the E-step of a part of the data at a time, the M-step after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil, fsum, nan
from typing import Any, cast

import numpy as np

from ..data import Batch
from ..em import RemainingGain, consume
from ..model import LatentVariableModel
from ..result import EMResult, Iteration, Step
from ..statistics import Expectation, moved_like
from ..variants.base import EStep, Task, demand_whole, was_stopped
from .additive import additive
from .parts import Parts, in_parts


@dataclass(frozen=True)
class Incremental(EStep):
    """Incremental EM: statistics are kept for each part of the data, and renewed one by one (Neal and Hinton 1998).

    Every partial E-step, and every M-step, raises the free energy (or leaves it)

        F(q, θ) = E_q[log p(x, z; θ)] + H(q) = Q(θ; S) + Σ_c (log p(x_c; θ_c) - Q(θ_c; S_c)),

    where part c was last seen at θ_c.  It is at most log p(x; θ), and equal to that where EM stands still: both end at
    the same points, incremental EM often after fewer passes, since θ moves many times in each.  Plain EM goes on from
    its end, and finds out whether that is the limit.

    Attributes
    ----------
    parts : int
        Into about how many parts the data are divided; a sequence stays whole.  As many statistics are kept.

    Raises
    ------
    ParameterError
        Statistics that do not add between different θ (`LocalQ`): those of Weibull families and the like.
    """

    parts: int = 20

    def __post_init__(self) -> None:
        demand_whole("parts", self.parts, 1)

    def fit(self, task: Task) -> EMResult:
        """Passes until the gain that remains is within `tol`; then plain EM."""
        model = additive(task.model, "incremental EM")
        parts = in_parts(model, task.source, ceil(task.source.n_rows / self.parts))
        steps = incremental(model, parts, task.start)
        last, status, _ = consume(steps, RemainingGain(task.tol).status, task.max_iter, task.callbacks)
        theta: Any = last.parameters
        if was_stopped(status):
            return task.ended(theta, last.index, "incremental EM", status)
        return task.finish(theta, last.index, "incremental EM")


@dataclass
class Books:
    """What is kept of the m parts.

    Attributes
    ----------
    sums : list of 2 m
        A tree of sums: S_c of part c at m + c, at i the sum of 2 i and 2 i + 1, and at 1 that of all.  To renew a part
        is to add up anew what lies above it, log₂ m sums: S - S_old + S_new would leave rounding errors, and counts
        below zero with them.
    entropies : list of m
        log p(x_c; θ_c) - Q(θ_c; S_c): the entropy of the part's posterior, and what Q leaves out.
    magnitudes : list of m
        The size of the terms.
    """

    sums: list[Any]
    entropies: list[float]
    magnitudes: list[float]

    @classmethod
    def empty(cls, m: int) -> Books:
        return cls([None] * (2 * m), [0.0] * m, [0.0] * m)

    @property
    def total(self) -> Any:
        """S."""
        return self.sums[1]

    def enter(self, c: int, found: Expectation, q: float) -> None:
        """Put new statistics in the place of the part's old ones; `q` is Q of them where they were found."""
        self.entropies[c], self.magnitudes[c] = found.log_likelihood - q, found.magnitude + abs(q)
        place = len(self.entropies) + c
        self.sums[place] = found.statistics
        while place > 1:
            place //= 2
            left, right = self.sums[2 * place], self.sums[2 * place + 1]
            if left is not None and right is not None:
                self.sums[place] = moved_like(left, right) + right


def incremental(model: LatentVariableModel, parts: Parts, start: Any) -> Iterator[Iteration]:
    """Yield passes without end; the objective of each is the free energy F, with the log prior, at its end.

    Parameters
    ----------
    model : LatentVariableModel
        As `additive` gives it.
    parts : Parts
    start : ModelParameters
    """
    theta, books = model.conform(start), Books.empty(len(parts.chunks))
    for c, batch in enumerate(parts):
        _see(model, books, c, batch, theta)
    objective, gains = nan, cast("tuple[float, ...]", ())
    for index in count():
        if index:
            theta = _pass(model, parts, books, theta)
        before, objective = objective, _free_energy(model, books, theta)
        gains = (*gains[-2:], objective - before) if index else ()
        yield Iteration(
            index=index,
            parameters=theta,
            em_parameters=theta,
            objective=objective,
            log_likelihood=nan if index else objective - model.log_prior(theta),
            rounding=float(32 * np.finfo(float).eps * (fsum(books.magnitudes) + abs(objective))),
            step=Step.EM if index else Step.START,
            gain=objective - before,
            gains=gains,
        )


def _see(model: LatentVariableModel, books: Books, c: int, batch: Batch, theta: Any) -> None:
    """The E-step of one part."""
    found = model.e_step(theta, batch)
    books.enter(c, found, model.q_function(theta, found.statistics))


def _pass(model: LatentVariableModel, parts: Parts, books: Books, theta: Any) -> Any:
    """θ after an M-step, and one after the E-step of each part in turn."""
    theta = model.m_step(books.total, theta)
    for c, batch in enumerate(parts):
        _see(model, books, c, batch, theta)
        theta = model.m_step(books.total, theta)
    return theta


def _free_energy(model: LatentVariableModel, books: Books, theta: Any) -> float:
    return model.q_function(theta, books.total) + fsum(books.entropies) + model.log_prior(theta)
