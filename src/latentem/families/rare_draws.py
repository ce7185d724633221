"""Draws of any family of one column between bounds that hold too little of its mass for rejection."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Batch
from .composite import AnyFamily
from .log_mass import Line, ends_on, line_of, location

_BLOCK, _MOST_TERMS, _LEFT_OUT = 64, 2**22, 1e-12
# A table of the density is refined until no cell holds more than this share of the mass.
_LARGEST_SHARE, _ROUNDS = 1 / 512, 200
_HALVINGS = np.arange(1075)


def draw_rare(
    family: AnyFamily,
    params: Any,
    k: int,
    low: float | None,
    high: float | None,
    size: int,
    rng: np.random.Generator,
) -> FloatArray:
    """(size,) draws of component k between the bounds.

    Whole numbers come with their probabilities, real ones from a density that is linear between points of a table in
    whose cells there is at most 1/512 of the mass.
    """
    if family.discrete:
        return _whole_numbers(family, params, k, low, high, size, rng)
    line = line_of(family)
    y = _draw(*_table(family, params, k, line, *ends_on(line, low, high)), size, rng)
    return np.clip(line.from_line(y), low, high)


def _whole_numbers(
    family: AnyFamily,
    params: Any,
    k: int,
    low: float | None,
    high: float | None,
    size: int,
    rng: np.random.Generator,
) -> FloatArray:
    first = max(0, int(np.ceil(low or 0.0)))
    stop, furthest = first + _BLOCK, np.inf if high is None else np.floor(high) + 1
    while True:
        grid = np.arange(first, min(stop, furthest))
        logs = family.log_density(Batch(grid[:, None]), params)[k]
        p = np.exp(logs - logs.max())
        if p[-1] <= _LEFT_OUT * p.sum() or stop >= furthest or len(grid) > _MOST_TERMS:
            return np.asarray(rng.choice(grid, size, p=p / p.sum()))
        stop = first + 4 * len(grid)


def _table(
    family: AnyFamily, params: Any, k: int, line: Line, first: float, last: float
) -> tuple[FloatArray, FloatArray]:
    """Points on the line and the logarithm of the density there."""
    y = _points(first, last, *location(family, params, k, line))
    logs = _log_density(family, params, k, line, y)
    for _ in range(_ROUNDS):
        heavy = _shares(y, logs) > _LARGEST_SHARE
        middle = y[:-1][heavy] + 0.5 * np.diff(y)[heavy]
        new = middle[(middle > y[:-1][heavy]) & (middle < y[1:][heavy])]
        if not len(new):
            break
        y, logs = np.append(y, new), np.append(logs, _log_density(family, params, k, line, new))
        order = np.argsort(y)
        y, logs = y[order], logs[order]
    return y, logs


def _points(first: float, last: float, centre: float, spread: float) -> FloatArray:
    """Points that close in on both ends, and on the family's own centre where that lies between."""
    near = (last - first) * 2.0**-_HALVINGS
    around = centre + spread * np.sinh(np.linspace(-300.0, 300.0, 1201))
    points = np.concatenate([first + near, last - near, around, [first, last]])
    return np.unique(points[(points >= first) & (points <= last)])


def _log_density(family: AnyFamily, params: Any, k: int, line: Line, y: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        logs = family.log_density(Batch(line.from_line(y)[:, None]), params)[k] + line.log_slope(y)
    return np.where(np.isfinite(logs), logs, -np.inf)


def _shares(y: FloatArray, logs: FloatArray) -> FloatArray:
    """The share of the mass in each cell, by trapezoids."""
    with np.errstate(all="ignore"):
        masses = np.logaddexp(logs[:-1], logs[1:]) + np.log(np.diff(y))
    odds = np.exp(masses - masses.max())
    return np.asarray(odds / odds.sum())


def _draw(y: FloatArray, logs: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """A cell by its share, and within it by the inverse of the distribution function of a linear density."""
    shares = _shares(y, logs)
    cell = rng.choice(len(shares), size, p=shares)
    peak = np.maximum(logs[cell], logs[cell + 1])
    left, right = np.exp(logs[cell] - peak), np.exp(logs[cell + 1] - peak)
    u = rng.random(size)
    share = u * (left + right) / (left + np.sqrt(left**2 + u * (right**2 - left**2)))
    return np.asarray(y[cell] + share * (y[cell + 1] - y[cell]))
