"""The exact posterior where the log joint is quadratic in u."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....kernels.normalize import normalize_states
from ..compiled import Compiled, Values
from ..parameters import DeclaredParameters
from .enumeration import impose
from .points import EStep, Points, known_states
from .units import Nodes, Units, joined, refuse_improper

# Log joints that follow their quadratic to this share of their size are quadratic.
TOLERANCE = 1e-9
ROUNDING = 256 * float(np.finfo(float).eps)
# Where the Hessian is compared in looking for curvature that changes: on the scale of u itself, far apart.
PROBES = (0.3, -1.0, 3.0, -10.0, 30.0)
# How far parameters are moved on their unconstrained scale, to see whether the log joint is quadratic there as well.
MOVES = (0.0, 0.1, 1.0)
# Nodes a dimension for quadrature where nothing has been tried yet, by the number of dimensions; with more, simulation.
COUNTS = {1: 31, 2: 15, 3: 9}


@dataclass(frozen=True)
class Gaussian(EStep):
    """z | x is normal: with m the maximum of the log joint and H its Hessian in u,

        log p(x) = log p(x, m) + d/2 log 2π - ½ log |-H|,    z | x ~ N(m, (-H)⁻¹).

    The points m ± √d Lᵢ, L Lᵀ = (-H)⁻¹, each of weight 1/(2d), integrate polynomials up to degree 3 (Stroud 1957), thus
    Q wherever the log joint is quadratic.  Every E-step checks that it is; a batch where it is not gets its posterior
    as any other log joint does.
    """

    @property
    def kind(self) -> str:
        return "exact: the log joint is quadratic in z, its posterior normal"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """The posterior, see `EStep.points`.

        Raises
        ------
        DataError
            The density of a unit cannot be integrated over z; its row is named.
        """
        units = Units.of(functions, theta, x, batch)
        known = known_states(batch, units.per_group)
        parts, log_likelihoods = [], []
        for slab in units.slabs(2 * units.dimension):
            fitted = _Quadratics.of(units, *units.problems(slab))
            nodes = fitted.nodes(units)
            if not fitted.explain(nodes.joint):
                return otherwise(units.dimension).points(functions, theta, x, batch)
            joint = fitted.log_integral.reshape(units.n_states, -1)
            impose(None if known is None else known[slab], joint)
            improper = np.zeros(len(units), bool)
            improper[slab] = np.isposinf(joint).any(axis=0)
            refuse_improper(batch, units, improper)
            log_likelihoods.append(normalize_states(joint))
            joint[:, ~np.isfinite(log_likelihoods[-1])] = 0.0
            share = joint.reshape(-1, 1) / (2 * units.dimension)
            parts.append(nodes.weighted(np.repeat(share, 2 * units.dimension, axis=1)))
        return joined(parts, np.concatenate(log_likelihoods))

    def refined(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep | None:
        if is_quadratic(functions, theta, x):
            return None
        return otherwise(functions.space.dimension).prepared(functions, theta, x, batch)


def otherwise(dimension: int) -> EStep:
    """The E-step for log joints that are not quadratic, before it is prepared."""
    if dimension in COUNTS:
        from .quadrature import Quadrature

        return Quadrature(COUNTS[dimension])
    from .monte_carlo import MonteCarlo

    return MonteCarlo()


def is_quadratic(functions: Compiled, theta: Values, x: FloatArray) -> bool:
    """Whether the log density of every row and state is quadratic in u, at θ and at parameters around it."""
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        moved = [_moved(functions, theta, by, rng) for by in MOVES]
        return all(_is_quadratic_at(functions, other, x, rng) for other in moved)


def _moved(functions: Compiled, theta: Values, by: float, rng: np.random.Generator) -> Values:
    if by == 0.0:
        return theta
    params = DeclaredParameters(functions.declaration.domains, theta)
    return params.unflatten(params.flatten() + by * rng.normal(size=params.n_free)).values


def _is_quadratic_at(functions: Compiled, theta: Values, x: FloatArray, rng: np.random.Generator) -> bool:
    d, k = functions.space.dimension, functions.space.n_states
    rows, labels = np.tile(x, (k, 1)), np.repeat(np.arange(k), len(x))
    centre = functions.coordinates(theta, rows, np.zeros((len(rows), d)), labels)
    length = _length(centre[2])
    for by in PROBES:
        # On the scale of u as it is, and on the scale on which the log density bends.
        for scale in (np.ones(len(rows)), length):
            u = by * scale[:, None] * rng.normal(size=(len(rows), d))
            if not _agree(centre, functions.coordinates(theta, rows, u, labels), u).all():
                return False
    return True


def _length(hessian: FloatArray) -> FloatArray:
    bend = np.abs(np.einsum("mii->mi", hessian)).max(axis=1)
    return np.where(np.isfinite(bend) & (bend > 0), 1 / np.sqrt(np.where(bend > 0, bend, 1.0)), 1.0)


def _agree(centre: Any, there: Any, u: FloatArray) -> Array:
    """Whether the quadratics about 0 foretell values and Hessians at u, (m,); where neither value is finite they do."""
    value, gradient, hessian = centre
    known, impossible = _all_finite(*centre) & _all_finite(*there), ~np.isfinite(value) & ~np.isfinite(there[0])
    linear, curved = np.sum(gradient * u, axis=1), 0.5 * np.einsum("mi,mij,mj->m", u, hessian, u)
    size = np.maximum(np.abs(value) + np.abs(linear) + np.abs(curved), 1.0)
    off = np.abs(there[0] - (value + linear + curved)) <= TOLERANCE * size
    bend = np.maximum(np.abs(hessian).max(axis=(1, 2)), size / np.maximum(np.sum(u**2, axis=1), 1e-300))
    same = np.abs(there[2] - hessian).max(axis=(1, 2)) <= TOLERANCE * bend
    return (known & off & same) | impossible


def _all_finite(value: FloatArray, gradient: FloatArray, hessian: FloatArray) -> Array:
    """Whether all of these are numbers, (m,), as their sum tells."""
    return np.asarray(np.isfinite(value + gradient.sum(axis=1) + hessian.sum(axis=(1, 2))))


@dataclass(frozen=True)
class _Quadratics:
    """The log joints of problems (pairs of unit and state) as quadratics in u.

    Attributes
    ----------
    of, states : (m,) int
    mean : (m, d)
    root : (m, d, d)
        R with RᵀR = (-H)⁻¹.
    peak : (m,)
        The log joint at the mean; not finite where the problem is impossible, or its log joint not a number.
    log_integral : (m,)
        +inf where H is not negative definite.
    predicted : (m,) bool
        Whether the quadratic about 0 foretells value and Hessian at the mean.
    """

    units: Array
    states: Array
    mean: FloatArray
    root: FloatArray
    peak: FloatArray
    log_integral: FloatArray
    predicted: Array

    @classmethod
    def of(cls, units: Units, of: Array, states: Array) -> Self:
        """The mean is a Newton step from 0; another from there takes off the rounding error."""
        d = units.dimension
        centre = units.derivatives(of, states, np.zeros((len(of), d)))
        possible = np.isfinite(centre[0])
        root, proper = _inverse_roots(np.where(possible[:, None, None], -centre[2], np.eye(d)))
        # Where there is no mean, the quadratic is held against the log joint somewhere else.
        length = np.broadcast_to(_length(centre[2])[:, None], (len(of), d))
        mean = np.where((possible & proper)[:, None], _newton(root, centre[1]), length)
        there = units.derivatives(of, states, mean)
        with np.errstate(all="ignore"):
            predicted = _agree(centre, there, mean)
            correction = np.where((possible & proper)[:, None], _newton(root, there[1]), 0.0)
            peak = there[0] + 0.5 * np.sum(np.where(correction != 0, there[1], 0.0) * correction, axis=1)
        determinant = np.log(np.einsum("mii->mi", root)).sum(axis=1)
        log_integral = np.where(possible & ~proper, np.inf, peak + 0.5 * d * np.log(2 * np.pi) + determinant)
        return cls(of, states, mean + correction, root, peak, log_integral, predicted)

    def nodes(self, units: Units) -> Nodes:
        """The log joints at m ± √d Lᵢ."""
        steps = np.sqrt(units.dimension) * self.root
        return Nodes.at(units, self.units, self.states, self.mean[:, None] + np.concatenate([steps, -steps], axis=1))

    def explain(self, joint: FloatArray) -> bool:
        """Whether all log joints (m, 2d) at these nodes are as the quadratics say."""
        d = self.mean.shape[1]
        with np.errstate(invalid="ignore"):
            off = np.abs(joint - (self.peak[:, None] - 0.5 * d)).max(axis=1)
            # A mean of so many standard deviations is not told from its neighbours any better.
            deviations = np.linalg.norm(self.mean, axis=1) / np.linalg.norm(self.root, axis=(1, 2))
            right = off <= TOLERANCE * (d + np.abs(self.peak)) + ROUNDING * deviations
            right &= np.isfinite(off)
        possible = np.isfinite(self.peak) | np.isfinite(joint).any(axis=1)
        improper = np.isposinf(self.log_integral)
        return bool(np.all(((right | improper) & self.predicted) | ~possible))


def _newton(root: FloatArray, gradient: FloatArray) -> FloatArray:
    return np.einsum("mki,mkj,mj->mi", root, root, np.where(np.isfinite(gradient), gradient, 0.0), optimize=True)


def _inverse_roots(precision: FloatArray) -> tuple[FloatArray, Array]:
    """R (m, d, d), lower triangular with RᵀR the inverse, and whether the matrix is positive definite; else R is 1."""
    d = precision.shape[1]
    diagonal = np.einsum("mii->mi", precision)
    usable = np.isfinite(precision).all(axis=(1, 2)) & (diagonal > 0).all(axis=1)
    scale = np.where(usable[:, None], 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 1.0)
    scaled = np.where(usable[:, None, None], precision * scale[:, :, None] * scale[:, None, :], np.eye(d))
    least = 4 * d * np.finfo(float).eps
    try:
        factor = np.linalg.cholesky(scaled)
        usable &= (np.einsum("mii->mi", factor) ** 2).min(axis=1) > least
    except np.linalg.LinAlgError:
        usable &= np.linalg.eigvalsh(scaled)[:, 0] > least
        factor = np.linalg.cholesky(np.where(usable[:, None, None], scaled, np.eye(d)))
    return np.asarray(np.linalg.inv(factor) * np.where(usable[:, None], scale, 1.0)[:, None, :]), np.asarray(usable)
