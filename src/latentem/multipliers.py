"""Columns of the covariates that multiply loadings or variances, row by row: matrices that are known and vary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._typing import Array, FloatArray
from .data import Batch
from .errors import DataError, ParameterError

ONE = -1


@dataclass(frozen=True)
class LoadingMultipliers:
    """Λₜ = Λ ∘ Xₜ, with the entry x_ij of Xₜ the covariate u_c of its column c, or 1.

    Then Λₜ z = L v with the products v_k = u_c z_j of each different pair (j, c), K in all: what does not change, L,
    in what is known given z.

    Attributes
    ----------
    columns : nested tuple (p, q) of int
        c, counted from 0; -1 for 1.
    """

    columns: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, given: Any) -> LoadingMultipliers:
        """From p rows of q entries: whole numbers, or None for 1.

        Raises
        ------
        ParameterError
            Another shape, or entries that are no columns.
        """
        if isinstance(given, cls):
            return given
        table = np.array(given, dtype=object)
        if table.ndim != 2 or not table.size:
            raise ParameterError(
                "loadings_by must hold a column of the inputs, or None, for each loading: shape (p, q), got "
                f"{table.shape}"
            )
        return cls(tuple(column_numbers("loadings_by", row) for row in table.tolist()))

    @cached_property
    def table(self) -> Array:
        """(p, q) int."""
        return np.array(self.columns)

    @cached_property
    def _pairs(self) -> tuple[Array, Array]:
        """(K, 2) the different pairs of coordinate and column, and (p, q) which of them stands where."""
        states = np.broadcast_to(np.arange(self.table.shape[1]), self.table.shape)
        pairs = np.stack([states.ravel(), self.table.ravel()], axis=1)
        different, place = np.unique(pairs, axis=0, return_inverse=True)
        return different, place.reshape(self.table.shape)

    @property
    def n_products(self) -> int:
        """K."""
        return len(self._pairs[0])

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise `ParameterError` where loadings of this shape are others."""
        if self.table.shape != shape:
            raise ParameterError(f"loadings_by has shape {self.table.shape}, but the loadings have {shape}")

    def loadings(self, batch: Batch, loadings: FloatArray) -> FloatArray:
        """(n, p, q): Λₜ of each row."""
        return np.asarray(loadings * _taken(batch, self.table.ravel()).reshape(len(batch), *self.table.shape))

    def products(
        self, batch: Batch, mean: FloatArray, covariance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean (n, K) and covariance (n, K, K) of v, from those of z: (n, q) and (n, q, q)."""
        states, columns = self._pairs[0].T
        factors = _taken(batch, columns)
        spread = covariance[:, states[:, None], states] * factors[:, :, None] * factors[:, None, :]
        return mean[:, states] * factors, spread

    def widened(self, table: Array, elsewhere: float) -> Array:
        """(p, a + K) from (p, a + q): the last q columns, entries of Λ, as those of L, which has this elsewhere."""
        place = self._pairs[1]
        a = table.shape[1] - place.shape[1]
        wide = np.full((len(table), a + self.n_products), elsewhere, dtype=table.dtype)
        wide[:, :a] = table[:, :a]
        np.put_along_axis(wide, a + place, table[:, a:], axis=1)
        return wide

    def narrowed(self, wide: FloatArray) -> FloatArray:
        """(p, a + q) from (p, a + K): the way back."""
        a = wide.shape[1] - self.n_products
        return np.concatenate([wide[:, :a], np.take_along_axis(wide, a + self._pairs[1], axis=1)], axis=1)


@dataclass(frozen=True)
class VarianceMultipliers:
    """Variances s R of each row, with s the covariate of a column: one for all of R, or one for each of its columns.

    Attributes
    ----------
    name : str
        What they are called in messages.
    columns : tuple of int
        One, or p; -1 for 1.
    may_vanish : bool
        Whether s may be 0 (no time passes between two rows).
    """

    name: str
    columns: tuple[int, ...]
    may_vanish: bool = False

    @classmethod
    def of(cls, name: str, given: Any, *, one: bool = False, may_vanish: bool = False) -> VarianceMultipliers:
        """From a whole number, or p of them and None.

        Raises
        ------
        ParameterError
            Entries that are no columns; more than one where there is but one.
        """
        if isinstance(given, cls):
            return cls(name, given.columns, may_vanish)
        if one and np.ndim(np.array(given, dtype=object)) > 0:
            raise ParameterError(f"{name} is one column of the inputs, got {given!r}")
        entries = [given] if np.ndim(np.array(given, dtype=object)) == 0 else list(given)
        return cls(name, column_numbers(name, entries), may_vanish)

    def of_rows(self, batch: Batch, unused: Array | None = None) -> FloatArray:
        """(n, 1) or (n, p): s, and 1 in rows that are not used.

        Raises
        ------
        DataError
            One that is negative, or zero where it may not vanish.
        """
        found = _taken(batch, np.array(self.columns))
        if unused is not None:
            found[unused] = 1.0
        wrong = np.argwhere(found < 0 if self.may_vanish else found <= 0)
        if len(wrong):
            row, j = wrong[0]
            wanted = "at least 0" if self.may_vanish else "above 0"
            raise DataError(
                f"{self.name}: what multiplies a variance must be {wanted}, but row "
                f"{batch.row_of_unit(int(row), False)} has {found[row, j]} in column {self.columns[j]} of the inputs"
            )
        return found


def column_numbers(name: str, entries: Any) -> tuple[int, ...]:
    """Columns of the covariates as whole numbers from 0, and -1 for None."""
    wrong = [c for c in entries if c is not None and not _is_column(c)]
    if wrong:
        raise ParameterError(f"{name} takes columns of the inputs, whole numbers from 0, or None; got {wrong[0]!r}")
    return tuple(ONE if c is None else int(c) for c in entries)


def _is_column(entry: Any) -> bool:
    return isinstance(entry, int | np.integer) and not isinstance(entry, bool) and bool(entry >= 0)


def _taken(batch: Batch, columns: Array) -> FloatArray:
    """(n, k): these columns of the covariates, and ones for -1."""
    given = 0 if batch.covariates is None else batch.covariates.shape[1]
    if int(columns.max()) >= given:
        raise DataError(
            f"the model takes column {int(columns.max())} of the inputs, counted from 0, but there are {given} columns"
        )
    if batch.covariates is None:
        return np.ones((len(batch), len(columns)))
    return np.where(columns >= 0, batch.covariates[:, columns], 1.0)
