"""What a user should know of the data before trusting a fit, and how it is said."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np

from ..data import Source
from ..result import EMResult, Finding
from .equal_rows import count_distinct, counted


class FindingWarning(UserWarning):
    """A finding of a fit: the numbers are right for the question asked, but the question may not be the one meant."""


def examine(source: Source, n_rows: int, n_components: int, variances: bool) -> list[Finding]:
    """Findings about the data alone, of which rows of weight zero are none.

    Parameters
    ----------
    source : Source
    n_rows : int
        Rows, one of weight 2 counted twice.
    n_components : int
    variances : bool
        Whether the family estimates variances, which constant and duplicated columns drive to their floor.
    """
    found = _few_rows(source, n_rows, n_components)
    if variances:
        found += _flat_columns(source, n_rows)
    return found


def tell(result: EMResult) -> None:
    """Every finding of a result as a warning."""
    for finding in result.findings:
        warnings.warn(finding.message, FindingWarning, stacklevel=7)


def _few_rows(source: Source, n_rows: int, n_components: int) -> list[Finding]:
    if n_rows == 1:
        return [
            Finding("one-row", "there is one row only: the estimates repeat it, and their spread is unknown; add rows")
        ]
    if n_components == 1:
        return []
    distinct = count_distinct(source, n_components)
    if distinct == n_components or distinct > n_components:
        return []
    return [
        Finding(
            "few-distinct-rows",
            f"there are {distinct} distinct rows for {n_components} components: some components must share rows; "
            f"use at most {distinct} components",
        )
    ]


def _flat_columns(source: Source, n_rows: int) -> list[Finding]:
    low, high, total = _ranges(source)
    names = source.names
    found = [
        Finding(
            "constant-column",
            f"column {names[j]!r} is constant ({low[j]:g}): it tells components apart in no way and drives variances "
            "to their floor; drop it",
        )
        for j in np.flatnonzero((low == high) & (n_rows > 1))
    ]
    summary = np.stack([low, high, total])
    pairs = [
        (i, j)
        for i, j in combinations(_alike(summary), 2)
        if np.array_equal(summary[:, i], summary[:, j]) and low[i] < high[i]
    ]
    for i, j in _equal(source, pairs):
        found.append(
            Finding(
                "duplicated-column",
                f"columns {names[i]!r} and {names[j]!r} are equal: their covariance is singular and is held by the "
                "floor; drop one of them",
            )
        )
    return found


def _alike(summary: np.ndarray) -> list[int]:
    """Columns whose summary occurs more than once."""
    _, inverse, counts = np.unique(summary, axis=1, return_inverse=True, return_counts=True)
    return [int(j) for j in np.flatnonzero(counts[np.ravel(inverse)] > 1)]


def _ranges(source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smallest, largest and sum of the observed entries of each column."""
    low = np.full(source.n_columns, np.inf)
    high, total = -low, np.zeros(source.n_columns)
    for batch in source:
        values = counted(batch)
        low = np.fmin(low, np.fmin.reduce(values, axis=0, initial=np.inf))
        high = np.fmax(high, np.fmax.reduce(values, axis=0, initial=-np.inf))
        total += np.nansum(values, axis=0) if batch.missing else values.sum(axis=0)
    return low, high, total


def _equal(source: Source, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of columns that are equal in every row."""
    for batch in source:
        if not pairs:
            break
        values = counted(batch)
        pairs = [(i, j) for i, j in pairs if np.array_equal(values[:, i], values[:, j], equal_nan=True)]
    return pairs
