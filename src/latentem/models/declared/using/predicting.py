"""What a declared model says of data: the posterior of z, and log-likelihoods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....latents import Normal
from ..checking.checks import check_indices
from ..e_steps import Points
from ..model import DeclaredModel
from ..space import Space, is_continuous
from .new_data import NewData, batches, checked_parameters, ready


@dataclass(frozen=True)
class DeclaredPosterior:
    """p(z | x; θ) of every unit: of a row, or of a group of rows; for a chain, of every row of its sequences.

    Rows are in the order of the data, groups in the order in which they first appear.

    Attributes
    ----------
    states : tuple
        The values of z's discrete parts that the columns of `probabilities` stand for: numbers, or tuples, or mappings
        of them by the names of the parts.
    probabilities : (units, K) or None
        p(z = k | x; θ) of the discrete parts together; None where there are none.
    coordinates : tuple of str
        What the continuous coordinates of z are called.
    mean : (units, d) or None
        E[z | x; θ] of the continuous coordinates; None where there are none.
    covariance : (units, d, d) or None
    conditional_means : (units, K, d) or None
        E[z | x, k; θ] where z has both; NaN where state k is impossible, and has none.
    groups : (G,) or None
        The key of every group or sequence, where rows form such; their numbers where they have no keys.
    """

    states: tuple[Any, ...]
    probabilities: FloatArray | None
    coordinates: tuple[str, ...]
    mean: FloatArray | None
    covariance: FloatArray | None
    conditional_means: FloatArray | None
    groups: Array | None


def posterior(
    model: DeclaredModel, parameters: Any, x: Any, *, groups: Any = None, lengths: Any = None
) -> DeclaredPosterior:
    """The posterior of z given data.

    Parameters
    ----------
    model : DeclaredModel
        After a fit `result.model`, whose E-step is as fine as the fit made it.
    parameters : DeclaredParameters, or mapping from name to value
    x : data as for `fit`
    groups, lengths
        As for `fit`.

    Raises
    ------
    DataError
        The data have other columns than at the fit, or a unit is impossible under the model.
    ParameterError
        The parameters are those of another model.
    """
    data, inferred = _inferred(model, parameters, x, groups, lengths)
    space, parts, order, firsts = model.declaration.space, [], [], []
    for batch, points in inferred:
        parts.append(_moments(*_counted_once(points, batch, model)))
        numbers = batch.first_row + np.arange(len(batch)) if batch.rows is None else batch.rows
        order.append(numbers)
        if model.per_group:
            firsts.append(numbers[batch.group_offsets[:-1]])
    together = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    if space.is_chain:
        together = [array[np.argsort(np.concatenate(order))] for array in together]
    probabilities, mean, covariance, conditional = together
    discrete, continuous = space.n_discrete > 0, space.dimension > 0
    return DeclaredPosterior(
        states=_states(space) if discrete else (),
        probabilities=probabilities if discrete else None,
        coordinates=tuple(_coordinates(space)),
        mean=mean if continuous else None,
        covariance=covariance if continuous else None,
        conditional_means=conditional if discrete and continuous else None,
        groups=data.keys(np.concatenate(firsts)) if model.per_group else None,
    )


def log_likelihood(
    model: DeclaredModel, parameters: Any, x: Any, *, groups: Any = None, lengths: Any = None
) -> FloatArray:
    """log p(x; θ) of every unit, (units,): of a row, a group or a sequence; see `posterior` for the arguments."""
    _, inferred = _inferred(model, parameters, x, groups, lengths)
    return np.concatenate([points.log_likelihood for _, points in inferred])


def _inferred(
    model: DeclaredModel, parameters: Any, x: Any, groups: Any, lengths: Any
) -> tuple[NewData, Iterator[tuple[Batch, Points]]]:
    params = checked_parameters(model, parameters)
    data = NewData.of(model, x, groups, lengths)
    fitted = ready(model, params, data.source)
    checked = check_indices(fitted, params, batches(fitted, data.source))
    return data, ((batch, fitted.infer(params, batch)) for batch in checked)


def _counted_once(
    points: Points, batch: Batch, model: DeclaredModel
) -> tuple[Array, FloatArray, FloatArray, int]:
    """The unit, coordinates u and weights (K, m) of every point, and how many units there are.

    A node of a group is there for each of its rows: those of the first row stand for it.
    """
    rows, u, weights = points.rows, points.u, points.weights[: model.declaration.space.n_states]
    if not model.per_group or model.declaration.is_chain:
        return rows, u, weights, len(batch)
    starts = batch.group_offsets[:-1]
    first = np.isin(rows, starts)
    return np.searchsorted(starts, rows[first]), u[first], weights[:, first], len(starts)


def _moments(
    unit: Array, u: FloatArray, weights: FloatArray, n: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Probabilities (n, K), mean (n, d), covariance (n, d, d) and conditional means (n, K, d)."""
    d, k = u.shape[1], len(weights)
    probabilities = np.stack([_total(unit, w, n) for w in weights], axis=1)
    partial = np.empty((n, k, d))
    for i in range(k):
        for j in range(d):
            partial[:, i, j] = _total(unit, weights[i] * u[:, j], n)
    mean, covariance = partial.sum(axis=1), np.empty((n, d, d))
    centred, total = u - mean[unit], weights.sum(axis=0)
    for i in range(d):
        for j in range(i + 1):
            covariance[:, i, j] = covariance[:, j, i] = _total(unit, total * centred[:, i] * centred[:, j], n)
    with np.errstate(invalid="ignore", divide="ignore"):
        conditional = np.where(probabilities[..., None] > 0, partial / probabilities[..., None], np.nan)
    return probabilities, mean, covariance, conditional


def _total(unit: Array, values: FloatArray, n: int) -> FloatArray:
    """Sums of the points' values by unit, (n,)."""
    return np.bincount(unit, values, minlength=n).astype(float)


def _states(space: Space) -> tuple[Any, ...]:
    names = [name for name, part in space.parts if not is_continuous(part)]
    rows = [tuple(map(int, state)) for state in space.states]
    if space.kind == "single":
        return tuple(row[0] for row in rows)
    return tuple(rows) if space.kind == "tuple" else tuple(dict(zip(names, row, strict=True)) for row in rows)


def _coordinates(space: Space) -> Iterator[str]:
    for place, (name, part) in enumerate(space.parts):
        if is_continuous(part):
            stem = {"single": "z", "record": str(name)}.get(space.kind, f"z[{place}]")
            shape = part.shape if isinstance(part, Normal) else ()
            yield from (stem + "".join(f"[{i}]" for i in index) for index in np.ndindex(*shape))
