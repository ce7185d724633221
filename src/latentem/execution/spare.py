"""Threads to spare: whether a function that is folded over chunks may do several parts of its work at once.

An executor with fewer chunks than workers has threads to spare, and says so to what it calls; without one nothing is
spare.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from .pools import pool_of

T = TypeVar("T")
U = TypeVar("U")
# Calls in flight for each worker.
AHEAD = 4

_threads: ContextVar[int] = ContextVar("threads for one chunk", default=1)


@contextmanager
def threads_for_a_chunk(n: int) -> Iterator[None]:
    """Let each chunk that is worked on inside have `n` threads."""
    token = _threads.set(n)
    try:
        yield
    finally:
        _threads.reset(token)


def each(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """function(item) in order; the next ones are under way on other threads where some are to spare."""
    workers = _threads.get() - 1
    if workers < 1:
        yield from map(function, items)
        return
    with pool_of(workers) as pool:
        yield from in_order(pool, function, items, AHEAD * workers)


def in_order(pool: ThreadPoolExecutor, function: Callable[[T], U], items: Iterable[T], ahead: int) -> Iterator[U]:
    """Results in order, at most `ahead` of them in flight: memory does not grow with the data.

    No call goes on when this ends.
    Workers run in copies of the caller's context, so that NumPy's error state is the caller's.
    """
    pending: deque[Future[U]] = deque()
    try:
        for item in items:
            if len(pending) == ahead:
                yield pending.popleft().result()
            pending.append(pool.submit(copy_context().run, function, item))
        while pending:
            yield pending.popleft().result()
    finally:
        wait([future for future in pending if not future.cancel()])


def in_pairs(*pairs: tuple[Callable[[], None], Callable[[], None]]) -> None:
    """Call both of each pair, pair by pair: at once where a thread is to spare, else one after the other.

    The first's error comes out first.
    """
    if _threads.get() < 2:
        for one, other in pairs:
            one()
            other()
        return
    with pool_of(1) as pool:
        for one, other in pairs:
            future = pool.submit(copy_context().run, other)
            try:
                one()
            finally:
                wait([future])
            future.result()
