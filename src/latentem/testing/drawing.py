"""Data for the checks: drawn from a family's own `sample`, spoiled with holes, cut into units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..model import Family

GROUP_LENGTH = 4


def draw(
    family: Family[Any, Any],
    params: Any,
    n_components: int,
    rng: np.random.Generator,
    n_units: int = 36,
    n_covariates: int = 0,
) -> tuple[Batch, Array]:
    """A batch drawn from the family itself, and the component of each unit (they take turns).

    Where the unit is a group, every group has four rows.  Covariates are standard normal.  The arrays are read-only.
    """
    states = np.arange(n_units) % n_components
    if not family.per_group:
        given = design(n_units, rng, n_covariates)
        drawn = frozen(family.sample_given(params, states, given, rng))
        return replace(given, values=drawn, memo={}), states
    designs = [design(GROUP_LENGTH, rng, n_covariates) for _ in states]
    each = [np.full(GROUP_LENGTH, state) for state in states]
    groups = [
        replace(one, values=family.sample_given(params, state, one, rng))
        for one, state in zip(designs, each, strict=True)
    ]
    whole = concatenated(groups, per_group=True)
    return replace(whole, values=frozen(whole.values)), states


def design(n_rows: int, rng: np.random.Generator, n_covariates: int) -> Batch:
    """Rows without values of their own, with standard normal covariates, if any."""
    covariates = frozen(rng.normal(size=(n_rows, n_covariates))) if n_covariates else None
    return Batch(np.zeros((n_rows, 1)), covariates=covariates)


def with_holes(batch: Batch, rng: np.random.Generator, share: float = 0.3) -> Batch:
    """The batch with a share of its entries missing, at random."""
    values = np.where(rng.random(batch.values.shape) < share, np.nan, batch.values)
    return replace(batch, values=frozen(values), missing=True, memo={})


def take(batch: Batch, start: int, stop: int, per_group: bool) -> Batch:
    """Units `start` to `stop` of a batch: rows, or groups."""
    rows, offsets = slice(start, stop), None
    if per_group:
        rows = slice(*batch.group_offsets[[start, stop]])
        offsets = batch.group_offsets[start : stop + 1] - batch.group_offsets[start]
    weights = None if batch.weights is None else batch.weights[rows]
    labels = None if batch.labels is None else batch.labels[rows]
    covariates = None if batch.covariates is None else batch.covariates[rows]
    return Batch(batch.values[rows], weights, labels, offsets, batch.first_row, batch.missing, covariates)


def fresh(batch: Batch) -> Batch:
    """The batch without memory of what it was asked."""
    return replace(batch, memo={})


def frozen(values: FloatArray) -> FloatArray:
    """A read-only copy."""
    values = np.array(values, dtype=float)
    values.flags.writeable = False
    return values


def concatenated(parts: list[Batch], per_group: bool) -> Batch:
    """One batch of several, each a group of its own where the unit is the group."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]) if per_group else None
    given = [part.covariates for part in parts if part.covariates is not None]
    return Batch(
        np.concatenate([part.values for part in parts]),
        offsets=offsets,
        missing=parts[0].missing,
        covariates=np.concatenate(given) if given else None,
    )


def one_hot(states: Array, k: int) -> FloatArray:
    """(K, n): 1 where a state is, else 0."""
    return (np.arange(k)[:, None] == np.asarray(states)).astype(float)


def certain(states: Array, k: int) -> FloatArray:
    """Log densities that leave one state possible in each column."""
    return np.where(one_hot(states, k) > 0, 0.0, -np.inf)
