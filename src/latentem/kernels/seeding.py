"""Where clusters may lie: k-means++ seeds and a few Lloyd steps on standardized points."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray

LLOYD_STEPS = 20
SOFTNESS = 0.1


def standardize(points: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Centre and scale (D,) of each column over its finite entries, by weights (n,); a constant column has scale 1."""
    seen = ~np.isnan(points)
    w = seen.astype(float)
    if weights is not None:
        seen &= weights[:, None] > 0
        w = np.where(seen, weights[:, None] / (weights.max() or 1.0), 0.0)
    mass = w.sum(axis=0)
    count = np.where(mass > 0, mass, 1.0)
    centre = (w * np.where(seen, points, 0.0)).sum(axis=0) / count
    deviation = np.abs(np.where(seen, points - centre, 0.0))
    largest = deviation.max(axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    scale = unit * np.sqrt((w * (deviation / unit) ** 2).sum(axis=0) / count)
    return centre, np.where(scale > 0, scale, 1.0)


def to_standard(points: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """Standardized points, missing entries at the centre."""
    return np.nan_to_num((points - centre) / scale, nan=0.0)


def kmeans_plus_plus(
    points: FloatArray, n_clusters: int, rng: np.random.Generator, weights: FloatArray | None = None
) -> FloatArray:
    """Seeds (K, D): each next one drawn with probability ∝ weight · squared distance to the nearest seed so far.

    Of 2 + log K candidates the one that lowers the total most is kept (Arthur and Vassilvitskii 2007, section 7).
    """
    w = np.ones(len(points)) if weights is None else weights
    seeds = [points[_draw(w, 1, rng)[0]]]
    nearest = _squared_distances(points, seeds[0][None])[0]
    for _ in range(1, n_clusters):
        candidates = points[_draw(w * nearest, 2 + int(np.log(n_clusters)), rng)]
        shrunk = np.minimum(nearest, _squared_distances(points, candidates))
        best = int(np.argmin(shrunk @ w))
        seeds.append(candidates[best])
        nearest = shrunk[best]
    return np.stack(seeds)


def lloyd(
    points: FloatArray, centres: FloatArray, weights: FloatArray | None = None, steps: int = LLOYD_STEPS
) -> tuple[FloatArray, float]:
    """Centres after at most `steps` rounds of k-means, and the weighted sum of squared distances to them."""
    w = np.ones(len(points)) if weights is None else weights
    inertia = np.inf
    for _ in range(steps):
        distances = _squared_distances(points, centres)
        labels = distances.argmin(axis=0)
        now = float(w @ distances[labels, np.arange(len(points))])
        if now >= inertia * (1 - 1e-4):
            return centres, now
        inertia = now
        centres = _cluster_means(points, labels, w, centres)
    return centres, inertia


def nearest_centre(points: FloatArray, centres: FloatArray) -> Array:
    """(n,) index of the nearest centre, the first of equals; by differences: squares cancel beside a far centre."""
    return np.asarray(_squared_distances(points, centres).argmin(axis=0))


def one_hot(labels: Array, n_states: int) -> FloatArray:
    """(K, n) with a one at each label."""
    return np.asarray(labels == np.arange(n_states)[:, None], dtype=float)


def soften(responsibilities: FloatArray) -> FloatArray:
    """A tenth of each column shared evenly: probabilities that hard labels make 0 could never rise again."""
    return (1 - SOFTNESS) * responsibilities + SOFTNESS / len(responsibilities)


def _cluster_means(points: FloatArray, labels: Array, weights: FloatArray, centres: FloatArray) -> FloatArray:
    r = one_hot(labels, len(centres)) * weights
    mass = r.sum(axis=1, keepdims=True)
    return np.where(mass > 0, (r @ points) / np.where(mass > 0, mass, 1.0), centres)


def _squared_distances(points: FloatArray, centres: FloatArray) -> FloatArray:
    """(K, n), by differences: points are standardized, so no product form is needed for accuracy or speed."""
    return np.stack([np.einsum("nd,nd->n", delta, delta) for delta in (points - centre for centre in centres)])


def _draw(weights: FloatArray, size: int, rng: np.random.Generator) -> Array:
    """Indices drawn ∝ weights; evenly where all weights are zero."""
    cumulative = np.cumsum(weights if weights.sum() > 0 else np.ones(len(weights)))
    return np.minimum(
        np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right"), len(weights) - 1
    )
