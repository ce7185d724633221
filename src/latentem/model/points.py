"""Points that stand for units, to measure distances with: where starts tell units apart."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from ..data import Batch


def unit_points(batch: Batch, per_group: bool) -> FloatArray:
    """A point for each unit, to measure distances with: the row, or the mean of the group's rows."""
    if not per_group:
        return batch.values
    seen = batch.observed
    starts = batch.group_offsets[:-1]
    totals = np.add.reduceat(np.where(seen, batch.values, 0.0), starts, axis=0)
    counts = np.add.reduceat(seen.astype(float), starts, axis=0)
    return np.where(counts > 0, totals / np.maximum(counts, 1.0), np.nan)


def sequence_points(batch: Batch) -> FloatArray:
    """(G, 3D): mean, standard deviation and lag-one autocorrelation of each column in each group."""
    seen, starts = batch.observed, batch.group_offsets[:-1]
    means = unit_points(batch, per_group=True)
    centred = np.where(seen, batch.values - np.repeat(means, batch.group_lengths, axis=0), 0.0)
    later = np.vstack([centred[1:], np.zeros((1, batch.n_columns))])
    later[batch.group_offsets[1:] - 1] = 0.0
    squares = np.add.reduceat(centred**2, starts, axis=0)
    products = np.add.reduceat(centred * later, starts, axis=0)
    counts = np.maximum(np.add.reduceat(seen.astype(float), starts, axis=0), 1.0)
    return np.hstack([means, np.sqrt(squares / counts), products / np.where(squares > 0, squares, 1.0)])
