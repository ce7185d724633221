"""Rotations of loadings towards simple structure: varimax, quartimax, promax, oblimin.

Loadings A (p, q) of uncorrelated factors z become Λ = A (Tᵀ)⁻¹ of factors f = Tᵀ z with correlations Φ = TᵀT, whose
diagonal is 1; then Λ Φ Λᵀ = A Aᵀ.  Orthogonal rotations have Φ = I.  The criteria are minimized by projected gradients:
Jennrich (2001, Psychometrika 66) for orthogonal T, Jennrich (2002, Psychometrika 67) for oblique ones; Bernaards and
Jennrich (2005) collect both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError

MOST_STEPS = 2000
SMALLEST_SLOPE = 1e-9
POWER = 4

Criterion = Callable[[FloatArray], tuple[float, FloatArray]]


@dataclass(frozen=True, eq=False)
class Rotation:
    """Rotated loadings Λ (p, q), correlations Φ (q, q) of the factors, and T (q, q): f = Tᵀ z."""

    loadings: FloatArray
    correlations: FloatArray
    transform: FloatArray


def rotate(loadings: FloatArray, method: str, *, kaiser: bool = False) -> Rotation:
    """Rotate loadings (p, q).

    Parameters
    ----------
    method : {"varimax", "quartimax", "promax", "oblimin"}
    kaiser : bool
        Whether each column's loadings are scaled to length 1 while the rotation is sought (Kaiser 1958).

    Raises
    ------
    ParameterError
        An unknown method.
    """
    if method not in METHODS:
        raise ParameterError(f"rotation must be one of {', '.join(METHODS)}, got {method!r}")
    q = loadings.shape[1]
    if q < 2:
        return Rotation(loadings, np.eye(q), np.eye(q))
    length = np.sqrt(np.sum(loadings**2, axis=1, keepdims=True)) if kaiser else np.ones((len(loadings), 1))
    length = np.where(length > 0, length, 1.0)
    size = float(np.sqrt(np.mean(loadings**2))) or 1.0
    found = METHODS[method](loadings / length if kaiser else loadings / size)
    inverse = np.linalg.inv(found).T
    return Rotation(loadings @ inverse, found.T @ found, found)


def varimax(loadings: FloatArray) -> tuple[float, FloatArray]:
    """-¼ Σⱼ Σᵢ (λ²ᵢⱼ - mean of λ² in factor j)², and its gradient (Kaiser 1958)."""
    squares = loadings**2
    about = squares - squares.mean(axis=0)
    return -0.25 * float(np.sum(about**2)), -loadings * about


def quartimax(loadings: FloatArray) -> tuple[float, FloatArray]:
    """-¼ Σ λ⁴, and its gradient (Carroll 1953)."""
    return -0.25 * float(np.sum(loadings**4)), -(loadings**3)


def oblimin(loadings: FloatArray) -> tuple[float, FloatArray]:
    """¼ Σ over factors j ≠ k of Σᵢ λ²ᵢⱼ λ²ᵢₖ, and its gradient: direct quartimin (Jennrich and Sampson 1966)."""
    squares = loadings**2
    others = squares.sum(axis=1, keepdims=True) - squares
    return 0.25 * float(np.sum(squares * others)), loadings * others


def _orthogonally(criterion: Criterion) -> Callable[[FloatArray], FloatArray]:
    """T orthogonal that minimizes a criterion of A T, by gradient steps that a polar decomposition brings back."""

    def minimized(loadings: FloatArray) -> FloatArray:
        rotation = np.eye(loadings.shape[1])
        value, slope = criterion(loadings)
        step = 1.0
        for _ in range(MOST_STEPS):
            gradient = loadings.T @ slope
            symmetric = rotation.T @ gradient
            tangent = gradient - rotation @ (symmetric + symmetric.T) / 2
            size = float(np.linalg.norm(tangent))
            if size < SMALLEST_SLOPE * len(loadings):
                break
            step *= 2.0
            for _ in range(40):
                left, _, right = np.linalg.svd(rotation - step * tangent)
                moved = left @ right
                new, new_slope = criterion(loadings @ moved)
                if new < value - 0.5 * size**2 * step:
                    break
                step /= 2.0
            else:
                break
            rotation, value, slope = moved, new, new_slope
        return np.asarray(rotation)

    return minimized


def _obliquely(criterion: Criterion) -> Callable[[FloatArray], FloatArray]:
    """T with columns of length 1 that minimizes a criterion of A (Tᵀ)⁻¹."""

    def minimized(loadings: FloatArray) -> FloatArray:
        rotation = _orthogonally(quartimax)(loadings)
        inverse = np.linalg.inv(rotation)
        rotated = loadings @ inverse.T
        value, slope = criterion(rotated)
        step = 1.0
        for _ in range(MOST_STEPS):
            gradient = -(rotated.T @ slope @ inverse).T
            tangent = gradient - rotation * np.sum(rotation * gradient, axis=0)
            size = float(np.linalg.norm(tangent))
            if size < SMALLEST_SLOPE * len(loadings):
                break
            step *= 2.0
            for _ in range(40):
                moved = rotation - step * tangent
                moved = moved / np.linalg.norm(moved, axis=0)
                inverse = np.linalg.inv(moved)
                rotated = loadings @ inverse.T
                new, new_slope = criterion(rotated)
                if new < value - 0.5 * size**2 * step:
                    break
                step /= 2.0
            else:
                break
            rotation, value, slope = moved, new, new_slope
        return rotation

    return minimized


def _promax(loadings: FloatArray) -> FloatArray:
    """Varimax loadings to the power 4, signs kept, regressed on themselves (Hendrickson and White 1964)."""
    first = _orthogonally(varimax)(loadings)
    simple = loadings @ first
    target = simple * np.abs(simple) ** (POWER - 1)
    weights = np.linalg.lstsq(simple, target, rcond=None)[0]
    # Factors f = W⁻¹ z of length 1: Λ = A W up to the scale of each factor.
    inverse = np.linalg.inv(first @ weights)
    lengths = np.linalg.norm(inverse, axis=1, keepdims=True)
    return np.asarray((inverse / lengths).T)


METHODS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "varimax": _orthogonally(varimax),
    "quartimax": _orthogonally(quartimax),
    "promax": _promax,
    "oblimin": _obliquely(oblimin),
}
