"""A thread a chunk; NumPy, BLAS and the compiled kernels release the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..data import Batch, Source
from ..em import Executor
from ..errors import ParameterError
from ..statistics import Statistics
from .blas import single_threaded_blas
from .pools import pool_of
from .reduction import pairwise_sum
from .serial import Serial
from .spare import AHEAD, in_order, threads_for_a_chunk

T = TypeVar("T", bound=Statistics)


@dataclass(frozen=True)
class Threads(Executor):
    """Chunks on `n_workers` threads (None: as many as there are cores), added in chunk order.

    Raises
    ------
    ParameterError
        `n_workers` that is not a whole number of at least 1.
    """

    n_workers: int | None = None

    def __post_init__(self) -> None:
        check_workers(self.n_workers)

    def fold(self, function: Callable[[Batch], T], source: Source) -> T:
        workers = min(self.threads, len(source.chunks))
        with threads_for_a_chunk(self.threads // workers):
            if workers == 1:
                return Serial().fold(function, source)
            with single_threaded_blas(), pool_of(workers) as pool:
                calls = in_order(pool, lambda chunk: function(source.read(chunk)), source.chunks, AHEAD * workers)
                return pairwise_sum(calls)

    @property
    def threads(self) -> int:
        return self.n_workers or available_cores()


def check_workers(n_workers: Any) -> None:
    """Raise unless there is at least one worker, or None for as many as there are cores."""
    whole = isinstance(n_workers, (int, np.integer)) and not isinstance(n_workers, bool)
    if n_workers is not None and not (whole and n_workers >= 1):
        raise ParameterError(f"n_workers must be a whole number, at least 1, or None for all cores; got {n_workers!r}")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
