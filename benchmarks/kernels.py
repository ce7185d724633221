"""Compiled kernels beside their NumPy references, in one run: speed as ratios.

python benchmarks/kernels.py
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Row, paired, seconds, show

from latentem.kernels import compiled
from latentem.kernels.chain import smooth
from latentem.kernels.forward_backward import forward_backward
from latentem.kernels.normalize import normalize_states, normalize_states_reference

CALLS = 50


def main() -> int:
    status = compiled.status()
    print(f"NumPy {np.__version__}, Python {platform.python_version()}, {platform.machine()}")
    print(f"NPY_DISABLE_CPU_FEATURES={os.environ.get('NPY_DISABLE_CPU_FEATURES', '')!r}")
    if not status.available:
        print(f"there is nothing to compare: {status.reason}")
        return 0
    print(f"built by: {status.flags}")
    rows = [normalization(k) for k in (4, 16, 64)] + [smoothing(k) for k in (2, 8, 16)]
    return 0 if show("Kernels, float64", rows) else 1


def normalization(n_states: int, n: int = 2048) -> Row:
    """Log-sum-exp over states of a chunk, which it overwrites; filling it anew is taken off both."""
    joint = np.random.default_rng(0).normal(size=(n_states, n)) * 10
    chunk = np.empty_like(joint)

    def timed(function: Callable[[Any], Any]) -> float:
        filling = min(seconds(lambda: np.copyto(chunk, joint)) for _ in range(CALLS))
        calls = (seconds(lambda: (np.copyto(chunk, joint), function(chunk))) for _ in range(CALLS))
        return min(calls) - filling

    ours, reference, ratio = paired(lambda: timed(normalize_states), lambda: timed(normalize_states_reference), 21)
    return _row(f"normalize {n_states} x {n:,}", ours, reference, ratio, 1.0)


def smoothing(n_states: int, length: int = 100_000, part: int = 5000) -> Row:
    """Scaled forward-backward over one sequence; the reference runs over a part of it, and its time is scaled up."""
    rng = np.random.default_rng(0)
    initial, transition = rng.dirichlet(np.ones(n_states)), rng.dirichlet(np.ones(n_states), n_states)
    log_density = rng.normal(size=(n_states, length)) * 3
    offsets = np.array([0, length])

    def whole() -> float:
        densities = log_density.copy()
        return seconds(lambda: smooth(initial, transition, densities, offsets))

    def reference() -> float:
        return seconds(lambda: forward_backward(initial, transition, log_density[:, :part])) * length / part

    return _row(f"forward-backward {n_states} x {length:,}", *paired(whole, reference, 7), 10.0)


def _row(work: str, ours: float, reference: float, ratio: float, asked: float) -> Row:
    return Row(work, _time(ours), _time(reference), f"{ratio:.1f} times", f">= {asked:g}", ratio >= asked)


def _time(value: float) -> str:
    return f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.1f} us"


if __name__ == "__main__":
    sys.exit(main())
