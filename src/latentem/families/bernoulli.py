"""Yes or no: p(1) = p, p(0) = 1 - p, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..parameters import Parameters, UnitInterval, parameter
from .columnwise import ColumnStatistics, ColumnwiseExponential

SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class BernoulliParameters(Parameters):
    """Probabilities p of a one, shape (K, D)."""

    probabilities: FloatArray = parameter(UnitInterval())


@dataclass(frozen=True)
class Bernoulli(ColumnwiseExponential[BernoulliParameters]):
    """Zeros and ones with probability p of a one: log p(x) = x log p + (1 - x) log(1 - p).

    M-step: p = Σ r x / Σ r, held within [1e-12, 1 - 1e-12], so that a row unlike any that a component has seen is
    unlikely under it but not impossible.
    """

    support = "zeros and ones"
    discrete = True

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x != 0) & (x != 1))

    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        return (x,)

    def natural(self, params: BernoulliParameters) -> tuple[FloatArray, FloatArray]:
        yes, no = log_probabilities(params.probabilities)
        return (yes - no)[:, None, :], -no

    def log_pdf(self, x: FloatArray, params: BernoulliParameters, k: int) -> FloatArray:
        yes, no = log_probabilities(params.probabilities[k])
        return np.asarray(x * yes + (1 - x) * no)

    def maximize_columns(
        self, means: FloatArray, counts: FloatArray, params: BernoulliParameters | None
    ) -> BernoulliParameters:
        return BernoulliParameters(np.clip(means[:, 0], SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))

    def score(self, statistics: ColumnStatistics, params: BernoulliParameters) -> FloatArray:
        return np.ravel(statistics.sums[:, 0] - statistics.counts * params.probabilities)

    def sample_columns(self, params: BernoulliParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        p = params.probabilities[states]
        return (rng.random(p.shape) < p).astype(float)


def log_probabilities(p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """log p and log(1 - p), finite also where a given p is exactly 0 or 1 (taken as 1e-300 and 1 - 1e-16)."""
    return np.log(np.maximum(p, 1e-300)), np.log1p(-np.minimum(p, 1 - 2.0**-53))
