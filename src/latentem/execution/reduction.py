"""Pairwise addition in order: the tree depends on the number of items alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..statistics import PairwiseSum, Statistics

T = TypeVar("T", bound=Statistics)
BLOCK = 16


def pairwise_sum(items: Iterable[T]) -> T:
    """The sum of the items by the tree of `PairwiseSum`."""
    accumulator: PairwiseSum[T] = PairwiseSum()
    for item in items:
        accumulator.push(item)
    return accumulator.total()
