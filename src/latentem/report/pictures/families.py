"""Families as pictures see them: without wrappers, column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...data import Batch
from ...densities import Form
from ...errors import DataError
from ...families import Components, Conjugate, Constrained, PerColumn, Plate, Product
from ...model import LatentVariableModel
from ...plots.shapes import passes

# What a wrapper's parameters are to the family inside.
_UNWRAP: dict[type, Callable[[Any], Any]] = {
    Constrained: lambda params: params.base,
    Conjugate: lambda params: params,
    Plate: lambda params: params,
}


def bare(family: Any, emissions: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The family inside wrappers that change nothing about the density of a row, and its parameters."""
    while type(family) in _UNWRAP:
        emissions = tuple(map(_UNWRAP[type(family)], emissions))
        family = family.family
    return family, emissions


def marginal(family: Any, params: Any, column: int, n_columns: int, points: FloatArray) -> FloatArray:
    """(K, points): the density of one column in each component; missing entries of the others are integrated out."""
    values = np.full((len(points), n_columns), np.nan)
    values[:, column] = points
    with np.errstate(all="ignore"):
        return np.exp(family.log_density(Batch(values, missing=n_columns > 1), params))


def supported(family: Any, column: int, n_columns: int, points: FloatArray) -> Array:
    """(points,) bool: which of them one column may hold."""
    values = np.full((len(points), n_columns), np.nan)
    values[:, column] = points
    try:
        family.check(Batch(values, missing=n_columns > 1))
    except DataError:
        return np.array([passes(family, row) for row in values])
    return np.ones(len(points), bool)


def is_discrete(family: Any, column: int) -> bool:
    """Whether a column holds whole numbers."""
    if isinstance(family, Product):
        return any(is_discrete(part, columns.index(column)) for part, columns in family.parts if column in columns)
    if isinstance(family, Components):
        return is_discrete(family.families[0], column)
    if isinstance(family, PerColumn | LatentVariableModel):
        return is_discrete(family.family, 0 if isinstance(family, PerColumn) else column)
    return bool(family.discrete)


def are_factor_models(family: Any) -> bool:
    """Whether each component is z ~ N seen linearly: a mixture of factor analyzers."""
    return isinstance(family, Components) and all(
        isinstance(one, LatentVariableModel) and one.latent.form is Form.LINEAR_GAUSSIAN and not one.per_group
        for one in family.families
    )


def moments_of_factor_models(params: Any) -> tuple[FloatArray, FloatArray]:
    """(K, p) and (K, p, p): mean and covariance of d + Λz + noise in each component."""
    parts = [(one.latent, one.emission) for one in params.parts]
    means = [e.offset + e.loadings @ z.mean for z, e in parts]
    spreads = [e.loadings @ z.covariance @ e.loadings.T + e.noise_matrix for z, e in parts]
    return np.array(means), np.array(spreads)
