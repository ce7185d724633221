"""Tables of named numeric columns, from files and from the dataframes of others, and back to files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._typing import Array, FloatArray
from ..errors import DataError
from .atomic import write_atomically
from .formats import DELIMITERS, known_suffix

TEXT = "text"


@dataclass(frozen=True)
class Table:
    """Named columns of numbers.

    Attributes
    ----------
    names : tuple of str
    values : (n, D) float64
        NaN marks a missing entry.
    levels : mapping from column name to tuple of str
        Categories of the columns that were coded: code c stands for levels[name][c].
    whole : frozenset of str
        Names of the columns that hold whole numbers by their type, or codes, and no missing entry.
    """

    names: tuple[str, ...]
    values: FloatArray
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def column(self, name: str) -> FloatArray:
        """The values of one column, shape (n,)."""
        return np.asarray(self.values[:, self._position(name)])

    def select(self, names: Iterable[str]) -> Table:
        """The table with these columns, in this order."""
        chosen = tuple(names)
        values = np.ascontiguousarray(self.values[:, [self._position(name) for name in chosen]])
        levels = {name: self.levels[name] for name in chosen if name in self.levels}
        return Table(chosen, values, levels, self.whole & set(chosen))

    def drop(self, names: Iterable[str]) -> Table:
        """The table without these columns."""
        dropped = set(names)
        return self.select(name for name in self.names if name not in dropped)

    def spelled(self) -> Array:
        """(n, D) objects: the categories of coded columns by name, None where an entry is missing, else numbers."""
        found = np.empty(self.values.shape, dtype=object)
        for j, column in enumerate(_columns_of(self).values()):
            found[:, j] = column
        return found

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise missing_column(name, self.names)
        return self.names.index(name)


def read_table(
    source: Any,
    *,
    columns: Sequence[str] | None = None,
    categories: Sequence[str] | str = (),
    levels: Mapping[str, Sequence[str]] | None = None,
    header: bool = True,
) -> Table:
    """Read named numeric columns from a file or from an object.

    Parameters
    ----------
    source : path, NumPy array, pandas or polars frame or series, pyarrow Table, anything narwhals knows, or Table
        Files by their name: .csv, .tsv, .parquet.  Arrays have columns x0, x1, …
    columns : sequence of str, optional
        Which columns, in which order; all by default.
    categories : sequence of str, or "text"
        Columns to code as 0, 1, … by their sorted distinct values, or every column of text.
    levels : mapping, optional
        Categories remembered from another table: these columns are coded by them.
    header : bool
        Whether the first line of a text file names the columns.

    Returns
    -------
    Table
        Nulls are NaN.  Infinite values are kept, for `ArraySource` to name.

    Raises
    ------
    DataError
        A file that is missing, cut off, or not what its name says; text among numbers, a category that `levels`
        does not hold, a whole number that float64 cannot hold (column and row are named); columns that are not there.
    """
    if isinstance(source, Table):
        return source if columns is None else source.select(columns)
    if isinstance(source, np.ndarray):
        return _from_array(source, columns, categories, dict(levels or {}))
    from . import arrow

    whole = arrow.from_path(Path(source), header) if isinstance(source, str | os.PathLike) else arrow.from_frame(source)
    return _assemble(whole, columns, categories, dict(levels or {}))


def write_table(path: str | os.PathLike[str], columns: Mapping[str, Any] | Table) -> None:
    """Write columns of one length to .csv, .tsv or .parquet, by the name; whole or not at all.

    Raises
    ------
    DataError
        Another name, a folder that is not there, or a file that cannot be written.
    """
    target = Path(path)
    suffix = known_suffix(target)
    content = _columns_of(columns) if isinstance(columns, Table) else dict(columns)
    import pyarrow as pa
    from pyarrow import csv, parquet

    table = pa.table({name: pa.array(_as_sequence(values)) for name, values in content.items()})

    def write(file: BinaryIO) -> None:
        if suffix in DELIMITERS:
            csv.write_csv(table, file, csv.WriteOptions(delimiter=DELIMITERS[suffix]))
        else:
            parquet.write_table(table, file)

    try:
        write_atomically(target, write)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error


def missing_column(name: str, names: Sequence[str]) -> DataError:
    return DataError(f"there is no column {name!r}; the table has {', '.join(map(repr, names))}")


def _assemble(
    whole: Mapping[str, Any], columns: Sequence[str] | None, categories: Sequence[str] | str, levels: dict[str, Any]
) -> Table:
    """Convert column by column: at most one of them is held twice."""
    from . import arrow

    names = tuple(whole) if columns is None else tuple(columns)
    wanted = () if categories == TEXT else tuple(categories)
    for name in (*names, *wanted):
        if name not in whole:
            raise missing_column(name, tuple(whole))
    if not names:
        raise DataError("the table has no columns")
    values = np.empty((len(whole[names[0]]), len(names)))
    found: dict[str, tuple[str, ...]] = {}
    integers = set()
    for j, name in enumerate(names):
        column = whole[name]
        if name in levels or name in wanted or (categories == TEXT and arrow.is_text(column)):
            values[:, j], found[name] = arrow.codes(name, column, levels.get(name))
        else:
            values[:, j] = arrow.numbers(name, column)
        if (name in found or arrow.is_whole(column)) and not np.isnan(values[:, j]).any():
            integers.add(name)
    return Table(names, values, found, frozenset(integers))


def _from_array(
    array: Array, columns: Sequence[str] | None, categories: Sequence[str] | str, levels: dict[str, Any]
) -> Table:
    if array.ndim != 2:
        raise DataError(f"expected a table with rows and columns (2 dimensions), got an array of shape {array.shape}")
    names = tuple(f"x{j}" for j in range(array.shape[1]))
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(float), np.nan)
    if array.dtype.kind in "fiub" and not categories and not levels:
        integers = frozenset(names) if array.dtype.kind in "iub" else frozenset()
        table = Table(names, np.ascontiguousarray(array, dtype=np.float64), whole=integers)
        return table if columns is None else table.select(columns)
    from . import arrow

    whole = {name: arrow.from_sequence(name, array[:, j]) for j, name in enumerate(names)}
    return _assemble(whole, columns, categories, levels)


def _columns_of(table: Table) -> dict[str, Any]:
    """Columns with their categories spelled out again."""
    return {
        name: [None if np.isnan(c) else table.levels[name][int(c)] for c in table.column(name)]
        if name in table.levels
        else table.column(name)
        for name in table.names
    }


def _as_sequence(values: Any) -> Any:
    return np.ascontiguousarray(values) if isinstance(values, np.ndarray) else list(values)
