"""Safeguarded Newton ascent for functions that are cheap: of statistics, not of data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .._typing import FloatArray
from .slopes import NOISE, Derivatives, Differences, Function, Gradient, Gradients, Quadratic, SecondDerivatives

_HALVINGS = 40
_SUFFICIENT = 1e-4
# So many steps in a row that give less than this share of what the slope promises run along a wall: where the function
# is not defined beyond, as below a floor under variances.
_MOST_POOR, _POOR = 4, 1e-3
# How many points an ascent may come back to.
_RECALLED = 64


def maximize_smooth(
    function: Function, start: FloatArray, gradient: Gradient | None = None, max_iter: int = 50
) -> FloatArray:
    """argmax of a smooth function of an unconstrained vector, by Newton's method from `start`.

    The step solves |H| s = ∇f, with |H| the Hessian whose eigenvalues count by their magnitude (so that it ascends
    where f is not concave), in coordinates measured by how fast f bends; it is halved until f rises enough (Armijo).
    It ends where the gradient, or the gain that it promises, is at rounding level, and at a wall beyond which the
    function is not defined.

    Parameters
    ----------
    function : callable
        f(vector) → float.  Where it raises an arithmetic or value error, or is not finite, it counts as -∞.
    start : (d,)
    gradient : callable, optional
        ∇f; by differences of f unless given.
    max_iter : int
        Most Newton steps; 1 takes a single safeguarded one.

    Returns
    -------
    (d,)
        A point with f at least that of the start.

    Raises
    ------
    ValueError
        f is not finite at the start.
    """
    safe = _guarded(function)
    value = safe(start)
    if not np.isfinite(value):
        raise ValueError(f"the function to maximize is {value} at the start")
    if not len(start):
        return start
    slopes = Differences(safe) if gradient is None else Gradients(_guarded_gradient(gradient))
    point = _ascend(safe, slopes, start, value, max_iter)
    return point if safe(point) >= value else start


def remembering(
    derivatives: Derivatives, known: Mapping[bytes, tuple[float, FloatArray, FloatArray]] | None = None
) -> Derivatives:
    """The same function, which evaluates no point twice (of the last few), nor those `known` by their bytes."""
    kept = dict(known or {})

    def recalled(vector: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        key = vector.tobytes()
        if key not in kept:
            if len(kept) > _RECALLED:
                kept.pop(next(iter(kept)))
            kept[key] = derivatives(vector)
        return kept[key]

    return recalled


def maximize_twice_differentiable(derivatives: Derivatives, start: FloatArray, max_iter: int = 50) -> FloatArray:
    """The same where f comes with its gradient and Hessian: derivatives(vector) → (value, ∇f, ∇²f).

    Each point is evaluated once, however often the ascent asks.
    """
    recalled = remembering(derivatives)
    safe = _guarded(lambda vector: recalled(vector)[0])
    value = safe(start)
    if not np.isfinite(value):
        raise ValueError(f"the function to maximize is {value} at the start")
    if not len(start):
        return start
    point = _ascend(safe, SecondDerivatives(recalled), start, value, max_iter)
    return point if safe(point) >= value else start


def _ascend(
    safe: Function, slopes: Differences | Gradients, start: FloatArray, value: float, most: int
) -> FloatArray:
    point, poor = start, 0
    for _ in range(most):
        model = slopes.model(point, value)
        step = _along_walls(safe, point, model)
        promised = float(model.slope @ step)
        if promised <= 0 or slopes.ends_before(promised, value):
            break
        moved = _backtrack(safe, point, value, step, promised)
        if moved is None:
            break
        poor = poor + 1 if safe(moved) - value < _POOR * promised else 0
        point, value = moved, safe(moved)
        if poor == _MOST_POOR or slopes.ends_after(promised, value):
            break
    return point


def _along_walls(safe: Function, point: FloatArray, model: Quadratic) -> FloatArray:
    """Newton's step; coordinates that it would take where f is not defined go part of the way, the others all of it."""
    step = model.step(point, np.zeros(len(point), bool))
    if np.isfinite(safe(point + step)):
        return step
    shares = np.array([_share_inside(safe, point, i, by) for i, by in enumerate(step)])
    held = shares < 1
    return np.where(held, shares * step, model.step(point, held)) if held.any() else step


def _share_inside(safe: Function, point: FloatArray, i: int, by: float) -> float:
    """The longest of 1, ½, ¼, … of a coordinate's step alone that stays where f is defined; 0 if none does."""
    for halving in range(_HALVINGS):
        moved = point.copy()
        moved[i] += 0.5**halving * by
        if np.isfinite(safe(moved)):
            return float(0.5**halving)
    return 0.0


def _backtrack(
    safe: Function, point: FloatArray, value: float, step: FloatArray, promised: float
) -> FloatArray | None:
    """The longest of step, step/2, … that raises the function by its share of what the slope promises.

    Where the promise is below the rounding of the function itself, the whole step is taken if the function does not
    fall beyond its rounding: one more Newton step brings the gradient down to its own.
    """
    rounding = NOISE * abs(value)
    for halving in range(_HALVINGS):
        share = 0.5**halving
        candidate = point + share * step
        if safe(candidate) >= value + (_SUFFICIENT * share * promised if promised > rounding else -rounding):
            return candidate
    return None


def _guarded(function: Function) -> Function:
    def safe(vector: FloatArray) -> float:
        try:
            with np.errstate(all="ignore"):
                value = float(function(vector))
        except (ArithmeticError, ValueError):
            return -np.inf
        return value if np.isfinite(value) else -np.inf

    return safe


def _guarded_gradient(gradient: Gradient) -> Gradient:
    def safe(vector: FloatArray) -> FloatArray:
        try:
            with np.errstate(all="ignore"):
                return np.asarray(gradient(vector), float)
        except (ArithmeticError, ValueError):
            return np.full_like(vector, np.nan)

    return safe
