"""SQUAREM: squared extrapolation (Varadhan and Roland 2008, Scandinavian Journal of Statistics 35, 335-353)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial
from ..errors import ParameterError


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
    """From θ₀, θ₁ = M(θ₀), θ₂ = M(θ₁), with r = θ₁ - θ₀ and v = (θ₂ - θ₁) - r, propose θ₀ + 2ar + a²v.

    The step length a is -r·v / v·v, -r·r / r·v, or ‖r‖ / ‖v‖ (the paper's schemes 1 to 3, where α = -a).  It is at
    least 1 (the EM point) and at most a bound, which grows where a step at the bound was accepted and shrinks where a
    proposal was rejected.

    Attributes
    ----------
    scheme : {1, 2, 3}
        Which step length.
    step_max : float
        The first bound.
    growth : float
        Factor by which the bound grows and shrinks.
    """

    scheme: int = 3
    step_max: float = 4.0
    growth: float = 4.0

    def __post_init__(self) -> None:
        if self.scheme not in (1, 2, 3):
            raise ParameterError(f"the schemes of SQUAREM are 1, 2 and 3, got {self.scheme!r}")

    def init(self, theta: FloatArray) -> SquaremState:
        return SquaremState(None, None, self.step_max)

    def describe(self, state: SquaremState) -> str:
        return f"SQUAREM, step length {self.scheme}"

    def propose(self, trial: Trial, state: SquaremState) -> tuple[FloatArray | None, SquaremState]:
        if state.origin is None or state.first is None or not np.array_equal(trial.theta, state.first):
            bound = self._next_bound(trial.accepted, state)
            return None, SquaremState(trial.theta, trial.em_theta, bound)
        r = trial.theta - state.origin
        v = (trial.em_theta - trial.theta) - r
        step = min(max(self._length(r, v), 1.0), state.step_max)
        proposal = state.origin + 2 * step * r + step**2 * v
        return (
            proposal if step > 1 else None,
            SquaremState(None, None, state.step_max, at_bound=step == state.step_max),
        )

    def _length(self, r: FloatArray, v: FloatArray) -> float:
        rr, rv, vv = float(r @ r), -float(r @ v), float(v @ v)
        if self.scheme == 3:
            return float(np.sqrt(rr / vv)) if vv > 0 else 1.0
        if rv <= 0:
            return 1.0
        return rv / vv if self.scheme == 1 else rr / rv

    def _next_bound(self, accepted: bool, state: SquaremState) -> float:
        if not accepted:
            return max(self.step_max, state.step_max / self.growth)
        return state.step_max * self.growth if state.at_bound else state.step_max
