"""Loadings and noise of factors from a covariance matrix: closed forms, and EM steps."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray

# EM steps on the covariance with which a start is made.
START_STEPS = 40


def loadings_given_noise(covariance: FloatArray, noise: FloatArray, q: int) -> FloatArray:
    """The loadings (p, q) that maximize the likelihood given noise variances (p,): Λ = Ψ^½ U (L - I)^½.

    U and L are the leading eigenvectors and eigenvalues of Ψ^-½ S Ψ^-½ (Lawley 1940; Jöreskog 1967); in this order and
    with positive sums of columns they are unique: Λᵀ Ψ⁻¹ Λ is diagonal.
    """
    root = np.sqrt(noise)
    values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
    size = np.sqrt(np.maximum(values[::-1][:q] - 1.0, 0.0))
    loadings = root[:, None] * vectors[:, ::-1][:, :q] * size
    return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))


def principal_factors(correlation: FloatArray, q: int) -> tuple[FloatArray, FloatArray]:
    """Loadings (p, q) and noise variances (p,) that the leading eigenvectors of a correlation matrix suggest."""
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    rest = values[q:].mean() if q < len(values) else 0.5 * values[-1]
    size = np.sqrt(np.maximum(values[:q] - rest, 0.05 * np.maximum(values[:q], 1e-3)))
    loadings = np.zeros((len(values), q))
    loadings[:, : len(size)] = vectors[:, :q] * size
    return loadings, np.maximum(np.diagonal(correlation) - np.sum(loadings**2, axis=1), 0.05)


def stepped(
    covariance: FloatArray, loadings: FloatArray, noise: FloatArray, floor: float
) -> tuple[FloatArray, FloatArray]:
    """Loadings and noise after EM steps on the covariance (Rubin and Thayer 1982), each far cheaper than a pass."""
    variances, one = np.diagonal(covariance), np.eye(loadings.shape[1])
    for _ in range(START_STEPS):
        weighted = loadings / noise[:, None]
        b = np.linalg.solve(one + loadings.T @ weighted, weighted.T)
        cross = covariance @ b.T
        loadings = np.linalg.solve(one - b @ loadings + b @ cross, cross.T).T
        noise = np.maximum(variances - np.sum(loadings * cross, axis=1), floor)
    return loadings, noise


def left_over(covariance: FloatArray, q: int) -> float:
    """The mean of all eigenvalues but the leading q: the noise of probabilistic PCA (Tipping and Bishop 1999)."""
    values = np.linalg.eigvalsh(covariance)
    rest = values[: len(values) - q]
    return float(max(rest.mean() if len(rest) else 0.0, 1e-12 * values[-1], np.finfo(float).tiny))
