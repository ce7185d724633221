"""Tables of other libraries and our own, in the form that scikit-learn checks; names of columns are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from .._typing import Array
from ..io.tables import Table, read_table


def unframed(X: Any, *, categories: bool = False) -> tuple[Any, Any]:
    """X as scikit-learn checks it, and a frame that bears the names of its columns where that has none.

    Tables of polars, pyarrow and our own (`io.Table`) become arrays of numbers, or of `categories` as they are; pandas
    frames, arrays and sparse matrices are checked as they come.
    """
    if isinstance(X, Table):
        return X.spelled() if categories and X.levels else X.values, _header(X.names)
    table = _arrow_table(X)
    if table is None:
        return X, None
    return (_objects if categories else _numbers)(table), _header(table.schema.names)


def _arrow_table(X: Any) -> Any:
    """A table of pyarrow or polars in Arrow's format; None if X is neither."""
    library = type(X).__module__.partition(".")[0]
    if library == "polars" and hasattr(X, "columns"):
        return X.lazy().collect().to_arrow()
    return X if library == "pyarrow" and hasattr(X, "schema") else None


def validated(estimator: Any, X: Any, header: Any, *, reset: bool, **options: Any) -> Any:
    """scikit-learn's `validate_data`, with the names of columns from `header` where there is one."""
    if header is None:
        return validate_data(estimator, X, reset=reset, **options)
    validate_data(estimator, header, reset=reset, skip_check_array=True)
    return check_array(X, input_name="X", estimator=estimator, **options)


def _header(names: Any) -> Any:
    from ..io import arrow

    return arrow.header(names)


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
