"""The spectrum of the EM map at a fixed point: how fast EM is, and whether the point is a maximum.

In the free directions ∂M = I - I_c⁻¹ I_o: with μ and v from I_o v = μ I_c v, an EM step shrinks v by λ = 1 - μ, which
is the fraction of the information along v that is missing.  All μ > 0: a strict local maximum; one μ < 0: a saddle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from .._typing import Array, FloatArray
from .linearize import Linearized

# Differences of second order are off by some 1e-7 of I_c; ten times that cannot be told from zero.
SURE = 1e-6


@dataclass(frozen=True)
class Spectrum:
    """Curvature relative to that of the complete data, along directions in order of growing curvature.

    Attributes
    ----------
    curvatures : (m,)
        μ: eigenvalues of I_c⁻¹ I_o, smallest first.
    vectors : (m, m)
        Their directions v in the free directions, columns, with vᵀ I_c v = 1 each.
    error : float
        What the curvatures may be off by.
    rates : (m,) complex
        Eigenvalues of ∂M, the largest in magnitude first: λ, if the steps are EM's.
    metric : (m, m)
        I_c; where that is not positive definite (a Q that has no strict maximum) the magnitude of it.
    """

    curvatures: FloatArray
    vectors: FloatArray
    error: float
    rates: Array
    metric: FloatArray
    proper: bool

    @property
    def rate(self) -> float:
        """By what EM's steps shrink in the end: the largest eigenvalue of ∂M in magnitude; 0 where nothing is free."""
        return float(np.abs(self.rates[0])) if len(self.rates) else 0.0

    @property
    def missing(self) -> float:
        """The largest fraction of missing information, 1 - μ; NaN where the complete data do not identify θ."""
        if not self.proper:
            return float("nan")
        return float(1 - self.curvatures[0]) if len(self.curvatures) else 0.0

    @property
    def flat(self) -> Array:
        """Directions whose curvature cannot be told from zero."""
        return np.asarray(np.abs(self.curvatures) <= self.error)

    @property
    def rising(self) -> Array:
        """Directions along which the objective surely rises both ways."""
        return np.asarray(self.curvatures < -self.error)

    def away(self, score: FloatArray, units: float) -> Spectrum:
        """The same for a point whose score is not zero: on a curved ridge that alone looks like curvature.

        Parameters
        ----------
        score : (m,)
            In the free directions.
        units : float
            About how many observations there are.
        """
        standard = float(np.linalg.norm(self.vectors.T @ score))
        return replace(self, error=self.error + standard / np.sqrt(units))


def spectrum(linear: Linearized) -> Spectrum:
    """Eigenvalues of the curvature and of the EM map."""
    metric, proper = _positive(linear.complete)
    rates = np.linalg.eigvals(linear.em_map) if len(linear.em_map) else np.empty(0)
    rates = rates[np.argsort(-np.abs(rates))]
    if not len(metric):
        return Spectrum(np.empty(0), metric, SURE, rates, metric, proper)
    curvatures, vectors = eigh(linear.observed, metric)
    skew = vectors.T @ linear.skew @ vectors
    error = max(SURE, 10 * float(np.linalg.norm(skew, 2)))
    return Spectrum(curvatures, vectors, error, rates, metric, proper)


def _positive(matrix: FloatArray) -> tuple[FloatArray, bool]:
    """The matrix if it is positive definite beyond rounding, else one with the magnitudes of its eigenvalues."""
    if not len(matrix):
        return matrix, True
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(matrix)), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    least = 1e-9 * max(float(np.abs(values).max()), np.finfo(float).tiny)
    if values[0] > least:
        return matrix, True
    root = vectors * np.sqrt(np.maximum(np.abs(values), least))
    return np.asarray(root @ root.T * np.outer(scale, scale)), False

