"""Which rows of the data a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...data import Batch, Source


def some_rows(source: Source, most: int, rng: np.random.Generator) -> Batch:
    """At most so many rows, drawn without repetition, in their order; without groups."""
    n = source.n_rows
    chosen = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
    parts, first = [], 0
    for batch in source:
        own = chosen[(chosen >= first) & (chosen < first + len(batch))] - first
        if len(own):
            parts.append(batch.only(own))
        first += len(batch)
    return _together(parts)


def some_groups(source: Source, most: int) -> Batch:
    """The first groups, as long as they have no more rows than that together; at least one."""
    batch = next(iter(source))
    ends = batch.group_offsets[1:]
    return batch.groups_between(0, max(1, int(np.searchsorted(ends, most, side="right"))))


def one_sequence(source: Source, most: int) -> tuple[Batch, int]:
    """The first rows, at most so many, of the longest group of the first chunk, and that group's number."""
    batch = next(iter(source))
    number = int(np.argmax(batch.group_lengths))
    group = batch.groups_between(number, number + 1)
    return (group if len(group) <= most else group.rows_between(0, most)), number


def _together(parts: Sequence[Batch]) -> Batch:
    """Rows of several chunks as one batch."""

    def joined(columns: list[Any]) -> Any:
        return None if columns[0] is None else np.concatenate(columns)

    names = ("values", "weights", "labels", "covariates", "rows")
    gathered = {name: joined([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], missing=any(part.missing for part in parts), memo={}, **gathered)
