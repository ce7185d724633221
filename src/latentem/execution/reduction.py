"""Pairwise addition in order: the tree depends on the number of items alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from ..statistics import Statistics

T = TypeVar("T", bound=Statistics)
BLOCK = 16


class PairwiseSum(Generic[T]):
    """Adds items as a binary counter carries: item 2i with item 2i + 1, then pairs with pairs.

    Memory is logarithmic in the number of items, and the rounding error grows as log n.  A sum over an aligned block
    of 2ᵇ items that is pushed whole leads to the same tree as its items pushed one by one.
    """

    def __init__(self) -> None:
        self._partials: list[tuple[int, T]] = []

    def push(self, item: T, size: int = 1) -> None:
        while self._partials and self._partials[-1][0] == size:
            item = self._partials.pop()[1] + item
            size *= 2
        self._partials.append((size, item))

    def total(self) -> T:
        if not self._partials:
            raise ValueError("nothing was added")
        _, total = self._partials[-1]
        for _, item in reversed(self._partials[:-1]):
            total = item + total
        return total


def pairwise_sum(items: Iterable[T]) -> T:
    """The sum of the items by the tree of `PairwiseSum`."""
    accumulator: PairwiseSum[T] = PairwiseSum()
    for item in items:
        accumulator.push(item)
    return accumulator.total()
