"""Groups of rows by their keys: a column of a table or an array beside it; rows of a group put together."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from ._typing import Array
from .errors import DataError


def has_names(data: Any) -> bool:
    """Whether the data are the path of a file, a frame, or a table: something with names of columns."""
    from .io.tables import Table

    frame = hasattr(type(data), "columns") or hasattr(type(data), "schema")
    return frame or isinstance(data, str | PathLike | Table)


def split_off(data: Any, name: str, *, numbers: bool = True) -> tuple[Any, Array]:
    """The data without their column of keys, and that column.

    Parameters
    ----------
    data : frame, `io.Table`, path, or mapping of arrays
    name : str
        Of the column of keys, which may be text.
    numbers : bool
        Whether the other columns must be numbers.

    Raises
    ------
    DataError
        The data have no names or no such column, or another column holds text that should be numbers.
    """
    from .io.tables import Table, read_table

    if isinstance(data, Mapping):
        if name not in data:
            raise DataError(f"there is no column {name!r} to group by; the data have {', '.join(map(repr, data))}")
        return {other: column for other, column in data.items() if other != name}, np.asarray(data[name])
    if not has_names(data):
        raise DataError(f"groups={name!r} names a column, but X is an array without names; give the groups as an array")
    table = data if isinstance(data, Table) else read_table(data, categories="text")
    rest, keys = table.drop([name]), table.column(name)
    if numbers and rest.levels:
        raise DataError(f"column {next(iter(rest.levels))!r} holds text; all columns but that of keys must be numbers")
    return rest, keys


def gathered(groups: Any, n: int) -> tuple[Array, Array]:
    """Rows put together by their keys, groups in the order in which they first appear; and the groups' lengths.

    Returns
    -------
    order : (n,) int
        Numbers of the rows, those of the first group first, each group's in their order.
    lengths : (G,) int

    Raises
    ------
    DataError
        There is not one key for each row, a key is missing, or keys are of types that have no order.
    """
    keys = np.asarray(groups)
    if keys.shape != (n,):
        raise DataError(f"groups must have one entry for each of the {n} rows, got shape {keys.shape}")
    missing = _missing(keys)
    if missing.any():
        raise DataError(f"row {int(np.flatnonzero(missing)[0])} belongs to no group: its key is missing")
    if keys.dtype.kind == "O":
        _check_comparable(keys)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), int)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.argsort(rank[group], kind="stable"), np.bincount(rank[group])


def _missing(keys: Array) -> Array:
    """(n,) bool: None, NaN, NaT and their like."""
    if keys.dtype.kind in "fcmM":
        return np.asarray(np.isnat(keys) if keys.dtype.kind in "mM" else np.isnan(keys))
    if keys.dtype.kind != "O":
        return np.zeros(len(keys), bool)
    return np.array([_is_missing(key) for key in keys], bool)


def _is_missing(key: Any) -> bool:
    try:
        return key is None or bool(key != key)
    except (TypeError, ValueError):  # pandas.NA is neither equal to itself nor not
        return True


def _check_comparable(keys: Array) -> None:
    """An error that names the first row whose key has no order with that of row 0."""
    for row, key in enumerate(keys):
        try:
            bool(key < keys[0])
        except (TypeError, ValueError) as error:
            raise DataError(
                f"keys of groups must be of one type, but row 0 has {keys[0]!r} and row {row} has {key!r}; make them "
                "all numbers or all text"
            ) from error
