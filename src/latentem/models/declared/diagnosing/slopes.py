"""Fits that have stopped where the likelihood still has a slope: densities without derivatives in the parameters.

At a maximum the score is zero, and a Newton step promises nothing.  Where a density has kinks or steps in θ, its
derivatives do not say where it goes: |x - m| has no curvature, and a step no slope, so that an M-step by derivatives
stands still.  What is told was seen: the likelihood rises along the score, or changes otherwise than the score says.
"""

from __future__ import annotations

import numpy as np

from ...._typing import Array, FloatArray
from ....domains import LowerTriangular, Real
from ....errors import LatentemError
from ..parameters import DeclaredParameters, without_constraints
from .place import UNMOVED, Place
from .ridges import LONG, MOST_TOLD, SHORT, along

# Gains of the log-likelihood that are worth telling, and that must be beyond what still remains for EM by this factor.
WORTH, BEYOND = 1e-3, 10.0
# Shares of the promised step that are tried.
SHARES = (1.0, 0.3, 0.1, 0.03)
# Changes along a direction without a slope that are a step of the density.
CHANGED = 0.1
# Steps in standard errors, and by how much differences may be off the score, in units of the information's root.
NARROW, WIDE, OFF = 0.05, 0.3, 0.2
# Off by third derivatives, the narrow difference would be off by 1/36 of what the wide one is.
SMOOTH = 0.1
CLEAR, FAR = 5.0, 1.0
LARGEST, RANDOM = 3, 2
NO_CURVATURE = 1e-10


def slopes(place: Place, null: list[FloatArray], remaining: float) -> list[tuple[int | None, str, str]]:
    """The finding "slope", if the end of a fit that claims to have converged is none.

    Parameters
    ----------
    place : Place
    null : list of (p,)
        Directions in which the scores of all units are zero.
    remaining : float
        The gain that EM has still ahead of it, as estimated.
    """
    if not len(place.vector) or place.simulated or not all(np.isfinite(each).all() for each in place.derivatives):
        return []
    worth = max(WORTH, BEYOND * remaining if np.isfinite(remaining) else 0.0, CLEAR * place.expectation.noise)
    promised = _promised(place, worth)
    if promised is not None:
        return [_told(place, promised, "the likelihood still rises with")]
    found = _steps(place, null) or _contradicted(place)
    return [_told(place, v, "the likelihood changes otherwise than its derivative says along") for v in found[:1]]


def _told(place: Place, direction: FloatArray, what: str) -> tuple[int | None, str, str]:
    names = along(place.params.coordinate_names(), direction / np.linalg.norm(direction))
    kinks = _kinks(place)
    where = ", ".join(kinks[:MOST_TOLD]) + ", …" * (len(kinks) > MOST_TOLD) if kinks else "these parameters"
    message = (
        f"{what} {names}, and this is no maximum: the density is probably not differentiable in {where} (an absolute "
        "value, a step, jnp.round, a sort, a jnp.where or a comparison with a parameter), and the M-step, "
        "which goes by derivatives, stands still.  Write a smooth form (as jnp.sqrt((x - m)**2 + 1e-6) for |x - m|, or "
        "jax.nn.sigmoid for a step), compare several starts (n_init=), or search over these parameters directly, held "
        "by domain.fixed at one value after another"
    )
    return (None, "slope", message)


def _kinks(place: Place) -> list[str]:
    """Coordinates in which units have scores, but the complete data no curvature, as m in |x - m|."""
    if not place.affordable:
        return []
    squares = np.mean(place.raw_scores[: len(place.sets)] ** 2, axis=0)
    curved = np.abs(np.diagonal(place.derivatives[1]))
    names = place.params.coordinate_names()
    return [name for name, own, c in zip(names, squares, curved, strict=True) if own > 0 and c <= NO_CURVATURE * own]


# -- what the score promises ---------------------------------------------------------------------


def _information(place: Place, score: FloatArray, hessian: FloatArray, share: float) -> FloatArray:
    """(p, p): of the complete data, by curvature, and of the units' scores beside it where there is none."""
    scale = 1 / np.sqrt(np.where(np.diagonal(hessian) != 0, np.abs(np.diagonal(hessian)), 1.0))
    values, vectors = np.linalg.eigh(-0.5 * scale[:, None] * (hessian + hessian.T) * scale)
    curved = (vectors * np.maximum(values, 0.0)) @ vectors.T / scale[:, None] / scale
    if place.affordable and np.isfinite(place.raw_scores).all():
        sums = place.raw_scores[: len(place.sets)]
        return np.asarray(curved + sums.T @ sums / len(sums) / share)
    return np.asarray(curved + np.diag(np.where(np.diagonal(curved) > 0, 0.0, score**2)))


def _promised(place: Place, worth: float) -> FloatArray | None:
    """The score in standard errors, where a step by it promises to be worth its while, and is: the objective rises."""
    if place.of_all is None:
        return None
    score, hessian = place.of_all
    share = float(place.unit_weights.sum()) / place.expectation.weight
    information = _information(place, score, hessian, share)
    step = _solve(information, score)
    if not 0.5 * score @ step > worth or not any(_rise(place, part * step) > worth for part in SHARES):
        return None
    return np.asarray(score * _errors(information))


def _errors(information: FloatArray) -> FloatArray:
    """(p,): of each coordinate alone; 0 where there is no information."""
    sizes = np.sqrt(np.diagonal(information))
    known = sizes > np.sqrt(NO_CURVATURE) * sizes.max()
    return np.where(known, 1 / np.where(known, sizes, 1.0), 0.0)


def _solve(information: FloatArray, score: FloatArray) -> FloatArray:
    """I⁻¹ g, without what there is no information of."""
    scale = 1 / np.sqrt(np.where(np.diagonal(information) > 0, np.diagonal(information), 1.0))
    inverse = np.linalg.pinv(scale[:, None] * information * scale, rcond=NO_CURVATURE, hermitian=True)
    return np.asarray(scale * (inverse @ (scale * score)))


def _rise(place: Place, step: FloatArray) -> float:
    """By how much the objective of all the data changes; NaN where it is not known."""
    if place.complete:
        return place.pool_change(step)
    if place.whole is None:
        return np.nan
    moved = place.vector + step
    try:
        there, params = place.whole(moved), place.params.unflatten(moved)
    except (LatentemError, ArithmeticError):
        return np.nan
    prior = place.model.log_prior(params) - place.model.log_prior(place.params)
    return there.log_likelihood - place.expectation.log_likelihood + prior


# -- what the score does not know of -------------------------------------------------------------


def _steps(place: Place, null: list[FloatArray]) -> list[FloatArray]:
    """Directions without slope and curvature in which the likelihood changes all the same."""
    hessian = place.derivatives[1]
    size = np.sqrt(np.abs(np.diagonal(hessian)))
    found = []
    for v in null:
        if abs(v @ hessian @ v) > NO_CURVATURE * float(size @ np.abs(v)) ** 2 or place.moved(v) <= UNMOVED:
            continue
        changes = [abs(place.pool_change(t * v)) for t in (SHORT, -SHORT, LONG, -LONG)]
        if any(change > CHANGED + CLEAR * place.noise for change in changes):
            found.append(v)
    return found


def _contradicted(place: Place) -> list[FloatArray]:
    """The first direction in which differences of the likelihood are not what the score says."""
    score, hessian = place.derivatives
    information = _information(place, score, hessian, 1.0)
    for v in _directions(place, score, information):
        narrow, clear = _off(place, score, v, NARROW)
        if not clear or not narrow > SMOOTH * OFF:
            continue
        wide, clear = _off(place, score, v, WIDE)
        if narrow > OFF or (clear and wide > OFF and narrow > SMOOTH * wide):
            return [v]
    return []


def _directions(place: Place, score: FloatArray, information: FloatArray) -> list[FloatArray]:
    """Where to look, each of one standard error: the coordinates with the largest scores, and some at random."""
    scale = _errors(information)
    largest = np.argsort(-np.abs(score * scale), kind="stable")[:LARGEST]
    drawn = np.random.default_rng(0).normal(size=(RANDOM, len(score)))
    candidates = np.vstack([np.eye(len(score))[largest], drawn]) * scale
    lengths = [float(v @ information @ v) for v in candidates]
    ratios = _ratios(place.params)
    return [
        v / np.sqrt(length)
        for v, length in zip(candidates, lengths, strict=True)
        if length > 0 and place.moved(v) > UNMOVED and np.all(WIDE * np.abs(v[ratios]) <= FAR * np.sqrt(length))
    ]


def _ratios(params: DeclaredParameters) -> Array:
    """(p,): which coordinates are logarithms or log-ratios.  Steps of more than `FAR` in them lead from one end of the
    domain to the other, as of a probability that is almost 0, and tell nothing of the slope."""
    straight = []
    for _, domain in params.domains:
        is_straight = isinstance(without_constraints(domain), Real | LowerTriangular)
        straight += [is_straight] * domain.n_free(domain.shape)
    return ~np.array(straight, bool)


def _off(place: Place, score: FloatArray, v: FloatArray, step: float) -> tuple[float, bool]:
    """By how much a symmetric difference is off the score along v, and whether that is beyond noise."""
    change = place.pool_change(step * v) - place.pool_change(-step * v)
    off = abs(change - 2 * step * float(score @ v))
    return off / (2 * step), bool(off > CLEAR * place.noise)
