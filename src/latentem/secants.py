"""What the last points tell of an objective and of EM's map near them: curvature along the moves, and EM's rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._typing import FloatArray

# Directions whose curvature the earlier ones explain but for this share tell nothing of their own.
INDEPENDENT = 1e-8


@dataclass(frozen=True)
class Plane:
    """Directions seen, newest first, each of curvature one.

    Near a maximum with observed information I and complete information C, EM's step is f = C⁻¹ s for the score s, so a
    move ΔX changes scores by ΔS = -ΔX I and steps by ΔF = -ΔX I C⁻¹ (rows are moves).

    Attributes
    ----------
    moves, scores, steps : (m, d)
        ΔX, ΔS and ΔF.
    curvature : (m, m)
        A = -ΔX ΔSᵀ, positive definite with a diagonal of ones.
    score, step : (d,)
        s and f at the newest point.
    """

    moves: FloatArray
    scores: FloatArray
    steps: FloatArray
    curvature: FloatArray
    score: FloatArray
    step: FloatArray

    @cached_property
    def newton(self) -> FloatArray:
        """(m,): u = A⁻¹ ΔX s, so that θ + u ΔX is the maximum over the plane."""
        return np.asarray(np.linalg.solve(self.curvature, self.moves @ self.score), dtype=float)

    def after(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Score and EM step at θ + u ΔX."""
        return self.score + u @ self.scores, self.step + u @ self.steps

    def gain(self, u: FloatArray) -> float:
        """By how much θ + u ΔX and an EM step from there raise the objective: u·ΔX s - ½ u·A u + ½ s'·f'."""
        score, step = self.after(u)
        return float(u @ (self.moves @ self.score) - u @ self.curvature @ u / 2 + score @ step / 2)

    @cached_property
    def rate(self) -> float:
        """λ = 1 - μ, with μ the smallest eigenvalue of C⁻¹ I on the plane: ΔS ΔFᵀ v = μ A v (Rayleigh and Ritz)."""
        squared = self.scores @ self.steps.T
        root = np.linalg.cholesky(self.curvature)
        half = np.linalg.solve(root, (squared + squared.T) / 2)
        return 1.0 - float(np.linalg.eigvalsh(np.linalg.solve(root, half.T))[0])

    def remaining(self, slowest: float) -> float:
        """½ s·I⁻¹ s, what is left to the maximum: exact on the plane, at most ½ s'·f' / μ beside it, s' and f' being
        those at the maximum over the plane.  1 - μ is the plane's rate, or `slowest` where that is less."""
        score, step = self.after(self.newton)
        within = float(self.newton @ (self.moves @ self.score)) / 2
        return within + abs(float(score @ step)) / 2 / max(1.0 - self.rate, 1.0 - slowest)


@dataclass(frozen=True)
class Secants:
    """The last points θ (m, d), with their EM steps M(θ) - θ (m, d) and scores (m, d), oldest first."""

    points: FloatArray
    steps: FloatArray
    scores: FloatArray

    @classmethod
    def none(cls, size: int) -> Secants:
        return cls(*(np.empty((0, size)) for _ in range(3)))

    def __len__(self) -> int:
        return len(self.points)

    def last(self, n: int) -> Secants:
        """The newest n."""
        first = max(len(self) - n, 0)
        return Secants(self.points[first:], self.steps[first:], self.scores[first:])

    def seen(self, point: FloatArray, step: FloatArray, score: FloatArray, memory: int) -> Secants:
        """One more point, and `memory` before it at most.

        A coordinate in which EM does not move at all is held by a bound: its score is no slope that could be climbed.
        """
        free = np.isfinite(point) & np.isfinite(step) & np.isfinite(score) & (step != 0)
        told = (np.where(np.isfinite(point), point, 0.0), np.where(free, step, 0.0), np.where(free, score, 0.0))
        known = (self.points, self.steps, self.scores)
        if len(self) and np.array_equal(self.points[-1], told[0]):
            known = (self.points[:-1], self.steps[:-1], self.scores[:-1])
        return Secants(*(np.vstack([rows, row])[-memory - 1 :] for rows, row in zip(known, told, strict=True)))

    @cached_property
    def slopes(self) -> FloatArray:
        """(m,): ½ s·f, about the gain of one EM step from each point, and less than what was left there."""
        return np.asarray(np.einsum("md,md->m", self.scores, self.steps)) / 2

    @property
    def slope(self) -> float:
        """½ s·f at the newest point."""
        return float(self.slopes[-1])

    @cached_property
    def plane(self) -> Plane | None:
        """The newest directions, as many as are independent and of negative curvature; None if the newest is not."""
        if len(self) < 2:
            return None
        moves, scores, steps = (np.diff(rows, axis=0)[::-1] for rows in (self.points, self.scores, self.steps))
        curvature = -moves @ scores.T
        curvature = (curvature + curvature.T) / 2
        scale = np.sqrt(np.maximum(np.diagonal(curvature), 0.0))
        m = int(np.argmin(np.append(scale > 0, False)))
        m = _independent(curvature[:m, :m] / np.outer(scale[:m], scale[:m]))
        if m == 0:
            return None
        unit = scale[:m, None]
        moves, scores, steps = (rows[:m] / unit for rows in (moves, scores, steps))
        return Plane(moves, scores, steps, curvature[:m, :m] / (unit * unit.T), self.scores[-1], self.steps[-1])


def _independent(matrix: FloatArray) -> int:
    """How many leading rows of a matrix with a diagonal of ones have a Cholesky factor far from singular."""
    for m in range(len(matrix), 0, -1):
        try:
            pivots = np.diagonal(np.linalg.cholesky(matrix[:m, :m]))
        except np.linalg.LinAlgError:
            continue
        if pivots[-1] ** 2 >= INDEPENDENT and np.min(pivots) ** 2 >= INDEPENDENT:
            return m
    return 0
