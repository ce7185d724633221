"""Where an estimator's fits start: the peer's names for initializations, and k-means as scikit-learn runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from .._typing import FloatArray
from ..data import Source
from ..em import Executor
from ..execution.blas import single_threaded_blas
from ..fitting import as_generator
from ..kernels import seeding
from ..model import LatentVariableModel, ModelParameters
from ..models.starts import POOL_ROWS, Nearest, draw_pool, from_responsibilities, initial_parameters, is_discrete
from .alone import one_at_a_time

NAMES = {"random_from_data": "random-rows"}
METHODS = frozenset({"kmeans", "k-means++", "random", "random_from_data", "small-em"})
# Squared distances by products are off by a few eps of the largest squared norm.
DISTINCT = 1e-7


def start_parameters(
    model: LatentVariableModel, source: Source, init: Any, random_state: Any, scale_free: bool, executor: Executor
) -> ModelParameters:
    """Parameters to start from.

    Parameters
    ----------
    init : one of METHODS, or array (n, K) of responsibilities
        "kmeans" is scikit-learn's `KMeans` with one start, on at most 20,000 rows drawn at random; each row then goes
        to its nearest centre.  The others are those of `models.starts.initial_parameters`.
    scale_free : bool
        Whether k-means works on standardized columns.
    """
    if isinstance(init, str) and init == "kmeans":
        return _kmeans(model, source, random_state, scale_free, executor)
    name = NAMES.get(init, init) if isinstance(init, str) else init
    return initial_parameters(model, source, init=name, rng=as_generator(random_state), executor=executor)


def rough_parameters(model: LatentVariableModel, source: Source) -> ModelParameters:
    """Even weights and components that are all alike: shapes and names for what is put in."""
    pool = draw_pool(source, np.random.default_rng(0), POOL_ROWS)
    return ModelParameters(model.latent.start(), model.family.start(pool, model.latent.n_states))


def _kmeans(
    model: LatentVariableModel, source: Source, random_state: Any, scale_free: bool, executor: Executor
) -> ModelParameters:
    rng = np.random.default_rng(0) if source.n_rows <= POOL_ROWS else as_generator(random_state)
    pool = draw_pool(source, rng, POOL_ROWS)
    k = model.latent.n_states
    if np.count_nonzero(pool.unit_weights(False)) < k:
        return initial_parameters(model, source, init="random", rng=as_generator(random_state), executor=executor)
    mean, scale = seeding.standardize(pool.values, pool.weights)
    origin = mean
    if not scale_free:
        origin, scale = np.zeros_like(mean), np.full_like(scale, _power_of_two(scale.max()))
    filled = np.where(pool.observed, pool.values, mean)
    centres = _centres(seeding.to_standard(filled, origin, scale), pool.unit_weights(False), k, random_state)
    rough = ModelParameters(model.latent.start(), model.family.start(pool, k))
    assign = Nearest(centres, origin, scale, per_group=False, soft=is_discrete(model.family), fill=mean)
    return from_responsibilities(model, source, assign, rough, executor)


def _centres(points: FloatArray, weights: FloatArray, k: int, random_state: Any) -> FloatArray:
    """Centres by scikit-learn's `KMeans`; by our own where it would warn that it cannot tell so many points apart."""
    points, weights = points[weights > 0], weights[weights > 0]
    if not _has_distinct(points, k):
        seeds = seeding.kmeans_plus_plus(points, k, as_generator(random_state), weights)
        return seeding.lloyd(points, seeds, weights)[0]
    seed = random_state
    if isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(2**31))
    with single_threaded_blas(), one_at_a_time:
        fitted = KMeans(n_clusters=k, n_init=1, random_state=seed).fit(points, sample_weight=weights)
    return np.asarray(fitted.cluster_centers_)


def _has_distinct(points: FloatArray, k: int) -> bool:
    """Whether there are k points further from each other than the rounding error of distances by products."""
    about = points - points.mean(axis=0)
    tolerance = DISTINCT * np.sqrt(np.einsum("nd,nd->n", about, about).max())
    for _ in range(k):
        if not len(about):
            return False
        about = about[np.abs(about - about[0]).max(axis=1) > tolerance]
    return True


def _power_of_two(scale: float) -> float:
    """The power of two next to a scale: dividing by it is exact and keeps squares in range."""
    return float(2.0 ** np.round(np.log2(scale)))
