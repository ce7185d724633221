"""Curvature learned from gradients on the way."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray


def updated(curvature: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """The curvature (c, c) after a step that changed the negative gradient by `change`: BFGS, damped (Powell 1978).

    It stays positive definite.
    """
    along = curvature @ step
    known, seen = float(step @ along), float(step @ change)
    if known <= 0:
        return curvature
    if seen < 0.2 * known:
        share = 0.8 * known / (known - seen)
        change = share * change + (1 - share) * along
        seen = float(step @ change)
    return np.asarray(curvature - np.outer(along, along) / known + np.outer(change, change) / seen)
