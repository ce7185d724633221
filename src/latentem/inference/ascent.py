"""The record of ascent: what each step gained, and of an EM step how much of it in Q and how much in KL.

ℓ(θ) = Q(θ; θₜ) + H(q) + KL(q ‖ p(z | x; θ)), where the KL is zero at θₜ: an EM step gains ΔQ + KL, neither below zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any

from ..result import Iteration, Step
from ..statistics import is_local
from .bounds import LowerBound

_WITH_PARTS = (Step.EM, Step.REJECTED, Step.DAMPED)


@dataclass(frozen=True)
class Gain:
    """One step of a fit.

    Attributes
    ----------
    step : Step
    gain : float
        Of the objective.
    q : float
        Of Q at the statistics before the step, the prior included; NaN where the step was not EM's, or where Q is known
        to second order only.
    rounding : float
        What the gain may be off by.
    """

    step: Step
    gain: float
    q: float
    rounding: float

    @property
    def kl(self) -> float:
        """KL(q ‖ p(z | x; θ)) of the posterior before the step from that after it: the gain beyond that of Q."""
        return self.gain - self.q

    @property
    def fell(self) -> bool:
        """Whether the objective fell by more than rounding explains."""
        return self.gain < -self.rounding


@dataclass
class Recorder:
    """A callback that keeps the gain of each iteration, with its parts."""

    model: Any
    gains: list[Gain] = field(default_factory=list)
    last: Iteration | None = None

    def __call__(self, iteration: Iteration) -> None:
        if self.last is not None and iteration.step is not Step.START:
            self.gains.append(self._gain(self.last, iteration))
        self.last = iteration

    def _gain(self, before: Iteration, now: Iteration) -> Gain:
        q = nan
        if now.step in _WITH_PARTS and not is_local(before.expectation.statistics):
            q = LowerBound(self.model, before).gain(now.parameters)
        return Gain(now.step, now.gain, q, before.rounding + now.rounding)


def told_of_ascent(gains: tuple[Gain, ...]) -> tuple[str, ...]:
    """What the record says: how many steps, what they gained in Q and in KL, and every fall."""
    if not gains:
        return ()
    parts = [one for one in gains if one.q == one.q]
    falls = [number for number, one in enumerate(gains, 1) if one.fell]
    split = (
        f"; the EM steps among them gained {sum(one.q for one in parts):.4g} in Q and "
        f"{sum(one.kl for one in parts):.4g} in KL"
        if parts
        else ""
    )
    fault = (
        f"; FAULT: the objective fell beyond its rounding error in step {', '.join(map(str, falls))}"
        if falls
        else ", none of which lowered the objective"
    )
    return (f"{len(gains)} steps{fault}{split}",)
