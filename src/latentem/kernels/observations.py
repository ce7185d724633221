"""Rows y = Λ z + e, e ~ N(0, R), as independent numbers that a Kalman filter takes in one at a time.

Rows with the same entries observed are treated alike.  Where R is regular, its root whitens them; of more entries
than z
has coordinates, an orthogonal transformation then leaves as many numbers as coordinates, and a rest that z does not
touch
(Jungbacker and Koopman 2015).  Where R is singular, its eigenvectors make numbers of which some have no noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import FloatArray
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


def _plan(loadings: FloatArray, noise: FloatArray) -> _Plan:
    p, q = loadings.shape
    if noise.ndim == 1:
        if p <= q or not np.all(noise > 0):
            return _Plan(np.eye(p), loadings, np.sqrt(noise))
        return _collapsed(loadings, np.diag(1 / np.sqrt(noise)), -0.5 * float(np.log(noise).sum()))
    scale = np.sqrt(np.diagonal(noise))
    units = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(noise / np.outer(units, units)) if p else (np.empty(0), np.empty((0, 0)))
    if np.all(values > SINGULAR * p):
        whiten = vectors.T / (np.sqrt(values)[:, None] * units)
        constant = -0.5 * float(np.log(values).sum() + 2 * np.log(units).sum())
        return _collapsed(loadings, whiten, constant)
    # Orthogonal, so that the numbers have the density of the rows.
    values, vectors = np.linalg.eigh(noise)
    values = np.where(values > SINGULAR * p * values[-1], values, 0.0)
    return _Plan(vectors.T, vectors.T @ loadings, np.sqrt(values))


def _collapsed(loadings: FloatArray, whiten: FloatArray, constant: float) -> _Plan:
    p, q = loadings.shape
    seen = whiten @ loadings
    if p <= q:
        return _Plan(whiten, seen, np.ones(p), constant)
    orthogonal, rows = np.linalg.qr(seen, mode="complete")
    turned = orthogonal.T @ whiten
    return _Plan(turned[:q], rows[:q], np.ones(q), constant - 0.5 * (p - q) * LOG_2PI, turned[q:])
