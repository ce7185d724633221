"""A sequence coloured by its decoded states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .display import Display
from .rows import names_of, values_of
from .style import INK, Series, tidy

MOST_MARKED = 400


def draw_sequence(
    values: Any, states: Any, ax: Any = None, *, probabilities: Any = None, means: Any = None, name: str = "value"
) -> Any:
    """Draw one column of one sequence against time, its rows marked by their states.

    Parameters
    ----------
    values : (T,) or (T, 1)
        NaN is a missing row: a gap.
    states : (T,) of int
        As `predict` gives them.
    ax : matplotlib Axes, optional
        A new figure's by default.
    probabilities : (T, K), optional
        As `predict_proba` gives them: rows whose state has less than 0.9 get a ring.
    means : (K,), optional
        Level of each state, drawn where the sequence is in it.
    name : str
        What the column is.

    Returns
    -------
    Axes
    """
    series, path = np.ravel(np.asarray(values, float)), np.asarray(states)
    if series.shape != path.shape or not len(series):
        raise ParameterError(f"expected one state for each row, got {series.shape} values and {path.shape} states")
    certainty = np.ones(len(path)) if probabilities is None else np.asarray(probabilities, float).max(axis=1)
    levels = None if means is None else np.ravel(np.asarray(means, float))
    return SequenceDisplay(series, path, certainty, levels, name).plot(ax).ax_


@dataclass(eq=False)
class SequenceDisplay(Display):
    """One column of one sequence with its decoded states.

    Attributes
    ----------
    values : (T,)
    states : (T,) of int
        The most probable path.
    certainty : (T,)
        The largest probability of a state in each row: rows below 0.9 get a ring.
    levels : (K,) or None
        Of each state, drawn where the sequence is in it.
    name : str
    first : int
        The time of the first of these rows.
    """

    values: FloatArray
    states: Array
    certainty: FloatArray
    levels: FloatArray | None = None
    name: str = "value"
    first: int = 0

    @classmethod
    def from_estimator(cls, fitted: Any, X: Any, *, column: int = 0, start: int = 0, stop: int | None = None) -> Self:
        """Decode one sequence, with the probabilities of its states and, where they have some, their means.

        Parameters
        ----------
        fitted : estimator of a hidden Markov model
        X : (T,) or (T, D), or a frame
        column : int
            Which of the columns to draw.
        start, stop : int
            Which rows to draw; all are decoded.

        Raises
        ------
        ParameterError
            Not a hidden Markov model, a column that is not there, or no rows.
        """
        if not hasattr(fitted, "decode") or not hasattr(fitted, "transmat_"):
            raise ParameterError(f"expected a fitted hidden Markov model, got {type(fitted).__name__}")
        values = values_of(fitted, X)
        if not 0 <= column < values.shape[1]:
            raise ParameterError(f"column must be one of 0 … {values.shape[1] - 1}, got {column}")
        means: Any = getattr(fitted, "means_", None)
        levels = np.asarray(means, float)[:, column] if np.ndim(means) == 2 else None
        certainty, states = fitted.predict_proba(X).max(axis=1), fitted.predict(X)
        shown = slice(*slice(start, stop).indices(len(values)))
        if shown.start >= shown.stop:
            raise ParameterError(f"there are no rows from {start} to {stop} of {len(values)}")
        name = names_of(fitted, X, values.shape[1])[column]
        return cls(values[shown, column], states[shown], certainty[shown], levels, name, shown.start)

    def _draw(self, ax: Any) -> Any:
        time = np.arange(self.first, self.first + len(self.values))
        ax.plot(time, self.values, color="#999999", linewidth=0.8, zorder=1)
        for k in np.unique(self.states):
            own = self.states == k
            _draw_state(ax, Series(int(k)), time, np.where(own, self.values, np.nan))
            if self.levels is not None:
                _draw_level(ax, Series(int(k)), time[own], float(self.levels[k]))
        _draw_doubt(ax, time, self.values, self.certainty)
        ax.set_xlabel("time")
        ax.set_ylabel(self.name)
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        return tidy(ax)


def _draw_state(ax: Any, series: Series, time: Array, values: FloatArray) -> None:
    size = 5 if len(time) <= MOST_MARKED else 2.5
    ax.plot(
        time, values, linestyle="none", marker=series.marker, markersize=size, color=series.colour,
        label=f"state {series.number}", zorder=3,
    )  # fmt: skip


def _draw_level(ax: Any, series: Series, time: Array, level: float) -> None:
    ax.hlines(np.full(len(time), level), time - 0.5, time + 0.5, color=series.colour, linewidth=3, alpha=0.35, zorder=2)


def _draw_doubt(ax: Any, time: Array, values: FloatArray, certainty: FloatArray) -> None:
    doubtful = certainty < 0.9
    if doubtful.any():
        ax.plot(
            time[doubtful], values[doubtful], "o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
            label="probability below 0.9", zorder=4,
        )  # fmt: skip
