"""`certify`: from a result to a certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._typing import FloatArray
from ..em import Executor
from ..execution.opening import opened
from ..result import EMResult, Status
from .ascent import told_of_ascent
from .certificate import Certificate, Verdict
from .examined import Examination, examined, surface_of
from .leaving import leave
from .many import certify_many
from .probing import Found, probes
from .spectrum import Spectrum
from .surface import Surface
from .verdicts import GO_ON, NEAR, as_maximum, as_ridge, as_saddle, opened_edges, told_of_edges

# With curvatures that are off by more, nothing is said.
NOISE = 0.01
# With more free parameters than this only the smallest curvatures are found.
MANY = 300
# Beyond the two passes for each free parameter.
PASSES = 56


def certify(result: EMResult, *, executor: str | Executor | None = None, seed: int = 0) -> Certificate:
    """What the point where a fit ended is, and how far the limit still is.

    With s the score, I_o the observed information and I_c that of the complete data, all in unconstrained coordinates,
    the EM map has the Jacobian I - I_c⁻¹ I_o.  The information comes from differences of the score, two E-steps for
    each free parameter; probabilities at zero and the like are found first and held.  Directions without curvature are
    followed both ways: where the objective rises the point is a saddle, where it stays level a ridge.

    With more than 300 free parameters only the smallest curvatures are found, in at most 200 passes, and distances are
    upper bounds; the odds that a smaller curvature is missed are one in a thousand.  What is flat, accelerated EM from
    both sides tells, a ridge or a saddle, in as many passes again and some more.

    Where z is simulated there is no verdict: the certificate is that of the simulated log-likelihood.

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
        told = told_of_edges(draft)
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
        return as_maximum(draft, told)

    def _saddle(self, draft: Certificate, direction: FloatArray, told: tuple[str, ...]) -> Certificate:
        """A saddle, with a point beyond it that is higher."""
        move = self.examination.moves @ direction
        curvature = float(-self.spectrum.curvatures[0])
        beyond = leave(self.surface, self.examination.point, move, curvature)
        names = self.examination.along(direction[:, None])
        if beyond is None:
            reason = f"the curvature along {', '.join(names)} is positive, but no step along it was found that rises"
            return replace(draft, verdict=Verdict.UNDECIDED, along=names, reasons=(reason, *told))
        return as_saddle(replace(draft, along=names), self.examination.point, beyond, told)

    def _flat(self, draft: Certificate, told: tuple[str, ...]) -> Certificate | None:
        """What steps along the flat directions say; None where the objective falls along all of them."""
        case = self.examination
        tried = list(probes(self.surface, case.point, case.linear, self.spectrum, case.lengths, PASSES))
        rises = [probe for probe in tried if probe.found is Found.RISE]
        if rises:
            names = case.along(rises[0].direction[:, None])
            return as_saddle(replace(draft, along=names), case.point, rises[0].point, told)
        level = [probe.direction for probe in tried if probe.found is Found.LEVEL]
        if level:
            names = self.examination.along(np.array(level).T)
            return as_ridge(replace(draft, along=names), told)
        if tried and all(probe.found is Found.FALL for probe in tried):
            return None
        names = self.examination.along(self.spectrum.vectors[:, self.spectrum.flat])
        reason = (
            f"along {', '.join(names)} the curvature is zero within its error; more data or a prior would decide"
        )
        return replace(draft, along=names, reasons=(reason, *told))


def _of_simulation(found: Certificate, variance: float) -> Certificate:
    """What can be said where only a simulated log-likelihood was looked at: no verdict of the true one."""
    reason = (
        f"the log-likelihood is simulated, with a standard error of {np.sqrt(variance):.2g}, and what was looked at is "
        f"the simulated one (there: {found.verdict.name.lower().replace('_', ' ')}); an E-step without simulation "
        "would decide: e_step='auto', where the model allows quadrature"
    )
    return replace(found, verdict=Verdict.UNDECIDED, reasons=(reason, *found.reasons), way_out=None)
