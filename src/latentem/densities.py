"""A log density of rows as a function of z: a table over states, or a linear Gaussian form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np

from ._typing import Array, FloatArray


class Form(Enum):
    """What a family says of its rows and a latent wants to hear: log p(x | z) as a function of z."""

    TABLE = "a table of log densities over states"
    LINEAR_GAUSSIAN = "a linear Gaussian form in z"


@dataclass(frozen=True, eq=False)
class LinearGaussianDensity:
    """log p(xₙ | z) = log N(xₙ; dₙ + Λ z, R), of n rows; where Λ and R vary they are Λₙ and S R S, S² the scales.

    Attributes
    ----------
    values : (n, p)
        x; NaN where missing, which is integrated out.
    offset : (p,) or (n, p)
        d; a row of its own for each row where there are inputs.
    loadings : (p, q) or (n, p, q)
        Λ; one of its own for each row where they vary.
    noise : (p,) or (p, p)
        The variances of R where it is diagonal, else R; zeros are allowed.
    missing : bool
        Whether `values` may hold NaN.
    scale : (n, 1), (n, p) or None
        What multiplies the variances of each row; a column of its own for each where the noise is diagonal.
    """

    values: FloatArray
    offset: FloatArray
    loadings: FloatArray
    noise: FloatArray
    missing: bool = False
    scale: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """q, the coordinates of z."""
        return int(self.loadings.shape[-1])

    @property
    def varies(self) -> bool:
        """Whether loadings or variances differ between rows."""
        return self.loadings.ndim == 3 or self.scale is not None

    @cached_property
    def deviations(self) -> FloatArray:
        """(n, p): x - d, zero where missing."""
        deviations = self.values - self.offset
        return np.where(self.observed, deviations, 0.0) if self.missing else deviations

    @cached_property
    def observed(self) -> Array:
        """(n, p) bool: which entries are not missing."""
        return ~np.isnan(self.values) if self.missing else np.ones(self.values.shape, bool)

    @property
    def noise_matrix(self) -> FloatArray:
        """(p, p): R."""
        return np.diag(self.noise) if self.noise.ndim == 1 else self.noise

    def signal(self, states: FloatArray) -> FloatArray:
        """(…, n, p): Λₙ zₙ for states (…, n, q)."""
        if self.loadings.ndim == 2:
            return np.asarray(states @ self.loadings.T)
        return np.asarray((self.loadings @ states[..., None])[..., 0])

    @property
    def noise_matrices(self) -> FloatArray:
        """(n, p, p), or (1, p, p) for all: R of each row."""
        if self.scale is None:
            return self.noise_matrix[None]
        root = np.sqrt(np.broadcast_to(self.scale, self.values.shape))
        return np.asarray(root[:, :, None] * self.noise_matrix * root[:, None, :])

    def without(self, rows: Array) -> LinearGaussianDensity:
        """The same with nothing observed in these rows: they tell nothing about z."""
        values = self.values.copy()
        values[rows] = np.nan
        return replace(self, values=values, missing=True)
