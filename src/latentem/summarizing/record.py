"""A summary as a record: facts, tables and sentences; text, HTML and LaTeX are three ways to write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Grid:
    """A table of a summary: the first column names, the others hold numbers.

    Attributes
    ----------
    title : str
    headings : tuple of str
    rows : tuple of tuples of str
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, repr=False)
class Summary:
    """What a fit found.

    Attributes
    ----------
    title : str
        The model.
    facts : tuple of (str, str)
        Short ones, a number each.
    status : str
        Why the fit stopped.
    grids : tuple of Grid
        Estimates.
    notes : tuple of str
        Findings, the certificate, reasons why there is no standard error: sentences.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    status: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        from .text import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """A piece of HTML, without scripts or styles of a page."""
        from .html import as_html

        return as_html(self)

    def to_latex(self) -> str:
        r"""Tables for LaTeX; the preamble needs \usepackage{booktabs}."""
        from .latex import as_latex

        return as_latex(self)

    def save(self, path: str | Path) -> None:
        """Write it to a file: `.html`, `.tex`, or plain text under any other name."""
        written = {".html": self.to_html, ".tex": self.to_latex}.get(Path(path).suffix, self.__str__)
        Path(path).write_text(written() + "\n", encoding="utf-8")


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The widest cell of each column."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
