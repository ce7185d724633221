"""Tables of other libraries and our own, in the form that scikit-learn checks; names of columns are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from .._typing import Array
from ..errors import DataError
from ..io.tables import Table, read_table
from .alone import one_at_a_time


def unframed(X: Any, *, categories: bool = False) -> tuple[Any, Sequence[str] | None]:
    """X as scikit-learn checks it, and the names of its columns where that has lost them.

    Tables of polars, pyarrow and our own (`io.Table`) become arrays of numbers, or of `categories` as they are; what a
    masked array masks is missing; pandas frames, arrays and sparse matrices are checked as they come.
    """
    if isinstance(X, np.ma.MaskedArray):
        return _unmasked(X, categories), None
    _refuse_ragged(X)
    if isinstance(X, Table):
        return X.spelled() if categories and X.levels else X.values, X.names
    table = _arrow_table(X)
    if table is None:
        return X, None
    return (_objects if categories else _numbers)(table), table.schema.names


def _unmasked(X: Any, categories: bool) -> Array:
    if not np.ma.is_masked(X):
        return np.asarray(X.data)
    kind = object if categories else X.dtype if X.dtype.kind == "f" else float
    values = np.array(X.data, dtype=kind)
    values[np.ma.getmaskarray(X)] = None if categories else np.nan
    return values


def _refuse_ragged(X: Any) -> None:
    """Raise where the rows of a nested list differ in length."""
    if not isinstance(X, (list, tuple)):
        return
    lengths = [len(row) if isinstance(row, (list, tuple, np.ndarray)) else None for row in X]
    wrong = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if wrong is not None:
        said = ["one entry without a row" if n is None else f"{n} columns" for n in (lengths[0], lengths[wrong])]
        raise DataError(f"expected rows of one length, but row 0 has {said[0]} and row {wrong} has {said[1]}")


def _arrow_table(X: Any) -> Any:
    """A table of pyarrow or polars in Arrow's format; None if X is neither."""
    library = type(X).__module__.partition(".")[0]
    if library == "polars" and hasattr(X, "lazy"):
        return X.lazy().collect().to_arrow()
    return X if library == "pyarrow" and hasattr(X, "schema") else None


def validated(estimator: Any, X: Any, names: Sequence[str] | None, *, reset: bool, **options: Any) -> Any:
    """scikit-learn's `validate_data`, with these names of columns where X bears none itself."""
    with one_at_a_time:
        if names is None:
            return validate_data(estimator, X, reset=reset, **options)
        check_names(estimator, names, reset=reset)
        return check_array(X, input_name="X", estimator=estimator, **options)


def check_names(estimator: Any, names: Sequence[str], *, reset: bool) -> None:
    """Note names of columns and their number as scikit-learn does, or compare them with those noted at the fit.

    Names that an array has been given (x0, x1, …) are none.
    """
    made_up = tuple(names) == tuple(f"x{j}" for j in range(len(names)))
    header: Any = np.empty((0, len(names)))
    if not made_up:
        from ..io import arrow

        header = arrow.header(names)
    validate_data(estimator, header, reset=reset, skip_check_array=True)


def _numbers(table: Any) -> Array:
    """(n, D) numbers of an Arrow table: float32 where all columns are, as it is for arrays."""
    short = all(str(kind) == "float" for kind in table.schema.types)
    values = read_table(table).values
    return values.astype(np.float32) if short else values


def _objects(table: Any) -> Array:
    found = np.empty((table.num_rows, table.num_columns), dtype=object)
    for j, column in enumerate(table.columns):
        found[:, j] = column.to_pylist()
    return found
