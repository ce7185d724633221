"""When a fit is near enough to its limit: what is left is estimated from scores and EM steps, or from gains."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

from .result import Iteration, Status, Step
from .secants import Plane, Secants

# Points that the estimate knows of, beside the newest; and the fewest with which it speaks.
MEMORY = 10
FEWEST = 3
# The slowest rate that is believed of directions not yet seen.
SLOWEST = 0.999
# Beyond this rate twice the estimate must be within the tolerance: where a parameter runs to infinity, as the logarithm
# of a weight that goes to 0, the objective's tail is exponential, and twice what its curvature tells.  Beyond the
# slowest rate that is believed, twice the estimate is also what is told.
SLOW = 0.99
# Where one step is known: how many times what it promises, at the slowest rate that is believed, must be within the
# tolerance.
FAR_WITHIN = 10.0
# A share of that at which slopes need not fall any more: they are rounding.
LOST = 1e-6
# What is left may be so many times the estimate: curvatures are those of the last points, not of the limit.
MARGIN = 1.1
# By how much slopes may fall more slowly than the rate tells.
CONSISTENT = 1.02
# How many times its tolerance the gain that is left may be when plain EM begins to record points.
EARLY = 10.0


@dataclass(frozen=True)
class RemainingGain:
    """Stop when the estimated remaining gain is within `tol`.

    With the score s, the observed information I and the complete C, what is left is ½ s·I⁻¹ s.  The last points tell
    it: along the moves between them, differences of scores are curvatures, and there it is known exactly; beside them
    it is at most ½ s'·f' / (1 - λ), with s' and f' score and EM step at the maximum over these moves, and λ EM's rate
    on them (`Plane`).
    Any moves serve, those of EM as well as those of an acceleration.  A plain EM step then confirms it: the slope ½ s·f
    must fall by λ² at least.

    A fit that begins at its limit needs one step to know it: where even at the slowest rate that is believed a tenth of
    the tolerance is not left, ½ s·f / (1 - λ), and the slope falls, or is rounding.

    Where the scores tell nothing, the gains g of plain EM steps do: they contract at ρ = λ², and g ρ / (1 - ρ) is left.
    The ratio of two gains climbs to ρ from below as the fast directions die out, so three consecutive plain steps are
    asked for, and where their two ratios still climb, the next one is extrapolated.

    Steps that drown in rounding end a fit too, unless scores tell that more is left than a tolerance above rounding; so
    does an EM step that fell until it was so short that it gained nothing.

    Attributes
    ----------
    tol : float
        In units of the objective.
    """

    tol: float

    def remaining(self, iteration: Iteration) -> float:
        """Estimated remaining gain; infinite where the gains do not contract, NaN if unknown."""
        if (plane := _plane(iteration, 2)) is not None:
            return _left(plane, SLOWEST)
        if iteration.secants is not None and _is_still(iteration.secants):
            return 0.0
        return _tail(iteration.gains[-1], contraction(iteration.gains)) if iteration.gains else nan

    def rate(self, iteration: Iteration) -> float:
        """Estimated rate λ of EM; NaN if unknown."""
        if (plane := _plane(iteration, 2)) is not None:
            return max(plane.rate, 0.0)
        return sqrt(iteration.ratio) if iteration.ratio == iteration.ratio else nan

    def status(self, iteration: Iteration) -> Status | None:
        """Why to stop here, or None."""
        if iteration.step is Step.NONE:
            return Status.ROUNDING if max(iteration.gains, default=inf) <= iteration.rounding else Status.STALLED
        if iteration.gains and self._is_within(iteration, self.tol):
            return Status.CONVERGED
        if _is_stuck(iteration):
            return Status.ROUNDING if _promises_nothing(iteration, self._bound(iteration)) else Status.STALLED
        last = iteration.gains[-2:]
        drowned = len(last) == 2 and max(map(abs, last)) <= iteration.rounding
        asked = self.tol >= iteration.rounding and _plane(iteration) is not None
        return Status.ROUNDING if drowned and not asked else None

    def beyond_rounding(self, iteration: Iteration) -> float:
        """What may remain where gains drown in rounding."""
        if (plane := _plane(iteration)) is not None:
            return max(iteration.rounding, _left(plane, SLOWEST))
        known = iteration.ratio < 1
        return max(iteration.rounding, _tail(iteration.rounding, iteration.ratio)) if known else iteration.rounding

    def is_near(self, iteration: Iteration) -> bool:
        """Whether the limit may be near, by the gains of plain steps: points should be recorded then."""
        if iteration.step is Step.DAMPED:
            return _is_stuck(iteration)
        if not iteration.gains:
            return False
        gain = abs(iteration.gains[-1])
        left = _tail(gain, iteration.ratio) if iteration.ratio < 1 else gain
        return left <= EARLY * self._bound(iteration)

    def asks_for_plain_steps(self, iteration: Iteration) -> bool:
        """Whether an acceleration should pause: the limit seems reached, or gains are small and scores tell nothing."""
        if len(iteration.gains) > 2:
            return False
        if abs(iteration.gain) <= iteration.rounding:
            return True
        if _is_steep(iteration, self.tol):
            return False
        if _plane(iteration) is None:
            return abs(iteration.gain) <= self.tol
        return not iteration.gains and self._is_within(iteration, self.tol)

    def _is_within(self, iteration: Iteration, bound: float) -> bool:
        if _is_steep(iteration, bound):
            return False
        if _is_far_within(iteration, bound):
            return True
        if (plane := _plane(iteration)) is None:
            surely = (*iteration.gains[:-1], *(max(gain, iteration.rounding) for gain in iteration.gains[-1:]))
            return _is_still(iteration.secants) or bool(surely and _tail(surely[-1], contraction(surely)) <= bound)
        if iteration.gains and not _is_consistent(iteration, plane):
            return False
        return MARGIN * _left(plane, SLOW) <= bound

    def _bound(self, iteration: Iteration) -> float:
        return max(self.tol, iteration.rounding)


def contraction(gains: tuple[float, ...]) -> float:
    """ρ from the last three gains; NaN if there are not three, or no gain to divide by."""
    if len(gains) < 3 or min(gains[-3:-1]) <= 0:
        return nan
    before, now = gains[-2] / gains[-3], max(gains[-1], 0.0) / gains[-2]
    return now * max(1.0, now / before)


def _tail(gain: float, ratio: float) -> float:
    """g ρ + g ρ² + …: what remains after a gain g."""
    return gain * ratio / (1 - ratio) if ratio < 1 else (inf if ratio >= 1 else nan)


def _left(plane: Plane, slow: float) -> float:
    """What a plane tells of what is left; twice that where its rate is beyond `slow`."""
    return plane.remaining(SLOWEST) * (2 if plane.rate > slow else 1)


def _plane(iteration: Iteration, fewest: int = FEWEST) -> Plane | None:
    """What the scores tell of the objective near the newest point; None where that is nothing."""
    secants: Secants | None = iteration.secants
    return None if secants is None or len(secants) < fewest else secants.plane


def _is_far_within(iteration: Iteration, bound: float) -> bool:
    """Whether the first EM steps of a fit say that it began at its limit."""
    secants: Secants | None = iteration.secants
    if not iteration.gains or iteration.index > FEWEST - 1 or secants is None or len(secants) != 2:
        return False
    before, now = secants.slopes
    within = (1 - SLOWEST) * bound / FAR_WITHIN
    if max(abs(before), abs(now)) <= LOST * within:
        return True
    plane = _plane(iteration, 2)
    if plane is None or not 0 <= now < before:
        return False
    return bool(now <= within and MARGIN * _left(plane, SLOW) <= bound)


def _is_steep(iteration: Iteration, bound: float) -> bool:
    """Whether one EM step promises more than the bound: cheaper to know than what is left."""
    secants: Secants | None = iteration.secants
    return secants is not None and len(secants) >= FEWEST and secants.slope > bound


def _is_stuck(iteration: Iteration) -> bool:
    """Whether an EM step fell until it was so short that it gained no more than rounding; noise is another matter."""
    damped = iteration.step is Step.DAMPED and iteration.gain <= iteration.rounding
    return damped and iteration.expectation.noise == 0


def _promises_nothing(iteration: Iteration, bound: float) -> bool:
    """Whether the score says that an EM step gains no more than the bound."""
    secants: Secants | None = iteration.secants
    return secants is not None and len(secants) > 0 and bool(abs(secants.slope) <= bound)


def _is_consistent(iteration: Iteration, plane: Plane) -> bool:
    """Whether the slope ½ s·f fell in the last plain step as fast as the rate tells: else a slow direction comes up."""
    before, now = iteration.secants.slopes[-2:]
    return bool(now <= CONSISTENT * plane.rate**2 * before)


def _is_still(secants: Secants | None) -> bool:
    """Whether EM leads nowhere from the newest point."""
    return secants is not None and len(secants) > 0 and not secants.steps[-1].any()
