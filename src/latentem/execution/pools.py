"""Threads that are kept for the next fold: to start them takes longer than many a chunk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock

from .blas import hold_this_thread

# Idle threads that are kept in all, for each core.
MOST_KEPT = 4
# One that may be entered again: a generator that the garbage collector closes gives its pool back wherever it happens.
_lock = RLock()
_idle: list[tuple[int, ThreadPoolExecutor]] = []


@contextmanager
def pool_of(n: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of n threads that nobody else has, which is kept for the next one unless something went wrong."""
    pool = _taken(n) or ThreadPoolExecutor(n, thread_name_prefix="latentem", initializer=hold_this_thread)
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    for old in _kept(n, pool):
        old.shutdown()


def _taken(n: int) -> ThreadPoolExecutor | None:
    with _lock:
        at = next((i for i, (size, _) in enumerate(_idle) if size == n), None)
        return None if at is None else _idle.pop(at)[1]


def _kept(n: int, pool: ThreadPoolExecutor) -> list[ThreadPoolExecutor]:
    """Keep a pool; return the oldest ones, for which there is no more room."""
    with _lock:
        _idle.append((n, pool))
        old = []
        while len(_idle) > 1 and sum(size for size, _ in _idle) > MOST_KEPT * (os.cpu_count() or 1):
            old.append(_idle.pop(0)[1])
        return old


def _forget() -> None:
    """In the child of a fork, where the threads of its parent are not."""
    global _lock
    _lock = RLock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
