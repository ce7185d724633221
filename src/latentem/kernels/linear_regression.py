"""y = C w + e, e ~ N(0, R), from moments: coefficients and noise that maximize Q, some held and some equal.

Σ E[y wᵀ] and Σ E[w wᵀ] are all that the coefficients ask for; Σ E[y yᵀ] is asked by the noise (its diagonal, where R is
diagonal).  The emission of a linear Gaussian model is such a regression, and so is the transition of its states.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from .._typing import Array, FloatArray
from .gaussian import LOG_2PI, floor_eigenvalues, keep_definite

MOST_ROUNDS = 500
STANDS_STILL = 1e-13
# A share of the largest eigenvalue of a Gram matrix below which a direction is undetermined.
UNDETERMINED = 1e-14
SMALLEST_VARIANCE = 1e-150


@dataclass(frozen=True, eq=False)
class Moments:
    """Expected moments of a regression.

    Attributes
    ----------
    count : float
        Σ w.
    gram : (a, a), or (p, a, a)
        Σ E[w wᵀ]; one for each column of y where they differ (and the noise is diagonal).
    cross : (p, a)
        Σ E[y wᵀ].
    square : (p,) or (p, p)
        Σ E[y²], or Σ E[y yᵀ].
    """

    count: float
    gram: FloatArray
    cross: FloatArray
    square: FloatArray

    def scatter(self, coefficients: FloatArray) -> FloatArray:
        """Σ E[(y - C w)²], or the matrix Σ E[(y - C w)(y - C w)ᵀ]."""
        change = self.fitted(coefficients) - self.cross
        if self.square.ndim == 1:
            terms = np.einsum("pa,pa->p", change, coefficients) - np.einsum("pa,pa->p", self.cross, coefficients)
            return np.maximum(self.square + terms, 0.0)
        matrix = self.square + change @ coefficients.T - coefficients @ self.cross.T
        return 0.5 * (matrix + matrix.T)

    def fitted(self, coefficients: FloatArray) -> FloatArray:
        """(p, a): Σ E[C w wᵀ]."""
        if self.gram.ndim == 2:
            return coefficients @ self.gram
        return np.asarray(np.einsum("pa,pab->pb", coefficients, self.gram))

    def gram_of(self, row: int) -> FloatArray:
        """(a, a): Σ E[w wᵀ] of a column of y."""
        return self.gram if self.gram.ndim == 2 else np.asarray(self.gram[row])


@dataclass(frozen=True, eq=False)
class Freedom:
    """What may move.

    Attributes
    ----------
    coefficients : (p, a) int
        Entries with one number are equal; those with -1 are held.
    noise : (p,) int or None
        The same for the variances; None: R is a free matrix.
    floor : (p,)
        The least variance (or eigenvalue, in these units) of what is free.
    is_plain : bool
        What `is_plain` says of the coefficients.
    """

    coefficients: Array
    noise: Array | None
    floor: FloatArray
    is_plain: bool

    @cached_property
    def is_same_in_all_rows(self) -> bool:
        """Whether the same coefficients are held in all rows and no others are equal: then R does not enter."""
        free = self.coefficients >= 0
        return self.is_plain or (
            bool(np.all(free == free[:1])) and len(np.unique(self.coefficients[free])) == free.sum()
        )

    @property
    def binds_rows(self) -> bool:
        """Whether coefficients of different rows are equal."""
        rows = [np.unique(row[row >= 0]) for row in self.coefficients]
        return len(np.unique(np.concatenate(rows))) < sum(map(len, rows))


def gram_with_one(weights: FloatArray, columns: FloatArray, is_even: bool = False) -> FloatArray:
    """(1 + c, 1 + c): Σ w g gᵀ with g = (1, columns); `is_even` says that all weights are 1."""
    below = cross_with_one(weights, columns, columns, is_even)
    return np.concatenate([np.append(weights.sum(), below[:, 0])[None], below])


def cross_with_one(weights: FloatArray, rows: FloatArray, columns: FloatArray, is_even: bool = False) -> FloatArray:
    """(r, 1 + c): Σ w y gᵀ with g = (1, columns), which is never made: long and thin, it would cost more than this."""
    weighted = rows if is_even else rows * weights[:, None]
    return np.concatenate([(weights @ rows)[:, None], weighted.T @ columns], axis=1)


def is_plain(groups: Array) -> bool:
    """Whether no coefficient is held or equal to another."""
    return bool(np.all(groups >= 0)) and len(np.unique(groups)) == groups.size


def maximize(
    moments: Moments, coefficients: FloatArray, noise: FloatArray, freedom: Freedom
) -> tuple[FloatArray, FloatArray]:
    """The coefficients (p, a) and the noise (p,) or (p, p) that maximize Q, from current ones within the constraints.

    Each row is a least squares problem of its own unless constraints meet a noise matrix, or bind rows together: then
    the maximizer of either given the other is taken in turns (ECM, Meng and Rubin 1993) until both stand still.
    """
    if moments.count <= SMALLEST_VARIANCE:
        return coefficients, noise
    together = not freedom.is_same_in_all_rows and (noise.ndim == 2 or freedom.binds_rows)
    if not together:
        coefficients = _row_by_row(moments, coefficients, freedom)
        return coefficients, noise_of(moments.scatter(coefficients), moments.count, noise, freedom)
    for _ in range(MOST_ROUNDS):
        before, then = coefficients, noise
        coefficients = _jointly(moments, coefficients, noise, freedom.coefficients)
        noise = noise_of(moments.scatter(coefficients), moments.count, noise, freedom)
        if _close(coefficients, before) and _close(noise, then):
            break
    return coefficients, noise


def noise_of(scatter: FloatArray, count: float, current: FloatArray, freedom: Freedom) -> FloatArray:
    """R from the scatter of the residuals: means over equal variances, at least the floor; held ones as they are."""
    if freedom.noise is None:
        return keep_definite(floor_eigenvalues(scatter[None] / count, freedom.floor))[0]
    if current.ndim == 2:
        return current
    free = freedom.noise >= 0
    groups = freedom.noise[free]
    sums, sizes = np.bincount(groups, scatter[free] / count), np.bincount(groups)
    means = (sums / np.maximum(sizes, 1))[groups]
    updated = current.copy()
    updated[free] = np.maximum(means, np.maximum(freedom.floor[free], SMALLEST_VARIANCE))
    return updated


def expected_log_normal(scatter: FloatArray, count: float, noise: FloatArray) -> float:
    """-½ [n p log 2π + n log|R| + tr(R⁻¹ S)]; directions without noise, which cannot deviate, are left out."""
    if noise.ndim == 1:
        real = noise > 0
        return float(-0.5 * np.sum(count * (LOG_2PI + np.log(noise[real])) + scatter[real] / noise[real]))
    inverse, log_det, rank = precision(noise)
    return float(-0.5 * (count * (rank * LOG_2PI + log_det) + np.sum(inverse * scatter)))


def inverse_variances(noise: FloatArray) -> FloatArray:
    """1/σ², and 0 where there is no noise."""
    return np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0)


def precision(noise: FloatArray) -> tuple[FloatArray, float, int]:
    """R⁻¹ (p, p), log|R| and the rank of a noise matrix; where it is singular, on the directions that have noise."""
    values, vectors = np.linalg.eigh(noise)
    real = values > UNDETERMINED * max(values[-1], 0.0)
    inverse = (vectors[:, real] / values[real]) @ vectors[:, real].T
    return inverse, float(np.log(values[real]).sum()), int(real.sum())


def _row_by_row(moments: Moments, coefficients: FloatArray, freedom: Freedom) -> FloatArray:
    slope, is_one = moments.cross - moments.fitted(coefficients), moments.gram.ndim == 2
    if freedom.is_plain and is_one:
        return coefficients + _solved(moments.gram, slope)
    updated = coefficients.copy()
    if is_one and freedom.is_same_in_all_rows:
        free = freedom.coefficients[0] >= 0
        if free.any():
            updated[:, free] += _solved(moments.gram[np.ix_(free, free)], slope[:, free])
        return updated
    for row, groups in enumerate(freedom.coefficients):
        free = groups >= 0
        if free.any():
            which = _indicators(groups[free])
            gram = which.T @ moments.gram_of(row)[np.ix_(free, free)] @ which
            updated[row, free] += which @ _solved(gram, slope[row, free] @ which)
    return updated


def _jointly(moments: Moments, coefficients: FloatArray, noise: FloatArray, groups: Array) -> FloatArray:
    """All rows at once, given R.  What stands in a row without noise cannot move under EM, and stays."""
    variances = noise if noise.ndim == 1 else np.diagonal(noise)
    stuck = np.isin(groups, groups[variances <= 0])
    free = ((groups >= 0) & ~stuck).ravel()
    if not free.any():
        return coefficients
    weight = np.diag(inverse_variances(noise)) if noise.ndim == 1 else precision(noise)[0]
    slope = weight @ (moments.cross - moments.fitted(coefficients))
    which = _indicators(groups.ravel()[free])
    if moments.gram.ndim == 2:
        whole = np.kron(weight, moments.gram)
    else:
        whole = block_diag(*(np.diagonal(weight)[:, None, None] * moments.gram))
    gram = which.T @ whole[np.ix_(free, free)] @ which
    updated = coefficients.ravel().copy()
    updated[free] += which @ _solved(gram, slope.ravel()[free] @ which)
    return updated.reshape(coefficients.shape)


def _indicators(groups: Array) -> FloatArray:
    """(entries, groups): 1 where an entry belongs to a group."""
    return (groups[:, None] == np.unique(groups)).astype(float)


def _solved(gram: FloatArray, right: FloatArray) -> FloatArray:
    """`right` times the inverse of a Gram matrix scaled to diagonal 1; 0 in directions that it does not see."""
    scale = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(gram * inverse[:, None] * inverse)
    seen = values > UNDETERMINED * max(values[-1], 0.0) * len(values)
    kept = vectors[:, seen]
    return np.asarray((((right * inverse) @ kept) / values[seen]) @ kept.T * inverse)


def _close(a: FloatArray, b: FloatArray) -> bool:
    return bool(np.all(np.abs(a - b) <= STANDS_STILL * (np.abs(a).max() + np.abs(b).max())))
