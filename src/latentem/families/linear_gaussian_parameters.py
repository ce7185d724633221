"""Parameters and statistics of rows that are linear in a vector with Gaussian noise, with entries held and equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..domains.matrices import Noise
from ..errors import ParameterError
from ..kernels.linear_regression import Moments, is_plain
from ..parameters import Parameters, Positive, PositiveDefinite, Real, parameter
from ..patterns import means_of, spread
from ..statistics import Reference, Statistics


@dataclass(frozen=True, eq=False)
class Layout:
    """Which numbers are free: groups of equal entries, -1 where held.

    Attributes
    ----------
    coefficients : (p, 1 + m + q) int
        Of d, B and Λ side by side.
    noise : (p,) int or None
        Of the variances; None: a free covariance matrix.
    """

    coefficients: Array
    noise: Array | None

    @cached_property
    def is_plain(self) -> bool:
        """Whether no coefficient is held or equal to another; they are then numbered in order."""
        return is_plain(self.coefficients)


@dataclass(frozen=True)
class LinearGaussianParameters(Parameters):
    """Offset d (p,), loadings Λ (p, q), noise R as variances (p,) or a matrix (p, p), weights B (p, m) of the inputs.

    `layout` says what is held or equal; without one all is free.
    """

    offset: FloatArray = parameter(Real())
    loadings: FloatArray = parameter(Real())
    noise: FloatArray = parameter(Noise())
    inputs: FloatArray = parameter(Real())
    layout: Layout | None = None

    @classmethod
    def of(cls, offset: Any, loadings: Any, noise: Any, inputs: Any = None) -> LinearGaussianParameters:
        """Parameters from nested lists or arrays, without inputs unless their weights are given."""
        d, matrix, r = (np.asarray(part, float) for part in (offset, loadings, noise))
        weights = np.empty((len(d), 0)) if inputs is None else np.asarray(inputs, float)
        return cls(d, matrix, r, weights).check()

    @property
    def noise_matrix(self) -> FloatArray:
        """(p, p): R."""
        return np.diag(self.noise) if self.noise.ndim == 1 else self.noise

    @property
    def coefficients(self) -> FloatArray:
        """(p, 1 + m + q): d, B and Λ side by side."""
        return np.concatenate([self.offset[:, None], self.inputs, self.loadings], axis=1)

    def with_coefficients(self, coefficients: FloatArray) -> LinearGaussianParameters:
        """The parameters with d, B and Λ taken from (p, 1 + m + q)."""
        m = self.inputs.shape[1]
        return replace(
            self, offset=coefficients[:, 0], inputs=coefficients[:, 1 : 1 + m], loadings=coefficients[:, 1 + m :]
        )

    @cached_property
    def groups(self) -> Layout:
        """The layout, made where there is none."""
        if self.layout is not None:
            return self.layout
        p, a = self.coefficients.shape
        return Layout(np.arange(p * a).reshape(p, a), np.arange(p) if self.noise.ndim == 1 else None)

    @property
    def n_free(self) -> int:
        return self._n_coefficients + self.n_variances

    def coordinate_names(self, prefix: str = "") -> list[str]:
        p, q = self.loadings.shape
        m = self.inputs.shape[1]
        heads = ["offset", *(f"inputs[:,{j}]" for j in range(m)), *(f"loadings[:,{j}]" for j in range(q))]
        names = np.array([[prefix + head.replace(":", str(i)) for head in heads] for i in range(p)], dtype=object)
        names[:, 0] = [f"{prefix}offset[{i}]" for i in range(p)]
        first = _first_of(self.groups.coefficients, names)
        if self.groups.noise is None:
            return first + PositiveDefinite().coordinate_names(f"{prefix}noise", self.noise.shape)
        return first + _first_of(
            self.groups.noise, np.array([f"log {prefix}noise[{i}]" for i in range(p)], dtype=object)
        )

    @property
    def _n_coefficients(self) -> int:
        return int(self.groups.coefficients.max(initial=-1)) + 1

    @property
    def n_variances(self) -> int:
        """Free coordinates of R."""
        groups = self.groups.noise
        return PositiveDefinite().n_free(self.noise.shape) if groups is None else int(groups.max(initial=-1)) + 1

    def flatten(self) -> FloatArray:
        plain = self.groups.is_plain
        free = self.coefficients.ravel() if plain else means_of(self.groups.coefficients, self.coefficients)
        if self.groups.noise is None:
            return np.concatenate([free, PositiveDefinite().flatten(self.noise)])
        if not self.n_variances:
            return free
        return np.concatenate([free, Positive().flatten(means_of(self.groups.noise, self.noise))])

    def unflatten(self, vector: FloatArray) -> LinearGaussianParameters:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        free, rest = np.split(vector, [self._n_coefficients])
        shape = self.groups.coefficients.shape
        plain = self.groups.is_plain
        moved = self.with_coefficients(
            free.reshape(shape) if plain else spread(self.groups.coefficients, free, self.coefficients)
        )
        if self.groups.noise is None:
            return replace(moved, noise=PositiveDefinite().unflatten(rest, self.noise.shape))
        if not self.n_variances:
            return moved
        variances = Positive().unflatten(rest, rest.shape)
        return replace(moved, noise=spread(self.groups.noise, variances, self.noise))


@dataclass(frozen=True)
class LinearGaussianStatistics(Statistics):
    """Expected moments of y = x - d₀ (d₀ the reference) and w = (1, u, z), or (1, u, v) where loadings are multiplied.

    Where variances are multiplied, by s, all but the count are divided by it.

    Attributes
    ----------
    count : ()
        Σ w.
    gram : (a, a), or (p, a, a) where each column has an s of its own
        Σ E[w wᵀ].
    cross : (p, a)
        Σ E[y wᵀ].
    square : (p,) or (p, p)
        Σ E[y²] where the noise is diagonal, else Σ E[y yᵀ].
    reference : Reference
    """

    count: FloatArray
    gram: FloatArray
    cross: FloatArray
    square: FloatArray
    reference: Reference

    def shift(self, reference: Reference) -> LinearGaussianStatistics:
        """The same moments about another offset."""
        by = self.reference.point - reference.point
        ones = self.gram[..., 0, :]
        if self.square.ndim == 1:
            square = self.square + 2 * by * self.cross[:, 0] + by**2 * ones[..., 0]
        else:
            mixed = np.outer(self.cross[:, 0], by)
            square = self.square + mixed + mixed.T + ones[0] * np.outer(by, by)
        return LinearGaussianStatistics(self.count, self.gram, self.cross + by[:, None] * ones, square, reference)

    def moments_about(self, offset: FloatArray) -> Moments:
        """As moments of a regression of x - offset."""
        moved = self.shift(Reference(offset))
        return Moments(float(moved.count), moved.gram, moved.cross, moved.square)


def _first_of(groups: Array, names: Array) -> list[str]:
    """For each group the name of its first entry."""
    numbers, first = np.unique(groups, return_index=True)
    return [str(names.ravel()[i]) for number, i in zip(numbers, first, strict=True) if number >= 0]
