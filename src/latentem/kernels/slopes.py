"""What Newton's method knows of a function about a point: slope and curvature, from values, gradients or Hessians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array, FloatArray
from .derivatives import curved_jacobian, difference_steps, gradient as central_gradient, second_differences

Function = Callable[[FloatArray], float]
Gradient = Callable[[FloatArray], FloatArray]
Derivatives = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

# Differences of a function that is accurate to a few units in the last place are off by this many of them.
NOISE = 16 * float(np.finfo(float).eps)
_FLATTEST = 1e-9
# Second differences at a step this many times longer lose less to rounding, and the Hessian need not be as accurate.
_WIDER = 8.0
# The longest Newton step of a coordinate: in difference steps, which are about 1e-3 of the length over which the
# function bends, or in units of max(1, |x|/10), whichever is longer.
_LONGEST_IN_STEPS, _LONGEST = 3e3, 3.0
# Difference steps in units of that length, which counts as no longer than so many times max(1, |x|).
_PER_LENGTH, _FURTHEST_OFF = 1e-3, 30
# Directions along which a function is all but flat ask for steps of any length; this one is cut anyway.
_FURTHEST = 1e150
# While promises fall to less than this share of the last, the Hessian still serves; one that is below the rounding of
# the function and above this share of the last is rounding itself.
_FALLING_FAST, _FALLING = 1e-2, 0.25


@dataclass(frozen=True)
class Quadratic:
    """f about a point: its slope, difference steps, and the Hessian in coordinates measured in them."""

    slope: FloatArray
    hessian: FloatArray
    steps: FloatArray

    def step(self, point: FloatArray, held: Array) -> FloatArray:
        """|H|⁻¹ ∇f with some coordinates held, no longer than a local model deserves."""
        slope = np.where(held, 0.0, self.steps * self.slope)
        hessian = np.where(held | held[:, None], 0.0, self.hessian)
        return _shortened(self.steps * _ascent(slope, hessian), _longest(point, self.steps))


class Differences:
    """Slopes and curvature from values alone."""

    def __init__(self, safe: Function) -> None:
        self.safe = safe
        self.steps: FloatArray | None = None

    def model(self, point: FloatArray, value: float) -> Quadratic:
        """The slope is zero where it is at rounding level, or not to be had."""
        self.steps = steps = difference_steps(self.safe, point, self.steps)
        slope = _finite(steps * central_gradient(self.safe, point, steps))
        if np.all(np.abs(slope) <= NOISE * abs(value)):
            return Quadratic(np.zeros_like(slope), np.eye(len(slope)), steps)
        with np.errstate(invalid="ignore"):
            hessian = second_differences(self.safe, point, _WIDER * steps) / _WIDER**2
            hessian = hessian if np.all(np.isfinite(hessian)) else second_differences(self.safe, point, steps)
        return Quadratic(slope / steps, _symmetric(hessian), steps)

    def ends_before(self, promised: float, value: float) -> bool:
        return False

    def ends_after(self, promised: float, value: float) -> bool:
        """The step that follows a promise below the rounding of the function is the last."""
        return promised <= NOISE * abs(value)


class Gradients:
    """Slopes given, and curvature from their differences, which serves again for as long as the promises fall fast.

    Slopes tell more than values: the ascent goes on beneath the rounding of the function until promises fall no more.
    """

    def __init__(self, gradient: Gradient) -> None:
        self.gradient = gradient
        self.known: Quadratic | None = None
        self.promised = self.before = np.inf

    def model(self, point: FloatArray, value: float) -> Quadratic:
        slope = _finite(self.gradient(point))
        if self.known is not None and self.promised <= _FALLING_FAST * self.before:
            self.known = replace(self.known, slope=slope)
        else:
            guess = None if self.known is None else self.known.steps
            steps, hessian = curved_jacobian(self.gradient, point, abs(value), guess)
            self.known = Quadratic(slope, _symmetric(hessian * steps * steps[:, None]), steps)
        return self.known

    def ends_before(self, promised: float, value: float) -> bool:
        self.before, self.promised = self.promised, promised
        return promised <= NOISE * abs(value) and promised > _FALLING * self.before

    def ends_after(self, promised: float, value: float) -> bool:
        return False


class SecondDerivatives(Gradients):
    """Slopes and curvature given."""

    def __init__(self, derivatives: Derivatives) -> None:
        super().__init__(lambda vector: derivatives(vector)[1])
        self.derivatives = derivatives

    def model(self, point: FloatArray, value: float) -> Quadratic:
        """A coordinate is measured by the length over which f, if it were its quadratic, would change by itself."""
        _, gradient, hessian = self.derivatives(point)
        bends = np.abs(np.diagonal(hessian))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            lengths = np.sqrt(max(abs(value), 1.0) / bends)
        most = _FURTHEST_OFF * np.maximum(1.0, np.abs(point))
        lengths = np.minimum(np.where(np.isfinite(lengths), lengths, 1.0), most)
        steps = _PER_LENGTH * lengths
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = hessian * steps * steps[:, None]
        return Quadratic(_finite(gradient), _symmetric(scaled), steps)


def _symmetric(hessian: FloatArray) -> FloatArray:
    """Its symmetric part; entries that cannot be had count as zero."""
    with np.errstate(invalid="ignore"):
        mean = 0.5 * (hessian + hessian.T)
    return np.where(np.isfinite(mean), mean, 0.0)


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
