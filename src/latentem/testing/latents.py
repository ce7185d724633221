"""The laws of a latent."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..model import Latent, Posterior
from .comparing import close, mean_is, require
from .drawing import GROUP_LENGTH, certain, design, one_hot, take
from .parameters import check_parameters


def check_latent(latent: Latent[Any, Any], params: Any, *, n_covariates: int = 0, seed: int = 0) -> None:
    """The laws of a `Latent`: posteriors by enumeration, statistics, M-step, prior, samples.

    Parameters
    ----------
    latent : Latent
    params : Parameters
        Inside their domain.
    n_covariates : int
        How many columns of covariates it wants.
    seed : int

    Raises
    ------
    AssertionError
    """
    name, k = type(latent).__name__, latent.n_states
    check_parameters(params)
    rng = np.random.default_rng(seed)
    log_density = rng.normal(size=(k, 6))
    batch = replace(design(6, rng, n_covariates), offsets=np.array([0, 2, 6]))
    posterior, log_likelihood = latent.posterior(log_density.copy(), batch, params)
    expected = [
        _enumerated(latent, params, log_density[:, a:b], take(batch, g, g + 1, True))
        for g, (a, b) in enumerate(((0, 2), (2, 6)))
    ]
    close(posterior.probabilities, np.hstack([e[0] for e in expected]), 1e-12, f"{name}: posterior by enumeration")
    total = sum(e[1] for e in expected)
    close(log_likelihood.sum(), total, 1e-12 * (1 + abs(total)), f"{name}: log-likelihood by enumeration")
    statistics = latent.statistics(posterior, batch)
    _laws_of_latent_m_step(latent, params, statistics, name)
    _law_states_have_the_score(latent, params, name, n_covariates)
    given = replace(design(9, rng, n_covariates), offsets=np.array([0, 3, 4, 9]))
    sample = latent.sample_given(params, given, rng)
    require(sample.shape == (9,) and sample.min() >= 0 and sample.max() < k, f"{name}: sample gives states of all rows")
    start = latent.start().check()
    require(start.n_free == params.n_free, f"{name}: start has {start.n_free} free parameters, not {params.n_free}")


def _laws_of_latent_m_step(latent: Latent[Any, Any], params: Any, statistics: Any, name: str) -> None:
    updated = latent.maximize(statistics, params).check()
    q = [latent.expected_log_density(statistics, p) for p in (params, updated)]
    require(q[1] >= q[0] - 1e-12, f"{name}: Q falls at an M-step, from {q[0]!r} to {q[1]!r}")
    score = latent.score(statistics, updated)
    close(score, 0 * score, 1e-8, f"{name}: the score of Q vanishes at an M-step")
    with_prior = statistics + latent.pseudo_statistics(2.0)
    q = [latent.expected_log_density(with_prior, p) for p in (updated, latent.maximize(with_prior, updated))]
    require(q[1] >= q[0] - 1e-12, f"{name}: Q with the prior falls at an M-step, from {q[0]!r} to {q[1]!r}")
    nothing = latent.maximize(statistics * 0.0, params)
    for label, value in nothing.arrays().items():
        close(value, params.arrays()[label], 1e-15, f"{name}: without data {label} stays as it was")


def _law_states_have_the_score(latent: Latent[Any, Any], params: Any, name: str, n_covariates: int) -> None:
    rng, scores = np.random.default_rng(5), []
    lengths = np.full(60, GROUP_LENGTH)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for _ in range(40):
        batch = replace(design(int(lengths.sum()), rng, n_covariates), offsets=offsets)
        known = certain(latent.sample_given(params, batch, rng), latent.n_states)
        posterior, _ = latent.posterior(known, batch, params)
        scores.append(latent.score(latent.statistics(posterior, batch), params))
    mean_is(np.array(scores), 0.0, f"{name}: the mean score of its own samples is zero")


def _enumerated(
    latent: Latent[Any, Any], params: Any, log_density: FloatArray, batch: Batch
) -> tuple[FloatArray, float]:
    """Posterior and log-likelihood of one group by enumeration of all paths."""
    k, n = log_density.shape
    paths = [np.array(path) for path in product(range(k), repeat=n)]
    priors = [log_path(latent, params, path, batch)[1] for path in paths]
    logs = np.array([log + log_density[path, np.arange(n)].sum() for log, path in zip(priors, paths, strict=True)])
    total = float(np.logaddexp.reduce(logs))
    probabilities = sum(np.exp(log - total) * one_hot(path, k) for log, path in zip(logs, paths, strict=True))
    return np.asarray(probabilities), total


def log_path(
    latent: Latent[Any, Any], params: Any, path: Array, batch: Batch | None = None
) -> tuple[Posterior, float]:
    """The posterior that is certain of a path of one group, and log p(path; θ)."""
    batch = Batch(np.zeros((len(path), 1))) if batch is None else batch
    with np.errstate(invalid="ignore"):
        posterior, log_likelihood = latent.posterior(certain(path, latent.n_states), batch, params)
    return posterior, float(np.sum(log_likelihood))
