"""How a law is judged: what must hold, and what to say where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from ..statistics import arrays_of

SIGMAS = 5.5


def require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def close(got: Any, expected: Any, bound: Any, law: str) -> None:
    """Arrays equal to within a bound; the worst entry is told."""
    got, expected = np.asarray(got), np.asarray(expected)
    require(got.shape == expected.shape, f"{law}: shapes {got.shape} and {expected.shape}")
    error = np.where(got == expected, 0.0, np.abs(got - expected))
    bound = np.broadcast_to(bound, error.shape)
    if not np.all(error <= bound):
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error - bound)), error.shape)
        place = f"at {tuple(map(int, worst))} " if error.shape else ""
        off = f"off by {error[worst]:.3g}, allowed {bound[worst]:.3g}"
        raise AssertionError(f"{law}: {place}{float(got[worst])!r} is not {float(expected[worst])!r} ({off})")


def same(got: Any, expected: Any, magnitudes: list[FloatArray], share: float, law: str) -> None:
    """Statistics equal to within a share of the sums of magnitudes."""
    for a, b, bound in zip(arrays_of(got), arrays_of(expected), magnitudes, strict=True):
        close(a, b, share * bound + 1e-300, law)


def mean_is(samples: FloatArray, value: float, law: str) -> None:
    """Within `SIGMAS` standard errors, where the standard error is more than rounding."""
    mean = samples.mean(axis=0)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    bound = SIGMAS * error + 1e-9 * (1 + np.abs(samples).max(axis=0))
    close(mean, np.full_like(mean, value), bound, law)


def added(parts: list[Any]) -> Any:
    """Their sum, from the left."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def magnitudes_of(parts: Any) -> list[FloatArray]:
    """Σ |s| of each array, over parts."""
    return [np.sum(np.abs(arrays), axis=0) for arrays in zip(*map(arrays_of, parts), strict=True)]
