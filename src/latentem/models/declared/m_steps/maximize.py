"""The M-step: safeguarded Newton ascent on Q, on the pivots of a basis or over the data."""

from __future__ import annotations

import numpy as np

from ...._typing import Array, FloatArray
from ....kernels.newton import maximize_twice_differentiable, remembering
from ....kernels.slopes import Derivatives

MOST_STEPS = 50
# Newton steps over the data in one M-step; one that promises less than this share of the first one's gain is not worth
# a pass.
MOST_STEPS_OVER_DATA, WORTHWHILE = 4, 0.02
# Entries of the Hessian below this share of its diagonal count as zero.
SEPARATE = 1e-10


def maximize_on_pivots(derivatives: Derivatives, start: FloatArray) -> FloatArray:
    """argmax of Q where Q costs nothing; `derivatives` should remember, see `kernels.newton.remembering`.

    Where a joint Newton ascent falls short of the maximum of some block of parameters that separates from the others,
    the blocks are solved one by one.
    """
    point = maximize_twice_differentiable(derivatives, start, MOST_STEPS)
    value, gradient, hessian = derivatives(point)
    if _promise(gradient, hessian) <= 1e-12 * max(1.0, abs(value)):
        return point
    groups = blocks(hessian)
    for block in groups if len(groups) > 1 else []:
        point = _with_block(derivatives, point, block)
    return point


def maximize_over_data(
    derivatives: Derivatives, start: FloatArray, there: tuple[float, FloatArray, FloatArray] | None = None
) -> FloatArray:
    """A few safeguarded Newton steps on Q, each of which raises it; every evaluation is a pass over the data.

    What Q and its derivatives are at the start may be known (`there`).
    """
    recalled = remembering(derivatives, None if there is None else {start.tobytes(): there})
    point, first = start, 0.0
    for _ in range(MOST_STEPS_OVER_DATA):
        value, gradient, hessian = recalled(point)
        if first and _promise(gradient, hessian) <= WORTHWHILE * first:
            break
        moved = maximize_twice_differentiable(recalled, point, 1)
        gain = recalled(moved)[0] - value
        if gain <= 0:
            break
        point, first = moved, first or gain
    return point


def blocks(hessian: FloatArray) -> list[Array]:
    """Sets of coordinates that the Hessian does not connect."""
    scale = np.sqrt(np.abs(np.diagonal(hessian)))
    linked = np.abs(hessian) > SEPARATE * scale * scale[:, None]
    left, found = set(range(len(hessian))), []
    while left:
        block, frontier = set(), {min(left)}
        while frontier:
            block |= frontier
            frontier = {int(j) for i in frontier for j in np.flatnonzero(linked[i])} - block
        found.append(np.array(sorted(block)))
        left -= block
    return found


def _promise(gradient: FloatArray, hessian: FloatArray) -> float:
    """What a Newton step promises to gain."""
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return np.inf
    values, vectors = np.linalg.eigh(-0.5 * (hessian + hessian.T))
    floor = 1e-9 * max(np.abs(values).max(initial=0), 1e-300)
    with np.errstate(over="ignore"):
        return float(0.5 * np.sum((vectors.T @ gradient) ** 2 / np.maximum(np.abs(values), floor)))


def _with_block(derivatives: Derivatives, point: FloatArray, block: Array) -> FloatArray:
    def of_block(part: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        moved = point.copy()
        moved[block] = part
        value, gradient, hessian = derivatives(moved)
        return value, gradient[block], hessian[np.ix_(block, block)]

    result = point.copy()
    result[block] = maximize_twice_differentiable(of_block, point[block], MOST_STEPS)
    return result
