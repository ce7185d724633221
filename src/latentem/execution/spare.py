"""Threads to spare: whether a function that is folded over chunks may run two halves of its work at once.

An executor with fewer chunks than workers has threads to spare, and says so to what it calls; without one nothing is
spare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context

from .blas import hold_this_thread

_threads: ContextVar[int] = ContextVar("threads for one chunk", default=1)


@contextmanager
def threads_for_a_chunk(n: int) -> Iterator[None]:
    """Let each chunk that is worked on inside have `n` threads."""
    token = _threads.set(n)
    try:
        yield
    finally:
        _threads.reset(token)


def both(one: Callable[[], None], other: Callable[[], None]) -> None:
    """Call both: at once where a thread is to spare, else one after the other.  The first's error comes out first."""
    if _threads.get() < 2:
        one()
        other()
        return
    with ThreadPoolExecutor(1, initializer=hold_this_thread) as pool:
        future = pool.submit(copy_context().run, other)
        one()
        future.result()
