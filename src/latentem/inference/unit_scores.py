"""Scores of single units, of clusters, and of complete data: differences of tables of log densities, unit by unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch, Source
from ..em import Executor
from ..errors import ParameterError
from ..kernels.derivatives import second_differences
from ..statistics import Statistics
from .examined import Examination
from .resampling import rows_of

# Second differences lose twice the digits that first ones do, so they are taken over steps several times as long, and
# of fourth order.
LONGER = 3.0


@dataclass(frozen=True)
class Sums(Statistics):
    """Sums over units of arrays."""

    first: FloatArray
    second: FloatArray


@dataclass(frozen=True)
class Line:
    """A model along the free directions: θ(t) = unflatten(φ + moves · t).

    Attributes
    ----------
    model : Model
    template : Parameters
    vector : (d,)
    moves : (d, m)
    """

    model: Any
    template: Any
    vector: FloatArray
    moves: FloatArray

    @classmethod
    def of(cls, case: Examination) -> Line:
        return cls(case.surface.problem.model, case.surface.template, case.point.vector, case.moves)

    @property
    def m(self) -> int:
        return int(self.moves.shape[1])

    def at(self, t: FloatArray) -> Any:
        return self.template.unflatten(self.vector + self.moves @ t)

    def slopes(self, table: Callable[[Any], FloatArray]) -> FloatArray:
        """∂ table(θ) / ∂t, (m, …), by differences of fourth order; what is not finite does not move."""
        found = []
        for unit in np.eye(self.m):
            one, back, two, back_two = (table(self.at(step * unit)) for step in (1, -1, 2, -2))
            with np.errstate(invalid="ignore"):
                slope = (8 * (one - back) - (two - back_two)) / 12
            found.append(np.where(np.isfinite(slope), slope, 0.0))
        return np.array(found).reshape(self.m, *np.shape(found[0]) if found else ())


def scores_of_units(case: Examination, clusters: Array | None = None) -> FloatArray:
    """B = Σ s sᵀ (m, m) over units or clusters, s being the score of its own data: without the prior.

    A weight w is that of w equal units; in a cluster they are together.

    Parameters
    ----------
    case : Examination
    clusters : (n_rows,) of whole numbers from 0, optional
    """
    fold, line = case.surface.problem.executor.fold, Line.of(case)
    if clusters is None:
        return outer_products(line, case.surface.problem.executor, case.source)
    scores = fold(partial(_by_cluster, line, clusters), case.source).first
    return np.asarray(scores @ scores.T)


def outer_products(line: Line, executor: Executor, source: Source) -> FloatArray:
    """Σ s sᵀ (m, m) over the units, along a line: four passes for each direction."""
    return executor.fold(partial(_outer, line), source).second


def _unit_scores(line: Line, batch: Batch) -> tuple[FloatArray, FloatArray]:
    """s (m, units), and the weights of the units."""
    scores = line.slopes(lambda params: line.model.unit_log_likelihoods(params, batch))
    return scores, batch.unit_weights(line.model.per_group)


def _outer(line: Line, batch: Batch) -> Sums:
    scores, weights = _unit_scores(line, batch)
    return Sums(scores @ weights, (scores * weights) @ scores.T)


def _by_cluster(line: Line, clusters: Array, batch: Batch) -> Sums:
    scores, weights = _unit_scores(line, batch)
    of_units = clusters_of_units(batch, clusters, line.model.per_group)
    sums = np.zeros((int(clusters.max()) + 1, line.m))
    np.add.at(sums, of_units, (scores * weights).T)
    return Sums(sums.T, np.zeros(0))


def clusters_of_units(batch: Batch, clusters: Array, per_group: bool) -> Array:
    """The cluster of each unit of the batch.

    Raises
    ------
    ParameterError
        Rows of one group are in several clusters.
    """
    rows = rows_of(batch)
    own = clusters[rows]
    if not per_group:
        return np.asarray(own)
    first = own[batch.group_offsets[:-1]]
    wrong = np.flatnonzero(np.repeat(first, batch.group_lengths) != own)
    if len(wrong):
        raise ParameterError(f"a group is one unit, but row {rows[wrong[0]]} is in another cluster than its group")
    return np.asarray(first)


def louis_information(case: Examination) -> FloatArray:
    """Σ E[-∂² l_c] - Var(s_c) (m, m), with l_c = log p(x, z; θ) and s_c = ∂l_c, over the states of z (Louis 1982, 3.2).

    Raises
    ------
    ParameterError
        z has no table of states for each unit.
    """
    line = Line.of(case)
    if line.model.complete_log_density(case.point.parameters, next(iter(case.source))) is None:
        raise ParameterError(
            "Louis' formula goes over all states of z for each unit, and z is a chain or a vector here; use method="
            "'oakes' (the same matrix), 'sem', 'scores', 'sandwich' or 'bootstrap'"
        )
    return case.surface.problem.executor.fold(partial(_louis, line), case.source).second


def _louis(line: Line, batch: Batch) -> Sums:
    """The share of a batch."""
    here = np.asarray(line.model.complete_log_density(line.at(np.zeros(line.m)), batch))
    weights = batch.unit_weights(line.model.per_group)
    peak = here.max(axis=0)
    shares = np.exp(here - np.where(np.isfinite(peak), peak, 0.0))
    shares = shares / np.maximum(shares.sum(axis=0), np.finfo(float).tiny) * weights
    possible = shares > 0

    def table(params: Any) -> FloatArray:
        return np.where(possible, line.model.complete_log_density(params, batch), 0.0)

    slopes = line.slopes(table)
    mean = np.sum(slopes * shares, axis=1) / np.where(weights > 0, weights, 1.0)
    inside = np.einsum("ikn,jkn->ij", slopes * shares, slopes) - (mean * weights) @ mean.T
    bend = _curvature(line, lambda t: float(np.sum(shares * table(line.at(t)))))
    return Sums(mean @ weights, -bend - inside)


def _curvature(line: Line, function: Callable[[FloatArray], float]) -> FloatArray:
    """∂² f (m, m) along a line, by differences over one step and over two, whose errors of second order cancel."""
    near, far = (
        second_differences(function, np.zeros(line.m), np.full(line.m, step)) / step**2
        for step in (LONGER, 2 * LONGER)
    )
    return np.asarray((4 * near - far) / 3)


def prior_information(case: Examination) -> FloatArray:
    """-∂² log prior (m, m)."""
    line = Line.of(case)
    return -_curvature(line, lambda t: line.model.log_prior(line.at(t)))
