"""Positive numbers: p(x) = β^α x^(α-1) e^{-βx} / Γ(α), columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..kernels.special import gamma_shape, log_gamma_density
from ..kernels.stirling import digamma_minus_log, log_peak
from ..parameters import Parameters, Positive, parameter
from .columnwise import SMALLEST_POSITIVE, ColumnStatistics, ColumnwiseExponential, held_cells, not_positive

LARGEST_SHAPE = 1e8
SMALLEST_MEAN = 1e-300


@dataclass(frozen=True)
class GammaParameters(Parameters):
    """Shapes α and rates β, each (K, D); the mean is α/β, the squared coefficient of variation 1/α."""

    shapes: FloatArray = parameter(Positive())
    rates: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Gamma(ColumnwiseExponential[GammaParameters]):
    """Gamma with shape α and rate β: log p(x) = α log β - log Γ(α) + (α - 1) log x - β x.

    M-step: log α - ψ(α) = log x̄ - mean of log x (averages weighted by r), by Newton's method to full convergence, and
    β = α / x̄.  The shape is at most 1e8 (a coefficient of variation of 1e-4): on equal values it would run to
    infinity.  That is the exact maximizer under the bound, and `findings` tells it.
    """

    support = "positive numbers"

    def invalid(self, x: FloatArray) -> Array:
        return not_positive(x)

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return x, np.log(x)

    def natural(self, params: GammaParameters) -> tuple[FloatArray, FloatArray]:
        a, b = params.shapes, params.rates
        # log Γ(α) - α log β, without the cancellation of α log α.
        partition = a * (np.log(a / b) - 1) - np.log(a) - log_peak(a)
        return np.stack([-b, a - 1], axis=1), partition

    def log_pdf(self, x: FloatArray, params: GammaParameters, k: int) -> FloatArray:
        return log_gamma_density(x, params.shapes[k], params.rates[k])

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: GammaParameters | None
    ) -> GammaParameters:
        mean = np.maximum(means[:, 0], SMALLEST_MEAN)
        shapes = gamma_shape(np.log(mean) - means[:, 1], LARGEST_SHAPE)
        return GammaParameters(shapes, shapes / mean)

    def score(self, statistics: ColumnStatistics, params: GammaParameters) -> FloatArray:
        a, b = params.shapes, params.rates
        logs = statistics.sums[:, 1] + statistics.counts * (np.log(b) - np.log(a) - digamma_minus_log(a))
        return np.concatenate([np.ravel(a * logs), np.ravel(a * statistics.counts - b * statistics.sums[:, 0])])

    def admissible(self, params: GammaParameters) -> bool:
        return bool(np.all(params.shapes <= LARGEST_SHAPE * (1 + 1e-9)))

    def findings(self, statistics: ColumnStatistics, params: GammaParameters) -> list[tuple[int, str]]:
        held = statistics.filled & (params.shapes >= LARGEST_SHAPE * (1 - 1e-9))
        return held_cells(held, "its values are all but equal: the shape is held at its bound of 1e8")

    def sample_columns(self, params: GammaParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        draws = rng.standard_gamma(params.shapes[states]) / params.rates[states]
        return np.maximum(draws, SMALLEST_POSITIVE)
