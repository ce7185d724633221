"""Log joints cut into pieces of one mode each, smoothly, so that each has a frame of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ...._typing import Array, FloatArray
from .frames import Frames
from .modes import Modes, mirrored, modes_of
from .units import Units

# Another mode makes a piece of its own unless it is lower by more than this, or closer than this to the first, measured
# in standard deviations.
LOWEST, CLOSEST = 40.0, 0.1


@dataclass(frozen=True)
class Pieces:
    """f = Σ f φᵢ / Σ φ, the sum over the modes of f, with φᵢ the normal densities that have f's modes and curvatures.

    Attributes
    ----------
    units, states : (m,) int
        The problem that each piece is of: first a piece of each problem, in the order of `Units.problems`.
    rivals : Modes
        The other mode of the problem, where there is one.
    has_rival : (m,) bool
    frames : Frames
        Of the pieces.
    """

    units: Array
    states: Array
    rivals: Modes
    has_rival: Array
    frames: Frames

    @classmethod
    def of(cls, units: Units, two_modes: bool) -> Self:
        """The pieces of all problems, with their frames; second modes are searched only where there may be any."""
        of, states = units.problems()
        first = second = modes_of(units, of, states)
        if two_modes:
            first, second = mirrored(units, of, states, first)
        divided = _separate(first, second)
        where = np.concatenate([np.arange(len(of)), np.flatnonzero(divided)])
        has_rival = divided[where]
        swapped = np.arange(len(where)) >= len(of)
        centres = first.taken(where).or_where(swapped, second.taken(where))
        rivals = second.taken(where).or_where(swapped, first.taken(where))
        # The frames are found with the pieces that they belong to.
        bare = cls(of[where], states[where], rivals, has_rival, Frames.plain(centres))

        def drop(which: Array, u: FloatArray) -> FloatArray:
            joint = units.values(bare.units[which], bare.states[which], u)
            fall = centres.value[which] - joint - bare.taken(which).log_share(u[:, None])[:, 0]
            return np.where(np.isnan(fall), np.inf, fall)

        return replace(bare, frames=Frames.about(centres, drop))

    def taken(self, which: Array) -> Pieces:
        """Some of the pieces."""
        return Pieces(
            self.units[which],
            self.states[which],
            self.rivals.taken(which),
            self.has_rival[which],
            self.frames.taken(which),
        )

    def log_share(self, u: FloatArray) -> FloatArray:
        """log φᵢ / Σ φ at u (m, J, d), (m, J): 0 for the only piece of a problem."""
        result = np.zeros(u.shape[:2])
        which = np.flatnonzero(self.has_rival)
        if len(which):
            own, other = (_log_normal(modes.taken(which), u[which]) for modes in (self.frames.modes, self.rivals))
            result[which] = -np.logaddexp(0.0, other - own)
        return result


def _separate(first: Modes, second: Modes) -> Array:
    """Whether modes are two, and the second one matters beside the first."""
    known = np.isfinite(first.value) & np.isfinite(second.value)
    with np.errstate(invalid="ignore"):
        low = first.value - second.value > LOWEST
    away = np.einsum("mij,mj->mi", np.linalg.inv(first.root), second.at - first.at)
    return np.asarray(known & ~low & (np.abs(away).max(axis=1) > CLOSEST))


def _log_normal(modes: Modes, u: FloatArray) -> FloatArray:
    """Log of the normal densities about modes, with their heights, at u (m, J, d)."""
    t = np.einsum("mij,mkj->mki", np.linalg.inv(modes.root), u - modes.at[:, None])
    return np.asarray(modes.value[:, None] - 0.5 * np.sum(t**2, axis=2))
