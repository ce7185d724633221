"""How far methods were from the best end, against passes over the data or seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from ..inference.comparing import Comparison, Run
from .display import Display
from .style import Series, axes_or_new, tidy

SMALLEST = 1e-10


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
    return ComparisonDisplay.from_comparison(comparison).plot(ax, against=against).ax_


@dataclass(frozen=True)
class Way:
    """One run: its method, how far it was below the best end from its start, and at what cost.

    Attributes
    ----------
    method : str
    gaps : (t,)
        At least 1e-10, so that logarithms exist; they never rise, since what counts is the best point so far.
    passes, seconds : (t,)
    """

    method: str
    gaps: FloatArray
    passes: Array
    seconds: FloatArray


@dataclass(eq=False)
class ComparisonDisplay(Display):
    """Every method's gap to the best log-likelihood that any reached from the same start.

    Attributes
    ----------
    ways : tuple of Way
    within : float
        The gap at which a method counts as arrived.
    rate : float
        EM's rate; NaN if unknown.
    """

    ways: tuple[Way, ...]
    within: float
    rate: float

    @classmethod
    def from_comparison(cls, comparison: Any) -> Self:
        """The runs of a `Comparison` that came to any point; `ParameterError` for what is none."""
        if not isinstance(comparison, Comparison):
            raise ParameterError(f"expected what latentem.compare returns, got {type(comparison).__name__}")
        ways = [
            Way(run.method, _gaps(run, comparison.best_of(run.start)), run.passes, run.seconds)
            for run in comparison.runs
            if len(run.objectives)
        ]
        return cls(tuple(ways), comparison.within, comparison.rate)

    def plot(self, ax: Any = None, *, against: str = "passes") -> Self:
        """Draw the gaps against "passes" over the data, or "seconds"."""
        if against not in ("passes", "seconds"):
            raise ParameterError(f"against must be 'passes' or 'seconds', got {against!r}")
        ax = axes_or_new(ax)
        methods = dict.fromkeys(way.method for way in self.ways)
        looks = {method: Series(number) for number, method in enumerate(methods)}
        named: set[str] = set()
        for way in self.ways:
            series = looks[way.method]
            label = None if way.method in named else way.method
            named.add(way.method)
            cost = getattr(way, against)
            ax.plot(
                cost, way.gaps, color=series.colour, linestyle=series.line, linewidth=1.3, label=label,
                marker=series.marker, markersize=5, markevery=[len(cost) - 1],
            )  # fmt: skip
        return self._kept(self._framed(ax, "passes over the data" if against == "passes" else "seconds"))

    def _framed(self, ax: Any, cost: str) -> Any:
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.axhline(self.within, color="#bbbbbb", linewidth=0.8, zorder=0)
        ax.set_xlabel(cost)
        ax.set_ylabel("log-likelihood below the best")
        ax.set_title(f"EM's rate {self.rate:.3g}" if np.isfinite(self.rate) else "", fontsize="small")
        ax.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
        return tidy(ax)


def _gaps(run: Run, best: float) -> FloatArray:
    return np.asarray(np.maximum(best - np.maximum.accumulate(run.objectives), SMALLEST))
