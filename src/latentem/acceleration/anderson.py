"""Anderson acceleration of EM (Anderson 1965; Walker and Ni 2011; for EM Henderson and Varadhan 2019, DAAREM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial


@dataclass(frozen=True)
class AndersonState:
    """The last points θ (m, d) and their EM steps M(θ) - θ (m, d), oldest first; proposals since the last EM step."""

    points: FloatArray
    steps: FloatArray
    proposed: int = 0


@dataclass(frozen=True)
class Anderson(Acceleration):
    """From the last points θᵢ with EM steps fᵢ = M(θᵢ) - θᵢ, propose θ + f - (ΔX + ΔF) γ, γ = argmin ‖f - ΔF γ‖.

    ΔX and ΔF are differences of successive points and steps.  That is the secant method in the directions seen so far:
    where few directions are slow, it learns the rate of each, while squared extrapolation knows one rate at a time.  A
    proposal that was rejected empties the memory.

    Attributes
    ----------
    memory : int
        Points remembered, at most.
    period : int
        Proposals in a row, after which an EM step is taken: its gain tells how near the limit is.
    ridge : float
        Share of the largest curvature that is added to all in the least squares problem.
    """

    memory: int = 12
    period: int = 4
    ridge: float = 1e-10

    def init(self, theta: FloatArray) -> AndersonState:
        return AndersonState(np.empty((0, len(theta))), np.empty((0, len(theta))))

    def propose(self, trial: Trial, state: AndersonState) -> tuple[FloatArray | None, AndersonState]:
        step = trial.em_theta - trial.theta
        keep = slice(-self.memory + 1, None) if trial.accepted else slice(0, 0)
        points = np.concatenate([state.points[keep], trial.theta[None]])
        steps = np.concatenate([state.steps[keep], step[None]])
        if len(points) < 2 or state.proposed >= self.period:
            return None, AndersonState(points, steps)
        by_point, by_step = np.diff(points, axis=0), np.diff(steps, axis=0)
        gram = by_step @ by_step.T
        scale = np.sqrt(np.diagonal(gram))
        if not np.all(scale > 0):
            return None, AndersonState(points[-1:], steps[-1:])
        gram = gram / np.outer(scale, scale) + self.ridge * len(gram) * np.eye(len(gram))
        weights = np.linalg.lstsq(gram, by_step @ step / scale, rcond=None)[0] / scale
        proposal = trial.em_theta - weights @ (by_point + by_step)
        return proposal, AndersonState(points, steps, state.proposed + 1)
