"""Anderson acceleration with damping and restarts (DAAREM: Henderson and Varadhan 2019, Journal of Computational and
Graphical Statistics 28, 834-846; Anderson 1965; Walker and Ni 2011)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial


@dataclass(frozen=True)
class AndersonState:
    """The last points θ (m, d) and their EM steps M(θ) - θ (m, d), oldest first; the trust in proposals."""

    points: FloatArray
    steps: FloatArray
    trust: int = 0


@dataclass(frozen=True)
class Anderson(Acceleration):
    """From the last points θᵢ with EM steps fᵢ = M(θᵢ) - θᵢ, propose

        θ + f - (ΔX + ΔF) γ,    γ = argmin ‖f - ΔF γ‖² + λ ‖γ‖².

    ΔX and ΔF are differences of successive points and steps.  That is the secant method in the directions seen so far:
    where few directions are slow, it learns the rate of each, while squared extrapolation knows one rate at a time.

    Damping: λ is such that ‖γ‖² is the share δ = 1 / (1 + base^(threshold - trust)) of what it is without, and trust
    grows with every proposal that is accepted (section 3.2 of the paper).  Restarts: a full memory is emptied, and so
    is one whose proposal was rejected, which also costs trust.

    Attributes
    ----------
    memory : int
        Differences remembered, at most; never more than half the dimension and one.
    base, threshold : float
        How fast trust is gained, and how much of it undoes half of the damping; the paper has 1.2 and 25.
    """

    memory: int = 10
    base: float = 1.2
    threshold: float = 0.0

    def init(self, theta: FloatArray) -> AndersonState:
        return AndersonState(np.empty((0, len(theta))), np.empty((0, len(theta))))

    def describe(self, state: AndersonState) -> str:
        return f"Anderson acceleration, memory {self.memory}"

    def propose(self, trial: Trial, state: AndersonState) -> tuple[FloatArray | None, AndersonState]:
        step = trial.em_theta - trial.theta
        most = min(self.memory, len(step) // 2 + 1)
        full = len(state.points) > most or not trial.accepted
        keep = slice(-1, None) if full and trial.accepted else slice(0, 0) if full else slice(None)
        points = np.concatenate([state.points[keep], trial.theta[None]])
        steps = np.concatenate([state.steps[keep], step[None]])
        trust = state.trust + 1 if trial.accepted else max(state.trust - most, -50)
        state = AndersonState(points, steps, trust)
        by_point, by_step = np.diff(points, axis=0), np.diff(steps, axis=0)
        if len(by_step) == 0 or not by_step.any():
            return None, state
        return trial.em_theta - self._weights(by_step, step, trust) @ (by_point + by_step), state

    def _weights(self, by_step: FloatArray, step: FloatArray, trust: int) -> FloatArray:
        """γ (m,), damped; by the singular values of ΔF with its rows scaled to one length."""
        unit = np.maximum(np.linalg.norm(by_step, axis=1), np.finfo(float).tiny)
        left, sizes, right = np.linalg.svd(by_step / unit[:, None], full_matrices=False)
        kept = sizes > 1e-7 * sizes[0]
        left, sizes, along = left[:, kept], sizes[kept], (right @ step)[kept]
        share = 1 / (1 + self.base ** (self.threshold - trust))
        damping = _damping(sizes, along, share)
        return np.asarray(left @ (sizes * along / (sizes**2 + damping)) / unit)


def _damping(sizes: FloatArray, along: FloatArray, share: float) -> float:
    """λ with ‖γ(λ)‖² = share · ‖γ(0)‖², by bisection of its logarithm."""
    target = share * float(np.sum((along / sizes) ** 2))
    low, high = -40.0, 40.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(np.sum((sizes * along / (sizes**2 + np.exp(middle))) ** 2)) > target:
            low = middle
        else:
            high = middle
    return float(np.exp(high))
