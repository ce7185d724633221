"""Directions: p(x) ∝ e^{κ μᵀx} on the unit sphere in D dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..kernels.bessel import bessel_ratio, log_bessel
from ..kernels.von_mises_fisher import concentration, sample_directions
from ..model import Family, Posterior
from ..parameters import Parameters, Real, parameter
from ..statistics import Statistics
from .columnwise import LARGEST_TERMS, SMALLEST_COUNT

LOG_2PI = float(np.log(2 * np.pi))
UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class VonMisesFisherParameters(Parameters):
    """Natural vectors κμ, shape (K, D): the mean direction times the concentration."""

    naturals: FloatArray = parameter(Real())

    @property
    def concentrations(self) -> FloatArray:
        """κ (K,): 0 is uniform; for large κ the angle to the mean direction spreads as 1/√κ radians."""
        scale = np.max(np.abs(self.naturals), axis=1)
        safe = np.where(scale > 0, scale, 1.0)
        return np.asarray(scale * np.sqrt(np.sum((self.naturals / safe[:, None]) ** 2, axis=1)))

    @property
    def directions(self) -> FloatArray:
        """μ (K, D): unit vectors; the first axis where κ = 0 and there is no direction."""
        kappa = self.concentrations[:, None]
        first = np.eye(1, self.naturals.shape[1])
        return np.where(kappa > 0, self.naturals / np.where(kappa > 0, kappa, 1.0), first)


@dataclass(frozen=True)
class VonMisesFisherStatistics(Statistics):
    """Σ r x (K, D) and Σ r (K,), over rows that are observed."""

    sums: FloatArray
    counts: FloatArray


@dataclass(frozen=True)
class VonMisesFisher(Family[VonMisesFisherParameters, VonMisesFisherStatistics]):
    """von Mises-Fisher on unit vectors, D ≥ 2 (for D = 2 the von Mises distribution of angles, as (cos, sin)).

    log p(x) = κ μᵀx + ν log κ - (ν + 1) log 2π - log I_ν(κ) with ν = D/2 - 1, relative to the surface of the sphere.

    M-step: μ = S/|S| with S = Σ r x, and A(κ) = I_ν₊₁(κ) / I_ν(κ) = |S| / Σ r by Newton's method within Amos' bounds
    (Banerjee, Dhillon, Ghosh and Sra 2005, equation 2.9; Amos 1974, equation 16).

    Rows must have length 1 to within 1e-6; what they lack of it is taken as rounding and divided out.  A row whose
    coordinates are all missing tells nothing; a row with only some of them missing is an error.

    Attributes
    ----------
    largest_concentration : float
        Bound on κ, which would run to infinity on equal rows; 1e8 is a spread of 1e-4 radians.
    """

    largest_concentration: float = 1e8

    def __post_init__(self) -> None:
        if not 0 < self.largest_concentration <= 1e15:
            raise ParameterError(f"largest_concentration must lie in (0, 1e15], got {self.largest_concentration}")

    def check(self, batch: Batch) -> None:
        if batch.n_columns < 2:
            raise DataError("directions need at least two columns; give an angle as its cosine and sine")
        seen = batch.observed
        partly = np.flatnonzero(seen.any(axis=1) & ~seen.all(axis=1))
        if len(partly):
            column = int(np.flatnonzero(~seen[partly[0]])[0])
            raise DataError(
                f"row {batch.row_of_unit(int(partly[0]), False)}, column {column} is missing: a direction with some "
                "coordinates missing has no known length; remove the row or set all of its coordinates missing"
            )
        with np.errstate(over="ignore"):
            lengths = np.sqrt(np.sum(batch.values**2, axis=1))
        wrong = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE) & seen.all(axis=1))
        if len(wrong):
            raise DataError(
                f"VonMisesFisher takes unit vectors; row {batch.row_of_unit(int(wrong[0]), False)}, columns 0 to "
                f"{batch.n_columns - 1} have length {lengths[wrong[0]]:g}; divide each row by its length"
            )

    def start(self, batch: Batch, n_components: int) -> VonMisesFisherParameters:
        weights = batch.unit_weights(False)
        everything = Posterior(weights[None, :] / (weights.max(initial=0.0) or 1.0))
        uniform = VonMisesFisherParameters(np.zeros((1, batch.n_columns)))
        pooled = self.maximize(self.statistics(batch, everything, uniform), uniform)
        return VonMisesFisherParameters(np.tile(pooled.naturals, (n_components, 1)))

    def log_density(self, batch: Batch, params: VonMisesFisherParameters) -> FloatArray:
        units, present = self._units(batch)
        order = 0.5 * batch.n_columns - 1
        kappa, directions = params.concentrations, params.directions
        peak = order * np.log(np.maximum(kappa, 1.0)) - (order + 1) * LOG_2PI - log_bessel(order, kappa)
        result = params.naturals @ units.T
        result -= kappa[:, None]
        for k in np.flatnonzero(kappa > 0.5 * LARGEST_TERMS):
            # κ (μᵀx - 1) = -½ κ |x - μ|², which does not cancel.
            result[k] = -0.5 * kappa[k] * np.sum((units - directions[k]) ** 2, axis=1)
        return np.asarray((result + peak[:, None]) * present)

    def statistics(
        self, batch: Batch, posterior: Posterior, params: VonMisesFisherParameters
    ) -> VonMisesFisherStatistics:
        units, present = self._units(batch)
        r = posterior.responsibilities
        return VonMisesFisherStatistics(r @ units, r @ present)

    def maximize(
        self, statistics: VonMisesFisherStatistics, params: VonMisesFisherParameters
    ) -> VonMisesFisherParameters:
        filled = statistics.counts > SMALLEST_COUNT
        means = statistics.sums / np.where(filled, statistics.counts, 1.0)[:, None]
        length = np.sqrt(np.sum(means**2, axis=1))
        kappa = concentration(length, means.shape[1], self.largest_concentration)
        naturals = kappa[:, None] * (means / np.where(length > 0, length, 1.0)[:, None])
        return VonMisesFisherParameters(np.where(filled[:, None], naturals, params.naturals))

    def expected_log_density(self, statistics: VonMisesFisherStatistics, params: VonMisesFisherParameters) -> float:
        order = 0.5 * params.naturals.shape[1] - 1
        kappa = params.concentrations
        peak = order * np.log(np.maximum(kappa, 1.0)) - (order + 1) * LOG_2PI - log_bessel(order, kappa)
        return float(np.sum(params.naturals * statistics.sums) + np.sum((peak - kappa) * statistics.counts))

    def score(self, statistics: VonMisesFisherStatistics, params: VonMisesFisherParameters) -> FloatArray:
        lengths = bessel_ratio(0.5 * params.naturals.shape[1] - 1, params.concentrations)
        expected = lengths[:, None] * np.where(params.concentrations[:, None] > 0, params.directions, 0.0)
        return np.ravel(statistics.sums - statistics.counts[:, None] * expected)

    def admissible(self, params: VonMisesFisherParameters) -> bool:
        return bool(np.all(params.concentrations <= self.largest_concentration * (1 + 1e-9)))

    def findings(self, statistics: VonMisesFisherStatistics, params: VonMisesFisherParameters) -> list[tuple[int, str]]:
        held = params.concentrations >= self.largest_concentration * (1 - 1e-9)
        held &= statistics.counts > SMALLEST_COUNT
        sentence = (
            f"its directions are all but equal: κ is held at largest_concentration, {self.largest_concentration:g}"
        )
        return [(int(k), sentence) for k in np.flatnonzero(held)]

    def sample(self, params: VonMisesFisherParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return sample_directions(params.directions[states], params.concentrations[states], rng)

    def _units(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Rows of length 1 to the last digit (zeros where missing), and which rows are observed (n,)."""
        return batch.once((VonMisesFisher, "units"), lambda: _normalized(batch))


def _normalized(batch: Batch) -> tuple[FloatArray, FloatArray]:
    present = np.asarray(batch.observed.all(axis=1))
    x = np.where(present[:, None], batch.values, 0.0) if batch.missing else batch.values
    lengths = np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return x / np.where(lengths > 0, lengths, 1.0), present.astype(float)
