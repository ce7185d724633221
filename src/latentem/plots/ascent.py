"""How the objective climbed to its limit."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from ..result import EMResult, Step
from .style import COLOURS, INK, axes_or_new, tidy

MARKS = {
    Step.START: ("o", INK),
    Step.EM: (".", COLOURS[0]),
    Step.ACCELERATED: ("^", COLOURS[1]),
    Step.REJECTED: ("x", COLOURS[2]),
    Step.DAMPED: ("v", COLOURS[3]),
    Step.STOCHASTIC: ("d", COLOURS[5]),
    Step.NONE: ("s", COLOURS[4]),
}


def draw_ascent(fitted: Any, ax: Any = None) -> Any:
    """Draw what was still to gain at every iteration: the estimated limit of the objective minus the objective.

    The scale is logarithmic, so plain EM, whose gains contract at λ², ends in a straight line.  The limit is the last
    objective plus the estimated remaining gain; where that is unknown, the last objective, whose own point is left out.

    Parameters
    ----------
    fitted : EMResult, or estimator
    ax : matplotlib Axes, optional
        A new figure's by default.

    Returns
    -------
    Axes
    """
    result: EMResult = getattr(fitted, "result_", fitted)
    ax = axes_or_new(ax)
    steps = [step for step, _ in result.history]
    gaps = _gaps(result)
    shown = gaps > 0
    passes = np.arange(len(gaps))
    ax.plot(passes[shown], gaps[shown], color="#bbbbbb", linewidth=1.0, zorder=1)
    for step, (marker, colour) in MARKS.items():
        here = shown & np.array([step is other for other in steps])
        if here.any():
            ax.plot(passes[here], gaps[here], marker, color=colour, label=step.value, linestyle="none", zorder=2)
    if shown.any():
        ax.set_yscale("log")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
    ax.set_xlabel("iteration")
    ax.set_ylabel("objective still to gain")
    ax.set_title(_title(result), fontsize="small")
    return tidy(ax)


def _gaps(result: EMResult) -> Any:
    objectives = np.array([objective for _, objective in result.history])
    remaining = result.remaining_gain if isfinite(result.remaining_gain) else 0.0
    return max(result.objective, objectives.max()) + remaining - objectives


def _title(result: EMResult) -> str:
    rate = f"; EM's rate λ = {result.rate:.3g}" if isfinite(result.rate) else ""
    return f"{result.status.value.split(':')[0].split(';')[0]}{rate}"
