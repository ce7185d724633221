"""Sequences as users hand them over: an array with lengths, a list of arrays, rows with a key of their group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource, Source, check_labels, check_weights
from ..errors import DataError, ParameterError
from ..grouping import gathered, split_off
from ..io.tables import Table, read_table
from ..models.starts import POOL_ROWS
from .inputs import named_source


def read_sequences(
    estimator: Any,
    X: Any,
    *,
    lengths: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    labels: Any = None,
    n_states: int,
    reset: bool,
) -> Source:
    """The rows as a source whose groups are the sequences; rows of a sequence lie together, in their order.

    Parameters
    ----------
    X : array-like (n, D), list of those, table, or Source
        A list of two-dimensional arrays or tables holds a sequence in each.  A source has its own groups.
    lengths : sequence of int, optional
        Lengths of consecutive sequences; all rows are one sequence without it.
    groups : (n,), or the name of a column
        Equal for the rows of a sequence, which need not be adjacent.
    sample_weight : (G,), optional
        A weight for each sequence, in the order in which they first appear.
    labels : (n,) of int, or list of such, optional
        Known states, -1 where unknown.
    """
    if isinstance(X, Source):
        if any(given is not None for given in (lengths, groups, sample_weight, labels)):
            raise ParameterError(
                "lengths, groups, weights and labels of a source are its own: give them when you make it"
            )
        return named_source(X, estimator, reset=reset)
    if _is_list_of_sequences(X):
        if lengths is not None or groups is not None:
            raise ParameterError("a list of sequences says where each ends; give no lengths or groups beside it")
        X, lengths, labels = _joined(X, labels)
    if lengths is not None and groups is not None:
        raise ParameterError("groups and lengths say the same thing; give one of them")
    if isinstance(groups, str):
        X, groups = split_off(X, groups, numbers=False)
    table = estimator._read(X, reset=reset)
    n = table.shape[0]
    known = None if labels is None else check_states(labels, n, n_states)
    order = None
    if groups is not None:
        order, lengths = gathered(groups, n)
        table, known = table[order], None if known is None else known[order]
    checked = np.array([n]) if lengths is None else check_lengths(lengths, n)
    return ArraySource(
        table,
        weights=None if sample_weight is None else _row_weights(sample_weight, checked),
        labels=known,
        lengths=checked,
        names=getattr(estimator, "feature_names_in_", None),
        rows=order,
    )


def check_lengths(lengths: Any, n: int) -> Array:
    """Lengths (G,) of sequences that n rows are made up of, or an error that says how they fail."""
    try:
        checked = np.asarray(lengths)
    except ValueError as error:
        raise DataError(f"lengths must be whole numbers, one for each sequence, got {lengths!r}") from error
    if checked.ndim == 0:
        checked = checked[None]
    if checked.ndim != 1 or checked.dtype.kind not in "iuf" or np.any(checked != np.floor(checked)):
        raise DataError(f"lengths must be whole numbers, one for each sequence, got {lengths!r}")
    short = np.flatnonzero(checked < 1)
    if len(short):
        raise DataError(
            f"every sequence needs at least one row, but sequence {short[0]} has length {checked[short[0]]:g}"
        )
    if checked.sum() != n:
        raise DataError(
            f"lengths must add up to the number of rows, but they add up to {checked.sum():g} and there are {n} rows"
        )
    return checked.astype(int)


def check_states(labels: Any, n: int, n_states: int) -> Array | None:
    """Known states (n,) of the rows, -1 where unknown; None where none is known."""
    checked = check_labels(labels, n)
    wrong = np.flatnonzero((checked < -1) | (checked >= n_states))
    if len(wrong):
        raise DataError(
            f"labels are numbers of states from 0 to {n_states - 1}, or -1 where unknown; row {wrong[0]} has "
            f"{checked[wrong[0]]}"
        )
    return None if np.all(checked == -1) else checked


def in_given_order(source: Source, values: Array) -> Array:
    """Values of the rows of a source, along the first axis, in the order in which the user gave the rows."""
    order = getattr(source, "rows", None)
    if order is None:
        return values
    result = np.empty_like(values)
    result[order] = values
    return result


def in_canonical_order(source: Source) -> Source:
    """The rows without their sequences, sorted: what starts from them does not depend on the order of sequences.

    Large tables, of which starts draw a sample, come back as they are.
    """
    if source.n_rows > POOL_ROWS:
        return source
    batches = list(source)
    values = np.concatenate([batch.values for batch in batches])
    weights = np.concatenate([batch.unit_weights(False) for batch in batches])
    known = [batch.labels for batch in batches if batch.labels is not None]
    labels: Array | None = np.concatenate(known) if known else None
    keys = [] if labels is None else [labels]
    order = np.lexsort([weights, *keys, *values.T[::-1]])
    return ArraySource(
        values[order],
        weights=None if np.all(weights == 1) else weights[order],
        labels=None if labels is None else labels[order],
        names=source.names,
    )


def _is_list_of_sequences(X: Any) -> bool:
    if not isinstance(X, list | tuple) or not X:
        return False
    return all(_is_table(part) or getattr(part, "ndim", 0) == 2 for part in X)


def _is_table(part: Any) -> bool:
    return isinstance(part, Table) or hasattr(part, "columns") or hasattr(part, "schema")


def _joined(parts: Sequence[Any], labels: Any) -> tuple[Any, list[int], Any]:
    """The sequences one after the other, their lengths, and their labels likewise."""
    lengths = [len(part) for part in parts]
    if labels is not None:
        labels = _joined_labels(labels, lengths)
    widths = [part.values.shape[1] if isinstance(part, Table) else part.shape[1] for part in parts]
    wrong = next((g for g, width in enumerate(widths) if width != widths[0]), None)
    if wrong is not None:
        raise DataError(
            f"all sequences must have the same columns, but sequence 0 has {widths[0]} and sequence {wrong} "
            f"{widths[wrong]}"
        )
    if not any(map(_is_table, parts)):
        return np.concatenate([np.asarray(part) for part in parts]), lengths, labels
    tables = [part if isinstance(part, Table) else read_table(part) for part in parts]
    wrong = next((g for g, table in enumerate(tables) if table.names != tables[0].names), None)
    if wrong is not None:
        raise DataError(
            f"all sequences must have the same columns, but sequence 0 has {list(tables[0].names)} and sequence "
            f"{wrong} {list(tables[wrong].names)}"
        )
    return Table(tables[0].names, np.concatenate([table.values for table in tables])), lengths, labels


def _joined_labels(labels: Any, lengths: list[int]) -> Array:
    if len(labels) == len(lengths) and all(np.ndim(part) == 1 for part in labels):
        wrong = next((g for g, part in enumerate(labels) if len(part) != lengths[g]), None)
        if wrong is not None:
            raise DataError(
                f"labels must have one entry for each row, but sequence {wrong} has {lengths[wrong]} rows and "
                f"{len(labels[wrong])} labels"
            )
        return np.concatenate([np.asarray(part) for part in labels])
    return np.asarray(labels)


def _row_weights(sample_weight: Any, lengths: Array) -> FloatArray:
    weights = np.asarray(sample_weight)
    if weights.shape != (len(lengths),):
        raise DataError(
            f"sample_weight needs one weight for each of the {len(lengths)} sequences, got shape {weights.shape}"
        )
    return np.repeat(check_weights(weights, len(lengths)), lengths)
