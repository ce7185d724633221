"""Constraints that are active: probabilities at zero, numbers at an end of their interval or on their way to it.

In unconstrained coordinates such an end lies at infinity: the objective has no curvature there, and EM no fixed point.
So these entries are found first, and what is said of the other parameters is said with these held where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..domains import Interval, Positive, Real, Simplex
from . import natural
from .surface import Point

# An entry is at its edge where even the complete data leave its logarithm uncertain by this variance: where it stands
# for less than a thousandth of an observation.
UNKNOWN = 1e3
# Real numbers have no end; one on its way to infinity is known so many times less well than others of its array.
LOST = 1e10
# Entries that an EM step moves away from their edge by more than this share are on their way back.
RETURNING = 1e-6
# Directions along which no entry moves by this share of the direction that moves most are no directions at all.
NO_MOVE = 1e-12
# Eigenvalues of I_c below this share of the largest are rounding.
SMALLEST = 1e-13


@dataclass(frozen=True)
class Edge:
    """An entry at an end of its domain.

    Attributes
    ----------
    entry : int
        Its place among the natural entries.
    name : str
    end : float
        Where it is or goes: 0, the end of its interval, infinity.
    ratio : float
        What an EM step multiplies its distance from there with: below 1 the slope of the objective keeps it there,
        above 1 it leads away; NaN where the distance is exactly 0, which EM cannot change.
    stuck : bool
        Whether the distance is exactly 0, the ratio being that of a small distance.
    """

    entry: int
    name: str
    end: float
    ratio: float
    stuck: bool = False

    @property
    def keeps(self) -> bool:
        """Whether the objective falls on leaving the edge, as far as one EM step tells."""
        return not self.ratio > 1 + RETURNING

    def __str__(self) -> str:
        if np.isnan(self.ratio):
            return f"{self.name} is exactly {self.end:g}, where EM leaves it"
        told = "keeps it there" if self.keeps else "leads away from there"
        where = "is at" if self.ratio == 1 or self.stuck else "goes to" if self.keeps else "is near"
        return f"{self.name} {where} {self.end:g}, and the slope of the objective {told}"


@dataclass(frozen=True)
class Free:
    """What can move: a basis of the free directions in coordinates measured by steps, and what is held.

    Attributes
    ----------
    basis : (d, m)
        Orthonormal, in coordinates divided by `steps`.
    steps : (d,)
    edges : tuple of Edge
    """

    basis: FloatArray
    steps: FloatArray
    edges: tuple[Edge, ...]

    @property
    def moves(self) -> FloatArray:
        """(d, m): the free directions in coordinates."""
        return self.basis * self.steps[:, None]

    def inside(self, along: FloatArray) -> FloatArray:
        """The parts (m, …) in free directions of moves (d, …) in coordinates."""
        return np.asarray(self.basis.T @ (along.T / self.steps).T)


def free_directions(point: Point, after: Any, complete: FloatArray, steps: FloatArray, slopes: FloatArray) -> Free:
    """Which entries are at an edge, and the directions that leave them there.

    Parameters
    ----------
    point : Point
        At θ.
    after : Parameters
        M(θ).
    complete : (d, d)
        I_c.
    steps : (d,)
        What the coordinates are measured in.
    slopes : (entries, d)
        ∂ entries / ∂ φ.
    """
    moves = slopes * steps
    kept = _directions_that_move(moves)
    inverse = _Inverse.of(kept.T @ (complete * np.outer(steps, steps)) @ kept)
    unheard = _unheard(point.parameters, np.array([inverse.form(kept.T @ move) for move in moves]))
    edges, held = [], []
    for edge, gradient in _candidates(point.parameters, after, moves, point.score * steps, unheard):
        inside = kept.T @ gradient
        if not np.any(gradient):
            edges.append(edge)
        elif inverse.form(inside) >= UNKNOWN:
            edges.append(edge)
            held.append(inside)
    held += [kept.T @ moves[i] for i in _of_empty_states(point.parameters, edges) if np.any(moves[i])]
    return Free(kept @ _null_space(np.array(held), kept.shape[1]), steps, tuple(edges))


def _unheard(parameters: Any, variances: FloatArray) -> Array:
    """(entries,) bool: the complete data leave these far more uncertain than others of their array."""
    ends = np.cumsum([np.size(array) for array in parameters.arrays().values()])
    parts = np.split(variances, ends[:-1]) if len(ends) else []
    typical = [np.median(part[part > 0]) if np.any(part > 0) else np.inf for part in parts]
    return np.array([x > LOST * size for part, size in zip(parts, typical, strict=True) for x in part], dtype=bool)


def _directions_that_move(moves: FloatArray) -> FloatArray:
    """An orthonormal basis (d, m) of the directions along which some entry moves: probabilities of exactly 0 do not."""
    d = moves.shape[1]
    columns = np.any(moves != 0, axis=0)
    sizes = np.linalg.norm(moves, axis=1)
    flat = np.any(sizes == 0)  # only where an entry is held, or exactly at its end, may a combination move nothing
    if not flat:
        return np.eye(d)[:, columns]
    rows = moves[sizes > 0] / sizes[sizes > 0, None]
    values, vectors = np.linalg.eigh(rows.T @ rows)
    still = values <= NO_MOVE * max(float(values[-1]), 1.0) if d else np.zeros(0, bool)
    return np.eye(d)[:, columns] if still.sum() == d - columns.sum() else np.asarray(vectors[:, ~still])


@dataclass(frozen=True)
class _Inverse:
    """The inverse of a positive semidefinite matrix, as a quadratic form; large where the matrix is nearly zero."""

    values: FloatArray
    vectors: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray) -> _Inverse:
        if not len(matrix):
            return cls(np.empty(0), matrix)
        values, vectors = np.linalg.eigh(matrix)
        return cls(np.maximum(values, SMALLEST * max(float(values[-1]), SMALLEST)), vectors)

    def form(self, vector: FloatArray) -> float:
        return float(np.sum((self.vectors.T @ vector) ** 2 / self.values))


def _candidates(
    parameters: Any, em_parameters: Any, moves: FloatArray, score: FloatArray, unheard: Array
) -> Iterator[tuple[Edge, FloatArray]]:
    """Entries with an end, and the gradient of the logarithm of their distance from it (0: they are there)."""
    names, values, after = natural.labels(parameters), natural.entries(parameters), natural.entries(em_parameters)
    for i, domain in enumerate(natural.kinds(parameters)):
        if not np.any(moves[i]) and not (isinstance(domain, Simplex) and values[i] == 0):
            continue  # held by the user
        for end in _ends(domain, values[i], bool(unheard[i])):
            if np.isinf(end):
                distance, later, slope = abs(1 / values[i]), abs(1 / after[i]), -moves[i] / values[i]
            else:
                distance, later = abs(values[i] - end), abs(after[i] - end)
                slope = moves[i] * np.sign(values[i] - end) / (distance or 1.0)
            ratio = later / distance if distance > 0 else np.nan
            rises = ratio == 1 and score @ slope > 0  # the objective rises away from there, and EM stands still
            if not isinstance(domain, Positive | Real) or (ratio <= 1 and not rises):
                yield Edge(i, names[i], end, float(ratio)), slope


def _of_empty_states(parameters: Any, edges: list[Edge]) -> list[int]:
    """Entries that describe the rows of states without weight: nothing is known of them."""
    gone = {edge.name for edge in edges if edge.end == 0}
    weights = np.asarray(getattr(getattr(parameters, "latent", None), "weights", np.empty(0)))
    empty = [k for k in range(len(weights)) if f"latent.weights[{k}]" in gone]
    names = natural.labels(parameters) if empty else []
    return [i for i, name in enumerate(names) for k in empty if name.startswith("emission.") and _is_of(name, k)]


def _is_of(name: str, state: int) -> bool:
    index = name.partition("[")[2].rstrip("]").split(",")[0]
    return index == str(state)


def _ends(domain: Any, value: float, unheard: bool) -> tuple[float, ...]:
    if isinstance(domain, Real):
        return (float(np.copysign(np.inf, value)),) if unheard and value != 0 else ()
    if isinstance(domain, Simplex):
        return (0.0,)
    if isinstance(domain, Interval):
        return tuple(end for end in (domain.low, domain.high) if np.isfinite(end))
    return (0.0, np.inf) if isinstance(domain, Positive) else ()


def _null_space(rows: FloatArray, d: int) -> FloatArray:
    """An orthonormal basis (d, m) of what is orthogonal to all rows; the unit vectors where there are none."""
    if not rows.size:
        return np.eye(d)
    sizes = np.linalg.norm(rows, axis=1)
    _, values, vectors = np.linalg.svd(rows / sizes[:, None], full_matrices=True)
    return np.asarray(vectors[int(np.sum(values > NO_MOVE)) :].T)
