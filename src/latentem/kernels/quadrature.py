"""log ∫ exp(g): adaptive Gauss–Legendre panels, refined all at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_ROUNDS, _MOST_OPEN = 60, 512


def log_integral(
    log_function: Callable[[FloatArray], FloatArray], edges: FloatArray, tolerance: float = 1e-14
) -> float:
    """log ∫ exp(g(u)) du from the first edge to the last.

    Every panel between two edges is compared with its two halves and halved again where they differ by more than
    `tolerance` of the whole; all panels of a round are evaluated in one call.  An integrand that is too rough for 512
    panels at a time is left at the accuracy that it has.

    Parameters
    ----------
    log_function : callable
        g of a vector of points; -inf where the integrand is zero.
    edges : (m,)
        Increasing.
    tolerance : float
        Relative.

    Returns
    -------
    float
        -inf where the integrand is zero at all points tried.
    """
    low, high = edges[:-1], edges[1:]
    whole = _panels(log_function, low, high)
    settled: list[FloatArray] = []
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        halves = _panels(log_function, np.concatenate([low, middle]), np.concatenate([middle, high]))
        left, right = np.split(halves, 2)
        total = _log_sum(np.concatenate([*settled, halves]))
        if total == -np.inf:
            return -np.inf
        finer = np.logaddexp(left, right)
        open_ = np.abs(np.exp(finer - total) - np.exp(whole - total)) > tolerance
        settled.append(finer[~open_])
        if not open_.any() or open_.sum() > _MOST_OPEN:
            settled.append(finer[open_])
            break
        low, high = np.concatenate([low[open_], middle[open_]]), np.concatenate([middle[open_], high[open_]])
        whole = np.concatenate([left[open_], right[open_]])
    else:
        settled.append(whole)
    return _log_sum(np.concatenate(settled))


def _panels(log_function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Log of the Gauss–Legendre sum over each panel."""
    half = 0.5 * (high - low)
    points = 0.5 * (low + high)[:, None] + half[:, None] * _NODES
    logs = log_function(points.ravel()).reshape(points.shape)
    peak = logs.max(axis=1)
    shift = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(shift + np.log(half * (np.exp(logs - shift[:, None]) @ _WEIGHTS)))


def _log_sum(logs: FloatArray) -> float:
    """log Σ exp; -inf where all are."""
    peak = float(logs.max(initial=-np.inf))
    return peak + float(np.log(np.exp(logs - peak).sum())) if np.isfinite(peak) else peak
