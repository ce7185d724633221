"""A few weighted rows with exactly the weight, mean and covariance of the data, for models that depend on no more.

Where rows are jointly normal, their log-likelihood and the moments of an E-step are sums over rows of squares, the
same for all rows with the same entries observed; hence rows that have these sums stand for them.  One pass over
complete data then serves any number of iterations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource, Batch, Source
from ..em import Executor
from ..kernels.products import moments
from ..statistics import Statistics

# Sums of squares beyond this may be of entries that no data may have; and centres beyond its root.
LARGEST_SQUARES = 1e280
# What is kept row by row, as rows whose pattern of missing entries few others have, at most, of all rows.
MOST_KEPT = 0.5


@dataclass(frozen=True)
class Sums(Statistics):
    """Of each pattern of observed entries: weights (m,), sums (m, p) and products (m, p, p) of y = x - centre."""

    weights: FloatArray
    first: FloatArray
    second: FloatArray

    @property
    def are_usual(self) -> bool:
        """Whether no sum of squares is NaN or near the largest number."""
        return bool(np.all(np.diagonal(self.second, axis1=1, axis2=2) < LARGEST_SQUARES))


@dataclass(frozen=True)
class Patterns(Statistics):
    """How many rows have each pattern of observed entries, by its bits."""

    counts: Counter[bytes]

    def __add__(self, other: Patterns) -> Patterns:
        return Patterns(self.counts + other.counts)


@dataclass(frozen=True)
class Rows(Statistics):
    """Rows (n, p) and their weights (n,), one after the other."""

    values: FloatArray
    weights: FloatArray

    def __add__(self, other: Rows) -> Rows:
        values, weights = np.concatenate([self.values, other.values]), np.concatenate([self.weights, other.weights])
        return Rows(values, weights)


class MomentRows(ArraySource):
    """Rows that stand for complete data with the weight W, mean m (p,) and scatter Σ w (x - m)(x - m)ᵀ (p, p)."""

    def __init__(self, weight: float, mean: FloatArray, scatter: FloatArray, **options: Any) -> None:
        values, weights = rows_with_moments(weight, mean, scatter)
        super().__init__(values, weights=weights, **options)
        self.weight, self.mean, self.covariance = weight, mean, scatter / weight

    def in_units(self, centre: FloatArray, scale: FloatArray) -> MomentRows:
        """Rows (x - centre) / scale, made from their own moments: a mean far from zero takes no digits with it."""
        mean, scatter = (self.mean - centre) / scale, self.weight * self.covariance / (scale[:, None] * scale)
        return MomentRows(self.weight, mean, scatter, names=self.names, layout=self._layout, unseen=True)


def moment_rows(source: Source, executor: Executor) -> Source:
    """Rows that stand for those of the source; the source itself where too few rows share their missing entries.

    With W the weight, m the mean and S = Σ w (x - m)(x - m)ᵀ = F Fᵀ of the rows with one pattern, and r the columns of
    F, these are the r + 1 rows m + √((r + 1) / W) F hᵢ, each with the weight W / (r + 1), see `rows_with_moments`.

    Of a source that is `unseen` the sums tell whether all entries are finite and of usual size; if not, it is returned.

    Parameters
    ----------
    source : Source
        Without known states; its weights count.
    executor : Executor
    """
    first = next(iter(source))
    if first.labels is not None or first.covariates is not None:
        return source
    seen = _common_patterns(source, executor)
    if seen is None:
        return source
    with np.errstate(all="ignore"):
        centre = _centre(first)
        sums = executor.fold(partial(_sums, seen, centre), source)
        usual = sums.are_usual and bool(np.all(np.abs(centre) < np.sqrt(LARGEST_SQUARES)))
        if not usual and isinstance(source, ArraySource) and source.unseen:
            return source
    if not source.missing and sums.weights[0] > 0:
        weight, mean = float(sums.weights[0]), sums.first[0] / sums.weights[0]
        scatter = sums.second[0] - sums.weights[0] * np.outer(mean, mean)
        few = MomentRows(weight, centre + mean, scatter, names=source.names, layout=source.layout, unseen=usual)
        return few if few.n_rows < source.n_rows else source
    parts = [_standing_for(*part, centre) for part in zip(seen, sums.weights, sums.first, sums.second, strict=True)]
    if source.missing:
        kept = executor.fold(partial(_others, seen), source)
        parts.append((kept.values, kept.weights))
    values, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(values) >= source.n_rows:
        return source
    return ArraySource(values, weights=weights, names=source.names, layout=source.layout)


def _common_patterns(source: Source, executor: Executor) -> Array | None:
    """(m, p) bool: patterns that more rows have than stand for them; None where too many rows have others."""
    p = source.n_columns
    if not source.missing:
        return np.ones((1, p), bool)
    counts = executor.fold(_count, source).counts
    chosen = [code for code, n in counts.items() if n > _unpacked(code, p).sum() + 1]
    others = sum(counts.values()) - sum(counts[code] for code in chosen)
    if not chosen or others > MOST_KEPT * source.n_rows:
        return None
    return np.array([_unpacked(code, p) for code in sorted(chosen)])


def _unpacked(code: bytes, p: int) -> Array:
    return np.unpackbits(np.frombuffer(code, np.uint8), count=p).astype(bool)


def _codes(batch: Batch) -> list[bytes]:
    return [code.tobytes() for code in np.packbits(batch.observed, axis=1)]


def _count(batch: Batch) -> Patterns:
    return Patterns(Counter(_codes(batch)))


def _centre(batch: Batch) -> FloatArray:
    """Means of what some rows have in each column: near enough to the mean that no digits cancel."""
    if not batch.missing:
        return np.asarray(batch.values.mean(axis=0))
    counts = batch.observed.sum(axis=0)
    return np.asarray(np.where(batch.observed, batch.values, 0.0).sum(axis=0) / np.maximum(counts, 1))


def _chosen(batch: Batch, seen: Array) -> Iterator[Array]:
    """The rows of the batch with each of the patterns; all rows where nothing is missing."""
    if not batch.missing:
        yield np.arange(len(batch))
        return
    codes = np.packbits(batch.observed, axis=1)
    for pattern in np.packbits(seen, axis=1):
        yield np.flatnonzero((codes == pattern).all(axis=1))


def _sums(seen: Array, centre: FloatArray, batch: Batch) -> Sums:
    (m, p), weights = seen.shape, batch.unit_weights(per_group=False)
    if not batch.missing:
        some, products = moments(batch.values, centre, batch.weights)
        return Sums(weights.sum()[None], some[None], products[None])
    totals, first, second = np.zeros(m), np.zeros((m, p)), np.zeros((m, p, p))
    for i, rows in enumerate(_chosen(batch, seen)):
        columns = np.flatnonzero(seen[i])
        y, w = batch.values[np.ix_(rows, columns)] - centre[columns], weights[rows]
        totals[i], first[i, columns] = w.sum(), w @ y
        scaled = y if batch.weights is None else y * np.sqrt(w)[:, None]
        second[i][np.ix_(columns, columns)] = scaled.T @ scaled
    return Sums(totals, first, second)


def _others(seen: Array, batch: Batch) -> Rows:
    """Rows with none of the patterns."""
    chosen = np.concatenate(list(_chosen(batch, seen)))
    rest = np.setdiff1d(np.arange(len(batch)), chosen)
    return Rows(batch.values[rest], batch.unit_weights(per_group=False)[rest])


def _standing_for(
    seen: Array, weight: float, first: FloatArray, second: FloatArray, centre: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rows (r + 1, p) with these moments about the centre, and their weights."""
    columns = np.flatnonzero(seen)
    if weight == 0 or not len(columns):
        return np.full((1, len(seen)), np.nan), np.array([weight])
    mean = first[columns] / weight
    scatter = second[np.ix_(columns, columns)] - weight * np.outer(mean, mean)
    some, weights = rows_with_moments(weight, centre[columns] + mean, scatter)
    rows = np.full((len(some), len(seen)), np.nan)
    rows[:, columns] = some
    return rows, weights


def rows_with_moments(weight: float, mean: FloatArray, scatter: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rows (r + 1, p) whose weights add up to W, with mean m (p,) and S = Σ w (x - m)(x - m)ᵀ (p, p); and the weights.

    They are the corners of a simplex, m + √(n / W) F hᵢ for n = r + 1, where the hᵢ add up to zero and Σ hᵢ hᵢᵀ = I:
    hᵢ = eᵢ - (1 - 1 / √n) / r, and the last is -1 / √n.
    """
    factor = _factor(scatter)
    r = factor.shape[1]
    n = r + 1
    factor *= np.sqrt(n / weight)
    middle = factor.sum(axis=1)
    rows = np.empty((n, len(mean)))
    rows[:r] = (factor - (1 - 1 / np.sqrt(n)) / max(r, 1) * middle[:, None]).T
    rows[r] = -middle / np.sqrt(n)
    return rows + mean, np.full(n, weight / n)


def _factor(scatter: FloatArray) -> FloatArray:
    """F with F Fᵀ = S, with no more columns than S has directions."""
    try:
        return np.asarray(np.linalg.cholesky(scatter))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scatter)
        real = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
        return np.asarray(vectors[:, real] * np.sqrt(values[real]))
