"""Two columns against each other, with the ellipses of normal and Student-t components."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...plots.shapes import degrees_of_freedom, spreads, squared_radius
from .families import are_factor_models, moments_of_factor_models
from .packing import packed_shares, rounded, significant
from .subject import MOST_COLUMNS, Shown

SHARES = (0.5, 0.95)
# From so many ellipses, counted at every step, there are two columns to choose from.
MANY = 600


def plane(shown: Shown) -> dict[str, Any]:
    """Rows in the plane of two columns, and for each component the ellipses that hold half and 95 % of it."""
    means, matrices, degrees = _shapes(shown)
    most = 2 if len(means) * shown.n_states > MANY else MOST_COLUMNS
    columns = telling(means[-1], shown.batch.values)[:most]
    chosen = np.ix_(range(len(means)), range(shown.n_states), columns, columns)
    squared = [[[squared_radius(share, float(nu)) for share in SHARES] for nu in row] for row in degrees]
    told = f"Ellipses hold half and 95 % of each {shown.what}."
    return _points(shown, columns, told) | {
        "centres": rounded(means[:, :, columns]),
        "spreads": significant(matrices[chosen]),
        "squared_radii": significant(squared),
    }


def directions(shown: Shown) -> dict[str, Any]:
    """Unit vectors in the plane of two of their coordinates, and the mean direction of each component."""
    means = np.stack([params.directions for params in shown.emissions])
    columns = telling(means[-1], shown.batch.values)
    told = f"Rays are the mean directions of the {shown.what}s; those that reach the circle lie in this plane."
    kappa = np.stack([params.concentrations for params in shown.emissions])
    return _points(shown, columns, told) | {
        "centres": rounded(means[:, :, columns]),
        "circle": True,
        "notes": significant(kappa),
        "note_name": "concentration",
    }


def telling(means: FloatArray, values: FloatArray) -> list[int]:
    """At most four columns, those first in which the means differ most, in units of the column's spread."""
    with np.errstate(all="ignore"):
        between = np.var(means, axis=0) / np.nanvar(values, axis=0)
    order = np.argsort(-np.nan_to_num(between), kind="stable")[:MOST_COLUMNS]
    return [int(j) for j in (np.sort(order) if means.shape[1] <= 2 else order)]


def _points(shown: Shown, columns: list[int], told: str) -> dict[str, Any]:
    values = shown.batch.values[:, columns]
    names = [shown.names[j] for j in columns]
    return {
        "kind": "plane",
        "title": f"{names[0]} and {names[1]}, with the {shown.what}s",
        "description": f"{told} {shown.told_of_markers} {shown.told}",
        "what": shown.what,
        "columns": names,
        "sizes": shown.sizes,
        "points": [rounded(column) for column in values.T],
        "responsibilities": packed_shares(shown.responsibilities),
        "weights": significant(shown.weights, 3),
    }


def _shapes(shown: Shown) -> tuple[FloatArray, FloatArray, Array]:
    """(S, K, D) means, (S, K, D, D) spreads, (S, K) degrees of freedom."""
    if are_factor_models(shown.family):
        pairs = [moments_of_factor_models(params) for params in shown.emissions]
        degrees = [np.full(shown.n_states, np.inf)] * len(pairs)
    else:
        pairs = [(params.means, spreads(params)) for params in shown.emissions]
        degrees = [degrees_of_freedom(shown.family, params) for params in shown.emissions]
    means, matrices = (np.stack([pair[i] for pair in pairs]) for i in (0, 1))
    return means, matrices, np.stack(degrees)
