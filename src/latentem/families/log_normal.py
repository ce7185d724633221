"""Positive numbers whose logarithms are normal, columns independent: a diagonal Gaussian of log x."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..model import Family, Posterior
from ..parameters import Parameters, Positive, Real, parameter
from ..statistics import Statistics
from .columnwise import SMALLEST_POSITIVE, check_support, not_positive
from .gaussian import AxisStatistics, DiagonalGaussian, DiagonalGaussianParameters


@dataclass(frozen=True)
class LogNormalParameters(Parameters):
    """Means (K, D) and variances (K, D) of log x; the median is exp(location)."""

    locations: FloatArray = parameter(Real())
    variances: FloatArray = parameter(Positive())

    @cached_property
    def of_logs(self) -> DiagonalGaussianParameters:
        """The same as a Gaussian's."""
        return DiagonalGaussianParameters(self.locations, self.variances)


@dataclass(frozen=True)
class LogNormalStatistics(Statistics):
    """The Gaussian statistics of log x, and Σ r Σ_d log x (K,), over observed entries."""

    logs: AxisStatistics
    log_jacobian: FloatArray


@dataclass(frozen=True)
class LogNormal(Family[LogNormalParameters, LogNormalStatistics]):
    """Log-normal: log p(x) = log N(log x; μ, σ²) - log x.

    Everything but the Jacobian 1/x is a `DiagonalGaussian` of log x, whose statistics are centred: locations far from
    0 beside their spread lose no digits beyond those of log x itself.  A missing entry adds nothing.

    Attributes
    ----------
    floor : float or one for each column
        Smallest variance of log x, a pure number; 1e-8 is a coefficient of variation of 1e-4.
    """

    floor: float | tuple[float, ...] = 1e-8

    def __post_init__(self) -> None:
        self._of_logs()

    def _of_logs(self) -> DiagonalGaussian:
        return DiagonalGaussian(self.floor)

    def check(self, batch: Batch) -> None:
        check_support(batch, not_positive, "LogNormal takes positive numbers")

    def start(self, batch: Batch, n_components: int) -> LogNormalParameters:
        return _named(self._of_logs().start(_logs(batch), n_components))

    def log_density(self, batch: Batch, params: LogNormalParameters) -> FloatArray:
        logs = _logs(batch)
        return self._of_logs().log_density(logs, params.of_logs) - _log_jacobian(logs)

    def statistics(self, batch: Batch, posterior: Posterior, params: LogNormalParameters) -> LogNormalStatistics:
        logs = _logs(batch)
        jacobian = posterior.responsibilities @ _log_jacobian(logs)
        return LogNormalStatistics(self._of_logs().statistics(logs, posterior, params.of_logs), jacobian)

    def maximize(self, statistics: LogNormalStatistics, params: LogNormalParameters) -> LogNormalParameters:
        return _named(self._of_logs().maximize(statistics.logs, params.of_logs))

    def expected_log_density(self, statistics: LogNormalStatistics, params: LogNormalParameters) -> float:
        of_logs = self._of_logs().expected_log_density(statistics.logs, params.of_logs)
        return of_logs - float(statistics.log_jacobian.sum())

    def score(self, statistics: LogNormalStatistics, params: LogNormalParameters) -> FloatArray:
        return self._of_logs().score(statistics.logs, params.of_logs)

    def admissible(self, params: LogNormalParameters) -> bool:
        return self._of_logs().admissible(params.of_logs)

    def findings(self, statistics: LogNormalStatistics, params: LogNormalParameters) -> list[tuple[int, str]]:
        return [
            (k, "a variance of log x is held by its floor: the likelihood would grow without bound")
            for k, _ in self._of_logs().findings(statistics.logs, params.of_logs)
        ]

    def sample(self, params: LogNormalParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        logs = self._of_logs().sample(params.of_logs, states, rng)
        # Within what `ArraySource` takes back.
        return np.maximum(np.exp(np.clip(logs, -690.0, 345.0)), SMALLEST_POSITIVE)


def _named(params: DiagonalGaussianParameters) -> LogNormalParameters:
    return LogNormalParameters(params.means, params.variances)


def _logs(batch: Batch) -> Batch:
    return batch.once((LogNormal, "logs"), lambda: replace(batch, values=np.log(batch.values), memo={}))


def _log_jacobian(logs: Batch) -> FloatArray:
    """Σ_d log x over observed entries, (n,)."""
    seen = np.where(logs.observed, logs.values, 0.0) if logs.missing else logs.values
    return np.asarray(seen.sum(axis=1))
