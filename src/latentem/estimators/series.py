"""Series as users have them: one array with lengths or groups, or a list of arrays; as a source, and back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource
from ..errors import DataError
from ..sources import as_source


@dataclass(frozen=True)
class Series:
    """Rows of all series one after the other, as a source with one group for each.

    Attributes
    ----------
    source : ArraySource
    lengths : (G,) int
    """

    source: ArraySource
    lengths: Array

    def in_order(self, array: FloatArray) -> FloatArray:
        """Rows of a result in the order in which the user gave them."""
        if self.source.rows is None:
            return array
        ordered = np.empty_like(array)
        ordered[self.source.rows] = array
        return ordered

    @property
    def n_observed(self) -> int:
        """Rows with something observed."""
        return int(np.sum(~np.isnan(self.source.values).all(axis=1)))


def read_series(
    X: Any, lengths: Any = None, groups: Any = None, sample_weight: Any = None, inputs: Any = None
) -> Series:
    """Series from an array (n,) or (n, p) with lengths or groups, a list or tuple of arrays, or a frame.

    Parameters
    ----------
    sample_weight : (G,), optional
        One weight for each series.
    inputs : (n, m), or a list of arrays, optional

    Raises
    ------
    DataError
        Lengths that do not add up, infinite values, weights or inputs of other lengths.
    """
    if isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) >= 1 and lengths is None and groups is None:
        parts = [np.asarray(part, float) for part in X]
        parts = [part[:, None] if part.ndim == 1 else part for part in parts]
        columns = {part.shape[1:] for part in parts}
        if len(columns) > 1:
            raise DataError(f"the series of a list must have the same columns, got shapes {sorted(columns)}")
        lengths, X = [len(part) for part in parts], np.concatenate(parts)
        inputs = None if inputs is None else np.concatenate([np.asarray(part, float) for part in inputs])
    source = as_source(X, lengths=lengths, groups=groups)
    assert isinstance(source, ArraySource)
    offsets = np.array([0, source.n_rows]) if source.offsets is None else source.offsets
    counts = np.diff(offsets)
    covariates = None if inputs is None else np.asarray(inputs, float)
    if covariates is not None:
        covariates = covariates[:, None] if covariates.ndim == 1 else covariates
        covariates = covariates if source.rows is None else covariates[source.rows]
    weights = None if sample_weight is None else np.repeat(_weights(sample_weight, len(counts)), counts)
    values = np.asarray(source.values, float)
    whole = ArraySource(
        values, weights=weights, lengths=counts, covariates=covariates, names=source.names, rows=source.rows
    )
    return Series(whole, counts)


def _weights(sample_weight: Any, n_series: int) -> FloatArray:
    weights = np.asarray(sample_weight, float)
    if weights.shape != (n_series,):
        raise DataError(f"sample_weight has one entry for each of the {n_series} series, got shape {weights.shape}")
    return weights
