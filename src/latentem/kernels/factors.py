"""Loadings and noise of factors from a covariance matrix: closed forms, Newton's method, and EM steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtri

from .._typing import FloatArray

# EM steps on the covariance with which a start is made.
START_STEPS = 40
# Newton's steps at most, each at most this far in log ψ; none is taken where a uniqueness is below the least, as it may
# be on its way to zero.  It has arrived where what a step promises is lost in rounding, in units of p eps.
NEWTON_STEPS, LONGEST_STEP, LEAST_SHARE, ROUNDING = 12, 1.0, 0.02, 256
# The longest step after which eigenvectors are moved instead of found anew: they are then off by its square.
SHORT_STEP = 0.005


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
    values : (p,)
        λ, the largest first.
    vectors : (p, p)
        ω.  After a short step only the first q, and their λ, are new.
    root : (p,)
        Ψ^½.
    scaled : (p, p)
        S*.
    n_factors : int
        q.
    """

    value: float
    slope: FloatArray
    values: FloatArray
    vectors: FloatArray
    root: FloatArray
    scaled: FloatArray
    n_factors: int

    @classmethod
    def of(cls, covariance: FloatArray, log_noise: FloatArray, q: int) -> Profile:
        """At these log ψ (p,)."""
        root = np.exp(0.5 * log_noise)
        scaled = covariance / (root[:, None] * root)
        values, vectors = np.linalg.eigh(scaled)
        return cls._made(scaled, root, values[::-1], vectors[:, ::-1], q)

    def after(self, covariance: FloatArray, log_noise: FloatArray) -> Profile:
        """At other log ψ (p,) that are near: the eigenvectors turn by what is left of S* ω - λ ω (Davidson 1975).

        ω is off by the square of the step then, and λ by the square of that.
        """
        q, root = self.n_factors, np.exp(0.5 * log_noise)
        scaled = covariance / (root[:, None] * root)
        before, rest = self.vectors[:, :q], self.vectors[:, q:]
        image = scaled @ before
        near = np.sum(before * image, axis=0)
        turn = rest @ ((rest.T @ (image - before * near)) / (near - self.values[q:, None]))
        basis = np.linalg.qr(before + turn)[0]
        values, rotation = np.linalg.eigh(basis.T @ scaled @ basis)
        values = np.concatenate([values[::-1], self.values[q:]])
        vectors = np.concatenate([basis @ rotation[:, ::-1], rest], axis=1)
        return self._made(scaled, root, values, vectors, q)

    @classmethod
    def _made(cls, scaled: FloatArray, root: FloatArray, values: FloatArray, vectors: FloatArray, q: int) -> Profile:
        own, over = np.diagonal(scaled), np.maximum(values[:q] - 1.0, 0.0)
        value = 2 * np.log(root).sum() + own.sum() + np.sum(np.log1p(over) - over)
        return cls(float(value), 1.0 - own + vectors[:, :q] ** 2 @ over, values, vectors, root, scaled, q)

    @property
    def is_whole(self) -> bool:
        """Whether all q factors have loadings."""
        return bool(np.all(self.values[: self.n_factors] > 1))

    @property
    def loadings(self) -> FloatArray:
        """(p, q): the best, Ψ^½ ω (λ - 1)^½, with positive sums of columns; zero for a factor whose λ is below 1."""
        leading = slice(self.n_factors)
        size = np.sqrt(np.maximum(self.values[leading] - 1.0, 0.0))
        loadings = self.root[:, None] * self.vectors[:, leading] * size
        return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0))

    def newton_step(self) -> FloatArray:
        """In log ψ, with the Hessian (I - ω ωᵀ) ∘ (S* - ω λ ωᵀ), of which the rest vanishes where the model holds.

        Jöreskog (1967) has the squares of the first factor alone, which is the same there.
        """
        leading = self.vectors[:, : self.n_factors]
        rest = np.eye(len(self.root)) - leading @ leading.T
        left = self.scaled - (leading * self.values[: self.n_factors]) @ leading.T
        return np.asarray(np.linalg.solve(rest * left, -self.slope))


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
    place = np.log(noise)
    here = Profile.of(covariance, place, q)
    for _ in range(NEWTON_STEPS):
        if np.any(place < least) or not here.is_whole:
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
        length = np.abs(step).max()
        place = place + step * min(1.0, LONGEST_STEP / length)
        there = here.after(covariance, place) if length < SHORT_STEP else Profile.of(covariance, place, q)
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
