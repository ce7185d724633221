"""Deterministic annealing EM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..errors import ParameterError
from ..model import ModelParameters
from ..result import EMResult
from ..statistics import Expectation
from .around import Drawn, Tempered
from .base import EStep, Task, demand_whole, was_stopped


@dataclass(frozen=True)
class Annealing(EStep):
    """Deterministic annealing: posteriors p(z | x; θ)^β with β rising to 1, then plain EM (Ueda and Nakano 1998).

    For each β EM ascends F_β(θ) = Σ 1/β log Σ_z p(x, z; θ)^β.  While β is small F_β has few maxima; as it rises they
    split, and the fit follows one of them.  The likelihood that is reached depends little on the start, but nothing
    makes it the highest one.  What is returned is the fit by EM at β = 1, with its status, `tol` and history.

    Attributes
    ----------
    start : float
        The first β, 0 < β < 1.
    growth : float
        The factor from one β to the next.
    passes : int
        Iterations for each β, at most.
    shake : float
        Share that a draw of the states has in the statistics between two β.  Where components coincide, as they do
        while β is small, nothing else would let them part.

    Raises
    ------
    ParameterError
        An option outside its range; a latent without states, or without tempered posterior (`SemiMarkovChain`).
    """

    start: float = 0.1
    growth: float = 1.25
    passes: int = 20
    shake: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.start < 1:
            raise ParameterError(f"start must lie between 0 and 1, got {self.start!r}")
        if not self.growth > 1:
            raise ParameterError(f"growth must be above 1, got {self.growth!r}")
        if not 0 <= self.shake < 1:
            raise ParameterError(f"shake must be at least 0 and below 1, got {self.shake!r}")
        demand_whole("passes", self.passes, 1)

    @property
    def betas(self) -> tuple[float, ...]:
        """β of each stage; the last one is below 1."""
        found = [self.start]
        while found[-1] * self.growth < 1:
            found.append(found[-1] * self.growth)
        return tuple(found)

    def fit(self, task: Task) -> EMResult:
        """Stages of EM with tempered posteriors, then plain EM."""
        theta, passes = task.start, 0
        for stage, beta in enumerate(self.betas):
            tempered = task.with_latent(Tempered(task.model.latent, beta))
            found = task.climb(tempered, theta, min(self.passes, max(0, task.max_iter - passes)))
            theta, passes = found.parameters, passes + found.n_iter
            if was_stopped(found.status):
                return task.ended(theta, passes, "annealing", found.status)
            if passes >= task.max_iter:
                break
            if self.shake:
                theta, passes = self._shaken(task, theta, found.expectation, stage), passes + 1
        return task.finish(theta, passes, "annealing")

    def _shaken(self, task: Task, theta: ModelParameters, tempered: Expectation, stage: int) -> ModelParameters:
        """An M-step for the posterior mixed with a draw from it."""
        drawn = task.with_latent(Drawn(task.model.latent, task.seed, stage))
        draw = task.executor.fold(partial(drawn.e_step, theta), task.source)
        mixed = tempered.statistics * (1 - self.shake) + draw.statistics * self.shake
        return task.model.m_step(mixed, theta)
