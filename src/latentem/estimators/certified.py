"""`certify=True`: a fit of an estimator ends at a maximum, or its certificate says why it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..data import Source
from ..em import Executor
from ..inference.certifying import certify
from ..inference.climbing import to_a_maximum
from ..inference.maxima import charted
from ..result import EMResult, Status

# The option, its check and its words, as every estimator takes them.
OPTION: dict[str, Any] = {"certify": False}
CONSTRAINT: dict[str, Any] = {"certify": ["boolean"]}
DOC = """certify : bool
        Whether to say what the end of the fit is (`result_.certificate`), at the price of about two passes for each
        free parameter.  A saddle is left then, and a fit that ended too early to tell goes on with a smaller `tol`."""


def finished(
    best: EMResult,
    ended: Sequence[EMResult],
    source: Source,
    certified: Callable[[EMResult], EMResult] | None,
) -> EMResult:
    """The best of several ends, at a maximum where that is asked for, with the map of where all starts ended."""
    found = best if certified is None else certified(best)
    return charted(found, [found if one is best else one for one in ended], source)


def at_a_maximum(
    result: EMResult, climb: Callable[[Any, Any, float], EMResult], tol: float, executor: Executor
) -> EMResult:
    """The result with its certificate, further up where that is not at a maximum; see `climbing.to_a_maximum`.

    Where a callback or a monitor stopped the fit, it stays there; where the user broke it off, nothing is asked.
    """
    if result.status is Status.INTERRUPTED:
        return result
    if result.status is Status.STOPPED:
        return replace(result, certificate=certify(result, executor=executor))
    return to_a_maximum(result, climb, tol, executor)
