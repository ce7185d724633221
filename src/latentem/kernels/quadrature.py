"""The terms of log ∫ exp(g): adaptive Gauss–Legendre panels, refined all at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray
from .normalize import log_sum_exp

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_ROUNDS, _MOST_OPEN = 60, 512


def log_nodes(
    log_function: Callable[[FloatArray], FloatArray], edges: FloatArray, tolerance: float = 1e-14
) -> tuple[FloatArray, FloatArray]:
    """Points (n,) and logs (n,) of what they add to ∫ exp(g(u)) du from the first edge to the last.

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
    """
    low, high = edges[:-1], edges[1:]
    whole = log_sum_exp(_panels(log_function, low, high)[1])
    settled: list[tuple[FloatArray, FloatArray]] = []
    known: list[FloatArray] = []
    for round_ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        points, logs = _panels(log_function, np.concatenate([low, middle]), np.concatenate([middle, high]))
        halves = log_sum_exp(logs)
        left, right = np.split(halves, 2)
        total = log_sum_exp(np.concatenate([*known, halves]))
        if total == -np.inf:
            settled.append((points, logs))
            break
        finer = np.logaddexp(left, right)
        open_ = np.abs(np.exp(finer - total) - np.exp(whole - total)) > tolerance
        if not open_.any() or open_.sum() > _MOST_OPEN or round_ == _ROUNDS - 1:
            settled.append((points, logs))
            break
        closed = np.concatenate([~open_, ~open_])
        settled.append((points[closed], logs[closed]))
        known.append(halves[closed])
        low, high = np.concatenate([low[open_], middle[open_]]), np.concatenate([middle[open_], high[open_]])
        whole = np.concatenate([left[open_], right[open_]])
    every_point, every_log = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*settled, strict=True))
    return every_point, every_log


def _panels(
    log_function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Points (m, 20) of each panel, and logs of the terms of its Gauss–Legendre sum."""
    half = 0.5 * (high - low)
    points = 0.5 * (low + high)[:, None] + half[:, None] * _NODES
    logs = log_function(points.ravel()).reshape(points.shape)
    with np.errstate(divide="ignore"):
        return points, logs + np.log(half[:, None] * _WEIGHTS)
