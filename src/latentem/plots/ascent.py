"""How the objective climbed to its limit."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..result import EMResult, Step, result_of
from .display import Display
from .style import COLOURS, INK, tidy

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

    The scale is logarithmic, so plain EM, whose gains contract at λ², ends in a straight line; that of the fitted rate
    is drawn beside.

    Parameters
    ----------
    fitted : EMResult, or estimator
    ax : matplotlib Axes, optional
        A new figure's by default.

    Returns
    -------
    Axes
    """
    return AscentDisplay.from_result(fitted).plot(ax).ax_


@dataclass(eq=False)
class AscentDisplay(Display):
    """What was still to gain at each iteration of a fit.

    The limit is the last objective plus the estimated remaining gain; where that is unknown, the last objective, whose
    own point is left out.

    Attributes
    ----------
    steps : tuple of Step
        How each iteration was reached.
    gaps : (iterations,)
    rate : float
        Estimated rate λ of EM; NaN where unknown.
    status : str
        Why the fit stopped, in few words.
    """

    steps: tuple[Step, ...]
    gaps: FloatArray
    rate: float
    status: str

    @classmethod
    def from_result(cls, fitted: Any) -> Self:
        """From the history of a fit; `ParameterError` where it is none."""
        result = result_of(fitted)
        status = result.status.value.split(":")[0].split(";")[0]
        return cls(tuple(step for step, _ in result.history), _gaps(result), result.rate, status)

    @property
    def fitted_line(self) -> tuple[FloatArray, FloatArray]:
        """Iterations, and gaps that lead to the last one at the fitted rate, λ² in each step; empty without a rate."""
        shown = np.flatnonzero(self.gaps > 0)
        if not 0 < self.rate < 1 or len(shown) < 2:
            return np.empty(0), np.empty(0)
        last = int(shown[-1])
        back = np.log(self.gaps.max() / self.gaps[last]) / (-2 * np.log(self.rate))
        iterations = np.array([max(float(shown[0]), last - back), float(last)])
        return iterations, self.gaps[last] * self.rate ** (2 * (iterations - last))

    def _draw(self, ax: Any) -> Any:
        shown = self.gaps > 0
        passes = np.arange(len(self.gaps))
        ax.plot(passes[shown], self.gaps[shown], color="#bbbbbb", linewidth=1.0, zorder=1)
        for step, (marker, colour) in MARKS.items():
            here = shown & np.array([step is other for other in self.steps])
            if here.any():
                ax.plot(
                    passes[here], self.gaps[here], marker, color=colour, label=step.value, linestyle="none", zorder=2
                )  # fmt: skip
        iterations, line = self.fitted_line
        if len(line):
            ax.plot(iterations, line, color=INK, linestyle="--", linewidth=1.0, zorder=3, label="at EM's rate λ")
        if shown.any():
            ax.set_yscale("log")
            ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        ax.set_xlabel("iteration")
        ax.set_ylabel("objective still to gain")
        ax.set_title(self._title(), fontsize="small")
        ax.xaxis.get_major_locator().set_params(integer=True)
        return tidy(ax)

    def _title(self) -> str:
        rate = f"; EM's rate λ = {self.rate:.3g}" if isfinite(self.rate) else ""
        return f"{self.status}{rate}"


def _gaps(result: EMResult) -> FloatArray:
    objectives = np.array([objective for _, objective in result.history])
    remaining = result.remaining_gain if isfinite(result.remaining_gain) else 0.0
    return np.asarray(max(result.objective, objectives.max()) + remaining - objectives)
