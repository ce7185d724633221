"""The log joint of units on an unbounded scale, and where its mass is: what proposals of draws are made of.

Coordinates v are unbounded: u = v for a `Normal`, u = a + eᵛ or b - eᵛ for one bound, u = a + (b - a)/(1 + e⁻ᵛ) for
two; densities in v carry the factor |du/dv|.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit

from ...._typing import Array, FloatArray
from ....data import Batch
from ..compiled import Compiled, Values
from .draws import SMALLEST_DRAWS, log_standard_density, second_halves, standard_draws
from .modes import Modes, find_modes
from .points import known_states
from .units import Units

# eᵛ is a number with room to spare.
LARGEST_V = 300.0
# Axes of the approximation are at most so many times as long as the shortest: a density that is flat at its mode is not
# flat everywhere.
LONGEST = 100.0
# A mode whose log density is lower than another's by this is left aside.
MUCH_LOWER, NO_EVIDENCE = 15.0, -1e300
# Where the ascent may start if the density vanishes at v = 0: draws at these scales.
SCALES = (0.5, 2.0, 8.0)


@dataclass(frozen=True)
class Ends:
    """The map from v to u and its derivatives, coordinate by coordinate."""

    low: FloatArray
    high: FloatArray

    @cached_property
    def kinds(self) -> tuple[Array, Array, Array]:
        """(d,) bool each: bounded below only, above only, on both sides."""
        below, above = np.isfinite(self.low), np.isfinite(self.high)
        return below & ~above, above & ~below, below & above

    def inside(self, v: FloatArray) -> FloatArray:
        """u at v (…, d), strictly within the ends."""
        if not any(kind.any() for kind in self.kinds):
            return v
        below, above, both = self.kinds
        u, e = np.array(v), np.exp(np.clip(v, -LARGEST_V, LARGEST_V))
        u[..., below] = self.low[below] + e[..., below]
        u[..., above] = self.high[above] - e[..., above]
        u[..., both] = self.low[both] + (self.high - self.low)[both] * expit(v[..., both])
        return np.clip(u, np.nextafter(self.low, np.inf), np.nextafter(self.high, -np.inf))

    def slopes(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """du/dv and d²u/dv², (…, d)."""
        below, above, both = self.kinds
        first, second, e = np.ones_like(v), np.zeros_like(v), np.exp(np.clip(v, -LARGEST_V, LARGEST_V))
        first[..., below] = second[..., below] = e[..., below]
        first[..., above] = second[..., above] = -e[..., above]
        s = expit(v[..., both])
        first[..., both] = (self.high - self.low)[both] * s * (1 - s)
        second[..., both] = first[..., both] * (1 - 2 * s)
        return first, second

    def log_jacobian(self, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Σ log |du/dv| (…), and its first and second derivatives in each coordinate (…, d)."""
        below, above, both = self.kinds
        value, first, second = (np.zeros_like(v) for _ in range(3))
        one = below | above
        value[..., one], first[..., one] = np.clip(v[..., one], -LARGEST_V, LARGEST_V), 1.0
        w = v[..., both]
        value[..., both] = np.log((self.high - self.low)[both]) - np.logaddexp(0, w) - np.logaddexp(0, -w)
        first[..., both], second[..., both] = 1 - 2 * expit(w), -2 * expit(w) * expit(-w)
        return value.sum(axis=-1), first, second


@dataclass(frozen=True)
class Joint:
    """log joints at points: those of all rows, and their sums over the rows of each unit.

    Attributes
    ----------
    rows, u, values : (m,), (m, d), (L, m)
        As in `Points`; the rows of a unit are adjacent.
    counts : (P,)
        Rows of each node.
    total : (K, P)
        log p(x, k, v) of each node, on the scale of v.
    """

    rows: Array
    u: FloatArray
    values: FloatArray
    counts: Array
    total: FloatArray


@dataclass(frozen=True)
class Target:
    """The log joint of the units of a batch at θ, on the scale of v.

    Attributes
    ----------
    units : Units
    keys : (U,) int
        Number of the first row of each unit in the user's data.
    known : (U,) int or None
        Known states, -1 where unknown.
    ends : Ends
    """

    units: Units
    keys: Array
    known: Array | None
    ends: Ends

    @classmethod
    def of(cls, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Target:
        """The target of the units of a batch: rows or groups, as the model has it."""
        units, space = Units.of(functions, theta, x, batch), functions.space
        starts = units.offsets[:-1]
        keys = batch.first_row + starts if batch.rows is None else np.asarray(batch.rows)[starts]
        free = np.full(space.dimension, np.inf)
        low, high = (-free, free) if space.bounds is None else space.bounds
        return cls(units, keys, known_states(batch, units.per_group), Ends(low, high))

    def at(self, theta: Values) -> Target:
        """The same units at another θ."""
        return replace(self, units=replace(self.units, theta=theta))

    def joint(self, units: Array, v: FloatArray) -> Joint:
        """log joints of all states at the nodes v (P, d) of units (P,)."""
        rows, counts = self.units.rows(units)
        u = np.repeat(self.ends.inside(v), counts, axis=0)
        values = self.units.functions.values(self.units.theta, self.units.x[rows], u)
        with np.errstate(invalid="ignore"):
            total = self.units.total(values.T, counts).T + self.ends.log_jacobian(v)[0]
        return Joint(rows, u, values, counts, total)

    def derivatives(self, units: Array, states: Array, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log p(x, k, v) of one state for each node, (P,), its gradient (P, d) and Hessian (P, d, d) in v."""
        value, gradient, hessian = self.units.derivatives(units, states, self.ends.inside(v))
        slope, bend = self.ends.slopes(v)
        log_size, first, second = self.ends.log_jacobian(v)
        with np.errstate(invalid="ignore", over="ignore"):
            hessian = hessian * slope[:, :, None] * slope[:, None, :]
            hessian += np.eye(v.shape[1]) * (gradient * bend + second)[:, None, :]
            return value + log_size, gradient * slope + first, hessian


@dataclass(frozen=True)
class Proposal:
    """Where the posterior of z is, for each unit and state: about two modes, v = centre + factor ξ.

    ξ comes from `standard_draws`.  The second mode is the one found from the mirror image of the first (densities may
    leave the sign of z open); most often it is the same.

    Attributes
    ----------
    centre : (U, K, 2, d)
        Modes.
    factor : (U, K, 2, d, d)
        A square root of (-H)⁻¹, H the Hessian of the log joint at the mode.
    inverse : (U, K, 2, d, d)
        Its inverse.
    log_size : (U, K, 2)
        log |det factor|.
    height : (U, K, 2)
        Log joint at the mode.
    """

    centre: FloatArray
    factor: FloatArray
    inverse: FloatArray
    log_size: FloatArray
    height: FloatArray

    @classmethod
    def of(cls, target: Target) -> Proposal:
        """At the modes of the target; where it is nowhere finite, at v = 0."""
        n, k, d = len(target.units), target.units.n_states, target.units.dimension
        parts = [_approximation(found) for found in _two_modes(target)]
        shapes = ((d,), (d, d), (d, d), (), ())
        arrays = (np.stack(pair, axis=1) for pair in zip(*parts, strict=True))
        return cls(*(array.reshape(n, k, 2, *shape) for array, shape in zip(arrays, shapes, strict=True)))

    @property
    def log_evidence(self) -> FloatArray:
        """Laplace's approximation to log p(x, k), up to a constant, (U, K)."""
        each = self.height + self.log_size
        return np.asarray(np.logaddexp.reduce(np.where(np.isfinite(each), each, NO_EVIDENCE), axis=-1))

    def draw(self, seed: int, keys: Array, draws: int) -> tuple[FloatArray, FloatArray]:
        """Nodes v (U, K, draws, d) and the log densities (U, K, draws) that they were drawn from."""
        k, d = self.centre.shape[1], self.centre.shape[-1]
        v = np.stack([standard_draws(seed, state, keys, draws, d) for state in range(k)], axis=1)
        second = second_halves(draws)
        for mode, of_mode in enumerate((~second, second)):
            away = np.einsum("ukij,ukmj->ukmi", self.factor[:, :, mode], v[:, :, of_mode])
            v[:, :, of_mode] = self.centre[:, :, mode, None] + away
        return v, log_density(v, self.centre[:, :, None], self.inverse[:, :, None], self.log_size[:, :, None])


def log_density(v: FloatArray, centre: FloatArray, inverse: FloatArray, log_size: FloatArray) -> FloatArray:
    """log of ½ q₁ + ½ q₂ at v (…, d), for two modes (…, 2, d), (…, 2, d, d), (…, 2); shapes broadcast."""
    standard = np.einsum("...cij,...cj->...ci", inverse, v[..., None, :] - centre)
    each = log_standard_density(np.sum(standard**2, axis=-1), v.shape[-1]) - log_size
    return np.asarray(np.logaddexp(each[..., 0], each[..., 1]) - np.log(2.0))


def _two_modes(target: Target) -> tuple[Modes, Modes]:
    """The modes of all pairs of unit and state; one that is much lower than the other is replaced by it."""
    n, k = len(target.units), target.units.n_states
    units, states = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)

    def derivatives(which: Array, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return target.derivatives(units[which], states[which], v)

    found = find_modes(derivatives, _starts(target, units, states))
    mirrored = find_modes(derivatives, -found.at)
    with np.errstate(invalid="ignore"):
        gap = np.where(np.isfinite(mirrored.value), mirrored.value - found.value, -np.inf)
    return found.or_where(gap > MUCH_LOWER, mirrored), mirrored.or_where(~(gap >= -MUCH_LOWER), found)


def _approximation(found: Modes) -> tuple[FloatArray, ...]:
    """Centre, factor, its inverse, log |det| and height, of one mode for each pair of unit and state."""
    sizes, axes = np.linalg.eigh(found.root)
    sizes = np.minimum(sizes, LONGEST * sizes[:, :1])
    inverse = np.swapaxes(axes / sizes[:, None, :], 1, 2)
    return found.at, axes * sizes[:, None, :], inverse, np.log(sizes).sum(axis=1), found.value


def _starts(target: Target, units: Array, states: Array) -> FloatArray:
    """v = 0, or where the density vanishes there the likeliest of some points at several scales."""
    d = target.units.dimension
    v = np.zeros((len(units), d))
    here = target.derivatives(units, states, v)[0]
    lost = np.flatnonzero(~np.isfinite(here))
    if not len(lost):
        return v
    drawn = standard_draws(0, 0, np.zeros(1, int), SMALLEST_DRAWS, d)[0]
    tried = np.concatenate([scale * drawn for scale in SCALES])
    nodes = np.tile(tried, (len(lost), 1))
    found = target.joint(np.repeat(units[lost], len(tried)), nodes).total
    values = found[np.repeat(states[lost], len(tried)), np.arange(len(nodes))].reshape(len(lost), -1)
    values = np.where(np.isfinite(values), values, -np.inf)
    best = np.argmax(values, axis=1)
    v[lost] = np.where(np.isfinite(values.max(axis=1))[:, None], tried[best], 0.0)
    return v
