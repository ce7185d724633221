"""Data in parts: some whole units of a chunk each, read again whenever they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..data import Batch, Source
from ..layout import Layout
from ..model import LatentVariableModel


@dataclass(frozen=True)
class Parts(Source):
    """A source whose chunks are parts of another's, (chunk, first, last, rows): of its rows, or of its groups.

    Attributes
    ----------
    source : Source
    grouped : bool
        Whether parts are of whole groups.
    keys : tuple of (chunk, int, int, int)
    """

    source: Source
    grouped: bool
    keys: tuple[tuple[Any, int, int, int], ...]

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.source.names

    @property
    def n_rows(self) -> int:
        return sum(rows for *_, rows in self.keys)

    @property
    def missing(self) -> bool:
        return self.source.missing

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @property
    def chunks(self) -> Sequence[Any]:
        return self.keys

    def read(self, chunk: Any) -> Batch:
        key, first, last, _ = chunk
        batch = self.source.read(key)
        return batch.groups_between(first, last) if self.grouped else batch.rows_between(first, last)


def in_parts(model: LatentVariableModel, source: Source, rows: int) -> Parts:
    """The data in parts of at least so many rows each, where chunks have as many; a chain's sequences stay whole."""
    grouped = model.per_group or not model.family.rowwise
    keys = [(key, *cut) for key in source.chunks for cut in _cuts(source.read(key), grouped, rows)]
    return Parts(source, grouped, tuple(keys))


def _cuts(batch: Batch, grouped: bool, rows: int) -> list[tuple[int, int, int]]:
    """(first, last) units of the parts of a chunk, and their numbers of rows."""
    if not grouped:
        edges = np.linspace(0, len(batch), max(1, round(len(batch) / rows)) + 1).astype(int)
        return [(first, last, last - first) for first, last in pairwise(edges.tolist())]
    cuts, first, offsets = [], 0, batch.group_offsets
    for last in range(1, len(offsets)):
        if offsets[last] - offsets[first] >= rows or last == len(offsets) - 1:
            cuts.append((first, last, int(offsets[last] - offsets[first])))
            first = last
    return cuts
