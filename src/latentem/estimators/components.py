"""The order of components: documented, and changed on request."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from ..data import Source
from ..model import LatentVariableModel, ModelParameters
from ..models.relabelling import permute

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
