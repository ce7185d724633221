"""The profile likelihood of one parameter, beside the parabola that a standard error stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..inference import natural
from ..inference.examined import examined
from ..inference.intervals import Scale, quantile
from ..inference.profile import Profile
from ..result import result_of
from .display import Display
from .style import INK, Series, tidy

POINTS = 12
# How far to look where an end of the interval was not found, and beyond the ends, in standard errors and in lengths.
FAR, BEYOND = 3.0, 1.3


def draw_profile(fitted: Any, name: str, ax: Any = None, *, level: float = 0.95) -> Any:
    """Draw the log-likelihood as a function of one parameter, maximized over all others; see `ProfileDisplay`.

    Parameters
    ----------
    fitted : EMResult, or estimator
        With its data.
    name : str
        Of an entry, "emission.means[0,1]"; `result.standard_errors().names` lists them.
    ax : matplotlib Axes, optional
        A new figure's by default.
    level : float
        Of the interval.

    Returns
    -------
    Axes
    """
    return ProfileDisplay.from_result(fitted, name, level=level).plot(ax).ax_


@dataclass(eq=False)
class ProfileDisplay(Display):
    """max { ℓ(θ) : entry(θ) = x } - ℓ(θ̂) as a function of x, and -½ (x - θ̂)² / s² of the standard error s.

    The interval of values at which the profile has fallen by no more than z²/2 holds the parameter with probability
    `level` (Wilks 1938); where profile and parabola part, it is the better one.  A log prior belongs to ℓ.

    Attributes
    ----------
    name : str
    values : (m,)
        x, with the estimate among them.
    profile, parabola : (m,)
        Both relative to the maximum, as far as the profile could be followed.
    estimate, error : float
    interval : (2,)
        Its ends; NaN where there is none.
    level : float
    """

    name: str
    values: FloatArray
    profile: FloatArray
    parabola: FloatArray
    estimate: float
    error: float
    interval: FloatArray
    level: float

    @classmethod
    def from_result(cls, fitted: Any, name: str, *, level: float = 0.95, points: int = POINTS) -> Self:
        """Maximize over the other parameters at some points on both sides of the estimate.

        Raises
        ------
        ParameterError
            The result has no data with it, there is no such entry, or it has no standard error; the reason is told.
        """
        result, z = result_of(fitted), quantile(level)
        errors = result.standard_errors()
        error = errors[name] if name in errors.names else np.nan
        if np.isnan(error):
            reason = errors.reasons.get(name, f"there is no such entry; there are {', '.join(errors.names)}")
            raise ParameterError(f"{name} has no profile: {reason}")
        interval = errors.intervals(level, "profile", [name])[0]
        entry = errors.names.index(name)
        with examined(result, None) as case:
            best = case.refined()
            scale = Scale(*map(float, natural.limits(result.parameters)[entry]))
            (below, left), (above, right) = (
                _side(Profile(best, entry, scale), end, z * error * sense, points)
                for end, sense in zip(interval, (-1, 1), strict=True)
            )
            middle, top = float(natural.entries(best.point.parameters)[entry]), best.point.objective
        values = np.concatenate([below[::-1], [middle], above])
        profile = np.concatenate([left[::-1] - top, [0.0], right - top])
        followed = np.isfinite(profile)
        values, profile = values[followed], profile[followed]
        return cls(name, values, profile, -0.5 * ((values - middle) / error) ** 2, middle, error, interval, level)

    @property
    def depth(self) -> float:
        """-z²/2, the height at which the interval ends."""
        return -0.5 * quantile(self.level) ** 2

    def _draw(self, ax: Any) -> Any:
        first, second = Series(0), Series(1)
        ax.plot(
            self.values, self.profile, color=first.colour, linewidth=2.0, marker="o", markersize=3.5, label="profile"
        )
        ax.plot(
            self.values, self.parabola, color=second.colour, linestyle="--", linewidth=1.5,
            label="parabola of the standard error",
        )  # fmt: skip
        ax.axhline(self.depth, color="#888888", linewidth=0.8)
        ends = self.interval[np.isfinite(self.interval)]
        ax.vlines(ends, self.depth, 0, color=INK, linestyle=":", linewidth=1.2)
        ax.plot(ends, np.full(len(ends), self.depth), "|", color=INK, markersize=12, label=self._told())
        ax.plot([self.estimate], [0], "D", color=INK, markersize=6, zorder=4, label=f"estimate {self.estimate:.4g}")
        ax.set_ylim(2.2 * self.depth, -0.12 * self.depth)
        ax.set_xlabel(self.name)
        ax.set_ylabel("log-likelihood below its maximum")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small", loc="lower center")
        return tidy(ax)

    def _told(self) -> str:
        low, high = (f"{end:.4g}" if np.isfinite(end) else "(not found)" for end in self.interval)
        return f"{self.level:.0%} interval {low} to {high}"


def _side(profile: Profile, end: float, reach: float, points: int) -> tuple[FloatArray, FloatArray]:
    """Values of the entry on one side of the estimate, the nearest first, and the objective there."""
    scale = profile.scale
    middle = scale.to(float(natural.entries(profile.case.point.parameters)[profile.entry]))
    limits = np.isfinite(end) and scale.low < end < scale.high
    far = (scale.to(float(end)) - middle) * BEYOND if limits else reach * scale.slope(scale.back(middle)) * FAR / 2
    values = np.array([scale.back(middle + far * share) for share in np.arange(1, points + 1) / points])
    return values, profile.along(values)
