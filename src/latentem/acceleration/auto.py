"""The acceleration that the measured rate of EM asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial
from ..secants import Secants
from .anderson import Anderson
from .subspace_newton import SubspaceNewton


@dataclass(frozen=True)
class AutoState:
    """What is known, what was chosen (None: plain EM) at which iteration, and how many EM steps come before the next
    proposal."""

    secants: Secants
    iteration: int = 0
    chosen: Acceleration | None = None
    inner: Any = None
    since: int = 0
    rate: float = nan
    pause: int = 0
    rejections: int = 0
    proposed: bool = False


@dataclass(frozen=True)
class Auto(Acceleration):
    """A few EM steps tell EM's rate λ; then plain EM where λ is small, else Newton's method on the plane of the last
    steps (`SubspaceNewton`), or, where the scores are of no use, Anderson acceleration.

    Where proposals are rejected again and again, EM steps come between them: one, two, four, …, so that a model on
    which nothing helps costs few passes more than plain EM.

    Attributes
    ----------
    patience : int
        EM steps before the first choice.
    fast : float
        The rate up to which plain EM is left alone.
    """

    patience: int = 2
    fast: float = 0.3

    def init(self, theta: FloatArray) -> AutoState:
        return AutoState(Secants.none(len(theta)))

    def describe(self, state: AutoState) -> str:
        rate = f"rate {state.rate:.3g}" if state.rate == state.rate else "rate unknown"
        if state.chosen is None:
            return f"plain EM, chosen by auto: {rate}"
        return f"{state.chosen.describe(state.inner)}, chosen by auto after {state.since - 1} EM steps: {rate}"

    def propose(self, trial: Trial, state: AutoState) -> tuple[FloatArray | None, AutoState]:
        state = replace(state, iteration=state.iteration + 1)
        if state.chosen is None:
            state = self._choice(trial, state)
        if state.chosen is None:
            return None, state
        return self._proposal(trial, state, state.chosen)

    def _choice(self, trial: Trial, state: AutoState) -> AutoState:
        score = trial.score()
        state = replace(state, secants=state.secants.seen(trial.theta, trial.em_theta - trial.theta, score, 10))
        if state.iteration <= self.patience:
            return state
        if not (np.all(np.isfinite(score)) and state.secants.slope >= 0):
            return self._with(Anderson(), trial, state)
        plane = state.secants.plane
        rate = nan if plane is None else max(plane.rate, 0.0)
        state = replace(state, rate=rate)
        return state if rate <= self.fast else self._with(SubspaceNewton(), trial, state)

    def _with(self, chosen: Acceleration, trial: Trial, state: AutoState) -> AutoState:
        inner = chosen.init(trial.theta)
        if isinstance(chosen, SubspaceNewton):
            inner = replace(inner, secants=state.secants)
        return replace(state, chosen=chosen, inner=inner, since=state.iteration)

    def _proposal(self, trial: Trial, state: AutoState, chosen: Acceleration) -> tuple[FloatArray | None, AutoState]:
        proposal, inner = chosen.propose(trial, state.inner)
        state = replace(state, inner=inner, rate=_rate(inner, state.rate))
        if state.proposed:
            rejections = 0 if trial.accepted else state.rejections + 1
            state = replace(state, rejections=rejections, pause=2 ** (rejections - 2) if rejections > 1 else 0)
        if state.pause > 0:
            return None, replace(state, inner=_withdrawn(inner), pause=state.pause - 1, proposed=False)
        return proposal, replace(state, proposed=proposal is not None)


def _rate(inner: Any, before: float) -> float:
    plane = getattr(getattr(inner, "secants", None), "plane", None)
    return before if plane is None else max(plane.rate, 0.0)


def _withdrawn(inner: Any) -> Any:
    """The state of a scheme whose proposal is not tried."""
    return replace(inner, promised=nan, shortened=False) if hasattr(inner, "promised") else inner
