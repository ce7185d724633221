"""Columns of categories: p(x_d = c) = probability c of column d, columns independent given the state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..kernels.lookup import count_codes, look_up
from ..kernels.simplex import expected_log_simplex, maximize_simplex, simplex_score
from ..model import Family, Posterior
from ..parameters import Parameters, Simplex, parameter
from ..statistics import Statistics
from .columnwise import check_support, is_fractional


@dataclass(frozen=True)
class ColumnProbabilities(Parameters):
    """Probabilities of the categories of one column, (K, C)."""

    probabilities: FloatArray = parameter(Simplex())


@dataclass(frozen=True)
class CategoryParameters(Parameters):
    """One `ColumnProbabilities` for each column."""

    columns: tuple[ColumnProbabilities, ...]

    @property
    def probabilities(self) -> FloatArray:
        """(K, ΣC): those of all columns side by side."""
        return np.concatenate([column.probabilities for column in self.columns], axis=1)


@dataclass(frozen=True)
class CategoryStatistics(Statistics):
    """Expected counts (K, ΣC) of the categories of all columns side by side, over observed entries."""

    counts: FloatArray


@dataclass(frozen=True)
class CategoricalColumns(Family[CategoryParameters, CategoryStatistics]):
    """Columns hold codes 0 … C_d - 1; with a categorical latent this is latent class analysis.

    log p(x) = Σ_d log p_d(x_d).  M-step: the expected relative frequencies.  A probability may become 0, and a row
    with such a category is then impossible in that component.  Missing entries (NaN) contribute nothing.

    Attributes
    ----------
    n_categories : tuple of int
        C_d for each column.

    Raises
    ------
    ParameterError
        No columns, or a column without categories.
    DataError
        A code that is no whole number from 0, or a category never seen; row and column are named.
    """

    n_categories: tuple[int, ...]

    discrete = True

    def __post_init__(self) -> None:
        if not self.n_categories or min(self.n_categories) < 1:
            raise ParameterError(f"n_categories needs a count of at least 1 for each column, got {self.n_categories}")

    def check(self, batch: Batch) -> None:
        if batch.n_columns != len(self.n_categories):
            raise DataError(f"expected {len(self.n_categories)} columns of categories, got {batch.n_columns}")
        check_support(batch, _is_no_code, "CategoricalColumns takes codes: whole numbers from 0")
        unseen = np.argwhere(batch.observed & (batch.values >= self.n_categories))
        if len(unseen):
            row, column = unseen[0]
            raise DataError(
                f"row {batch.row_of_unit(int(row), False)}, column {column} holds {batch.values[row, column]:g}, a "
                f"category never seen: the column has categories 0 to {self.n_categories[column] - 1}; mark the entry "
                "missing (NaN) or fit with data (or n_categories) that include it"
            )

    def start(self, batch: Batch, n_components: int) -> CategoryParameters:
        """Pooled frequencies with one added to every count, so that nothing is impossible."""
        pooled = self._counts(batch, batch.unit_weights(False)[None]) + 1.0
        parts = (counts / counts.sum() for counts in self._by_column(pooled))
        return CategoryParameters(tuple(ColumnProbabilities(np.tile(part, (n_components, 1))) for part in parts))

    def log_density(self, batch: Batch, params: CategoryParameters) -> FloatArray:
        with np.errstate(divide="ignore"):
            tables = [np.log(column.probabilities) for column in params.columns]
        absent = np.zeros((len(tables[0]), 1))
        return look_up([np.concatenate([table, absent], axis=1) for table in tables], self._codes(batch))

    def statistics(self, batch: Batch, posterior: Posterior, params: CategoryParameters) -> CategoryStatistics:
        return CategoryStatistics(self._counts(batch, posterior.responsibilities))

    def maximize(self, statistics: CategoryStatistics, params: CategoryParameters) -> CategoryParameters:
        pairs = zip(self._by_column(statistics.counts), params.columns, strict=True)
        return CategoryParameters(
            tuple(ColumnProbabilities(maximize_simplex(counts, column.probabilities)) for counts, column in pairs)
        )

    def expected_log_density(self, statistics: CategoryStatistics, params: CategoryParameters) -> float:
        return expected_log_simplex(statistics.counts, params.probabilities)

    def score(self, statistics: CategoryStatistics, params: CategoryParameters) -> FloatArray:
        pairs = zip(self._by_column(statistics.counts), params.columns, strict=True)
        return np.concatenate([simplex_score(counts, column.probabilities) for counts, column in pairs])

    def sample(self, params: CategoryParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        draws = [_draw(column.probabilities[states], rng) for column in params.columns]
        return np.stack(draws, axis=1).astype(float)

    def _by_column(self, side_by_side: FloatArray) -> list[FloatArray]:
        return np.split(side_by_side, np.cumsum(self.n_categories)[:-1], axis=1)

    def _counts(self, batch: Batch, weights: FloatArray) -> FloatArray:
        """Σ of weights (K, n) over the rows with each category: (K, ΣC)."""
        pairs = zip(self._codes(batch), self.n_categories, strict=True)
        return np.concatenate([count_codes(weights, codes, n + 1)[:, :n] for codes, n in pairs], axis=1)

    def _codes(self, batch: Batch) -> Array:
        """(D, n): the categories of each column, one more than there are for a missing entry."""
        return batch.once((self, "codes"), lambda: self._encoded(batch))

    def _encoded(self, batch: Batch) -> Array:
        absent = np.array(self.n_categories, float)
        values = np.where(batch.observed, batch.values, absent) if batch.missing else batch.values
        with np.errstate(invalid="ignore"):
            codes = np.ascontiguousarray(values.T, np.int32)
        if codes.shape[0] != len(absent) or np.any((values != codes.T) | (codes.T < 0) | (batch.values >= absent)):
            self.check(batch)  # what is left are missing entries that nobody has announced
            codes = np.ascontiguousarray(np.where(batch.observed, batch.values, absent).T, np.int32)
        return codes


def log_linear(probabilities: FloatArray, features: FloatArray) -> FloatArray:
    """Σⱼ fⱼ log pⱼ for features (P, n) ≥ 0 with 0 log 0 = 0, as one product: (K, n); -inf where f > 0 = p."""
    impossible = probabilities <= 0
    result = np.log(np.where(impossible, 1.0, probabilities)) @ features
    if impossible.any():
        result[impossible.astype(float) @ features > 0] = -np.inf
    return np.asarray(result)


def _is_no_code(x: FloatArray) -> Array:
    return np.asarray((x < 0) | is_fractional(x) | np.isinf(x))


def _draw(probabilities: FloatArray, rng: np.random.Generator) -> Array:
    """One category for each row of probabilities (n, C)."""
    cumulative = np.cumsum(probabilities, axis=1)
    return np.asarray((rng.random((len(cumulative), 1)) * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1))
