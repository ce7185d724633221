"""What users hand over, checked: tables, weights and labels, with errors that name the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._typing import Array, FloatArray
from ..data import ArraySource, Source, check_labels, check_weights
from ..errors import DataError
from .frames import check_names, unframed, validated


def read_table(estimator: Any, X: Any, *, reset: bool, missing: bool | None = None) -> Any:
    """X as a two-dimensional array of numbers, or a CSR matrix where the estimator's tags say that it takes one.

    float32 and integers are kept as they are (each chunk is converted when it is read); missing entries are NaN.
    Infinite values pass here: `ArraySource` names their row and column.  `missing` says whether NaN passes, too, where
    the tags do not.

    Raises
    ------
    DataError
        Text in a numeric column, with its row and column; and what scikit-learn's own checks find (shape, number of
        features, their names).
    """
    X, names = unframed(X)
    tags = estimator.__sklearn_tags__().input_tags
    if not tags.sparse:
        refuse_sparse(X, estimator)
    try:
        table = validated(
            estimator,
            X,
            names,
            reset=reset,
            dtype="numeric",
            accept_sparse="csr" if tags.sparse else False,
            ensure_all_finite=False,
        )
    except ValueError as error:
        raise DataError(_text_place(X) or str(error)) from error
    except TypeError as error:
        if told := _text_place(X) or _unlike(X):
            raise DataError(told) from error
        raise
    if tags.positive_only:
        refuse_negative(table, estimator)
    if not (tags.allow_nan if missing is None else missing):
        refuse_missing(table, estimator)
    return table


def named_source(source: Source, estimator: Any, *, reset: bool) -> Source:
    """A source that the user made, with its names of columns noted at the fit, or compared with those seen there."""
    try:
        check_names(estimator, source.names, reset=reset)
    except ValueError as error:
        raise DataError(str(error)) from error
    return source


@dataclass(frozen=True)
class Survey:
    """What one pass over the data tells of it: the sum of the weights, rows of positive weight, any known label."""

    weight: float
    n_weighted: int
    labelled: bool

    @property
    def n_repeated(self) -> int:
        """Rows where a row of weight 2 is two; weights that are fractions of rows do not make them fewer."""
        return max(self.n_weighted, int(self.weight))


def survey(source: Source, n_components: int) -> Survey:
    """A survey of the rows; raises where a label is no component."""
    if isinstance(source, ArraySource) and source.weights is None and source.labels is None:
        return Survey(float(source.n_rows), source.n_rows, False)
    weight, n_weighted, labelled = 0.0, 0, False
    for batch in source:
        weights = batch.unit_weights(False)
        weight += float(weights.sum())
        n_weighted += int(np.count_nonzero(weights))
        if batch.labels is not None:
            labelled |= bool(np.any(batch.labels >= 0))
            _check_components(batch.labels, n_components, batch.first_row)
    return Survey(weight, n_weighted, labelled)


def read_weights(sample_weight: Any, n: int) -> FloatArray | None:
    """Weights of the rows; None where all are one, which is the same fit."""
    if sample_weight is None:
        return None
    alone = np.isscalar(sample_weight) or getattr(sample_weight, "ndim", None) == 0
    weights = check_weights(np.full(n, sample_weight) if alone else sample_weight, n)
    return None if np.all(weights == 1) else weights


def read_labels(labels: Any, n: int, n_components: int) -> Array | None:
    """Known components of the rows, -1 where unknown; None where none is known."""
    if labels is None:
        return None
    checked = check_labels(labels, n)
    _check_components(checked, n_components)
    return None if np.all(checked == -1) else checked


def _check_components(labels: Array, n_components: int, first_row: int = 0) -> None:
    wrong = np.flatnonzero(~((labels >= -1) & (labels < n_components)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"labels are numbers of components from 0 to {n_components - 1}, or -1 where unknown; "
            f"row {first_row + row} has {labels[row]:g}"
        )


def refuse_sparse(X: Any, estimator: Any) -> None:
    if issparse(X):
        raise DataError(f"{type(estimator).__name__} takes no sparse input; convert it by .toarray()")


def refuse_negative(table: Any, estimator: Any) -> None:
    """Raise where a table for a family on the non-negative numbers holds a negative one."""
    values = table.data if hasattr(table, "tocsr") else table
    if values.size == 0 or not np.nanmin(values, initial=0) < 0:
        return
    dense = table.toarray() if hasattr(table, "tocsr") else table
    row, column = np.argwhere(dense < 0)[0]
    raise DataError(
        f"Negative values in data passed to {type(estimator).__name__}: row {row}, column "
        f"{name_of(estimator, column)!r} holds {dense[row, column]:g}, which its distribution cannot produce"
    )


def require_observed(source: Source) -> None:
    """Raise where a column has no observed entry in any row of positive weight."""
    if not source.missing:
        return
    seen = np.zeros(source.n_columns, bool)
    for batch in source:
        seen |= batch.observed[batch.unit_weights(False) > 0].any(axis=0)
    if not seen.all():
        name = source.names[int(np.argmin(seen))]
        raise DataError(f"column {name!r} has no observed entry; drop it")


def refuse_missing(table: Any, estimator: Any) -> None:
    """Raise where a table for a family without missing entries holds one."""
    if table.dtype.kind != "f" or hasattr(table, "tocsr"):
        return
    missing = np.argwhere(np.isnan(table))
    if len(missing):
        row, column = missing[0]
        raise DataError(
            f"Input X contains NaN: row {row}, column {name_of(estimator, column)!r} is missing, and "
            f"{type(estimator).__name__} needs complete rows; drop the row or fill it in"
        )


def name_of(estimator: Any, column: int) -> str:
    """The name of a column as it was seen at fit, or the one that it has in an `ArraySource`."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"x{column}" if names is None else str(names[column])


def _text_place(X: Any) -> str | None:
    """Where a table holds something that is no number, as a sentence; None if nowhere."""
    try:
        if getattr(X, "ndim", len(np.shape(X))) != 2:
            return None
    except ValueError:  # lists nested unevenly
        return None
    columns = list(X.columns) if hasattr(X, "columns") else list(range(np.shape(X)[1]))
    for position, name in enumerate(columns):
        column = _column(X, name, position)
        row = next((row for row, value in enumerate(column) if not _is_number(value)), None)
        if row is not None:
            return (
                f"expected numbers, but row {row}, column {name!r} holds {column[row]!r}; "
                "drop the column or encode it as numbers"
            )
    return None


def _unlike(X: Any) -> str | None:
    """Which column of a frame holds objects, as a sentence; None if none does."""
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return None
    column = next((name for name, kind in zip(X.columns, X.dtypes, strict=True) if str(kind) == "object"), None)
    if column is None:
        return None
    return f"column {column!r} holds objects, some of them no numbers (pd.NA, None); convert it by astype('Float64')"


def _column(X: Any, name: Any, position: int) -> list[Any]:
    if hasattr(X, "columns"):
        return list(X[name])
    return [row[position] for row in X]


def _is_number(value: Any) -> bool:
    if value is None or isinstance(value, (complex, np.complexfloating, dict)):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return type(value).__name__ in ("NAType", "NaTType")
    return True
