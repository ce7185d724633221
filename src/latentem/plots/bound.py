"""The lower bound that an EM step climbs, beside the objective, along the line from θₜ to θₜ₊₁."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..em import Problem, iterate
from ..errors import ParameterError
from ..inference.bounds import LowerBound, admitted, objective_at
from ..result import Iteration
from ..statistics import is_local
from .display import Display, replay
from .style import INK, Series, tidy

POINTS = 61


def draw_bound(fitted: Any, ax: Any = None, *, iteration: int = 0, reach: tuple[float, float] = (-0.5, 2.0)) -> Any:
    """Draw the objective and the lower bound Q(θ; θₜ) + H(q) on the line from θₜ through θₜ₊₁; see `BoundDisplay`.

    Parameters
    ----------
    fitted : EMResult, or estimator
    ax : matplotlib Axes, optional
        A new figure's by default.
    iteration : int
        t, counted from the start of the fit, 0.
    reach : (float, float)
        How far to look, in lengths of the step: 0 is θₜ, 1 is θₜ₊₁.

    Returns
    -------
    Axes
    """
    return BoundDisplay.from_result(fitted, iteration, reach=reach).plot(ax).ax_


@dataclass(eq=False)
class BoundDisplay(Display):
    """The objective and the bound that touches it at θₜ, along θₜ + s (θₜ₊₁ - θₜ) in unconstrained coordinates.

    ℓ(θ) ≥ Q(θ; θₜ) + H(q) for q = p(z | x; θₜ), with a gap of KL(q ‖ p(z | x; θ)), which is zero at θₜ (Neal and Hinton
    1998).  A log prior is added to both.

    Attributes
    ----------
    steps : (m,)
        s.
    objective, bound : (m,)
        NaN where the model cannot be evaluated or does not admit the parameters.
    iteration : int
        t.
    here, q, kl : float
        The objective at θₜ; what the step gains in Q, and the gap that it opens.
    """

    steps: FloatArray
    objective: FloatArray
    bound: FloatArray
    iteration: int
    here: float
    q: float
    kl: float

    @classmethod
    def from_result(
        cls, fitted: Any, iteration: int = 0, *, reach: tuple[float, float] = (-0.5, 2.0), points: int = POINTS
    ) -> Self:
        """Go from the start of a fit by plain EM to θₜ, and look along its step.

        Raises
        ------
        ParameterError
            The result has no data or no start with it, EM gains nothing at θₜ, or Q is known to second order only.
        """
        if iteration < 0 or not reach[0] <= 0 < 1 <= reach[1]:
            raise ParameterError(f"expected iteration ≥ 0 and reach around 0 … 1, got {iteration} and {reach}")
        with replay(fitted) as way:
            problem = way.problem
            course = iterate(problem.model, problem.source, way.start, executor=problem.executor)
            here = next(islice(course, iteration, None))
            # Both ends of the step are among the points.
            steps = np.union1d(np.linspace(*reach, points), [0.0, 1.0])
            objective, bound = _along(problem, here, steps)
        gain = float(objective[steps == 1][0]) - here.objective
        if not gain > here.rounding:
            raise ParameterError(f"EM gains nothing in iteration {iteration + 1}: draw an earlier one")
        q = float(bound[steps == 1][0]) - here.objective
        return cls(steps, objective, bound, iteration, here.objective, q, gain - q)

    def _draw(self, ax: Any) -> Any:
        first, second = Series(0), Series(1)
        objective, bound = (values - self.here for values in (self.objective, self.bound))
        ax.plot(self.steps, objective, color=first.colour, linewidth=2.0, label="log-likelihood")
        ax.plot(self.steps, bound, color=second.colour, linestyle="--", linewidth=2.0, label="lower bound")
        ax.plot([0, 1], [0, self.q + self.kl], "o", color=INK, markersize=6, zorder=4)
        ax.plot([1], [self.q], "s", color=second.colour, markeredgecolor=INK, markersize=6, zorder=4)
        self._frame(ax, objective, bound)
        self._mark(ax)
        ax.set_xticks([0, 1], [f"$\\theta_{{{self.iteration}}}$", f"$\\theta_{{{self.iteration + 1}}}$"])
        ax.set_xlabel("along the step of EM")
        ax.set_ylabel(f"log-likelihood, from {self.here:.6g}")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small", loc="lower center")
        return tidy(ax)

    def _frame(self, ax: Any, objective: FloatArray, bound: FloatArray) -> None:
        """The bound may fall without end outside of the step: what is shown is about the size of the gain."""
        gain = max(self.q + self.kl, np.finfo(float).tiny)
        top = max(float(np.nanmax(objective)), gain)
        low = min(float(np.nanmin(bound)), 0.0)
        ax.set_ylim(max(low, -2 * gain) - 0.08 * gain, top + 0.15 * gain)
        ax.set_xlim(self.steps[0], self.steps[-1])

    def _mark(self, ax: Any) -> None:
        """Arrows of the two parts of the gain, beside θₜ₊₁."""
        ax.hlines(0.0, 0.0, 1.12, color="#888888", linewidth=0.8)
        ax.hlines([self.q, self.q + self.kl], 1.0, 1.12, color="#888888", linewidth=0.8)
        arrow = {"arrowstyle": "<->", "color": INK, "shrinkA": 0, "shrinkB": 0}
        for low, high, name in ((0.0, self.q, "gain of Q"), (self.q, self.q + self.kl, "KL")):
            ax.annotate("", (1.1, high), (1.1, low), arrowprops=arrow)
            ax.annotate(
                f"{name} {high - low:.3g}", (1.1, 0.5 * (low + high)), (6, 0), textcoords="offset points", va="center",
                fontsize="small", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )  # fmt: skip


def _along(problem: Problem, start: Iteration, steps: FloatArray) -> FloatArray:
    """(2, m): the objective and the bound at each point of the line through where the step leads; NaN where none is."""
    if is_local(start.expectation.statistics):
        raise ParameterError(
            f"Q of {type(problem.model).__name__} is known to second order only, so that its bound cannot be drawn"
        )
    bound, here = LowerBound(problem.model, start), start.parameters.flatten()
    direction, found = start.em_parameters.flatten() - here, np.full((2, len(steps)), np.nan)
    for i, s in enumerate(steps):
        parameters = admitted(problem.model, start.parameters, here + s * direction)
        if parameters is not None:
            both = objective_at(problem, parameters), bound(parameters)
            found[:, i] = both if np.all(np.isfinite(both)) else np.nan
    return found
