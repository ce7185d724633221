"""Derivatives in the log-Cholesky coordinates of covariance matrices."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray


def log_cholesky_score(whiten: FloatArray, scatter: FloatArray, counts: FloatArray) -> FloatArray:
    """The gradient of -n log|L| - ½ tr(Σ⁻¹ S) in the lower triangle of L, Σ = L Lᵀ, whose diagonal counts by its log.

    With W = L⁻¹ it is the lower triangle of Wᵀ (W S Wᵀ - n I), the diagonal times that of L.

    Parameters
    ----------
    whiten, scatter : (K, D, D)
        W and S.
    counts : (K,)
        n.

    Returns
    -------
    (K, D(D+1)/2)
        In the order of `numpy.tril_indices`, as `parameters.PositiveDefinite` flattens.
    """
    d = whiten.shape[-1]
    excess = whiten @ scatter @ np.swapaxes(whiten, -1, -2)
    i = np.arange(d)
    excess[..., i, i] -= counts[:, None]
    slope = np.swapaxes(whiten, -1, -2) @ excess
    slope[..., i, i] /= whiten[..., i, i]
    rows, columns = np.tril_indices(d)
    return np.asarray(slope[..., rows, columns])


def in_log_cholesky(covariance: FloatArray, slope: FloatArray) -> FloatArray:
    """A symmetric derivative G by Σ = L Lᵀ (D, D) in the same coordinates: 2 G L, the diagonal times that of L."""
    factor = np.linalg.cholesky(covariance)
    by_factor = 2 * slope @ factor
    i = np.arange(len(factor))
    by_factor[i, i] *= factor[i, i]
    return np.asarray(by_factor[np.tril_indices(len(factor))])
