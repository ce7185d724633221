"""Counts that vary more than Poisson counts: negative binomial with mean μ and size r, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels.negative_binomial import negative_binomial_peak
from ..kernels.stirling import deviance, digamma_minus_log, digamma_minus_log_slope, log_minus_excess, log_peak
from ..parameters import Parameters, Positive, parameter
from .columnwise import is_fractional, weighted_column_mean
from .local import ColumnQ, LocalColumnwise, check_range

SMALLEST_MEAN = 1e-12
LARGEST_MEAN = 1e150


@dataclass(frozen=True)
class NegativeBinomialParameters(Parameters):
    """Means μ (K, D) and sizes r (K, D); the variance is μ + μ²/r."""

    means: FloatArray = parameter(Positive())
    sizes: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class NegativeBinomial(LocalColumnwise[NegativeBinomialParameters]):
    """p(x) = Γ(x + r) / (Γ(r) x!) · (r / (r + μ))^r · (μ / (r + μ))^x, the mixture of Poissons over gamma rates.

    Computed as a binomial probability in deviances, it keeps its accuracy for all sizes and tends to the Poisson's.
    The M-step takes the best mean and a Newton step to the best size (`negative_binomial_peak`), or where that does not
    ascend one Newton step in (log μ, log r).

    Attributes
    ----------
    size_range : (float, float)
        Sizes are held in it.  Data that vary no more than Poisson counts have no finite best size; at the upper bound
        of 1e8 the variance exceeds the mean by a share of μ/1e8.

    Raises
    ------
    ParameterError
        The range is empty or not within 1e-20 … 1e20.
    """

    size_range: tuple[float, float] = (1e-4, 1e8)

    support = "counts: whole numbers from 0"
    discrete = True

    def __post_init__(self) -> None:
        check_range("size_range", self.size_range)

    @property
    def bounds(self) -> FloatArray:
        return np.log([[SMALLEST_MEAN, LARGEST_MEAN], self.size_range])

    @property
    def told_at_bound(self) -> tuple[tuple[str, str], ...]:
        low, high = self.size_range
        return (
            ("its mean is held at 1e-12: it saw only zeros", "its mean is held at 1e150: rescale the counts"),
            (
                f"its size is held at the lower bound {low:g}: nearly all its mass is at 0",
                f"its size is held at the upper bound {high:g}: its counts vary no more than Poisson counts do",
            ),
        )

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))

    def start(self, batch: Batch, n_components: int) -> NegativeBinomialParameters:
        """From the mean and the variance μ + μ²/r."""
        mean = np.maximum(weighted_column_mean(batch), SMALLEST_MEAN)
        variance = weighted_column_mean(Batch((batch.values - mean) ** 2, batch.weights))
        size = mean**2 / np.maximum(variance - mean, 1e-3 * mean)
        ones = np.ones((n_components, 1))
        return NegativeBinomialParameters(mean * ones, np.clip(size, *self.size_range) * ones)

    def log_pdf(self, x: FloatArray, params: NegativeBinomialParameters, k: int) -> FloatArray:
        mean, size = params.means[k], params.sizes[k]
        share = (x + size) / (size + mean)
        difference = size * ((x - mean) / (size + mean))
        misfit = deviance(x, share * mean, difference) + deviance(size + 0 * x, share * size, -difference)
        return np.asarray(log_peak(size) + log_peak(x) - log_peak(x + size) - np.log1p(x / size) - misfit)

    def local(
        self, x: FloatArray, params: NegativeBinomialParameters, k: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        mean, size = params.means[k], params.sizes[k]
        total, both = size + mean, x + size
        excess = (x - mean) / total
        by_mean = size * excess
        by_size = size * (
            digamma_minus_log(both) - digamma_minus_log(size) + log_minus_excess(both / total, excess)
        )
        cross = by_mean * (mean / total)
        bend = digamma_minus_log_slope(both) - digamma_minus_log_slope(size)
        size_size = by_size + size * size * bend + (size * excess) ** 2 / both
        mean_mean = -(size / total) * (mean / total) * both
        curvature = np.stack([mean_mean, cross, cross, size_size], axis=-1).reshape(*x.shape, 2, 2)
        return self.log_pdf(x, params, k), np.stack([by_mean, by_size], axis=-1), curvature

    def moments(self, x: FloatArray, params: NegativeBinomialParameters, k: int) -> tuple[FloatArray, ...]:
        return np.ones_like(x), x - params.means[k]

    def leap(self, statistics: ColumnQ, here: FloatArray) -> FloatArray:
        """The best mean exactly, and the size to which `negative_binomial_peak` leads."""
        counts = statistics.moments[..., 0]
        mean, size = np.exp(here[..., 0]), np.exp(here[..., 1])
        average = mean + statistics.moments[..., 1] / counts
        gradient, curvature = statistics.gradient[..., 1] / counts, statistics.curvature[..., 1, 1] / counts
        peak = negative_binomial_peak(mean, size, average, gradient, curvature)
        return np.stack([np.log(value) for value in peak], axis=-1)

    def sample(self, params: NegativeBinomialParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        sizes = params.sizes[states]
        rates = rng.standard_gamma(sizes) * (params.means[states] / sizes)
        return rng.poisson(np.minimum(rates, 1e18)).astype(float)
