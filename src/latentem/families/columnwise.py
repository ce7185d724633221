"""Families whose columns are independent given the state, and one-parameter-set exponential families in each.

For such a family log p(x) = Σ_d [ Σ_j η_j(θ_d) t_j(x_d) - A(θ_d) + log h(x_d) ]: the log densities of a batch
are one matrix product W F, the expected statistics another, R Fᵀ.  A missing entry contributes nothing to either.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError
from ..model import Family, Posterior
from ..parameters import Parameters
from ..statistics import Statistics

P = TypeVar("P", bound=Parameters)

# A log density whose terms Σ|W||F| exceed its own size by more than this would lose more than three of its digits to
# cancellation: the direct formula serves instead, row by row.
LARGEST_TERMS = 200.0
# A cell with less weight has seen no data: its averages would be quotients of numbers that underflow.
SMALLEST_COUNT = 1e-150
# Positive families take numbers from here on: reciprocals and their sums stay finite.
SMALLEST_POSITIVE = 1e-300
# What a column that was never seen is taken to have held, for a start: inside the support of every family here.
UNSEEN = (0.25, 0.75)


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
        filled = self.filled[:, None, :]
        return np.where(filled, self.sums, 0.0) / np.where(filled, self.counts[:, None, :], 1.0)

    @property
    def filled(self) -> Array:
        """(K, D) bool: cells that have seen data."""
        return np.asarray(self.counts > SMALLEST_COUNT)


@dataclass(frozen=True)
class Features:
    """A batch seen through its sufficient statistics: `rows` (T·D + M, n) with M rows of presence (1, or D if
    entries are missing), and `log_base` (n,)."""

    rows: FloatArray
    log_base: FloatArray

    @cached_property
    def peaks(self) -> FloatArray:
        """(T·D + M,): largest magnitudes of the rows."""
        return np.maximum(self.rows.max(axis=1), -self.rows.min(axis=1))


class ColumnwiseExponential(Family[P, ColumnStatistics]):
    """Independent columns, each from the same exponential family with parameters of its own.

    A new family says: its support (`invalid`), its sufficient statistics (`sufficient`), natural parameters and
    log partition (`natural`), log base measure (`log_base`), its log density in the form that keeps its digits
    (`log_pdf`, used where the natural form would cancel, and the reference that the fast path is tested against),
    the maximizer for given averages (`maximize_columns`), and `sample_columns`.  It should also say its `score`,
    which differences of Q give with fewer digits.

    Log densities agree with exact ones to about 1e-13 · max(1, |log p|).  A missing entry adds nothing to a log
    density or to a statistic.  A cell (component, column) without data keeps its parameters.
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
        """log p(x_d | k) for each entry in the form that keeps its digits, shaped like x (n, D)."""

    @abstractmethod
    def maximize_columns(self, means: FloatArray, counts: FloatArray, params: P | None) -> P:
        """The maximizer given averages (K, T, D) and counts (K, D); cells without counts are patched by the caller.

        `params` is where a search may begin; None at a start.
        """

    @abstractmethod
    def sample_columns(self, params: P, states: Array, rng: np.random.Generator) -> FloatArray:
        """(n, D) draws."""

    # -- the family contract -------------------------------------------------------------------

    def check(self, batch: Batch) -> None:
        check_support(batch, self.invalid, f"{type(self).__name__} takes {self.support}")

    def start(self, batch: Batch, n_components: int) -> P:
        """The maximizer for pooled rows, for every component; an unseen column starts as if it held 1/4 and 3/4."""
        weights = batch.unit_weights(False)
        everything = Posterior(weights[None, :] / (weights.max(initial=0.0) or 1.0))
        pooled = self.statistics(batch, everything, None)
        counts, means = pooled.counts, pooled.means
        if not pooled.filled.all():
            unseen = Batch(np.repeat(np.array(UNSEEN)[:, None], batch.n_columns, axis=1))
            assumed = self.statistics(unseen, Posterior(np.ones((1, len(UNSEEN)))), None)
            means = np.where(pooled.filled[:, None, :], means, assumed.means)
            counts = np.where(pooled.filled, counts, assumed.counts)
        return repeat_component(self.maximize_columns(means, counts, None), n_components)

    def log_density(self, batch: Batch, params: P) -> FloatArray:
        features = batch.once((self, "features"), lambda: self._features(batch))
        with np.errstate(over="ignore", invalid="ignore"):
            eta, partition = self.natural(params)
            k = len(partition)
            weights = np.concatenate([eta.reshape(k, -1), self._presence_weights(-partition, batch)], axis=1)
            result = np.asarray(weights @ features.rows)
            result += features.log_base
            for component, rows in _cancelling(weights, features, result):
                result[component, rows] = self._direct(batch, params, component, rows)
        return result

    def statistics(self, batch: Batch, posterior: Posterior, params: P | None) -> ColumnStatistics:
        features = batch.once((self, "features"), lambda: self._features(batch))
        r = posterior.responsibilities
        totals = r @ features.rows.T
        k, d = len(r), batch.n_columns
        n_terms = (features.rows.shape[0] - (d if batch.missing else 1)) // d
        sums, present = totals[:, : n_terms * d], totals[:, n_terms * d :]
        counts = present if batch.missing else np.repeat(present, d, axis=1)
        return ColumnStatistics(sums.reshape(k, n_terms, d), counts, r @ features.log_base)

    def maximize(self, statistics: ColumnStatistics, params: P) -> P:
        updated = self.maximize_columns(statistics.means, statistics.counts, params)
        return keep_where_empty(updated, params, statistics.filled)

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

    def _direct(self, batch: Batch, params: P, component: int, rows: Array) -> FloatArray:
        """Log densities of some rows by `log_pdf`."""
        chosen = replace(batch, values=batch.values[rows], weights=None, labels=None, offsets=None, memo={})
        terms = self.log_pdf(self._filled(chosen), params, component)
        return np.asarray(np.where(chosen.observed, terms, 0.0).sum(axis=1) if batch.missing else terms.sum(axis=1))


def _cancelling(weights: FloatArray, features: Features, result: FloatArray) -> Iterator[tuple[int, Array]]:
    """(component, rows) whose terms are so much larger than their sum that the direct formula must serve."""
    largest = LARGEST_TERMS * np.maximum(1.0, np.abs(result))
    most = np.abs(weights) @ features.peaks + np.max(np.abs(features.log_base), initial=0.0)
    suspects = np.flatnonzero(~(most <= largest.min(axis=1)))
    if not len(suspects):
        return
    magnitudes = np.abs(weights[suspects]) @ np.abs(features.rows) + np.abs(features.log_base)
    for k, terms in zip(suspects, magnitudes, strict=True):
        rows = np.flatnonzero(~(terms <= largest[k]))
        if len(rows):
            yield int(k), rows


def check_support(batch: Batch, invalid: Any, expected: str) -> None:
    """Raise `DataError` naming the first entry for which `invalid(values)` holds (missing entries never count)."""
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(invalid(batch.values) & batch.observed)
    if len(wrong):
        row, column = wrong[0]
        number = batch.row_of_unit(int(row), False)
        raise DataError(f"{expected}; row {number}, column {column} holds {batch.values[row, column]:g}")


def keep_where_empty(updated: P, current: P, filled: Array) -> P:
    """`updated`, but the current values where a (component, column) cell has seen no data."""
    if filled.all():
        return updated
    kept = {name: np.where(filled, value, getattr(current, name)) for name, value in updated.arrays().items()}
    return replace(updated, **kept)


def repeat_component(params: P, n_components: int) -> P:
    """The first component of flat parameters, as often as there are components."""
    repeated = {name: np.repeat(value[:1], n_components, axis=0) for name, value in params.arrays().items()}
    return replace(params, **repeated)


def held_cells(held: Array, sentence: str) -> list[tuple[int, str]]:
    """Findings for cells (K, D) that are held at a bound, one for each component with the columns named."""
    return [(int(k), f"{sentence} in {_listed(np.flatnonzero(held[k]))}") for k in np.flatnonzero(held.any(axis=1))]


def _listed(columns: Array, most: int = 5) -> str:
    if len(columns) == 1:
        return f"column {columns[0]}"
    shown = ", ".join(str(column) for column in columns[:most])
    return f"columns {shown}" + (f" and {len(columns) - most} more" if len(columns) > most else "")


def not_positive(x: FloatArray) -> Array:
    """Entries that are not positive, or too small to have a reciprocal."""
    return np.asarray(~(x >= SMALLEST_POSITIVE) | np.isinf(x))


def is_fractional(x: FloatArray) -> Array:
    """Entries that are no whole numbers."""
    return x != np.floor(x)


def weighted_column_mean(batch: Batch) -> FloatArray:
    """Mean of the observed entries of each column by the batch's weights; 0 where a column has none."""
    weights = batch.unit_weights(False)
    weights = (weights / (weights.max(initial=0.0) or 1.0))[:, None] * batch.observed
    total = weights.sum(axis=0)
    sums = (weights * np.where(batch.observed, batch.values, 0.0)).sum(axis=0)
    return np.asarray(sums / np.where(total > 0, total, 1.0))
