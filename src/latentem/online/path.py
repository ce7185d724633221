"""The weights of simulated statistics, and the path of the parameters: its time scale and the error of its mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError

# The burn-in takes at least so many iterations.
SMALLEST_BURN_IN = 40
# Weights fall to 2^-α in so many time scales.
SLOWLY = 40.0
# The simulation error of the mean of θ is told by the scatter of the means of so many stretches of the path, each of at
# least so many time scales.  Stretches are not quite independent, and a fit that stops once their scatter is small
# stops where it is small by chance: the variance is raised by this factor, by which it else falls short.
STRETCHES, STRETCH_SCALES, CAUTION = 16, 2.0, 1.5


@dataclass(frozen=True)
class Schedule:
    """The weights γ of simulated statistics: 1 in the burn-in, and (1 + t/40τ)^-exponent after it.

    Parameters
    ----------
    burn_in : int
        Iterations at least; it goes on until it is 8 time scales of θ long.
    exponent : float
        α, with ½ < α ≤ 1.
    longest : int
        Iterations of burn-in at most.

    Raises
    ------
    ParameterError
        α is out of its range (the sum of γ must diverge, that of γ² converge), or there is no burn-in.
    """

    burn_in: int = SMALLEST_BURN_IN
    exponent: float = 2 / 3
    longest: int = 500

    def __post_init__(self) -> None:
        if not 0.5 < self.exponent <= 1:
            raise ParameterError(f"the exponent must be above 1/2 and at most 1, got {self.exponent!r}")
        if not 1 <= self.burn_in <= self.longest:
            raise ParameterError(f"burn_in must be from 1 to longest, got {self.burn_in!r} and {self.longest!r}")

    def weight(self, t: int, timescale: float) -> float:
        """γ of the iteration t after the end of the burn-in; 1 there and within it (t ≤ 0)."""
        return 1.0 if t <= 0 else float((1 + t / (SLOWLY * timescale)) ** -self.exponent)


@dataclass(frozen=True)
class Path:
    """Where the parameters have been: the state of the loop.

    Attributes
    ----------
    vectors : (t, p)
        θ of all iterations, on the unconstrained scale.
    burnt : int or None
        Iterations of burn-in, once that is over.
    timescale : float
        τ, see `time_scale`; as it was at the end of the burn-in.
    information : (p, p)
        Of the complete data.
    weight : float
        The last γ.
    """

    vectors: FloatArray
    burnt: int | None
    timescale: float
    information: FloatArray
    weight: float = 1.0

    @property
    def averaged(self) -> FloatArray:
        """(t', p): θ since the burn-in; the last one alone within it."""
        return self.vectors[-1:] if self.burnt in (None, len(self.vectors)) else self.vectors[self.burnt :]

    def losses(self) -> tuple[float, float]:
        """What simulation may cost, in units of the log-likelihood: ½ tr(I V), V the covariance of the mean of θ by its
        means over stretches of the path; and the same for how far the mean moved in the second half of it.  I is the
        information of the complete data, larger than that of the data: the loss is at most this."""
        path = self.averaged
        least = STRETCHES * STRETCH_SCALES
        if len(path) < least * self.timescale / self.weight or len(path) < least * time_scale(path):
            return inf, inf
        length = len(path) // STRETCHES
        means = path[-STRETCHES * length :].reshape(STRETCHES, length, -1).mean(axis=1)
        scatter = (means - means.mean(axis=0)) / sqrt(STRETCHES * (STRETCHES - 1))
        moved = path.mean(axis=0) - path[: len(path) // 2].mean(axis=0)
        noise = 0.5 * CAUTION * np.einsum("bi,ij,bj->", scatter, self.information, scatter)
        return float(noise), float(0.5 * moved @ self.information @ moved)


def time_scale(vectors: FloatArray) -> float:
    """τ, iterations in which the slowest coordinate of a path (t, p) forgets where it was: 1 + Σ of autocorrelations up
    to the first that is not positive.  A path that drifts has one of the order of its length."""
    away = vectors - vectors.mean(axis=0)
    moving = away[:, np.sum(away**2, axis=0) > 0]
    length = len(moving)
    if not moving.size:
        return 1.0
    spectrum = np.fft.rfft(moving, 2 * length, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:length]
    correlation = covariance / covariance[0]
    ended = np.argmax(np.vstack([correlation, -np.ones(moving.shape[1])]) <= 0, axis=0)
    return float(max(correlation[:stop, j].sum() for j, stop in enumerate(ended)))
