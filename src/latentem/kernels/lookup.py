"""Columns of categories: log densities looked up in a table, and expected counts gathered by category."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from .compiled import address, as_doubles, library


def look_up(table: FloatArray, codes: Array, out: FloatArray) -> None:
    """Add table (K, C)[k, codes[i]] to out (K, n), in place; codes are int32 from 0 to C - 1."""
    compiled = library()
    if compiled is None:
        out += table[:, codes]
        return
    table, codes = as_doubles(table), np.ascontiguousarray(codes, np.int32)
    compiled.latentem_look_up(*out.shape, table.shape[1], *map(address, (table, codes, out)))


def count_codes(weights: FloatArray, codes: Array, n_codes: int) -> FloatArray:
    """Σ over i with codes[i] = c of weights (K, n), for each c: (K, C)."""
    compiled = library()
    if compiled is None:
        return np.stack([np.bincount(codes, row, n_codes) for row in weights])
    weights, counts = as_doubles(weights), np.zeros((len(weights), n_codes))
    codes = np.ascontiguousarray(codes, np.int32)
    compiled.latentem_count_codes(*weights.shape, n_codes, *map(address, (weights, codes, counts)))
    return counts
