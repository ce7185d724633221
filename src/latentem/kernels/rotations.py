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

MOST_STEPS, HALVINGS = 2000, 40
SMALLEST_SLOPE = 1e-13
# What a criterion may be off by, as a share of it, and by how much the tangent must shorten then.
ROUNDING, SHORTER = 1e-13, 0.99
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
        def look(rotation: FloatArray) -> tuple[float, FloatArray]:
            value, slope = criterion(loadings @ rotation)
            gradient = loadings.T @ slope
            symmetric = rotation.T @ gradient
            return value, gradient - rotation @ (symmetric + symmetric.T) / 2

        def back(matrix: FloatArray) -> FloatArray:
            left, _, right = np.linalg.svd(matrix)
            return np.asarray(left @ right)

        return _descended(np.eye(loadings.shape[1]), look, back, SMALLEST_SLOPE * len(loadings))

    return minimized


def _obliquely(criterion: Criterion) -> Callable[[FloatArray], FloatArray]:
    """T with columns of length 1 that minimizes a criterion of A (Tᵀ)⁻¹."""

    def minimized(loadings: FloatArray) -> FloatArray:
        def look(rotation: FloatArray) -> tuple[float, FloatArray]:
            inverse = np.linalg.inv(rotation)
            rotated = loadings @ inverse.T
            value, slope = criterion(rotated)
            gradient = -(rotated.T @ slope @ inverse).T
            return value, gradient - rotation * np.sum(rotation * gradient, axis=0)

        def back(matrix: FloatArray) -> FloatArray:
            return np.asarray(matrix / np.linalg.norm(matrix, axis=0))

        return _descended(_orthogonally(quartimax)(loadings), look, back, SMALLEST_SLOPE * len(loadings))

    return minimized


def _descended(
    rotation: FloatArray,
    look: Callable[[FloatArray], tuple[float, FloatArray]],
    back: Callable[[FloatArray], FloatArray],
    smallest: float,
) -> FloatArray:
    """Where steps against the tangent lead, each brought back to what is allowed, until that is short.

    A step must lower the criterion; where that drowns in rounding, it must shorten the tangent.
    """
    value, tangent = look(rotation)
    size, step = float(np.linalg.norm(tangent)), 1.0
    for _ in range(MOST_STEPS):
        if size < smallest:
            break
        step *= 2.0
        for _ in range(HALVINGS):
            moved = back(rotation - step * tangent)
            new, leads = look(moved)
            length = float(np.linalg.norm(leads))
            promised = 0.5 * size**2 * step
            drowned = promised < ROUNDING * abs(value) and abs(new - value) < ROUNDING * abs(value)
            if (length < SHORTER * size) if drowned else (new < value - promised):
                break
            step /= 2.0
        else:
            break
        rotation, value, tangent, size = moved, new, leads, length
    return rotation


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
