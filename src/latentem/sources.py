"""Whatever the user has as a `Source`: arrays alone or by name, tables, frames, files; rows of a group put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._typing import Array, FloatArray
from .data import ArraySource, Source
from .errors import DataError, ParameterError
from .grouping import gathered, has_names, split_off
from .layout import Layout, is_named_tuple, pack


@dataclass(frozen=True)
class Grouping:
    """Which rows form a group.

    Attributes
    ----------
    column : str or None
        A column of the data.
    whole : bool
        Whether rows of which nobody says anything form one group together (a sequence), rather than one each.
    """

    column: str | None = None
    whole: bool = False


def as_source(
    data: Any, *, groups: Any = None, lengths: Any = None, grouping: Grouping | None = None, **columns: Any
) -> Source:
    """The data as a `Source`; columns beside them belong to arrays and tables only.

    Parameters
    ----------
    data : Source, array, sparse matrix, mapping or named tuple of arrays, frame, `io.Table`, or path
    groups : (n,), or the name of a column
        Equal for the rows of a group, which need not be adjacent.  The column is then none of the values, except for
        a declared model, whose densities may see it.
    lengths : sequence of int
        Lengths of groups of adjacent rows.
    grouping : Grouping, optional
        What the model wants; None: a model that is not declared by its density.
    **columns : arrays
        `sample_weight`, `labels` and `covariates`, one entry for each row.  Covariates may be names of columns of a
        table, which are then no longer among the values.
    """
    given = {
        {"sample_weight": "weights"}.get(name, name): value for name, value in columns.items() if value is not None
    }
    if isinstance(data, Source):
        if given or groups is not None or lengths is not None:
            named = [*given, *(["groups"] if groups is not None else []), *(["lengths"] if lengths is not None else [])]
            raise ParameterError(f"{', '.join(named)}: give them to the source itself")
        return data
    if isinstance(groups, str) and groups in (_names(given.get("covariates")) or ()):
        raise ParameterError(f"column {groups!r} tells the groups; it cannot be a covariate too")
    if isinstance(groups, str) and grouping is None:
        data, groups = split_off(data, groups)
    values, layout = _values(data, grouping)
    if "covariates" in given:
        values, layout, given["covariates"] = _with_covariates(values, layout, given["covariates"])
    options = {"names": layout.names, "layout": layout, **given}
    if groups is not None and lengths is not None:
        raise ParameterError("groups and lengths say the same thing; give one of them")
    column = groups if isinstance(groups, str) else None if grouping is None else grouping.column
    if lengths is not None or (groups is None and column is None):
        if lengths is None and grouping is not None and grouping.whole:
            lengths = [len(values)]
        return ArraySource(values, lengths=lengths, **options)
    keys = _column(values, layout, column) if groups is None or isinstance(groups, str) else groups
    return _grouped(values, keys, options)


def _values(data: Any, grouping: Grouping | None) -> tuple[Any, Layout]:
    if isinstance(data, Mapping) or is_named_tuple(data):
        return pack(data)
    if has_names(data):
        from .io.tables import read_table

        table = read_table(data) if grouping is None else read_table(data, categories="text")
        return table.values, Layout.table(table.names, table.whole, table.levels)
    if hasattr(data, "tocsr"):
        matrix = data.tocsr()
        return matrix, Layout.vector(matrix.shape[1])
    if isinstance(data, np.ma.MaskedArray) and np.any(data.mask):
        raise DataError("some values are masked; pass values.astype(float).filled(np.nan) to have them missing")
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise DataError(
            "expected rows of equal length, got a nested list with unequal ones; for sequences give all rows one after "
            "the other, and lengths=[…]"
        ) from error
    if grouping is None:
        values = values[:, None] if values.ndim == 1 else values
        return values, Layout.vector(values.shape[1] if values.ndim == 2 else 0)
    return pack(data)


def _with_covariates(values: Any, layout: Layout, covariates: Any) -> tuple[Any, Layout, FloatArray]:
    """The values without the columns that are covariates, and the table (n, P) of those, given itself or by names."""
    names = _names(covariates)
    if names is None:
        return values, layout, _table(covariates)
    pieces = {piece.name: piece for piece in layout.pieces if not piece.shape}
    unknown = [name for name in names if name not in pieces]
    if unknown:
        raise DataError(f"there is no column {unknown[0]!r}; the data have {', '.join(map(repr, layout.names))}")
    columns = [layout.names.index(name) for name in names]
    rest = [i for i in range(len(layout.names)) if i not in columns]
    if not rest:
        raise DataError("all columns are covariates: there is nothing left to explain")
    kept = Layout(tuple(piece for piece in layout.pieces if piece.name not in names))
    return values[:, rest], kept, np.asarray(values[:, columns], float)


def _names(covariates: Any) -> list[str] | None:
    """Names of columns, or None where the covariates are given themselves."""
    if isinstance(covariates, str):
        return [covariates]
    named = isinstance(covariates, list | tuple) and covariates and all(isinstance(name, str) for name in covariates)
    return list(covariates) if named else None


def _table(covariates: Any) -> Any:
    """One column may come without a second axis; frames come as what they hold."""
    if has_names(covariates):
        from .io.tables import read_table

        return read_table(covariates).values
    return np.asarray(covariates)[:, None] if np.ndim(covariates) == 1 else covariates


def _column(values: FloatArray, layout: Layout, name: str | None) -> Array:
    if name not in layout.names:
        raise DataError(f"there is no column {name!r} to group by; x has {', '.join(map(repr, layout.names))}")
    return np.asarray(values[:, layout.names.index(name)])


def _grouped(values: Any, keys: Any, options: dict[str, Any]) -> ArraySource:
    """Rows of a group put together, groups in the order in which they first appear, rows in theirs."""
    order, lengths = gathered(keys, len(values))
    aligned: dict[str, Any] = {
        name: np.asarray(options[name])[order] if len(np.asarray(options[name])) == len(order) else options[name]
        for name in ("weights", "labels", "covariates")
        if name in options
    }
    return ArraySource(values[order], lengths=lengths, rows=order, **(options | aligned))
