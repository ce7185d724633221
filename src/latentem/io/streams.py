"""Files larger than memory, as sources.

Parquet only: its row groups can be read again in any order.  A text file has no such parts: `read_table` reads it
whole.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import (
    LARGEST_MAGNITUDE,
    Batch,
    Source,
    check_squares,
    check_total,
    default_chunk_rows,
    is_usual,
    largest_magnitudes,
)
from ..errors import DataError
from .tables import missing_column

KEPT_GROUPS = 2
Chunk = tuple[int, int, int, int]


class ParquetSource(Source):
    """A Parquet file, read again at every pass.

    A chunk is at most `chunk_rows` rows of one row group.  At most two decoded row groups are in memory at a time (for
    each worker process), so write files with row groups of moderate size: 100,000 rows of 16 columns are 13 MB.

    Parameters
    ----------
    path : path of a Parquet file
    columns : sequence of str, optional
        Which columns are observations; by default all but `weights` and `labels`.
    weights : str, optional
        Name of the column of row weights.
    labels : str, optional
        Name of the column of known states: whole numbers, -1 or null where unknown.
    chunk_rows : int, optional

    Raises
    ------
    DataError
        A file that cannot be read, is cut off or was changed between two passes; text, infinite values, magnitudes
        above 1e150; weights that are negative or not finite; row and column are named.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Sequence[str] | None = None,
        weights: str | None = None,
        labels: str | None = None,
        chunk_rows: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.weights_column, self.labels_column = weights, labels
        self._prepare()
        self.group_rows, available = self._layout()
        beside = [name for name in (weights, labels) if name is not None]
        self.names = tuple(name for name in available if name not in beside) if columns is None else tuple(columns)
        for name in (*self.names, *beside):
            if name not in available:
                raise missing_column(name, available)
        if not self.n_rows or not self.names:
            raise DataError(f"{self.path} has {self.n_rows} rows and {len(self.names)} columns: nothing to fit")
        self.chunk_rows = default_chunk_rows(self.n_columns) if chunk_rows is None else int(chunk_rows)
        if self.chunk_rows < 1:
            raise DataError(f"chunk_rows must be at least 1, got {chunk_rows}")
        self._stamp = _stamp(self.path)
        self._missing = self._scan()

    @property
    def n_rows(self) -> int:
        return sum(self.group_rows)

    @property
    def missing(self) -> bool:
        return self._missing

    @cached_property
    def chunks(self) -> list[Chunk]:
        """(row group, first row and last row + 1 within it, number of the first row in the file)."""
        found: list[Chunk] = []
        offset = 0
        for group, rows in enumerate(self.group_rows):
            for start in range(0, rows, self.chunk_rows):
                found.append((group, start, min(start + self.chunk_rows, rows), offset + start))
            offset += rows
        return found

    def read(self, chunk: Chunk) -> Batch:
        group, start, stop, first_row = chunk
        values, weights, labels = self._group(group, first_row - start)
        return Batch(
            values=values[start:stop],
            weights=None if weights is None else weights[start:stop],
            labels=None if labels is None else labels[start:stop],
            first_row=first_row,
            missing=self._missing,
        )

    # -- row groups ----------------------------------------------------------------------------

    def _layout(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        file = _open(self.path)
        with file:
            rows = tuple(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
            return rows, tuple(file.schema_arrow.names)

    def _group(self, group: int, first_row: int) -> tuple[FloatArray, FloatArray | None, Array | None]:
        """A decoded row group, from the few that are kept."""
        with self._lock:
            if group not in self._kept:
                while len(self._kept) >= KEPT_GROUPS:
                    self._kept.popitem(last=False)
                self._kept[group] = self._decode(group, first_row)
            self._kept.move_to_end(group)
            return self._kept[group]

    def _decode(self, group: int, first_row: int) -> tuple[FloatArray, FloatArray | None, Array | None]:
        import pyarrow as pa

        from . import arrow

        if _stamp(self.path) != self._stamp:
            raise DataError(f"{self.path} was changed while it was read; start again")
        beside = [name for name in (self.weights_column, self.labels_column) if name is not None]
        try:
            with _open(self.path) as file:
                wanted = list(dict.fromkeys([*self.names, *beside]))
                table = file.read_row_group(group, columns=wanted, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise arrow.unreadable(self.path, error) from error
        values = np.empty((table.num_rows, len(self.names)))
        for j, name in enumerate(self.names):
            values[:, j] = arrow.numbers(name, table.column(name), first_row)
        _check_magnitude(values, first_row, self.names)
        return values, self._weights(table, first_row), self._labels(table, first_row)

    def _weights(self, table: Any, first_row: int) -> FloatArray | None:
        if self.weights_column is None:
            return None
        from . import arrow

        weights = arrow.numbers(self.weights_column, table.column(self.weights_column), first_row)
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(f"weights must be finite and not negative; row {first_row + row} has {weights[row]}")
        return weights

    def _labels(self, table: Any, first_row: int) -> Array | None:
        if self.labels_column is None:
            return None
        from . import arrow

        column = table.column(self.labels_column)
        return whole_labels(arrow.numbers(self.labels_column, column, first_row), self.labels_column, first_row)

    def _scan(self) -> bool:
        """Read everything once, for its errors; return whether some entries are missing."""
        missing, total, largest = False, 0.0, np.zeros(self.n_columns)
        self._missing = True
        offset = 0
        for group, rows in enumerate(self.group_rows):
            values, weights, _ = self._group(group, offset)
            missing |= bool(np.isnan(values).any())
            total += float(rows if weights is None else weights.sum())
            largest = largest if weights is None else np.maximum(largest, largest_magnitudes(values))
            offset += rows
        if total == 0:
            raise DataError("all weights are zero: there is nothing to fit")
        if self.weights_column is not None:
            check_total(total)
            if not is_usual(total):
                check_squares(total, largest, self.names)
        return missing

    # -- what a worker process receives --------------------------------------------------------

    def _prepare(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, tuple[FloatArray, FloatArray | None, Array | None]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def whole_labels(values: FloatArray, name: str, first_row: int = 0) -> Array:
    """Known states as integers, -1 where NaN; `DataError` naming the first that is no whole number from -1."""
    known = np.where(np.isnan(values), -1.0, values)
    wrong = np.flatnonzero((known != np.floor(known)) | (known < -1) | np.isinf(known))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"known states must be whole numbers from 0 (-1 or empty: unknown); row {first_row + row}, column {name!r} "
            f"holds {known[row]:g}"
        )
    return known.astype(np.intp)


def _open(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    from . import arrow

    arrow.first_bytes(path)
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise arrow.unreadable(path, error) from error


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _check_magnitude(values: FloatArray, first_row: int, names: Sequence[str]) -> None:
    wrong = np.argwhere(np.abs(values) > LARGEST_MAGNITUDE)
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"row {first_row + row}, column {names[column]!r}: {values[row, column]} is infinite or so large that its "
            "square overflows; remove the row or rescale the column"
        )
