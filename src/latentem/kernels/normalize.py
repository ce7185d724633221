"""Log-sum-exp and normalization over states."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray


def normalize_states(log_joint: FloatArray) -> FloatArray:
    """Turn log joints (K, n) into posteriors in place; return log Σ_k exp, shape (n,).

    A column that is -inf throughout returns -inf and leaves NaN behind: the caller raises.
    """
    peak = log_joint.max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        log_joint -= peak
        np.exp(log_joint, out=log_joint)
        total = log_joint.sum(axis=0)
        log_joint /= total
        return np.asarray(peak + np.log(total))
