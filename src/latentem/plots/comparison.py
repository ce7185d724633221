"""How far methods were from the best end, against passes over the data or seconds."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from .style import COLOURS, axes_or_new, tidy

LINES = ("-", "--", "-.", ":")


def draw_comparison(comparison: Any, ax: Any = None, *, against: str = "passes") -> Any:
    """Draw each method's gap to the best log-likelihood that any reached from the same start.

    One line is one start; both axes are logarithmic.  A line that ends high has stopped at a lower maximum or early.

    Parameters
    ----------
    comparison : Comparison
        What `latentem.compare` returned.
    ax : matplotlib Axes, optional
        A new figure's by default.
    against : {"passes", "seconds"}

    Returns
    -------
    Axes
    """
    if against not in ("passes", "seconds"):
        raise ValueError(f"against must be 'passes' or 'seconds', got {against!r}")
    ax = axes_or_new(ax)
    styles = dict(zip(comparison.methods, cycle((c, line) for line in LINES for c in COLOURS), strict=False))
    named: set[str] = set()
    for run in comparison.runs:
        if not len(run.objectives):
            continue
        gaps = np.maximum(comparison.best_of(run.start) - np.maximum.accumulate(run.objectives), 1e-10)
        colour, line = styles[run.method]
        label = None if run.method in named else run.method
        named.add(run.method)
        ax.plot(getattr(run, against), gaps, line, color=colour, label=label, linewidth=1.3)
        ax.plot(getattr(run, against)[-1:], gaps[-1:], "o", color=colour, markersize=3)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.axhline(comparison.within, color="#bbbbbb", linewidth=0.8, zorder=0)
    ax.set_xlabel("passes over the data" if against == "passes" else "seconds")
    ax.set_ylabel("log-likelihood below the best")
    rate = f"EM's rate {comparison.rate:.3g}" if np.isfinite(comparison.rate) else ""
    ax.set_title(rate, fontsize="small")
    ax.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return tidy(ax)
