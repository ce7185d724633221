"""One process-wide, reference-counted guard that holds BLAS to one thread.

Chunks are small and run one to a thread; a BLAS that starts threads of its own inside them only adds waiting, and
rounds differently.  Overlapping limits would otherwise restore each other's value and leave BLAS at one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_lock = Lock()
_holders = 0
_found: list[int] = []


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS at one thread while any holder is inside; as it was found when the last leaves."""
    shared, own = _libraries()
    _acquire(shared)
    here = [library.get_num_threads() for library in own]
    _set(own, [1] * len(own))
    try:
        yield
    finally:
        _set(own, here)
        _release(shared)


def hold_this_thread() -> None:
    """One thread for BLAS libraries that count for each calling thread apart: what a new worker thread begins with."""
    own = _libraries()[1]
    _set(own, [1] * len(own))


def _acquire(shared: tuple[Any, ...]) -> None:
    global _holders, _found
    with _lock:
        if _holders == 0:
            _found = [library.get_num_threads() for library in shared]
            _set(shared, [1] * len(shared))
        _holders += 1


def _release(shared: tuple[Any, ...]) -> None:
    global _holders
    with _lock:
        _holders -= 1
        if _holders == 0:
            _set(shared, _found)


@cache
def _libraries() -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """BLAS libraries with one number of threads for the process, and those with one for each calling thread."""
    import scipy.linalg  # noqa: F401 - so that its BLAS is loaded and found
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [lib for lib in blas if lib.internal_api == "openblas" and lib.threading_layer == "openmp"]
    return tuple(lib for lib in blas if lib not in own), tuple(own)


def _set(libraries: tuple[Any, ...], numbers: list[int]) -> None:
    """Also from another thread than the one that set it last, which newer threadpoolctl silently ignores."""
    for library, number in zip(libraries, numbers, strict=True):
        getattr(library, "_real_set_num_threads", library.set_num_threads)(number)
