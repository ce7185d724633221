"""Families of independent columns whose M-step has no finite sufficient statistics.

The E-step carries Q's value, gradient and curvature at θₜ, and the M-step is one safeguarded Newton step on them: the
EM-gradient algorithm (Lange 1995), which converges at the rate of EM.  A family that can `leap` takes a step that is
the same to second order, and right from further away.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..model import Family, Posterior
from ..parameters import Parameters
from ..statistics import LocalQ, Reference
from .columnwise import check_support

P = TypeVar("P", bound=Parameters)

LONGEST_STEP = 2.0
WIDEST_RANGE = (1e-20, 1e20)
# Eigenvalues of the curvature below this share of the largest are taken for rounding error.
FLATTEST = 1e-12
# Equal entries are computed once where the different ones are this many times fewer than the rows.
FEWER = 4


@dataclass(frozen=True)
class ColumnQ(LocalQ):
    """`LocalQ` for each component and column, and sums beside it.

    Attributes
    ----------
    moments : (K, D, m)
        Σₙ rₙₖ mⱼ(xₙd; θₜ) over observed entries, of what the family's `moments` gives.
    """

    moments: FloatArray


class LocalColumnwise(Family[P, ColumnQ]):
    """Independent columns, each from the same family with p parameters of its own, fitted by EM-gradient steps.

    Its parameters are p arrays (K, D) with elementwise domains, and `Parameters.flatten` gives their coordinates.  A
    new family says: its support (`invalid`), an accurate log density (`log_pdf`), that density with its derivatives in
    the coordinates (`local`), the range of the coordinates (`bounds`), what to tell at a bound (`told_at_bound`),
    `start` and `sample`.  Where it knows how Q runs on far from θₜ it may `leap` there.
    """

    support: str = "real numbers"

    @property
    def additive(self) -> bool:
        return False

    def invalid(self, x: FloatArray) -> Array:
        """(n, D) bool: entries outside the support (missing entries are judged elsewhere)."""
        return np.isinf(x)

    @abstractmethod
    def log_pdf(self, x: FloatArray, params: P, k: int) -> FloatArray:
        """log p(x_d | k) for each entry, shaped like x (n, D)."""

    @abstractmethod
    def local(self, x: FloatArray, params: P, k: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log p (n, D), its gradient (n, D, p) and its Hessian (n, D, p, p) in the coordinates; all finite."""

    def moments(self, x: FloatArray, params: P, k: int) -> tuple[FloatArray, ...]:
        """What `leap` wants summed beside the derivatives, each shaped like x; by default the weights alone."""
        return (np.ones_like(x),)

    def leap(self, statistics: ColumnQ, here: FloatArray) -> FloatArray | None:
        """A better point than Newton's, to second order the same: coordinates (K, D, p), not finite where unknown.

        Where a coordinate lies on its bound the others must maximize given that one.
        """
        return None

    @property
    @abstractmethod
    def bounds(self) -> FloatArray:
        """(p, 2): lowest and highest coordinate; parameters beyond count as if they lay on the bound."""

    @property
    def told_at_bound(self) -> tuple[tuple[str, str], ...]:
        """For each coordinate, what a user should know of an estimate at its lowest and at its highest."""
        return ()

    @property
    def filler(self) -> float:
        """Some value of the support, to stand where entries are missing; it is masked out again."""
        return 1.0

    # -- the family contract -------------------------------------------------------------------

    def check(self, batch: Batch) -> None:
        check_support(batch, self.invalid, f"{type(self).__name__} takes {self.support}")

    def log_density(self, batch: Batch, params: P) -> FloatArray:
        entries, within = self._entries(batch), self.within(params)
        return np.stack([entries.sum_rows(self.log_pdf(entries.x, within, k)) for k in range(n_components(params))])

    def statistics(self, batch: Batch, posterior: Posterior, params: P) -> ColumnQ:
        entries, within = self._entries(batch), self.within(params)
        blocks = []
        for k, r in enumerate(posterior.responsibilities):
            moments = np.stack(self.moments(entries.x, within, k), axis=-1)
            parts = (*self.local(entries.x, within, k), moments)
            weights = entries.weights(r)
            blocks.append([np.einsum("nd,nd...->d...", weights, part) for part in parts])
        value, gradient, curvature, moments = (np.stack(parts) for parts in zip(*blocks, strict=True))
        return ColumnQ(value, gradient, curvature, Reference(within.flatten()), moments)

    def maximize(self, statistics: ColumnQ, params: P) -> P:
        here = self._block(statistics.reference.point, params)
        low, high = self.bounds[:, 0], self.bounds[:, 1]
        step = newton_step(statistics.gradient, statistics.curvature, here <= low, here >= high)
        with np.errstate(all="ignore"):
            there = self.leap(statistics, here)
        if there is not None:
            leap = np.clip(there, low, high) - here
            ascends = np.sum(leap * statistics.gradient, axis=-1, keepdims=True) > 0
            step = np.where(ascends & np.isfinite(there).all(axis=-1, keepdims=True), leap, step)
        return self._parameters(np.clip(here + step, low, high), params)

    def expected_log_density(self, statistics: ColumnQ, params: P) -> float:
        """The quadratic model of Q about the reference: value + gᵀδ + ½ δᵀHδ."""
        delta = self._delta(statistics, params)
        slope = statistics.gradient + 0.5 * np.einsum("kdij,kdj->kdi", statistics.curvature, delta)
        return float(np.sum(statistics.value) + np.sum(slope * delta))

    def score(self, statistics: ColumnQ, params: P) -> FloatArray:
        delta = self._delta(statistics, params)
        slope = statistics.gradient + np.einsum("kdij,kdj->kdi", statistics.curvature, delta)
        return np.asarray(np.moveaxis(slope, -1, 0).ravel())

    def admissible(self, params: P) -> bool:
        here, bounds = self._block(params.flatten(), params), self.bounds
        slack = 1e-9 * np.maximum(1.0, np.abs(bounds))
        return bool(np.all((here >= bounds[:, 0] - slack[:, 0]) & (here <= bounds[:, 1] + slack[:, 1])))

    def findings(self, statistics: ColumnQ, params: P) -> list[tuple[int, str]]:
        here = self._block(params.flatten(), params)
        told = []
        for index, texts in enumerate(self.told_at_bound):
            for bound, text, side in zip(self.bounds[index], texts, (1.0, -1.0), strict=True):
                at = np.argwhere(side * (here[..., index] - bound) <= 1e-9 * max(1.0, abs(bound)))
                told += [(int(k), f"column {column}: {text}") for k, column in at]
        return told

    # -- coordinates ---------------------------------------------------------------------------

    def within(self, params: P) -> P:
        """The parameters, those beyond a bound moved onto it."""
        here = self._block(params.flatten(), params)
        inside = np.clip(here, self.bounds[:, 0], self.bounds[:, 1])
        return params if np.array_equal(here, inside) else self._parameters(inside, params)

    def _block(self, vector: FloatArray, params: P) -> FloatArray:
        """The unconstrained vector as (K, D, p)."""
        shape = next(iter(params.arrays().values())).shape
        return np.moveaxis(vector.reshape(-1, *shape), 0, -1)

    def _parameters(self, block: FloatArray, params: P) -> P:
        return params.unflatten(np.moveaxis(block, -1, 0).ravel())

    def _delta(self, statistics: ColumnQ, params: P) -> FloatArray:
        return self._block(params.flatten(), params) - self._block(statistics.reference.point, params)

    # -- sums over rows ------------------------------------------------------------------------

    def _entries(self, batch: Batch) -> Entries:
        return batch.once((self, "entries"), lambda: _entries_of(batch, self.filler))


@dataclass(frozen=True)
class Entries:
    """The entries of a batch, equal ones once where many are equal, as counts are.

    Attributes
    ----------
    x : (m, D)
        The values at which densities are needed: the batch's own, or for each column all different ones of the batch.
    observed : (n, D) bool or None
        None: every entry is.
    place : (n, D) int or None
        Row of `x` that holds each entry; None: its own.
    """

    x: FloatArray
    observed: Array | None
    place: Array | None

    def sum_rows(self, terms: FloatArray) -> FloatArray:
        """Sums over the observed columns of each row, (n,), of terms shaped like `x`."""
        if self.place is not None:
            terms = np.take_along_axis(terms, self.place, axis=0)
        return np.asarray((terms if self.observed is None else np.where(self.observed, terms, 0.0)).sum(axis=1))

    def weights(self, r: FloatArray) -> FloatArray:
        """What each entry of `x` counts, (m, D), given the responsibilities of the rows (n,)."""
        if self.place is None:
            by_row = np.broadcast_to(r[:, None], self.x.shape)
            return by_row if self.observed is None else by_row * self.observed
        m, d = self.x.shape
        each = np.repeat(r, d) if self.observed is None else (r[:, None] * self.observed).ravel()
        cells = (self.place * d + np.arange(d)).ravel()
        return np.asarray(np.bincount(cells, each, minlength=m * d).reshape(m, d), float)


def _entries_of(batch: Batch, filler: float) -> Entries:
    observed = batch.observed if batch.missing else None
    x = batch.values if observed is None else np.where(observed, batch.values, filler)
    different, place = np.unique(x, return_inverse=True)
    if len(different) * FEWER > len(x):
        return Entries(x, observed, None)
    repeated = np.broadcast_to(different[:, None], (len(different), x.shape[1]))
    return Entries(repeated, observed, place.reshape(x.shape))


def n_components(params: Parameters) -> int:
    """K, the leading length of the parameters' arrays."""
    return len(next(iter(params.arrays().values())))


def check_range(name: str, bounds: tuple[float, float]) -> None:
    """Raise `ParameterError` unless 1e-20 ≤ low < high ≤ 1e20: within these nothing overflows."""
    low, high = WIDEST_RANGE
    if not (len(bounds) == 2 and low <= bounds[0] < bounds[1] <= high):
        raise ParameterError(f"{name} must be two numbers with {low:g} <= low < high <= {high:g}, got {bounds}")


def newton_step(gradient: FloatArray, curvature: FloatArray, at_low: Array, at_high: Array) -> FloatArray:
    """A step along which the quadratic model rises, for each block; no coordinate moves further than `LONGEST_STEP`.

    Parameters
    ----------
    gradient : (..., p)
    curvature : (..., p, p)
        Where it is negative definite the step is Newton's; elsewhere its eigenvalues count by their magnitude.
    at_low, at_high : (..., p) bool
        Coordinates on a bound; they stay where the gradient leads outwards, and the others step as if they were given.

    Returns
    -------
    (..., p)
        Zero where a block has neither gradient nor curvature (an empty component, a column without observations).
    """
    held = (at_low & (gradient < 0)) | (at_high & (gradient > 0))
    free = np.where(held, 0.0, gradient)
    either = held[..., :, None] | held[..., None, :]
    size = np.abs(np.where(either, 0.0, curvature)).max(axis=(-2, -1))
    size = np.where(size > 0, size, 1.0)
    scaled = np.where(either, np.eye(gradient.shape[-1]), -curvature / size[..., None, None])
    values, vectors = np.linalg.eigh(scaled)
    steepness = np.maximum(np.abs(values), FLATTEST)
    along = np.einsum("...ij,...i->...j", vectors, free / size[..., None])
    step = np.einsum("...ij,...j->...i", vectors, along / steepness)
    longest = np.abs(step).max(axis=-1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, LONGEST_STEP / np.maximum(longest, LONGEST_STEP)))
