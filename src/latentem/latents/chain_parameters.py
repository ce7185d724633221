"""Parameters and statistics of a chain of normal vectors, with entries held and equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..domains.matrices import Noise
from ..errors import ParameterError
from ..kernels.linear_regression import Moments
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..patterns import means_of, spread
from ..statistics import Reference, Statistics


@dataclass(frozen=True, eq=False)
class ChainLayout:
    """Which numbers are free.

    Attributes
    ----------
    coefficients : (q, 1 + m + q) int
        Groups of equal entries of b, B and A side by side, -1 where held.
    noise : (q,) int or None
        Groups of equal variances of Q; None: the matrix is free, in the rows and columns of `moving`.
    moving : (q,) int
        The coordinates whose noise is not held at zero.
    initial : tuple of {"mean", "covariance"}
        What is free of z₁.
    """

    coefficients: Array
    noise: Array | None
    moving: Array
    initial: tuple[str, ...]


@dataclass(frozen=True)
class NormalChainParameters(Parameters):
    """z₁ ~ N(m, V), zₜ = A zₜ₋₁ + b + B uₜ + wₜ, wₜ ~ N(0, Q).

    Attributes
    ----------
    transition : (q, q)
        A.
    shift : (q,)
        b.
    noise : (q,) or (q, q)
        The variances of Q where it is diagonal, else Q.
    inputs : (q, m)
        B.
    initial_mean, initial_covariance : (q,), (q, q)
        m and V; in coordinates with a diffuse or stationary start they say nothing.
    layout : ChainLayout or None
        What is held or equal; without one all is free.
    """

    transition: FloatArray = parameter(Real())
    shift: FloatArray = parameter(Real())
    noise: FloatArray = parameter(Noise())
    inputs: FloatArray = parameter(Real())
    initial_mean: FloatArray = parameter(Real())
    initial_covariance: FloatArray = parameter(Noise())
    layout: ChainLayout | None = None

    @property
    def coefficients(self) -> FloatArray:
        """(q, 1 + m + q): b, B and A side by side."""
        return np.concatenate([self.shift[:, None], self.inputs, self.transition], axis=1)

    def with_coefficients(self, coefficients: FloatArray) -> NormalChainParameters:
        """The parameters with b, B and A taken from (q, 1 + m + q)."""
        m = self.inputs.shape[1]
        return replace(
            self, shift=coefficients[:, 0], inputs=coefficients[:, 1 : 1 + m], transition=coefficients[:, 1 + m :]
        )

    @property
    def noise_matrix(self) -> FloatArray:
        """(q, q): Q."""
        return np.diag(self.noise) if self.noise.ndim == 1 else self.noise

    @cached_property
    def groups(self) -> ChainLayout:
        """The layout, made where there is none."""
        if self.layout is not None:
            return self.layout
        q, a = self.coefficients.shape
        noise = np.arange(q) if self.noise.ndim == 1 else None
        return ChainLayout(np.arange(q * a).reshape(q, a), noise, np.arange(q), ("mean", "covariance"))

    @property
    def reference(self) -> Reference:
        """What statistics at these parameters are relative to."""
        return Reference(np.concatenate([self.coefficients.ravel(), self.initial_mean]))

    @property
    def n_free(self) -> int:
        return len(self.flatten())

    def flatten(self) -> FloatArray:
        groups = self.groups
        parts = [means_of(groups.coefficients, self.coefficients)]
        if groups.noise is None:
            parts.append(PositiveDefinite().flatten(self.noise[np.ix_(groups.moving, groups.moving)]))
        else:
            parts.append(Positive().flatten(means_of(groups.noise, self.noise)))
        if "mean" in groups.initial:
            parts.append(self.initial_mean)
        if "covariance" in groups.initial:
            parts.append(PositiveDefinite().flatten(self.initial_covariance))
        return np.concatenate(parts)

    def unflatten(self, vector: FloatArray) -> NormalChainParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        groups, q, rest = self.groups, len(self.shift), np.asarray(vector, float)

        def take(size: int) -> FloatArray:
            nonlocal rest
            taken, rest = rest[:size], rest[size:]
            return taken

        free = take(int(groups.coefficients.max(initial=-1)) + 1)
        changes: dict[str, Any] = {}
        if groups.noise is None:
            d = len(groups.moving)
            noise = np.zeros((q, q))
            noise[np.ix_(groups.moving, groups.moving)] = PositiveDefinite().unflatten(take(d * (d + 1) // 2), (d, d))
            changes["noise"] = noise
        else:
            variances = take(int(groups.noise.max(initial=-1)) + 1)
            changes["noise"] = spread(groups.noise, Positive().unflatten(variances, variances.shape), self.noise)
        if "mean" in groups.initial:
            changes["initial_mean"] = take(q)
        if "covariance" in groups.initial:
            changes["initial_covariance"] = PositiveDefinite().unflatten(take(q * (q + 1) // 2), (q, q))
        return replace(self.with_coefficients(spread(groups.coefficients, free, self.coefficients)), **changes)


@dataclass(frozen=True)
class NormalChainStatistics(Statistics):
    """Expected moments of wₜ = zₜ - C₀ gₜ with gₜ = (1, uₜ, zₜ₋₁), and of z₁ - m₀; C₀ = (b, B, A) and m₀ the reference.

    What EM learns of small disturbances of large states would cancel in moments of the states themselves.  Where the
    noise is multiplied, by s, the moments of transitions are divided by it, and those without noise left out.

    Attributes
    ----------
    count : ()
        Transitions, weighted.
    gram : (a, a)
        Σ E[g gᵀ].
    cross : (q, a)
        Σ E[w gᵀ].
    square : (q, q)
        Σ E[w wᵀ].
    first_count, first, second : (), (q,), (q, q)
        Sequences, Σ E[z₁ - m₀] and Σ E[(z₁ - m₀)(z₁ - m₀)ᵀ].
    reference : Reference
    """

    count: FloatArray
    gram: FloatArray
    cross: FloatArray
    square: FloatArray
    first_count: FloatArray
    first: FloatArray
    second: FloatArray
    reference: Reference

    def about(self) -> tuple[FloatArray, FloatArray]:
        """C₀ (q, a) and m₀ (q,)."""
        q = len(self.first)
        return self.reference.point[:-q].reshape(self.cross.shape), self.reference.point[-q:]

    def moments(self, diagonal: bool) -> Moments:
        """As those of a regression of w on g."""
        return Moments(
            float(self.count), self.gram, self.cross, np.diagonal(self.square).copy() if diagonal else self.square
        )

    def start_scatter(self, mean: FloatArray) -> FloatArray:
        """Σ E[(z₁ - m)(z₁ - m)ᵀ] about any m (q,)."""
        by = self.about()[1] - mean
        met = np.outer(self.first, by)
        return np.asarray(self.second + met + met.T + self.first_count * np.outer(by, by))

    def shift(self, reference: Reference) -> NormalChainStatistics:
        """The same moments about other coefficients and another mean of z₁."""
        q = len(self.first)
        before, mean = self.about()
        change = reference.point[:-q].reshape(self.cross.shape) - before
        mixed = self.cross @ change.T
        return replace(
            self,
            cross=self.cross - change @ self.gram,
            square=self.square - mixed - mixed.T + change @ self.gram @ change.T,
            first=self.first + self.first_count * (mean - reference.point[-q:]),
            second=self.start_scatter(reference.point[-q:]),
            reference=reference,
        )
