"""Where a fit has ended: the scores of the units of a pool there, their information, and the objective about it.

The scores are not needed one by one: sums of them with as many sets of random weights as there are parameters, and a
few more, have the same null space.  Each sum is a gradient of Q, by Fisher's identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....errors import LatentemError
from ....model import SMALLEST_TERMS
from ....statistics import Expectation
from ..e_steps import Points
from ..m_steps.sufficient import Basis
from ..model import DeclaredModel, DeclaredStatistics
from ..parameters import DeclaredParameters

# Scores are taken of up to so many free parameters, with so much work: pairs of point and label times p².
MOST_FREE, MOST_WORK = 60, 10_000_000
# Sets of weights beyond the number of parameters.
MORE_SETS = 8
# Scores below this share of the complete data's, and singular values below this share of the largest, count as zero.
NULL = 1e-6
# What log-likelihoods may differ by, relative to their terms.
SAME = 1e-10
# Arrays that move by less than this, relatively, stand still: the direction only leads on towards an end of a domain.
UNMOVED = 1e-8
# The step by which it is found how arrays move.
PROBE = 1e-3


Whole = Callable[[FloatArray], Expectation]


@dataclass(frozen=True)
class Place:
    """A point θ, with the scores of the pool there.

    Attributes
    ----------
    model : DeclaredModel
    params : DeclaredParameters
    expectation : Expectation
        Of all the data, there.
    pool : Batch
        All the rows, or some of them.
    start : DeclaredParameters
        Where the fit began.
    whole : callable or None
        The expectation of all the data at another unconstrained vector, if that can be asked for.
    """

    model: DeclaredModel
    params: DeclaredParameters
    expectation: Expectation
    pool: Batch
    start: DeclaredParameters
    whole: Whole | None = None

    @cached_property
    def vector(self) -> FloatArray:
        return self.params.flatten()

    @cached_property
    def unit_weights(self) -> FloatArray:
        return self.pool.unit_weights(self.model.per_group)

    @property
    def least_weight(self) -> float:
        """Of a row of the pool that counts."""
        weights = self.pool.weights
        return 1.0 if weights is None else float(np.min(weights, where=weights > 0, initial=np.inf))

    @cached_property
    def complete(self) -> bool:
        """Whether the pool is all the data."""
        return bool(np.isclose(float(self.unit_weights.sum()), self.expectation.weight))

    @property
    def simulated(self) -> bool:
        return float(self.expectation.statistics.variance) > 0

    @cached_property
    def affordable(self) -> bool:
        """Whether scores are worth their work here."""
        if not 0 < len(self.vector) <= MOST_FREE or self.simulated:
            return False
        return self.little_work or self.on_pivots

    @cached_property
    def little_work(self) -> bool:
        """Whether scores can be added up point by point, where what is zero comes out as exactly that."""
        return bool(np.count_nonzero(self.points.weights) * len(self.vector) ** 2 <= MOST_WORK)

    @cached_property
    def points(self) -> Points:
        return self.model.infer(self.params, self.pool)

    @cached_property
    def statistics(self) -> DeclaredStatistics:
        """Of the pool."""
        functions, x = self.model._functions(self.pool), self.model.rows(self.pool)
        weights = self.points.weighted(self.pool)
        return self.model._statistics(functions, x, self.points, weights, self.unit_weights, self.params)

    @cached_property
    def on_pivots(self) -> bool:
        """Whether sufficient statistics serve for the pool."""
        return self._serve(self.statistics)

    @cached_property
    def all_on_pivots(self) -> bool:
        """Whether they serve for all the data."""
        return self._serve(self.expectation.statistics)

    def _serve(self, statistics: DeclaredStatistics) -> bool:
        return isinstance(self.model.basis, Basis) and self.model._holds(statistics, self.params)

    # -- scores --------------------------------------------------------------------------------

    @cached_property
    def sets(self) -> FloatArray:
        """(R, units) random weights; none for units that do not count."""
        counts = self.unit_weights > 0
        n_sets = len(self.vector) + MORE_SETS
        return np.random.default_rng(0).normal(size=(n_sets, len(counts))) * counts

    @cached_property
    def raw_scores(self) -> FloatArray:
        """(R, or R + 1 with a prior, p)."""
        return np.array([self._score(weights) for weights in self.sets] + self.prior_score())

    @cached_property
    def scale(self) -> FloatArray:
        """Units of the coordinates: where the scores are as large in one as in another.

        Scores that are nothing beside those of the complete data are rounding, and no unit to measure with.
        """
        sizes = np.sqrt(np.mean(self.raw_scores**2, axis=0))
        complete = np.sqrt(np.abs(np.diagonal(self.derivatives[1])))
        known = (sizes > 1e-12 * sizes.max()) & (sizes > NULL * complete)
        return 1 / np.where(known, sizes, np.where(complete > 0, complete, 1.0))

    @cached_property
    def decomposed(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Singular value decomposition of the scores in these units; standstills count as known."""
        held = self.standstills / self.scale
        held *= np.sqrt(len(self.raw_scores)) / np.linalg.norm(held, axis=1, keepdims=True)
        u, values, v = np.linalg.svd(np.vstack([self.raw_scores * self.scale, held]))
        return u[:, : len(values)], values, v

    @property
    def kept(self) -> FloatArray:
        """Which singular values are not zero."""
        values = self.decomposed[1]
        return np.asarray(values > NULL * max(1.0, float(values.max())))

    @cached_property
    def standstills(self) -> FloatArray:
        """(k, p) directions in which no array moves, as where probabilities lie at an end of their domain."""
        steps = PROBE * np.eye(len(self.vector))
        moves = np.array([self._arrays(self.vector + step) - self._arrays(self.vector - step) for step in steps])
        u, values, _ = np.linalg.svd(moves / (2 * PROBE))
        return u[:, np.append(values, np.zeros(len(u) - min(len(u), len(values)))) <= UNMOVED].T

    def _arrays(self, vector: FloatArray) -> FloatArray:
        """All the parameters, each relative to its largest entry here."""
        there = self.params.unflatten(vector).values
        sizes = [float(np.abs(value).max()) or 1.0 for value in self.params.values]
        return np.concatenate([np.ravel(value) / size for value, size in zip(there, sizes, strict=True)])

    def _score(self, weights: FloatArray) -> FloatArray:
        """Σ weights · ∇ log p(xₙ; θ)."""
        lengths = self.pool.group_lengths if self.model.per_group else 1
        rows = np.repeat(weights, lengths)
        functions, x = self.model._functions(self.pool), self.model.rows(self.pool)
        if not self.little_work:
            shares = self.points.weights * rows[self.points.rows]
            statistics = self.model._statistics(functions, x, self.points, shares, weights)
            prior = self.prior_score()
            return self.model.objective_score(statistics, self.params) - (prior[0] if prior else 0.0)
        labels, at = self._pairs
        own = self.points.rows[at]
        shares = self.points.weights[labels, at] * rows[own]
        return functions.derivatives(self.vector, x[own], self.points.u[at], labels, shares)[1]

    @cached_property
    def _pairs(self) -> tuple[Array, ...]:
        """Labels and points that go together with a weight."""
        return np.nonzero(self.points.weights > 0)

    def prior_score(self) -> list[FloatArray]:
        if self.model.declaration.log_prior is None:
            return []
        return [self.model._any_functions().prior(self.vector)[1]]

    # -- information -----------------------------------------------------------------------------

    @cached_property
    def derivatives(self) -> tuple[FloatArray, FloatArray]:
        """(score, Hessian of Q) of the pool, with the prior."""
        return self._derivatives(self.statistics) or self._over_pool()

    @cached_property
    def of_all(self) -> tuple[FloatArray, FloatArray] | None:
        """The same of all the data; None where it is not known."""
        return self.derivatives if self.complete else self._derivatives(self.expectation.statistics)

    def _derivatives(self, statistics: DeclaredStatistics) -> tuple[FloatArray, FloatArray] | None:
        if statistics.local is not None:
            return self.model._complete(self.vector, statistics.local)[1:]
        if self._serve(statistics):
            return self.model._q_on_pivots(statistics, self.vector)[1:]
        return None

    def _over_pool(self) -> tuple[FloatArray, FloatArray]:
        return self.model._complete(self.vector, self.model._q_share(self.params, self.vector, self.pool))[1:]

    # -- elsewhere -----------------------------------------------------------------------------

    def change(self, vector: FloatArray) -> FloatArray:
        """By how much the log-likelihood of each unit, and the log prior, differ from here, in units of rounding."""
        there = self.params.unflatten(vector)
        here, moved = self.points.log_likelihood, self.model.infer(there, self.pool).log_likelihood
        return np.append(moved - here, self.model.log_prior(there) - self.model.log_prior(self.params))

    def pool_change(self, step: FloatArray) -> float:
        """By how much the objective of the pool changes with a step; NaN where it is not known."""
        try:
            return self.total(self.change(self.vector + step))
        except (LatentemError, ArithmeticError):
            return np.nan

    def expected_change(self, step: FloatArray) -> float:
        """The same of Q over all the data, a lower bound of their log-likelihood; NaN where it is not known."""
        if not self.all_on_pivots:
            return np.nan
        moved, statistics = self.params.unflatten(self.vector + step), self.expectation.statistics
        here, there = (
            self.model.q_function(params, statistics) + self.model.log_prior(params) for params in (self.params, moved)
        )
        return float(there - here)

    def total(self, change: FloatArray) -> float:
        """Changes of the units and of the prior, added up."""
        return float(np.append(self.unit_weights, 1.0) @ np.where(np.append(self.unit_weights > 0, True), change, 0.0))

    @cached_property
    def noise(self) -> float:
        """What such a sum may be by rounding and quadrature."""
        terms = self.unit_weights @ (SMALLEST_TERMS + np.abs(self.points.log_likelihood))
        return float(1e-13 * terms + 2 * self.points.noise)

    def is_same(self, change: FloatArray) -> bool:
        """Whether such changes are rounding."""
        terms = np.append(SMALLEST_TERMS + np.abs(self.points.log_likelihood), SMALLEST_TERMS)
        counts = np.append(self.unit_weights > 0, True)
        return bool(np.all(np.abs(change)[counts] <= (SAME * terms + self.points.noise)[counts]))

    def correction(self, change: FloatArray) -> FloatArray:
        """The least step that undoes changes, to first order."""
        u, values, v = self.decomposed
        sums = np.append(self.sets @ change[:-1], change[-1:] if self.prior_score() else [])
        sums = np.append(sums, np.zeros(len(self.standstills)))
        kept = self.kept
        along = (u[:, kept].T @ sums) / values[kept]
        step: FloatArray = -self.scale * (v[: len(values)][kept].T @ along)
        return step

    def moved(self, direction: FloatArray) -> float:
        """The largest change of an array along it, relative to its largest entry here, there, and at the start."""
        there = self.params.unflatten(self.vector + direction).values
        changes = []
        for here, moved, start in zip(self.params.values, there, self.start.values, strict=True):
            size = max(float(np.abs(value).max()) for value in (here, moved, start))
            changes.append(float(np.abs(moved - here).max()) / size if size > 0 else 0.0)
        return max(changes)
