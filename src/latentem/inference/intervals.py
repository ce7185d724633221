"""Wald intervals: on the natural scale, and on a scale without ends, mapped back."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import ParameterError

SCALES = ("unconstrained", "natural", "profile")


def quantile(level: float) -> float:
    """z with Φ(z) = (1 + level) / 2.

    Raises
    ------
    ParameterError
        The level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level must lie between 0 and 1, got {level!r}")
    return NormalDist().inv_cdf(0.5 * (1 + level))


@dataclass(frozen=True)
class Scale:
    """A scale without ends for a number between two: log(x - low), log(high - x), or log((x - low) / (high - x)).

    Attributes
    ----------
    low, high : float
        Infinite where there is no end; without any, the number is its own scale.
    """

    low: float = -np.inf
    high: float = np.inf

    def to(self, x: float) -> float:
        below = np.log(x - self.low) if np.isfinite(self.low) else None
        above = -np.log(self.high - x) if np.isfinite(self.high) else None
        if below is None and above is None:
            return x
        return float((0.0 if below is None else below) + (0.0 if above is None else above))

    def back(self, y: float) -> float:
        with np.errstate(over="ignore"):
            if np.isfinite(self.low) and np.isfinite(self.high):
                return float(self.low + (self.high - self.low) / (1 + np.exp(-y)))
            if np.isfinite(self.low):
                return float(self.low + np.exp(y))
            return float(self.high - np.exp(-y)) if np.isfinite(self.high) else y

    def slope(self, x: float) -> float:
        """d to(x) / dx."""
        ends = (x - self.low, self.high - x)
        parts = [1 / end for end in ends if np.isfinite(end)]
        return float(sum(parts)) if parts else 1.0


def wald(estimate: float, error: float, z: float, scale: Scale) -> tuple[float, float]:
    """Both ends: θ ± z s on that scale, mapped back."""
    if np.isnan(error):
        return np.nan, np.nan
    middle, spread = scale.to(estimate), z * error * scale.slope(estimate)
    return scale.back(middle - spread), scale.back(middle + spread)
