"""Work space that is used again: the first touch of fresh memory costs as much as the recursions that write to it."""

from __future__ import annotations

from threading import Lock

import numpy as np

from .._typing import FloatArray

# Bytes that are kept for the next one who asks.
LARGEST_KEPT = 2**26
_lock = Lock()
_free: dict[int, list[FloatArray]] = {}
_bytes = 0


def take(size: int) -> FloatArray:
    """An array of so many doubles that nobody else has, with any numbers in it."""
    global _bytes
    with _lock:
        if _free.get(size):
            _bytes -= 8 * size
            return _free[size].pop()
    return np.empty(size)


def give_back(array: FloatArray) -> None:
    """Let others have an array from `take`; the caller must not use it any more."""
    global _bytes
    with _lock:
        if _bytes + array.nbytes <= LARGEST_KEPT:
            _free.setdefault(array.size, []).append(array)
            _bytes += array.nbytes
