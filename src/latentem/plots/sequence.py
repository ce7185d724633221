"""A sequence coloured by its decoded states."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .style import INK, Series, axes_or_new, tidy

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
    ax = axes_or_new(ax)
    time = np.arange(len(series))
    ax.plot(time, series, color="#999999", linewidth=0.8, zorder=1)
    for k in np.unique(path):
        _draw_state(ax, Series(int(k)), time, np.where(path == k, series, np.nan))
        if means is not None:
            _draw_level(ax, Series(int(k)), time[path == k], float(np.ravel(means)[k]))
    if probabilities is not None:
        _draw_doubt(ax, time, series, np.asarray(probabilities).max(axis=1))
    ax.set_xlabel("time")
    ax.set_ylabel(name)
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
