"""Rows y = Λ z + e, e ~ N(0, R), as independent numbers that a Kalman filter takes in one at a time.

Rows with the same entries observed are treated alike.  Where R is regular, its root whitens them; of more entries
than z
has coordinates, an orthogonal transformation then leaves as many numbers as coordinates, and a rest that z does not
touch
(Jungbacker and Koopman 2015).  Where R is singular, its eigenvectors make numbers of which some have no noise.  Where
loadings or scales vary, each stretch of equal rows has numbers of its own, as many as entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from .kalman import Numbers
from .linear_gaussian import LOG_2PI, Presence

SINGULAR = 1e-14


@dataclass(frozen=True)
class _Plan:
    """How rows of one pattern become numbers: `take` (m, o) times y, with `rows` (m, q) and `deviations` (m,).

    What is lost has the log density `constant` - ½ |across y|², `across` (o - m, o).
    """

    take: FloatArray
    rows: FloatArray
    deviations: FloatArray
    constant: float = 0.0
    across: FloatArray | None = None


def as_numbers(
    deviations: FloatArray, presence: Presence, loadings: FloatArray, noise: FloatArray
) -> tuple[Numbers, FloatArray]:
    """The numbers of rows y (n, p), and what their log-likelihood lacks (n,).

    Parameters
    ----------
    deviations : (n, p)
        y; what is missing is not read.
    presence : Presence
    loadings : (p, q)
    noise : (p,) or (p, p)
        Variances or covariances, of which some may be zero.
    """
    plans = [
        _plan(loadings[seen], noise[seen] if noise.ndim == 1 else noise[np.ix_(seen, seen)]) for seen in presence.seen
    ]
    n, q = len(deviations), loadings.shape[1]
    if presence.is_one and presence.seen.all():
        (plan,) = plans
        counts = np.array([len(plan.deviations)])
        one = Numbers(deviations @ plan.take.T, plan.rows[None], plan.deviations[None], counts)
        return one, np.full(n, plan.constant) + _rest(plan, deviations)
    m = max(1, *(len(plan.deviations) for plan in plans))
    values, lost = np.zeros((n, m)), np.empty(n)
    rows, spreads = np.zeros((len(plans), m, q)), np.zeros((len(plans), m))
    for i, (plan, seen) in enumerate(zip(plans, presence.seen, strict=True)):
        count = len(plan.deviations)
        rows[i, :count], spreads[i, :count] = plan.rows, plan.deviations
        which = slice(None) if presence.is_one else np.flatnonzero(presence.pattern == i)
        y = deviations[which] if seen.all() else deviations[which][:, seen]
        values[which, :count] = y @ plan.take.T
        lost[which] = plan.constant + _rest(plan, y)
    counts = np.array([len(plan.deviations) for plan in plans])
    return Numbers(values, rows, spreads, counts, None if presence.is_one else presence.pattern), lost


def _rest(plan: _Plan, y: FloatArray) -> FloatArray | float:
    """-½ the squares of what lies across the numbers that are kept."""
    if plan.across is None:
        return 0.0
    across = y @ plan.across.T
    return np.asarray(-0.5 * np.einsum("np,np->n", across, across))


def as_varying_numbers(
    deviations: FloatArray, presence: Presence, loadings: FloatArray, noise: FloatArray, scale: FloatArray | None
) -> tuple[Numbers, FloatArray]:
    """The same for rows y = Λₜ z + S e that vary: `loadings` (n, p, q) or (p, q), `scale` (n, 1) or (n, p) of S².

    A scale of its own for each column goes with a diagonal noise.
    """
    (n, p), q = deviations.shape, loadings.shape[-1]
    spread = np.ones((n, p)) if scale is None else np.sqrt(np.broadcast_to(scale, (n, p)))
    varying = [part for part in (loadings if loadings.ndim == 3 else None, scale) if part is not None]
    stretch, first = _stretches(presence.pattern, *varying)
    values, lost = np.zeros((n, p)), np.empty(n)
    rows, sizes = np.zeros((len(first), p, q)), np.zeros((len(first), p))
    for i, seen in enumerate(presence.seen):
        count = int(seen.sum())
        take, alone, constant = _whitened(noise[seen] if noise.ndim == 1 else noise[np.ix_(seen, seen)])
        which, here = presence.pattern == i, np.flatnonzero(presence.pattern[first] == i)
        values[which, :count] = deviations[which][:, seen] @ take.T
        rows[here, :count] = take @ (loadings[first[here]] if loadings.ndim == 3 else loadings[None])[:, seen]
        sizes[here, :count] = alone * spread[first[here]][:, seen]
        lost[which] = constant
    return Numbers(values, rows, sizes, presence.seen.sum(axis=1)[presence.pattern[first]], stretch), lost


def _stretches(*parts: Array) -> tuple[Array, Array]:
    """(n,) the number of the stretch of equal rows that a row stands in, and the first row of each."""
    changes = np.arange(len(parts[0])) == 0
    for part in parts:
        changes[1:] |= np.any(part[1:] != part[:-1], axis=tuple(range(1, part.ndim)))
    return np.cumsum(changes) - 1, np.flatnonzero(changes)


def _plan(loadings: FloatArray, noise: FloatArray) -> _Plan:
    p, q = loadings.shape
    if noise.ndim == 1 and p > q and np.all(noise > 0):
        return _collapsed(loadings, np.diag(1 / np.sqrt(noise)), -0.5 * float(np.log(noise).sum()))
    take, deviations, constant = _whitened(noise)
    if noise.ndim == 1 or not np.all(deviations == 1):
        return _Plan(take, take @ loadings, deviations)
    return _collapsed(loadings, take, constant)


def _whitened(noise: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """A matrix (p, p) that makes e ~ N(0, R) independent, their deviations (p,), and log|det| of the matrix."""
    p = len(noise)
    if noise.ndim == 1:
        return np.eye(p), np.sqrt(noise), 0.0
    scale = np.sqrt(np.diagonal(noise))
    units = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(noise / np.outer(units, units)) if p else (np.empty(0), np.empty((0, 0)))
    if np.all(values > SINGULAR * p):
        whiten = vectors.T / (np.sqrt(values)[:, None] * units)
        return whiten, np.ones(p), -0.5 * float(np.log(values).sum() + 2 * np.log(units).sum())
    # Orthogonal, so that the numbers have the density of the rows.
    values, vectors = np.linalg.eigh(noise)
    values = np.where(values > SINGULAR * p * values[-1], values, 0.0)
    return vectors.T, np.sqrt(values), 0.0


def _collapsed(loadings: FloatArray, whiten: FloatArray, constant: float) -> _Plan:
    p, q = loadings.shape
    seen = whiten @ loadings
    if p <= q:
        return _Plan(whiten, seen, np.ones(p), constant)
    orthogonal, rows = np.linalg.qr(seen, mode="complete")
    turned = orthogonal.T @ whiten
    return _Plan(turned[:q], rows[:q], np.ones(q), constant - 0.5 * (p - q) * LOG_2PI, turned[q:])
