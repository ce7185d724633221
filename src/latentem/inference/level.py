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
class Along:
    """What was found along a direction.

    Attributes
    ----------
    found : Found
    point : Point
        Where the objective is higher, if it rises.
    gain : float
        What EM gained from where the fit ended, before the first step.
    """

    found: Found
    point: Point
    gain: float


def level_along(surface: Surface, point: Point, complete: FloatArray, move: FloatArray) -> Along:
    """Both ways along a direction (d,) of length 1 in the metric I_c (d, d)."""
    settled = _settled(surface, point.vector)
    if settled is None:
        return Along(Found.UNCLEAR, point, np.nan)
    base, left = settled
    length = DISTANCE * float(np.sqrt(surface.units(base)))
    found = []
    for sign in (1.0, -1.0):
        step = sign * length * move
        ended = _settled(surface, base.vector + step)
        if ended is None:
            found.append(Found.UNCLEAR)
            continue
        there, more = ended
        rise, bound = there.objective - base.objective, 2 * (base.rounding + there.rounding + left + more)
        if rise > bound:
            return Along(Found.RISE, there, base.objective - point.objective)
        kept = float(move @ complete @ (there.vector - base.vector)) * sign >= KEPT * length
        found.append(Found.LEVEL if rise >= -bound and kept else Found.FALL)
    whole = found[0] if found[0] is found[1] else Found.LEVEL if Found.LEVEL in found else Found.UNCLEAR
    return Along(whole, base, base.objective - point.objective)


def _settled(surface: Surface, vector: FloatArray) -> tuple[Point, float] | None:
    """Where EM leads from there, and what is left to gain; None where it does not arrive."""
    problem = surface.problem
    if not surface.admits(vector):
        return None
    climb = partial(run, executor=problem.executor, acceleration=Auto(), tol=TOL, max_iter=PASSES)
    try:
        result = climb(problem.model, problem.source, surface.template.unflatten(vector))
    except (LatentemError, ArithmeticError, ValueError):
        return None
    surface.passes += result.n_iter
    if not result.converged:
        return None
    return surface.at(result.parameters.flatten()), float(np.nan_to_num(result.remaining_gain, nan=TOL))
