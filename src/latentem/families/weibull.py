"""Lifetimes: p(x) = (s/λ) (x/λ)^{s-1} exp(-(x/λ)^s) for x > 0, columns independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels.weibull import weibull_peak
from ..parameters import Parameters, Positive, parameter
from .columnwise import weighted_column_mean
from .local import ColumnQ, LocalColumnwise, check_range

EULER = float(np.euler_gamma)
# Larger exponents count as this one, so that sums over columns and rows stay finite.
LARGEST_EXPONENT = 600.0
# In derivatives: its power times squared shapes and weights that add to 1e150 stays finite.
LARGEST_IN_DERIVATIVES = 300.0
# Scales are held within e^±350, so that their ratio to a value of at most 1e150 does not overflow.
LARGEST_LOG_SCALE = 350.0


@dataclass(frozen=True)
class WeibullParameters(Parameters):
    """Shapes s (K, D), and scales λ (K, D) in the units of the data."""

    shapes: FloatArray = parameter(Positive())
    scales: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class Weibull(LocalColumnwise[WeibullParameters]):
    """Weibull lifetimes with shape s and scale λ: log p(x) = log s/λ + (s - 1) log x/λ - (x/λ)^s.

    The M-step is one step to the peak of a model of Q that agrees with it to second order (`weibull_peak`), or where
    that does not ascend one Newton step in (log s, log λ).  Log densities below -e^600 are given as about -e^600.

    Attributes
    ----------
    shape_range : (float, float)
        Shapes are held in it.  A component whose values are all equal has no finite best shape; at shape s the
        standard deviation is about 1.28/s of the scale.

    Raises
    ------
    ParameterError
        The range is empty or not within 1e-20 … 1e20.
    """

    shape_range: tuple[float, float] = (1e-2, 1e5)

    support = "lifetimes: numbers above 0"

    def __post_init__(self) -> None:
        check_range("shape_range", self.shape_range)

    @property
    def bounds(self) -> FloatArray:
        return np.array([np.log(self.shape_range), [-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE]])

    @property
    def told_at_bound(self) -> tuple[tuple[str, str], ...]:
        low, high = self.shape_range
        return (
            (
                f"its shape is held at the lower bound {low:g}: its values spread over too many powers of ten",
                f"its shape is held at the upper bound {high:g}: its values are (almost) equal; use fewer components",
            ),
        )

    def invalid(self, x: FloatArray) -> Array:
        return np.asarray((x <= 0) | np.isinf(x))

    def start(self, batch: Batch, n_components: int) -> WeibullParameters:
        """From the mean and variance of log x, which are log λ - γ/s and π²/6s²."""
        logs = Batch(np.log(batch.values), batch.weights)
        mean = weighted_column_mean(logs)
        variance = weighted_column_mean(Batch((logs.values - mean) ** 2, batch.weights))
        shape = np.pi / np.sqrt(6 * np.where(variance > 0, variance, 1.0))
        shape = np.clip(shape, *self.shape_range)
        ones = np.ones((n_components, 1))
        return WeibullParameters(shape * ones, np.exp(mean + EULER / shape) * ones)

    def log_pdf(self, x: FloatArray, params: WeibullParameters, k: int) -> FloatArray:
        return _log_pdf(x, _log_ratio(x, params.scales[k]), params.shapes[k], params.scales[k])

    def local(
        self, x: FloatArray, params: WeibullParameters, k: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        shape, scale = params.shapes[k], params.scales[k]
        z = _log_ratio(x, scale)
        t = shape * z
        w = np.exp(np.minimum(t, LARGEST_IN_DERIVATIVES))
        cross = shape * (w - 1 + w * t)
        gradient = np.stack([1 + t * (1 - w), shape * (w - 1)], axis=-1)
        curvature = np.stack([t * (1 - w) - t * t * w, cross, cross, -(shape**2) * w], axis=-1)
        return _log_pdf(x, z, shape, scale), gradient, curvature.reshape(*x.shape, 2, 2)

    def moments(self, x: FloatArray, params: WeibullParameters, k: int) -> tuple[FloatArray, ...]:
        return np.ones_like(x), _log_ratio(x, params.scales[k])

    def leap(self, statistics: ColumnQ, here: FloatArray) -> FloatArray:
        """The peak of Q as `weibull_peak` models it; Σ r e^(sz) and its derivatives are those of Q."""
        shape, counts = np.exp(here[..., 0]), statistics.moments[..., 0]
        mean = statistics.moments[..., 1] / counts
        powers = -statistics.curvature[..., 1, 1] / shape**2
        first = statistics.curvature[..., 0, 1] / shape**2 - (powers - counts) / shape
        second = (counts * mean - first) / shape - statistics.curvature[..., 0, 0] / shape**2
        tilted = first / powers
        spread = np.maximum(second / powers - tilted**2, 0.0)
        log_power = np.log(powers / counts)
        best, further = weibull_peak(shape, mean, log_power, tilted, spread, self.shape_range)
        return np.stack([np.log(best), here[..., 1] + further], axis=-1)

    def sample(self, params: WeibullParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        within = self.within(params)
        shapes = within.shapes[states]
        with np.errstate(over="ignore"):
            draws = within.scales[states] * rng.standard_exponential(shapes.shape) ** (1 / shapes)
        return np.clip(draws, 1e-300, 1e150)


def _log_pdf(x: FloatArray, z: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    hazard = _hazard(_ratio(x, scale), z, shape)
    return np.asarray(np.log(shape) - np.log(scale) + (shape - 1) * z - hazard)


def _ratio(x: FloatArray, scale: FloatArray) -> FloatArray:
    return np.maximum(x / scale, 1e-300)


def _log_ratio(x: FloatArray, scale: FloatArray) -> FloatArray:
    """log(x/λ), to full relative accuracy where x is near λ: a large shape multiplies it."""
    ratio = _ratio(x, scale)
    near = np.abs(ratio - 1) < 0.5
    return np.where(near, np.log1p(np.where(near, (x - scale) / scale, 0.0)), np.log(ratio))


def _hazard(ratio: FloatArray, z: FloatArray, shape: FloatArray) -> FloatArray:
    """(x/λ)^s by the power where x is far from λ and by exp(s z) where it is near: each is the more accurate there."""
    t = np.minimum(shape * z, LARGEST_EXPONENT)
    use_power = (np.abs(z) > 1) & (t < LARGEST_EXPONENT)
    return np.where(use_power, np.where(use_power, ratio, 1.0) ** shape, np.exp(t))
