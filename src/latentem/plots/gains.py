"""What each EM step gained, in Q and in KL."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..em import run
from ..errors import ParameterError
from ..inference.ascent import Gain, Recorder
from ..result import result_of
from .display import Display, replay
from .style import Series, tidy

PASSES, TOLERANCE = 1000, 1e-6
MOST_MARKED = 30


def draw_gains(fitted: Any, ax: Any = None) -> Any:
    """Draw the gain of every EM step, split into that of Q and the KL that the step opened; see `GainsDisplay`.

    Parameters
    ----------
    fitted : EMResult, or estimator
    ax : matplotlib Axes, optional
        A new figure's by default.

    Returns
    -------
    Axes
    """
    return GainsDisplay.from_result(fitted).plot(ax).ax_


@dataclass(eq=False)
class GainsDisplay(Display):
    """Gains Δℓ = ΔQ + KL(q ‖ p(z | x; θₜ₊₁)) of the steps of a fit; neither part is below zero.

    Near a maximum both fall by λ² in each step of EM, and KL / ΔQ tends to λ, EM's rate: where the data say nearly all
    of z, all is gained in Q; where they say little, as much again in KL.

    Attributes
    ----------
    steps : (m,) of int
        Of which of the iterations, from 1.
    q, kl : (m,)
    rounding : (m,)
        What the gain may be off by.
    """

    steps: FloatArray
    q: FloatArray
    kl: FloatArray
    rounding: FloatArray

    @classmethod
    def from_result(cls, fitted: Any) -> Self:
        """From the record of a fit with `certify=True`; of another, from going its way again, by plain EM.

        Raises
        ------
        ParameterError
            There is no record, and the result has no data or no start with it; or no step's gain can be split, because
            Q is known to second order only.
        """
        gains = result_of(fitted).ascent or _recorded(fitted)
        split = [(number, one) for number, one in enumerate(gains, 1) if isfinite(one.q)]
        if not split:
            raise ParameterError("no gain of this fit has its parts: there was no step, or Q is known to second order")
        numbers, rows = zip(*split, strict=True)
        q, kl, rounding = np.array([(one.q, one.kl, one.rounding) for one in rows]).T
        return cls(np.array(numbers), q, kl, rounding)

    def _draw(self, ax: Any) -> Any:
        drawn = False
        for number, (name, part) in enumerate((("gain of Q", self.q), ("KL", self.kl))):
            shown = part > self.rounding
            drawn |= bool(shown.any())
            series = Series(number)
            ax.plot(
                self.steps[shown], part[shown], color=series.colour, linestyle=series.line, marker=series.marker,
                markersize=5, linewidth=1.4, label=name, markevery=max(1, int(shown.sum()) // MOST_MARKED),
            )  # fmt: skip
        if drawn:
            ax.set_yscale("log")
        ax.set_xlabel("iteration")
        ax.set_ylabel("gain of the log-likelihood")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        ax.xaxis.get_major_locator().set_params(integer=True)
        return tidy(ax)


def _recorded(fitted: Any) -> tuple[Gain, ...]:
    """The steps of a plain fit once more; in the place of an accelerated one, those of EM from its start."""
    result = result_of(fitted)
    tol, passes = (0.0, result.n_iter) if result.algorithm == "plain EM" else (TOLERANCE, PASSES)
    with replay(fitted) as way:
        problem, recorder = way.problem, Recorder(way.problem.model)
        run(
            problem.model, problem.source, way.start, executor=problem.executor, tol=tol, max_iter=passes,
            callbacks=[recorder],
        )  # fmt: skip
    return tuple(recorder.gains)
