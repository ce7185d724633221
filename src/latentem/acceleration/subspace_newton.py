"""Newton's method on the plane of the last steps, and an EM step from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial
from ..secants import Plane, Secants


@dataclass(frozen=True)
class SubspaceNewtonState:
    """The points seen; how many EM steps a proposal may be longer than one; and what the last proposal promised."""

    secants: Secants
    reach: float
    length: float = 0.0
    promised: float = nan
    objective: float = nan
    shortened: bool = False


@dataclass(frozen=True)
class SubspaceNewton(Acceleration):
    """Propose θ + u ΔX and an EM step from there, where u maximizes the objective over the last steps ΔX.

    With scores s and EM steps f = M(θ) - θ at the last points, and their differences ΔS and ΔF,

        u = -(ΔX ΔSᵀ)⁻¹ ΔX s,    θ' = θ + f + u (ΔX + ΔF).

    On a quadratic this is the method of conjugate gradients in EM's own metric (Jamshidian and Jennrich 1993, Journal
    of the American Statistical Association 88) with neither line search nor loss of orthogonality: d directions end it.
    Both of its parts ascend, while the least squares of Anderson's need not.  The score comes with the E-step, so it
    costs no pass over the data.

    u is shortened to a reach, in lengths of the EM step.  Reach and trust follow from what the last proposal promised
    and brought, as in trust region methods.  Where the curvature along the newest step is positive (near a saddle
    point), the EM step is lengthened instead.

    Attributes
    ----------
    memory : int
        Steps remembered.
    reach : float
        How much longer than an EM step a proposal may be at first.
    growth : float
        Factor by which the reach grows where a proposal was shortened and kept its promise, and shrinks after one that
        lowered the objective.
    """

    memory: int = 10
    reach: float = 4.0
    growth: float = 4.0

    def init(self, theta: FloatArray) -> SubspaceNewtonState:
        return SubspaceNewtonState(Secants.none(len(theta)), self.reach)

    def describe(self, state: SubspaceNewtonState) -> str:
        return f"Newton's method on the plane of the last {self.memory} steps"

    def propose(
        self, trial: Trial, state: SubspaceNewtonState
    ) -> tuple[FloatArray | None, SubspaceNewtonState]:
        secants = state.secants if trial.accepted else state.secants.last(len(state.secants) // 2)
        secants = secants.seen(trial.theta, trial.em_theta - trial.theta, trial.score(), self.memory)
        state = SubspaceNewtonState(secants, self._next_reach(trial, state), objective=trial.objective)
        if len(secants) < 2:
            return None, state
        return self._lengthened(trial, state) if secants.plane is None else self._newton(trial, state, secants.plane)

    def _newton(
        self, trial: Trial, state: SubspaceNewtonState, plane: Plane
    ) -> tuple[FloatArray | None, SubspaceNewtonState]:
        jump = plane.moves + plane.steps
        size, unit = float(np.linalg.norm(plane.newton @ jump)), float(np.linalg.norm(plane.step))
        share = min(1.0, state.reach * unit / size) if size > 0 else 1.0
        u = share * plane.newton
        promised = plane.gain(u)
        if not promised > 0:
            return None, state
        told = replace(state, length=share * size / unit, promised=promised, shortened=share < 1)
        return trial.em_theta + u @ jump, told

    def _lengthened(
        self, trial: Trial, state: SubspaceNewtonState
    ) -> tuple[FloatArray | None, SubspaceNewtonState]:
        slope = state.secants.slope
        if not slope > 0:
            return None, state
        told = replace(state, length=state.reach, promised=(1 + state.reach) * slope, shortened=True)
        return trial.em_theta + state.reach * (trial.em_theta - trial.theta), told

    def _next_reach(self, trial: Trial, state: SubspaceNewtonState) -> float:
        least = 1 / self.growth
        if not trial.accepted:
            return max(least, min(state.reach, state.length) / self.growth)
        kept = (trial.objective - state.objective) / state.promised
        if kept < 1 / 4:
            return max(least, min(state.reach, state.length) / 2)
        return state.reach * self.growth if state.shortened and kept > 1 / 2 else state.reach
