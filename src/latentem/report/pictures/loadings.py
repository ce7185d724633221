"""Factor models: how each column loads on each factor, in standard deviations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from .subject import Subject

MOST_ROWS, MOST_FACTORS = 30, 8


def loadings(subject: Subject) -> dict[str, Any]:
    """Loadings in standard deviations of column and factor, and the share of each column that is noise."""
    found = [_standardized(params) for params in subject.parameters]
    table, noise = (np.stack([one[i] for one in found]) for i in (0, 1))
    rows = _ordered(table[-1])[:MOST_ROWS]
    left = "" if len(rows) == table.shape[1] else f" {len(rows)} of {table.shape[1]} columns are drawn."
    return {
        "kind": "loadings",
        "title": "Loadings of the columns on the factors",
        "description": "Loadings in standard deviations of column and factor, from −1 to 1: bars to the right are "
        f"positive, to the left negative. The last is the share of the column's variance that is noise.{left}",
        "rows": [subject.names[j] for j in rows],
        "factors": min(table.shape[2], MOST_FACTORS),
        "table": np.round(table[:, rows, :MOST_FACTORS], 3).tolist(),
        "noise": np.round(noise[:, rows], 3).tolist(),
    }


def _standardized(params: Any) -> tuple[FloatArray, FloatArray]:
    """(p, q) loadings and (p,) shares of noise."""
    emission, covariance = params.emission, params.latent.covariance
    noise = np.diagonal(emission.noise_matrix)
    common = np.einsum("pq,qr,pr->p", emission.loadings, covariance, emission.loadings)
    total = common + noise
    scale = np.sqrt(np.where(total > 0, total, 1.0))[:, None]
    return emission.loadings * np.sqrt(np.diagonal(covariance)) / scale, noise / np.where(total > 0, total, 1.0)


def _ordered(table: FloatArray) -> list[int]:
    """Rows by the factor that they load on most, and by how much, so that simple structure shows as blocks."""
    strongest = np.argmax(np.abs(table), axis=1)
    return [int(j) for j in np.lexsort((-np.abs(table).max(axis=1), strongest))]
