"""Series as users have them: one array with lengths or groups, or a list of arrays; as a source, and back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource
from ..errors import DataError, ParameterError
from ..grouping import split_off
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
    def n_observed(self) -> float:
        """Rows with something observed, by their weights."""
        observed = ~np.isnan(self.source.values).all(axis=1)
        weights = self.source.weights
        return float(np.sum(observed if weights is None else weights[observed]))


def read_series(
    X: Any, lengths: Any = None, groups: Any = None, sample_weight: Any = None, inputs: Any = None
) -> Series:
    """Series from an array (n,) or (n, p) with lengths or groups, a list or tuple of arrays, or a frame.

    Parameters
    ----------
    groups : (n,), or the name of a column, which is then none of the data
    sample_weight : (G,), optional
        One weight for each series.
    inputs : (n, m), or a list of arrays, optional

    Raises
    ------
    DataError
        Lengths that do not add up, infinite values, weights or inputs of other lengths.
    ParameterError
        A list of series with lengths or groups beside it.
    """
    if _is_list_of_series(X, lengths, groups):
        if lengths is not None or groups is not None:
            raise ParameterError("a list of series says where each ends; give no lengths or groups beside it")
        X, lengths, inputs = _joined(X, inputs)
    if isinstance(groups, str):
        X, groups = split_off(X, groups)
    source = as_source(X, lengths=lengths, groups=groups)
    assert isinstance(source, ArraySource)
    offsets = np.array([0, source.n_rows]) if source.offsets is None else source.offsets
    counts = np.diff(offsets)
    covariates = None if inputs is None else np.asarray(inputs, float)
    if covariates is not None:
        covariates = covariates[:, None] if covariates.ndim == 1 else covariates
        if len(covariates) != source.n_rows:
            raise DataError(f"inputs need one row for each of the {source.n_rows} rows, got {len(covariates)}")
        covariates = covariates if source.rows is None else covariates[source.rows]
    weights = None if sample_weight is None else np.repeat(_weights(sample_weight, len(counts)), counts)
    values = np.asarray(source.values, float)
    whole = ArraySource(
        values, weights=weights, lengths=counts, covariates=covariates, names=source.names, rows=source.rows
    )
    return Series(whole, counts)


def _is_list_of_series(X: Any, lengths: Any, groups: Any) -> bool:
    """Nested lists of numbers with lengths or groups beside them are the rows of a table."""
    if not isinstance(X, list | tuple) or not len(X):
        return False
    if lengths is None and groups is None:
        return bool(np.ndim(X[0]) >= 1)
    return all(getattr(part, "ndim", 0) >= 1 for part in X)


def _joined(parts: Any, inputs: Any) -> tuple[FloatArray, list[int], Any]:
    """The series one after the other, their lengths, and their inputs likewise."""
    arrays = [np.asarray(part, float) for part in parts]
    arrays = [part[:, None] if part.ndim == 1 else part for part in arrays]
    columns = {part.shape[1:] for part in arrays}
    if len(columns) > 1:
        raise DataError(f"the series of a list must have the same columns, got shapes {sorted(columns)}")
    lengths = [len(part) for part in arrays]
    if isinstance(inputs, list | tuple):
        inputs = _joined_inputs([np.asarray(part, float) for part in inputs], lengths)
    return np.concatenate(arrays), lengths, inputs


def _joined_inputs(parts: list[FloatArray], lengths: list[int]) -> FloatArray:
    found = [len(part) if part.ndim else 0 for part in parts]
    if found != lengths:
        raise DataError(f"a list of inputs must be divided as the series are: expected {lengths} rows, got {found}")
    if len({part.shape[1:] for part in parts}) > 1:
        raise DataError(f"the inputs of all series must have the same columns, got {[part.shape for part in parts]}")
    return np.concatenate(parts)


def _weights(sample_weight: Any, n_series: int) -> FloatArray:
    weights = np.asarray(sample_weight, float)
    if weights.shape != (n_series,):
        raise DataError(f"sample_weight has one entry for each of the {n_series} series, got shape {weights.shape}")
    return weights
