"""How uncertain each row's component is: 1 minus its largest responsibility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .display import Display
from .rows import Responsibilities, names_of, values_of
from .style import INK, Series, tidy

SMALLEST, LARGEST, DARKEST = 8.0, 110.0, 0.85
KEYS = (0.01, 0.2, 0.5)


def draw_uncertainty(
    fitted: Any, X: Any = None, ax: Any = None, *, columns: tuple[int, ...] | None = None, lengths: Any = None
) -> Any:
    """Draw how uncertain each row's component is: sorted, or over one or two columns; see `UncertaintyDisplay`.

    Parameters
    ----------
    fitted : estimator, or EMResult of a model with components or states
    X : (n, D) array, or a frame, optional
        By default the data of the fit, which can be drawn sorted only.
    ax : matplotlib Axes, optional
        A new figure's by default.
    columns : (), or one or two column numbers, optional
        Over which of the columns; of none, rows are sorted.  By default the only one or the first two of X, if given.
    lengths : sequence of int, optional
        Of the sequences in X, of a hidden Markov model.

    Returns
    -------
    Axes
    """
    return UncertaintyDisplay.from_estimator(fitted, X, columns=columns, lengths=lengths).plot(ax).ax_


@dataclass(eq=False)
class UncertaintyDisplay(Display):
    """1 - maxₖ p(z = k | x) of each row, between 0 and 1 - 1/K.

    Over two columns, markers are larger and darker the more uncertain a row is, and their shape is that of its most
    probable component; over one, uncertainty is the height.

    Attributes
    ----------
    uncertainty : (n,)
    assigned : (n,) of int
        The most probable component.
    n_components : int
    weights : (n,)
        How many rows each stands for, where rows are sorted.
    points : (n, 0), (n, 1) or (n, 2)
        The columns that it is drawn over.
    names : tuple of str
        Of these columns.
    """

    uncertainty: FloatArray
    assigned: Array
    n_components: int
    weights: FloatArray
    points: FloatArray
    names: tuple[str, ...] = ()

    @classmethod
    def from_estimator(
        cls, fitted: Any, X: Any = None, *, columns: tuple[int, ...] | None = None, lengths: Any = None
    ) -> Self:
        """What a fitted model says of rows.

        Raises
        ------
        ParameterError
            Not a model with components or states; columns that are not there, more than two, or of units that are not
            single rows.
        """
        seen = Responsibilities.of(fitted, X, lengths)
        n, k = seen.probabilities.shape
        points: FloatArray = np.empty((n, 0))
        names: tuple[str, ...] = ()
        if X is not None and (columns is None or columns):
            values = values_of(fitted, X)
            chosen, known = _chosen(values, columns, n), names_of(fitted, X, values.shape[1])
            points, names = values[:, chosen], tuple(known[j] for j in chosen)
        elif columns:
            raise ParameterError("columns can be drawn of rows that are given: give X")
        return cls(1 - seen.probabilities.max(axis=1), seen.assigned, k, seen.weights, points, names)

    @property
    def highest(self) -> float:
        """1 - 1/K, where all components are equally probable."""
        return 1 - 1 / self.n_components

    @property
    def _scale(self) -> float:
        """What is much: of a single component nothing, so that any number serves."""
        return self.highest or 1.0

    def _draw(self, ax: Any) -> Any:
        (self._draw_sorted, self._draw_over_one, self._draw_over_two)[self.points.shape[1]](ax)
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return tidy(ax)

    def _draw_sorted(self, ax: Any) -> None:
        order = np.argsort(self.uncertainty, kind="stable")
        place = np.empty(len(order))
        place[order] = np.cumsum(self.weights[order])
        ax.plot(place[order], self.uncertainty[order], color="#bbbbbb", linewidth=1.0, zorder=1)
        self._draw_heights(ax, place)
        ax.set_xlabel("rows, the most certain first")

    def _draw_over_one(self, ax: Any) -> None:
        self._draw_heights(ax, self.points[:, 0])
        ax.set_xlabel(self.names[0])

    def _draw_heights(self, ax: Any, across: FloatArray) -> None:
        for k in range(self.n_components):
            own, series = self.assigned == k, Series(k)
            ax.plot(
                across[own], self.uncertainty[own], linestyle="none", marker=series.marker, color=series.colour,
                markersize=4, alpha=0.8, label=f"component {k}",
            )  # fmt: skip
        ax.axhline(self.highest, color=INK, linestyle=":", linewidth=1.0, label="all equally probable")
        ax.set_ylim(-0.03 * self._scale, 1.08 * self._scale)
        ax.set_ylabel("1 - largest responsibility")

    def _draw_over_two(self, ax: Any) -> None:
        for k in range(self.n_components):
            own = np.flatnonzero(self.assigned == k)
            own = own[np.argsort(self.uncertainty[own])]
            self._scatter(ax, self.points[own], self.uncertainty[own], Series(k), f"component {k}")
        for key in KEYS:
            if key <= self.highest:
                self._scatter(ax, np.full((1, 2), np.nan), np.array([key]), Series(0), f"uncertainty {key:g}")
        ax.set_xlabel(self.names[0])
        ax.set_ylabel(self.names[1])

    def _scatter(self, ax: Any, points: FloatArray, uncertainty: FloatArray, series: Series, label: str) -> None:
        share = uncertainty / self._scale
        edge = INK if label.startswith("uncertainty") else series.colour
        ax.scatter(
            points[:, 0], points[:, 1], s=SMALLEST + (LARGEST - SMALLEST) * share, marker=series.marker, label=label,
            facecolor=np.repeat(1 - DARKEST * share[:, None], 3, axis=1), edgecolor=edge, linewidth=0.9,
        )  # fmt: skip


def _chosen(values: FloatArray, columns: tuple[int, ...] | None, n: int) -> tuple[int, ...]:
    """The numbers of the columns to draw over."""
    chosen = tuple(range(min(values.shape[1], 2))) if columns is None else tuple(columns)
    if len(chosen) > 2 or any(not 0 <= j < values.shape[1] for j in chosen):
        raise ParameterError(f"columns must be none, one or two of 0 … {values.shape[1] - 1}, got {chosen}")
    if len(values) != n:
        raise ParameterError(f"the model's units are not single rows ({n} of {len(values)} rows): give columns=()")
    return chosen
