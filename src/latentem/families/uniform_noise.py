"""A box with constant density and nothing to estimate: a component that takes the outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..model import Family, Posterior
from ..parameters import Parameters, Real, parameter
from ..statistics import Statistics


@dataclass(frozen=True)
class UniformNoiseParameters(Parameters):
    """Nothing is free: an empty array (K, 0), whose length counts the components."""

    free: FloatArray = parameter(Real())


@dataclass(frozen=True)
class UniformNoiseStatistics(Statistics):
    """Σₙ rₙₖ over observed entries, (K, D)."""

    counts: FloatArray


@dataclass(frozen=True)
class UniformNoise(Family[UniformNoiseParameters, UniformNoiseStatistics]):
    """Uniform on a box: log p(x) = -Σ_d log(high_d - low_d) inside, both ends included, and -∞ outside.

    Beside other components it is the noise of Banfield and Raftery (1993), "Model-based Gaussian and non-Gaussian
    clustering", section 5: rows that fit nowhere else go there instead of pulling means and widening covariances.
    A missing entry adds nothing.

    Attributes
    ----------
    low, high : tuple of float
        The box, one pair for each column, in the column's units.

    Raises
    ------
    ParameterError
        Bounds that are not finite, of different lengths, or with low ≥ high; the column is named.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise ParameterError(f"low and high must have one number for each column, got {self.low} and {self.high}")
        for column, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not (np.isfinite(low) and np.isfinite(high) and 0 < high - low < np.inf):
                raise ParameterError(f"column {column}: expected finite low < high, got {low} and {high}")

    @classmethod
    def covering(cls, X: Any) -> Self:
        """The smallest box that holds every row of X (n, D); NaN entries are left out.

        A constant column gets a width of its magnitude (1 where it is 0), its value in the middle.
        """
        values = np.asarray(X, float)
        if values.ndim != 2 or not len(values):
            raise DataError(f"expected a table with at least one row, got shape {values.shape}")
        unseen = np.flatnonzero(np.isnan(values).all(axis=0))
        if len(unseen):
            raise DataError(f"column {unseen[0]} holds no value: its range is unknown; give low and high yourself")
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        pad = np.where(low == high, 0.5 * np.where(low == 0, 1.0, np.abs(low)), 0.0)
        return cls(tuple((low - pad).tolist()), tuple((high + pad).tolist()))

    def check(self, batch: Batch) -> None:
        """Rows outside the box are no error, for other components may take them; another number of columns is."""
        if batch.n_columns != len(self.low):
            raise DataError(f"the box of UniformNoise has {len(self.low)} columns, the data have {batch.n_columns}")

    def start(self, batch: Batch, n_components: int) -> UniformNoiseParameters:
        return UniformNoiseParameters(np.empty((n_components, 0)))

    def log_density(self, batch: Batch, params: UniformNoiseParameters) -> FloatArray:
        x, observed = batch.values, batch.observed
        inside = ((x >= self.low) & (x <= self.high)) | ~observed
        log_density = np.where(inside.all(axis=1), -(observed @ self._log_widths), -np.inf)
        return np.tile(log_density, (len(params.free), 1))

    def statistics(self, batch: Batch, posterior: Posterior, params: UniformNoiseParameters) -> UniformNoiseStatistics:
        return UniformNoiseStatistics(posterior.responsibilities @ batch.observed.astype(float))

    def maximize(self, statistics: UniformNoiseStatistics, params: UniformNoiseParameters) -> UniformNoiseParameters:
        return params

    def expected_log_density(self, statistics: UniformNoiseStatistics, params: UniformNoiseParameters) -> float:
        """Rows outside the box have responsibility 0 and do not count."""
        return -float(np.sum(statistics.counts @ self._log_widths))

    def score(self, statistics: UniformNoiseStatistics, params: UniformNoiseParameters) -> FloatArray:
        return np.empty(0)

    def sample(self, params: UniformNoiseParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(self.low, self.high, (len(states), len(self.low)))

    @property
    def _log_widths(self) -> FloatArray:
        return np.log(np.subtract(self.high, self.low))
