"""Chains of states: the sequence above a strip of its state probabilities, and where states lead."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...data import Batch
from ...errors import ParameterError
from .components import picture_of_family
from .families import bare
from .packing import FIGURES, packed, packed_shares, rounded, significant
from .rows import one_sequence
from .subject import MOST_COLUMNS, Shown, Subject

MOST_STEPS, MOST_SMOOTHED = 400, 20_000


def states(subject: Subject) -> dict[str, Any]:
    """The first rows of the longest sequence, with the smoothed probabilities and the most probable path."""
    batch, group = one_sequence(subject.source, MOST_SMOOTHED)
    t = min(len(batch), MOST_STEPS, subject.row_limit)
    found = [_inferred(subject.model, params, batch) for params in subject.parameters]
    probabilities = np.stack([smoothed for smoothed, _, _ in found])
    drawn = range(min(batch.n_columns, MOST_COLUMNS))
    shown = _shown(subject, batch, probabilities[:, :, :t], probabilities.mean(axis=2))
    return {
        "kind": "states",
        "title": f"The states along {shown.names[0]}",
        "description": f"Above, the sequence, each row with the marker of its most probable state by the decoded path; "
        f"below, how probable each state is in each row. {shown.told}{_which(group, subject, batch)}",
        "what": "state",
        "columns": [shown.names[j] for j in drawn],
        "series": [rounded(batch.values[:t, j]) for j in drawn],
        "first": 0,
        "responsibilities": packed_shares(shown.responsibilities),
        "paths": [_coded(path[:t]) for _, path, _ in found],
        "weights": significant(shown.weights, 3),
        "parts": [part for part in [_moves(subject, found), picture_of_family(shown)] if part is not None],
    }


def _moves(subject: Subject, found: list[Any]) -> dict[str, Any]:
    """Where states lead, as a table."""
    constant = _is_constant(subject.parameters[0].latent)
    how = "Probabilities of the next state" if constant else "Shares of the expected transitions, over all rows seen"
    return {
        "kind": "transitions",
        "title": "Where the states lead",
        "description": f"{how}: a row for the state that is left, a column for the one that follows.",
        "table": packed(np.stack([matrix for _, _, matrix in found]), low=0.0, high=1.0),
    }


def _is_constant(latent: Any) -> bool:
    """Whether one matrix holds for all rows."""
    return not callable(getattr(latent, "transition", len))


def _inferred(model: Any, params: Any, batch: Batch) -> tuple[FloatArray, Array, FloatArray]:
    """Smoothed probabilities (K, n), the decoded path (n,) and the transition matrix (K, K)."""
    posterior = model.infer(params, batch)[0]
    path = _decoded(model, params, batch)
    path = posterior.probabilities.argmax(axis=0) if path is None else path
    return posterior.probabilities, path, _transitions(params.latent, posterior)


def _decoded(model: Any, params: Any, batch: Batch) -> Array | None:
    try:
        path = model.latent.decode(model.state_densities(params, batch), batch, params.latent)[0]
    except ParameterError:  # a latent that decodes nothing
        return None
    return None if (path < 0).any() else np.asarray(path)


def _transitions(latent: Any, posterior: Any) -> FloatArray:
    """The chain's own matrix, or the share of the expected transitions where each row has one of its own."""
    if _is_constant(latent):
        return np.asarray(latent.transition)
    pairs = posterior.pairs.sum(axis=0)
    total = pairs.sum(axis=1, keepdims=True)
    return np.where(total > 0, pairs / np.where(total > 0, total, 1.0), 1.0 / len(pairs))


def _shown(subject: Subject, batch: Batch, responsibilities: FloatArray, weights: FloatArray) -> Shown:
    t = responsibilities.shape[2]
    family, emissions = bare(subject.model.family, tuple(params.emission for params in subject.parameters))
    told = subject.shown_of(t)
    return Shown(subject, family, emissions, batch.rows_between(0, t), responsibilities, weights, "state", told)


def _which(group: int, subject: Subject, batch: Batch) -> str:
    return "" if len(batch) == subject.source.n_rows else f" They are the first of sequence {group}, counted from 0."


def _coded(path: Array) -> str:
    return "".join(FIGURES[int(k) % len(FIGURES)] for k in path)
