"""Whether the objective stays level along a direction, where parameters are too many to know all curvatures.

A step along it, and then accelerated EM, which brings the other directions to where the objective is largest, and
climbs back along this one only if there is a slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._typing import FloatArray
from ..acceleration import Auto
from ..em import run
from ..errors import LatentemError
from .probing import Found
from .surface import Point, Surface

# Of a step, in standard deviations of a single unit; the passes to settle; and the share of the step that must be left.
DISTANCE, PASSES, KEPT = 0.1, 60, 0.5
# How far from its limit EM may end, in units of the objective.
TOL = 1e-7


@dataclass(frozen=True)
class Settled:
    """Where EM leads, and by how much it could still rise there."""

    point: Point
    left: float


@dataclass(frozen=True)
class Along:
    """What was found along a direction, and where: beyond it, if the objective rises."""

    found: Found
    point: Point


def settle(surface: Surface, vector: FloatArray) -> Settled | None:
    """Where EM leads from a vector (d,); None where it does not arrive."""
    problem = surface.problem
    if not surface.admits(vector):
        return None
    climb = partial(run, executor=problem.executor, acceleration=Auto(), tol=TOL, max_iter=PASSES)
    try:
        result = climb(problem.model, problem.source, surface.template.unflatten(vector))
    except (LatentemError, ArithmeticError, ValueError):
        return None
    surface.passes += 1 + result.n_iter
    if not result.converged:
        return None
    return Settled(surface.at(result.parameters.flatten()), float(np.nan_to_num(result.remaining_gain, nan=TOL)))


def look_along(surface: Surface, base: Settled, complete: FloatArray, move: FloatArray) -> Along:
    """Both ways along a direction (d,) of length 1 in the metric I_c (d, d)."""
    length = DISTANCE * float(np.sqrt(surface.units(base.point)))
    found = []
    for sign in (1.0, -1.0):
        there = settle(surface, base.point.vector + sign * length * move)
        if there is None:
            found.append(Found.UNCLEAR)
            continue
        rise = there.point.objective - base.point.objective
        bound = 2 * (base.point.rounding + there.point.rounding + base.left + there.left)
        if rise > bound:
            return Along(Found.RISE, there.point)
        kept = float(move @ complete @ (there.point.vector - base.point.vector)) * sign >= KEPT * length
        found.append(Found.LEVEL if rise >= -bound and kept else Found.FALL)
    whole = found[0] if found[0] is found[1] else Found.LEVEL if Found.LEVEL in found else Found.UNCLEAR
    return Along(whole, base.point)
