"""Safeguarded Newton ascent for functions that are cheap: of statistics, not of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array, FloatArray
from .derivatives import curved_jacobian, difference_steps, gradient as central_gradient, second_differences

Function = Callable[[FloatArray], float]
Gradient = Callable[[FloatArray], FloatArray]

# Differences of a function that is accurate to a few units in the last place are off by this many of them.
_NOISE = 16 * float(np.finfo(float).eps)
_FLATTEST = 1e-9
# Second differences at a step this many times longer lose less to rounding, and the Hessian need not be as accurate.
_WIDER = 8.0
# The longest Newton step of a coordinate: in difference steps, which are about 1e-3 of the length over which the
# function bends, or in units of max(1, |x|/10), whichever is longer.
_LONGEST_IN_STEPS, _LONGEST = 3e3, 3.0
_HALVINGS = 40
_SUFFICIENT = 1e-4
# So many steps in a row that give less than this share of what the slope promises run along a wall: where the function
# is not defined beyond, as below a floor under variances.
_MOST_POOR, _POOR = 4, 1e-3
# Directions along which a function is all but flat ask for steps of any length; this one is cut anyway.
_FURTHEST = 1e150
# While promises fall to less than this share of the last, the Hessian still serves; one that is below the rounding of
# the function and above this share of the last is rounding itself.
_FALLING_FAST, _FALLING = 1e-2, 0.25


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
    slopes = _Differences(safe) if gradient is None else _Gradients(_guarded_gradient(gradient))
    point = _ascend(safe, slopes, start, value, max_iter)
    return point if safe(point) >= value else start


def _ascend(
    safe: Function, slopes: _Differences | _Gradients, start: FloatArray, value: float, most: int
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


@dataclass(frozen=True)
class _Quadratic:
    """f about a point: its slope, difference steps, and the Hessian in coordinates measured in them."""

    slope: FloatArray
    hessian: FloatArray
    steps: FloatArray

    def step(self, point: FloatArray, held: Array) -> FloatArray:
        """|H|⁻¹ ∇f with some coordinates held, no longer than a local model deserves."""
        slope = np.where(held, 0.0, self.steps * self.slope)
        hessian = np.where(held | held[:, None], 0.0, self.hessian)
        return _shortened(self.steps * _ascent(slope, hessian), _longest(point, self.steps))


def _along_walls(safe: Function, point: FloatArray, model: _Quadratic) -> FloatArray:
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


class _Differences:
    """Slopes and curvature from values alone."""

    def __init__(self, safe: Function) -> None:
        self.safe = safe
        self.steps: FloatArray | None = None

    def model(self, point: FloatArray, value: float) -> _Quadratic:
        """The slope is zero where it is at rounding level, or not to be had."""
        self.steps = steps = difference_steps(self.safe, point, self.steps)
        slope = _finite(steps * central_gradient(self.safe, point, steps))
        if np.all(np.abs(slope) <= _NOISE * abs(value)):
            return _Quadratic(np.zeros_like(slope), np.eye(len(slope)), steps)
        with np.errstate(invalid="ignore"):
            hessian = second_differences(self.safe, point, _WIDER * steps) / _WIDER**2
            hessian = hessian if np.all(np.isfinite(hessian)) else second_differences(self.safe, point, steps)
        return _Quadratic(slope / steps, _symmetric(hessian), steps)

    def ends_before(self, promised: float, value: float) -> bool:
        return False

    def ends_after(self, promised: float, value: float) -> bool:
        """The step that follows a promise below the rounding of the function is the last."""
        return promised <= _NOISE * abs(value)


class _Gradients:
    """Slopes given, and curvature from their differences, which serves again for as long as the promises fall fast.

    Slopes tell more than values: the ascent goes on beneath the rounding of the function until promises fall no more.
    """

    def __init__(self, gradient: Gradient) -> None:
        self.gradient = gradient
        self.known: _Quadratic | None = None
        self.promised = self.before = np.inf

    def model(self, point: FloatArray, value: float) -> _Quadratic:
        slope = _finite(self.gradient(point))
        if self.known is not None and self.promised <= _FALLING_FAST * self.before:
            self.known = replace(self.known, slope=slope)
        else:
            guess = None if self.known is None else self.known.steps
            steps, hessian = curved_jacobian(self.gradient, point, abs(value), guess)
            self.known = _Quadratic(slope, _symmetric(hessian * steps * steps[:, None]), steps)
        return self.known

    def ends_before(self, promised: float, value: float) -> bool:
        self.before, self.promised = self.promised, promised
        return promised <= _NOISE * abs(value) and promised > _FALLING * self.before

    def ends_after(self, promised: float, value: float) -> bool:
        return False


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


def _symmetric(hessian: FloatArray) -> FloatArray:
    """Its symmetric part; entries that cannot be had count as zero."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(hessian), 0.5 * (hessian + hessian.T), 0.0)


def _longest(point: FloatArray, steps: FloatArray) -> FloatArray:
    return np.maximum(_LONGEST_IN_STEPS * steps, _LONGEST * np.maximum(1.0, 0.1 * np.abs(point)))


def _finite(slope: FloatArray) -> FloatArray:
    """The slope, zero along coordinates at the edge of what the function admits: differences cannot see it there."""
    return np.where(np.isfinite(slope), slope, 0.0)


def _ascent(slope: FloatArray, hessian: FloatArray) -> FloatArray:
    """|H|⁻¹ ∇f: Newton's step where f is concave, and an ascent everywhere."""
    values, vectors = np.linalg.eigh(hessian)
    steepness = np.maximum(np.abs(values), max(_FLATTEST * np.abs(values).max(), float(np.finfo(float).tiny) * 1e20))
    with np.errstate(over="ignore"):
        along = (vectors.T @ slope) / steepness
    return np.asarray(vectors @ np.clip(along, -_FURTHEST, _FURTHEST))


def _shortened(step: FloatArray, longest: FloatArray) -> FloatArray:
    """The step, scaled down until no coordinate is longer than a local model deserves."""
    return np.asarray(step / max(1.0, float(np.max(np.abs(step) / longest))))


def _backtrack(
    safe: Function, point: FloatArray, value: float, step: FloatArray, promised: float
) -> FloatArray | None:
    """The longest of step, step/2, … that raises the function by its share of what the slope promises.

    Where the promise is below the rounding of the function itself, the whole step is taken if the function does not
    fall beyond its rounding: one more Newton step brings the gradient down to its own.
    """
    rounding = _NOISE * abs(value)
    for halving in range(_HALVINGS):
        share = 0.5**halving
        candidate = point + share * step
        if safe(candidate) >= value + (_SUFFICIENT * share * promised if promised > rounding else -rounding):
            return candidate
    return None
