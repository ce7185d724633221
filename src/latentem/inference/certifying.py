"""`certify`: from a result to a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._typing import FloatArray
from ..domains.base import ZERO
from ..em import Executor
from ..errors import LatentemError
from ..execution.opening import opened
from ..result import EMResult, Status
from . import natural
from .ascent import told_of_ascent
from .certificate import Certificate, Verdict, leading, shares
from .edges import Edge, Free
from .examined import Examination, examined, ground, held_by_bounds, surface_of
from .krylov import Leading, leading_curvatures
from .leaving import leave
from .linearize import end_of_model
from .probing import Found, probes
from .spectrum import SURE, Spectrum
from .surface import Point, Surface

# Further away than so many standard errors, curvature here says little of the limit.
NEAR = 0.1
# With curvatures that are off by more, nothing is said.
NOISE = 0.01
# With more free parameters than this only the smallest curvatures are found.
MANY = 300
GO_ON = "lower tol, raise max_iter, or use an acceleration, and certify again"
# Beyond the two passes for each free parameter.
PASSES = 56
# The logarithm of the odds against what was exactly zero, once it is opened.
OPENED = 18.0


def certify(result: EMResult, *, executor: str | Executor | None = None, seed: int = 0) -> Certificate:
    """What the point where a fit ended is, and how far the limit still is.

    With s the score, I_o the observed information and I_c that of the complete data, all in unconstrained coordinates,
    the EM map has the Jacobian I - I_c⁻¹ I_o.  The information comes from differences of the score, two E-steps for
    each free parameter; probabilities at zero and the like are found first and held.  Directions without curvature are
    followed both ways: where the objective rises the point is a saddle, where it stays level a ridge.

    With more than 300 free parameters only the smallest curvatures are found, in at most 200 passes, and distances are
    upper bounds; the odds that a smaller curvature is missed are one in a thousand.  Where z is simulated there is no
    verdict: the certificate is that of the simulated log-likelihood.

    Parameters
    ----------
    result : EMResult
        With its `source`: as `fit` returned it, not as loaded from a file.
    executor : None, "serial", "threads", "processes" or Executor
    seed : int
        Of the vector that the search for the smallest curvatures of many parameters begins with.

    Returns
    -------
    Certificate

    Raises
    ------
    ParameterError
        The result has no source.
    """
    if result.parameters.n_free > MANY:
        with opened(executor) as workers:
            found = certify_many(surface_of(result, workers), result.status, seed)
    else:
        with examined(result, executor) as examination:
            found = _Case(examination, result.status).certificate()
    variance = float(getattr(result.expectation.statistics, "variance", 0.0))
    if variance > 0 and result.status is not Status.UNBOUNDED:
        found = _of_simulation(found, variance)
    return replace(found, reasons=(*found.reasons, *told_of_ascent(result.ascent)))


@dataclass(frozen=True)
class _Case:
    """A fit that is to be judged."""

    examination: Examination
    status: Status

    @property
    def surface(self) -> Surface:
        return self.examination.surface

    @cached_property
    def spectrum(self) -> Spectrum:
        """As far as it can be told at this distance from the limit."""
        case = self.examination
        return case.spectrum.away(case.linear.score, self.surface.units(case.point))

    def certificate(self) -> Certificate:
        case = self.examination
        edges = opened_edges(self.surface, case.point, case.lengths, case.edges)
        distance, gain = case.distance_and_gain()
        draft = Certificate(
            verdict=Verdict.UNDECIDED,
            reasons=(),
            distance=distance,
            remaining_gain=gain,
            rate=self.spectrum.rate,
            missing_information=self.spectrum.missing,
            eigenvalues=1 - self.spectrum.curvatures,
            error=self.examination.spectrum.error,
            edges=edges,
            bounds=case.names_of_bounds(),
            along=(),
            passes=0,
        )
        return replace(self._judged(draft), passes=self.surface.passes)

    def _judged(self, draft: Certificate) -> Certificate:
        told = _told(draft)
        if self.status is Status.UNBOUNDED:
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(Status.UNBOUNDED.value, *told))
        if draft.error > NOISE:
            reason = f"differences of the score are off by {draft.error:.2g} of the complete information: too much"
            return replace(draft, reasons=(reason, *told))
        if draft.distance > NEAR:
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(GO_ON, *told))
        if self.spectrum.rising.any():
            return self._saddle(draft, self.spectrum.vectors[:, 0], told)
        if self.spectrum.flat.any():
            found = self._flat(draft, told)
            if found is not None:
                return found
            told = (*told, "the curvature along some direction is zero, but the objective falls along it both ways")
        return _as_maximum(draft, told)

    def _saddle(self, draft: Certificate, direction: FloatArray, told: tuple[str, ...]) -> Certificate:
        """A saddle, with a point beyond it that is higher."""
        move = self.examination.moves @ direction
        curvature = float(-self.spectrum.curvatures[0])
        beyond = leave(self.surface, self.examination.point, move, curvature)
        names = self.examination.along(direction[:, None])
        if beyond is None:
            reason = f"the curvature along {', '.join(names)} is positive, but no step along it was found that rises"
            return replace(draft, verdict=Verdict.UNDECIDED, along=names, reasons=(reason, *told))
        return _as_saddle(replace(draft, along=names), self.examination.point, beyond, told)

    def _flat(self, draft: Certificate, told: tuple[str, ...]) -> Certificate | None:
        """What steps along the flat directions say; None where the objective falls along all of them."""
        case = self.examination
        tried = list(probes(self.surface, case.point, case.linear, self.spectrum, case.lengths, PASSES))
        rises = [probe for probe in tried if probe.found is Found.RISE]
        if rises:
            names = case.along(rises[0].direction[:, None])
            return _as_saddle(replace(draft, along=names), case.point, rises[0].point, told)
        level = [probe.direction for probe in tried if probe.found is Found.LEVEL]
        if level:
            names = self.examination.along(np.array(level).T)
            reason = (
                f"{', '.join(names)} can move together while the objective stays where it is: "
                "the data do not say where they are"
            )
            return replace(draft, verdict=Verdict.RIDGE, along=names, reasons=(reason, *told))
        if tried and all(probe.found is Found.FALL for probe in tried):
            return None
        names = self.examination.along(self.spectrum.vectors[:, self.spectrum.flat])
        reason = (
            f"along {', '.join(names)} the curvature is zero within its error; more data or a prior would decide"
        )
        return replace(draft, along=names, reasons=(reason, *told))


def certify_many(surface: Surface, status: Status, seed: int) -> Certificate:
    """The certificate of a fit with many parameters, from its smallest curvatures."""
    point, _, lengths, complete, free = ground(surface, surface.template.flatten())
    free, bounds = _within(surface, point, complete, free)
    try:
        found = leading_curvatures(surface, point, complete, free, seed)
    except np.linalg.LinAlgError:
        found = Leading(np.array([np.nan]), np.inf, -np.inf, np.zeros(len(point.vector)), np.inf)
    smallest = float(found.curvatures[0])
    distance = found.distance / np.sqrt(found.least) if found.least > SURE else np.inf
    draft = Certificate(
        verdict=Verdict.UNDECIDED,
        reasons=(),
        distance=distance,
        remaining_gain=0.5 * distance**2,
        rate=1 - smallest,
        missing_information=1 - smallest,
        eigenvalues=1 - found.curvatures,
        error=found.error,
        edges=opened_edges(surface, point, lengths, free.edges),
        bounds=bounds,
        along=leading(point.parameters.coordinate_names(), shares(found.move[:, None], 1 / free.steps)),
        passes=0,
    )
    return replace(_judged_many(draft, found, surface, point, status), passes=surface.passes)


def _within(surface: Surface, point: Point, complete: FloatArray, free: Free) -> tuple[Free, tuple[str, ...]]:
    """The directions that no limit of the model's holds, and the names of the coordinates that are held."""
    moves = free.moves
    ends = np.array([end_of_model(surface, point, move) for move in moves.T])
    information = np.einsum("dm,dm->m", moves, complete @ moves)
    held = held_by_bounds(information, moves.T @ point.score, free.inside(point.em_vector - point.vector), ends)
    names, parts = point.parameters.coordinate_names(), np.sum(free.basis[:, held] ** 2, axis=1)
    told = tuple(names[i] for i in np.flatnonzero(parts > 0.5))
    return Free(free.basis[:, ~held], free.steps, free.edges), told


def _told(draft: Certificate) -> tuple[str, ...]:
    return (*map(str, draft.edges), *(f"{name} is held by a limit of the model" for name in draft.bounds))


def _as_saddle(draft: Certificate, point: Point, beyond: Point, told: tuple[str, ...]) -> Certificate:
    """A saddle, left along the coordinates of the draft."""
    gain = beyond.objective - point.objective
    reason = f"moving {', '.join(draft.along)} raises the objective by {gain:.3g} and more"
    return replace(draft, verdict=Verdict.SADDLE, reasons=(reason, *told), way_out=beyond.parameters)


def _as_maximum(draft: Certificate, told: tuple[str, ...]) -> Certificate:
    """A maximum of what is free: on the boundary if something is held, and none if that is not kept there."""
    if not all(edge.keeps for edge in draft.edges):
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=told)
    held = draft.edges or draft.bounds
    return replace(draft, verdict=Verdict.BOUNDARY if held else Verdict.MAXIMUM, reasons=told)


def _judged_many(draft: Certificate, found: Leading, surface: Surface, point: Point, status: Status) -> Certificate:
    told, smallest = _told(draft), float(found.curvatures[0])
    names = ", ".join(draft.along)
    if status is Status.UNBOUNDED:
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(Status.UNBOUNDED.value, *told))
    if smallest < -SURE:
        beyond = leave(surface, point, found.move, -smallest)
        if beyond is not None:
            return _as_saddle(draft, point, beyond, told)
    if smallest > found.error and not found.least > SURE:
        reason = (
            f"EM is slow here: a curvature of {smallest:.2g} of the complete data's was found along {names}, and a "
            "smaller one, or none at all, may be hidden beside it; fewer parameters or a prior would decide"
        )
        return replace(draft, reasons=(reason, *told))
    if not smallest > found.error:
        reason = (
            f"the smallest curvature found, {smallest:.2g} of the complete data's along {names}, is less than its "
            f"residual {found.residual:.2g}; fewer parameters, another seed, or a prior would decide"
        )
        return replace(draft, reasons=(reason, *told))
    if draft.distance > NEAR:
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(GO_ON, *told))
    return _as_maximum(draft, told)


def _of_simulation(found: Certificate, variance: float) -> Certificate:
    """What can be said where only a simulated log-likelihood was looked at: no verdict of the true one."""
    reason = (
        f"the log-likelihood is simulated, with a standard error of {np.sqrt(variance):.2g}, and what was looked at is "
        f"the simulated one (there: {found.verdict.name.lower().replace('_', ' ')}); an E-step without simulation "
        "would decide: e_step='auto', where the model allows quadrature"
    )
    return replace(found, verdict=Verdict.UNDECIDED, reasons=(reason, *found.reasons), way_out=None)


def opened_edges(surface: Surface, point: Point, lengths: FloatArray, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """The edges, of those at exactly zero with what an EM step does to them once they are opened by a little."""
    stuck = [edge for edge in edges if np.isnan(edge.ratio)]
    far = (np.abs(point.vector) > 300) & (lengths < np.inf)
    if not stuck or not far.any():
        return edges
    vector = point.vector - np.where(far, np.sign(point.vector), 0.0) * (-np.log(ZERO) - OPENED)
    try:
        ajar = surface.at(vector)
    except (LatentemError, ArithmeticError, ValueError):
        return edges
    before = natural.entries(ajar.parameters)
    after = natural.entries(point.parameters.unflatten(ajar.em_vector))
    ratio: Callable[[Edge], float] = lambda edge: float(after[edge.entry] / before[edge.entry])  # noqa: E731
    return tuple(replace(edge, ratio=ratio(edge), stuck=True) if np.isnan(edge.ratio) else edge for edge in edges)
