"""Equal rows counted once: an E-step over distinct rows with their weights gives the same sums for less work.

Rows are put into a canonical order (by column, then by label), so that a row of weight 2 and the same row twice lead
to the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource, Batch, Source

SMALL_TABLE = 400_000
SAMPLE_ROWS = 4_096
WORTH_IT = 0.5


def collapse(source: Source) -> Source:
    """The distinct rows of a source, each with the sum of its weights; rows of weight zero are left out.

    Small tables are always collapsed, large ones where at most half the rows of a sample are distinct.  A table
    without weights whose rows all differ comes back as it is, in its own order; so does a source that is not in memory.
    """
    if not isinstance(source, ArraySource):
        return source
    values: Any = source.values
    if hasattr(values, "tocsr"):
        if values.shape[0] * values.shape[1] > SMALL_TABLE:
            return source
        values = values.toarray()
    if not _pays(values):
        return source
    return _collapsed(source, values)


def count_distinct(source: Source, enough: int) -> int:
    """The number of distinct rows of positive weight, counted only until there are `enough`."""
    seen: set[bytes] = set()
    for batch in source:
        for row in counted(batch) + 0.0:
            seen.add(row.tobytes())
            if len(seen) >= enough:
                return enough
    return len(seen)


def counted(batch: Batch) -> FloatArray:
    """The rows of positive weight."""
    return batch.values if batch.weights is None else batch.values[batch.weights > 0]


def _pays(values: Any) -> bool:
    if values.size <= SMALL_TABLE:
        return True
    sample = np.asarray(values[:: max(1, len(values) // SAMPLE_ROWS)], float)
    order = np.lexsort(sample.T[::-1])
    return 1 + int(_changes(sample[order]).sum()) <= WORTH_IT * len(sample)


def _collapsed(source: ArraySource, values: Any) -> ArraySource:
    rows = np.flatnonzero(source.weights > 0) if source.weights is not None else np.arange(len(values))
    keys = [] if source.labels is None else [source.labels[rows]]
    table = np.asarray(values[rows])
    order = np.lexsort([*keys, *table.T[::-1]])
    table, rows = table[order], rows[order]
    new = _changes(table)
    if source.labels is not None:
        new |= np.diff(source.labels[rows]) != 0
    if source.weights is None and new.all():
        return source
    first = np.concatenate([[0], np.flatnonzero(new) + 1])
    weights = np.ones(len(rows)) if source.weights is None else source.weights[rows]
    return ArraySource(
        table[first],
        weights=_block_sums(weights, first),
        labels=None if source.labels is None else source.labels[rows[first]],
        chunk_rows=source.chunk_rows,
        names=source.names,
    )


def _changes(table: Array) -> Array:
    """(n - 1,) bool: where a row differs from the one before; missing entries are equal to each other."""
    here, before = table[1:], table[:-1]
    differs = here != before
    if table.dtype.kind == "f":
        differs &= ~(np.isnan(here) & np.isnan(before))
    return np.asarray(differs.any(axis=1))


def _block_sums(weights: FloatArray, first: Array) -> FloatArray:
    """Sums over consecutive blocks, each in sorted order: the order in which equal rows came does not matter."""
    blocks = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(weights))))
    return np.add.reduceat(weights[np.lexsort([weights, blocks])], first)
