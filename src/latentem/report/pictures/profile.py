"""Probabilities of categories in each class: Bernoulli columns, categorical columns, counts that share trials."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from .packing import packed, significant
from .subject import Shown

MOST_PANELS, MOST_CATEGORIES = 12, 30


def bernoulli(shown: Shown) -> dict[str, Any]:
    """One panel: the probability of a one in each column."""
    found = [params.probabilities for params in shown.emissions]
    seen = np.nanmean(shown.counted.values, axis=0)
    panel = _panel("probability of 1", list(shown.names), np.stack(found), seen)
    return _profile(shown, [panel], "The probability of a 1 in each column.", shown.batch.n_columns)


def multinomial(shown: Shown) -> dict[str, Any]:
    """One panel: the share of each column in a row's trials."""
    total = np.nansum(shown.counted.values, axis=0)
    found = np.stack([params.probabilities for params in shown.emissions])
    panel = _panel("share of the trials", list(shown.names), found, total / max(total.sum(), 1.0))
    return _profile(shown, [panel], "The share of each column in the trials of a row.", 1)


def categories(shown: Shown) -> dict[str, Any]:
    """A panel for each column: the probability of each category."""
    panels = [_of_column(shown, j) for j in range(min(shown.batch.n_columns, MOST_PANELS))]
    return _profile(shown, panels, "The probability of each category in each column.", shown.batch.n_columns)


def _of_column(shown: Shown, column: int) -> dict[str, Any]:
    found = np.stack([params.columns[column].probabilities for params in shown.emissions])
    n = found.shape[-1]
    x = shown.counted.values[:, column]
    seen = np.bincount(x[~np.isnan(x)].astype(int), minlength=n)[:n]
    levels = shown.subject.source.layout.levels.get(shown.names[column])
    labels = [str(c) for c in range(n)] if levels is None else [str(level) for level in levels]
    return _panel(shown.names[column], labels, found, seen / max(seen.sum(), 1))


def _panel(name: str, labels: list[str], probabilities: FloatArray, seen: FloatArray) -> dict[str, Any]:
    most = slice(0, MOST_CATEGORIES)
    return {
        "name": name,
        "categories": labels[most],
        "probabilities": packed(probabilities[..., most], low=0.0, high=1.0),
        "seen": significant(np.nan_to_num(seen[most])),
    }


def _profile(shown: Shown, panels: list[dict[str, Any]], told: str, n_columns: int) -> dict[str, Any]:
    left = f" {len(panels)} of {n_columns} columns are drawn." if 1 < len(panels) < n_columns else ""
    cut = f" Of each, the first {MOST_CATEGORIES} are drawn." if _is_cut(panels, shown) else ""
    return {
        "kind": "profile",
        "title": f"Profiles of the {shown.what}s",
        "description": f"{told} A line joins those of one {shown.what}; bars are the frequencies in the data. "
        f"{shown.told_of_counts}{left}{cut}",
        "what": shown.what,
        "panels": panels,
        "weights": significant(shown.weights, 3),
    }


def _is_cut(panels: list[dict[str, Any]], shown: Shown) -> bool:
    return len(panels) == 1 < MOST_CATEGORIES == len(panels[0]["categories"]) < shown.batch.n_columns
