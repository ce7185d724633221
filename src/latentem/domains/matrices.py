"""Domains of square matrices on the last two axes: positive definite, correlations, lower triangular."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .base import Domain, Shaped, count, pick
from .elementwise import Positive

_LARGEST_FACTOR_LOG = 350.0
_LARGEST_FACTOR = float(np.exp(_LARGEST_FACTOR_LOG))
# tanh of it is the last number but a few below 1.
_LARGEST_ARTANH = 18.0


@dataclass(frozen=True, init=False, repr=False)
class PositiveDefinite(Shaped):
    """Symmetric positive definite matrices on the last two axes; log-Cholesky coordinates.

    Σ = L Lᵀ with L lower triangular; the coordinates are the rows of L, with logarithms on the diagonal (Pinheiro and
    Bates, 1996, "log-Cholesky").

    Parameters
    ----------
    *sizes : int
        `PositiveDefinite(d)` is one d × d matrix; otherwise the shape of the array, whose last two sizes agree.
    """

    axes = 2

    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape[:-2]) * _triangle(shape[-1])

    def flatten(self, value: FloatArray) -> FloatArray:
        factor = np.linalg.cholesky(value)
        i, j = np.tril_indices(value.shape[-1])
        lower = factor[..., i, j]
        lower[..., i == j] = np.log(lower[..., i == j])
        return np.ravel(lower)

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        i, j = np.tril_indices(shape[-1])
        lower = xp.reshape(vector, (*shape[:-2], len(i)))
        logs = xp.clip(xp.where(i == j, lower, 0.0), -_LARGEST_FACTOR_LOG, _LARGEST_FACTOR_LOG)
        rest = xp.clip(lower, -_LARGEST_FACTOR, _LARGEST_FACTOR)
        factor = _lower_triangle(xp.where(i == j, xp.exp(logs), rest), shape[-1], 0, xp)
        value: FloatArray = factor @ xp.swapaxes(factor, -1, -2)
        return value

    def _holds(self, value: FloatArray) -> bool:
        return _is_positive_definite(value)

    def _names(self, labels: Array) -> list[str]:
        i, j = np.tril_indices(labels.shape[-1])
        kinds = np.where(i == j, "log ", "")
        rows = labels[..., i, j].reshape(-1, len(i))
        return [f"{kind}{label} (Cholesky)" for row in rows for kind, label in zip(kinds, row, strict=True)]


@dataclass(frozen=True, init=False, repr=False)
class Noise(Shaped):
    """Variances (d,) of at least zero, or a covariance matrix (d, d), which may be singular where it is held.

    The coordinates are those of `Positive`, or of `PositiveDefinite`.

    Parameters
    ----------
    *sizes : int
        Shape of the array; by default it is left to the array.
    """

    def n_free(self, shape: tuple[int, ...]) -> int:
        return _noise_of(len(shape)).n_free(shape)

    def flatten(self, value: FloatArray) -> FloatArray:
        return _noise_of(np.ndim(value)).flatten(value)

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        return _noise_of(len(shape)).unflatten(vector, shape, xp)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) in (1, 2) and len(set(shape)) == 1 and self.shape in ((), shape)

    def _holds(self, value: FloatArray) -> bool:
        if not np.all(np.isfinite(value)):
            return False
        if value.ndim == 1:
            return bool(np.all(value >= 0))
        return bool(np.allclose(value, value.T) and np.linalg.eigvalsh(value)[0] >= -1e-12 * np.abs(value).max())

    def _names(self, labels: Array) -> list[str]:
        return _noise_of(labels.ndim)._names(labels)


def _noise_of(n_axes: int) -> Domain:
    return Positive() if n_axes == 1 else PositiveDefinite()


@dataclass(frozen=True, init=False, repr=False)
class Correlation(Shaped):
    """Correlation matrices on the last two axes; the coordinates are artanh of partial correlations.

    R = L Lᵀ with L[i,j] = z[i,j] √∏ₖ(1 - z[i,k]²) over k < j below the diagonal, L[i,i] = √∏ₖ(1 - z[i,k]²) over k < i,
    and z[i,j] = tanh v[i,j], the correlation of variables i and j given the variables before j (Lewandowski, Kurowicka
    and Joe, 2009, section 2; the transform of Stan's `cholesky_factor_corr`).

    Parameters
    ----------
    *sizes : int
        `Correlation(d)` is one d × d matrix; otherwise the shape of the array, whose last two sizes agree.

    Notes
    -----
    Far out, where several partial correlations are 1 up to rounding, the matrix is one only up to rounding.
    """

    axes = 2

    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape[:-2]) * _triangle(shape[-1] - 1)

    def flatten(self, value: FloatArray) -> FloatArray:
        factor = np.linalg.cholesky(value)
        i, j = np.tril_indices(value.shape[-1], -1)
        tails = np.cumsum(factor[..., ::-1] ** 2, axis=-1)[..., ::-1]
        # With r² the sum of squares after j, z = L / √(L² + r²), and artanh z = arsinh(L / r) loses nothing near ±1.
        return np.ravel(np.arcsinh(factor[..., i, j] / np.sqrt(tails[..., i, j + 1])))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        d = shape[-1]
        entries = xp.reshape(vector, (*shape[:-2], _triangle(d - 1)))
        lines = _lower_triangle(xp.clip(entries, -_LARGEST_ARTANH, _LARGEST_ARTANH), d, -1, xp)
        # log √(1 - tanh² v) = -log cosh v, smooth at 0 and exact far out.
        logs = np.log(2.0) - xp.logaddexp(lines, -lines)
        before = xp.concatenate([xp.zeros((*shape[:-1], 1)), xp.cumsum(logs, axis=-1)[..., :-1]], axis=-1)
        factor = (xp.tanh(lines) + np.eye(d)) * xp.exp(before)
        value: FloatArray = xp.where(np.eye(d, dtype=bool), 1.0, factor @ xp.swapaxes(factor, -1, -2))
        return value

    def _holds(self, value: FloatArray) -> bool:
        ones = np.diagonal(value, axis1=-2, axis2=-1)
        return _is_positive_definite(value) and bool(np.all(np.abs(ones - 1) <= 1e-8))

    def _names(self, labels: Array) -> list[str]:
        i, j = np.tril_indices(labels.shape[-1], -1)
        return [f"artanh {label} (partial)" for label in labels[..., i, j].ravel()]


@dataclass(frozen=True, init=False, repr=False)
class LowerTriangular(Shaped):
    """Square matrices on the last two axes that are zero above the diagonal; the coordinates are the other entries.

    The diagonal is free and may have any sign; for a Cholesky factor, whose diagonal is positive, take
    `PositiveDefinite` and factor it.

    Parameters
    ----------
    *sizes : int
        `LowerTriangular(d)` is one d × d matrix; otherwise the shape of the array, whose last two sizes agree.
    """

    axes = 2

    def n_free(self, shape: tuple[int, ...]) -> int:
        return count(shape[:-2]) * _triangle(shape[-1])

    def flatten(self, value: FloatArray) -> FloatArray:
        return np.ravel(_entries_of_triangle(value))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        entries = xp.reshape(vector, (*shape[:-2], _triangle(shape[-1])))
        return _lower_triangle(entries, shape[-1], 0, xp)

    def _holds(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value)) and np.all(np.triu(value, 1) == 0))

    def _names(self, labels: Array) -> list[str]:
        return list(_entries_of_triangle(labels).ravel())

    def _free_coordinates(self, free: Array) -> Array:
        return np.ravel(_entries_of_triangle(free))


def _triangle(d: int) -> int:
    return d * (d + 1) // 2


def _lower_triangle(entries: FloatArray, d: int, diagonal: int, xp: Any) -> FloatArray:
    """Matrices (..., d, d) with the entries, row by row, up to the diagonal (0) or below it (-1), else zero."""
    i, j = np.tril_indices(d, diagonal)
    place = np.full((d, d), len(i))
    place[i, j] = np.arange(len(i))
    return pick(entries, place, xp)


def _entries_of_triangle(value: Array) -> Array:
    """The entries (..., d(d+1)/2) on and below the diagonal, row by row."""
    i, j = np.tril_indices(value.shape[-1])
    return value[..., i, j]


def _is_positive_definite(value: FloatArray) -> bool:
    """Whether matrices are finite, symmetric up to rounding at any scale, and have Cholesky factors."""
    if not np.all(np.isfinite(value)):
        return False
    try:
        np.linalg.cholesky(value)
    except np.linalg.LinAlgError:
        return False
    root = np.sqrt(np.diagonal(value, axis1=-2, axis2=-1))
    skew = np.abs(value - np.swapaxes(value, -1, -2)) / (root[..., :, None] * root[..., None, :])
    return bool(np.all(skew <= 1e-8))
