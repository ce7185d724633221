"""Derivatives that are no numbers where the density is one: the trap of `jnp.where` with a branch that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....errors import DataError, ParameterError
from ..compiled import Compiled
from ..parameters import DeclaredParameters
from .wording import main_density, named, theta_in_words

if TYPE_CHECKING:
    from ..model import DeclaredModel

REMEDY = (
    "A jnp.where that leaves out what is no number (log 0, a missing value) still differentiates it; leave it out "
    "inside as well: jnp.where(ok, f(jnp.where(ok, x, 1.0)), other)"
)


def check_gradients(model: DeclaredModel, params: DeclaredParameters, batch: Batch) -> None:
    """Raise if Q's gradient at θ is no number although the densities are: the M-step could not move what it concerns.

    Raises
    ------
    ParameterError, DataError
        The parameters, and the row, are named.
    """
    functions, x = model._functions(batch), model.rows(batch)
    points = model.infer(params, batch)
    weights = points.weighted(batch)
    labels, at = np.nonzero(weights > 0)
    rows = points.rows[at]
    found = first_without(functions, params.flatten(), x[rows], points.u[at], labels, weights[labels, at])
    if found is not None:
        pair, lost = found
        number = batch.row_of_unit(int(rows[pair]), False)
        raise DataError(without_gradient(functions, params, x[rows[pair]], lost, number))
    if model.declaration.log_prior is not None:
        lost = ~np.isfinite(model._any_functions().prior(params.flatten())[1])
        if lost.any():
            raise ParameterError(
                f"the derivative of {named(functions, 'log_prior')} by {_coordinates(params, lost)} is no number at "
                f"{theta_in_words(params)}.  {REMEDY}"
            )


def first_without(
    functions: Compiled, vector: FloatArray, x: FloatArray, u: FloatArray, labels: Array, weights: FloatArray
) -> tuple[int, Array] | None:
    """The first pair of point and label whose density has a gradient that is not finite, and in which coordinates."""
    low, high = 0, len(weights)

    def lost(first: int, stop: int) -> Array:
        part = slice(first, stop)
        return ~np.isfinite(functions.derivatives(vector, x[part], u[part], labels[part], weights[part])[1])

    if not high or not lost(low, high).any():
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lost(low, middle).any() else (middle, high)
    return low, lost(low, high)


def without_gradient(
    functions: Compiled, params: DeclaredParameters, x: FloatArray, lost: Array, number: int | None = None
) -> str:
    """The message about a row whose density has no gradient."""
    cells = ", ".join(f"{name} = {value:g}" for name, value in zip(functions.layout.names, x, strict=False))
    row = f"{'a row' if number is None else f'row {number}'} ({cells})"
    return (
        f"the derivative of {main_density(functions)} by {_coordinates(params, lost)} is no number in {row}, though "
        f"its value is, at {theta_in_words(params)}.  {REMEDY}"
    )


def _coordinates(params: DeclaredParameters, lost: Array) -> str:
    names = [name for name, is_lost in zip(params.coordinate_names(), lost, strict=True) if is_lost]
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
