"""Log-sum-exp and normalization over states."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from .compiled import address, library

# Below this many entries a compiled call costs more than it saves.
SMALLEST_COMPILED = 4096


def log_sum_exp(values: FloatArray, axis: int = -1) -> FloatArray:
    """log Σ exp over an axis; -inf where all are, or there are none."""
    peak = finite(values.max(axis=axis, keepdims=True, initial=-np.inf))
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(np.log(np.exp(values - peak).sum(axis=axis)) + np.squeeze(peak, axis))


def finite(peak: FloatArray) -> FloatArray:
    """Something finite to subtract."""
    return np.asarray(np.where(np.isfinite(peak), peak, 0.0))


def normalize_states(log_joint: FloatArray) -> FloatArray:
    """Turn log joints (K, n) into posteriors in place; return log Σ_k exp, shape (n,).

    A column that is -inf throughout returns -inf and leaves NaN behind: the caller raises.
    """
    compiled = library() if log_joint.size >= SMALLEST_COMPILED else None
    if compiled is None or not log_joint.flags.c_contiguous or log_joint.dtype != np.float64:
        return normalize_states_reference(log_joint)
    return _normalize_compiled(compiled, log_joint)


def normalize_states_reference(log_joint: FloatArray) -> FloatArray:
    """The same in NumPy."""
    peak = log_joint.max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        log_joint -= peak
        np.exp(log_joint, out=log_joint)
        total = log_joint.sum(axis=0)
        log_joint /= total
        return np.asarray(np.where(peak == -np.inf, peak, peak + np.log(total)))


def _normalize_compiled(compiled: Any, log_joint: FloatArray) -> FloatArray:
    n_states, n = log_joint.shape
    peak, total = np.empty((2, n))
    compiled.latentem_normalize(n_states, n, address(log_joint), address(peak), address(total))
    impossible = peak == -np.inf
    if impossible.any():
        log_joint[:, impossible], total[impossible] = np.nan, 1.0
    return np.asarray(peak + np.log(total))
