"""What all pictures share: series differ by colour, by line and by marker, so that print and every eye tell them apart.

Colours: Okabe and Ito (2008), Color Universal Design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">")
INK = "#222222"


@dataclass(frozen=True)
class Series:
    """How the k-th component, or the k-th series, is drawn."""

    number: int

    @property
    def colour(self) -> str:
        return COLOURS[self.number % len(COLOURS)]

    @property
    def line(self) -> Any:
        return LINES[self.number % len(LINES)]

    @property
    def marker(self) -> str:
        return MARKERS[self.number % len(MARKERS)]


def axes_or_new(ax: Any) -> Any:
    """The axes given, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")[1]


def tidy(ax: Any) -> Any:
    """Axes without the frame's upper and right lines, with a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax
