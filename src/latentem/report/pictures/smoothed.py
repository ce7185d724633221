"""State space models: the series with what is smoothed out of it, and the states, with bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from ...data import Batch
from .packing import packed, rounded
from .rows import one_sequence
from .subject import BUDGET, Subject

MOST_STEPS, MOST_SMOOTHED, MOST_DRAWN = 400, 20_000, 2
# Half the width of a band that holds 95 %, in standard deviations.
BAND = 1.96


def smoothed(subject: Subject) -> dict[str, Any]:
    """The longest sequence, with the signal d + B u + Λz and the coordinates of z given all rows, and 95 % bands."""
    batch, group = one_sequence(subject.source, MOST_SMOOTHED)
    n_states, n_columns = (min(n, MOST_DRAWN) for n in (subject.n_states, batch.n_columns))
    t = int(np.clip(BUDGET // (4 * subject.n_steps * (n_states + n_columns)), 40, min(len(batch), MOST_STEPS)))
    found = [_moments(subject.model, params, batch) for params in subject.parameters]
    panels = [_signal(subject, batch, found, j, t) for j in range(n_columns)]
    panels += [_state(found, i, t) for i in range(n_states)]
    left = subject.n_states - n_states
    return {
        "kind": "smoothed",
        "title": f"{subject.names[0]} and what is smoothed out of it",
        "description": "Lines are means given all rows, bands hold 95 %: of the signal, without the noise of a single "
        f"row, and below of the coordinates of z. {subject.shown_of(t)}"
        + (f" {left} more coordinates are not drawn." if left else "")
        + ("" if len(batch) == subject.source.n_rows else f" They are the first of sequence {group}, counted from 0."),
        "panels": panels,
    }


def _moments(model: Any, params: Any, batch: Batch) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean and standard deviation of the signal (n, p), and of z (n, q)."""
    mean, covariance = model.infer(params, batch)[0].moments
    density = model.family.log_density(batch, params.emission)
    loadings = np.broadcast_to(density.loadings, (len(batch), *density.loadings.shape[-2:]))
    variance = np.einsum("npq,nqr,npr->np", loadings, covariance, loadings)
    signal = density.offset + density.signal(mean)
    return signal, _root(variance), mean, _root(np.diagonal(covariance, axis1=1, axis2=2))


def _root(variance: FloatArray) -> FloatArray:
    """Standard deviations; a variance that rounding left below 0 counts as 0."""
    return np.sqrt(np.maximum(variance, 0.0))


def _signal(subject: Subject, batch: Batch, found: list[Any], column: int, t: int) -> dict[str, Any]:
    lines = _bands(found, 0, column, t)
    return {"name": subject.names[column], "series": rounded(batch.values[:t, column]), "bands": lines}


def _state(found: list[Any], coordinate: int, t: int) -> dict[str, Any]:
    return {"name": f"z[{coordinate}]", "series": None, "bands": _bands(found, 2, coordinate, t)}


def _bands(found: list[Any], which: int, column: int, t: int) -> dict[str, Any]:
    """(S, 2, t): the mean, and half the width of the band."""
    mean = np.stack([moments[which][:t, column] for moments in found])
    half = BAND * np.stack([moments[which + 1][:t, column] for moments in found])
    return {"mean": packed(mean), "half": packed(half, low=0.0)}
