"""A fit under examination: what certificates, standard errors and intervals all need, found once for each result."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Source
from ..em import Executor, Problem
from ..errors import ParameterError
from ..execution.opening import opened
from ..model import LatentVariableModel
from ..models.moment_rows import moment_rows
from ..result import EMResult
from . import natural
from .certificate import leading, shares
from .edges import Edge, Free, free_directions
from .linearize import Linearized, linearize
from .secants import updated
from .spectrum import Spectrum, spectrum
from .surface import Point, Surface

# A score of so many standard errors where EM stands still is held by a limit of the model's.
HELD = 1e-3
# Newton's steps to the limit end where it is so many standard errors away.
THERE = 1e-8
STEPS, PATIENCE = 30, 4


@dataclass(frozen=True)
class Examination:
    """The end of a fit: what is free there, and how the objective and the EM map change along it.

    Attributes
    ----------
    surface : Surface
    source : Source
        The data as the user gave them.
    point : Point
    slopes : (entries, d)
        ∂ entries / ∂ φ.
    lengths : (d,)
        Over which no entry is nearly linear in a coordinate.
    whole, linear : Linearized
        In all free directions, and in those that no limit of the model holds.
    spectrum : Spectrum
    bounds : (m,) bool
        The directions of `whole` that a limit of the model holds.
    """

    surface: Surface
    source: Source
    point: Point
    slopes: FloatArray
    lengths: FloatArray
    whole: Linearized
    linear: Linearized
    spectrum: Spectrum
    bounds: Array
    memo: dict[str, Examination] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, surface: Surface, source: Source, vector: FloatArray, fourth: bool = False) -> Examination:
        """Two passes for each free parameter, and one; four for differences of fourth order."""
        point, slopes, lengths, complete, free = ground(surface, vector)
        whole = linearize(surface, point, free, complete, fourth)
        bounds = held_by_bounds(np.diagonal(whole.complete), whole.score, whole.em_step, whole.ends)
        linear = restricted(whole, ~bounds)
        return cls(surface, source, point, slopes, lengths, whole, linear, spectrum(linear), bounds)

    @property
    def edges(self) -> tuple[Edge, ...]:
        return self.linear.free.edges

    @property
    def moves(self) -> FloatArray:
        """(d, m): the free directions in coordinates."""
        return self.linear.free.moves

    def refined(self) -> Examination:
        """The same at the limit, where Newton's steps lead, by differences of fourth order; found once."""
        if "refined" not in self.memo:
            self.memo["refined"] = Examination.of(self.surface, self.source, self._limit(), fourth=True)
        return self.memo["refined"].served_by(self.surface.problem.executor)

    def _limit(self) -> FloatArray:
        """Where quasi-Newton steps in the directions with curvature come nearest to the limit; here, if that is far."""
        curved = self.spectrum.curvatures > self.spectrum.error
        if not curved.any():
            return self.point.vector
        across, curvature = self.moves @ self.spectrum.vectors[:, curved], np.diag(self.spectrum.curvatures[curved])
        vector = best = self.point.vector
        slope = across.T @ self.point.score
        nearest, since = np.inf, 0
        for _ in range(STEPS):
            step = np.asarray(np.linalg.solve(curvature, slope), float)
            left = float(np.sqrt(max(slope @ step, 0.0)))
            best, nearest, since = (vector, left, 0) if left < nearest else (best, nearest, since + 1)
            further = vector + across @ step
            if nearest <= THERE or since > PATIENCE or not self.surface.admits(further):
                break
            vector, before = further, slope
            slope = np.asarray(across.T @ self.surface.look(vector)[1], float)
            curvature = updated(curvature, step, before - slope)
        moved = np.linalg.lstsq(across, best - self.point.vector, rcond=None)[0]
        return best if self.spectrum.curvatures[curved] @ moved**2 <= 1 else self.point.vector

    def served_by(self, executor: Executor) -> Examination:
        """The same, whose further passes another executor makes."""
        return replace(self, surface=replace(self.surface, problem=replace(self.surface.problem, executor=executor)))

    def along(self, directions: FloatArray) -> tuple[str, ...]:
        """The coordinates that some of the free directions (m, …) mostly move."""
        moves = self.moves @ directions
        inverse = 1 / np.maximum(np.linalg.norm(self.moves, axis=1), np.finfo(float).tiny)
        return leading(self.point.parameters.coordinate_names(), shares(moves, inverse))

    def names_of_bounds(self) -> tuple[str, ...]:
        """Coordinates that the model's own limits hold."""
        if not self.bounds.any():
            return ()
        names = self.point.parameters.coordinate_names()
        parts = np.sum(self.whole.free.basis[:, self.bounds] ** 2, axis=1)
        return tuple(names[i] for i in np.flatnonzero(parts > 0.5))

    def distance_and_gain(self) -> tuple[float, float]:
        """√(sᵀ I_o⁻¹ s), the standard errors to the limit, and ½ sᵀ I_o⁻¹ s, what the objective gains on the way."""
        curved = ~self.spectrum.flat
        parts = (self.spectrum.vectors.T @ self.linear.score)[curved] ** 2
        curvatures = self.spectrum.curvatures[curved]
        return float(np.sqrt(np.sum(parts / np.abs(curvatures)))), 0.5 * float(np.sum(parts / curvatures))


def ground(surface: Surface, vector: FloatArray) -> tuple[Point, FloatArray, FloatArray, FloatArray, Free]:
    """One pass: the point, ∂ entries / ∂ φ, the lengths of `Examination`, I_c (d, d), and what is free."""
    point = surface.at(vector)
    slopes, lengths = natural.jacobian(point.parameters)
    steps, complete = surface.complete_information(point, lengths)
    after = point.parameters.unflatten(point.em_vector)
    return point, slopes, lengths, complete, free_directions(point, after, complete, steps, slopes)


@contextmanager
def examined(result: EMResult, executor: str | Executor | None) -> Iterator[Examination]:
    """The examination of a result, made when it is first asked for, with workers for what is asked next.

    Raises
    ------
    ParameterError
        The result has no source.
    """
    with opened(executor) as workers:
        known = _known(result)
        if known is None:
            surface = surface_of(result, workers)
            known = Examination.of(surface, result.source, result.parameters.flatten())
            _remember(result, known)
        yield known.served_by(workers)


def surface_of(result: EMResult, workers: Executor) -> Surface:
    """The objective of a fit, around its end; `ParameterError` where its data are not at hand."""
    if result.source is None:
        raise ParameterError("the result has no data with it (it was loaded or pickled); fit again and ask that result")
    problem = Problem(result.model, rows_for(result.model, result.source, workers), workers)
    return Surface(problem, copy(result.parameters))


def rows_for(model: Any, source: Source, executor: Executor) -> Source:
    """The data for passes over all of them: a few rows that stand for them, where the model sees no difference."""
    few = isinstance(model, LatentVariableModel) and model.moments_suffice
    return moment_rows(source, executor) if few else source


# By the parameters' identity, for as long as they live; the examination itself holds a copy of them.
_EXAMINED: dict[int, Examination] = {}


def _known(result: EMResult) -> Examination | None:
    found = _EXAMINED.get(id(result.parameters))
    same = found is not None and found.source is result.source and found.surface.problem.model is result.model
    return found if same else None


def _remember(result: EMResult, examination: Examination) -> None:
    key = id(result.parameters)
    if key not in _EXAMINED:
        weakref.finalize(result.parameters, _EXAMINED.pop, key, None)
    _EXAMINED[key] = examination


def held_by_bounds(information: FloatArray, score: FloatArray, em_step: FloatArray, ends: FloatArray) -> Array:
    """(m,) bool: free directions along which the score is not zero though EM stands still, or at whose end it does.

    Near a fixed point the score is I_c times the EM step; what is not has been held by the M-step.

    Parameters
    ----------
    information : (m,)
        The diagonal of I_c.
    score, em_step, ends : (m,)
        See `Linearized`.
    """
    root = np.sqrt(np.maximum(information, np.finfo(float).tiny))
    standard, step = np.abs(score) / root, np.abs(em_step) * root
    outside = ends * score >= 0
    return np.asarray((standard > HELD) & (step <= 1e-3 * standard) | (ends != 0) & outside & (step <= HELD))


def restricted(linear: Linearized, free: Array) -> Linearized:
    """The same in some of the free directions."""
    if free.all():
        return linear
    both = np.ix_(free, free)
    return Linearized(
        free=Free(linear.free.basis[:, free], linear.free.steps, linear.free.edges),
        complete=linear.complete[both],
        hessian=linear.hessian[both],
        em_map=linear.em_map[both],
        score=linear.score[free],
        em_step=linear.em_step[free],
        ends=linear.ends[free],
    )
