"""Derivatives of smooth functions of few variables by central differences, at steps that fit the function's scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

_STEP = 1e-3
# A second difference at the step h is about (h/L)² of the function's size, L being the length over which the function
# bends.  Wanted is h near 1e-3 L, where fourth-order differences lose least; these are the shares that will do.
_WANTED, _SMALLEST, _LARGEST = 1e-6, 1e-9, 1e-4
_ATTEMPTS, _ATTEMPTS_WHERE_FLAT = 24, 4
_LARGEST_GROWTH = 1e9
_NOISE = 16 * float(np.finfo(float).eps)


def gradient(
    function: Callable[[FloatArray], float], point: FloatArray, steps: FloatArray | None = None
) -> FloatArray:
    """∇f by (8(f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h along each coordinate; error O(h⁴ f⁽⁵⁾ + ε|f|/h).

    Parameters
    ----------
    function : callable
    point : (d,)
    steps : (d,), optional
        h of each coordinate; those of `difference_steps` unless given.
    """
    steps = difference_steps(function, point) if steps is None else steps
    result = np.empty_like(point)
    for i, h in enumerate(steps):
        near = function(moved(point, i, h)) - function(moved(point, i, -h))
        far = function(moved(point, i, 2 * h)) - function(moved(point, i, -2 * h))
        result[i] = (8 * near - far) / (12 * h)
    return result


def curved_jacobian(
    function: Callable[[FloatArray], FloatArray],
    point: FloatArray,
    size: float,
    guess: FloatArray | None = None,
    largest: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Steps h and the Jacobian of a gradient by (g₊ - g₋) / 2h, whatever the units of the coordinates are.

    Steps are 1e-3 of the length over which the function bends, to within a factor of thirty: h² |∂g/∂x| ≈ 1e-6 |f|.

    Parameters
    ----------
    function : callable
        The gradient.
    point : (d,)
    size : float
        |f|.
    guess : (d,), optional
        Where to begin; 1e-3 of max(1, |x|/10) unless given.
    largest : (d,), optional
        What no step exceeds.
    """
    first = _default_steps(point) if guess is None else guess
    most = _LARGEST_GROWTH * first if largest is None else largest
    begin = np.minimum(first, most)
    if not len(point):
        return np.empty(0), np.empty((0, 0))
    found = [_curved_column(function, point, i, begin[i], most[i], size) for i in range(len(point))]
    return np.array([h for h, _ in found]), np.stack([column for _, column in found], axis=-1)


def _curved_column(
    function: Callable[[FloatArray], FloatArray], point: FloatArray, i: int, first: float, most: float, size: float
) -> tuple[float, FloatArray]:
    h, usable, flat = first, None, 0
    for _ in range(_ATTEMPTS):
        with np.errstate(over="ignore", invalid="ignore"):
            column = (function(moved(point, i, h)) - function(moved(point, i, -h))) / (2 * h)
        if not np.all(np.isfinite(column)):
            if usable is not None:
                break
            h *= 0.1
            continue
        usable = (h, column)
        share = float(abs(column[i])) * float(h) ** 2 / size if size > 0 else _WANTED
        flat += share <= _SMALLEST**2
        if _SMALLEST <= share <= 10 * _LARGEST or flat > _ATTEMPTS_WHERE_FLAT or (share < _SMALLEST and h >= most):
            break
        h = min(h * min(30.0, max(1e-3, (_WANTED / max(share, _SMALLEST**2)) ** 0.5)), most)
    return usable or (first, np.zeros_like(point))


def second_differences(function: Callable[[FloatArray], float], point: FloatArray, steps: FloatArray) -> FloatArray:
    """hᵢ hⱼ ∂²f/∂xᵢ∂xⱼ, shape (d, d), from f alone: the Hessian in coordinates measured in steps.

    (f₊₊ + f₋₋ - f₊₀ - f₋₀ - f₀₊ - f₀₋ + 2f) / 2 off the diagonal; error O(h²) relative.
    """
    d, here = len(point), function(point)
    ahead = np.array([function(moved(point, i, steps[i])) for i in range(d)])
    behind = np.array([function(moved(point, i, -steps[i])) for i in range(d)])
    single = ahead + behind - 2 * here
    result = np.diag(single)
    for i in range(d):
        for j in range(i):
            both = function(moved(moved(point, i, steps[i]), j, steps[j]))
            neither = function(moved(moved(point, i, -steps[i]), j, -steps[j]))
            result[i, j] = result[j, i] = 0.5 * (both + neither - 2 * here - single[i] - single[j])
    return result


def difference_steps(
    function: Callable[[FloatArray], float], point: FloatArray, guess: FloatArray | None = None
) -> FloatArray:
    """A step for each coordinate: about 1e-3 of the length over which the function bends, whatever its unit is.

    Parameters
    ----------
    function : callable
    point : (d,)
    guess : (d,), optional
        Where to begin; 1e-3 of max(1, |x|/10) unless given.  A coordinate along which the function is flat keeps it.
    """
    here = function(point)
    first = _default_steps(point) if guess is None else guess
    return np.array([_fitting_step(function, point, i, h, here) for i, h in enumerate(first)])


def _default_steps(point: FloatArray) -> FloatArray:
    return np.asarray(_STEP * np.maximum(1.0, 0.1 * np.abs(point)))


def _fitting_step(
    function: Callable[[FloatArray], float], point: FloatArray, i: int, first: float, here: float
) -> float:
    """The step at which the second difference has a fitting share of the function's size."""
    h, usable, flat = first, 0.0, 0
    for _ in range(_ATTEMPTS):
        ends = np.array([function(moved(point, i, 2 * h)), function(moved(point, i, -2 * h))])
        if not np.all(np.isfinite(ends)):
            if usable:
                break
            h *= 0.1
            continue
        size = max(abs(here), *np.abs(ends))
        share = 0.25 * abs(ends.sum() - 2 * here) / size if size > 0 else 0.0
        flat += bool(np.all(np.abs(ends - here) <= _NOISE * size))
        if flat > _ATTEMPTS_WHERE_FLAT:
            return first
        usable = h
        if _SMALLEST <= share <= _LARGEST or h >= _LARGEST_GROWTH * first:
            break
        h *= min(30.0, max(1e-3, (_WANTED / share) ** 0.5)) if share > 0 else 30.0
    return float(usable or h)


def moved(point: FloatArray, index: int, by: float) -> FloatArray:
    """The point with one coordinate moved."""
    there = point.copy()
    there[index] += by
    return there
