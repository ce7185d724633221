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
from .level import Along, level_along
from .linearize import end_of_model
from .probing import Found
from .spectrum import SURE
from .surface import Point, Surface
from .verdicts import GO_ON, NEAR, as_maximum, as_ridge, as_saddle, opened_edges, told_of_edges


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
    judged = _judged_many(draft, found, surface, point, status)
    if judged.verdict is Verdict.UNDECIDED and found.is_flat:
        first = level_along(surface, point, complete, found.move)
        judged = _flat_many(judged, first, point)
        if judged.verdict is Verdict.RIDGE:
            # Beside a ridge there may be a direction without curvature along which the objective rises.
            other = leading_curvatures(surface, point, complete, free, seed + 1)
            second = level_along(surface, point, complete, other.move)
            judged = _flat_many(judged, second, point) if second.found is Found.RISE else judged
    return replace(judged, passes=surface.passes)


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


def _flat_many(draft: Certificate, along: Along, point: Point) -> Certificate:
    """What steps along a direction without curvature say, which was found among many."""
    told = told_of_edges(draft)
    if along.found is Found.RISE:
        return as_saddle(draft, point, along.point, told)
    if along.found is not Found.LEVEL:
        return draft
    if 2 * along.gain > NEAR**2:
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(GO_ON, *told))
    gain = max(along.gain, 0.0)
    return as_ridge(replace(draft, distance=float(np.sqrt(2 * gain)), remaining_gain=gain), told)
