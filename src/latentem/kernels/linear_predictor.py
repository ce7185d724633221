"""Steps of coefficients whose meaning lies in their linear predictor η = cᵀβ, whatever the units of the covariates."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray

# Directions in which covariates vary less than this share of their overall size tell nothing but rounding error.
NEGLIGIBLE = 1e-11
# A Newton step moves the linear predictor by no more than this, root mean square over the rows.
LONGEST = 2.0
# Curvature below this share of the covariates' second moments counts as this: fitted probabilities are 0 or 1.
FLATTEST = 1e-8


def solve_normal(gram: FloatArray, right: FloatArray) -> FloatArray:
    """The least-norm solution x of G x = b in coordinates in which G has a diagonal of ones.

    Parameters
    ----------
    gram : (..., P, P)
        Positive semidefinite; where it is singular, directions without curvature keep 0.
    right : (..., P)
    """
    size, values, vectors, kept = _axes(gram)
    along = np.einsum("...ij,...i->...j", vectors, right / size) * kept / np.where(kept, values, 1.0)
    return np.asarray(np.einsum("...ij,...j->...i", vectors, along) / size)


def newton_step(gradient: FloatArray, curvature: FloatArray, gram: FloatArray, counts: FloatArray) -> FloatArray:
    """An ascending step of each block's coefficients, Newton's unless it were long.

    The step solves -H s = ∇Q; in coordinates in which the covariates of the block are uncorrelated with second moments
    of one, eigenvalues of -H / n count by their magnitude, at least `FLATTEST`, and no step is longer than `LONGEST`.

    Parameters
    ----------
    gradient : (..., P)
    curvature : (..., P, P)
    gram : (..., P, P)
        Σ r c cᵀ.  Directions in which it is singular (collinear covariates) do not move.
    counts : (...)
        Σ r; blocks without any do not move.
    """
    n = np.where(counts > 0, counts, 1.0)[..., None]
    size, values, vectors, kept = _axes(gram / n[..., None])
    outer = size[..., :, None] * size[..., None, :]
    whiten = vectors * (kept / np.sqrt(np.where(kept, values, 1.0)))[..., None, :]
    slope = np.einsum("...ij,...i->...j", whiten, gradient / size / n)
    bend = -np.swapaxes(whiten, -1, -2) @ (curvature / outer / n[..., None]) @ whiten
    steepness, axes = np.linalg.eigh(0.5 * (bend + np.swapaxes(bend, -1, -2)))
    along = np.einsum("...ij,...i->...j", axes, slope) / np.maximum(np.abs(steepness), FLATTEST)
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along * np.minimum(1.0, LONGEST / np.maximum(length, LONGEST))
    step = np.einsum("...ij,...j->...i", whiten, np.einsum("...ij,...j->...i", axes, along))
    return np.asarray(step / size)


def is_collinear(gram: FloatArray) -> Array:
    """Whether each Gram matrix (..., P, P) is singular up to rounding."""
    size = _roots(gram)
    values = np.linalg.eigvalsh(gram / (size[..., :, None] * size[..., None, :]))
    return np.asarray(values[..., 0] <= NEGLIGIBLE * values[..., -1])


def _axes(gram: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, Array]:
    """Sizes that give a Gram matrix a diagonal of ones, its eigenvalues and vectors then, and which are no rounding."""
    size = _roots(gram)
    values, vectors = np.linalg.eigh(gram / (size[..., :, None] * size[..., None, :]))
    return size, values, vectors, values > NEGLIGIBLE * np.maximum(values[..., -1:], NEGLIGIBLE)


def _roots(gram: FloatArray) -> FloatArray:
    """√ of the diagonal, 1 where it is 0."""
    diagonal = np.diagonal(gram, axis1=-2, axis2=-1)
    return np.asarray(np.sqrt(np.where(diagonal > 0, diagonal, 1.0)))
