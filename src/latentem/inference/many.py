"""The certificate of a fit with too many parameters to know all curvatures: from its smallest ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._typing import FloatArray
from ..result import Status
from .certificate import Certificate, Verdict, leading, shares
from .edges import Free
from .examined import ground, held_by_bounds
from .krylov import Leading, leading_curvatures
from .leaving import leave
from .level import look_along, settle
from .linearize import end_of_model
from .probing import Found
from .spectrum import SURE
from .surface import Point, Surface
from .verdicts import GO_ON, NEAR, as_maximum, as_ridge, as_saddle, opened_edges, told_of_edges


def certify_many(surface: Surface, status: Status, seed: int) -> Certificate:
    """The certificate of a fit with many parameters, from its smallest curvatures."""
    point, _, lengths, complete, free = ground(surface, surface.template.flatten())
    free, bounds = _within(surface, point, complete, free)
    found = _leading(surface, point, complete, free, seed)
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
        along=_names(point, free, found.move),
        passes=0,
    )
    judged = _judged_many(draft, found, surface, point, status)
    if judged.verdict is Verdict.UNDECIDED and found.is_flat:
        judged = _flat_many(judged, surface, point, complete, free, found.move, seed)
    return replace(judged, passes=surface.passes)


def _leading(surface: Surface, point: Point, complete: FloatArray, free: Free, seed: int) -> Leading:
    """The smallest curvatures; NaN where I_c is singular, and 1, as of the complete data, where nothing is free."""
    if not free.moves.shape[1]:
        return Leading(np.ones(1), 0.0, 1.0, np.zeros(len(point.vector)), 0.0)
    try:
        return leading_curvatures(surface, point, complete, free, seed)
    except np.linalg.LinAlgError:
        return Leading(np.array([np.nan]), np.inf, -np.inf, np.zeros(len(point.vector)), np.inf)


def _names(point: Point, free: Free, move: FloatArray) -> tuple[str, ...]:
    """The coordinates that a direction mostly moves."""
    return leading(point.parameters.coordinate_names(), shares(move[:, None], 1 / free.steps))


def _within(surface: Surface, point: Point, complete: FloatArray, free: Free) -> tuple[Free, tuple[str, ...]]:
    """The directions that no limit of the model's holds, and the names of the coordinates that are held."""
    moves = free.moves
    ends = np.array([end_of_model(surface, point, move) for move in moves.T])
    information = np.einsum("dm,dm->m", moves, complete @ moves)
    held = held_by_bounds(information, moves.T @ point.score, free.inside(point.em_vector - point.vector), ends)
    names, parts = point.parameters.coordinate_names(), np.sum(free.basis[:, held] ** 2, axis=1)
    told = tuple(names[i] for i in np.flatnonzero(parts > 0.5))
    return Free(free.basis[:, ~held], free.steps, free.edges), told


def _judged_many(draft: Certificate, found: Leading, surface: Surface, point: Point, status: Status) -> Certificate:
    told, smallest = told_of_edges(draft), float(found.curvatures[0])
    names = ", ".join(draft.along)
    if status is Status.UNBOUNDED:
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(Status.UNBOUNDED.value, *told))
    if smallest < -SURE:
        beyond = leave(surface, point, found.move, -smallest)
        if beyond is not None:
            return as_saddle(draft, point, beyond, told)
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
    return as_maximum(draft, told)


def _flat_many(
    draft: Certificate,
    surface: Surface,
    point: Point,
    complete: FloatArray,
    free: Free,
    move: FloatArray,
    seed: int,
) -> Certificate:
    """What steps along a direction without curvature say, which was found among many.

    Where it is level, those along another one, found from another first vector, are asked too: beside a ridge there may
    be a direction along which the objective rises.
    """
    base, told = settle(surface, point.vector), told_of_edges(draft)
    if base is None:
        return draft
    first = look_along(surface, base, complete, move)
    if first.found is Found.RISE:
        return as_saddle(draft, point, first.point, told)
    if first.found is not Found.LEVEL:
        return draft
    gain = max(base.point.objective - point.objective, 0.0)
    if 2 * gain > NEAR**2:
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(GO_ON, *told))
    other = _leading(surface, point, complete, free, seed + 1).move
    second = look_along(surface, base, complete, other)
    if second.found is Found.RISE:
        return as_saddle(replace(draft, along=_names(point, free, other)), point, second.point, told)
    return as_ridge(replace(draft, distance=float(np.sqrt(2 * gain)), remaining_gain=gain), told)
