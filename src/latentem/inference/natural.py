"""Parameters on their natural scale as functions of the unconstrained vector: entries, names, and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..domains import Correlation, Interval, Positive, PositiveDefinite, Simplex
from ..domains.base import entry_labels
from ..domains.constraints import without_constraints
from ..domains.matrices import Noise
from ..kernels.derivatives import moved

_STEP = 1e-3


def entries(parameters: Any) -> FloatArray:
    """Every entry of every array, one vector, in the order of `labels`."""
    arrays = [np.ravel(np.asarray(array, float)) for array in parameters.arrays().values()]
    return np.concatenate(arrays) if arrays else np.empty(0)


def labels(parameters: Any) -> list[str]:
    """What each entry is called: "emission.means[0,1]"."""
    named = [entry_labels(name, np.shape(array)).ravel() for name, array in parameters.arrays().items()]
    return [str(label) for part in named for label in part]


def kinds(parameters: Any) -> Array:
    """The domain of the array that each entry belongs to, as if nothing were fixed or tied; (entries,) of objects."""
    sizes = [np.size(array) for array in parameters.arrays().values()]
    found = np.empty(sum(sizes), dtype=object)
    ends = np.cumsum(sizes)
    for domain, size, end in zip(parameters.array_domains(), sizes, ends, strict=True):
        found[end - size : end].fill(without_constraints(domain))
    return found


def limits(parameters: Any) -> FloatArray:
    """(entries, 2): the smallest and the largest number that each entry may be; infinite where there is none."""
    rows = []
    for array, domain in zip(parameters.arrays().values(), parameters.array_domains(), strict=True):
        rows.append(_limits(without_constraints(domain), np.shape(array)).reshape(-1, 2))
    return np.concatenate(rows) if rows else np.empty((0, 2))


def _limits(domain: Any, shape: tuple[int, ...]) -> FloatArray:
    if isinstance(domain, Simplex):
        return np.broadcast_to([0.0, 1.0], (*shape, 2))
    if isinstance(domain, Interval):
        return np.broadcast_to([domain.low, domain.high], (*shape, 2))
    if isinstance(domain, Positive):
        return np.broadcast_to([0.0, np.inf], (*shape, 2))
    if isinstance(domain, Correlation):
        return np.broadcast_to([-1.0, 1.0], (*shape, 2))
    found = np.broadcast_to([-np.inf, np.inf], (*shape, 2)).copy()
    if isinstance(domain, Noise) and len(shape) == 1:
        found[..., 0] = 0.0
    elif isinstance(domain, PositiveDefinite | Noise):
        found[..., np.arange(shape[-1]), np.arange(shape[-1]), 0] = 0.0
    return found


def jacobian(parameters: Any) -> tuple[FloatArray, FloatArray]:
    """∂ entries / ∂ φ, (entries, d), and the length (d,) over which no entry is nearly linear in a coordinate.

    By differences of fourth order, exact to some 1e-11 of each entry's scale.  The length is the largest ratio of first
    to second derivatives: 1 for a logarithm, infinite for a number that is its own coordinate.
    """
    here = parameters.flatten()
    middle = entries(parameters)
    slopes, lengths = np.empty((len(middle), len(here))), np.empty(len(here))
    for i, x in enumerate(here):
        h = _STEP * max(1.0, 1e-3 * abs(x))
        one, back, two, back_two = (
            entries(parameters.unflatten(moved(here, i, by))) for by in (h, -h, 2 * h, -2 * h)
        )
        slopes[:, i] = (8 * (one - back) - (two - back_two)) / (12 * h)
        bends = np.abs(one + back - 2 * middle) / h**2
        bends = np.where(bends * h**2 <= 1e-9 * np.abs(one - back), 0.0, bends)
        moves = slopes[:, i] != 0
        with np.errstate(divide="ignore"):
            lengths[i] = np.max(np.abs(slopes[moves, i]) / bends[moves], initial=0.0)
    return slopes, lengths
