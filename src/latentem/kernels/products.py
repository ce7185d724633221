"""Products of an exponential family, log densities W F and expected statistics R Fᵀ; and moments of rows.

F has a row for each sufficient statistic and a column for each observation.  Compiled where 512-bit vectors are there
and the work is worth a call, else the BLAS.  Where rows have few columns, products of these are quicker computed again
than kept: `weighted_products` and `expected_products` never have more of F than a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from .compiled import address, as_doubles, library
from .scratch import give_back, take

# Below this many multiplications the BLAS returns before a compiled call has begun.
SMALLEST_COMPILED = 20_000
# Up to this many columns F is computed again where it is needed.
MOST_COLUMNS = 8
_BLOCK = 1024
# Numbers in a vector, and rows that the compiled moments work on at a time; and those of the reference.
LANES, MOMENT_ROWS, BLOCK_ROWS = 8, 96, 504


def weighted_sums(weights: FloatArray, features: FloatArray) -> FloatArray:
    """W F: weights (K, P), features (P, n), result (K, n)."""
    n_features, n = features.shape
    compiled = _wide(len(weights) * n_features * n, features)
    if compiled is None:
        return np.asarray(weights @ features)
    weights, out = as_doubles(weights), np.empty((len(weights), n))
    compiled.latentem_weighted_sums(len(weights), n_features, n, address(weights), address(features), address(out))
    return out


def expected_sums(responsibilities: FloatArray, features: FloatArray) -> FloatArray:
    """R Fᵀ: responsibilities (K, n), features (P, n), result (K, P)."""
    n_features, n = features.shape
    compiled = _wide(len(responsibilities) * n_features * n, features)
    if compiled is None:
        return np.asarray(responsibilities @ features.T)
    r, out = as_doubles(responsibilities), np.empty((len(responsibilities), n_features))
    compiled.latentem_expected_sums(len(r), n_features, n, address(r), address(features), address(out))
    return out


def passes_by(n_components: int, x: FloatArray) -> bool:
    """Whether the next two serve these rows."""
    return _streaming(n_components, x) is not None


def weighted_products(weights: FloatArray, x: FloatArray, centre: FloatArray) -> FloatArray:
    """W F for the `product_features` F of rows x about a centre."""
    compiled = _streaming(len(weights), x)
    if compiled is None:
        return weighted_sums(weights, product_features(x, centre))
    out = np.empty((len(weights), len(x)))
    _stream(compiled.latentem_weighted_products, as_doubles(weights), x, centre, out)
    return out


def expected_products(responsibilities: FloatArray, x: FloatArray, centre: FloatArray) -> FloatArray:
    """R Fᵀ for the `product_features` F of rows x about a centre."""
    compiled = _streaming(len(responsibilities), x)
    if compiled is None:
        return expected_sums(responsibilities, product_features(x, centre))
    out = np.empty((len(responsibilities), n_products(x.shape[1])))
    _stream(compiled.latentem_expected_products, as_doubles(responsibilities), x, centre, out)
    return out


def n_products(d: int) -> int:
    """The number of rows of `product_features`."""
    return d * (d + 1) // 2 + d + 1


def moments(x: FloatArray, centre: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Σ w y (D,) and Σ w y yᵀ (D, D) of the centred rows y = x - centre of x (n, D); weights None: ones."""
    n, d = x.shape
    compiled = library() if n * d * d >= SMALLEST_COMPILED else None
    if compiled is None or not compiled.latentem_has_wide_vectors():
        return moments_reference(x, centre, weights)
    x, centre = as_doubles(x), as_doubles(centre)
    stride = -(-d // LANES) * LANES
    work, first, second = np.empty((MOMENT_ROWS + stride + 1, stride)), np.empty(d), np.empty((d, d))
    given = None if weights is None else as_doubles(weights)
    places = (address(x), address(centre), None if given is None else address(given))
    compiled.latentem_moments(n, d, *places, address(work), address(first), address(second))
    return first, second


def moments_reference(x: FloatArray, centre: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """The same in NumPy, a block of rows at a time in the same memory, which stays in the cache."""
    n, d = x.shape
    first, second = np.zeros(d), np.zeros((d, d))
    room = np.empty((min(BLOCK_ROWS, n), d))
    for start in range(0, n, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        y = np.subtract(x[block], centre, out=room[: len(x[block])])
        if weights is None:
            first += y.sum(axis=0)
        else:
            first += weights[block] @ y
            y *= np.sqrt(weights[block])[:, None]
        second += y.T @ y
    return first, second


def product_features(x: FloatArray, centre: FloatArray) -> FloatArray:
    """Rows yᵢyⱼ (i ≤ j), yᵢ, 1 of the centred values y = x - centre; shape (D(D+1)/2 + D + 1, n)."""
    n, d = x.shape
    compiled = library() if n * d * d >= SMALLEST_COMPILED else None
    if compiled is None:
        return product_features_reference(x, centre)
    return _filled(compiled.latentem_product_features, x, centre, n_products(d))


def axis_features(x: FloatArray, centre: FloatArray) -> FloatArray:
    """Rows y², y, 1 of the centred values y = x - centre; shape (2D + 1, n)."""
    n, d = x.shape
    compiled = library() if n * d >= SMALLEST_COMPILED // 8 else None
    if compiled is None:
        return axis_features_reference(x, centre)
    return _filled(compiled.latentem_axis_features, x, centre, 2 * d + 1)


def product_features_reference(x: FloatArray, centre: FloatArray) -> FloatArray:
    """The same in NumPy."""
    n, d = x.shape
    pairs = d * (d + 1) // 2
    rows = np.empty((n_products(d), n))
    centred = rows[pairs : pairs + d]
    np.subtract(x.T, centre[:, None], out=centred)
    start = 0
    for i in range(d):
        np.multiply(centred[i], centred[i:], out=rows[start : start + d - i])
        start += d - i
    rows[-1] = 1.0
    return rows


def axis_features_reference(x: FloatArray, centre: FloatArray) -> FloatArray:
    """The same in NumPy."""
    n, d = x.shape
    rows = np.empty((2 * d + 1, n))
    y = rows[d : 2 * d]
    np.subtract(x.T, centre[:, None], out=y)
    np.multiply(y, y, out=rows[:d])
    rows[-1] = 1.0
    return rows


def _filled(kernel: Any, x: FloatArray, centre: FloatArray, n_features: int) -> FloatArray:
    x, centre, rows = as_doubles(x), as_doubles(centre), np.empty((n_features, len(x)))
    kernel(*x.shape, address(x), address(centre), address(rows))
    return rows


def _stream(kernel: Any, left: FloatArray, x: FloatArray, centre: FloatArray, out: FloatArray) -> None:
    x, centre = as_doubles(x), as_doubles(centre)
    n, d = x.shape
    work = take(_BLOCK * n_products(d))
    kernel(len(left), d, n, *map(address, (left, x, centre, work, out)))
    give_back(work)


def _streaming(n_components: int, x: FloatArray) -> Any:
    n, d = x.shape
    return _wide(n_components * n_products(d) * n, x) if d <= MOST_COLUMNS else None


def _wide(work: int, features: FloatArray) -> Any:
    """The library if it has products for this machine, and this product is worth a call."""
    compiled = library() if work >= SMALLEST_COMPILED else None
    suits = features.flags.c_contiguous and features.dtype == np.float64
    return compiled if compiled is not None and suits and compiled.latentem_has_wide_vectors() else None
