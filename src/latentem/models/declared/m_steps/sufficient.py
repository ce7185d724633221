"""Automatic sufficient statistics: from log densities alone, to a few pivot observations that stand for all.

If the complete-data density is an exponential family in θ, then for every label k the functions θ ↦ log p(xₙ, k; θ) of
all observations n span a space of small dimension r, with coefficients that are the same for all k:

    log p(xₙ, k; θ) = Σⱼ Aₙⱼ log p(x₍ⱼ₎, k; θ)          with r pivot observations x₍ⱼ₎,

so Q(θ) = Σₖⱼ Cₖⱼ log p(x₍ⱼ₎, k; θ) with C = R A, R the posterior weights: the M-step no longer depends on n.  A follows
from the log densities at r pairs (θ, k) of probes, which costs r evaluations of the density a row.

Observations with different possible states (log p = -∞ for some k) have pivots of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from ..compiled import Compiled, Values


@dataclass(frozen=True)
class Basis:
    """Pivot observations, and the probes that tell the coefficients of all others.

    Attributes
    ----------
    x, u : (r, D), (r, d)
        The pivots.
    thetas : arrays (P, …)
        Parameters of the probes, padded to a multiple of 8.
    labels : (P,) int
        Their labels.
    inverse : (r, P)
        A = inverse · log densities of the probes.
    patterns : (patterns, L) bool
        Sets of labels that are possible together.
    pattern_of : (r,) int
        The pattern that each pivot belongs to.
    error : float
        Largest reconstruction error met, relative to the largest log density.
    distinct : bool
        Whether the pivots are simply all the distinct observations there are.
    """

    x: FloatArray
    u: FloatArray
    thetas: Values
    labels: Array
    inverse: FloatArray
    patterns: Array
    pattern_of: Array
    error: float
    distinct: bool

    @property
    def rank(self) -> int:
        return len(self.x)

    @property
    def possible(self) -> Array:
        """(L, r) bool: which labels are possible at each pivot."""
        return self.patterns[self.pattern_of].T

    def pairs(self) -> tuple[FloatArray, FloatArray, Array]:
        """x and u of the pivots, once for every label that is possible there, and these labels: label by label."""
        labels, pivots = np.nonzero(self.possible)
        return self.x[pivots], self.u[pivots], labels

    def coefficients(self, functions: Compiled, x: FloatArray, u: FloatArray, values: FloatArray) -> FloatArray:
        """A (r, m) of points with log densities `values` (L, m); NaN where their possible states are new."""
        probed = functions.features(self.thetas, self.labels, x, u)
        if len(self.patterns) == 1 and self.patterns[0].all() and np.isfinite(values).all():
            return np.asarray(self.inverse @ probed)
        belongs = np.all(np.isfinite(values)[None] == self.patterns[:, :, None], axis=1)
        inside = belongs[self.pattern_of]
        used = np.array([np.any(inside[self.inverse[:, p] != 0], axis=0) for p in range(len(self.labels))])
        result = np.where(inside, self.inverse @ np.where(used, probed, 0.0), 0.0)
        result[:, ~belongs.any(axis=0)] = np.nan
        return result

    def at_pivots(self, functions: Compiled, theta: Values) -> FloatArray:
        """log densities of all labels at the pivots, (L, r); 0 where they are impossible."""
        values = functions.values(theta, self.x, self.u)
        return np.where(self.possible, values, 0.0)


@dataclass(frozen=True)
class NoBasis:
    """Why there are no sufficient statistics of a small dimension."""

    reason: str
