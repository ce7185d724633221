"""A series with its fitted signal, and what is expected of the steps to come, with bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..inference.intervals import quantile
from ..models.state_space import smoothed_signals
from .display import Display
from .style import INK, Series, tidy


def draw_forecast(
    fitted: Any,
    X: Any,
    steps: int = 0,
    ax: Any = None,
    *,
    column: int = 0,
    level: float = 0.95,
    times: Any = None,
    inputs: Any = None,
    future_inputs: Any = None,
) -> Any:
    """Draw one series, its smoothed signal with a band, and a forecast with one; see `ForecastDisplay`.

    Parameters
    ----------
    fitted : LinearGaussianStateSpace
    X : (n,) or (n, p), or a frame
        One series; missing entries are gaps.
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
    inputs, future_inputs : (n, m), (steps, m), optional
        Covariates of the rows and of the steps to come, where the model has inputs.

    Returns
    -------
    Axes
    """
    display = ForecastDisplay.from_estimator(
        fitted, X, steps, column=column, level=level, times=times, inputs=inputs, future_inputs=future_inputs
    )
    return display.plot(ax).ax_


@dataclass(eq=False)
class ForecastDisplay(Display):
    """The smoothed signal d + Λ E[zₜ | x] + D uₜ, and the forecast of rows to come.

    The band of the signal holds what was seen without the noise of single rows; that of the forecast holds a row to
    come, noise included.

    Attributes
    ----------
    times, observed : (n,)
    signal, signal_half : (n,)
        The signal, and half the width of its band.
    later, mean, half : (steps,)
        Where the steps to come are, the forecast, and half the width of its band.
    level : float
        Probability of the bands.
    name : str
        Of the column; empty where it has none.
    """

    times: FloatArray
    observed: FloatArray
    signal: FloatArray
    signal_half: FloatArray
    later: FloatArray
    mean: FloatArray
    half: FloatArray
    level: float
    name: str = ""

    @classmethod
    def from_estimator(
        cls,
        fitted: Any,
        X: Any,
        steps: int = 0,
        *,
        column: int = 0,
        level: float = 0.95,
        times: Any = None,
        inputs: Any = None,
        future_inputs: Any = None,
    ) -> Self:
        """Smooth one series, and look ahead.

        Raises
        ------
        ParameterError
            Another model, a column that is not there, times that are not one for each row.
        DataError
            Inputs that the model has not, or lacks.
        """
        from ..estimators import LinearGaussianStateSpace  # a picture of something else needs no scikit-learn

        if not isinstance(fitted, LinearGaussianStateSpace):
            raise ParameterError(f"expected a fitted LinearGaussianStateSpace, got {type(fitted).__name__}")
        z = quantile(level)
        model, parameters, series = fitted._asked(X, None, None, inputs)
        values = series.source.values
        n, p = values.shape
        if not 0 <= column < p:
            raise ParameterError(f"column must be one of 0 … {p - 1}, got {column}")
        where = np.arange(n, dtype=float) if times is None else np.asarray(times, float)
        if where.shape != (n,):
            raise ParameterError(f"times must have one entry for each of the {n} rows, got shape {where.shape}")
        signal, variance = smoothed_signals(model, parameters, series.source)
        step = where[-1] - where[-2] if n > 1 else 1.0
        later, mean, half = where[-1] + step * np.arange(1, steps + 1), np.empty(0), np.empty(0)
        if steps:
            ahead = fitted.forecast(steps, X, inputs=future_inputs, past_inputs=inputs, level=level)
            mean, half = ahead.mean[:, column], 0.5 * (ahead.upper - ahead.lower)[:, column]
        spread = z * np.sqrt(np.maximum(variance[:, column], 0.0))
        name = str(X.columns[column]) if hasattr(X, "columns") else ""
        return cls(where, values[:, column], signal[:, column], spread, later, mean, half, level, name)

    def _draw(self, ax: Any) -> Any:
        first, second = Series(0), Series(1)
        ax.plot(self.times, self.observed, linestyle="none", marker="o", markersize=3.5, color=INK, label="observed")
        ax.plot(self.times, self.signal, color=first.colour, linewidth=1.8, label="smoothed")
        self._band(ax, self.times, self.signal, self.signal_half, first, None)
        if len(self.later):
            ax.plot(
                self.later, self.mean, color=second.colour, linestyle="--", linewidth=1.8, marker=second.marker,
                markersize=3.5, label="forecast",
            )  # fmt: skip
            self._band(ax, self.later, self.mean, self.half, second, f"{self.level:.0%} interval")
        if self.name:
            ax.set_ylabel(self.name)
        ax.set_xlabel("time")
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        return tidy(ax)

    @staticmethod
    def _band(
        ax: Any, x: FloatArray, middle: FloatArray, half: FloatArray, series: Series, label: str | None
    ) -> None:
        ax.fill_between(x, middle - half, middle + half, color=series.colour, alpha=0.2, linewidth=0, label=label)
        if len(x) == 1:
            ax.errorbar(x, middle, half, color=series.colour, capsize=4)
