"""A summary as text: names to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from .record import Grid, Summary, widths

WIDTH = 100


def as_text(summary: Summary) -> str:
    """At most a hundred characters wide, unless one label alone is wider."""
    parts = [[summary.title], _facts(summary.facts), _wrapped(f"Status: {summary.status}")]
    parts += [list(_grid(part)) for grid in summary.grids for part in _narrow(grid)]
    parts += [[line for note in summary.notes for line in _wrapped(note)]]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Two facts a line."""
    half = (len(facts) + 1) // 2
    columns = [_aligned(facts[:half]), _aligned(facts[half:])]
    return [f"{left}    {right}".rstrip() for left, right in zip(columns[0], [*columns[1], ""], strict=False)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    first, *others = widths(rows)
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    ]


def _pointed(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The cells with blanks behind them, so that the points of a column stand below each other."""
    first, *others = zip(*rows, strict=True)
    return list(zip(first, *map(_behind_points, others), strict=True))


def _behind_points(column: Sequence[str]) -> list[str]:
    behind = [_digits_behind(cell) for cell in column]
    most = max((length for length in behind if length is not None), default=0)
    lacking = [0 if length is None else most - length for length in behind]
    return [cell + " " * blanks for cell, blanks in zip(column, lacking, strict=True)]


def _digits_behind(cell: str) -> int | None:
    """How long a number is from its point on; None for what is no number."""
    if not any(map(str.isdigit, cell)):
        return None
    return len(cell) - cell.find(".") if "." in cell else 0


def _narrow(grid: Grid) -> Iterator[Grid]:
    """The grid in as many parts, side by side in thought, as the width asks for."""
    if grid.rows:
        grid = replace(grid, rows=tuple(_pointed(grid.rows)))
    first, *others = widths([grid.headings, *grid.rows])
    begin = 0
    while begin < len(others):
        end, used = begin, first
        while end < len(others) and (end == begin or used + others[end] + 2 <= WIDTH):
            used, end = used + others[end] + 2, end + 1
        rows = tuple(_cut(row, begin, end) for row in grid.rows)
        yield Grid(grid.title, _cut(grid.headings, begin, end), rows)
        begin = end


def _cut(row: tuple[str, ...], begin: int, end: int) -> tuple[str, ...]:
    return (row[0], *row[1 + begin : 1 + end])


def _grid(grid: Grid) -> Iterator[str]:
    headings, *rows = _aligned([grid.headings, *grid.rows])
    yield grid.title
    yield headings.rstrip()
    yield "─" * len(headings)
    yield from (row.rstrip() for row in rows)


def _wrapped(sentence: str) -> list[str]:
    return wrap(sentence, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
