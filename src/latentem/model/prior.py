"""Conjugate priors as observations that were never made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import ArraySource, Batch
from ..errors import DataError, ParameterError
from ..statistics import Statistics, arrays_of
from .checking import check_source
from .contracts import Family, Latent


@dataclass(frozen=True)
class Prior:
    """A conjugate prior as pseudo-statistics: observations that were never made, with weights.

    Attributes
    ----------
    rows : (m, D)
        Pseudo-observations, seen by every component.
    weights : (m,)
        Their weights; all components see each with this weight.
    concentration : float, or the latent's Statistics
        Pseudo-count of each state: a Dirichlet prior with parameter 1 + concentration.  Statistics of the latent are
        pseudo-counts of each state or transition by itself.
    """

    rows: FloatArray | None = None
    weights: FloatArray | None = None
    concentration: float | Statistics = 0.0

    def __post_init__(self) -> None:
        given = self.concentration
        counts = arrays_of(given) if isinstance(given, Statistics) else [np.asarray(given)]
        if not all(np.all(np.isfinite(count) & (count >= 0)) for count in counts):
            raise ParameterError(f"a prior's concentration must be finite and not negative, got {given}")
        if self.weights is not None and self.rows is None:
            raise ParameterError("a prior has weights, but no rows that they could belong to")

    @property
    def is_flat(self) -> bool:
        return self.rows is None and not isinstance(self.concentration, Statistics) and self.concentration == 0

    def counts(self, latent: Latent[Any, Any]) -> Any:
        """The latent's pseudo-statistics."""
        given = self.concentration
        return given if isinstance(given, Statistics) else latent.pseudo_statistics(given)

    def check(self, family: Family[Any, Any], n_columns: int) -> None:
        """Raise `DataError` where the pseudo-observations could not be rows of the data."""
        if self.rows is None:
            return
        try:
            rows = np.asarray(self.rows, float)
            source = ArraySource(rows[None] if rows.ndim == 1 else rows, weights=self.weights)
            if source.n_columns != n_columns:
                raise DataError(f"its rows have {source.n_columns} columns, the data have {n_columns}")
            check_source(family, source)
        except ValueError as error:
            raise DataError(f"the pseudo-observations of the prior: {error}") from error

    def batch(self) -> Batch | None:
        if self.rows is None:
            return None
        rows = np.atleast_2d(np.asarray(self.rows, float))
        weights = np.ones(len(rows)) if self.weights is None else np.asarray(self.weights, float)
        return Batch(rows, weights=weights, missing=bool(np.isnan(rows).any()))
