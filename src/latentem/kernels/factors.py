"""Loadings and noise of factors from a covariance matrix: closed forms, Newton's method, and EM steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray

# EM steps on the covariance with which a start is made.
START_STEPS = 40
# Newton's steps at most, each at most this far in log ψ; none is taken where a uniqueness is below the least, as it may
# be on its way to zero.  It has arrived where what a step promises is lost in rounding, in units of p eps.
NEWTON_STEPS, LONGEST_STEP, LEAST_SHARE, ROUNDING = 12, 1.0, 0.02, 64


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
    vectors : (p, q)
    sizes : (q,)
        Λ = Ψ^½ ω (λ - 1)^½: these square roots; a factor whose λ is below 1 has none.
    root : (p,)
        Ψ^½.
    """

    value: float
    slope: FloatArray
    vectors: FloatArray
    sizes: FloatArray
    root: FloatArray

    @classmethod
    def of(cls, covariance: FloatArray, log_noise: FloatArray, q: int) -> Profile:
        """At these log ψ (p,)."""
        root = np.exp(0.5 * log_noise)
        scaled = covariance / (root[:, None] * root)
        values, vectors = np.linalg.eigh(scaled)
        values, vectors = values[::-1][:q], vectors[:, ::-1][:, :q]
        own, over = np.diagonal(scaled), np.maximum(values - 1.0, 0.0)
        value = log_noise.sum() + own.sum() + float(np.sum(np.log1p(over) - over))
        return cls(float(value), 1.0 - own + vectors**2 @ over, vectors, np.sqrt(over), root)

    @property
    def loadings(self) -> FloatArray:
        """(p, q): the best, with positive sums of columns."""
        loadings = self.root[:, None] * self.vectors * self.sizes
        return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))

    def newton_step(self) -> FloatArray:
        """In log ψ, with the Hessian that holds where the model does: squares of I - ω ωᵀ (Jöreskog 1967)."""
        rest = np.eye(len(self.root)) - self.vectors @ self.vectors.T
        return np.asarray(np.linalg.solve(rest**2, -self.slope))


def likely_factors(covariance: FloatArray, q: int, floor: float) -> tuple[FloatArray, FloatArray]:
    """Loadings (p, q) and noise (p,) near a maximum of the likelihood: where EM starts.

    From ψᵢ = (1 - q / 2p) / (S⁻¹)ᵢᵢ (Jöreskog 1967) by Newton's method; where that does not arrive, as where some ψ
    tends to zero or q factors are too many, by EM steps, which always ascend.
    """
    noise = (1 - 0.5 * q / len(covariance)) / np.diagonal(np.linalg.inv(covariance))
    found = _by_newton(covariance, noise, q, floor)
    if found is not None:
        return found
    return stepped(covariance, loadings_given_noise(covariance, noise, q), noise, floor)


def _by_newton(covariance: FloatArray, noise: FloatArray, q: int, floor: float) -> tuple[FloatArray, FloatArray] | None:
    """Where Newton's method leads, downhill all the way; None where it does not arrive."""
    least = np.log(np.maximum(LEAST_SHARE * np.diagonal(covariance), 2 * floor))
    near = ROUNDING * float(np.finfo(float).eps) * len(noise)
    place = np.log(noise)
    here = Profile.of(covariance, place, q)
    for _ in range(NEWTON_STEPS):
        if np.any(place < least) or not np.all(here.sizes > 0):
            return None
        try:
            step = here.newton_step()
        except np.linalg.LinAlgError:
            return None
        promised = -0.5 * float(here.slope @ step)
        if not 0 <= promised < np.inf:
            return None
        if promised <= near:
            return here.loadings, here.root**2
        place = place + step * min(1.0, LONGEST_STEP / np.abs(step).max())
        there = Profile.of(covariance, place, q)
        if not there.value <= here.value + near:
            return None
        here = there
    return None


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
