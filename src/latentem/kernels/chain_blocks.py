"""Forward-backward over one long sequence from both ends, whose log densities are never all in memory.

One end runs forward over the first half while the other runs backward over the second; both keep what they know at the
seams of blocks alone.  Then each goes on into the half that the other has seen: there it comes upon rows about which
both past and future are known, and what is known between seams is computed again, block by block (Grice, Hughey and
Speck 1997).  Each end does the same work, in the same order, whether the two run at once or one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any, TypeAlias

import numpy as np

from .._typing import FloatArray
from .chain import IMPOSSIBLE, LOST, ChainTables, chain_tables
from .compiled import address, as_doubles, library
from .scratch import give_back, take

# log p(xₜ | z = k) of the rows from `start` to `stop`, (K, stop - start).
LogDensity: TypeAlias = Callable[[int, int], FloatArray]
# What is to be done with the posterior of the rows from `start` to `stop`; first which end found it, 0 or 1.
Visit: TypeAlias = Callable[[int, int, int, FloatArray], None]
# Calls both functions of each pair, at once or one after the other, and then those of the next.
InPairs: TypeAlias = Callable[..., None]

# Bytes of recursions that each end keeps instead of computing them again.
KEPT = 2**26
# A transition that had to be raised must have at most this share of the posterior.
LARGEST_RAISED = 1e-30


class NeedsLogarithmsError(Exception):
    """Underflow could decide a posterior: the sequence must be smoothed as a whole."""


class ImpossibleSequenceError(Exception):
    """The sequence has probability zero, or its densities are undefined."""


@dataclass(frozen=True)
class Smoothed:
    """What is left of a sequence: p(z₁ = k | x) (K,), Σₜ p(zₜ = j, zₜ₊₁ = k | x) (K, K), and log p(x)."""

    first: FloatArray
    pairs: FloatArray
    log_likelihood: float


def smooth_from_both_ends(
    initial: FloatArray,
    transition: FloatArray,
    edges: Sequence[int],
    log_density: LogDensity,
    visit: Visit,
    in_pairs: InPairs,
) -> Smoothed:
    """Smooth one sequence whose blocks lie between the `edges` (at least two blocks); `visit` sees every row once.

    Raises
    ------
    NeedsLogarithmsError
        There is no compiled kernel, or underflow could matter.
    ImpossibleSequenceError
    """
    compiled = library()
    if compiled is None:
        raise NeedsLogarithmsError
    tables = chain_tables(initial, transition)
    ends = _Ends(compiled, tables, tuple(edges), log_density, visit)
    in_pairs((ends.forward_first_half, ends.backward_second_half), (ends.backward_first_half, ends.forward_second_half))
    k = tables.n_states
    sums, used = (ends.pairs[0] + ends.pairs[1])[:k, :k], tables.matrix[:k, :k]
    if np.any((used > transition) & ~(sums * used <= LARGEST_RAISED)):
        raise NeedsLogarithmsError
    return Smoothed(ends.first, sums * transition, fsum(ends.terms[0] + ends.terms[1]))


@dataclass(eq=False)
class _Ends:
    """Both ends of a sequence: what is known at its seams, and what is gathered, each by the end that is at work."""

    compiled: Any
    tables: ChainTables
    edges: tuple[int, ...]
    log_density: LogDensity
    visit: Visit
    first: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        width, n_blocks = self.tables.width, len(self.edges) - 1
        # Where underflow must be watched, the way back must know what could be reached: one end does it all.
        self.middle = n_blocks if self.tables.guarded else n_blocks // 2
        longest = max(self._rows(i) for i in range(n_blocks))
        kept = KEPT // (16 * width * longest)
        self.kept = range(max(0, self.middle - kept), min(n_blocks, self.middle + kept))
        self.blocks: dict[int, Any] = {}
        # Before each block: p(z | x so far) of its first row and of the row before it; after each: β of its last row.
        self.ahead, self.last, self.beta = np.zeros((3, n_blocks + 1, width))
        self.ahead[0] = self.tables.initial
        self.beta[n_blocks, : self.tables.n_states] = 1.0
        self.pairs = np.zeros((2, width, width))
        self.terms: tuple[list[float], list[float]] = [], []

    def forward_first_half(self) -> None:
        for i in range(self.middle):
            block, log_likelihood = self._forward(i)
            self.terms[0].append(log_likelihood)
            self._keep(i, block)

    def backward_second_half(self) -> None:
        for i in range(len(self.edges) - 2, self.middle - 1, -1):
            block, peaks = self._backward(i)
            self.terms[1].append(peaks)
            self._keep(i, block)

    def backward_first_half(self) -> None:
        for i in range(self.middle - 1, -1, -1):
            block = self.blocks.pop(i, None) or self._forward(i)[0]
            self._finish(0, i, self._combined_backward(i, *block))
            _give_back(block)

    def forward_second_half(self) -> None:
        for i in range(self.middle, len(self.edges) - 1):
            block = self.blocks.pop(i, None) or self._backward(i)[0]
            self._finish(1, i, self._combined_forward(i, *block))
            _give_back(block)

    def _keep(self, i: int, block: tuple[FloatArray, ...]) -> None:
        if i in self.kept:
            self.blocks[i] = block
        else:
            _give_back(block)

    def _rows(self, i: int) -> int:
        return self.edges[i + 1] - self.edges[i]

    def _forward(self, i: int) -> tuple[tuple[FloatArray, ...], float]:
        """Densities b, α and its sums of a block, and its share of log p(x); passes on what is known after it."""
        n, width = self._rows(i), self.tables.width
        b, alpha, sums, peaks = take(n * width), take((n + 1) * width), take(n + 1), np.empty(n)
        self.ahead[i + 1], self.last[i + 1], log_likelihood = self.ahead[i], self.last[i], np.empty(1)
        passed = self.ahead[i + 1], self.last[i + 1]
        arrays = self.tables.matrix, self._densities(i), *passed, b, alpha, sums, peaks, log_likelihood
        self._call(self.compiled.latentem_chain_forward, n, arrays)
        return (b, alpha, sums), float(log_likelihood[0])

    def _backward(self, i: int) -> tuple[tuple[FloatArray, ...], float]:
        """Densities b and β of a block, and the sum of its peaks; passes on what is known before it."""
        n, width = self._rows(i), self.tables.width
        b, beta, peaks, row, total = take(n * width), take(n * width), np.empty(n), np.empty(width), np.empty(1)
        self.beta[i] = self.beta[i + 1]
        arrays = self.tables.transposed, self._densities(i), self.beta[i], b, beta, peaks, row, total
        self._call(self.compiled.latentem_chain_backward, n, arrays)
        return (b, beta), float(total[0])

    def _combined_backward(self, i: int, b: FloatArray, alpha: FloatArray, sums: FloatArray) -> FloatArray:
        n = self._rows(i)
        posterior, pairs, work = self._room(n)
        self.beta[i] = self.beta[i + 1]
        arrays = self.tables.transposed, b, alpha, sums, self.beta[i], posterior, pairs, work
        self._call(self.compiled.latentem_chain_backward_combine, n, arrays)
        self.pairs[0] += pairs
        return posterior

    def _combined_forward(self, i: int, b: FloatArray, beta: FloatArray) -> FloatArray:
        n, log_likelihood = self._rows(i), np.empty(1)
        posterior, pairs, work = self._room(n)
        self.ahead[i + 1], self.last[i + 1] = self.ahead[i], self.last[i]
        passed = self.ahead[i + 1], self.last[i + 1]
        arrays = self.tables.matrix, b, beta, np.empty(n + 1), *passed, posterior, pairs, log_likelihood, work
        self._call(self.compiled.latentem_chain_forward_combine, n, arrays)
        self.pairs[1] += pairs
        self.terms[1].append(float(log_likelihood[0]))
        return posterior

    def _room(self, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Space for the posterior of a block, for its pairs, and to work in."""
        k, width = self.tables.n_states, self.tables.width
        return np.empty((k, n)), np.empty((width, width)), np.empty(self.compiled.latentem_chain_tile_work(k))

    def _finish(self, end: int, i: int, posterior: FloatArray) -> None:
        if i == 0:
            self.first = posterior[:, 0].copy()
        self.visit(end, self.edges[i], self.edges[i + 1], posterior)

    def _densities(self, i: int) -> FloatArray:
        return as_doubles(self.log_density(self.edges[i], self.edges[i + 1]))

    def _call(self, kernel: Any, n: int, arrays: tuple[FloatArray, ...]) -> None:
        status = kernel(self.tables.n_states, n, self.tables.guarded, *map(address, arrays))
        if status == LOST:
            raise NeedsLogarithmsError
        if status == IMPOSSIBLE:
            raise ImpossibleSequenceError


def _give_back(block: tuple[FloatArray, ...]) -> None:
    for array in block:
        give_back(array)
