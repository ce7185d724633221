"""Weighted points: what every E-step of a declared model ends in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ..compiled import Compiled, Values


@dataclass(frozen=True)
class Points:
    """The posterior of z as weights on points: E_q[f(x, z)] = Σ over points and labels of weights · f.

    A point is a row of the batch with continuous coordinates u of z; where z has none, the points are the rows.

    Attributes
    ----------
    rows : (m,) int
        The row of each point.
    u : (m, d)
    weights : (L, m)
        Posterior probabilities of the labels at the points.  They add to one over the points and states of a unit (of a
        row, or of each row of a group); a label that is impossible has weight 0.
    values : (L, m)
        The log densities of the labels at the points; not looked at where the weight is 0.
    log_likelihood : (units,)
        log p(x; θ) of each unit: a row, or a group.
    noise : float
        By how much the sum of the log-likelihoods may jump between neighbouring θ because of quadrature or simulation.
    variance : (units,) or None
        Monte Carlo variance of the log-likelihoods, where they are simulated.
    """

    rows: Array
    u: FloatArray
    weights: FloatArray
    values: FloatArray
    log_likelihood: FloatArray
    noise: float = 0.0
    variance: FloatArray | None = None

    def weighted(self, batch: Batch) -> FloatArray:
        """The weights (L, m) times the sample weights of the points' rows."""
        return self.weights if batch.weights is None else self.weights * batch.weights[self.rows]


class EStep(ABC):
    """How the posterior of z is found.  A frozen dataclass of options; safe to use from several threads."""

    @abstractmethod
    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """The posterior given the rows x (n, D) at θ.

        Rows of groups have one more column, 1 in the first row of each group; `batch.group_offsets` says where groups
        begin.  `batch.labels` (n,) holds known states, -1 where unknown.  A unit that is impossible, or whose density
        is not a number, has that as its log-likelihood, and weights 0: the caller raises.
        """

    def prepared(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep:
        """The E-step for data like these rows, near θ: where it depends on them which method serves, and how fine."""
        return self

    def refined(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep | None:
        """A finer one where this one turns out too coarse at the θ where a fit has ended; None where it serves."""
        return None

    def seeded(self, seed: int) -> EStep:
        """The E-step with random numbers of its own, where it draws any."""
        return self

    def shortcomings(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> str | None:
        """What a user should know of how well it served at θ, in a sentence; None where all is well."""
        return None

    @property
    @abstractmethod
    def kind(self) -> str:
        """The E-step in a few words, for `explain`."""

    @property
    def approximation(self) -> str | None:
        """What is approximate about it, in words; None where it is exact."""
        return None


def known_states(batch: Batch, per_group: bool) -> Array | None:
    """The known states of the units, -1 where unknown; None where none is known."""
    if batch.labels is None:
        return None
    return np.asarray(batch.labels[batch.group_offsets[:-1]] if per_group else batch.labels)
