"""Executors by their names, closed after use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..em import Executor
from ..errors import ParameterError
from .blas import single_threaded_blas


@contextmanager
def opened(executor: str | Executor | None) -> Iterator[Executor]:
    """An executor by its name, closed afterwards; one that the user made stays open.

    BLAS is held to one thread throughout, so that the folds inside need not ask for it again and again.
    """
    workers = as_executor(executor)
    try:
        with single_threaded_blas():
            yield workers
    finally:
        if workers is not executor and hasattr(workers, "close"):
            workers.close()


def as_executor(executor: str | Executor | None) -> Executor:
    """An executor by its name."""
    if isinstance(executor, Executor):
        return executor
    from . import Processes, Serial, Threads

    kinds: dict[str | None, type[Executor]] = {
        None: Threads,
        "serial": Serial,
        "threads": Threads,
        "processes": Processes,
    }
    if executor not in kinds:
        raise ParameterError(f"executor must be 'serial', 'threads', 'processes' or an Executor, got {executor!r}")
    return kinds[executor]()
