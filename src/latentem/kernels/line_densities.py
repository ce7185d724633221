"""Densities on the whole line: coordinates t of units' ranges, exp(g) as a density of t, and its modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray

# log density of units at places u, in parts that add up (states): (units (m,), u (m,)) → (K, m).
LogDensity = Callable[[Array, FloatArray], FloatArray]

# Densities below exp(-LEVEL) of the largest are left out.
LEVEL = 37.0
SMALLEST, LARGEST = 1e-300, 1e300
# Units in the last place of an end, as far as nodes go towards it.
ULPS = 1e4


@dataclass(frozen=True)
class Brackets:
    """Places (p,) at which units are likeliest among some, with their neighbours; and places (b,) of breaks."""

    unit: Array
    left: FloatArray
    at: FloatArray
    right: FloatArray
    break_unit: Array
    breaks: FloatArray


@dataclass(frozen=True)
class Coordinates:
    """t on the line for u in (low, high), 0 at the centre; `spread` scales arsinh where there are no ends; all (n,)."""

    low: FloatArray
    high: FloatArray
    centre: FloatArray
    spread: FloatArray

    def place(self, unit: Array, t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """u(t) as rounded, by how much its own t falls short of t, and log du/dt.

        u is found from whichever is nearest: an end, or the centre; so distances are exact to their own rounding.
        """
        low, high, centre, spread = (array[unit] for array in (self.low, self.high, self.centre, self.spread))
        a, b = centre - low, high - centre
        line = np.isinf(a) & np.isinf(b)
        sign = np.where(np.isinf(a) & ~line, -1.0, 1.0)
        near, far = np.where(sign > 0, a, b), np.where(sign > 0, b, a)
        near = np.where(line, 1.0, near)
        s, ratio = sign * t, np.where(np.isinf(far), 0.0, near / far)
        odds = np.where(ratio > 0, np.exp(s + np.log(np.where(ratio > 0, ratio, 1.0))), 0.0)
        step = sign * near * np.expm1(s) / (1 + odds)
        to_near = np.where(line, np.inf, near * np.exp(s) * (1 + ratio) / (1 + odds))
        to_far = np.where(np.isinf(far), np.inf, far * (1 + ratio) / (1 + odds))
        jacobian = np.log(near * (1 + ratio)) + s - 2 * np.log1p(odds)
        step = np.where(line, spread * np.sinh(t), step)
        jacobian = np.where(line, np.log(spread * np.cosh(np.where(line, t, 0.0))), jacobian)
        to_low, to_high = np.where(sign > 0, to_near, to_far), np.where(sign > 0, to_far, to_near)
        u, chosen, short = _anchored((low, to_low), (centre, step), (high, -to_high))
        short = short * np.exp(-jacobian)
        # Exact where t is the logarithm of the distance from an end, where it matters.
        return u, np.select([chosen == 0, chosen == 2], [-np.log1p(-short), np.log1p(short)], short), jacobian

    def of(self, unit: Array, u: FloatArray) -> FloatArray:
        """t at u."""
        a, b = (self.centre - self.low)[unit], (self.high - self.centre)[unit]
        by = np.clip(u, -LARGEST, LARGEST) - self.centre[unit]
        line = np.isinf(a) & np.isinf(b)
        bounded = np.log1p(np.maximum(by / a, -1.0)) - np.log1p(np.maximum(-by / b, -1.0))
        return np.where(line, np.arcsinh(by / self.spread[unit]), bounded)

    @property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """t as near to the ends as floating-point numbers tell distances from them, (n,) each."""
        a, b = self.centre - self.low, self.high - self.centre
        span = np.log1p(np.where(np.isinf(a) | np.isinf(b), 0.0, a / b))
        back = np.log1p(np.where(np.isinf(a) | np.isinf(b), 0.0, b / a))
        spread = np.where(np.isinf(a) & np.isinf(b), self.spread, 1.0)
        left = np.where(np.isinf(a), -_beyond(b, spread), np.log(_closest(self.low, a)) - np.log(a) - span)
        right = np.where(np.isinf(b), _beyond(a, spread), np.log(b) + back - np.log(_closest(self.high, b)))
        return left, right


@dataclass(frozen=True)
class Modes:
    """Modes in t: unit, place, log density in t and width of each."""

    unit: Array
    t: FloatArray
    value: FloatArray
    width: FloatArray


class Integrand:
    """exp(g) du as a density of t."""

    def __init__(self, log_density: LogDensity, coordinates: Coordinates) -> None:
        self.log_density, self.coordinates = log_density, coordinates
        self.limits = coordinates.limits

    def total(self, unit: Array, t: FloatArray) -> FloatArray:
        """log density of t, summed over the parts; -inf where it is not a number."""
        u, _, jacobian = self.coordinates.place(unit, t)
        value = log_sum(self.log_density(unit, u)) + jacobian
        return np.where(np.isfinite(value), value, -np.inf)


def log_sum(parts: FloatArray) -> FloatArray:
    """log Σ exp over the first axis; NaN where a part is."""
    if len(parts) == 1:
        return parts[0]
    peak = parts.max(axis=0)
    shift = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(all="ignore"):
        return np.asarray(np.log(np.exp(parts - shift).sum(axis=0)) + shift)


def tops(modes: Modes, n: int) -> FloatArray:
    """The largest log densities of the units, -inf without any mode."""
    top = np.full(n, -np.inf)
    np.maximum.at(top, modes.unit, modes.value)
    return top


def first_of(unit: Array, order: Array, n: int) -> Array:
    """The first entry of each unit in that order, -1 without any."""
    found = np.full(n, -1)
    found[unit[order[::-1]]] = order[::-1]
    return found


def _anchored(*anchors: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, Array, FloatArray]:
    """anchor + step for the shortest step, which one it is, and by how much the rounded sum falls short of it."""
    steps = np.stack([step for _, step in anchors])
    chosen = np.abs(steps).argmin(axis=0)[None]
    step = np.take_along_axis(steps, chosen, 0)[0]
    anchor = np.take_along_axis(np.stack([place for place, _ in anchors]), chosen, 0)[0]
    u = anchor + step
    return u, chosen[0], np.where(np.isfinite(u), step - (u - anchor), 0.0)


def _closest(end: FloatArray, distance: FloatArray) -> FloatArray:
    smallest = np.maximum(SMALLEST, ULPS * np.spacing(np.abs(np.where(np.isfinite(end), end, 0.0))))
    return np.minimum(smallest, distance / 16)


def _beyond(scale: FloatArray, spread: FloatArray) -> FloatArray:
    """t at the largest numbers."""
    logarithm = np.where(np.isinf(scale), np.log(2.0) - np.log(spread), -np.log(scale))
    return np.minimum(np.log(LARGEST) + logarithm, 700.0)
