"""The search for sufficient statistics: log densities at random θ, the rank of their table, its pivots, and checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import qr

from ...._typing import Array, FloatArray
from ..compiled import Compiled, Values
from ..parameters import DeclaredParameters
from .sufficient import Basis, NoBasis

LARGEST_RANK = 64
# Singular values must fall by this factor at the rank, and be this small after it.
CLIFF, NOISE = 1e6, 1e-10
# Reconstruction errors relative to the largest log density.
TOLERANCE = 1e-8
SCALES = (1.0, 5.0, 10.0)
FRESH = 8
POOL = 512
# Probes are added until there are twice as many as the rank, in these steps.
PROBES = (24, 64, 136)
PADDED = 8
# As many distinct observations stand for themselves, even if there may be others: every E-step checks.
FEW = 4
# A coordinate is probed over the range in which the log densities change by about this much.
CHANGE = 1.0


def find_basis(
    functions: Compiled,
    params: DeclaredParameters,
    x: FloatArray,
    u: FloatArray,
    rng: np.random.Generator,
    complete: bool = False,
) -> Basis | NoBasis:
    """Sufficient statistics for densities about `params`, or why there are none.

    Parameters
    ----------
    functions : Compiled
    params : DeclaredParameters
        The centre of the probes, a point where the densities are finite.
    x, u : (m, D), (m, d)
        Points from the data, a few hundred of them.
    rng : Generator
    complete : bool
        Whether these points are all there are.
    """
    centre = params.flatten()
    # Fixed parameters leave nothing to find out.
    if not len(centre):
        return NoBasis("all parameters are fixed")
    x, u = _distinct(functions, x, u, rng)
    scale = _probe_scale(functions, params, x, u)
    vectors = np.empty((0, len(centre)))
    rank_before: tuple[int, ...] | None = None
    for n_probes in PROBES:
        more = centre + scale * rng.normal(size=(n_probes - len(vectors), len(centre)))
        vectors = np.concatenate([vectors, more])
        found = _from_probes(functions, params, vectors, x, u, complete)
        rows = len(vectors) * functions.n_labels
        if isinstance(found, NoBasis):
            if rows < 2 * LARGEST_RANK and n_probes < PROBES[-1]:
                continue
            return found
        ranks = tuple(np.bincount(found.pattern_of))
        if rows >= 2 * max(ranks) and ranks == rank_before:
            return _checked(functions, params, found, x, u, centre, scale, rng)
        rank_before = ranks
    return NoBasis("the number of sufficient statistics grew with the number of probes")


def _distinct(
    functions: Compiled, x: FloatArray, u: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    _, first = np.unique(np.hstack([x, u]), axis=0, return_index=True)
    chosen = first_rows_too(functions, rng.permutation(first), x)[:POOL]
    return x[chosen], u[chosen]


def first_rows_too(functions: Compiled, order: Array, x: FloatArray) -> Array:
    """The order in which rows of x are drawn, first rows of groups and others in turn: the first may be very few."""
    if not functions.declaration.per_group:
        return order
    is_first = x[order, -1] > 0
    turn = np.where(is_first, np.cumsum(is_first), np.cumsum(~is_first))
    return np.asarray(order[np.argsort(turn, kind="stable")])


def _probe_scale(functions: Compiled, params: DeclaredParameters, x: FloatArray, u: FloatArray) -> FloatArray:
    """How far each unconstrained coordinate goes until the log densities change by about `CHANGE`, (d,)."""
    centre, x, u = params.flatten(), x[:64], u[:64]
    here = functions.values(params.unflatten(centre).values, x, u)  # not at `params`: they may differ by rounding

    def change(j: int, by: float) -> float:
        moved = centre.copy()
        moved[j] += by
        there = functions.values(params.unflatten(moved).values, x, u)
        with np.errstate(invalid="ignore"):
            moved_by = np.abs(there - here)
        if np.isnan(moved_by[np.isfinite(here)]).any() or not np.isfinite(there[np.isfinite(here)]).all():
            return np.inf
        changed = moved_by[np.isfinite(here) & (moved_by > 0)]
        return float(np.median(changed)) if len(changed) else 0.0

    return np.array([_until_changed(lambda by, j=j: change(j, by)) for j in range(len(centre))])


def _until_changed(change: Any) -> float:
    by = 1.0
    for _ in range(12):
        if (moved := change(by)) > 10 * CHANGE:
            by /= 8
        elif moved < CHANGE / 10:
            by *= 4
        else:
            break
        if not 1e-9 < by < 1e9:
            return 1.0
    return by if moved > 0 else 1.0


def _from_probes(
    functions: Compiled, params: DeclaredParameters, vectors: FloatArray, x: FloatArray, u: FloatArray, complete: bool
) -> Basis | NoBasis:
    with np.errstate(all="ignore"):
        thetas = [params.unflatten(vector).values for vector in vectors]
        table = np.stack([functions.values(theta, x, u) for theta in thetas])
    usable = np.all(np.isfinite(table) | np.isneginf(table), axis=(1, 2))
    if usable.sum() < len(vectors) // 2:
        return NoBasis("the log densities are not finite at most of the probes")
    table, kept = table[usable], [theta for theta, use in zip(thetas, usable, strict=True) if use]
    possible = np.isfinite(table)
    if np.any(possible != possible[0]):
        return NoBasis("which states are possible depends on θ")
    patterns, which = np.unique(possible[0].T, axis=0, return_inverse=True)
    parts = []
    for number, pattern in enumerate(patterns):
        part = _from_pattern(table[:, pattern][:, :, which == number], complete)
        if isinstance(part, NoBasis):
            return part
        pivots, rows, inverse, distinct = part
        probe, label = np.unravel_index(rows, (len(table), int(pattern.sum())))
        columns = np.flatnonzero(which == number)[pivots]
        parts.append((columns, probe, np.flatnonzero(pattern)[label], inverse, distinct))
    if sum(len(part[0]) for part in parts) > LARGEST_RANK * max(1, len(parts)):
        return NoBasis(f"more than {LARGEST_RANK} sufficient statistics")
    return _joined(parts, patterns, kept, x, u)


def _from_pattern(table: FloatArray, complete: bool) -> tuple[Array, Array, FloatArray, bool] | NoBasis:
    """Pivot columns, probe rows and the inverse of the table (probes, labels, m) between them."""
    matrix = table.reshape(-1, table.shape[2])
    if matrix.size == 0:
        return NoBasis("some observations are impossible for every z at the start")
    sizes = np.maximum(np.abs(matrix).max(axis=1), np.finfo(float).tiny)
    scaled = matrix / sizes[:, None]
    spectrum = np.linalg.svd(scaled, compute_uv=False)
    rank, m = _rank(spectrum), matrix.shape[1]
    few = m <= (LARGEST_RANK if complete else FEW)
    distinct = rank is None and few and m == len(spectrum) and spectrum[-1] * CLIFF > spectrum[0]
    if rank is None and not distinct:
        return NoBasis(
            "the log density is no exponential family in θ of dimension 64 or less: its singular values have no cliff"
        )
    rank = m if rank is None else rank
    pivots = qr(scaled, mode="economic", pivoting=True)[2][:rank]
    rows = qr(scaled[:, pivots].T, mode="economic", pivoting=True)[2][:rank]
    try:
        inverse = np.linalg.inv(scaled[np.ix_(rows, pivots)]) / sizes[rows]
    except np.linalg.LinAlgError:
        return NoBasis("the log density is no exponential family in θ: no few observations stand for the others")
    return pivots, rows, inverse, distinct


def _rank(spectrum: FloatArray) -> int | None:
    """Where the singular values fall off a cliff, or None."""
    shares = spectrum / spectrum[0] if spectrum[0] > 0 else spectrum
    for rank in range(1, min(LARGEST_RANK, len(shares) - 1) + 1):
        if shares[rank] <= NOISE and shares[rank] * CLIFF <= shares[rank - 1]:
            return rank
    return None


def _joined(parts: list[Any], patterns: Array, thetas: list[Values], x: FloatArray, u: FloatArray) -> Basis:
    columns = np.concatenate([part[0] for part in parts])
    probes = np.concatenate([part[1] for part in parts])
    labels = np.concatenate([part[2] for part in parts])
    rank = len(columns)
    padded = -(-rank // PADDED) * PADDED
    inverse, start = np.zeros((rank, padded)), 0
    for part in parts:
        stop = start + len(part[0])
        inverse[start:stop, start:stop] = part[3]
        start = stop
    fill = np.concatenate([probes, np.full(padded - rank, probes[0])])
    return Basis(
        x=x[columns],
        u=u[columns],
        thetas=tuple(np.stack(arrays)[fill] for arrays in zip(*thetas, strict=True)),
        labels=np.concatenate([labels, np.full(padded - rank, labels[0])]),
        inverse=inverse,
        patterns=patterns,
        pattern_of=np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts]),
        error=0.0,
        distinct=all(part[4] for part in parts),
    )


def _checked(
    functions: Compiled,
    params: DeclaredParameters,
    basis: Basis,
    x: FloatArray,
    u: FloatArray,
    centre: FloatArray,
    scale: FloatArray,
    rng: np.random.Generator,
) -> Basis | NoBasis:
    """The basis with its error at fresh θ, also five and ten times further out than the probes; or that it failed."""
    values = functions.values(params.values, x, u)
    coefficients = basis.coefficients(functions, x, u, values)
    worst = 0.0
    for times in SCALES:
        for _ in range(FRESH):
            with np.errstate(all="ignore"):
                theta = params.unflatten(centre + times * scale * rng.normal(size=len(centre))).values
                error = _reconstruction_error(functions, basis, theta, coefficients, functions.values(theta, x, u))
            if error is not None and not error <= TOLERANCE:
                return NoBasis(
                    f"{basis.rank} statistics reproduce the log density at the probes, but are off by {error:.1g} "
                    f"at {times:g} times their scale"
                )
            worst = max(worst, error or 0.0)
    return replace(basis, error=worst)


def _reconstruction_error(
    functions: Compiled, basis: Basis, theta: Values, coefficients: FloatArray, values: FloatArray
) -> float | None:
    """Largest error of log densities rebuilt from the pivots, relative to the largest; None where θ is too far out."""
    pivots = basis.at_pivots(functions, theta)
    possible = np.isfinite(values)
    if not np.isfinite(pivots).all() or np.isnan(values).any() or not possible.any():
        return None
    rebuilt = pivots @ coefficients
    largest = max(float(np.abs(values[possible]).max()), float(np.abs(pivots).max()))
    return float(np.abs(rebuilt - values)[possible].max()) / max(largest, 1.0)
