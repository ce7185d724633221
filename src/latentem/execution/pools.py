"""Threads that are kept for the next fold: to start them takes longer than many a chunk."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from .blas import hold_this_thread

# Idle pools of one size that are kept: as many folds as may well go on side by side.
MOST_KEPT = 4
_lock = Lock()
_idle: dict[int, list[ThreadPoolExecutor]] = defaultdict(list)


@contextmanager
def pool_of(n: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of n threads that nobody else has; its calls must have ended when it goes back."""
    with _lock:
        pool = _idle[n].pop() if _idle[n] else None
    if pool is None:
        pool = ThreadPoolExecutor(n, thread_name_prefix="latentem", initializer=hold_this_thread)
    try:
        yield pool
    finally:
        with _lock:
            kept = len(_idle[n]) < MOST_KEPT
            if kept:
                _idle[n].append(pool)
        if not kept:
            pool.shutdown()


def _forget() -> None:
    """In the child of a fork, where the threads of its parent are not."""
    global _lock
    _lock = Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
