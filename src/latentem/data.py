"""The data as a re-readable recipe: a `Source` is divided into chunks and yields a `Batch` for each.

The division into chunks depends on the data alone, never on the number of workers, so that every
executor adds the same numbers in the same order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from ._typing import Array, FloatArray
from .errors import DataError
from .layout import Layout

T = TypeVar("T")

# A chunk should fill the time of a few compiled calls, and its products xᵢxⱼ a few megabytes.
LARGEST_CHUNK = 8064
SMALLEST_CHUNK = 504
CHUNK_PRODUCTS = 2_000_000
LARGEST_MAGNITUDE = 1e150
SMALLEST_WEIGHT = 1e-120
USUAL_WEIGHTS = (1e-3, 1e7)
# Powers of ten that weighted sums of squares must stay within, and the magnitude from which on squares are numbers.
LARGEST_LOG_SQUARE, SMALLEST_LOG_SQUARE, SMALLEST_SQUARED = 304, -298, 1e-150


@dataclass(frozen=True)
class Batch:
    """Aligned columns of one chunk.

    Attributes
    ----------
    values : (n, D) float64
        Observations; NaN marks a missing entry.
    weights : (n,) or None
        Non-negative weights of the rows; None stands for ones.
    labels : (n,) int or None
        Known latent states, -1 where unknown.
    offsets : (G + 1,) int or None
        Boundaries of the groups (sequences, subjects) within the batch; None: every row is alone.
    first_row : int
        Number of the first row in the whole data, for messages.
    missing : bool
        Whether `values` may hold NaN.
    covariates : (n, P) or None
        Columns that the model conditions on.
    layout : Layout or None
        What the columns of a row stand for; None: a row is a vector.
    rows : (n,) int or None
        Numbers of the rows in the data as the user gave them, where they were put in another order.
    memo : dict
        Results that depend on the values alone, see `once`.
    """

    values: FloatArray
    weights: FloatArray | None = None
    labels: Array | None = None
    offsets: Array | None = None
    first_row: int = 0
    missing: bool = False
    covariates: FloatArray | None = None
    layout: Layout | None = None
    rows: Array | None = None
    memo: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` returns, kept while the batch lives: features shared by density and statistics.

        The key holds what the result depends on, itself or by value; an `id` may be given to another object later.
        """
        if key not in self.memo:
            self.memo[key] = compute()
        result: T = self.memo[key]
        return result

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def observed(self) -> Array:
        """(n, D) bool: which entries are not missing."""
        return ~np.isnan(self.values)

    @property
    def group_offsets(self) -> Array:
        """Boundaries of the groups; without any, the whole data is one group, which must then be in one batch."""
        if self.offsets is None and self.first_row > 0:
            raise DataError(
                "the model has groups (sequences), but the data came without their lengths and in several chunks; "
                "give lengths=[n] for one sequence of n rows"
            )
        return np.array([0, len(self)]) if self.offsets is None else self.offsets

    @property
    def group_lengths(self) -> Array:
        return np.diff(self.group_offsets)

    @property
    def n_groups(self) -> int:
        return len(self.group_offsets) - 1

    def unit_weights(self, per_group: bool) -> FloatArray:
        """Weights of the units: of the rows, or of the groups, whose rows must then weigh the same."""
        if self.weights is None:
            return np.ones(self.n_groups if per_group else len(self))
        weights = self.weights
        if not per_group:
            return weights
        by_group = weights[self.group_offsets[:-1]]
        wrong = np.flatnonzero(np.repeat(by_group, self.group_lengths) != weights)
        if len(wrong):
            row = self.row_of_unit(int(wrong[0]), per_group=False)
            raise DataError(f"the rows of a group must have one weight, that of the group; row {row} differs")
        return by_group

    def reweighted(self, unit_weights: FloatArray, per_group: bool) -> Batch:
        """The same rows with other weights, given for rows or for groups."""
        weights = np.repeat(unit_weights, self.group_lengths) if per_group else unit_weights
        return replace(self, weights=weights)

    def without_labels(self) -> Batch:
        return self if self.labels is None else replace(self, labels=None)

    def rows_between(self, start: int, stop: int) -> Batch:
        """Some of the rows, as one group; the layout stays."""
        rows = slice(start, stop)
        return replace(
            self,
            values=self.values[rows],
            weights=None if self.weights is None else self.weights[rows],
            labels=None if self.labels is None else self.labels[rows],
            offsets=np.array([0, stop - start]),
            first_row=self.first_row + start,
            covariates=None if self.covariates is None else self.covariates[rows],
            rows=None if self.rows is None else self.rows[rows],
            memo={},
        )

    def groups_between(self, first: int, last: int) -> Batch:
        """Some of the groups."""
        edges = self.group_offsets[first : last + 1]
        return replace(self.rows_between(int(edges[0]), int(edges[-1])), offsets=edges - edges[0])

    def columns(self, index: Array) -> Batch:
        """The batch with only some of the columns."""
        return replace(self, values=np.ascontiguousarray(self.values[:, index]), layout=None, memo={})

    def only(self, rows: Array) -> Batch:
        """The batch with only some of the rows, which then belong to no groups."""

        def taken(column: Any) -> Any:
            return None if column is None else column[rows]

        numbers = self.first_row + np.arange(len(self)) if self.rows is None else self.rows
        return Batch(
            self.values[rows],
            taken(self.weights),
            taken(self.labels),
            missing=self.missing,
            covariates=taken(self.covariates),
            layout=self.layout,
            rows=numbers[rows],
        )

    def row_of_unit(self, unit: int, per_group: bool) -> int:
        """Number in the whole data of a unit's first row."""
        row = int(self.group_offsets[unit] if per_group else unit)
        return self.first_row + row if self.rows is None else int(self.rows[row])


class Source(ABC):
    """The data, re-readable chunk by chunk."""

    names: tuple[str, ...]

    @property
    @abstractmethod
    def n_rows(self) -> int: ...

    @property
    @abstractmethod
    def chunks(self) -> Sequence[Any]:
        """Keys of the chunks, in order: small and picklable."""

    @abstractmethod
    def read(self, chunk: Any) -> Batch:
        """The batch of one chunk."""

    @property
    def n_columns(self) -> int:
        return len(self.names)

    @property
    def missing(self) -> bool:
        """Whether any entry may be NaN."""
        return False

    @property
    def layout(self) -> Layout:
        """What the columns of a row stand for: by default, for the entries of a vector."""
        return Layout.vector(self.n_columns)

    def __iter__(self) -> Iterator[Batch]:
        return (self.read(chunk) for chunk in self.chunks)


class ArraySource(Source):
    """Arrays in memory.

    Parameters
    ----------
    values : (n, D) array of numbers, or a SciPy sparse matrix in rows
        Read as float64, chunk by chunk: float32 and integers are never copied whole.
    weights : (n,), optional
    labels : (n,) int, optional
        Known latent states, -1 where unknown.
    lengths : sequence of int, optional
        Lengths of consecutive groups; chunks then end where groups end.
    covariates : (n, P), optional
    chunk_rows : int, optional
        Rows in a chunk (at least one group); see `default_chunk_rows`.
    names : sequence of str, optional
        Column names.
    layout : Layout, optional
        What the columns of a row stand for; a vector unless given.
    rows : (n,) int, optional
        Numbers by which messages call the rows, where they were put in another order.
    unseen : bool
        Take it that float64 entries are all there, finite and of usual size, without a look at them: for who has seen
        them, or will in a pass of its own.

    Raises
    ------
    DataError
        Empty data, infinite values, magnitudes above 1e150 (their squares overflow), weights that are
        negative, not finite or all zero, lengths that do not add up; the row and column are named.
    """

    def __init__(
        self,
        values: Any,
        *,
        weights: Any = None,
        labels: Any = None,
        lengths: Any = None,
        covariates: Any = None,
        chunk_rows: int | None = None,
        names: Sequence[str] | None = None,
        layout: Layout | None = None,
        rows: Array | None = None,
        unseen: bool = False,
    ) -> None:
        if isinstance(values, np.ma.MaskedArray) and np.any(values.mask):
            raise DataError("some values are masked; pass values.astype(float).filled(np.nan) to have them missing")
        self.values = values.tocsr() if _is_sparse(values) else np.asarray(values)
        if self.values.ndim != 2:
            raise DataError(f"expected a table with rows and columns (2 dimensions), got shape {self.values.shape}")
        n, d = self.values.shape
        if n == 0 or d == 0:
            raise DataError(f"expected at least one row and one column, got {n} x {d}")
        self.names = tuple(names) if names is not None else tuple(f"x{j}" for j in range(d))
        if len(self.names) != d:
            raise DataError(f"expected {d} column names, got {len(self.names)}")
        self._layout, self.rows = layout, rows
        self.weights = None if weights is None else check_weights(weights, n, rows)
        self.labels = None if labels is None else check_labels(labels, n, rows)
        self.covariates = None if covariates is None else _check_covariates(covariates, n, rows)
        self.offsets = None if lengths is None else _offsets(lengths, n)
        self.chunk_rows = default_chunk_rows(d) if chunk_rows is None else int(chunk_rows)
        if self.chunk_rows < 1:
            raise DataError(f"chunk_rows must be at least 1, got {chunk_rows}")
        self.unseen = unseen
        self._missing = not unseen and self._scan()
        if self.weights is not None and not is_usual(total := float(self.weights.sum())):
            check_squares(total, self._largest(), self.names)

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def missing(self) -> bool:
        return self._missing

    @property
    def layout(self) -> Layout:
        return Layout.vector(self.n_columns) if self._layout is None else self._layout

    @cached_property
    def chunks(self) -> list[tuple[int, int]]:
        if self.offsets is None:
            edges = [*range(0, self.n_rows, self.chunk_rows), self.n_rows]
        else:
            edges = _group_edges(self.offsets, self.chunk_rows)
        return list(pairwise(edges))

    def read(self, chunk: tuple[int, int]) -> Batch:
        rows = slice(*chunk)
        return Batch(
            values=_dense(self.values[rows]),
            weights=None if self.weights is None else self.weights[rows],
            labels=None if self.labels is None else self.labels[rows],
            offsets=None if self.offsets is None else _offsets_within(self.offsets, *chunk),
            first_row=chunk[0],
            missing=self._missing,
            covariates=None if self.covariates is None else self.covariates[rows],
            layout=self._layout,
            rows=None if self.rows is None else self.rows[rows],
        )

    def _scan(self) -> bool:
        """Check every entry once, chunk by chunk; return whether some are missing."""
        if self.values.dtype.kind not in "fiub":
            raise DataError(f"expected numbers, got an array of {self.values.dtype}; encode text columns first")
        missing = False
        for start, stop in self.chunks:
            missing |= _scan_block(_dense(self.values[start:stop]), start, self.names, self.rows)
        return missing

    def _largest(self) -> FloatArray:
        """(D,): the largest magnitude in each column; 0 where nothing is observed."""
        blocks = (_dense(self.values[start:stop]) for start, stop in self.chunks)
        return np.max([largest_magnitudes(block) for block in blocks], axis=0)


def largest_magnitudes(values: FloatArray) -> FloatArray:
    """(D,): the largest magnitude of the observed entries of each column."""
    return np.asarray(np.where(np.isnan(values), 0.0, np.abs(values)).max(axis=0))


def default_chunk_rows(n_columns: int) -> int:
    """Rows in a chunk: a function of the number of columns alone, so that every executor divides alike."""
    return max(SMALLEST_CHUNK, min(LARGEST_CHUNK, CHUNK_PRODUCTS // n_columns**2 // 24 * 24))


def check_weights(weights: Any, n: int, rows: Array | None = None) -> FloatArray:
    """Weights as float64, or a `DataError` that names the row at fault, by its number in `rows` if there are such."""
    checked = _aligned("weights", weights, n).astype(float)
    if checked.ndim != 1:
        raise DataError(f"weights must be one-dimensional, got shape {checked.shape}")
    wrong = np.flatnonzero(~(np.isfinite(checked) & (checked >= 0)))
    if len(wrong):
        row = _called(wrong[0], rows)
        raise DataError(f"weights must be finite and not negative; row {row} has {checked[wrong[0]]}")
    if not checked.any():
        raise DataError("all weights are zero: there is nothing to fit")
    with np.errstate(over="ignore"):
        check_total(float(checked.sum()))
    return checked


def check_total(total: float) -> None:
    """Raise where sums with weights that add up to this leave the range of numbers."""
    if not total <= LARGEST_MAGNITUDE:
        raise DataError(
            f"weights add up to {total:g}: sums with them overflow (the limit is {LARGEST_MAGNITUDE:g}); divide them "
            "by a constant"
        )
    if total < SMALLEST_WEIGHT:
        raise DataError(
            f"weights add up to {total:g}: sums with them underflow (the limit is {SMALLEST_WEIGHT:g}); multiply them "
            "by a constant"
        )


def is_usual(total: float) -> bool:
    """Whether weights that add up to this leave the squares of all values within the range of numbers."""
    return USUAL_WEIGHTS[0] <= total <= USUAL_WEIGHTS[1]


def check_squares(total: float, largest: FloatArray, names: Sequence[str]) -> None:
    """Raise where sums of squares of columns with these magnitudes (D,), by weights with this sum, overflow or vanish.

    A column whose own squares vanish is none for a family that squares it, and weights change nothing about that.
    """
    with np.errstate(divide="ignore"):
        logs = np.log10(total) + 2 * np.log10(largest)
    vanishing = (logs < SMALLEST_LOG_SQUARE) & (largest >= SMALLEST_SQUARED)
    wrong = np.flatnonzero((logs > LARGEST_LOG_SQUARE) | vanishing)
    if len(wrong):
        what = "overflow; divide" if logs[wrong[0]] > 0 else "underflow; multiply"
        raise DataError(
            f"weights add up to {total:g}, and column {names[wrong[0]]!r} holds magnitudes up to "
            f"{largest[wrong[0]]:g}: sums of their squares {what} the weights by a constant"
        )


def _scan_block(block: FloatArray, first_row: int, names: Sequence[str], rows: Array | None) -> bool:
    if block.max() <= LARGEST_MAGNITUDE and block.min() >= -LARGEST_MAGNITUDE:  # neither holds of NaN
        return False
    wrong = np.argwhere(np.abs(np.nan_to_num(block, nan=0.0, posinf=np.inf, neginf=-np.inf)) > LARGEST_MAGNITUDE)
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"row {_called(first_row + row, rows)}, column {names[column]!r}: {block[row, column]} is infinite or so "
            "large that its square overflows; remove the row or rescale the column"
        )
    return True


def _called(row: int, rows: Array | None) -> int:
    """The number by which messages call a row, where rows were put in another order."""
    return int(row if rows is None else rows[row])


def _is_sparse(values: Any) -> bool:
    return hasattr(values, "tocsr") and hasattr(values, "nnz")


def _dense(block: Any) -> FloatArray:
    dense = block.toarray() if _is_sparse(block) else block
    return np.ascontiguousarray(dense, dtype=np.float64)


def _aligned(name: str, values: Any, n: int) -> Array:
    if isinstance(values, np.ma.MaskedArray) and np.any(values.mask):
        raise DataError(f"{name} must be known for each row, but some are masked; drop those rows")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} must have one number for each of the {n} rows, but are nested unevenly") from error
    if array.shape[:1] != (n,):
        raise DataError(f"{name} must have one entry for each of the {n} rows, got shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} must be numbers, got an array of {array.dtype}")
    return array


def check_labels(labels: Any, n: int, rows: Array | None = None) -> Array:
    """Known states as whole numbers, -1 where unknown, or a `DataError` that names the row at fault."""
    given = _aligned("labels", labels, n)
    if given.ndim != 1:
        raise DataError(f"labels must be one-dimensional, got shape {given.shape}")
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= -1) & (given == np.floor(given))))
    if len(wrong):
        raise DataError(
            f"labels must be states 0, 1, … or -1 where unknown; row {_called(wrong[0], rows)} has {given[wrong[0]]}"
        )
    return given.astype(np.intp)


def _check_covariates(covariates: Any, n: int, rows: Array | None) -> FloatArray:
    given = np.ascontiguousarray(_aligned("covariates", covariates, n), float)
    if given.ndim != 2:
        raise DataError(f"covariates must be a table with rows and columns, got shape {given.shape}")
    wrong = np.argwhere(~(np.abs(given) <= LARGEST_MAGNITUDE))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"covariates must be finite and at most {LARGEST_MAGNITUDE:g} in magnitude, since their squares are added; "
            f"row {_called(row, rows)}, column {column} has {given[row, column]}"
        )
    return given


def _offsets(lengths: Any, n: int) -> Array:
    counts = np.asarray(lengths)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or not len(counts):
        raise DataError("lengths must be a sequence of whole numbers")
    if np.any(counts < 1):
        raise DataError(f"every length must be at least 1; group {int(np.argmin(counts))} has {int(counts.min())}")
    if counts.sum() != n:
        raise DataError(f"lengths add up to {int(counts.sum())}, but there are {n} rows")
    return np.concatenate([[0], np.cumsum(counts)])


def _group_edges(offsets: Array, chunk_rows: int) -> list[int]:
    """Chunk boundaries at group boundaries: each chunk takes whole groups until it has enough rows."""
    edges = [0]
    for stop in offsets[1:]:
        if stop - edges[-1] >= chunk_rows:
            edges.append(int(stop))
    return edges if edges[-1] == offsets[-1] else [*edges, int(offsets[-1])]


def _offsets_within(offsets: Array, start: int, stop: int) -> Array:
    first, last = np.searchsorted(offsets, [start, stop])
    return np.asarray(offsets[first : last + 1] - start)
