"""What a hidden Markov model expects of the steps after the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from .._typing import FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from .distribution_functions import mid_tails, state_means


@dataclass(frozen=True)
class Forecast:
    """The steps T + 1 … T + h of each sequence: p(z | x) and p(x' | x) = Σₖ p(z = k | x) p(x' | k).

    Attributes
    ----------
    probabilities : (G, h, K)
        Of the states, for each sequence and step.
    family, emission
        The distributions of the states.
    n_columns : int
        D.
    """

    probabilities: FloatArray
    family: Any
    emission: Any
    n_columns: int

    @property
    def mean(self) -> FloatArray:
        """E[x' | x], shape (G, h, D); an error where the family has no mean in closed form."""
        return np.asarray(self.probabilities @ state_means(self.family, self.emission))

    def log_density(self, x: Any) -> FloatArray:
        """log p(x' | x) of each row of x (m, D) at each step, (G, h, m)."""
        own = self.family.log_density(Batch(self._rows(x)), self.emission)
        with np.errstate(divide="ignore"):
            joint = np.log(self.probabilities)[..., None] + own
        return np.asarray(logsumexp(joint, axis=2))

    def cdf(self, x: Any) -> FloatArray:
        """P(X' < x) + ½ P(X' = x) of each entry of x (m, D) at each step, (G, h, m, D)."""
        return np.tensordot(self.probabilities, mid_tails(self.family, self.emission, self._rows(x))[0], 1)

    def _rows(self, x: Any) -> FloatArray:
        rows = np.asarray(x, float)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if rows.ndim != 2:
            raise ParameterError(f"x must hold a row for each point, got shape {np.shape(x)}")
        if rows.shape[1] != self.n_columns:
            raise DataError(f"x has {rows.shape[1]} columns, but the model has {self.n_columns}")
        return rows


def state_forecast(last: FloatArray, transition: FloatArray, h: int) -> FloatArray:
    """p(z_{T + 1}), …, p(z_{T + h}), shape (G, h, K), from p(z_T | x), (G, K)."""
    steps = []
    for _ in range(h):
        last = last @ transition
        steps.append(last / last.sum(axis=1, keepdims=True))
    return np.stack(steps, axis=1)
