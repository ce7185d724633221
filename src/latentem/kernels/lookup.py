"""Columns of categories: log densities looked up in a table, and expected counts gathered by category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library


def look_up(tables: Sequence[FloatArray], codes: Array) -> FloatArray:
    """Σ_d tables[d][k, codes[d, i]], (K, n), of tables (K, C_d) and int32 codes (D, n) from 0 to C_d - 1."""
    compiled = library()
    if compiled is None:
        return np.asarray(sum(table[:, row] for table, row in zip(tables, codes, strict=True)))
    out = np.empty((len(tables[0]), codes.shape[1]))
    for d, (table, row) in enumerate(zip(map(as_doubles, tables), codes, strict=True)):
        compiled.latentem_look_up(*out.shape, table.shape[1], int(d > 0), *map(address, (table, row, out)))
    return out


def count_codes(weights: FloatArray, codes: Array, n_codes: int) -> FloatArray:
    """Σ over i with codes[i] = c of weights (K, n), for each c: (K, C)."""
    compiled = library()
    if compiled is None:
        return np.stack([np.bincount(codes, row, n_codes) for row in weights])
    weights, counts = as_doubles(weights), np.zeros((len(weights), n_codes))
    codes = np.ascontiguousarray(codes, np.int32)
    compiled.latentem_count_codes(*weights.shape, n_codes, *map(address, (weights, codes, counts)))
    return counts
