"""How well components are told apart: a histogram of the responsibilities of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from .display import Display
from .rows import Responsibilities
from .style import COLOURS, INK, tidy

BINS = 20
SMALL = 1e-4
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "ooo")


def draw_rootogram(fitted: Any, X: Any = None, ax: Any = None, *, lengths: Any = None) -> Any:
    """Draw, for each component, a histogram of its responsibilities with square roots as heights; see
    `RootogramDisplay`.

    Parameters
    ----------
    fitted : estimator, or EMResult of a model with components or states
    X : (n, D) array, or a frame, optional
        By default the data of the fit.
    ax : matplotlib Axes, optional
        A new figure's by default.
    lengths : sequence of int, optional
        Of the sequences in X, of a hidden Markov model.

    Returns
    -------
    Axes
    """
    return RootogramDisplay.from_estimator(fitted, X, lengths=lengths).plot(ax).ax_


@dataclass(eq=False)
class RootogramDisplay(Display):
    """Histograms of the responsibilities p(z = k | x), one for each component k (Leisch 2004, section 4.3).

    Heights are square roots of counts, so that few rows show beside many.  Responsibilities below a small number, of
    rows with which the component has nothing to do, are left out.  A component that is told apart has a peak at 1 and
    nothing else; rows in the middle are shared with others.

    Attributes
    ----------
    edges : (bins + 1,)
    counts : (K, bins)
        Rows, or sums of their weights.
    left_out : (K,)
        The same of those with small responsibilities: with them each component's counts add to that of all rows.
    shares : (K,)
        Mean responsibilities.
    smallest : float
        Below which responsibilities are small.
    """

    edges: FloatArray
    counts: FloatArray
    left_out: FloatArray
    shares: FloatArray
    smallest: float

    @classmethod
    def from_estimator(
        cls, fitted: Any, X: Any = None, *, lengths: Any = None, bins: int = BINS, smallest: float = SMALL
    ) -> Self:
        """What a fitted model says of rows, by default of those of the fit, with their weights.

        Raises
        ------
        ParameterError
            Not a model with components or states, or bins or a bound that are none.
        """
        if bins < 1 or not 0 <= smallest < 1:
            raise ParameterError(f"expected at least one bin and 0 ≤ smallest < 1, got {bins} and {smallest}")
        seen = Responsibilities.of(fitted, X, lengths)
        edges, counts = np.linspace(0, 1, bins + 1), []
        for column in seen.probabilities.T:
            shown = column >= smallest
            own = np.clip(column[shown], 0.0, 1.0)  # rounding
            counts.append(np.histogram(own, edges, weights=seen.weights[shown])[0])
        left_out = seen.weights @ (seen.probabilities < smallest)
        shares = seen.weights @ seen.probabilities / seen.weights.sum()
        return cls(edges, np.array(counts), left_out, shares, smallest)

    @property
    def heights(self) -> FloatArray:
        """(K, bins): square roots of the counts."""
        return np.sqrt(self.counts)

    def _draw(self, ax: Any) -> Any:
        heights = self.heights
        band = 1.3 * max(float(heights.max()), 1.0)
        widths = np.diff(self.edges)
        ticks: dict[float, str] = {}
        for k, own in enumerate(heights):
            ground = (len(heights) - 1 - k) * band
            ax.bar(
                self.edges[:-1], own, widths, bottom=ground, align="edge", facecolor=COLOURS[k % len(COLOURS)],
                edgecolor="white", hatch=HATCHES[k % len(HATCHES)], linewidth=0.8, alpha=0.75,
            )  # fmt: skip
            ax.axhline(ground, color=INK, linewidth=0.8)
            ax.text(
                0.5, ground + 0.97 * band, f"component {k} ({self.shares[k]:.0%})", ha="center", va="top",
                fontsize="small", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )  # fmt: skip
            ticks |= {ground + np.sqrt(count): f"{count:g}" for count in _round_counts(self.counts.max(), len(heights))}
        ax.set_yticks(list(ticks), list(ticks.values()))
        ax.set_ylim(0, len(heights) * band)
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"responsibility (those below {self.smallest:g} left out)")
        ax.set_ylabel("rows, on a scale of square roots")
        return tidy(ax)


def _round_counts(most: float, n_components: int) -> list[float]:
    """A few round numbers of rows up to the largest, whose square roots are apart."""
    top = float(10 ** np.floor(np.log10(most))) if most >= 1 else 1.0
    top *= max(factor for factor in (1, 2, 5) if factor * top <= max(most, top))
    between = [top / 4] if n_components <= 4 else []
    return [0.0, *[round(count) for count in between if count >= 2], top]
