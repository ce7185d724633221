"""EM at first, and L-BFGS with EM's metric near the optimum (Jamshidian and Jennrich 1997; Nocedal 1980)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
from ..em import Acceleration, Trial
from ..secants import Secants


@dataclass(frozen=True)
class LbfgsState:
    """The points seen, how far a proposal may reach in lengths of an EM step, and whether L-BFGS has taken over."""

    secants: Secants
    reach: float
    handed_over: bool = False
    shortened: bool = False


@dataclass(frozen=True)
class Lbfgs(Acceleration):
    """Near the optimum propose θ - H g, with H the inverse Hessian of BFGS from the last pairs (x, y) of moves and
    changes of the gradient g = -s, and from H₀ = C⁻¹, the metric of EM.

    C is never formed: H₀ meets nothing but the score and its changes, and C⁻¹ s is the EM step, C⁻¹ Δs its change.
    This is the hybrid of Jamshidian and Jennrich (1997, Journal of the Royal Statistical Society B 59, section 4),
    with a memory instead of a matrix.

    Attributes
    ----------
    memory : int
        Pairs remembered.
    near : float
        EM hands over where its next step promises a gain below this, in units of the log-likelihood.
    reach : float
        How many EM steps long a proposal may be at first; it grows fourfold where it was reached.
    """

    memory: int = 10
    near: float = 1.0
    reach: float = 4.0

    def init(self, theta: FloatArray) -> LbfgsState:
        return LbfgsState(Secants.none(len(theta)), self.reach)

    def describe(self, state: LbfgsState) -> str:
        return "L-BFGS in EM's metric after EM" if state.handed_over else "plain EM: L-BFGS had no turn"

    def propose(self, trial: Trial, state: LbfgsState) -> tuple[FloatArray | None, LbfgsState]:
        known = state.secants if trial.accepted else state.secants.last(1)
        secants = known.seen(trial.theta, trial.em_theta - trial.theta, trial.score(), self.memory)
        reach = state.reach * 4 if state.shortened else state.reach
        reach = reach if trial.accepted else max(1.0, state.reach / 4)
        near = state.handed_over or 0 < secants.slope < self.near
        if not near or len(secants) < 2:
            return None, LbfgsState(secants, reach, state.handed_over)
        step, unit = _direction(secants), float(np.linalg.norm(secants.steps[-1]))
        size = float(np.linalg.norm(step))
        share = min(1.0, reach * unit / size) if size > 0 else 1.0
        if not step @ secants.scores[-1] > 0:
            return None, LbfgsState(secants, reach, handed_over=True)
        return trial.theta + share * step, LbfgsState(secants, reach, handed_over=True, shortened=share < 1)


def _direction(secants: Secants) -> FloatArray:
    """-H g by the two loops of Nocedal (1980), every vector beside its product with H₀."""
    moves, changes = np.diff(secants.points, axis=0), -np.diff(secants.scores, axis=0)
    images = -np.diff(secants.steps, axis=0)
    pairs = [i for i in range(len(moves)) if moves[i] @ changes[i] > 0]
    left, image = -secants.scores[-1], -secants.steps[-1]
    shares = {}
    for i in reversed(pairs):
        shares[i] = moves[i] @ left / (moves[i] @ changes[i])
        left, image = left - shares[i] * changes[i], image - shares[i] * images[i]
    for i in pairs:
        image = image + moves[i] * (shares[i] - changes[i] @ image / (moves[i] @ changes[i]))
    return np.asarray(-image)
