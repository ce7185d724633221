"""Columns in Arrow's memory format, from files and frames, and what they are as numbers or codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._typing import Array, FloatArray
from ..errors import DataError
from .formats import DELIMITERS, known_suffix

PARQUET_MAGIC = b"PAR1"


def from_path(path: Path, header: bool = True) -> Mapping[str, Any]:
    """The columns of a file, by name."""
    suffix = known_suffix(path)
    first = first_bytes(path)
    try:
        table = _read_text(path, DELIMITERS[suffix], first, header) if suffix in DELIMITERS else _read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    return _by_name(table.column_names, table.columns)


def from_frame(frame: Any) -> Mapping[str, Any]:
    """The columns of a dataframe, by name, through that library's own conversion to Arrow."""
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return _by_name(frame.schema.names, frame.columns)
    import narwhals as nw

    try:
        known = nw.from_native(frame, allow_series=True)
    except TypeError as error:
        raise DataError(
            "expected the path of a .csv, .tsv or .parquet file, a NumPy array, or a frame of pandas, polars or "
            f"pyarrow, got {type(frame).__name__}"
        ) from error
    if isinstance(known, nw.Series):
        known = known.to_frame()
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    names = [str(name) for name in known.columns]
    return _by_name(names, [_of_series(name, s) for name, s in zip(names, known.iter_columns(), strict=True)])


def header(names: Sequence[str]) -> Any:
    """A frame without rows whose columns have these names."""
    return pa.Table.from_arrays([pa.nulls(0)] * len(names), names=list(names))


def from_sequence(name: str, values: Array) -> Any:
    """One column of an array of objects, text or numbers."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        return _from_objects(name, list(values))


def is_text(column: Any) -> bool:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_whole(column: Any) -> bool:
    """Whether a column holds integers or booleans by its type."""
    return bool(pa.types.is_integer(column.type) or pa.types.is_boolean(column.type))


def numbers(name: str, column: Any, first_row: int = 0) -> FloatArray:
    """A column as float64, nulls as NaN; `DataError` where it holds anything but numbers.

    `first_row` is the number in the whole data of the column's first row, for messages.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column):
        raise _text_among_numbers(name, column, first_row)
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif not (_is_number(kind) or pa.types.is_null(kind)):
        raise DataError(f"column {name!r} holds {kind}, not numbers; leave it out, or turn it into numbers first")
    try:
        column = column.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"column {name!r} holds whole numbers that float64 cannot hold exactly ({error}); is it an identifier? "
            "Leave it out, or turn it into floating-point numbers first"
        ) from error
    return _plain(column.fill_null(np.nan))


def codes(name: str, column: Any, levels: Sequence[str] | None) -> tuple[FloatArray, tuple[str, ...]]:
    """A column as positions in `levels` (its sorted distinct values if None), nulls as NaN; and the levels."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = _as_text(name, column)
    if levels is None:
        distinct = [value for value in pc.unique(text).to_pylist() if value is not None]
        levels = sorted(distinct, key=_level_order)
    position = pc.index_in(text, value_set=pa.array(levels, text.type)).cast(pa.float64())
    unknown = _plain(pc.and_(pc.is_valid(text), pc.is_null(position)))
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(
            f"row {row}, column {name!r} holds the category {text[row].as_py()!r}, which was never seen; "
            f"known are {', '.join(map(repr, levels))}"
        )
    return _plain(position.fill_null(np.nan)), tuple(levels)


def _plain(column: Any) -> Array:
    """An Arrow column without nulls as NumPy."""
    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def first_bytes(path: Path) -> bytes:
    """The beginning of a file, or a `DataError` that says why it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split()).rstrip(".")[:200]
    return DataError(f"{path} is cut off, damaged or not what its name says: {reason}")


def _read_parquet(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(path).read()


def _read_text(path: Path, delimiter: str, first: bytes, header: bool) -> Any:
    from pyarrow import csv

    if first.startswith(PARQUET_MAGIC):
        raise DataError(f"{path} is a Parquet file, not {path.suffix} as its name says; name it *.parquet")
    if b"\0" in first:
        raise DataError(f"{path} holds binary data, not {path.suffix} as its name says")
    one_column = delimiter.encode() not in first.split(b"\n", 1)[0]
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(autogenerate_column_names=not header),
        # In a file of one column an empty line is a missing entry: to skip it would drop a row.
        parse_options=csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=not one_column
        ),
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )
    if header:
        _check_header(path, table.column_names, delimiter)
    else:
        table = table.rename_columns([f"x{j}" for j in range(table.num_columns)])
    return table


def _check_header(path: Path, names: Sequence[str], delimiter: str) -> None:
    if all(_is_numeric(name) for name in names):
        raise DataError(
            f"the first line of {path} holds numbers ({delimiter.join(names)}), not names of columns; put a line with "
            "names before it, or read the file without a header (header=False, --no-header)"
        )
    other = next((mark for mark in ";\t|," if mark != delimiter and mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise DataError(f"{path} seems to be separated by {other!r}; a {path.suffix} file has {delimiter!r}")


def _by_name(names: Sequence[str], columns: Sequence[Any]) -> dict[str, Any]:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"two columns are named {twice!r}; rename one")
    return dict(zip(names, columns, strict=True))


def _of_series(name: str, series: Any) -> Any:
    """A frame's column in Arrow; columns of mixed objects, which Arrow refuses, one object at a time."""
    try:
        return series.to_arrow()
    except (pa.ArrowException, TypeError, ValueError):
        return _from_objects(name, series.to_list())


def _from_objects(name: str, values: Sequence[Any]) -> Any:
    """Numbers where all are numbers; else a `DataError` that names the first that is not."""
    for row, value in enumerate(values):
        if isinstance(value, str):
            raise _no_number(name, row, value)
        if not _is_convertible(value):
            raise DataError(f"row {row}, column {name!r} holds {value!r}, which is no number")
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _is_convertible(value: Any) -> bool:
    if np.iscomplexobj(value) or isinstance(value, bytes):
        return False
    try:
        return value is None or isinstance(float(value), float)
    except (TypeError, ValueError):
        return False


def _as_text(name: str, column: Any) -> Any:
    """Text as it is, whole numbers and truth values by their spelling."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if is_text(column):
        return column.cast(pa.large_string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.large_string())
    values = numbers(name, column)
    whole = np.isnan(values) | (values == np.floor(values))
    if not whole.all() or np.isinf(values).any():
        row = int(np.argmin(whole & ~np.isinf(values)))
        raise DataError(f"row {row}, column {name!r} holds {values[row]:g}: categories are text or whole numbers")
    return pa.array([None if np.isnan(v) else str(int(v)) for v in values], pa.large_string())


def _level_order(level: str) -> tuple[int, float, str]:
    """Numbers by their size before text by its spelling."""
    return (0, float(level), level) if _is_numeric(level) else (1, 0.0, level)


def _text_among_numbers(name: str, column: Any, first_row: int) -> DataError:
    texts = [(row, value) for row, value in enumerate(column.to_pylist()) if value is not None]
    if not texts:
        return DataError(f"column {name!r} is a column of text without any entry; leave it out")
    row, value = next(((row, text) for row, text in texts if not _is_numeric(text)), texts[0])
    return _no_number(name, first_row + row, value)


def _no_number(name: str, row: int, value: str) -> DataError:
    shown = value if len(value) <= 40 else value[:37] + "..."
    remedy = "a number stored as text; convert the column" if _is_numeric(value) else "correct it or leave it empty"
    return DataError(
        f"expected numbers, but row {row}, column {name!r} holds the text {shown!r}; {remedy}, leave the column out, "
        "or read it as categories"
    )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
