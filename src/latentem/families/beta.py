"""Shares: p(x) = x^(a-1) (1-x)^(b-1) / B(a, b), columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..kernels.beta import beta_shapes
from ..kernels.special import digamma_step, log_beta, log_beta_density
from ..parameters import Parameters, Positive, parameter
from .columnwise import SMALLEST_POSITIVE, ColumnStatistics, ColumnwiseExponential, held_cells

LARGEST_SHAPE = 1e8
LARGEST_SHARE = 1 - 2.0**-53


@dataclass(frozen=True)
class BetaParameters(Parameters):
    """Shapes a and b, each (K, D); the mean is a / (a + b)."""

    a: FloatArray = parameter(Positive())
    b: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Beta(ColumnwiseExponential[BetaParameters]):
    """Beta with shapes a and b: log p(x) = (a - 1) log x + (b - 1) log(1 - x) - log B(a, b).

    M-step: ψ(a) - ψ(a + b) = mean of log x and ψ(b) - ψ(a + b) = mean of log(1 - x) (averages weighted by r), by
    Newton's method in two dimensions to full convergence.  The smaller shape is at most 1e8: on equal values both
    would run to infinity.  That is the exact maximizer under the bound, and `findings` tells it.
    """

    support = "numbers between 0 and 1, both excluded"

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray(~((x >= SMALLEST_POSITIVE) & (x < 1)))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return np.log(x), np.log1p(-x)

    def natural(self, params: BetaParameters) -> tuple[FloatArray, FloatArray]:
        return np.stack([params.a - 1, params.b - 1], axis=1), log_beta(params.a, params.b)

    def log_pdf(self, x: FloatArray, params: BetaParameters, k: int) -> FloatArray:
        return log_beta_density(x, params.a[k], params.b[k])

    def maximize_columns(self, means: FloatArray, counts: FloatArray, params: BetaParameters | None) -> BetaParameters:
        return BetaParameters(*beta_shapes(means[:, 0], means[:, 1], LARGEST_SHAPE))

    def score(self, statistics: ColumnStatistics, params: BetaParameters) -> FloatArray:
        a, b = params.a, params.b
        by_a = statistics.sums[:, 0] + statistics.counts * digamma_step(a, b)
        by_b = statistics.sums[:, 1] + statistics.counts * digamma_step(b, a)
        return np.concatenate([np.ravel(a * by_a), np.ravel(b * by_b)])

    def admissible(self, params: BetaParameters) -> bool:
        return bool(np.all(np.minimum(params.a, params.b) <= LARGEST_SHAPE * (1 + 1e-9)))

    def findings(self, statistics: ColumnStatistics, params: BetaParameters) -> list[tuple[int, str]]:
        held = statistics.filled & (np.minimum(params.a, params.b) >= LARGEST_SHAPE * (1 - 1e-9))
        return held_cells(held, "its values are all but equal: the smaller shape is held at its bound of 1e8")

    def sample_columns(self, params: BetaParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return np.clip(rng.beta(params.a[states], params.b[states]), SMALLEST_POSITIVE, LARGEST_SHARE)
