"""What verdicts say, and how they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .._typing import FloatArray
from ..domains.base import ZERO
from ..errors import LatentemError
from . import natural
from .certificate import Certificate, Verdict
from .edges import Edge
from .surface import Point, Surface

# Further away than so many standard errors, curvature here says little of the limit.
NEAR = 0.1
GO_ON = "lower tol, raise max_iter, or use an acceleration, and certify again"
# The logarithm of the odds against what was exactly zero, once it is opened.
OPENED = 18.0


def told_of_edges(draft: Certificate) -> tuple[str, ...]:
    return (*map(str, draft.edges), *(f"{name} is held by a limit of the model" for name in draft.bounds))


def as_saddle(draft: Certificate, point: Point, beyond: Point, told: tuple[str, ...]) -> Certificate:
    """A saddle, left along the coordinates of the draft."""
    gain = beyond.objective - point.objective
    reason = f"moving {', '.join(draft.along)} raises the objective by {gain:.3g} and more"
    return replace(draft, verdict=Verdict.SADDLE, reasons=(reason, *told), way_out=beyond.parameters)


def as_maximum(draft: Certificate, told: tuple[str, ...]) -> Certificate:
    """A maximum of what is free: on the boundary if something is held, and none if that is not kept there."""
    if not all(edge.keeps for edge in draft.edges):
        return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=told)
    held = draft.edges or draft.bounds
    return replace(draft, verdict=Verdict.BOUNDARY if held else Verdict.MAXIMUM, reasons=told)


def as_ridge(draft: Certificate, told: tuple[str, ...]) -> Certificate:
    """A ridge along the coordinates of the draft."""
    names = ", ".join(draft.along)
    reason = f"{names} can move together while the objective stays where it is: the data do not say where they are"
    return replace(draft, verdict=Verdict.RIDGE, reasons=(reason, *told))


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
