"""The M-step of probabilities from expected counts."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray


def maximize_simplex(counts: FloatArray, current: FloatArray, fixed: Array | None = None) -> FloatArray:
    """argmax of Σⱼ cⱼ log pⱼ over the simplex of the last axis, entries where `fixed` is True held at `current`.

    The free entries share the mass 1 - Σ_fixed p in proportion to their counts; a row without counts stays as it is.
    """
    held = np.zeros(counts.shape, bool) if fixed is None else np.broadcast_to(fixed, counts.shape)
    free_counts = np.where(held, 0.0, counts)
    total = free_counts.sum(axis=-1, keepdims=True)
    mass = 1.0 - np.where(held, current, 0.0).sum(axis=-1, keepdims=True)
    share = free_counts / np.where(total > 0, total, 1.0)
    return np.where(held | (total <= 0), current, mass * share)


def expected_log_simplex(counts: FloatArray, probabilities: FloatArray) -> float:
    """Σ c log p with 0 log 0 = 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    return float(np.sum(np.where(counts > 0, counts, 0.0) * np.where(counts > 0, logs, 0.0)))


def simplex_score(counts: FloatArray, probabilities: FloatArray) -> FloatArray:
    """The gradient of Σ c log p in the coordinates of `Simplex`, log-ratios to the last entry; one vector."""
    slope = counts - counts.sum(axis=-1, keepdims=True) * probabilities
    return np.ravel(slope[..., :-1])
