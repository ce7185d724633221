"""The way out of a saddle."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from ..errors import LatentemError
from .surface import Point, Surface

# The first step is such that the objective should rise by so much.
WANTED = 0.5
# In standard deviations of a single unit, no step is longer.
LONGEST = 0.3
HALVINGS = 8


def leave(surface: Surface, point: Point, move: FloatArray, curvature: float) -> Point | None:
    """A point along ±move where the objective is surely higher: ½ μ t² for a step t; None if there is none.

    Parameters
    ----------
    surface, point : Surface, Point
    move : (d,)
        In coordinates, of length 1 in the metric I_c.
    curvature : float
        μ > 0 in that metric.
    """
    length = min(float(np.sqrt(2 * WANTED / curvature)), LONGEST * float(np.sqrt(surface.units(point))))
    for _ in range(HALVINGS):
        ends = [_at(surface, point.vector + sign * length * move) for sign in (1.0, -1.0)]
        higher = [end for end in ends if end is not None and _is_higher(end, point)]
        if higher:
            return max(higher, key=lambda end: end.objective)
        length *= 0.5
    return None


def _is_higher(end: Point, point: Point) -> bool:
    return bool(end.objective > point.objective + 2 * (end.rounding + point.rounding))


def _at(surface: Surface, vector: FloatArray) -> Point | None:
    if not surface.problem.model.admissible(surface.template.unflatten(vector)):
        return None
    try:
        return surface.at(vector)
    except (LatentemError, ArithmeticError, ValueError):
        return None
