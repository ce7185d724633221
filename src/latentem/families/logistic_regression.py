"""Successes that regress on covariates: y ~ Binomial(N, 1 / (1 + exp(-β_kᵀ c)))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .._typing import Array, FloatArray
from ..errors import ParameterError
from ..kernels.special import count_deviance
from ..kernels.stirling import log_peak
from .generalized_linear import GeneralizedLinear


@dataclass(frozen=True)
class LogisticRegression(GeneralizedLinear):
    """Successes among N trials given the state: y ~ Binomial(N, p), log p/(1 - p) = β_kᵀ c, for each column.

    Attributes
    ----------
    columns : tuple of int, optional
        Columns of the covariates that it regresses on, from 0; all unless given.
    intercept : bool
        Whether c begins with a 1; its coefficients are then the first.
    n_trials : int
        N; responses are whole numbers from 0 to N.

    Raises
    ------
    DataError
        There are no covariates or not those columns, or a response is no such number.

    Notes
    -----
    Linear predictors count as if they lay within ±300.  Missing responses are integrated out.  Where covariates
    separate a state's successes from its failures, its coefficients grow until the gain is negligible; a finding tells.
    """

    columns: tuple[int, ...] | None = None
    intercept: bool = True
    n_trials: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.n_trials, bool) or not isinstance(self.n_trials, int) or self.n_trials < 1:
            raise ParameterError(f"n_trials must be a whole number of at least 1, got {self.n_trials!r}")

    @property
    def support(self) -> str:  # type: ignore[override]
        return f"whole numbers from 0 to {self.n_trials}"

    @property
    def discrete(self) -> bool:
        return True

    def invalid(self, y: FloatArray) -> Array:
        return np.asarray((y < 0) | (y > self.n_trials) | (y != np.floor(y)))

    def log_pdf(self, y: FloatArray, eta: FloatArray) -> FloatArray:
        """With one trial directly, else in the saddle-point form of Loader (2000)."""
        n = float(self.n_trials)
        if n == 1:
            return np.asarray(y * eta - np.logaddexp(0.0, eta))
        peaks = log_peak(y) + log_peak(n - y) - log_peak(np.array(n))
        return np.asarray(peaks - count_deviance(y, n * expit(eta)) - count_deviance(n - y, n * expit(-eta)))

    def moments(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = expit(eta)
        return self.n_trials * p, self.n_trials * p * expit(-eta)

    def link(self, mean: FloatArray) -> FloatArray:
        share = np.clip(mean / self.n_trials, 1e-3, 1 - 1e-3)
        return np.log(share) - np.log1p(-share)

    def draw(self, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
        return rng.binomial(self.n_trials, expit(eta)).astype(float)

    @property
    def told_when_degenerate(self) -> str:
        return (
            "its fitted probabilities are all 0 or 1: the covariates separate its successes from its failures, and its "
            "coefficients have no finite maximum; use fewer covariates or fewer states"
        )
