"""A series with its fitted state or signal, and what is expected of the steps to come, with bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from ..errors import ParameterError
from .style import INK, Series, axes_or_new, tidy


def draw_forecast(
    fitted: Any, X: Any, steps: int = 0, ax: Any = None, *, column: int = 0, level: float = 0.95, times: Any = None
) -> Any:
    """Draw one series, the smoothed signal Λ E[zₜ | x] + d with its band, and a forecast with the interval of what is
    seen.

    Parameters
    ----------
    fitted : LinearGaussianStateSpace
    X : (n,) or (n, p)
        One series, without inputs; missing entries are gaps.
    steps : int
        How far to look ahead; 0: not at all.
    ax : matplotlib Axes, optional
        A new figure's by default.
    column : int
        Which of the p columns.
    level : float
        Probability of the bands.
    times : (n,), optional
        Where to draw the rows, evenly spaced; 0, 1, … by default.

    Returns
    -------
    Axes
    """
    values = np.asarray(X, float)
    values = values[:, None] if values.ndim == 1 else values
    if not 0 <= column < values.shape[1]:
        raise ParameterError(f"column must be one of 0 … {values.shape[1] - 1}, got {column}")
    n = len(values)
    where = np.arange(n, dtype=float) if times is None else np.asarray(times, float)
    if where.shape != (n,):
        raise ParameterError(f"times must have one entry for each of the {n} rows, got shape {where.shape}")
    ax = axes_or_new(ax)
    smoothed, row = fitted.smooth(values), fitted.loadings_[column]
    signal = smoothed.mean @ row + fitted.offset_[column]
    half = ndtri(0.5 + 0.5 * level) * np.sqrt(np.einsum("i,tij,j->t", row, smoothed.covariance, row))
    first, second = Series(0), Series(1)
    ax.plot(where, values[:, column], linestyle="none", marker="o", markersize=3.5, color=INK, label="observed")
    ax.plot(where, signal, color=first.colour, linewidth=1.8, label="smoothed")
    ax.fill_between(where, signal - half, signal + half, color=first.colour, alpha=0.2, linewidth=0)
    if steps:
        ahead = fitted.forecast(steps, values, level=level)
        step = where[-1] - where[-2] if n > 1 else 1.0
        later = where[-1] + step * np.arange(1, steps + 1)
        ax.plot(later, ahead.mean[:, column], color=second.colour, linestyle="--", linewidth=1.8, label="forecast")
        ax.fill_between(
            later, ahead.lower[:, column], ahead.upper[:, column], color=second.colour, alpha=0.2, linewidth=0,
            label=f"{level:.0%} interval",
        )  # fmt: skip
    ax.legend(frameon=True, framealpha=0.9, fontsize="small")
    return tidy(ax)
