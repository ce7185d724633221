"""Tables of every awkward kind: constant, heavy-tailed, huge, tiny, with holes, repeated, of any type of number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

Rng = np.random.Generator
ROWS = (1, 2, 3, 5, 8, 8, 15, 15, 30, 30, 60, 60, 120, 120)
MANY_ROWS = 1200
FAR = 1e8


def table(rng: Rng, column: str, n_columns: int | None) -> Any:
    """A table of columns of one kind; sparse now and then where they are counts."""
    n = MANY_ROWS if rng.random() < 0.02 else int(rng.choice(ROWS))
    d = n_columns or int(rng.integers(1 + (column == "direction"), 5))
    X = np.stack([COLUMNS[column](rng, n) for _ in range(d)], axis=1)
    if column == "direction":
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if d > 1 and rng.random() < 0.15:
        X[:, -1] = X[:, 0]
    if n > 1 and rng.random() < 0.15:
        X = X[rng.integers(0, max(1, n // int(rng.integers(1, 8))), n)]
    if column == "text":
        return X
    X = with_holes(rng, X) if rng.random() < 0.25 else X
    return as_type(rng, X, column != "real")


def with_holes(rng: Rng, X: Any) -> Any:
    """Missing entries: scattered, whole rows, a whole column."""
    holes = rng.random(X.shape) < rng.choice([0.05, 0.3, 0.7])
    if rng.random() < 0.2:
        holes[rng.integers(len(X))] = True
    if rng.random() < 0.1:
        holes[:, rng.integers(X.shape[1])] = True
    return np.where(holes, np.nan, X)


def as_type(rng: Rng, X: Any, exactly: bool) -> Any:
    """The table in another type and layout; whole numbers only from whole numbers, where it must be exact."""
    chosen = rng.choice(["float64", "float64", "float32", "int64", "fortran", "sparse"])
    with np.errstate(over="ignore"):
        if chosen == "float32" and np.all(np.isnan(X) | np.isfinite(X.astype(np.float32))):
            return X.astype(np.float32)
    if chosen == "sparse" and exactly and not np.isnan(X).any() and np.all(np.floor(X) == X):
        return sparse.csr_array(X)
    whole = np.all(np.floor(X) == X) if exactly else not np.isnan(X).any()
    if chosen == "int64" and whole and np.all(np.abs(X) < 1e15):
        return X.astype(np.int64)
    return np.asfortranarray(X) if chosen == "fortran" else X


def real(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.normal(size=n),
        lambda: rng.normal(size=n) + 5.0 * rng.integers(0, 3, n),
        lambda: rng.standard_cauchy(n),
        lambda: np.full(n, rng.normal()),
        lambda: np.zeros(n),
        lambda: rng.integers(-3, 4, n).astype(float),
        lambda: rng.normal(size=n) + FAR * rng.integers(0, 2, n),
        lambda: np.where(rng.random(n) < 0.1, 1e6, 0.0) + 1e-3 * rng.normal(size=n),
        lambda: np.arange(n, dtype=float),
        lambda: np.exp(3 * rng.normal(size=n)),
        lambda: rng.choice([0.0, -0.0, 5e-324, -1e-310, 1e-160], n),
        lambda: rng.choice([1.0, np.nextafter(1.0, 2.0)], n),
    ]
    return kinds[rng.integers(len(kinds))]() * scale(rng) + (rng.normal() * scale(rng) if rng.random() < 0.2 else 0.0)


def scale(rng: Rng) -> float:
    """Mostly 1; now and then any size that floating-point numbers and their squares can have."""
    widest = rng.choice([0.0, 0.0, 0.0, 3.0, 12.0, 140.0])
    return float(10 ** rng.uniform(-widest, widest))


def positive(rng: Rng, n: int) -> Any:
    x = np.abs(real(rng, n))
    kinds = [x, x + 1e-3, rng.gamma(rng.choice([0.05, 1.0, 50.0]), size=n) * scale(rng), np.exp(rng.normal(size=n))]
    chosen = kinds[rng.integers(len(kinds))]
    return np.where(chosen > 0, chosen, 1.0)


def counts(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.poisson(rng.choice([0.01, 0.5, 4.0, 1e3, 1e9]), n),
        lambda: rng.poisson(4.0 * rng.integers(0, 4, n)),
        lambda: rng.negative_binomial(0.3, 0.02, n),
        lambda: np.zeros(n),
        lambda: np.full(n, rng.integers(0, 5)),
        lambda: rng.integers(0, 2, n) * 10.0 ** rng.integers(0, 15),
    ]
    return np.asarray(kinds[rng.integers(len(kinds))](), float)


def from_one(rng: Rng, n: int) -> Any:
    return counts(rng, n) + 1


def binary(rng: Rng, n: int) -> Any:
    return (rng.random(n) < rng.choice([0.0, 0.02, 0.5, 1.0])).astype(float)


def codes(rng: Rng, n: int) -> Any:
    return rng.integers(0, rng.integers(1, 4), n).astype(float)


def text(rng: Rng, n: int) -> Any:
    pool = np.array(["yes", "no", "", "ä", None, 3, True], object)
    return rng.choice(pool[: rng.integers(1, len(pool) + 1)], n)


def unit(rng: Rng, n: int) -> Any:
    x = rng.beta(*rng.choice([0.05, 1.0, 3.0, 1e4], 2), size=n)
    x = np.full(n, 0.3) if rng.random() < 0.1 else x
    return np.clip(x, rng.choice([1e-300, 1e-12, 1e-3]), 1 - rng.choice([2**-53, 1e-9, 1e-3]))


def direction(rng: Rng, n: int) -> Any:
    return rng.normal(size=n) * rng.choice([1.0, 1e-4]) + rng.choice([0.0, 3.0, -3.0]) + 1e-6


COLUMNS: dict[str, Callable[[Rng, int], Any]] = {
    "real": real,
    "positive": positive,
    "counts": counts,
    "from one": from_one,
    "binary": binary,
    "codes": codes,
    "text": text,
    "unit": unit,
    "direction": direction,
}
