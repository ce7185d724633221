"""Adaptive quadrature for one continuous coordinate of z: of censored, truncated and frailty models, and their like.

Where the density of a unit is positive may depend on its data: the log joint is -inf elsewhere.  A coarse scan over the
range of z finds places where it is finite, bisection the ends of its support to the last bit, and `adaptive_nodes`
does the rest, unit by unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....kernels.adaptive_nodes import Brackets, Nodes, adaptive_nodes, log_sum
from ..compiled import Compiled, Values
from .enumeration import impose
from .points import EStep, Points, known_states
from .units import Units, refuse_improper

# Units are done together up to this many rows (times states), and densities up to this many points.
SLAB_ROWS, SLAB_POINTS = 4096, 1 << 19
# Ends of support are looked for where the density beside them comes within this of the largest (log scale).
FAR_BELOW = 1e4
MOST_MODES = 3
MOST_HINTS = 32
# log distances from an end, or of both ends, at which z is tried first; and where no place was found.
_NEAR = np.concatenate([[-8, -7, -6], np.arange(-5, 5.5, 0.5), [6, 7, 8]])
_FAR = 8 * 1.4 ** np.arange(1, 14)
_COARSE = np.concatenate([-_FAR[::-1], _NEAR, _FAR])
_DENSE = np.concatenate([-_FAR[::-1], np.linspace(-40, 40, 3001), _FAR])
# Enough for numbers of any size; those below the smallest count as 0.
_BISECTIONS, _SMALLEST = 100, 1e-300


@dataclass(frozen=True)
class AdaptiveQuadrature(EStep):
    """The posterior of one continuous coordinate, beside any discrete ones, as nodes and weights of each unit's own.

    The relative error of a unit's likelihood is about 1e-12 where its density can be evaluated that well.  A density
    that is nowhere positive gives log-likelihood -inf, and one that is not a number where its mass is gives NaN.

    Modes far narrower than their distance from an end of the range of z (from 0, where there are none), of which there
    are several, and support in such an interval that no entry of the data lies beside, may be missed by the scan.
    """

    @property
    def kind(self) -> str:
        return "adaptive quadrature over z"

    @property
    def approximation(self) -> str | None:
        return "the integrals over z, to a relative error of 1e-10"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """See `EStep.points`.

        Raises
        ------
        DataError
            The integral over z diverges for a unit; its first row is named.
        """
        units = Units.of(functions, theta, x, batch)
        joint = _LogJoint(units, known_states(batch, units.per_group))
        found = _together([_of_slab(joint, slab) for slab in joint.slabs()], units.n_states)
        refuse_improper(batch, units, np.isposinf(found.log_integral))
        rows, lengths = units.rows(found.unit)
        with np.errstate(under="ignore"):
            weights = np.exp(found.log_weights - found.log_integral[found.unit])
        u = np.repeat(found.u, lengths)[:, None]
        errors = np.where(np.isfinite(found.log_integral), found.error, 0.0)
        return Points(
            rows,
            u,
            np.repeat(weights, lengths, axis=1),
            functions.values(theta, x[rows], u),
            found.log_integral,
            float(errors @ batch.unit_weights(units.per_group)),
        )


class _LogJoint:
    """log p(x, z = k, u) of units, each at places u of its own."""

    def __init__(self, units: Units, known: Array | None) -> None:
        self.units, self.known = units, known
        low, high = units.functions.space.bounds or ([-np.inf], [np.inf])
        self.low, self.high = float(low[0]), float(high[0])

    def slabs(self) -> list[Array]:
        """Runs of units with about as many rows each."""
        return _runs(np.arange(len(self.units)), self.units.offsets[1:] * self.units.n_states // SLAB_ROWS)

    def __call__(self, unit: Array, u: FloatArray) -> FloatArray:
        """(K, m) at places (m,) of units (m,)."""
        portion = np.cumsum(self.units.lengths[unit]) * self.units.n_states // SLAB_POINTS
        parts = [self._at(unit[run], u[run]) for run in _runs(np.arange(len(unit)), portion)]
        return np.concatenate([np.empty((self.units.n_states, 0)), *parts], axis=1)

    def _at(self, unit: Array, u: FloatArray) -> FloatArray:
        rows, lengths = self.units.rows(unit)
        of_rows = self.units.functions.values(self.units.theta, self.units.x[rows], np.repeat(u, lengths)[:, None])
        joint = self.units.total(of_rows.T, lengths).T
        impose(None if self.known is None else self.known[unit], joint)
        return joint

    def hints(self, unit: Array) -> FloatArray:
        """Places that the data of units suggest: beside the least and largest entry of each column, and between any."""
        columns = self.units.x[:, : self.units.functions.layout.n_columns]
        starts = self.units.offsets[:-1]
        least, most = (extreme.reduceat(columns, starts, axis=0)[unit] for extreme in (np.fmin, np.fmax))
        values = np.sort(np.hstack([least, most]), axis=1)
        values = values[:, np.linspace(0, values.shape[1] - 1, min(values.shape[1], MOST_HINTS)).astype(int)]
        nudge = 1e-7 * np.maximum(np.abs(values), 1e-7)
        return np.hstack([values - nudge, values + nudge, 0.5 * (values[:, 1:] + values[:, :-1])])


def _runs(index: Array, portion: Array) -> list[Array]:
    """The index cut where the number of the portion changes."""
    return np.split(index, np.flatnonzero(np.diff(portion)) + 1) if len(index) else []


def _together(parts: list[Nodes], n_states: int) -> Nodes:
    none = np.empty(0)
    parts = [Nodes(np.empty(0, int), none, np.empty((n_states, 0)), none, none), *parts]
    return Nodes(
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.u for part in parts]),
        np.concatenate([part.log_weights for part in parts], axis=1),
        np.concatenate([part.log_integral for part in parts]),
        np.concatenate([part.error for part in parts]),
    )


def _of_slab(joint: _LogJoint, slab: Array) -> Nodes:
    """Nodes of a slab's units, with their numbers in the batch."""
    with np.errstate(all="ignore"):
        support = _Support(joint, slab)
        nodes = adaptive_nodes(support.log_density, support.low, support.high, support.brackets())
        log_integral = np.where(support.failed, np.nan, nodes.log_integral)
    kept = np.isfinite(log_integral)[nodes.unit]
    return Nodes(slab[nodes.unit[kept]], nodes.u[kept], nodes.log_weights[:, kept], log_integral, nodes.error)


class _Support:
    """Where the densities of some units are positive, as far as a scan and bisection tell.

    Attributes
    ----------
    low, high : (n,)
        Ends of the support.
    failed : (n,) bool
        Whether the density is nowhere positive and somewhere not a number, or not a number beyond its support.
    """

    def __init__(self, joint: _LogJoint, slab: Array) -> None:
        n = len(slab)
        self.joint, self.slab, self.bounds = joint, slab, (joint.low, joint.high)
        self.low, self.high = np.full(n, joint.low), np.full(n, joint.high)
        self.failed = np.zeros(n, bool)
        self.inner = float(_places(np.zeros(1), *self.bounds)[-1])
        self._brackets = [(np.empty(0, int), *np.empty((3, 0)))]
        self._breaks = [(np.empty(0, int), np.empty(0))]
        left = self._scan(np.arange(n), np.tile(_places(_COARSE, *self.bounds), (n, 1)))
        if len(left):
            left = self._scan(left, joint.hints(slab[left]))
        for few in _runs(left, np.arange(len(left)) // 64):
            self._scan(few, np.tile(_places(_DENSE, *self.bounds), (len(few), 1)))

    def log_density(self, unit: Array, u: FloatArray) -> FloatArray:
        """log joints (K, m) of the slab's units."""
        return self.joint(self.slab[unit], u)

    def brackets(self) -> Brackets:
        """Modes and breaks, as far as they were found."""
        return Brackets(
            *(np.concatenate(column) for column in zip(*self._brackets, strict=True)),
            *(np.concatenate(column) for column in zip(*self._breaks, strict=True)),
        )

    def _scan(self, unit: Array, u: FloatArray) -> Array:
        """Try places (n, S); units that are nowhere positive there are given back."""
        u = np.sort(np.where((u > self.bounds[0]) & (u < self.bounds[1]), u, np.nan), axis=1)
        tried = np.where(np.isnan(u), self.inner, u)
        parts = self.log_density(np.repeat(unit, u.shape[1]), tried.ravel()).reshape(-1, *u.shape)
        parts[:, np.isnan(u)] = -np.inf
        self.failed[unit] |= np.isnan(parts).any(axis=(0, 2))
        parts = np.where(np.isfinite(parts), parts, -np.inf)
        total = log_sum(parts)
        found = np.flatnonzero(np.isfinite(total).any(axis=1))
        self.failed[unit[found]] = False
        self._bound(unit[found], u[found], parts[:, found], total[found])
        self._bracket(unit[found], u[found], total[found])
        return np.delete(unit, found)

    def _bound(self, unit: Array, u: FloatArray, parts: FloatArray, total: FloatArray) -> None:
        """Find by bisection where the parts begin and end, if that is near the mass."""
        k, row, within, beyond = _changes(u, parts, total)
        outside, nan = self._bisected(k, unit[row], u[row, beyond], u[row, within])
        self.failed[unit[row[nan]]] = True
        positive = np.isfinite(total)
        first, last = positive.argmax(axis=1)[row], positive.shape[1] - 1 - positive[:, ::-1].argmax(axis=1)[row]
        begins, ends = (within == first) & (beyond < within), (within == last) & (beyond > within)
        low, high = np.full(len(self.low), np.inf), np.full(len(self.low), -np.inf)
        np.minimum.at(low, unit[row[begins]], outside[begins])
        np.maximum.at(high, unit[row[ends]], outside[ends])
        self.low, self.high = np.where(low < np.inf, low, self.low), np.where(high > -np.inf, high, self.high)
        self._breaks.append((unit[row], outside))

    def _bisected(
        self, k: Array, unit: Array, outside: FloatArray, inside: FloatArray
    ) -> tuple[FloatArray, Array]:
        """The last numbers before part k of a unit becomes positive, and whether it is NaN there."""
        outside, inside, nan = outside.copy(), inside.copy(), np.zeros(len(k), bool)
        open_ = np.arange(len(k))
        for _ in range(_BISECTIONS):
            middle = _middle(outside[open_], inside[open_])
            goes_on = (middle != outside[open_]) & (middle != inside[open_]) & (np.abs(middle) > _SMALLEST)
            goes_on |= (middle == 0) & (outside[open_] * inside[open_] < 0)
            open_, middle = open_[goes_on], middle[goes_on]
            if not len(open_):
                break
            value = self.log_density(unit[open_], middle)[k[open_], np.arange(len(open_))]
            positive = np.isfinite(value)
            inside[open_[positive]] = middle[positive]
            outside[open_[~positive]] = middle[~positive]
            nan[open_[~positive]] = np.isnan(value[~positive])
        return outside, nan

    def _bracket(self, unit: Array, u: FloatArray, total: FloatArray) -> None:
        """The likeliest places, among their neighbours, once the density is one of the coordinate of the line."""
        low, high = self.low[unit, None], self.high[unit, None]
        value = total + _log_stretch(u, low, high)
        padded = np.pad(np.where(np.isnan(value), -np.inf, value), ((0, 0), (1, 1)), constant_values=-np.inf)
        value = padded[:, 1:-1]
        peaks = np.isfinite(value) & (value >= padded[:, :-2]) & (value > padded[:, 2:])
        ranked = np.argsort(np.where(peaks, -value, np.inf), axis=1)[:, :MOST_MODES]
        row = np.repeat(np.arange(len(unit)), ranked.shape[1])
        j = ranked.ravel()
        row, j = row[peaks[row, j]], j[peaks[row, j]]
        places = np.hstack([low, np.where(np.isnan(u), high, u), high])
        self._brackets.append((
            unit[row],
            np.maximum(places[row, j], self.low[unit[row]]),
            u[row, j],
            np.minimum(places[row, j + 2], self.high[unit[row]]),
        ))


def _changes(u: FloatArray, parts: FloatArray, total: FloatArray) -> tuple[Array, Array, Array, Array]:
    """Part, row, place within and place beyond of each change between positive and not, if it is near the mass."""
    positive, top = np.isfinite(parts), total.argmax(axis=1)
    k, row, j = np.nonzero((positive[:, :, 1:] != positive[:, :, :-1]) & ~np.isnan(u[:, 1:]))
    rises = positive[k, row, j + 1]
    within, beyond = np.where(rises, j + 1, j), np.where(rises, j, j + 1)
    near = parts[k, row, within] >= total[row, top[row]] - FAR_BELOW
    matters = near | (np.abs(within - top[row]) <= 1)
    return k[matters], row[matters], within[matters], beyond[matters]


def _places(t: FloatArray, low: float, high: float) -> FloatArray:
    """Places in (low, high) by the logarithm of their distance from an end, by their logit, or on both sides of 0."""
    if np.isinf(low) and np.isinf(high):
        positive = np.exp(t[t > -25])
        return np.concatenate([-positive[::-1], [0.0], positive])
    if np.isinf(high):
        return low + np.exp(t)
    if np.isinf(low):
        return (high - np.exp(t))[::-1]
    share = (high - low) / (1 + np.exp(np.abs(t)))
    return np.where(t < 0, low + share, high - share)


def _log_stretch(u: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """log du/dt of the coordinate of the line, up to a constant of the unit."""
    below = np.where(np.isinf(low), 0.0, np.log(u - low))
    above = np.where(np.isinf(high), 0.0, np.log(high - u))
    return np.where(np.isinf(low) & np.isinf(high), np.log(np.hypot(u, 1.0)), below + above)


def _middle(a: FloatArray, b: FloatArray) -> FloatArray:
    """Between two numbers: 0 where they differ in sign, the geometric mean where one is over 4 times the other."""
    size = np.maximum(np.abs(np.stack([a, b])), _SMALLEST)
    sign = np.sign(a + b)
    wide = (size[0] > 4 * size[1]) | (size[1] > 4 * size[0])
    middle = np.where(wide, sign * np.sqrt(size[0]) * np.sqrt(size[1]), 0.5 * a + 0.5 * b)
    return np.where(a * b < 0, 0.0, middle)
