"""Where an estimator's fits start: the peer's names for initializations, and k-means as scikit-learn runs it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from .._typing import FloatArray
from ..data import Source
from ..em import Executor
from ..fitting import as_generator
from ..kernels import seeding
from ..model import LatentVariableModel, ModelParameters
from ..models.starts import POOL_ROWS, Nearest, draw_pool, from_responsibilities, initial_parameters, is_discrete

NAMES = {"random_from_data": "random-rows"}
METHODS = frozenset({"kmeans", "k-means++", "random", "random_from_data", "small-em"})


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
    if len(pool) < k:
        return initial_parameters(model, source, init="random", rng=as_generator(random_state), executor=executor)
    centre, scale = seeding.standardize(pool.values)
    if not scale_free:
        centre, scale = np.zeros_like(centre), np.full_like(scale, _power_of_two(scale.max()))
    points = seeding.to_standard(pool.values, centre, scale)
    if pool.missing and not scale_free:
        points = np.where(pool.observed, points, seeding.standardize(pool.values)[0] / scale)
    seed = random_state
    if isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(2**31))
    centres = _centres(points, pool.weights, k, seed)
    rough = ModelParameters(model.latent.start(), model.family.start(pool, k))
    assign = Nearest(centres, centre, scale, per_group=False, soft=is_discrete(model.family))
    return from_responsibilities(model, source, assign, rough, executor)


def _centres(points: FloatArray, weights: FloatArray | None, k: int, seed: Any) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters: told as a finding of the fit
        fitted = KMeans(n_clusters=k, n_init=1, random_state=seed).fit(points, sample_weight=weights)
    return np.asarray(fitted.cluster_centers_)


def _power_of_two(scale: float) -> float:
    """The power of two next to a scale: dividing by it is exact and keeps squares in range."""
    return float(2.0 ** np.round(np.log2(scale)))
