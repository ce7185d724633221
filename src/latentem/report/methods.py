"""Would another method have been better here?  Measured on this fit, from its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..inference.comparing import METHODS, Comparison, compare
from ..inference.direct import DIRECT
from .trail import Trail

# Newton's method and natural gradients take passes in proportion to the number of parameters.
MANY = 100
FEWEST, MOST = 20, 2000
TOL = 1e-6
# What a method costs beside its passes, as a multiple of them.
OVERHEAD = 2.0


@dataclass(frozen=True)
class Methods:
    """What the comparison found, or why there is none.

    Attributes
    ----------
    found : Comparison or None
    missing : str
        A sentence; empty where there is a comparison.
    passes : int
        The most for each method.
    left_out : tuple of str
        Methods that would have taken too long.
    """

    found: Comparison | None
    missing: str = ""
    passes: int = 0
    left_out: tuple[str, ...] = ()

    @property
    def direct(self) -> tuple[str, ...]:
        """Those of the methods that know nothing of z."""
        return tuple(name for name in (self.found.methods if self.found else ()) if name in DIRECT)


def compare_methods(trail: Trail, seconds: float) -> Methods:
    """Every method from the start of the fit, each with as many passes as the time allows."""
    slow = trail.end.parameters.n_free > MANY
    chosen: Sequence[str] = [name for name in METHODS if not (slow and name in ("newton", "natural-gradient"))]
    passes = int(seconds / (len(chosen) * OVERHEAD * trail.seconds))
    if passes < FEWEST:
        why = f"A pass over these data takes {trail.seconds:.2g} s: comparing methods would take too long."
        return Methods(None, why)
    most = min(passes, MOST)
    start: Any = trail.steps[0].parameters
    problem = trail.problem
    found = compare(
        problem.model, problem.source, [start], methods=chosen, tol=TOL, max_iter=most, executor=problem.executor
    )
    return Methods(found, "", most, tuple(name for name in METHODS if name not in chosen))
