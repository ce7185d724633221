"""Rows of counts over categories: p(x) = n! Π_d p_d^{x_d} / x_d!, n = Σ_d x_d given."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np
from scipy.special import xlogy

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..kernels.simplex import expected_log_simplex, maximize_simplex, simplex_score
from ..kernels.special import exact_product
from ..kernels.stirling import deviance, log_minus_excess, log_peak
from ..model import Family, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics
from .categorical import log_linear
from .columnwise import LARGEST_TERMS, check_support, is_fractional


@dataclass(frozen=True)
class MultinomialParameters(Parameters):
    """Probabilities of the categories (the columns), (K, D)."""

    probabilities: FloatArray = parameter(Simplex())


@dataclass(frozen=True)
class MultinomialStatistics(Statistics):
    """Expected counts Σ r x (K, D), and Σ r log n!/Π x_d! (K,)."""

    counts: FloatArray
    log_base: FloatArray


@dataclass(frozen=True)
class Features:
    """A batch seen as counts: `counts` (D, n), `log_saturated` (n,), the log density where p = x/n, and `entropy` (n,),
    Σ_d x_d log x_d/n ≤ 0."""

    counts: FloatArray
    log_saturated: FloatArray
    entropy: FloatArray


@dataclass(frozen=True)
class Multinomial(Family[MultinomialParameters, MultinomialStatistics]):
    """Counts of D categories in n trials, n given with each row: log p(x) = log n! - Σ log x_d! + Σ x_d log p_d.

    M-step: the expected relative frequencies.  A row that is missing as a whole contributes nothing.  A row with some
    entries missing has no density, since its n is not known.

    Attributes
    ----------
    n_trials : int
        n of the rows that `sample` draws; densities take n from the data.

    Raises
    ------
    ParameterError
        n_trials is negative.
    DataError
        An entry that is no count, or a row with only some entries missing; row and column are named.
    """

    n_trials: int = 1

    discrete = True

    def __post_init__(self) -> None:
        if self.n_trials < 0:
            raise ParameterError(f"n_trials must not be negative, got {self.n_trials}")

    def check(self, batch: Batch) -> None:
        check_support(batch, _is_no_count, "Multinomial takes counts: whole numbers from 0")
        partial = np.argwhere(~batch.observed & batch.observed.any(axis=1, keepdims=True))
        if len(partial):
            row, column = partial[0]
            raise DataError(
                f"row {batch.row_of_unit(int(row), False)}, column {column} is missing, and with it the row's number "
                "of trials: fill in the count, leave the row out, or use Poisson columns, which take missing entries"
            )

    def start(self, batch: Batch, n_components: int) -> MultinomialParameters:
        """Pooled frequencies with one added to every count, so that nothing is impossible."""
        pooled = self._features(batch).counts @ batch.unit_weights(False) + 1.0
        return MultinomialParameters(np.tile(pooled / pooled.sum(), (n_components, 1)))

    def log_density(self, batch: Batch, params: MultinomialParameters) -> FloatArray:
        """By one product, relative to the saturated log density; by deviances where its terms would cancel."""
        features, p = self._features(batch), params.probabilities
        excess = np.array([fsum((*row, -1.0)) for row in p])
        linear = log_linear(p, features.counts) - np.log1p(excess)[:, None] * features.counts.sum(axis=0)
        result = features.log_saturated + (linear - features.entropy)
        cancelling = LARGEST_TERMS * np.maximum(1.0, np.abs(result)) < np.abs(features.entropy)
        for k in np.flatnonzero(cancelling.any(axis=1)):
            rows = cancelling[k]
            result[k, rows] = features.log_saturated[rows] - _misfit(features.counts[:, rows], p[k], excess[k])
        return np.asarray(result)

    def statistics(self, batch: Batch, posterior: Posterior, params: MultinomialParameters) -> MultinomialStatistics:
        features, r = self._features(batch), posterior.responsibilities
        return MultinomialStatistics(r @ features.counts.T, r @ (features.log_saturated - features.entropy))

    def maximize(self, statistics: MultinomialStatistics, params: MultinomialParameters) -> MultinomialParameters:
        return MultinomialParameters(maximize_simplex(statistics.counts, params.probabilities))

    def expected_log_density(self, statistics: MultinomialStatistics, params: MultinomialParameters) -> float:
        return expected_log_simplex(statistics.counts, params.probabilities) + float(statistics.log_base.sum())

    def score(self, statistics: MultinomialStatistics, params: MultinomialParameters) -> FloatArray:
        return simplex_score(statistics.counts, params.probabilities)

    def sample(self, params: MultinomialParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        p = params.probabilities / params.probabilities.sum(axis=1, keepdims=True)
        return rng.multinomial(self.n_trials, p[states]).astype(float)

    def _features(self, batch: Batch) -> Features:
        return batch.once("multinomial", lambda: self._counted(batch))

    def _counted(self, batch: Batch) -> Features:
        self.check(batch)
        counts = np.ascontiguousarray(np.nan_to_num(batch.values).T)
        n = counts.sum(axis=0)
        share = counts / np.where(n > 0, n, 1.0)
        return Features(counts, log_peak(counts).sum(axis=0) - log_peak(n), xlogy(counts, share).sum(axis=0))


def _misfit(counts: FloatArray, p: FloatArray, excess: float) -> FloatArray:
    """Σ_d x_d log(x_d / n p_d) for columns of counts, as deviances; p divided by its sum 1 + excess, that its rounding
    errors do not count n times."""
    n = counts.sum(axis=0)
    mean, error = exact_product(n, p[:, None])
    misfit = deviance(counts, mean, (counts - mean) - error).sum(axis=0)
    return np.asarray(misfit + n * log_minus_excess(np.asarray(1 + excess), np.asarray(excess)))


def _is_no_count(x: FloatArray) -> Array:
    return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))
