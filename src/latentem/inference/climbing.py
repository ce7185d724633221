"""From where EM stopped to a maximum: saddles are left, and fits that stopped early go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..em import Executor
from ..result import EMResult, Finding, Status
from .certificate import Certificate, Verdict
from .certifying import certify

# How often a saddle may be left, and how often a fit may go on with a hundredth of its tolerance.
MOST_SADDLES = 20
MOST_TIGHTENED = 3


def to_a_maximum(
    result: EMResult, climb: Callable[[Any, Any, float], EMResult], tol: float, executor: Executor
) -> EMResult:
    """The result with its certificate, at a maximum wherever that can be reached.

    From a saddle the fit continues from a point beyond it that is higher.  A fit that ended too far from its limit for
    curvature to tell what it is goes on with a smaller tolerance.

    Parameters
    ----------
    result : EMResult
    climb : callable
        (model, start, tol) → EMResult.
    tol : float
        The tolerance of the fit so far.
    executor : Executor
    """
    left, tightened = 0, 0
    while True:
        certificate = certify(result, executor=executor)
        if certificate.way_out is not None and left < MOST_SADDLES:
            left += 1
            further = climb(result.model, certificate.way_out, tol)
            result = joined(result, further, _left(certificate, result))
        elif _stopped_early(certificate, result) and tightened < MOST_TIGHTENED:
            tightened, tol = tightened + 1, tol / 100
            result = joined(result, climb(result.model, result.parameters, tol))
        else:
            return replace(result, certificate=certificate)
        if result.status in (Status.INTERRUPTED, Status.STOPPED):
            return result


def _stopped_early(certificate: Certificate, result: EMResult) -> bool:
    return certificate.verdict is Verdict.NOT_CONVERGED and result.status is Status.CONVERGED


def _left(certificate: Certificate, result: EMResult) -> Finding:
    names = ", ".join(certificate.along)
    return Finding(
        "saddle-left",
        f"EM came to rest at a saddle with the objective {result.objective:.10g}; the fit was continued along {names}",
    )


def joined(before: EMResult, after: EMResult, *told: Finding) -> EMResult:
    """The later part of a fit as the whole of it, with something more to tell."""
    kept = tuple(finding for finding in before.findings if finding.code == "saddle-left")
    return replace(
        after,
        n_iter=before.n_iter + 1 + after.n_iter,
        history=before.history + after.history,
        ascent=before.ascent + after.ascent,
        findings=(*kept, *told, *after.findings),
        start=before.start,
    )
