"""What options mean: lists of numbers of components, of columns; floors and degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource, Source
from ..em import Executor
from ..errors import DataError
from ..io.streams import ParquetSource, whole_labels
from ..io.tables import TEXT, Table, read_table

MOST_COMPONENTS = 10_000
STREAMED_FROM = 1 << 30  # bytes of a file


class Components(click.ParamType):
    """3, or 1..9, or 2,4,8 (and mixtures of those)."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            found = sorted({k for part in str(value).split(",") for k in _range(part)})
        except ValueError:
            self.fail(f"{value!r}: expected a number of components such as 3, or 1..9, or 2,4,8", param, ctx)
        if found[0] < 1 or found[-1] > MOST_COMPONENTS:
            self.fail(f"{value!r}: numbers of components are from 1 to {MOST_COMPONENTS}", param, ctx)
        return found


def _range(text: str) -> Sequence[int]:
    first, dots, last = text.partition("..")
    if not dots:
        return [int(text)]
    if int(last) - int(first) > MOST_COMPONENTS:
        return [MOST_COMPONENTS + 1]
    found = range(int(first), int(last) + 1)
    if not found:
        raise ValueError(text)
    return found


class Names(click.ParamType):
    """Names separated by commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        found = tuple(name.strip() for name in str(value).split(","))
        if not all(found) or len(set(found)) < len(found):
            self.fail(f"{value!r}: expected different names separated by commas", param, ctx)
        return found


class NumberOr(click.ParamType):
    """A number, or one of a few words."""

    name = "number"

    def __init__(self, *words: str) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value in self.words:
            return str(value)
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r}: expected a number{''.join(f' or {word}' for word in self.words)}", param, ctx)
        if not np.isfinite(number):
            self.fail(f"{value!r}: expected a finite number", param, ctx)
        return number


def make_executor(kind: str | None, workers: int | None) -> Executor | str | None:
    """What `--executor` and `--workers` ask for."""
    if workers is None:
        return kind
    from ..execution import Processes, Threads

    if kind == "serial":
        raise click.UsageError("--executor serial has one worker; leave out --workers, or choose threads or processes")
    return Processes(workers) if kind == "processes" else Threads(workers)


@dataclass(frozen=True)
class Data:
    """What a model is fitted to: columns of observations, and beside them weights, known components, keys of sequences.

    A source, which is read again at every pass, holds its weights and known components itself.
    """

    rows: Table | Source
    weights: FloatArray | None = None
    labels: Array | None = None
    groups: FloatArray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.rows.names

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        return self.rows.levels if isinstance(self.rows, Table) else {}

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        if isinstance(self.rows, Source):
            return sum(float(batch.unit_weights(False).sum()) for batch in self.rows)
        return float(len(self.rows) if self.weights is None else self.weights.sum())


def is_streamed(path: Path, asked: bool | None, needs_memory: str | None) -> bool:
    """Whether the file is read again at every pass: as asked, or if it is a large Parquet file.

    Parameters
    ----------
    needs_memory : str or None
        The option or the model that needs all rows at once.
    """
    readable = path.suffix.lower() == ".parquet"
    if asked is None:
        large = readable and path.exists() and path.stat().st_size > STREAMED_FROM
        return large and needs_memory is None
    if asked and not readable:
        raise click.UsageError(f"--stream reads parts of a file again and again, which only .parquet has, not {path}")
    if asked and needs_memory is not None:
        raise click.UsageError(f"{needs_memory} needs all rows in memory; leave out --stream")
    return asked


def read_data(
    path: Path,
    *,
    columns: tuple[str, ...] | None,
    weights: str | None,
    labels: str | None,
    groups: str | None,
    categories: Sequence[str] | str,
    header: bool,
    stream: bool,
) -> Data:
    """Read the file, take the columns apart, and name the first entry that no model could take."""
    beside = [name for name in (weights, labels, groups) if name is not None]
    wanted = None if columns is None else list(dict.fromkeys([*columns, *beside]))
    coded = categories if categories == TEXT else [name for name in categories if name not in beside]
    if stream:
        return Data(ParquetSource(path, columns=columns, weights=weights, labels=labels))
    keyed = coded if groups is None or coded == TEXT else [*coded, groups]
    whole = read_table(path, columns=wanted, categories=keyed, header=header)
    table = whole.select(columns) if columns is not None else whole.drop(_known(beside, whole))
    if not table.names:
        raise DataError(f"{path} has no columns of observations beside {', '.join(beside)}")
    _not_coded([name for name in beside if name != groups], whole)
    given = None if weights is None else whole.column(weights)
    known = None if labels is None else whole_labels(whole.column(labels), labels)
    ArraySource(table.values, weights=given, labels=known, names=table.names)
    return Data(table, given, known, None if groups is None else whole.column(groups))


def _known(names: list[str], table: Table) -> list[str]:
    """The names, each looked up, so that one that is not there is told."""
    for name in names:
        table.column(name)
    return names


def _not_coded(names: list[str], table: Table) -> None:
    for name in names:
        if name in table.levels:
            raise DataError(f"column {name!r} holds text ({table.levels[name][0]!r}); weights and labels are numbers")
