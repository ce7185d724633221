"""Counts: p(x) = λˣ e^{-λ} / x!, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from .._typing import Array, FloatArray
from ..kernels.special import count_deviance
from ..kernels.stirling import log_peak
from ..parameters import Parameters, Positive, parameter
from .columnwise import ColumnStatistics, ColumnwiseExponential, is_fractional

SMALLEST_RATE = 1e-12
# Beyond it a count's neighbours are no floating point numbers, and NumPy's sampler overflows.
_NORMAL_FROM = 1e15


@dataclass(frozen=True)
class PoissonParameters(Parameters):
    """Rates λ, shape (K, D): expected counts per row."""

    rates: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Poisson(ColumnwiseExponential[PoissonParameters]):
    """Poisson counts with rate λ: log p(x) = x log λ - λ - log x!.

    Large counts are evaluated by the saddle-point form of Loader (2000): the log of the largest probability at mean x
    minus half the deviance of x from λ.

    M-step: λ = Σ r x / Σ r.  A rate whose component saw only zeros is held at 1e-12, where its likelihood is 1 to
    twelve digits.
    """

    support = "counts: whole numbers from 0"
    discrete = True

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return (x,)

    def log_base(self, x: FloatArray) -> FloatArray:
        return np.asarray(-gammaln(x + 1))

    def natural(self, params: PoissonParameters) -> tuple[FloatArray, FloatArray]:
        return np.log(params.rates)[:, None, :], params.rates

    def log_pdf(self, x: FloatArray, params: PoissonParameters, k: int) -> FloatArray:
        return np.asarray(log_peak(x) - count_deviance(x, params.rates[k]))

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: PoissonParameters | None
    ) -> PoissonParameters:
        return PoissonParameters(np.maximum(means[:, 0], SMALLEST_RATE))

    def score(self, statistics: ColumnStatistics, params: PoissonParameters) -> FloatArray:
        return np.ravel(statistics.sums[:, 0] - statistics.counts * params.rates)

    def sample_columns(self, params: PoissonParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        rates = params.rates[states]
        counts = rng.poisson(np.minimum(rates, _NORMAL_FROM)).astype(float)
        if np.any(rates > _NORMAL_FROM):
            rounded = np.floor(rates + np.sqrt(rates) * rng.standard_normal(rates.shape))
            counts = np.where(rates > _NORMAL_FROM, rounded, counts)
        return counts
