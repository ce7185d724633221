"""A summary as HTML, for notebooks: tables with headings, no colour, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .record import Grid, Summary

NAME = ' style="text-align: left"'
NUMBER = ' style="text-align: right; font-variant-numeric: tabular-nums"'


def as_html(summary: Summary) -> str:
    """One `<div>`."""
    parts = [f"<p><strong>{escape(summary.title)}</strong></p>", _facts(summary.facts)]
    parts.append(f"<p>Status: {escape(summary.status)}</p>")
    parts += map(_grid, summary.grids)
    parts += [f"<p>{escape(note)}</p>" for note in summary.notes]
    return "\n".join(['<div class="latentem-summary">', *parts, "</div>"])


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    half = (len(facts) + 1) // 2
    pairs = [[*facts[i : i + 1], *facts[half + i : half + i + 1]] for i in range(half)]
    rows = "".join(f"<tr>{''.join(_fact(*fact) for fact in pair)}</tr>" for pair in pairs)
    return f"<table><tbody>{rows}</tbody></table>"


def _fact(name: str, value: str) -> str:
    return f'<th scope="row"{NAME}>{escape(name)}</th><td{NUMBER}>{escape(value)}</td>'


def _grid(grid: Grid) -> str:
    first, *others = grid.headings
    head = f'<th scope="col"{NAME}>{escape(first)}</th>'
    head += "".join(f'<th scope="col"{NUMBER}>{escape(heading)}</th>' for heading in others)
    body = "".join(_row(row) for row in grid.rows)
    caption = f"<caption{NAME}>{escape(grid.title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(row: Sequence[str]) -> str:
    numbers = "".join(f"<td{NUMBER}>{escape(cell)}</td>" for cell in row[1:])
    return f'<tr><th scope="row"{NAME}>{escape(row[0])}</th>{numbers}</tr>'
