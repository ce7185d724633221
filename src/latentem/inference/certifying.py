"""`certify`: from a result to a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import FloatArray
from ..domains.base import ZERO
from ..em import Executor
from ..errors import LatentemError
from ..result import EMResult, Status
from . import natural
from .certificate import Certificate, Verdict
from .edges import Edge
from .examined import Examination, examined
from .leaving import leave
from .probing import Found, probes
from .spectrum import Spectrum
from .surface import Point, Surface

# Further away than so many standard errors, curvature here says little of the limit.
NEAR = 0.1
# With curvatures that are off by more, nothing is said.
NOISE = 0.01
# Beyond the two passes for each free parameter.
PASSES = 56
# The logarithm of the odds against what was exactly zero, once it is opened.
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
    with examined(result, executor) as examination:
        return _Case(examination, result.status).certificate()


@dataclass(frozen=True)
class _Case:
    """A fit that is to be judged."""

    examination: Examination
    status: Status

    @property
    def surface(self) -> Surface:
        return self.examination.surface

    @property
    def spectrum(self) -> Spectrum:
        return self.examination.spectrum

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
            error=self.spectrum.error,
            edges=edges,
            bounds=case.names_of_bounds(),
            along=(),
            passes=0,
        )
        return replace(self._judged(draft), passes=self.surface.passes)

    def _judged(self, draft: Certificate) -> Certificate:
        told = tuple(map(str, draft.edges)) + tuple(f"{name} is held by a limit of the model" for name in draft.bounds)
        if self.status is Status.UNBOUNDED:
            return replace(draft, verdict=Verdict.NOT_CONVERGED, reasons=(Status.UNBOUNDED.value, *told))
        if draft.error > NOISE:
            reason = f"differences of the score are off by {draft.error:.2g} of the complete information: too much"
            return replace(draft, reasons=(reason, *told))
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
        move = self.examination.moves @ direction
        curvature = float(-self.spectrum.curvatures[0])
        beyond = leave(self.surface, self.examination.point, move, curvature)
        names = self.examination.along(direction[:, None])
        if beyond is None:
            reason = f"the curvature along {', '.join(names)} is positive, but no step along it was found that rises"
            return replace(draft, verdict=Verdict.UNDECIDED, along=names, reasons=(reason, *told))
        gain = beyond.objective - self.examination.point.objective
        reason = f"moving {', '.join(names)} raises the objective by {gain:.3g} and more"
        return replace(
            draft, verdict=Verdict.SADDLE, along=names, reasons=(reason, *told), way_out=beyond.parameters
        )

    def _flat(self, draft: Certificate, told: tuple[str, ...]) -> Certificate | None:
        """What steps along the flat directions say; None where the objective falls along all of them."""
        case = self.examination
        tried = list(probes(self.surface, case.point, case.linear, case.spectrum, case.lengths, PASSES))
        rises = [probe for probe in tried if probe.found is Found.RISE]
        if rises:
            end = rises[0]
            names = self.examination.along(end.direction[:, None])
            gain = end.point.objective - self.examination.point.objective
            reason = f"moving {', '.join(names)} raises the objective by {gain:.3g} and more"
            return replace(
                draft, verdict=Verdict.SADDLE, along=names, reasons=(reason, *told), way_out=end.point.parameters
            )
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
