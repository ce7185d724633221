"""Nodes and weights for ∫ exp(g) of many one-dimensional densities at once, each to the accuracy of rounding.

Every unit has a coordinate t of its own on the whole line: the logarithm of the distance to an end of its range, the
logit between two ends, or arsinh about the mode where the range has no ends.  Algebraic singularities at the ends and
heavy tails are exponentials there.  About the modes the line is cut into panels of 16 Gauss–Legendre nodes, which are
halved until the Legendre coefficients of the density on them have died away (the error then is about their square).
Behind the last floating-point numbers before an end the density is a power of the distance: that mass is closed form.
"""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from .line_densities import (  # found beside `adaptive_nodes`
    LEVEL,
    Brackets as Brackets,
    Coordinates,
    Integrand,
    LogDensity,
    Modes,
    first_of,
    log_sum as log_sum,
    tops,
)
from .panels import Nodes as Nodes, Tail, cut, refined

CLIMBS = 48

# Where a bracket of a mode is looked into: no symmetry, so that no place comes twice.
_INSIDE = (np.arange(6) + 0.57) / 6.1


def adaptive_nodes(log_density: LogDensity, low: FloatArray, high: FloatArray, brackets: Brackets) -> Nodes:
    """Nodes and weights for the integrals of exp(log density) over (low, high) of each unit.

    Parameters
    ----------
    log_density : callable
        (units (m,), u (m,)) → (K, m); -inf where a part is zero.
    low, high : (n,)
        Ends of the units' ranges, which may be infinite.
    brackets : Brackets
        At least one for each unit that has mass; units without any have integral 0.

    Returns
    -------
    Nodes
    """
    with np.errstate(all="ignore"):
        n = len(low)
        best = first_of(brackets.unit, np.argsort(brackets.unit, kind="stable"), n)
        centre = np.where(best >= 0, brackets.at[best] if len(brackets.at) else 0.0, np.nan)
        rough = Integrand(log_density, Coordinates(low, high, centre, np.maximum(1.0, np.abs(centre))))
        modes = _climbed(rough, brackets)
        integrand, modes = _recentred(rough, modes)
        left, right, edges = cut(integrand, modes, brackets)
        tails = [Tail.behind(integrand, modes, side, end) for side, end in ((0, left), (1, right))]
        return refined(integrand, modes, edges, tails)


def _climbed(integrand: Integrand, brackets: Brackets) -> Modes:
    """The modes within the brackets, narrowed down until the density falls by little from one place to the next."""
    coordinates, unit = integrand.coordinates, brackets.unit
    low, high = integrand.limits
    t = np.stack([coordinates.of(unit, u) for u in (brackets.left, brackets.at, brackets.right)])
    t = np.clip(t, low[unit], high[unit])
    value = integrand.total(np.tile(unit, 3), t.ravel()).reshape(t.shape)
    open_ = np.arange(len(unit))
    for _ in range(CLIMBS):
        fall = np.max(value[1] - value[[0, 2]], axis=0)[open_]
        small = t[2, open_] - t[0, open_] <= 1e-13 * np.maximum(np.abs(t[1, open_]), 1e-3)
        open_ = open_[~((fall < 2.0) & (t[2, open_] - t[0, open_] < 3.0)) & ~small]
        if not len(open_):
            break
        inside = t[0, open_] + (t[2, open_] - t[0, open_]) * _INSIDE[:, None]
        tried = integrand.total(np.tile(unit[open_], len(_INSIDE)), inside.ravel()).reshape(inside.shape)
        t[:, open_], value[:, open_] = _narrowed(
            np.concatenate([t[:, open_], inside]), np.concatenate([value[:, open_], tried])
        )
    return Modes(unit, t[1], value[1], _width(t, value))


def _narrowed(t: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The highest place of each column and its neighbours on both sides (itself, at the end of the bracket)."""
    order = np.argsort(t, axis=0, kind="stable")
    t, value = np.take_along_axis(t, order, 0), np.take_along_axis(value, order, 0)
    top = value.argmax(axis=0)
    chosen = np.clip(np.stack([top - 1, top, top + 1]), 0, len(t) - 1)
    return np.take_along_axis(t, chosen, 0), np.take_along_axis(value, chosen, 0)


def _width(t: FloatArray, value: FloatArray) -> FloatArray:
    """(-g'')^-½ at the middle one of three places; where it is at the end of the bracket, 1 / |g'|."""
    left, right = t[1] - t[0], t[2] - t[1]
    down, up = value[1] - value[0], value[1] - value[2]
    bend = 2 * (down / left + up / right) / (left + right)
    slope = np.maximum(np.where(left > 0, down / left, 0.0), np.where(right > 0, up / right, 0.0))
    bent = (left > 0) & (right > 0) & np.isfinite(bend)
    width = np.where(bent, 1 / np.sqrt(np.maximum(bend, 1e-2)), 1 / np.maximum(slope, 0.1))
    return np.where(np.isfinite(width) & (width > 0), width, np.maximum(left, right) + 1e-13)


def _recentred(rough: Integrand, modes: Modes) -> tuple[Integrand, Modes]:
    """The coordinates about the highest mode of each unit, and all modes in them."""
    before, n = rough.coordinates, len(rough.coordinates.low)
    modes = _worth_keeping(modes, n)
    best = first_of(modes.unit, np.lexsort((-modes.value, modes.unit)), n)
    some = np.flatnonzero(best >= 0)
    u, _, jacobian = before.place(modes.unit, modes.t)
    scale = modes.width * np.exp(jacobian)
    centre, spread = np.full(n, np.nan), np.ones(n)
    centre[some], spread[some] = u[best[some]], 10 * scale[best[some]]
    integrand = Integrand(rough.log_density, Coordinates(before.low, before.high, centre, spread))
    t = integrand.coordinates.of(modes.unit, u)
    there = integrand.coordinates.place(modes.unit, t)[2]
    return integrand, Modes(modes.unit, t, modes.value - jacobian + there, scale * np.exp(-there))


def _worth_keeping(modes: Modes, n: int) -> Modes:
    """Modes with a share in the mass, each once."""
    top = tops(modes, n)
    high = np.isfinite(modes.value) & (modes.value > top[modes.unit] - LEVEL)
    order = np.lexsort((modes.t, modes.unit))
    order = order[high[order]]
    unit, t, width = modes.unit[order], modes.t[order], modes.width[order]
    twice = np.zeros(len(order), bool)
    twice[1:] = (unit[1:] == unit[:-1]) & (t[1:] - t[:-1] < 1e-3 * np.minimum(width[1:], width[:-1]))
    kept = order[~twice]
    return Modes(modes.unit[kept], modes.t[kept], modes.value[kept], modes.width[kept])
