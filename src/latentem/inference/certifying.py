"""`certify`: from a result to a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array, FloatArray
from ..em import Executor, Problem
from ..errors import LatentemError, ParameterError
from ..execution.opening import opened
from ..result import EMResult, Status
from . import natural
from .certificate import Certificate, Verdict, leading, shares
from .edges import Edge, Free, free_directions
from .leaving import leave
from .linearize import Linearized, linearize
from .probing import Found, probes
from .spectrum import Spectrum, spectrum
from .surface import Point, Surface

# Further away than so many standard errors, curvature here says little of the limit.
NEAR = 0.1
# A score of so many standard errors where EM stands still is held by a limit of the model's.
HELD = 1e-3
# Beyond the two passes for each free parameter.
PASSES = 56
OPENED = 18.0


def certify(result: EMResult, *, executor: str | Executor | None = None) -> Certificate:
    """What the point where a fit ended is, and how far the limit still is.

    With s the score, I_o the observed information and I_c that of the complete data, all in unconstrained coordinates,
    the EM map has the Jacobian I - I_c⁻¹ I_o.  The information comes from differences of the score, two E-steps for
    each free parameter; probabilities at zero and the like are found first and held.  Directions without curvature are
    followed both ways: where the objective rises the point is a saddle, where it stays level a ridge.

    Parameters
    ----------
    result : EMResult
        With its `source`: as `fit` returned it, not as loaded from a file.
    executor : None, "serial", "threads", "processes" or Executor

    Returns
    -------
    Certificate

    Raises
    ------
    ParameterError
        The result has no source.
    """
    if result.source is None:
        raise ParameterError("the result has no data with it (it was loaded or pickled); fit again to certify")
    with opened(executor) as workers:
        surface = Surface(Problem(result.model, result.source, workers), result.parameters)
        return _Case.of(surface, result).certificate()


@dataclass(frozen=True)
class _Case:
    """A fit under examination."""

    surface: Surface
    result: EMResult
    point: Point
    lengths: FloatArray
    whole: Linearized
    linear: Linearized
    spectrum: Spectrum
    bounds: Array

    @classmethod
    def of(cls, surface: Surface, result: EMResult) -> _Case:
        point = surface.at(result.parameters.flatten())
        slopes, lengths = natural.jacobian(point.parameters)
        steps, complete = surface.complete_information(point, lengths)
        after = point.parameters.unflatten(point.em_vector)
        free = free_directions(point.parameters, after, complete, steps, slopes)
        whole = linearize(surface, point, free, complete)
        bounds = held_by_bounds(whole)
        linear = restricted(whole, ~bounds)
        return cls(surface, result, point, lengths, whole, linear, spectrum(linear), bounds)

    @property
    def edges(self) -> tuple[Edge, ...]:
        return self.linear.free.edges

    def certificate(self) -> Certificate:
        edges = opened_edges(self.surface, self.point, self.lengths, self.edges)
        parts = self.spectrum.vectors.T @ self.linear.score
        curved = ~self.spectrum.flat
        stiffness = np.abs(self.spectrum.curvatures[curved])
        distance = float(np.sqrt(np.sum(parts[curved] ** 2 / stiffness)))
        gain = 0.5 * float(np.sum(parts[curved] ** 2 / self.spectrum.curvatures[curved]))
        draft = Certificate(
            verdict=Verdict.UNDECIDED,
            reasons=(),
            distance=distance,
            remaining_gain=gain,
            rate=self.spectrum.rate,
            missing_information=self.spectrum.missing,
            eigenvalues=1 - self.spectrum.curvatures,
            error=self.spectrum.error,
            edges=edges,
            bounds=self._names_of_bounds(),
            along=(),
            passes=0,
        )
        return replace(self._judged(draft), passes=self.surface.passes)

    def _judged(self, draft: Certificate) -> Certificate:
        told = tuple(map(str, draft.edges)) + tuple(f"{name} is held by a limit of the model" for name in draft.bounds)
        if self.result.status is Status.UNBOUNDED:
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(Status.UNBOUNDED.value, *told))
        if draft.distance > NEAR:
            reason = "lower tol, raise max_iter, or use an acceleration, and certify again"
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(reason, *told))
        if self.spectrum.rising.any():
            return self._saddle(draft, self.spectrum.vectors[:, 0], told)
        if self.spectrum.flat.any():
            found = self._flat(draft, told)
            if found is not None:
                return found
            told = (*told, "the curvature along some direction is zero, but the objective falls along it both ways")
        away = [str(edge) for edge in draft.edges if not edge.keeps]
        if away:
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=told)
        if draft.edges or draft.bounds:
            return replace(draft, verdict=Verdict.BOUNDARY, reasons=told)
        return replace(draft, verdict=Verdict.MAXIMUM, reasons=told)

    def _saddle(self, draft: Certificate, direction: FloatArray, told: tuple[str, ...]) -> Certificate:
        """A saddle, with a point beyond it that is higher."""
        move = self.linear.free.moves @ direction
        curvature = float(-self.spectrum.curvatures[0])
        beyond = leave(self.surface, self.point, move, curvature)
        names = self._along(direction[:, None])
        if beyond is None:
            reason = f"the curvature along {', '.join(names)} is positive, but no step along it was found that rises"
            return replace(draft, verdict=Verdict.UNDECIDED, along=names, reasons=(reason, *told))
        gain = beyond.objective - self.point.objective
        reason = f"moving {', '.join(names)} raises the objective by {gain:.3g} and more"
        return replace(
            draft, verdict=Verdict.SADDLE, along=names, reasons=(reason, *told), way_out=beyond.parameters
        )

    def _flat(self, draft: Certificate, told: tuple[str, ...]) -> Certificate | None:
        """What steps along the flat directions say; None where the objective falls along all of them."""
        tried = list(probes(self.surface, self.point, self.linear, self.spectrum, self.lengths, PASSES))
        rises = [probe for probe in tried if probe.found is Found.RISE]
        if rises:
            end = rises[0]
            names = self._along(end.direction[:, None])
            gain = end.point.objective - self.point.objective
            reason = f"moving {', '.join(names)} raises the objective by {gain:.3g} and more"
            return replace(
                draft, verdict=Verdict.SADDLE, along=names, reasons=(reason, *told), way_out=end.point.parameters
            )
        level = [probe.direction for probe in tried if probe.found is Found.LEVEL]
        if level:
            names = self._along(np.array(level).T)
            reason = (
                f"{', '.join(names)} can move together while the objective stays where it is: "
                "the data do not say where they are"
            )
            return replace(draft, verdict=Verdict.RIDGE, along=names, reasons=(reason, *told))
        if tried and all(probe.found is Found.FALL for probe in tried):
            return None
        names = self._along(self.spectrum.vectors[:, self.spectrum.flat])
        reason = (
            f"along {', '.join(names)} the curvature is zero within its error; more data or a prior would decide"
        )
        return replace(draft, along=names, reasons=(reason, *told))

    def _along(self, directions: FloatArray) -> tuple[str, ...]:
        free = self.linear.free
        moves = free.moves @ directions
        inverse = 1 / np.maximum(np.linalg.norm(free.moves, axis=1), np.finfo(float).tiny)
        return leading(self.point.parameters.coordinate_names(), shares(moves, inverse))

    def _names_of_bounds(self) -> tuple[str, ...]:
        if not self.bounds.any():
            return ()
        names = self.point.parameters.coordinate_names()
        parts = np.sum(self.whole.free.basis[:, self.bounds] ** 2, axis=1)
        return tuple(names[i] for i in np.flatnonzero(parts > 0.5))


def held_by_bounds(linear: Linearized) -> Array:
    """(m,) bool: free directions along which the score is not zero though EM stands still, or at whose end it does.

    Near a fixed point the score is I_c times the EM step; what is not has been held by the M-step.
    """
    information = np.maximum(np.diagonal(linear.complete), np.finfo(float).tiny)
    standard = np.abs(linear.score) / np.sqrt(information)
    step = np.abs(linear.em_step) * np.sqrt(information)
    outside = linear.ends * linear.score >= 0
    return np.asarray((standard > HELD) & (step <= 1e-3 * standard) | (linear.ends != 0) & outside & (step <= HELD))


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


def opened_edges(surface: Surface, point: Point, lengths: FloatArray, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """The edges, of those at exactly zero with what an EM step does to them once they are opened by a little."""
    stuck = [edge for edge in edges if np.isnan(edge.ratio)]
    far = (np.abs(point.vector) > 300) & (lengths < np.inf)
    if not stuck or not far.any():
        return edges
    vector = np.where(far, np.sign(point.vector) * OPENED, point.vector)
    try:
        ajar = surface.at(vector)
    except (LatentemError, ArithmeticError, ValueError):
        return edges
    before = natural.entries(ajar.parameters)
    after = natural.entries(point.parameters.unflatten(ajar.em_vector))
    ratio: Callable[[Edge], float] = lambda edge: float(after[edge.entry] / before[edge.entry])  # noqa: E731
    return tuple(replace(edge, ratio=ratio(edge), stuck=True) if np.isnan(edge.ratio) else edge for edge in edges)
