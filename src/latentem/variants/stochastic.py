"""Stochastic EM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import nan
from typing import Any

from ..em import consume
from ..model import ModelParameters
from ..result import EMResult, Finding, Iteration, Status, Step
from .around import Drawn
from .base import EStep, Task, demand_whole, was_stopped

TOLD = "the states are drawn, and the parameters are the mean of those after {draws} draws: another random_state gives "
TOLD += "slightly other numbers, and no objective was maximized"


@dataclass(frozen=True)
class Stochastic(EStep):
    """Stochastic EM: the E-step takes a draw of the states for certain (Celeux and Diebolt 1985).

    θₜ is a Markov chain that ascends nothing: it wanders around maxima of the likelihood, and leaves small ones.  What
    is returned is the mean of the θₜ after the burn-in (of their arrays), within O(1/n) of the maximum where the chain
    stays near one.  Where components change their places on the way, the mean is of no use.

    Attributes
    ----------
    burn_in : int
        Iterations before the mean.
    draws : int
        Iterations of which the mean is taken; at least 1.
    then_em : bool
        Whether plain EM goes on from the mean.

    Raises
    ------
    ParameterError
        An option outside its range; a latent without states, or without draws of them (`SemiMarkovChain`).
    """

    burn_in: int = 50
    draws: int = 100
    then_em: bool = False

    def __post_init__(self) -> None:
        demand_whole("burn_in", self.burn_in, 0)
        demand_whole("draws", self.draws, 1)

    def fit(self, task: Task) -> EMResult:
        """The chain, then its mean; then plain EM, if that is wanted."""
        wanted = self.burn_in + self.draws

        def decide(iteration: Iteration) -> Status | None:
            return Status.DRAWN if iteration.index >= wanted else None

        last, status, history = consume(self._chain(task), decide, task.max_iter, task.callbacks)
        mean: Any = last.em_parameters
        if self.then_em and not was_stopped(status):
            return task.finish(mean, last.index, "stochastic EM")
        found = task.ended(mean, last.index, "stochastic EM", status)
        drawn = Finding("drawn", TOLD.format(draws=max(1, last.index - self.burn_in)))
        return replace(found, history=history, remaining_gain=nan, findings=(*found.findings, drawn))

    def _chain(self, task: Task) -> Iterator[Iteration]:
        """`parameters` is θ, of which the objective is told, `em_parameters` the mean of what followed so far."""
        theta: Any = task.model.conform(task.start)
        mean = theta
        for index in count():
            drawn = task.with_latent(Drawn(task.model.latent, task.seed, index))
            found = task.executor.fold(partial(drawn.e_step, theta), task.source)
            yield Iteration(
                index=index,
                parameters=theta,
                em_parameters=mean,
                objective=found.log_likelihood + task.model.log_prior(theta),
                log_likelihood=found.log_likelihood,
                rounding=found.rounding,
                step=Step.STOCHASTIC if index else Step.START,
                gain=nan,
                gains=(),
                expectation=found,
            )
            theta = task.model.m_step(found.statistics, theta)
            mean = self._mean(task, mean, theta, index + 1)

    def _mean(self, task: Task, mean: ModelParameters, theta: ModelParameters, index: int) -> ModelParameters:
        kept = index - self.burn_in
        return theta if kept <= 1 else task.model.conform(mean.blend(theta, 1 / kept))
