"""Failures before the first success: P(x) = p (1 - p)ˣ, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..parameters import Parameters, UnitInterval, parameter
from .bernoulli import log_probabilities
from .columnwise import ColumnStatistics, ColumnwiseExponential, is_fractional

SMALLEST_MEAN = 1e-12


@dataclass(frozen=True)
class GeometricParameters(Parameters):
    """Probabilities p of a success, shape (K, D); the mean number of failures is (1 - p) / p."""

    probabilities: FloatArray = parameter(UnitInterval())


@dataclass(frozen=True)
class Geometric(ColumnwiseExponential[GeometricParameters]):
    """Counts of failures before the first success, 0, 1, 2, …: log p(x) = log p + x log(1 - p).

    M-step: p = 1 / (1 + m) with m = Σ r x / Σ r, which is held at 1e-12 or more where only zeros were seen.
    """

    support = "counts: whole numbers from 0"
    discrete = True

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return (x,)

    def natural(self, params: GeometricParameters) -> tuple[FloatArray, FloatArray]:
        success, failure = log_probabilities(params.probabilities)
        return failure[:, None, :], -success

    def log_pdf(self, x: FloatArray, params: GeometricParameters, k: int) -> FloatArray:
        success, failure = log_probabilities(params.probabilities[k])
        return np.asarray(success + x * failure)

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: GeometricParameters | None
    ) -> GeometricParameters:
        return GeometricParameters(1.0 / (1.0 + np.maximum(means[:, 0], SMALLEST_MEAN)))

    def score(self, statistics: ColumnStatistics, params: GeometricParameters) -> FloatArray:
        p = params.probabilities
        return np.ravel(statistics.counts * (1 - p) - statistics.sums[:, 0] * p)

    def sample_columns(self, params: GeometricParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """The whole part of an exponential with rate -log(1 - p)."""
        _, failure = log_probabilities(params.probabilities[states])
        return np.floor(rng.standard_exponential(failure.shape) / -failure)
