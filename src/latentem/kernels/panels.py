"""Panels of Gauss–Legendre nodes for ∫ exp(g) of many units at once, halved until each is fine enough.

A panel is fine when the Legendre coefficients of the density on it have died away: the error then is about their
square.  Behind the last floating-point numbers before an end, the mass is closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from .line_densities import LEVEL, Brackets, Integrand, Modes, log_sum, tops

ORDER = 16
TOLERANCE = 1e-12
# Weights below it are dropped.
NEGLIGIBLE = 1e-18
# A first panel about a mode goes to this many of its widths.
FIRST = 4.5
ROUNDS, MOST_PANELS = 64, 600
# Widths of panels against their t (at least 1e-3), below which places are no longer told apart.
NARROWEST = 1e-14
# Where the coefficients are flat and this small against the density on the panel, they are its rounding error.
ROUNDED = 1e-8

_X, _W = np.polynomial.legendre.leggauss(ORDER)
_VANDERMONDE = np.polynomial.legendre.legvander(_X, ORDER - 1)
_TO_COEFFICIENTS = (_VANDERMONDE * _W[:, None]).T * (np.arange(ORDER) + 0.5)[:, None]
# A break between the outermost node and the end of a panel shows at places this near to the ends.
_GAP = 1 - _X[-1]
_ENDS = np.array([-1 + 1e-6, 1 - 1e-6])
_PLACES = np.concatenate([_X, _ENDS])
_SLOPES = np.polynomial.legendre.legval(_PLACES, np.polynomial.legendre.legder(np.eye(ORDER))).T @ _TO_COEFFICIENTS
_AT_ENDS = np.polynomial.legendre.legvander(_ENDS, ORDER - 1).T


@dataclass(frozen=True)
class Nodes:
    """Where the units' densities are evaluated, and what the integrals are.

    Attributes
    ----------
    unit, u : (m,)
        Unit and place of each node; the nodes of a unit are adjacent.
    log_weights : (K, m)
        Logarithms of quadrature weight times density: exp of them adds up to the integrals.
    log_integral : (n,)
        NaN where the density is not a number where its mass is, +inf where the integral diverges.
    error : (n,)
        Estimated relative errors of the integrals.
    """

    unit: Array
    u: FloatArray
    log_weights: FloatArray
    log_integral: FloatArray
    error: FloatArray


@dataclass(frozen=True)
class Edges:
    """Places t of units, in any order, between which panels lie."""

    unit: Array
    t: FloatArray

    def panels(self) -> tuple[Array, FloatArray, FloatArray]:
        """Unit and ends of the panels between adjacent edges."""
        order = np.lexsort((self.t, self.unit))
        unit, t = self.unit[order], self.t[order]
        inner = (unit[1:] == unit[:-1]) & (t[1:] > t[:-1])
        return unit[:-1][inner], t[:-1][inner], t[1:][inner]


def cut(integrand: Integrand, modes: Modes, brackets: Brackets) -> tuple[FloatArray, FloatArray, Edges]:
    """Where the mass of each unit begins and ends, (n,) each, and edges of panels in between."""
    n = len(integrand.limits[0])
    units, places, ends = [modes.unit], [modes.t], []
    for sign in (-1.0, 1.0):
        unit, t = _walked(integrand, modes, sign)
        end = np.full(n, -np.inf)
        np.maximum.at(end, unit, sign * t)
        units.append(unit)
        places.append(t)
        ends.append(sign * end)
    units.append(brackets.break_unit)
    places.append(integrand.coordinates.of(brackets.break_unit, brackets.breaks))
    unit, t = np.concatenate(units), np.concatenate(places)
    inside = (t >= ends[0][unit]) & (t <= ends[1][unit])
    return ends[0], ends[1], Edges(unit[inside], t[inside])


def _walked(integrand: Integrand, modes: Modes, sign: float) -> tuple[Array, FloatArray]:
    """From every mode outwards in doubling steps, until the density is negligible or the line ends: the steps taken."""
    limit, top = integrand.limits[0 if sign < 0 else 1], tops(modes, len(integrand.limits[0]))
    unit, begin, step = modes.unit, modes.t, np.maximum(FIRST * modes.width, 1e-13)
    units, places = [unit[:0]], [begin[:0]]
    while len(unit):
        t = sign * np.minimum(sign * (begin + sign * step), sign * limit[unit])
        units.append(unit)
        places.append(t)
        goes_on = (t != limit[unit]) & (integrand.total(unit, t) > top[unit] - LEVEL)
        unit, begin, step = unit[goes_on], begin[goes_on], 2 * step[goes_on]
    return np.concatenate(units), np.concatenate(places)


@dataclass(frozen=True)
class Tail:
    """The mass behind the last numbers before an end, where the density in t is exponential: one node at its mean."""

    unit: Array
    u: FloatArray
    log_weights: FloatArray
    error: FloatArray

    @classmethod
    def behind(cls, integrand: Integrand, modes: Modes, side: int, end: FloatArray) -> Tail:
        limit, sign = integrand.limits[side], (-1.0, 1.0)[side]
        top = tops(modes, len(limit))
        unit = np.flatnonzero(end == limit)
        unit = unit[integrand.total(unit, limit[unit]) > top[unit] - LEVEL]
        t = limit[unit]
        rates, log_density = _exponential(integrand, unit, t, side)
        log_mass = np.where(np.isneginf(log_density), -np.inf, log_density - np.log(rates[0]))
        log_mass = np.where((rates[0] <= 0) & np.isfinite(log_density), np.inf, log_mass)
        heaviest = np.take_along_axis(rates[0], log_density.argmax(axis=0)[None], 0)[0]
        beyond = t + sign * np.minimum(1 / heaviest, 7.5)
        at = np.where(np.isfinite(integrand.total(unit, beyond)), beyond, t)
        error = np.nan_to_num(np.fmax.reduce(np.abs(rates[1] / rates[0] - 1), axis=0), nan=0.0)
        return cls(unit, integrand.coordinates.place(unit, at)[0], log_mass, error)


def _exponential(integrand: Integrand, unit: Array, t: FloatArray, side: int) -> tuple[FloatArray, FloatArray]:
    """Rates (2, K, m) at which the parts die away behind t, from differences one and two steps inward; log densities.

    Slopes are taken in the logarithm y of the exact distance between the rounded places and the end.
    """
    coordinates, sign = integrand.coordinates, (-1.0, 1.0)[side]
    ends = (coordinates.low[unit], coordinates.high[unit])
    end, other = ends[side], ends[1 - side]
    finite = np.isfinite(end)
    anchor = np.where(finite, end, np.where(np.isfinite(other), other, coordinates.centre[unit]))
    y: list[FloatArray] = []
    values: list[FloatArray] = []
    for inward in (4.0, 2.0, 0.0):
        u, short, jacobian = coordinates.place(unit, t - sign * inward)
        y.insert(0, np.where(finite, 1.0, -1.0) * np.log(np.abs(u - anchor)))
        values.insert(0, integrand.log_density(unit, u))
    there = np.isfinite(values[0])
    slopes = [np.where(there, (values[0] - values[i]) / (y[0] - y[i]), 0.0) for i in (1, 2)]
    rates = np.stack([slope + np.where(finite, 1.0, -1.0) for slope in slopes])
    return rates, values[0] - sign * slopes[0] * np.where(finite, short, 0.0) + jacobian


class _Settled:
    """Nodes of the panels that are fine enough, with what the units' integrals come to so far."""

    def __init__(self, modes: Modes, n: int) -> None:
        self.log_integral, self.error, self.peak = np.full(n, -np.inf), np.zeros(n), tops(modes, n)
        self.failed, self.count = np.zeros(n, bool), np.zeros(n, int)
        self.tolerance = np.full(n, TOLERANCE)
        np.maximum.at(self.tolerance, modes.unit, TOLERANCE + 16 * np.finfo(float).eps * np.abs(modes.value))
        self.parts: list[tuple[Array, FloatArray, FloatArray]] = []

    def add(self, unit: Array, u: FloatArray, log_weights: FloatArray) -> None:
        """Nodes and their weights."""
        self.parts.append((unit, u, log_weights))
        self.log_integral = np.logaddexp(self.log_integral, _by_unit(unit, log_sum(log_weights), len(self.error)))

    def take(self, unit: Array, panels: _Panels, width: FloatArray) -> Array:
        """Add the panels that are fine enough, or cannot be made so; which ones these are, (P,) bool."""
        np.maximum.at(self.peak, unit, panels.top)
        np.add.at(self.count, unit, 1)
        node = np.repeat(unit, ORDER)
        whole = np.logaddexp(self.log_integral, _by_unit(node, log_sum(panels.log_weights), len(self.error)))
        error = np.where(np.isfinite(panels.top), np.exp(panels.error - whole[unit]), 0.0)
        given_up = panels.rounded | (width <= NARROWEST) | (self.count[unit] > MOST_PANELS)
        fine = (error <= self.tolerance[unit]) | given_up
        np.add.at(self.error, unit[fine], error[fine])
        nan = np.isnan(panels.u).reshape(-1, ORDER).any(axis=1) & (panels.top > self.peak[unit] - 30)
        self.failed[unit[fine & nan]] = True
        chosen = np.repeat(fine, ORDER)
        self.add(node[chosen], panels.u[chosen], panels.log_weights[:, chosen])
        return fine


def refined(integrand: Integrand, modes: Modes, edges: Edges, tails: list[Tail]) -> Nodes:
    """The nodes of tails and panels, panels halved until each is fine enough."""
    settled = _Settled(modes, len(integrand.limits[0]))
    for tail in tails:
        settled.add(tail.unit, tail.u, tail.log_weights)
    unit, left, right = edges.panels()
    for _ in range(ROUNDS):
        if not len(unit):
            break
        width = (right - left) / np.maximum(np.maximum(np.abs(left), np.abs(right)), 1e-3)
        open_ = ~settled.take(unit, _Panels.evaluated(integrand, unit, left, right), width)
        unit, left, right = _halves(unit[open_], left[open_], right[open_])
    for tail in tails:
        share = np.exp(log_sum(tail.log_weights) - settled.log_integral[tail.unit])
        np.add.at(settled.error, tail.unit, np.nan_to_num(tail.error * share, posinf=0.0))
    return _gathered(settled)


def _halves(unit: Array, left: FloatArray, right: FloatArray) -> tuple[Array, FloatArray, FloatArray]:
    middle = 0.5 * (left + right)
    return np.tile(unit, 2), np.concatenate([left, middle]), np.concatenate([middle, right])


@dataclass(frozen=True)
class _Panels:
    """Panels (P,) with their nodes: u (16 P,), NaN where the density is; log weights (K, 16 P); logarithms of estimated
    errors and of the largest densities; and whether only rounding is left of the error."""

    u: FloatArray
    log_weights: FloatArray
    error: FloatArray
    top: FloatArray
    rounded: Array

    @classmethod
    def evaluated(cls, integrand: Integrand, unit: Array, left: FloatArray, right: FloatArray) -> _Panels:
        half = 0.5 * (right - left)
        t = (0.5 * (left + right)[:, None] + half[:, None] * _PLACES).ravel()
        units = np.repeat(unit, len(_PLACES))
        u, short, jacobian = integrand.coordinates.place(units, t)
        logs = integrand.log_density(units, u)
        u = np.where(np.isnan(logs).any(axis=0), np.nan, u).reshape(-1, len(_PLACES))[:, :ORDER].ravel()
        panels = _corrected(logs.reshape(len(logs), -1, len(_PLACES)), short.reshape(-1, len(_PLACES)), half)
        panels = panels + jacobian.reshape(panels.shape[1:])
        panels = np.where(np.isnan(panels), -np.inf, panels)
        nodes, top = panels[..., :ORDER], panels.max(axis=(0, 2))
        error, rounded = _errors(panels, np.where(np.isfinite(top), top, 0.0))
        log_weights = (nodes + np.log(half[:, None] * _W)).reshape(len(logs), -1)
        return cls(u, log_weights, np.log(2 * half * error) + top, top, rounded)


def _errors(logs: FloatArray, top: FloatArray) -> tuple[FloatArray, Array]:
    """Errors of the means over panels (P,), in units of exp(top), and whether they are but rounding, from log densities
    (K, P, 18) at the nodes and close to the ends.

    The Legendre coefficients of degree 12 to 15 bound the error.  Where they die away as an analytic function's do, of
    the density and of its logarithm (which shows a break even where the density is small), the error dies away likewise
    from there to degree 32.  A function that misses its interpolant at an end has a break beside it.
    """
    density = np.exp(logs - top[:, None])
    last, middle, missed = _died_away(density)
    log_last, log_middle, log_missed = _died_away(logs)
    floor = 1e-9 * (1 + np.abs(logs).max(axis=-1))
    smooth = log_last <= np.maximum(floor, 1e-2 * log_middle)
    ratio = last / np.maximum(middle, 1e-300)
    inside = last * np.where(smooth & (ratio < 1e-2), ratio * ratio, 1.0)
    continuous = np.where(np.isfinite(log_missed), log_missed <= 30 * log_last + floor, missed <= 30 * last)
    beside = np.where(continuous, 0.0, missed * _GAP)
    rounded = smooth & continuous & (np.maximum(last, missed) <= ROUNDED)
    flat = (rounded & (ratio > 0.05)).any(axis=0) & (rounded | (inside == 0)).all(axis=0)
    return np.maximum(inside, beside).max(axis=0), flat


def _died_away(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Largest Legendre coefficients of degree 12 to 15, and 4 to 7, and what the values at the ends differ by."""
    coefficients = values[..., :ORDER] @ _TO_COEFFICIENTS.T
    sizes = np.abs(coefficients)
    missed = np.abs(values[..., ORDER:] - coefficients @ _AT_ENDS).max(axis=-1)
    return sizes[..., 12:].max(axis=-1), sizes[..., 4:8].max(axis=-1), missed


def _corrected(panels: FloatArray, short: FloatArray, half: FloatArray) -> FloatArray:
    """Log densities (K, P, 18) at the places meant, not at the rounded ones (`short` of them), by their slopes."""
    result = panels
    for _ in range(3):
        change = result[..., :ORDER] @ _SLOPES.T / half[:, None] * short
        change = np.where(np.isfinite(change) & (np.abs(change) < 0.1), change, 0.0)
        result = panels + change
        if np.abs(change).max(initial=0.0) < 1e-10:
            break
    return result


def _by_unit(unit: Array, logs: FloatArray, n: int) -> FloatArray:
    """log Σ exp over the nodes of each unit, (n,)."""
    peak = np.full(n, -np.inf)
    np.maximum.at(peak, unit, logs)
    shift = np.where(np.isfinite(peak), peak, 0.0)
    total = np.log(np.bincount(unit, np.exp(logs - shift[unit]), minlength=n)) + shift
    return np.where(np.isposinf(peak), np.inf, total)


def _gathered(settled: _Settled) -> Nodes:
    unit, u = (np.concatenate([part[i] for part in settled.parts]) for i in (0, 1))
    log_weights = np.concatenate([part[2] for part in settled.parts], axis=1)
    log_integral = np.where(settled.failed, np.nan, settled.log_integral)
    share = log_sum(log_weights) - log_integral[unit]
    kept = np.flatnonzero((share > np.log(NEGLIGIBLE)) & np.isfinite(u) & np.isfinite(log_integral[unit]))
    kept = kept[np.lexsort((u[kept], unit[kept]))]
    return Nodes(unit[kept], u[kept], log_weights[:, kept], log_integral, np.minimum(settled.error, 1.0))
