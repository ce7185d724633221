"""Families whose columns are independent given the state, and one-parameter-set exponential families in each.

For such a family log p(x) = Σ_d [ Σ_j η_j(θ_d) t_j(x_d) - A(θ_d) + log h(x_d) ]: the log densities of a batch
are one matrix product W F, the expected statistics another, R Fᵀ.  A missing entry contributes nothing to either.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError
from ..model import Family, Posterior
from ..parameters import Parameters
from ..statistics import Statistics

P = TypeVar("P", bound=Parameters)

# Where Σ|W||F| exceeds the log density's own size by more than this, cancellation costs 13 digits: take the direct
# formula.
LARGEST_TERMS = 500.0


@dataclass(frozen=True)
class ColumnStatistics(Statistics):
    """Expected sufficient statistics of independent columns.

    Attributes
    ----------
    sums : (K, T, D)
        Σₙ rₙₖ tⱼ(xₙd) over observed entries.
    counts : (K, D)
        Σₙ rₙₖ over observed entries.
    log_base : (K,)
        Σₙ rₙₖ Σ_d log h(xₙd).
    """

    sums: FloatArray
    counts: FloatArray
    log_base: FloatArray

    @property
    def means(self) -> FloatArray:
        """(K, T, D): averages of the sufficient statistics; zero where nothing was observed."""
        counts = self.counts[:, None, :]
        return self.sums / np.where(counts > 0, counts, 1.0)


@dataclass(frozen=True)
class Features:
    """A batch seen through its sufficient statistics: `rows` (T·D + M, n) with M rows of presence (1, or D if
    entries are missing), and `log_base` (n,)."""

    rows: FloatArray
    log_base: FloatArray


class ColumnwiseExponential(Family[P, ColumnStatistics]):
    """Independent columns, each from the same exponential family with parameters of its own.

    A new family says: its support (`invalid`), its sufficient statistics (`sufficient`), natural parameters and
    log partition (`natural`), log base measure (`log_base`), its log density by the textbook formula (`log_pdf`,
    used where the natural form would cancel, and the reference that the fast path is tested against), the
    maximizer for given averages (`maximize_columns`), `start` and `sample_columns`.
    """

    support: str = "real numbers"

    def invalid(self, x: FloatArray) -> Array:
        """(n, D) bool: entries outside the support (missing entries are judged elsewhere)."""
        return np.isinf(x)

    @abstractmethod
    def sufficient(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """t₁(x), …, t_T(x), each shaped like x."""

    def log_base(self, x: FloatArray) -> FloatArray | None:
        """log h(x), shaped like x; None stands for zero."""
        return None

    @abstractmethod
    def natural(self, params: P) -> tuple[FloatArray, FloatArray]:
        """η (K, T, D) and A (K, D)."""

    @abstractmethod
    def log_pdf(self, x: FloatArray, params: P, k: int) -> FloatArray:
        """log p(x_d | k) for each entry by the textbook formula, shaped like x (n, D)."""

    @abstractmethod
    def maximize_columns(self, means: FloatArray, counts: FloatArray, params: P) -> P:
        """The maximizer given averages (K, T, D) and counts (K, D); cells without counts are patched by the caller."""

    @abstractmethod
    def sample_columns(self, params: P, states: Array, rng: np.random.Generator) -> FloatArray:
        """(n, D) draws."""

    # -- the family contract -------------------------------------------------------------------

    def check(self, batch: Batch) -> None:
        check_support(batch, self.invalid, f"{type(self).__name__} takes {self.support}")

    def log_density(self, batch: Batch, params: P) -> FloatArray:
        features = batch.once((id(self), "features"), lambda: self._features(batch))
        eta, partition = self.natural(params)
        k = len(partition)
        weights = np.concatenate([eta.reshape(k, -1), self._presence_weights(-partition, batch)], axis=1)
        result = weights @ features.rows
        result += features.log_base
        for component in self._cancelling(weights, features, result):
            terms = self.log_pdf(self._filled(batch), params, component)
            result[component] = np.where(batch.observed, terms, 0.0).sum(axis=1) if batch.missing else terms.sum(axis=1)
        return result

    def statistics(self, batch: Batch, posterior: Posterior, params: P) -> ColumnStatistics:
        features = batch.once((id(self), "features"), lambda: self._features(batch))
        r = posterior.responsibilities
        totals = r @ features.rows.T
        k, d = len(r), batch.n_columns
        n_terms = (features.rows.shape[0] - (d if batch.missing else 1)) // d
        sums, present = totals[:, : n_terms * d], totals[:, n_terms * d :]
        counts = present if batch.missing else np.repeat(present, d, axis=1)
        return ColumnStatistics(sums.reshape(k, n_terms, d), counts, r @ features.log_base)

    def maximize(self, statistics: ColumnStatistics, params: P) -> P:
        updated = self.maximize_columns(statistics.means, statistics.counts, params)
        return keep_where_empty(updated, params, statistics.counts > 0)

    def expected_log_density(self, statistics: ColumnStatistics, params: P) -> float:
        eta, partition = self.natural(params)
        return float(np.sum(eta * statistics.sums) - np.sum(partition * statistics.counts) + statistics.log_base.sum())

    def sample(self, params: P, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.sample_columns(params, states, rng)

    # -- the two matrix products ---------------------------------------------------------------

    def _filled(self, batch: Batch) -> FloatArray:
        """Values with missing entries replaced by any value of the support; they are masked out again."""
        if not batch.missing:
            return batch.values
        return np.where(batch.observed, batch.values, self.filler)

    @property
    def filler(self) -> float:
        """Some value of the support."""
        return 0.5

    def _features(self, batch: Batch) -> Features:
        x = self._filled(batch)
        terms = self.sufficient(x)
        base = self.log_base(x)
        n, d = x.shape
        rows = np.empty((len(terms) * d + (d if batch.missing else 1), n))
        for j, term in enumerate(terms):
            rows[j * d : (j + 1) * d] = term.T
        rows[len(terms) * d :] = 1.0
        if batch.missing:
            present = batch.observed.T
            for j in range(len(terms) + 1):
                rows[j * d : (j + 1) * d] *= present
            base = None if base is None else np.where(batch.observed, base, 0.0)
        return Features(rows, np.zeros(n) if base is None else base.sum(axis=1))

    def _presence_weights(self, minus_partition: FloatArray, batch: Batch) -> FloatArray:
        return minus_partition if batch.missing else minus_partition.sum(axis=1, keepdims=True)

    def _cancelling(self, weights: FloatArray, features: Features, result: FloatArray) -> Array:
        """Components whose terms are so much larger than their sum that the direct formula must serve."""
        few = slice(None, None, max(1, result.shape[1] // 32))
        terms = np.abs(weights) @ np.abs(features.rows[:, few]) + np.abs(features.log_base[few])
        return np.flatnonzero(np.any(terms > LARGEST_TERMS * np.maximum(1.0, np.abs(result[:, few])), axis=1))


def check_support(batch: Batch, invalid: Any, expected: str) -> None:
    """Raise `DataError` naming the first entry for which `invalid(values)` holds (missing entries never count)."""
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(invalid(batch.values) & batch.observed)
    if len(wrong):
        row, column = wrong[0]
        raise DataError(f"{expected}; row {batch.first_row + row}, column {column} holds {batch.values[row, column]:g}")


def keep_where_empty(updated: P, current: P, filled: Array) -> P:
    """`updated`, but the current values where a (component, column) cell has seen no data."""
    if filled.all():
        return updated
    from dataclasses import replace

    changes = {
        name: np.where(filled, value, getattr(current, name))
        for name, value in updated.arrays().items()
        if np.shape(value) == filled.shape
    }
    return replace(updated, **changes)


def is_fractional(x: FloatArray) -> Array:
    """Entries that are no whole numbers."""
    return x != np.floor(x)


def weighted_column_mean(batch: Batch) -> FloatArray:
    """Mean of the observed entries of each column by the batch's weights; 0 where a column has none."""
    weights = batch.unit_weights(False)[:, None] * batch.observed
    total = weights.sum(axis=0)
    return np.asarray((weights * np.nan_to_num(batch.values)).sum(axis=0) / np.where(total > 0, total, 1.0))
