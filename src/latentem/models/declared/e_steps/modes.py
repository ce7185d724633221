"""The modes of many log joints at once, and how these bend there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from .units import Units

# derivatives(problems, u): values, gradients and Hessians of some of the functions, each at its own u.
Derivatives = Callable[[Array, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]

MOST_STEPS, HALVINGS = 100, 40
SUFFICIENT = 1e-4
# A full Newton step that promises less than this is the last: the next would promise about its square.
SETTLED = 1e-8
# Eigenvalues of the curvature below this share of the largest count as this share; those below minus that as negative.
FLATTEST = 1e-10
ROUNDING = 64 * float(np.finfo(float).eps)
# Tried in turn, in every coordinate, until the log joint has a finite value and derivatives there.
STARTS = (0.0, 0.1, -0.1, 1.0, -1.0, 10.0, -10.0)


@dataclass(frozen=True)
class Modes:
    """Where functions are largest, and how they bend there.

    Attributes
    ----------
    at : (m, d)
    value : (m,)
        Not finite where no point with a finite value was found.
    root : (m, d, d)
        The symmetric square root of |-H|⁻¹, H the Hessian at the mode: the standard deviation, so to speak.
    """

    at: FloatArray
    value: FloatArray
    root: FloatArray

    def taken(self, which: Array) -> Modes:
        """Those of some of the functions."""
        return Modes(self.at[which], self.value[which], self.root[which])

    def or_where(self, elsewhere: Array, others: Modes) -> Modes:
        """These modes, but the others where it is said."""
        return Modes(
            np.where(elsewhere[:, None], others.at, self.at),
            np.where(elsewhere, others.value, self.value),
            np.where(elsewhere[:, None, None], others.root, self.root),
        )


def modes_of(units: Units, of: Array, states: Array) -> Modes:
    """The modes of the log joints of problems, searched from u = 0."""
    derivatives = _derivatives(units, of, states)
    start, wrong = np.zeros((len(of), units.dimension)), np.arange(len(of))
    for at in STARTS:
        start[wrong] = at
        wrong = wrong[~_finite(*derivatives(wrong, start[wrong]))]
        if not len(wrong):
            break
    start[wrong] = 0.0
    return find_modes(derivatives, start)


def mirrored(units: Units, of: Array, states: Array, modes: Modes) -> tuple[Modes, Modes]:
    """The higher and the lower of these modes and those found from their mirror images; mostly they are the same.

    Two there are where the density leaves the sign of z open, or all but open.
    """
    others = find_modes(_derivatives(units, of, states), -modes.at)
    higher = others.value > modes.value
    return modes.or_where(higher, others), others.or_where(higher, modes)


def _derivatives(units: Units, of: Array, states: Array) -> Derivatives:
    return lambda which, u: units.derivatives(of[which], states[which], u)


def find_modes(derivatives: Derivatives, start: FloatArray) -> Modes:
    """Maxima of many functions at once, by damped Newton steps from `start` (m, d).

    The step is |H|⁻¹ ∇f with the eigenvalues of H by their magnitudes, and at least one unit long (in the metric of H)
    where f is convex, so that it leaves saddles; it is halved until f rises enough (Armijo).
    """
    point = start.copy()
    value, gradient, hessian = derivatives(np.arange(len(start)), point)
    active = np.flatnonzero(_finite(value, gradient, hessian))
    for _ in range(MOST_STEPS):
        if not len(active):
            break
        step, promised, convex = _ascent(gradient[active], hessian[active])
        share, parts = _backtrack(derivatives, active, point[active], value[active], step, promised)
        moved = share > 0
        taken = active[moved]
        point[taken] += share[moved, None] * step[moved]
        value[taken], gradient[taken], hessian[taken] = (part[moved] for part in parts)
        active = active[moved & ~((promised <= SETTLED) & (share == 1.0) & ~convex)]
    return Modes(point, value, _roots(hessian))


def _backtrack(
    derivatives: Derivatives,
    active: Array,
    point: FloatArray,
    value: FloatArray,
    step: FloatArray,
    promised: FloatArray,
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """The share 1, ½, ¼, … of each step that raises its function, 0 where none does; and the derivatives there."""
    share, left = np.zeros(len(active)), np.arange(len(active))
    d = point.shape[1]
    found = np.empty(len(active)), np.empty((len(active), d)), np.empty((len(active), d, d))
    # Below the rounding of the function a step may lower it by as much: the gradient knows better.
    slack = ROUNDING * np.abs(value)
    for halving in range(HALVINGS):
        by = 0.5**halving
        parts = derivatives(active[left], point[left] + by * step[left])
        with np.errstate(invalid="ignore"):
            rises = parts[0] >= value[left] + SUFFICIENT * by * promised[left] - slack[left]
        rises &= _finite(*parts)
        share[left[rises]] = by
        for into, part in zip(found, parts, strict=True):
            into[left[rises]] = part[rises]
        left = left[~rises & (by**2 * promised[left] > slack[left] * 1e-6)] if halving else left[~rises]
        if not len(left):
            break
    return share, found


def _ascent(gradient: FloatArray, hessian: FloatArray) -> tuple[FloatArray, FloatArray, Array]:
    """Steps (m, d), what they promise to first order (m,), and whether the function is convex in some direction."""
    values, vectors, size = _spectra(hessian)
    along = np.einsum("mij,mi->mj", vectors, gradient) / size
    convex = values < -FLATTEST * np.abs(values).max(axis=1, keepdims=True)
    least = np.where(along < 0, -1.0, 1.0) / np.sqrt(size)
    along = np.where(convex & (np.abs(along) < np.abs(least)), least, along)
    step = np.clip(np.einsum("mij,mj->mi", vectors, along), -1e150, 1e150)
    return step, np.sum(gradient * step, axis=1), convex.any(axis=1)


def _spectra(hessian: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eigenvalues and vectors of -H, and the magnitudes that count for the eigenvalues."""
    values, vectors = np.linalg.eigh(-0.5 * (hessian + np.swapaxes(hessian, 1, 2)))
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    return values, vectors, np.maximum(np.abs(values), np.maximum(FLATTEST * largest, 1e-200))


def _roots(hessian: FloatArray) -> FloatArray:
    d = hessian.shape[1]
    known = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    _, vectors, size = _spectra(np.where(known[:, None, None], hessian, -np.eye(d)))
    # Without any curvature the unit of u is as good a length as any.
    size = np.where(size <= 1e-100, 1.0, size)
    return np.asarray((vectors / np.sqrt(size)[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def _finite(value: FloatArray, gradient: FloatArray, hessian: FloatArray) -> Array:
    return np.asarray(np.isfinite(np.column_stack([value, gradient, hessian.reshape(len(value), -1)])).all(axis=1))
