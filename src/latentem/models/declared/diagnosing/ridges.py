"""Parameters that the data do not identify: ridges of the likelihood, found from the scores of its units.

Along a ridge no unit's log-likelihood changes: a direction v with v · ∇ log p(xₙ; θ) = 0 for all units n, at any θ, be
it a maximum or not (Rothenberg 1971).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from ...._typing import FloatArray
from ....errors import LatentemError
from .place import SAME, UNMOVED, Place

# Shares of a direction below that count as none.
NO_SHARE = 1e-6
SHORT, LONG = 0.1, 1.0
MOST_CORRECTIONS = 8
MOST_TOLD, LEAST_SHARE, MOST_SHARES = 5, 0.05, 6


def flat_directions(place: Place, null: list[FloatArray]) -> list[tuple[int | None, str, str]]:
    """The finding "flat", if there are directions along which no unit changes its likelihood.

    Parameters
    ----------
    place : Place
    null : list of (p,)
        Directions in which all scores are zero, see `null_directions`.
    """
    ridges = [ridge for v in null if (ridge := _ridge(place, v)) is not None and _confirmed(place, ridge)]
    if not ridges:
        return []
    names = place.params.coordinate_names()
    shown = "; ".join(ridge.kind + along(names, ridge.direction) for ridge in ridges[:MOST_TOLD])
    more = f", and {len(ridges) - MOST_TOLD} more" if len(ridges) > MOST_TOLD else ""
    sample = "" if place.complete or place.whole else f" (seen in {len(place.pool)} of the rows)"
    message = (
        f"the likelihood does not change along {shown}{more}{sample}: the data do not identify these parameters, and "
        "their values are arbitrary.  Leave some of them out, hold them (domain.fixed), tie them (domain.tied), or "
        "give them a prior (log_prior=)"
    )
    return [(None, "flat", message)]


def null_directions(place: Place) -> list[FloatArray]:
    """Unit vectors that span where the scores of all units are zero, each with as few parameters as there may be.

    None are sought where z is simulated, and where the scores would be too much work.
    """
    if not place.affordable or not np.isfinite(place.raw_scores).all():
        return []
    v = place.decomposed[2]
    null = place.scale[:, None] * v[~np.append(place.kept, np.zeros(len(v) - len(place.kept), bool))].T
    return _sparse(null / np.linalg.norm(null, axis=0))


def _sparse(basis: FloatArray) -> list[FloatArray]:
    """A basis (p, k) of the same space in which k coordinates occur in one vector each."""
    k = basis.shape[1]
    if not k:
        return []
    chosen = qr(basis.T, mode="economic", pivoting=True)[2][:k]
    rows = (basis @ np.linalg.inv(basis[chosen])).T
    rows[np.abs(rows) < NO_SHARE * np.abs(rows).max(axis=1, keepdims=True)] = 0.0
    units: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return list(units[np.argsort(chosen)])


@dataclass(frozen=True)
class _Ridge:
    """A direction, what kind of ridge begins there, and points on it to both sides."""

    direction: FloatArray
    kind: str
    points: list[FloatArray]


def _ridge(place: Place, direction: FloatArray) -> _Ridge | None:
    """The ridge in a direction, flat for good or a flat curve that begins there; None where there is neither."""
    if place.moved(direction) <= UNMOVED:
        return None
    near = [_way_back(place, direction, t) for t in (SHORT, -SHORT)]
    if None in near:
        return None
    if all(way is not None and way[0] == 0 for way in near):
        far = [_way_back(place, direction, t) for t in (LONG, -LONG)]
        straight = all(way is not None and way[0] == 0 for way in far)
        return _Ridge(direction, "", [way[1] for way in far if way is not None]) if straight else None
    return _Ridge(direction, "a curve that begins as ", [way[1] for way in near if way is not None])


def _way_back(place: Place, direction: FloatArray, step: float) -> tuple[int, FloatArray] | None:
    """After a step, how many corrections lead back to the same likelihoods, and where; None: none do, or back here."""
    moved = place.vector + step * direction
    try:
        for count in range(MOST_CORRECTIONS + 1):
            change = place.change(moved)
            if not np.isfinite(change).all():
                return None
            if place.is_same(change):
                return (count, moved) if (moved - place.vector) @ direction / step > 0.5 else None
            moved = moved + place.correction(change)
    except LatentemError:
        return None
    return None


def _confirmed(place: Place, ridge: _Ridge) -> bool:
    """Whether the likelihood of all the data is the same on the ridge; believed of a pool that is all there is."""
    if place.complete or place.whole is None:
        return True
    here = place.expectation
    try:
        there = [place.whole(point) for point in ridge.points]
    except LatentemError:
        return False
    allowed = SAME * here.magnitude + 2 * here.noise
    return all(abs(moved.log_likelihood - here.log_likelihood) <= allowed for moved in there)


def along(names: list[str], direction: FloatArray) -> str:
    """+0.71 a -0.71 b: the largest shares of a direction."""
    largest_first = np.argsort(-np.round(np.abs(direction), 6), kind="stable").tolist()
    order = [j for j in largest_first if abs(direction[j]) >= LEAST_SHARE]
    sign = np.sign(direction[order[0]])
    return " ".join(
        f"{'+' if sign * direction[j] > 0 else '-'}{abs(direction[j]):.2f} {names[j]}" for j in order[:MOST_SHARES]
    )
