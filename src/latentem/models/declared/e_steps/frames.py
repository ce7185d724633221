"""Coordinates t for each log joint in which it looks like a standard normal one: where quadrature has its nodes.

    u = m + A w(t),    wᵢ(t) = cᵢ [sinh(εᵢ + κᵢ tᵢ) - sinh εᵢ] / (κᵢ cosh εᵢ)

with m the mode and the columns of A the axes of the curvature there, as long as the standard deviations that it
suggests.  The warp w, of slope cᵢ <= 1 at the mode, has the log joint fall by T²/2 at tᵢ = ±T along each axis, as a
normal one does: it stretches and bends where tails are heavier than normal, or unequal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...._typing import Array, FloatArray
from .modes import Modes

# drop(which, u): by how much the log joints of some problems are lower at their u than at their modes.
Drop = Callable[[Array, FloatArray], FloatArray]

REACH = 7.0
FALL = 0.5 * REACH**2
MOST_STEPS, CLOSE = 24, 0.02
# Factors that the search for the ends goes by at most, and how far it follows a tail.
LONGEST, FURTHEST = 8.0, 1e15
# Tails that differ by more than this share of their sum are treated as if by this share.
MOST_UNEQUAL = 0.9


@dataclass(frozen=True)
class Frames:
    """The coordinates of m problems.

    Attributes
    ----------
    modes : Modes
    axes : (m, d, d)
        A.
    slope, skewness, growth : (m, d)
        c, ε and κ.
    endless : (m,) bool
        Whether a log joint does not fall off in some direction.
    """

    modes: Modes
    axes: FloatArray
    slope: FloatArray
    skewness: FloatArray
    growth: FloatArray
    endless: Array

    @classmethod
    def about(cls, modes: Modes, drop: Drop) -> Self:
        """The frames about modes."""
        m, d = modes.at.shape
        possible = np.flatnonzero(np.isfinite(modes.value))
        reach = np.full((m, 2, d), REACH)
        which, sides, axes = (part.ravel() for part in np.meshgrid(possible, (0, 1), np.arange(d), indexing="ij"))
        axes_of = _axes(modes)
        along = np.where(sides == 0, -1.0, 1.0)[:, None] * axes_of[which, :, axes]

        def falls(index: Array, at: FloatArray) -> FloatArray:
            return drop(which[index], modes.at[which[index]] + at[:, None] * along[index])

        reach[which, sides, axes], endless = _reaches(falls, len(which))
        none = np.zeros(m, bool)
        none[which[endless]] = True
        return cls(modes, axes_of, *_warps(reach[:, 0] / REACH, reach[:, 1] / REACH), none)

    @classmethod
    def plain(cls, modes: Modes) -> Self:
        """Frames without warps."""
        zero = np.zeros(modes.at.shape)
        return cls(modes, _axes(modes), zero + 1.0, zero, zero, np.zeros(len(zero), bool))

    def taken(self, which: Array) -> Frames:
        """Those of some of the problems."""
        rest = (part[which] for part in (self.axes, self.slope, self.skewness, self.growth, self.endless))
        return Frames(self.modes.taken(which), *rest)

    def nodes(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """u (m, J, d) of nodes t (J, d), and the log determinants of du/dt (m, J)."""
        at = self.skewness[:, None] + self.growth[:, None] * t
        level, slope = np.cosh(self.skewness)[:, None], np.cosh(at)
        # sinh(a) - sinh(b) = 2 sinh((a-b)/2) cosh((a+b)/2), without cancellation; and sinh(h)/h is 1 at 0.
        half = 0.5 * self.growth[:, None] * t
        w = self.slope[:, None] * t * _sinhc(half) * np.cosh(self.skewness[:, None] + half) / level
        u = self.modes.at[:, None] + np.einsum("mij,mkj->mki", self.axes, w)
        stretch = np.log(self.slope)[:, None] + np.log(slope / level)
        return u, stretch.sum(axis=2) + np.linalg.slogdet(self.axes)[1][:, None]


def _axes(modes: Modes) -> FloatArray:
    lengths, vectors = np.linalg.eigh(modes.root)
    return np.asarray(vectors * lengths[:, None, :])


def _reaches(falls: Callable[[Array, FloatArray], FloatArray], m: int) -> tuple[FloatArray, Array]:
    """Distances at which functions have fallen by `FALL`, by secants on logarithmic scales; and which never do."""
    at, power = np.full(m, REACH), np.full(m, 2.0)
    low, high = np.zeros(m), np.full(m, np.inf)
    before = np.full((2, m), np.nan)
    active = np.arange(m)
    for _ in range(MOST_STEPS):
        fall = falls(active, at[active])
        short = fall < FALL
        low[active[short]], high[active[~short]] = at[active[short]], at[active[~short]]
        with np.errstate(all="ignore"):
            here = np.log(at[active]), np.log(fall / FALL)
            steep = (here[1] - before[1][active]) / (here[0] - before[0][active])
            power[active] = np.clip(np.where(np.isfinite(steep) & (steep > 0), steep, power[active]), 0.05, 50.0)
            by = np.clip(np.exp(-here[1] / power[active]), 1 / LONGEST, LONGEST)
        by = np.where(np.isfinite(here[1]), by, np.where(short, LONGEST, 0.25))
        before[:, active] = here
        settled = np.abs(here[1]) < CLOSE
        proposed = at[active] * by
        left, right = low[active], high[active]
        outside = (proposed <= left) | (proposed >= right)
        between = np.where(left > 0, np.sqrt(left * np.where(np.isfinite(right), right, 1.0)), proposed)
        at[active] = np.where(settled, at[active], np.where(outside, between, proposed))
        active = active[~settled & (at[active] < FURTHEST)]
        if not len(active):
            break
    endless = ~np.isfinite(high) & (at >= FURTHEST)
    return at, endless


def _warps(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """c, ε, κ from how much longer than normal the reaches are to either side.

    w(±T) = ±T · (right, left) is met with k = κT as sinh(k)/k · c = (left + right)/2 and
    tanh ε = r coth(k/2), r = (right - left)/(left + right).
    """
    mean = 0.5 * (left + right)
    unequal = np.clip((right - left) / (left + right), -MOST_UNEQUAL, MOST_UNEQUAL)
    k = np.maximum(_inverse_sinhc(np.maximum(mean, 1.0)), 2 * np.arctanh(np.abs(unequal) / 0.95))
    slope = mean / _sinhc(k)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.arctanh(np.where(k > 0, unequal / np.tanh(0.5 * k), 0.0))
    return slope, skewness, k / REACH


def _sinhc(h: FloatArray) -> FloatArray:
    """sinh(h)/h."""
    near = np.abs(h) < 1e-4
    safe = np.where(near, 1.0, h)
    return np.asarray(np.where(near, 1 + h**2 / 6, np.sinh(safe) / safe))


def _inverse_sinhc(value: FloatArray) -> FloatArray:
    """k >= 0 with sinh(k)/k = value >= 1, by Newton steps on log(sinh(k)/k)."""
    target = np.log(value)
    # log(sinh(k)/k) is k²/6 near 0 and k - log(2k) far out.
    near, far = np.sqrt(6 * target * (1 + 0.2 * target)), target + np.log(2 * target + 2)
    k = np.where(target < 1.5, near, far)
    for _ in range(8):
        safe = np.maximum(k, 1e-6)
        slope = 1 / np.tanh(safe) - 1 / safe
        k = np.maximum(k - (np.log(_sinhc(k)) - target) / np.maximum(slope, 1e-12), 0.0)
    return np.where(target < 1e-10, np.sqrt(6 * target), k)
