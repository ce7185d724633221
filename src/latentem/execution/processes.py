"""Worker processes, for functions that hold the interpreter lock."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..data import Batch, Source
from ..em import Executor
from ..errors import ParameterError
from ..statistics import Statistics
from .blas import single_threaded_blas
from .reduction import BLOCK, PairwiseSum, pairwise_sum
from .threads import available_cores, check_workers

T = TypeVar("T", bound=Statistics)
_source: Source | None = None


@dataclass(unsafe_hash=True)
class Processes(Executor):
    """Blocks of chunks on `n_workers` processes, added in chunk order.

    The source travels to the workers once; keep the executor for the whole fit and close it (it is a context manager).
    A copy has workers of its own: two executors for as many workers are equal.

    Raises
    ------
    ParameterError
        `n_workers` that is not a whole number of at least 1.
    """

    n_workers: int | None = None
    _pool: ProcessPoolExecutor | None = field(default=None, init=False, repr=False, compare=False)
    _sent: Source | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_workers(self.n_workers)

    def __getstate__(self) -> dict[str, Any]:
        return {"n_workers": self.n_workers}

    def fold(self, function: Callable[[Batch], T], source: Source) -> T:
        pool = self._ready(source)
        task = _packed((function, np.geterr()))
        chunks = source.chunks
        blocks = [chunks[i : i + BLOCK] for i in range(0, len(chunks), BLOCK)]
        total: PairwiseSum[T] = PairwiseSum()
        futures = [pool.submit(_fold_block, task, block) for block in blocks]
        try:
            for block, future in zip(blocks, futures, strict=True):
                total.push(future.result(), len(block))
        finally:
            for future in futures:
                future.cancel()
        return total.total()

    def _ready(self, source: Source) -> ProcessPoolExecutor:
        if self._pool is None or self._sent is not source:
            self.close()
            context = multiprocessing.get_context("spawn")
            workers = self.n_workers or available_cores()
            self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_receive, initargs=(source,))
            self._sent = source
        return self._pool

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = self._sent = None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _packed(task: Any) -> bytes:
    try:
        return pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ParameterError(
            f"the model cannot be sent to worker processes ({error}): its functions must be defined by name in a "
            "module, not as lambdas, within functions or in a notebook; or use executor='threads'"
        ) from error


def _receive(source: Source) -> None:
    """Ctrl-C is for the calling process, which returns its best so far; the workers outlive it."""
    global _source
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _source = source


def _fold_block(task: bytes, chunks: Any) -> Any:
    assert _source is not None
    function, errors = pickle.loads(task)
    with single_threaded_blas(), np.errstate(**errors):
        return pairwise_sum(function(_source.read(chunk)) for chunk in chunks)
