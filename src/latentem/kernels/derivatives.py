"""Derivatives of smooth functions of few variables by central differences of fourth order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

_STEP = 1e-3


def gradient(function: Callable[[FloatArray], float], point: FloatArray) -> FloatArray:
    """∇f by (8(f₊₁ - f₋₁) - (f₊₂ - f₋₂)) / 12h along each coordinate; error O(h⁴ f⁽⁵⁾ + ε|f|/h)."""
    result = np.empty_like(point)
    for i in range(len(point)):
        h = _STEP * max(1.0, abs(point[i]) * 1e-1)
        near = function(_moved(point, i, h)) - function(_moved(point, i, -h))
        far = function(_moved(point, i, 2 * h)) - function(_moved(point, i, -2 * h))
        result[i] = (8 * near - far) / (12 * h)
    return result


def jacobian(function: Callable[[FloatArray], FloatArray], point: FloatArray) -> FloatArray:
    """∂f/∂x by the same formula, one column for each coordinate."""
    columns = []
    for i in range(len(point)):
        h = _STEP * max(1.0, abs(point[i]) * 1e-1)
        near = function(_moved(point, i, h)) - function(_moved(point, i, -h))
        far = function(_moved(point, i, 2 * h)) - function(_moved(point, i, -2 * h))
        columns.append((8 * near - far) / (12 * h))
    return np.stack(columns, axis=-1) if columns else np.empty((0, 0))


def _moved(point: FloatArray, index: int, by: float) -> FloatArray:
    moved = point.copy()
    moved[index] += by
    return moved
