"""Declared models: their estimates over the iterations, and one column by the state of z where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from ...data import Batch
from ...plots.shapes import n_bins
from .packing import packed, rounded
from .parameters import parameters
from .rows import some_rows
from .subject import MOST_COUNTED, Subject

MOST_STATES = 7


def declared(subject: Subject) -> dict[str, Any]:
    """The estimates, and a histogram in parts where z has few states and a row is one number."""
    return parameters(subject) | {"parts": [_histogram(subject)] if _has_states(subject) else []}


def _has_states(subject: Subject) -> bool:
    """Whether rows are single numbers, each with a z of few states."""
    model, space = subject.model, subject.model.declaration.space
    alone = not (model.per_group or space.is_chain or space.dimension)
    return alone and subject.source.n_columns == 1 and 1 < space.n_states <= MOST_STATES


def _histogram(subject: Subject) -> dict[str, Any]:
    batch = some_rows(subject.source, MOST_COUNTED, subject.rng)
    x = batch.values[:, 0]
    edges = _edges(x)
    parts = np.stack([_shares(subject.model, params, batch, edges) for params in subject.parameters])
    return {
        "kind": "shares",
        "title": f"{subject.names[0]}, by the state of z",
        "description": "A panel for each state: grey bars are all rows, filled ones are what of them the posterior "
        f"gives to the state. {subject.shown_of(len(batch)).replace('shown', 'counted')}",
        "what": "state",
        "name": subject.names[0],
        "edges": rounded(edges),
        "states": [", ".join(map(str, state)) for state in subject.model.declaration.space.states.tolist()],
        "heights": packed(parts, low=0.0),
    }


def _edges(x: FloatArray) -> FloatArray:
    """Bins of one width; where the numbers are whole, each has its own as long as there are few."""
    seen = x[~np.isnan(x)]
    low, high = float(seen.min()), float(seen.max())
    if np.all(seen == np.floor(seen)) and high - low < 60:
        return np.arange(low, high + 2) - 0.5
    return np.histogram_bin_edges(seen, bins=n_bins(seen))


def _shares(model: Any, params: Any, batch: Batch, edges: FloatArray) -> FloatArray:
    """(K, bins): the posterior shares of the states, summed over the rows of each bin."""
    points = model.infer(params, batch)
    weights = points.weighted(batch)[: model.declaration.space.n_states]
    x = batch.values[points.rows, 0]
    return np.stack([np.histogram(x, bins=edges, weights=own)[0] for own in weights])
