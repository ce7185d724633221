"""Parameters on their natural scale as functions of the unconstrained vector: entries, names, and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..domains.base import entry_labels
from ..domains.constraints import without_constraints
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
