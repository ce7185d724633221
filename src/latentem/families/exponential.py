"""Waiting times: p(x) = λ e^{-λx}, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..parameters import Parameters, Positive, parameter
from .columnwise import ColumnStatistics, ColumnwiseExponential, held_cells

SMALLEST_MEAN = 1e-150


@dataclass(frozen=True)
class ExponentialParameters(Parameters):
    """Rates λ, shape (K, D), in inverse units of the column; the mean is 1/λ."""

    rates: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Exponential(ColumnwiseExponential[ExponentialParameters]):
    """Exponential waiting times with rate λ: log p(x) = log λ - λ x.

    M-step: 1/λ = Σ r x / Σ r, which is held at 1e-150 or more where only zeros were seen.
    """

    support = "numbers from 0"

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x < 0) | np.isinf(x))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return (x,)

    def natural(self, params: ExponentialParameters) -> tuple[FloatArray, FloatArray]:
        return -params.rates[:, None, :], -np.log(params.rates)

    def log_pdf(self, x: FloatArray, params: ExponentialParameters, k: int) -> FloatArray:
        return np.asarray(np.log(params.rates[k]) - params.rates[k] * x)

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: ExponentialParameters | None
    ) -> ExponentialParameters:
        return ExponentialParameters(1.0 / np.maximum(means[:, 0], SMALLEST_MEAN))

    def score(self, statistics: ColumnStatistics, params: ExponentialParameters) -> FloatArray:
        return np.ravel(statistics.counts - statistics.sums[:, 0] * params.rates)

    def admissible(self, params: ExponentialParameters) -> bool:
        return bool(np.all(params.rates <= (1 + 1e-9) / SMALLEST_MEAN))

    def findings(self, statistics: ColumnStatistics, params: ExponentialParameters) -> list[tuple[int, str]]:
        held = statistics.filled & (params.rates >= (1 - 1e-9) / SMALLEST_MEAN)
        return held_cells(held, "it saw only zeros: its mean is held at its bound of 1e-150")

    def sample_columns(self, params: ExponentialParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        rates = params.rates[states]
        return np.asarray(rng.standard_exponential(rates.shape) / rates)
