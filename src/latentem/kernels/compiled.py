"""The compiled kernels: found, checked and loaded at first use; absent, the NumPy references serve.

LATENTEM_PURE_PYTHON=1 in the environment turns them off.  Calls release the interpreter lock.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from . import build

REBUILD = "python -m latentem.kernels.build"
_lock = Lock()


@dataclass(frozen=True)
class CompiledStatus:
    """Whether compiled kernels serve.

    Attributes
    ----------
    available : bool
    path : str or None
        The library, if there is one.
    flags : str or None
        The compiler and its flags, as the library tells them.
    reason : str or None
        Why they do not serve, and what to do about it.
    """

    available: bool
    path: str | None = None
    flags: str | None = None
    reason: str | None = None


def status() -> CompiledStatus:
    """Whether compiled kernels serve, and if not, why."""
    if _switched_off():
        return CompiledStatus(False, reason="LATENTEM_PURE_PYTHON is set")
    return _loaded()[1]


def library() -> Any:
    """The library, or None where the NumPy references serve."""
    return None if _switched_off() else _loaded()[0]


def _switched_off() -> bool:
    return os.environ.get("LATENTEM_PURE_PYTHON", "") not in ("", "0")


@cache
def _loaded() -> tuple[Any, CompiledStatus]:
    with _lock:
        return load(build.HERE / build.NAME)


@cache
def load(path: Path) -> tuple[Any, CompiledStatus]:
    """The library at `path` and its status; None in its place unless it was built from the C files that are there."""
    if not path.exists():
        return None, CompiledStatus(
            False, reason=f"latentem was installed without a C compiler; install one and run {REBUILD}"
        )
    try:
        loaded = ctypes.CDLL(str(path))
        version, flags = _text(loaded.latentem_version), _text(loaded.latentem_flags)
    except (OSError, AttributeError) as error:
        return None, CompiledStatus(False, str(path), reason=f"the library cannot be loaded ({error}); run {REBUILD}")
    if version != build.version():
        return None, CompiledStatus(
            False, str(path), flags, f"the library was built from other sources ({version}); run {REBUILD}"
        )
    return declare(loaded), CompiledStatus(True, str(path), flags)


def declare(loaded: Any) -> Any:
    """Tell ctypes the kernels' signatures."""
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    loaded.latentem_forward_backward_work.argtypes = [size] * 2
    loaded.latentem_forward_backward_work.restype = size
    loaded.latentem_forward_backward.argtypes = [size] * 4 + [pointer] * 11
    loaded.latentem_forward_backward.restype = None
    loaded.latentem_chain_tile_work.argtypes = [size]
    loaded.latentem_chain_tile_work.restype = size
    for block, arrays in (("forward", 9), ("backward", 8), ("backward_combine", 8), ("forward_combine", 10)):
        kernel = getattr(loaded, f"latentem_chain_{block}")
        kernel.argtypes, kernel.restype = [size] * 3 + [pointer] * arrays, size
    loaded.latentem_chain_filter.argtypes = [size] * 4 + [pointer] * 9
    loaded.latentem_chain_filter.restype = None
    loaded.latentem_viterbi.argtypes = [size] * 3 + [pointer] * 8
    loaded.latentem_viterbi.restype = None
    loaded.latentem_viterbi_rows.argtypes, loaded.latentem_viterbi_rows.restype = [size] * 4 + [pointer] * 5, size
    loaded.latentem_viterbi_path.argtypes = [size] * 2 + [pointer] * 3
    loaded.latentem_viterbi_path.restype = ctypes.c_double
    loaded.latentem_look_up.argtypes, loaded.latentem_look_up.restype = [size] * 4 + [pointer] * 3, None
    loaded.latentem_count_codes.argtypes, loaded.latentem_count_codes.restype = [size] * 3 + [pointer] * 3, None
    loaded.latentem_inhomogeneous_work.argtypes = [size] * 2
    loaded.latentem_inhomogeneous_work.restype = size
    loaded.latentem_inhomogeneous.argtypes = [size] * 3 + [pointer] * 8
    loaded.latentem_inhomogeneous.restype = size
    loaded.latentem_semi_markov_work.argtypes = [size] * 3
    loaded.latentem_semi_markov_work.restype = size
    loaded.latentem_semi_markov.argtypes = [size] * 4 + [pointer] * 13
    loaded.latentem_semi_markov.restype = size
    loaded.latentem_semi_markov_decode_indices.argtypes = [size] * 2
    loaded.latentem_semi_markov_decode_indices.restype = size
    loaded.latentem_semi_markov_decode_work.argtypes = [size] * 2
    loaded.latentem_semi_markov_decode_work.restype = size
    loaded.latentem_semi_markov_decode.argtypes = [size] * 4 + [pointer] * 10
    loaded.latentem_semi_markov_decode.restype = None
    loaded.latentem_normalize.argtypes = [size] * 2 + [pointer] * 3
    loaded.latentem_normalize.restype = None
    loaded.latentem_has_wide_vectors.argtypes = []
    loaded.latentem_has_wide_vectors.restype = size
    if loaded.latentem_has_wide_vectors():
        for product in (loaded.latentem_weighted_sums, loaded.latentem_expected_sums):
            product.argtypes, product.restype = [size] * 3 + [pointer] * 3, None
        for product in (loaded.latentem_weighted_products, loaded.latentem_expected_products):
            product.argtypes, product.restype = [size] * 3 + [pointer] * 5, None
        loaded.latentem_moments.argtypes, loaded.latentem_moments.restype = [size] * 2 + [pointer] * 6, None
    for features in (loaded.latentem_product_features, loaded.latentem_axis_features):
        features.argtypes, features.restype = [size] * 2 + [pointer] * 3, None
    loaded.latentem_kalman_work.argtypes, loaded.latentem_kalman_work.restype = [size] * 3, size
    loaded.latentem_kalman.argtypes, loaded.latentem_kalman.restype = [pointer] * 36, None
    loaded.latentem_exp.argtypes = [size] + [pointer] * 2
    loaded.latentem_exp.restype = None
    return loaded


def as_doubles(values: Any) -> FloatArray:
    """The values as the kernels read them: float64, row-major, without gaps (a copy only where they are not)."""
    return np.ascontiguousarray(values, dtype=np.float64)


def address(array: Array) -> int:
    """Where the array begins; the caller keeps it alive during the call."""
    pointer: int = array.__array_interface__["data"][0]
    return pointer


def _text(function: Any) -> str:
    function.restype = ctypes.c_char_p
    return str(function().decode())
