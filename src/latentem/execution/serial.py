"""One chunk after the other in the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..data import Batch, Source
from ..em import Executor
from ..statistics import Statistics
from .blas import single_threaded_blas
from .reduction import pairwise_sum

T = TypeVar("T", bound=Statistics)


@dataclass(frozen=True)
class Serial(Executor):
    """The reference: every other executor returns its bits."""

    def fold(self, function: Callable[[Batch], T], source: Source) -> T:
        with single_threaded_blas():
            return pairwise_sum(map(function, source))
