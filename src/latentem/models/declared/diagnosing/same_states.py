"""States of z that are the same to the data: EM cannot tell them apart, and stays where they are."""

from __future__ import annotations

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ..model import DeclaredModel
from ..parameters import DeclaredParameters

# States that are held against each other, and differences of log densities that are none, as a share of their size.
MOST_STATES, NONE = 40, 1e-9


def same_states(model: DeclaredModel, params: DeclaredParameters, pool: Batch) -> list[tuple[int | None, str, str]]:
    """The finding "same-states": the log densities of two states differ by the same number in every row.

    Every row then has the same posterior, the M-step gives both states the same parameters, and so on for ever: a
    start at which states are equal is a stationary point, most often a saddle.
    """
    space = model.declaration.space
    if not 1 < space.n_states <= MOST_STATES or space.dimension or len(pool) < 2:
        return []
    values = model._functions(pool).values(params.values, model.rows(pool), np.zeros((len(pool), 0)))
    values = values[: space.n_states, _comparable(model, pool)]
    first: dict[int, list[int]] = {}
    for k in range(space.n_states):
        like = next((j for j in first if _is_shifted(values[j], values[k])), k)
        first.setdefault(like, []).append(k)
    same = [group for group in first.values() if len(group) > 1]
    if model.declaration.is_chain and len(first) > 1:
        return []  # states with the same density still differ by where they lead
    return [(None, "same-states", _told(model, group)) for group in same]


def _comparable(model: DeclaredModel, pool: Batch) -> Array:
    """Rows whose densities are made alike: all, or those that do not begin a group, if there are enough of them."""
    chosen = np.ones(len(pool), bool) if pool.weights is None else pool.weights > 0
    if model.per_group:
        later = chosen.copy()
        later[pool.group_offsets[:-1]] = False
        chosen = later if later.sum() > 1 else chosen
    return np.flatnonzero(chosen)


def _is_shifted(one: FloatArray, other: FloatArray) -> bool:
    """Whether two columns of log densities, of rows that are not all alike, differ by a constant."""
    possible = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)) or possible.sum() < 2:
        return False
    apart = one[possible] - other[possible]
    size = 1.0 + float(np.abs(one[possible]).max())
    return bool(np.ptp(apart) <= NONE * size and np.ptp(one[possible]) > NONE * size)


def _told(model: DeclaredModel, group: list[int]) -> str:
    names = [model.declaration.space.describe(k) for k in group[:4]]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" + (", …" if len(group) > 4 else "")
    return (
        f"{listed} are the same to the data: their log densities differ by a constant, every row has the same "
        "posterior for them, and EM cannot lead them apart.  If the fit began like this, start them apart (parameters= "
        "with values that differ between states, or none, so that they are drawn); else declare fewer states"
    )
