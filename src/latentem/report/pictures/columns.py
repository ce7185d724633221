"""Columns one by one: a histogram with the densities of the components and their sum, or frequencies with masses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...plots.shapes import n_bins
from .families import is_discrete, marginal, supported
from .packing import packed, rounded, significant
from .subject import Shown

MOST_PANELS = 6
# Numbers that the curves of a picture may have together, and points that a curve has.
CURVES, FEWEST, MOST = 50_000, 40, 120
MOST_BARS = 60
# Positive numbers whose largest is so many times the median are drawn by their logarithms.
FAR = 30.0


def columns(shown: Shown) -> dict[str, Any]:
    """A panel for each column, at most six."""
    n_columns = shown.batch.n_columns
    lines = shown.subject.n_steps * shown.n_states
    drawn = range(min(n_columns, max(1, min(MOST_PANELS, CURVES // (MOST_BARS * lines)))))
    each = CURVES // (len(drawn) * lines)
    panels = [_panel(shown, j, int(np.clip(each, FEWEST, MOST))) for j in drawn]
    one = shown.names[0] if n_columns == 1 else f"{len(panels)} columns"
    left = f" {len(panels)} of {n_columns} columns are drawn." if len(panels) < n_columns else ""
    return {
        "kind": "columns",
        "title": f"{one}, with the {shown.what}s",
        "description": f"Bars are the data; lines are the weighted {shown.what}s, the heavy one is their sum. "
        f"{shown.told_of_counts}{left}",
        "what": shown.what,
        "panels": panels,
        "weights": significant(shown.weights, 3),
    }


def _panel(shown: Shown, column: int, points: int) -> dict[str, Any]:
    values = shown.counted.values[:, column]
    seen = ~np.isnan(values)
    weights = None if shown.counted.weights is None else shown.counted.weights[seen]
    discrete = is_discrete(shown.family, column)
    far = not discrete and _goes_far(values[seen])
    bars = (_frequencies if discrete else _decades if far else _histogram)(values[seen], weights)
    grid = bars.pop("grid") if discrete else _grid(shown, column, values[seen], points, far)
    curves = _curves(shown, column, grid) * (np.log(10) * grid if far else 1.0)
    return bars | {
        "name": shown.names[column],
        "discrete": discrete,
        "log": far,
        "levels": _levels(shown, column),
        "grid": significant(grid, 6) if far else rounded(grid),
        "curves": packed(curves, low=0.0, high=_height(curves, bars["heights"])),
    }


def _levels(shown: Shown, column: int) -> list[str] | None:
    """What whole numbers of a column stand for, where they stand for text."""
    found = shown.subject.source.layout.levels.get(shown.names[column])
    return None if found is None else list(map(str, found))


def _height(curves: FloatArray, heights: list[float]) -> float:
    """Higher than all curves, except for peaks far above all bars, which are cut."""
    finite = curves[np.isfinite(curves)].max(initial=0.0)
    return float(min(finite, 4 * max(heights))) or 1.0


def _goes_far(x: FloatArray) -> bool:
    """Whether positive numbers go so far beyond the middle one that only logarithms show the others."""
    return bool(x.min() > 0 and x.max() > FAR * np.median(x))


def _decades(x: FloatArray, weights: FloatArray | None) -> dict[str, Any]:
    """Densities of log₁₀ x."""
    logs = np.log10(x)
    heights, edges = np.histogram(logs, bins=n_bins(logs), weights=weights, density=True)
    return {"edges": significant(10**edges, 6), "heights": significant(heights)}


def _histogram(x: FloatArray, weights: FloatArray | None) -> dict[str, Any]:
    heights, edges = np.histogram(x, bins=n_bins(x), weights=weights, density=True)
    return {"edges": rounded(edges), "heights": significant(heights)}


def _frequencies(x: FloatArray, weights: FloatArray | None) -> dict[str, Any]:
    """Shares of the whole numbers; where they go far, of several together."""
    low, high = int(x.min()), int(x.max())
    width = -(-(high - low + 1) // MOST_BARS)
    bins = -(-(high - low + 1) // width)
    edges = low + width * np.arange(bins + 1) - 0.5
    counts = np.histogram(x, bins=edges, weights=weights)[0]
    grid = low + width * np.arange(bins) + (width // 2)
    return {
        "edges": rounded(edges),
        "heights": significant(counts / (counts.sum() * width)),
        "width": width,
        "grid": grid.astype(float),
    }


def _grid(shown: Shown, column: int, x: FloatArray, points: int, far: bool) -> FloatArray:
    if far:
        return np.geomspace(x.min(), x.max(), points)
    margin = 0.05 * (float(np.ptp(x)) or 1.0)
    grid = np.linspace(x.min() - margin, x.max() + margin, points)
    inside = supported(shown.family, column, shown.batch.n_columns, grid)
    return np.asarray(grid[inside]) if inside.any() else np.sort(x)[:points]


def _curves(shown: Shown, column: int, grid: FloatArray) -> FloatArray:
    """(S, K, points): πₖ p(x | k) at each step."""
    found = [marginal(shown.family, params, column, shown.batch.n_columns, grid) for params in shown.emissions]
    curves: Array = shown.weights[:, :, None] * np.stack(found)
    return np.asarray(curves)
