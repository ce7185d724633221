"""Parabolic EM (Berlinet and Roland 2009, Statistics and Computing 19, 35-47; geometric search)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial


@dataclass(frozen=True)
class ParabolicState:
    """Control points of the parabola, as far as they are known; which of its points was proposed last, and where the
    next search begins; the objective before that point, and what the point before it gained."""

    origin: FloatArray | None = None
    first: FloatArray | None = None
    second: FloatArray | None = None
    exponent: int = 0
    begin: int = 0
    objective: float = -inf
    gain: float = 0.0


@dataclass(frozen=True)
class Parabolic(Acceleration):
    """Climb the parabola through θ₀, with control points θ₁ = M(θ₀) and θ₂ = M(θ₁),

        P(t) = (1 - t)² θ₀ + 2 t (1 - t) θ₁ + t² θ₂,    t = 1 + step · growthⁱ,  i = 0, 1, 2, …,

    while the objective rises by more each time; then take EM steps and begin again.  P(1) is θ₂.  A search begins a
    power below where the last one ended, since the parabola is about as long.

    Attributes
    ----------
    step, growth : float
        The paper's h and a.
    """

    step: float = 1.0
    growth: float = 3.0

    def init(self, theta: FloatArray) -> ParabolicState:
        return ParabolicState()

    def describe(self, state: ParabolicState) -> str:
        return "parabolic EM"

    def propose(self, trial: Trial, state: ParabolicState) -> tuple[FloatArray | None, ParabolicState]:
        if state.second is not None:
            gain = trial.objective - state.objective
            if trial.accepted and gain > state.gain:
                return self._further(trial, replace(state, exponent=state.exponent + 1, gain=gain))
            state = ParabolicState(begin=max(0, state.exponent - 1))
        if state.origin is None or state.first is None or not np.array_equal(trial.theta, state.first):
            return None, ParabolicState(trial.theta, trial.em_theta, begin=state.begin)
        return self._further(trial, replace(state, second=trial.em_theta, exponent=state.begin))

    def _further(self, trial: Trial, state: ParabolicState) -> tuple[FloatArray, ParabolicState]:
        assert state.origin is not None and state.first is not None and state.second is not None
        t = 1 + self.step * self.growth**state.exponent
        r = state.first - state.origin
        proposal = state.origin + 2 * t * r + t**2 * (state.second - state.first - r)
        return proposal, replace(state, objective=trial.objective)
