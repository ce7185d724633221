"""SQUAREM: squared extrapolation (Varadhan and Roland 2008, Scandinavian Journal of Statistics 35, scheme S3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial


@dataclass(frozen=True)
class SquaremState:
    """θ₀ and θ₁ = M(θ₀) of the current cycle, or None between cycles; the bound on the step; whether the last step was
    at it."""

    origin: FloatArray | None
    first: FloatArray | None
    step_max: float
    at_bound: bool = False


@dataclass(frozen=True)
class Squarem(Acceleration):
    """From θ₀, θ₁ = M(θ₀), θ₂ = M(θ₁), with r = θ₁ - θ₀ and v = (θ₂ - θ₁) - r, propose θ₀ - 2αr + α²v.

    α = -‖r‖/‖v‖, at most -1 (the EM point) and at least -`step_max`, a bound that grows fourfold when a step at the
    bound is accepted and shrinks when a proposal is rejected.

    Attributes
    ----------
    step_max : float
        The first bound.
    growth : float
        Factor by which the bound grows and shrinks.
    """

    step_max: float = 4.0
    growth: float = 4.0

    def init(self, theta: FloatArray) -> SquaremState:
        return SquaremState(None, None, self.step_max)

    def propose(self, trial: Trial, state: SquaremState) -> tuple[FloatArray | None, SquaremState]:
        if state.origin is None or state.first is None or not np.array_equal(trial.theta, state.first):
            bound = self._next_bound(trial.accepted, state)
            return None, SquaremState(trial.theta, trial.em_theta, bound)
        r = trial.theta - state.origin
        v = (trial.em_theta - trial.theta) - r
        size = float(np.linalg.norm(v))
        length = float(np.linalg.norm(r)) / size if size > 0 else 1.0
        step = min(max(length, 1.0), state.step_max)
        proposal = state.origin + 2 * step * r + step**2 * v
        return (
            proposal if step > 1 else None,
            SquaremState(None, None, state.step_max, at_bound=step == state.step_max),
        )

    def _next_bound(self, accepted: bool, state: SquaremState) -> float:
        if not accepted:
            return max(self.step_max, state.step_max / self.growth)
        return state.step_max * self.growth if state.at_bound else state.step_max
