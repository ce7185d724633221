"""ℓ and its lower bound along lines and in planes of the unconstrained parameters.

The bound of iteration t is Q(θ; θₜ) + H(q) with q = p(z | x; θₜ); it touches ℓ at θₜ, where H(q) = ℓ(θₜ) - Q(θₜ; θₜ),
and lies below it elsewhere by KL(q ‖ p(z | x; θ)).  Q comes from the statistics at θₜ, without a pass over the data; ℓ
costs a pass for each point.  Where there is a prior, its logarithm is part of ℓ and of Q.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..inference.bounds import admitted, objective_at
from .trail import Trail, TrailStep

# Along the way from θₜ (0) to θₜ₊₁ (1): both are among the points.
ALONG: FloatArray = np.arange(-9, 28) / 15
POINTS = 25
PLANE = 13
COORDINATES, PLANES, PLANE_STEPS = 8, 3, 5
# How far beyond the way a parameter is followed, in standard deviations under the complete data.
BEYOND = 3.0
# Differences of Q for its curvature are taken over this, at which third-order terms are small and rounding is, too.
STEP = 1e-3


@dataclass(frozen=True)
class Line:
    """ℓ and the bound along a line.

    Attributes
    ----------
    at : (n,)
        Where: shares of the EM step, or values of a coordinate.
    touches : int
        The point that is θₜ.
    rise : (n,)
        ℓ(θ) - ℓ(θₜ); NaN where the model does not admit θ.
    gap : (n,)
        ℓ(θ) less the bound: the KL divergence.
    old_gap : (n,) or None
        The same for the bound of the iteration before.
    rounding : float
        What `rise` and `gap` may be off by.
    """

    at: FloatArray
    touches: int
    rise: FloatArray
    gap: FloatArray
    old_gap: FloatArray | None
    rounding: float


@dataclass(frozen=True)
class Plane:
    """ℓ and the bound over two coordinates, the others as at θₜ.

    Attributes
    ----------
    first, second : int
        The coordinates.
    x, y : (m,), (n,)
        Their values.
    step : int
        Place of the iteration among those that are shown.
    rise, gap : (n, m)
        As in `Line`.
    """

    first: int
    second: int
    x: FloatArray
    y: FloatArray
    step: int
    rise: FloatArray
    gap: FloatArray


@dataclass(frozen=True)
class Explored:
    """All lines and planes of a trail.

    Attributes
    ----------
    along : tuple of Line or None
        Of each shown iteration the line to the next; None where time was over.
    coordinates : tuple of int
        Which are followed, those that moved most first.
    across : tuple of tuples of Line or None
        Of each of those coordinates its line at each shown iteration.
    planes : tuple of Plane
    passes : int
        Over the data.
    """

    along: tuple[Line | None, ...]
    coordinates: tuple[int, ...]
    across: tuple[tuple[Line | None, ...], ...]
    planes: tuple[Plane, ...]
    passes: int

    @property
    def lines(self) -> list[Line]:
        every = [*self.along, *(line for lines in self.across for line in lines)]
        return [line for line in every if line is not None]

    @property
    def least_gap(self) -> float:
        """The smallest gap in units of its rounding error; above -1 the bound is nowhere above ℓ."""
        return min((float(np.nanmin(line.gap)) / line.rounding for line in self.lines), default=0.0)


    @property
    def off_top(self) -> float:
        """By what share of its rise a bound is higher elsewhere on its line than where the M-step leads."""
        shares = [_off_top(line) for line in self.along if line is not None]
        return max(shares, default=0.0)


def _off_top(line: Line) -> float:
    bound = line.rise - line.gap
    there = bound[ALONG == 1.0][0]
    if not np.nanmax(bound) > 100 * line.rounding or np.isnan(there):
        return 0.0
    return float((np.nanmax(bound) - there) / np.nanmax(bound))


@dataclass
class _Explorer:
    """Evaluates ℓ until the time is over."""

    trail: Trail
    until: float
    passes: int = 0

    @property
    def late(self) -> bool:
        return time.perf_counter() > self.until

    def line(self, step: TrailStep, at: FloatArray, point: Callable[[float], FloatArray], touches: int) -> Line | None:
        """The line through `point(value)` for each value; None where the time is over."""
        if self.late:
            return None
        vectors = [point(float(value)) for value in at]
        rise, gap, old = self.measure(step, vectors, touches)
        earlier = step.before is not None and not self.trail.local
        rounding = step.iteration.rounding + max(abs(step.iteration.objective), 1.0) * 1e-13
        return Line(at, touches, rise, gap, old if earlier else None, rounding)

    def measure(
        self, step: TrailStep, vectors: Sequence[FloatArray], touches: int | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rise, gap and the gap of the bound before, at each vector."""
        found = np.full((3, len(vectors)), np.nan)
        trail, template = self.trail, self.trail.end.parameters
        bounds = [trail.bound(one) for one in (step.iteration, step.before) if one is not None]
        for i, vector in enumerate(vectors):
            parameters = step.parameters if i == touches else admitted(trail.model, template, vector)
            if parameters is None:
                continue
            objective = step.iteration.objective
            if i != touches:
                self.passes += 1
                objective = objective_at(trail.problem, parameters)
            found[0, i] = objective - step.iteration.objective
            for j, bound in enumerate(bounds):
                found[1 + j, i] = objective - bound(parameters)
        return found[0], found[1], found[2]


def explore(trail: Trail, seconds: float) -> Explored:
    """Lines first, then coordinates, then planes, as far as the time goes."""
    explorer = _Explorer(trail, time.perf_counter() + seconds)
    along = tuple(_along(explorer, step) for step in trail.steps)
    scales = curvature(trail)
    vectors = np.array([one.vector for one in trail.passages])
    chosen = _most_moved(vectors, scales)
    ranges = {i: _range(vectors[:, i], scales[i]) for i in chosen}
    across = tuple(tuple(_across(explorer, step, i, ranges[i]) for step in trail.steps) for i in chosen)
    planes = _planes(explorer, chosen[:PLANES], ranges)
    return Explored(along, tuple(chosen), across, planes, explorer.passes)


def _along(explorer: _Explorer, step: TrailStep) -> Line | None:
    here = step.parameters.flatten()
    there = step.iteration.em_parameters.flatten()
    return explorer.line(step, ALONG, lambda share: here + share * (there - here), int(np.flatnonzero(ALONG == 0)[0]))


def _across(explorer: _Explorer, step: TrailStep, coordinate: int, ends: tuple[float, float]) -> Line | None:
    here = step.parameters.flatten()
    at = np.unique(np.append(np.linspace(*ends, POINTS), here[coordinate]))

    def point(value: float) -> FloatArray:
        moved = here.copy()
        moved[coordinate] = value
        return moved

    return explorer.line(step, at, point, int(np.flatnonzero(at == here[coordinate])[0]))


def curvature(trail: Trail) -> FloatArray:
    """(d,): -∂²Q in each coordinate at the end of the way, its information from complete data; no pass.

    1 where differences do not tell.
    """
    end, d = trail.end, trail.end.parameters.n_free
    here = end.parameters.flatten()
    bound = trail.bound(end)
    found = np.ones(d)
    for i in range(d):
        move = np.zeros(d)
        move[i] = STEP
        with np.errstate(all="ignore"):
            sides = [bound.gain(end.parameters.unflatten(here + sign * move)) for sign in (-1, 1)]
        bend = -sum(sides) / STEP**2
        found[i] = bend if np.isfinite(bend) and bend > 0 else 1.0
    return found


def _most_moved(vectors: FloatArray, scales: FloatArray) -> list[int]:
    """The coordinates that moved most on the way, in standard deviations under the complete data."""
    moved: Array = np.ptp(vectors, axis=0) * np.sqrt(scales)
    return [int(i) for i in np.argsort(-moved, kind="stable")[:COORDINATES]]


def _range(values: FloatArray, information: float) -> tuple[float, float]:
    more = BEYOND / np.sqrt(information)
    return float(values.min() - more), float(values.max() + more)


def _planes(explorer: _Explorer, chosen: list[int], ranges: dict[int, tuple[float, float]]) -> tuple[Plane, ...]:
    steps = explorer.trail.steps
    places = sorted({round(i) for i in np.linspace(0, len(steps) - 1, PLANE_STEPS)})
    pairs = [(a, b) for n, a in enumerate(chosen) for b in chosen[n + 1 :]]
    found = [_plane(explorer, a, b, place, ranges) for a, b in pairs for place in places]
    return tuple(plane for plane in found if plane is not None)


def _plane(
    explorer: _Explorer, first: int, second: int, place: int, ranges: dict[int, tuple[float, float]]
) -> Plane | None:
    if explorer.late:
        return None
    step = explorer.trail.steps[place]
    x, y = np.linspace(*ranges[first], PLANE), np.linspace(*ranges[second], PLANE)
    here = step.parameters.flatten()
    vectors = []
    for b in y:
        for a in x:
            moved = here.copy()
            moved[first], moved[second] = a, b
            vectors.append(moved)
    rise, gap, _ = explorer.measure(step, vectors, None)
    return Plane(first, second, x, y, place, rise.reshape(PLANE, PLANE), gap.reshape(PLANE, PLANE))
