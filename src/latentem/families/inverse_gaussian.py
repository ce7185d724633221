"""First passage times: p(x) = √(λ / 2πx³) exp(-λ (x - μ)² / 2μ²x), columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import LARGEST_MAGNITUDE
from ..parameters import Parameters, Positive, parameter
from .columnwise import SMALLEST_POSITIVE, ColumnStatistics, ColumnwiseExponential, held_cells, not_positive

LARGEST_RELATIVE_SHAPE = 1e8
SMALLEST_MEAN = 1e-300
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class InverseGaussianParameters(Parameters):
    """Means μ and shapes λ, each (K, D), both in units of the column; the variance is μ³/λ."""

    means: FloatArray = parameter(Positive())
    shapes: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class InverseGaussian(ColumnwiseExponential[InverseGaussianParameters]):
    """Inverse Gaussian with mean μ and shape λ: log p(x) = ½ log(λ / 2πx³) - λ (x - μ)² / 2μ²x.

    M-step: μ = x̄ and 1/λ = (mean of 1/x) - 1/x̄, averages weighted by r (Tweedie 1957).  The relative shape λ/μ is at
    most 1e8 (a coefficient of variation of 1e-4): on equal values it would run to infinity; `findings` tells it.
    """

    support = "positive numbers"

    def invalid(self, x: FloatArray) -> Array:
        return not_positive(x)

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return x, 1.0 / x

    def log_base(self, x: FloatArray) -> FloatArray:
        return np.asarray(-1.5 * np.log(x))

    def natural(self, params: InverseGaussianParameters) -> tuple[FloatArray, FloatArray]:
        mean, shape = params.means, params.shapes
        relative = shape / mean
        eta = np.stack([-0.5 * relative / mean, -0.5 * shape], axis=1)
        return eta, -relative - 0.5 * (np.log(shape) - LOG_2PI)

    def log_pdf(self, x: FloatArray, params: InverseGaussianParameters, k: int) -> FloatArray:
        mean, shape = params.means[k], params.shapes[k]
        away = x - mean
        with np.errstate(over="ignore", under="ignore"):
            distance = (away / x) * (away / mean) * (shape / mean)
        return np.asarray(0.5 * (np.log(shape) - LOG_2PI - 3 * np.log(x) - distance))

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: InverseGaussianParameters | None
    ) -> InverseGaussianParameters:
        mean = np.maximum(means[:, 0], SMALLEST_MEAN)
        spread = np.maximum(mean * means[:, 1] - 1, 1 / LARGEST_RELATIVE_SHAPE)
        return InverseGaussianParameters(mean, mean / spread)

    def score(self, statistics: ColumnStatistics, params: InverseGaussianParameters) -> FloatArray:
        mean, relative = params.means, params.shapes / params.means
        values = statistics.sums[:, 0] / mean
        by_mean = relative * (values - statistics.counts)
        excess = (values - statistics.counts) + (statistics.sums[:, 1] * mean - statistics.counts)
        return np.concatenate([np.ravel(by_mean), np.ravel(0.5 * (statistics.counts - relative * excess))])

    def admissible(self, params: InverseGaussianParameters) -> bool:
        return bool(np.all(params.shapes <= LARGEST_RELATIVE_SHAPE * (1 + 1e-9) * params.means))

    def findings(self, statistics: ColumnStatistics, params: InverseGaussianParameters) -> list[tuple[int, str]]:
        held = statistics.filled & (params.shapes >= LARGEST_RELATIVE_SHAPE * (1 - 1e-9) * params.means)
        return held_cells(held, "its values are all but equal: shape / mean is held at its bound of 1e8")

    def sample_columns(self, params: InverseGaussianParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """μ times a draw with mean 1, the smaller root of Michael, Schucany and Haas (1976) or its reciprocal."""
        relative = (params.shapes / params.means)[states]
        half = 0.5 * rng.standard_normal(relative.shape) ** 2 / relative
        smaller = 1.0 / (1.0 + half + np.sqrt(half) * np.sqrt(2.0 + half))
        keep = rng.random(relative.shape) * (1.0 + smaller) <= 1.0
        draws = np.where(keep, smaller, 1.0 / smaller)
        return np.clip(params.means[states] * draws, SMALLEST_POSITIVE, LARGEST_MAGNITUDE)
