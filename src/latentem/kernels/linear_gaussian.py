"""z ~ N(0, I) seen through y = Λ z + e, e ~ N(0, R): posteriors of z by an orthogonal factor.

Rows with the same entries observed share one factor; a missing entry is one with no weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtri

from .._typing import Array, FloatArray
from ..errors import ParameterError

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Presence:
    """Which entries rows have: m patterns, each with a row of `seen`.

    Attributes
    ----------
    pattern : (n,) int
        The pattern of each row.
    seen : (m, p) bool
    """

    pattern: Array
    seen: Array

    @classmethod
    def of(cls, observed: Array) -> Presence:
        """The patterns of a table (n, p) of what is observed."""
        if observed.all():
            return cls.complete(*observed.shape)
        codes = np.packbits(observed, axis=1)
        _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        return cls(inverse.ravel(), observed[first])

    @classmethod
    def complete(cls, n: int, p: int) -> Presence:
        """n rows with nothing missing."""
        return cls(np.zeros(n, int), np.ones((1, p), bool))

    @property
    def is_one(self) -> bool:
        return len(self.seen) == 1

    def sums(self, weights: FloatArray) -> FloatArray:
        """(m,): the sum of the weights of each pattern's rows."""
        return np.asarray(np.bincount(self.pattern, weights, minlength=len(self.seen)), float)

    def matrix_sums(self, weights: FloatArray, matrices: FloatArray) -> FloatArray:
        """(m, q, q): the weighted sum over each pattern's rows of matrices (n, q, q), or of one (1, q, q) for all."""
        if len(matrices) == 1 < len(weights):
            return self.sums(weights)[:, None, None] * matrices
        flat = matrices.reshape(len(matrices), -1)
        if self.is_one:
            return np.asarray(weights @ flat).reshape(1, *matrices.shape[1:])
        sums = np.zeros((len(self.seen), flat.shape[1]))
        np.add.at(sums, self.pattern, weights[:, None] * flat)
        return sums.reshape(-1, *matrices.shape[1:])


@dataclass(frozen=True, eq=False)
class Factors:
    """The posterior of z for each pattern: mean = gain · y, and its covariance; both exact for any R ⪰ 0.

    Attributes
    ----------
    gain : (m, q, p)
        Zero for missing entries.
    covariance : (m, q, q)
    log_scale : (m,)
        -½ (o log 2π + log|Σ_oo|), Σ = Λ Λᵀ + R.
    """

    gain: FloatArray
    covariance: FloatArray
    log_scale: FloatArray


@dataclass(frozen=True, eq=False)
class Completed:
    """Rows whose missing entries are expected given z and what is observed of the row.

    Attributes
    ----------
    rows : (n, p)
        With what is expected in place of what is missing.
    slopes : (m, p, q)
        How missing entries depend on z, for each pattern.
    rest : (m, p) or (m, p, p)
        Their variances given z where the noise is diagonal, else their covariances.
    """

    rows: FloatArray
    slopes: FloatArray
    rest: FloatArray

    def hidden_squares(self, spreads: FloatArray, counts: FloatArray) -> FloatArray:
        """Σ w of the (co)variances of missing entries: what z leaves open, and what remains given z."""
        if self.rest.ndim == 2:
            open_ends = np.einsum("mpq,mqr,mpr->p", self.slopes, spreads, self.slopes)
            return np.asarray(open_ends + counts @ self.rest)
        open_ends = np.einsum("mpq,mqr,msr->ps", self.slopes, spreads, self.slopes)
        return np.asarray(open_ends + np.tensordot(counts, self.rest, 1))


def complete(
    deviations: FloatArray,
    observed: Array,
    presence: Presence,
    expected: FloatArray,
    loadings: FloatArray,
    noise: FloatArray,
) -> Completed:
    """Fill in rows y (n, p): `expected` (n, p) is their mean given the rows' E[z], whatever is observed beside it."""
    (p, q), m = loadings.shape, len(presence.seen)
    rows = np.where(observed, deviations, expected)
    if noise.ndim == 1:
        slopes = np.where(presence.seen[:, :, None], 0.0, loadings)
        return Completed(rows, slopes, np.where(presence.seen, 0.0, noise))
    slopes, rest = np.zeros((m, p, q)), np.zeros((m, p, p))
    residuals = np.where(observed, deviations - expected, 0.0)
    for i, seen in enumerate(presence.seen):
        has, lacks = np.flatnonzero(seen), np.flatnonzero(~seen)
        which = np.flatnonzero(presence.pattern == i)
        across = noise[np.ix_(lacks, has)]
        regression = across @ np.linalg.pinv(noise[np.ix_(has, has)], hermitian=True)
        slopes[i][lacks] = loadings[lacks] - regression @ loadings[has]
        rest[i][np.ix_(lacks, lacks)] = noise[np.ix_(lacks, lacks)] - regression @ across.T
        rows[np.ix_(which, lacks)] += residuals[np.ix_(which, has)] @ regression.T
    return Completed(rows, slopes, rest)


def infer(
    deviations: FloatArray, presence: Presence, loadings: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means (n, q), covariances (n, q, q) or (1, q, q), and log densities (n,) of rows y (n, p), zero where missing.

    Raises
    ------
    ParameterError
        Σ = Λ Λᵀ + R of what is observed is singular.
    """
    whiten = _whitening(noise, presence.seen)
    if whiten is None:
        return _infer_densely(deviations, presence, loadings, noise)
    matrices, log_whiten = whiten
    seen = matrices @ loadings if matrices.ndim == 3 else matrices[:, :, None] * loadings
    factors = _factors(seen, matrices, log_whiten, presence.seen.sum(axis=1))
    means = _apply(factors.gain, deviations, presence)
    white = _apply(matrices, deviations, presence) - _apply(seen, means, presence)
    squares = np.einsum("np,np->n", white, white) + np.einsum("nq,nq->n", means, means)
    log_density = factors.log_scale[presence.pattern] - 0.5 * squares
    return means, _by_row(factors.covariance, presence), log_density


def _whitening(noise: FloatArray, seen: Array) -> tuple[FloatArray, FloatArray] | None:
    """R_oo^-½ of each pattern, (m, p) or (m, p, p) with zeros for what is missing, and its log determinant.

    None where R is singular.
    """
    if noise.ndim == 1:
        if not np.all(noise > 0):
            return None
        return np.where(seen, 1 / np.sqrt(noise), 0.0), seen @ (-0.5 * np.log(noise))
    matrices, logs = np.zeros((len(seen), *noise.shape)), np.zeros(len(seen))
    for i, columns in enumerate(map(np.flatnonzero, seen)):
        try:
            factor = np.linalg.cholesky(noise[np.ix_(columns, columns)])
        except np.linalg.LinAlgError:
            return None
        if len(columns):
            matrices[i][np.ix_(columns, columns)] = dtrtri(factor, lower=1)[0]
            logs[i] = -np.log(np.diagonal(factor)).sum()
    return matrices, logs


def _factors(seen: FloatArray, whiten: FloatArray, log_whiten: FloatArray, observed: Array) -> Factors:
    """From L = R^-½ Λ (m, p, q): with [I; L] = Q T, the precision of z is TᵀT and its mean T⁻¹ Q₂ᵀ R^-½ y."""
    m, _, q = seen.shape
    stacked = np.concatenate([np.broadcast_to(np.eye(q), (m, q, q)), seen], axis=1)
    orthogonal, upper = np.linalg.qr(stacked)
    inverse = np.linalg.inv(upper)
    back = inverse @ np.swapaxes(orthogonal[:, q:], 1, 2)
    gain = back @ whiten if whiten.ndim == 3 else back * whiten[:, None, :]
    log_det = np.log(np.abs(np.diagonal(upper, axis1=1, axis2=2))).sum(axis=1)
    log_scale = -0.5 * observed * LOG_2PI + log_whiten - log_det
    return Factors(gain, inverse @ np.swapaxes(inverse, 1, 2), log_scale)


def _infer_densely(
    deviations: FloatArray, presence: Presence, loadings: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same by factors of Σ_oo, where R is singular; covariances as (I - G Λ)(I - G Λ)ᵀ + G R Gᵀ (Joseph)."""
    (n, p), q, m = deviations.shape, loadings.shape[1], len(presence.seen)
    matrix = np.diag(noise) if noise.ndim == 1 else noise
    gain, covariance, log_density = np.zeros((m, q, p)), np.empty((m, q, q)), np.empty(n)
    for i, columns in enumerate(map(np.flatnonzero, presence.seen)):
        some, block = loadings[columns], matrix[np.ix_(columns, columns)]
        try:
            factor = np.linalg.cholesky(some @ some.T + block)
        except np.linalg.LinAlgError as error:
            raise ParameterError(
                f"the covariance of columns {', '.join(map(str, columns))}, loadings times their transpose plus noise, "
                "is singular: give more of these columns a noise variance above zero"
            ) from error
        whiten = np.linalg.inv(factor)
        gain[i][:, columns] = (whiten @ some).T @ whiten
        rest = np.eye(q) - gain[i] @ loadings
        covariance[i] = rest @ rest.T + gain[i][:, columns] @ block @ gain[i][:, columns].T
        rows = np.flatnonzero(presence.pattern == i)
        white = deviations[np.ix_(rows, columns)] @ whiten.T
        scale = -0.5 * len(columns) * LOG_2PI - np.log(np.diagonal(factor)).sum()
        log_density[rows] = scale - 0.5 * np.einsum("np,np->n", white, white)
    return _apply(gain, deviations, presence), _by_row(covariance, presence), log_density


def _apply(matrices: FloatArray, rows: FloatArray, presence: Presence) -> FloatArray:
    """Each row times the matrix (m, a, b), or the diagonal (m, b), of its pattern."""
    if matrices.ndim == 2:
        return rows * matrices[presence.pattern] if not presence.is_one else rows * matrices[0]
    if presence.is_one:
        return np.asarray(rows @ matrices[0].T)
    return np.asarray(np.einsum("nab,nb->na", matrices[presence.pattern], rows))


def _by_row(matrices: FloatArray, presence: Presence) -> FloatArray:
    return matrices if presence.is_one else matrices[presence.pattern]
