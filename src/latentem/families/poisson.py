"""Counts: p(x) = λˣ e^{-λ} / x!, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from .._typing import Array, FloatArray
from ..data import Batch
from ..parameters import Parameters, Positive, parameter
from .columnwise import ColumnwiseExponential, is_fractional, weighted_column_mean

SMALLEST_RATE = 1e-12


@dataclass(frozen=True)
class PoissonParameters(Parameters):
    """Rates λ, shape (K, D): expected counts per row."""

    rates: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Poisson(ColumnwiseExponential[PoissonParameters]):
    """Poisson counts with rate λ: log p(x) = x log λ - λ - log x!.

    A rate whose component saw only zeros is held at 1e-12, where its likelihood is 1 to twelve digits.
    """

    support = "counts: whole numbers from 0"

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))

    def start(self, batch: Batch, n_components: int) -> PoissonParameters:
        mean = np.maximum(weighted_column_mean(batch), SMALLEST_RATE)
        return PoissonParameters(np.tile(mean, (n_components, 1)))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return (x,)

    def log_base(self, x: FloatArray) -> FloatArray:
        return np.asarray(-gammaln(x + 1))

    def natural(self, params: PoissonParameters) -> tuple[FloatArray, FloatArray]:
        return np.log(params.rates)[:, None, :], params.rates

    def log_pdf(self, x: FloatArray, params: PoissonParameters, k: int) -> FloatArray:
        rate = params.rates[k]
        return np.asarray(x * np.log(rate) - rate - gammaln(x + 1))

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: PoissonParameters
    ) -> PoissonParameters:
        return PoissonParameters(np.maximum(means[:, 0], SMALLEST_RATE))

    def sample_columns(self, params: PoissonParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return rng.poisson(params.rates[states]).astype(float)
