"""Profile-likelihood intervals: where the objective, maximized over all else, has fallen by half a quantile of χ²₁."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..errors import LatentemError
from . import natural
from .examined import Examination
from .intervals import Scale
from .secants import updated

# Of the objective, in which a difference of 1 is one of about one standard error's square: how exact its maxima are.
EXACT = 1e-9
MOST_STEPS, MOST_VALUES = 40, 16
# An end is sought no further than so many times the distance at which curvature expects it.
FURTHEST = 12.0
STEP = 1e-4


@dataclass
class _State:
    """A point with s fixed, where the objective is about as large as it can be, and what is known of its curvature."""

    a: FloatArray
    objective: float
    slope: FloatArray
    curvature: FloatArray
    multiplier: float = 0.0


@dataclass(frozen=True)
class Profile:
    """The objective as a function of one entry alone, max { ℓ(θ) : entry(θ) = x }.

    Attributes
    ----------
    case : Examination
    entry : int
    scale : Scale
        On which the entry is moved, so that it never leaves its range.
    """

    case: Examination
    entry: int
    scale: Scale

    @property
    def across(self) -> FloatArray:
        """(d, c): directions with curvature, in which that of the complete data is 1."""
        spectrum = self.case.spectrum
        return np.asarray(self.case.moves @ spectrum.vectors[:, spectrum.curvatures > spectrum.error])

    @property
    def start(self) -> _State:
        spectrum, point = self.case.spectrum, self.case.point
        curvatures = spectrum.curvatures[spectrum.curvatures > spectrum.error]
        return _State(np.zeros(len(curvatures)), point.objective, self.across.T @ point.score, np.diag(curvatures))

    def end(self, z: float, sense: float) -> float | None:
        """Where √(2 (ℓ̂ - ℓ)) = z on one side (sense 1 or -1); None where it was not found."""
        state, middle = self.start, self._s(self.start.a)
        top = state.objective
        slope = self._slope(state.a)
        expected = z * float(np.sqrt(slope @ np.linalg.solve(state.curvature, slope)))
        length = expected
        for _ in range(MOST_VALUES):
            found = self._constrained(state, middle + sense * length)
            if found is None:
                return None
            state = found
            depth = float(np.sqrt(max(2 * (top - state.objective), 0.0)))
            if abs(depth - z) <= 1e-7 * z:
                return self.scale.back(middle + sense * length)
            rise = -sense * state.multiplier / depth if depth > 0 else 0.0
            step = (z - depth) / rise if rise > 0 else length
            length = float(np.clip(length + step, 0.5 * length, 2 * length))
            if length > FURTHEST * expected:
                return None
        return None

    def along(self, values: FloatArray) -> FloatArray:
        """The objective at values of the entry that lead away from the estimate; NaN from where it was not found on."""
        found, state = np.full(len(values), np.nan), self.start
        for i, x in enumerate(values):
            there = self._constrained(state, self.scale.to(float(x)))
            if there is None:
                break
            found[i], state = there.objective, there
        return found

    def _vector(self, a: FloatArray) -> FloatArray:
        return np.asarray(self.case.point.vector + self.across @ a)

    def _s(self, a: FloatArray) -> float:
        parameters = self.case.surface.template.unflatten(self._vector(a))
        return self.scale.to(float(natural.entries(parameters)[self.entry]))

    def _slope(self, a: FloatArray) -> FloatArray:
        """∂s / ∂a (c,), by central differences."""
        return np.array([(self._s(a + one) - self._s(a - one)) / (2 * STEP) for one in STEP * np.eye(len(a))])

    def _constrained(self, state: _State, s: float) -> _State | None:
        """The largest objective where the entry has the value s, from a state nearby: sequential quadratic steps."""
        a, slope, curvature = state.a, state.slope, state.curvature
        objective = state.objective
        normal = self._slope(a)
        for _ in range(MOST_STEPS):
            lack = s - self._s(a)
            step, multiplier = _quadratic(curvature, slope, normal, lack)
            if not np.all(np.isfinite(step)):  # the entry no longer moves
                return None
            across = slope - multiplier * normal
            left = 0.5 * float(across @ np.linalg.solve(curvature, across))
            if left <= EXACT and abs(lack) <= 1e-9 * max(1.0, abs(s)):
                return _State(a, objective, slope, curvature, multiplier)
            taken = self._take(a, step)
            if taken is None:
                return None
            there, objective, slope_there = taken
            normal_there = self._slope(there)
            change = (slope_there - multiplier * normal_there) - (slope - multiplier * normal)
            curvature = updated(curvature, there - a, -change)
            a, slope, normal = there, slope_there, normal_there
        return None

    def _take(self, a: FloatArray, step: FloatArray) -> tuple[FloatArray, float, FloatArray] | None:
        """The point a step further, or on the way where the model cannot be evaluated there."""
        for halving in range(6):
            there = a + step * 0.5**halving
            vector = self._vector(there)
            if not self.case.surface.admits(vector):
                continue
            try:
                objective, score = self.case.surface.look(vector)
            except (LatentemError, ArithmeticError, ValueError):
                continue
            if np.isfinite(objective) and np.all(np.isfinite(score)):
                return there, objective, self.across.T @ score
        return None


def _quadratic(
    curvature: FloatArray, slope: FloatArray, normal: FloatArray, lack: float
) -> tuple[FloatArray, float]:
    """The p with normalᵀ p = lack that maximizes slopeᵀ p - ½ pᵀ C p, and its multiplier."""
    free, bent = np.linalg.solve(curvature, np.stack([slope, normal], axis=1)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        multiplier = float((normal @ free - lack) / (normal @ bent))
        return free - multiplier * bent, multiplier
