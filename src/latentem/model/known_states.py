"""Densities of units about which something is known: their state, or that they tell nothing."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from ..data import Batch
from ..densities import LinearGaussianDensity
from ..errors import DataError
from .contracts import Density


def silenced(log_density: Density, units: Array) -> Density:
    """The density with these units telling nothing about z."""
    if isinstance(log_density, LinearGaussianDensity):
        return log_density.without(units)
    log_density[:, units] = 0.0
    return log_density


def impose(labels: Array, log_density: Density, batch: Batch, per_group: bool) -> None:
    """Make every state but the known one impossible."""
    if isinstance(log_density, LinearGaussianDensity):
        raise DataError("labels are known states, but z is a vector here; leave them out")
    known = labels[batch.group_offsets[:-1]] if per_group else labels
    rows = np.flatnonzero(known >= 0)
    too_high = rows[known[rows] >= len(log_density)]
    if len(too_high):
        row = batch.row_of_unit(int(too_high[0]), per_group)
        raise DataError(f"row {row} has the known state {known[too_high[0]]}, but there are {len(log_density)} states")
    kept = log_density[known[rows], rows]
    log_density[:, rows] = -np.inf
    log_density[known[rows], rows] = kept
