"""Loadings and noise of factors from a covariance matrix: closed forms, Newton's method, and EM steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dormqr, dpotrf, dpotrs, dstemr, dsytrd, dtrtri

from .._typing import FloatArray

# EM steps on the covariance with which a start is made.
START_STEPS = 40
# Newton's steps at most, each at most this far in log ψ; none is taken where a uniqueness is below the least, as it may
# be on its way to zero.  It has arrived where what a step promises is lost in rounding, in units of p eps.
NEWTON_STEPS, LONGEST_STEP, LEAST_SHARE, ROUNDING = 12, 1.0, 0.02, 256
# The longest step after which the same Hessian serves again.
SHORT_STEP = 0.005
# Where fewer than this share of the eigenvectors are asked for, the others are not found.
FEW = 0.25


@dataclass(frozen=True, eq=False)
class Profile:
    """The likelihood of uniquenesses ψ, each with its best loadings (Lawley and Maxwell 1971, chapter 4).

    With λ and ω the leading q eigenvalues and eigenvectors of S* = Ψ^-½ S Ψ^-½, per row and up to constants
    -2 ℓ / n = f = Σ log ψ + Σ (log λ + 1) + (tr S* - Σ λ), and ∂f / ∂ log ψᵢ = 1 - S*ᵢᵢ + Σ (λ - 1) ωᵢ².

    Attributes
    ----------
    value : float
        f.
    slope : (p,)
        By log ψ.
    values : (q,)
        λ, the largest first.
    vectors : (p, q)
        ω.
    root : (p,)
        Ψ^½.
    scaled : (p, p)
        S*.
    """

    value: float
    slope: FloatArray
    values: FloatArray
    vectors: FloatArray
    root: FloatArray
    scaled: FloatArray

    @classmethod
    def of(cls, covariance: FloatArray, log_noise: FloatArray, q: int) -> Profile:
        """At these log ψ (p,)."""
        root = np.exp(0.5 * log_noise)
        scaled = covariance / (root[:, None] * root)
        values, vectors = leading_eigenpairs(scaled, q)
        own, over = np.diagonal(scaled), np.maximum(values - 1.0, 0.0)
        value = log_noise.sum() + own.sum() + np.sum(np.log1p(over) - over)
        return cls(float(value), 1.0 - own + vectors**2 @ over, values, vectors, root, scaled)

    @property
    def is_whole(self) -> bool:
        """Whether all q factors have loadings."""
        return bool(np.all(self.values > 1))

    @property
    def loadings(self) -> FloatArray:
        """(p, q): the best, Ψ^½ ω (λ - 1)^½, with positive sums of columns; zero for a factor whose λ is below 1."""
        loadings = self.root[:, None] * self.vectors * np.sqrt(np.maximum(self.values - 1.0, 0.0))
        return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))

    def hessian_factor(self) -> FloatArray | None:
        """Of (I - ω ωᵀ) ∘ (S* - ω λ ωᵀ), by log ψ, without what vanishes where the model holds; None where it has none.

        Jöreskog (1967) has the squares of the first factor alone, which is the same there.
        """
        rest = np.eye(len(self.root)) - self.vectors @ self.vectors.T
        left = self.scaled - (self.vectors * self.values) @ self.vectors.T
        factor, info = dpotrf(rest * left)
        return np.asarray(factor) if info == 0 else None

    def newton_step(self, factor: FloatArray) -> FloatArray:
        """In log ψ, with a factor of the Hessian, here or at a place nearby."""
        return np.asarray(-dpotrs(factor, self.slope)[0])


def likely_factors(covariance: FloatArray, q: int, floor: float) -> tuple[FloatArray, FloatArray]:
    """Loadings (p, q) and noise (p,) near a maximum of the likelihood: where EM starts.

    From ψᵢ = (1 - q / 2p) / (S⁻¹)ᵢᵢ (Jöreskog 1967) by Newton's method; where that does not arrive, as where some ψ
    tends to zero or q factors are too many, by EM steps, which always ascend.
    """
    whiten = dtrtri(np.linalg.cholesky(covariance), lower=1)[0]
    noise = (1 - 0.5 * q / len(covariance)) / np.sum(whiten**2, axis=0)
    found = _by_newton(covariance, noise, q, floor)
    if found is not None:
        return found
    return stepped(covariance, loadings_given_noise(covariance, noise, q), noise, floor)


def _by_newton(covariance: FloatArray, noise: FloatArray, q: int, floor: float) -> tuple[FloatArray, FloatArray] | None:
    """Where Newton's method leads, downhill all the way; None where it does not arrive."""
    least = np.log(np.maximum(LEAST_SHARE * np.diagonal(covariance), 2 * floor))
    near = ROUNDING * float(np.finfo(float).eps) * len(noise)
    place, factor = np.log(noise), None
    here = Profile.of(covariance, place, q)
    for _ in range(NEWTON_STEPS):
        if np.any(place < least) or not here.is_whole:
            return None
        factor = here.hessian_factor() if factor is None else factor
        if factor is None:
            return None
        step = here.newton_step(factor)
        promised = -0.5 * float(here.slope @ step)
        if not 0 <= promised < np.inf:
            return None
        if promised <= near:
            return here.loadings, here.root**2
        length = np.abs(step).max()
        factor = factor if length < SHORT_STEP else None
        place = place + step * min(1.0, LONGEST_STEP / length)
        there = Profile.of(covariance, place, q)
        if not there.value <= here.value + near:
            return None
        here = there
    return None


def leading_eigenpairs(matrix: FloatArray, q: int) -> tuple[FloatArray, FloatArray]:
    """The q largest eigenvalues (q,) of a symmetric matrix (p, p), the largest first, and their vectors (p, q).

    By its tridiagonal form where q is a small share of p (`FEW`): the other vectors would take most of the time.
    """
    p = len(matrix)
    if 0 < q < FEW * p:
        reduced, diagonal, beside, reflections, info = dsytrd(matrix, lower=1)
        found, values, vectors, info = dstemr(diagonal, np.append(beside, 0.0), 2, 0.0, 1.0, p - q + 1, p)
        if info == 0 and found == q and np.all(np.isfinite(values[:q])):
            turned = np.asfortranarray(vectors[:, :q])
            turned[1:] = dormqr("L", "N", reduced[1:, :-1], reflections, turned[1:], 32 * q)[0]
            return values[:q][::-1], turned[:, ::-1]
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1][:q], vectors[:, ::-1][:, :q]


def loadings_given_noise(covariance: FloatArray, noise: FloatArray, q: int) -> FloatArray:
    """The loadings (p, q) that maximize the likelihood given noise variances (p,): Λ = Ψ^½ U (L - I)^½.

    U and L are the leading eigenvectors and eigenvalues of Ψ^-½ S Ψ^-½ (Lawley 1940; Jöreskog 1967); in this order and
    with positive sums of columns they are unique: Λᵀ Ψ⁻¹ Λ is diagonal.
    """
    return Profile.of(covariance, np.log(noise), q).loadings


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
