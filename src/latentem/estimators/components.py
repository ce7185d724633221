"""The order of components: documented, and changed on request."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Source
from ..errors import ParameterError
from ..families.components import Components
from ..model import LatentVariableModel, ModelParameters
from ..models.starts import draw_pool
from ..parameters import Parameters

ORDERS = ("weight", "mean")


def sort_components(
    model: LatentVariableModel, params: ModelParameters, source: Source, order: str
) -> tuple[ModelParameters, Array]:
    """The same model with its components in another order, and the old number of each.

    Parameters
    ----------
    order : {"weight", "mean"}
        By falling weight, or by rising mean of the first column (of the next one where means are equal), where
        a component's mean is the average of the rows by their responsibilities.
    """
    if order == "weight":
        permutation = np.argsort(-params.latent.weights, kind="stable")
    else:
        permutation = np.lexsort(component_means(model, params, source).T[::-1])
    return permute(model, params, source, permutation), permutation


def component_means(model: LatentVariableModel, params: ModelParameters, source: Source) -> FloatArray:
    """(K, D): averages of the observed entries by responsibilities; 0 where a component has none."""
    k = model.latent.n_states
    sums, counts = np.zeros((k, source.n_columns)), np.zeros((k, source.n_columns))
    for batch in source:
        r = model.infer(params, batch)[0].probabilities * batch.unit_weights(False)
        sums += r @ np.nan_to_num(batch.values)
        counts += r @ batch.observed.astype(float)
    return sums / np.where(counts > 0, counts, 1.0)


def permute(model: LatentVariableModel, params: ModelParameters, source: Source, permutation: Array) -> ModelParameters:
    """Parameters with the components rearranged.

    Which arrays have an axis of components is seen by comparing rough parameters for K and for K + 1 of them.
    """
    k = model.latent.n_states
    if isinstance(model.family, Components):
        raise ParameterError("components of different families keep the order of their list; use order=None")
    pool = draw_pool(source, np.random.default_rng(0), 100)
    emission = _permuted(params.emission, model.family.start(pool, k), model.family.start(pool, k + 1), k, permutation)
    return ModelParameters(replace(params.latent, weights=params.latent.weights[permutation]), emission)


def _permuted(value: Any, fewer: Any, more: Any, k: int, permutation: Array) -> Any:
    if isinstance(value, Parameters):
        changes = {
            name: _permuted(getattr(value, name), getattr(fewer, name), getattr(more, name), k, permutation)
            for name in (field.name for field in fields(value))
        }
        return replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(_permuted(v, f, m, k, permutation) for v, f, m in zip(value, fewer, more, strict=True))
    before, after = np.shape(fewer), np.shape(more)
    by_component = before[:1] == (k,) and after[:1] == (k + 1,)
    return np.asarray(value)[permutation] if by_component else value


def match_labels(model: LatentVariableModel, params: ModelParameters, source: Source) -> ModelParameters:
    """The same components, numbered so that they agree best with the known labels of the rows.

    The assignment problem is solved on the expected number of rows with label j in component k.
    """
    from scipy.optimize import linear_sum_assignment

    k = model.latent.n_states
    table = np.zeros((k, k))
    for batch in source:
        if batch.labels is not None:
            r = model.infer(params, batch.without_labels())[0].probabilities * batch.unit_weights(False)
            np.add.at(table, batch.labels[batch.labels >= 0], r.T[batch.labels >= 0])
    _, permutation = linear_sum_assignment(-table)
    return permute(model, params, source, permutation)
