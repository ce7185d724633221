"""Quasi-Newton acceleration of a fixed point map (Zhou, Alexander and Lange 2011, Statistics and Computing 21)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial


@dataclass(frozen=True)
class QuasiNewtonState:
    """The last points θ (m, d) and their EM steps M(θ) - θ (m, d), oldest first; the bound on the step."""

    points: FloatArray
    steps: FloatArray
    reach: float
    shortened: bool = False


@dataclass(frozen=True)
class QuasiNewton(Acceleration):
    """Newton's method for M(θ) - θ = 0 with M' ≈ V (UᵀU)⁻¹ Uᵀ, from q secants U = ΔΘ, V = ΔM(Θ):

        θ' = M(θ) + V (UᵀU - UᵀV)⁻¹ Uᵀ (M(θ) - θ)            (equation 7 of the paper).

    The paper takes each secant from two EM steps in a row; here every step gives one, so an iteration is one pass.  A
    linear map in d dimensions is solved after d secants.

    Attributes
    ----------
    secants : int
        q, at most.
    reach : float
        How many EM steps long the extrapolation may be at first; it grows fourfold where it was reached.
    """

    secants: int = 10
    reach: float = 16.0

    def init(self, theta: FloatArray) -> QuasiNewtonState:
        return QuasiNewtonState(np.empty((0, len(theta))), np.empty((0, len(theta))), self.reach)

    def describe(self, state: QuasiNewtonState) -> str:
        return f"quasi-Newton, up to {self.secants} secants"

    def propose(self, trial: Trial, state: QuasiNewtonState) -> tuple[FloatArray | None, QuasiNewtonState]:
        step = trial.em_theta - trial.theta
        keep = slice(-self.secants, None) if trial.accepted else slice(-1, None)
        points = np.concatenate([state.points[keep], trial.theta[None]])
        steps = np.concatenate([state.steps[keep], step[None]])
        state = QuasiNewtonState(points, steps, self._next_reach(trial, state))
        if not trial.accepted or len(points) < 2:
            return None, state
        return self._proposal(trial, state)

    def _proposal(self, trial: Trial, state: QuasiNewtonState) -> tuple[FloatArray | None, QuasiNewtonState]:
        u, step = np.diff(state.points, axis=0), state.steps[-1]
        v = u + np.diff(state.steps, axis=0)
        unit = np.linalg.norm(u, axis=1, keepdims=True)
        if not np.all(unit > 0):
            return None, QuasiNewtonState(state.points[-1:], state.steps[-1:], state.reach)
        u, v = u / unit, v / unit
        jump = np.linalg.lstsq(u @ u.T - u @ v.T, u @ step, rcond=1e-10)[0] @ v
        size, most = float(np.linalg.norm(jump)), state.reach * float(np.linalg.norm(step))
        shortened = size > most
        jump = jump * (most / size) if shortened else jump
        return trial.em_theta + jump, QuasiNewtonState(state.points, state.steps, state.reach, shortened)

    def _next_reach(self, trial: Trial, state: QuasiNewtonState) -> float:
        if not trial.accepted:
            return max(1.0, state.reach / 4)
        return state.reach * 4 if state.shortened else state.reach
