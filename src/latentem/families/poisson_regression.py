"""Counts that regress on covariates: y ~ Poisson(exp(β_kᵀ c))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..kernels.special import count_deviance
from ..kernels.stirling import log_peak
from .generalized_linear import GeneralizedLinear


@dataclass(frozen=True)
class PoissonRegression(GeneralizedLinear):
    """Log-linear rates given the state: y ~ Poisson(μ), log μ = β_kᵀ c, for each column of responses.

    Attributes
    ----------
    columns : tuple of int, optional
        Columns of the covariates that it regresses on, from 0; all unless given.
    intercept : bool
        Whether c begins with a 1; its coefficients are then the first.

    Raises
    ------
    DataError
        There are no covariates or not those columns, or a response is no whole number from 0.

    Notes
    -----
    Densities take the saddle-point form of Loader (2000), like those of `Poisson`.  Linear predictors count as if they
    lay within ±300.  Missing responses are integrated out.
    """

    columns: tuple[int, ...] | None = None
    intercept: bool = True

    support = "counts: whole numbers from 0"

    @property
    def discrete(self) -> bool:
        return True

    def invalid(self, y: FloatArray) -> Array:
        return np.asarray((y < 0) | (y != np.floor(y)) | np.isinf(y))

    def log_pdf(self, y: FloatArray, eta: FloatArray) -> FloatArray:
        return np.asarray(log_peak(y) - count_deviance(y, np.exp(eta)))

    def moments(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        rate = np.exp(eta)
        return rate, rate

    def link(self, mean: FloatArray) -> FloatArray:
        return np.log(np.maximum(mean, 1e-3))

    def draw(self, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
        return rng.poisson(np.exp(np.minimum(eta, 40.0))).astype(float)

    @property
    def told_when_degenerate(self) -> str:
        return "its rates are (almost) 0: all its counts are zeros, and its coefficients have no finite maximum"
