"""One process-wide, reference-counted guard that holds BLAS to one thread.

Chunks are small and run one to a thread; a BLAS that starts threads of its own inside them only adds waiting, and
rounds differently.  Overlapping limits would otherwise restore each other's value and leave BLAS at one thread for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

_lock = Lock()
_holders = 0
_controller: Any = None
_limit: Any = None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS at one thread while any holder is inside; as it was found when the last leaves."""
    _acquire()
    try:
        yield
    finally:
        _release()


def _acquire() -> None:
    global _holders, _controller, _limit
    with _lock:
        if _holders == 0:
            if _controller is None:
                import scipy.linalg  # noqa: F401 - so that its BLAS is loaded and found
                from threadpoolctl import ThreadpoolController

                _controller = ThreadpoolController()
            _limit = _controller.limit(limits=1, user_api="blas")
        _holders += 1


def _release() -> None:
    global _holders, _limit
    with _lock:
        _holders -= 1
        if _holders == 0:
            _limit.restore_original_limits()
            _limit = None
