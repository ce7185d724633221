"""The laws of Normal × a linear Gaussian family: its E-step is the algebra of one joint normal distribution."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import multivariate_normal

from .._typing import FloatArray
from ..data import Batch
from ..families.linear_gaussian_parameters import LinearGaussianParameters
from ..kernels.derivatives import gradient
from ..latents.normal import NormalParameters
from ..model import LatentVariableModel, ModelParameters
from ..statistics import Expectation, arrays_of
from .comparing import close, magnitudes_of, mean_is, require, same
from .drawing import fresh, take
from .parameters import check_parameters


def check_normal_model(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> None:
    """Independent rows, each with a vector z of its own, against dense Gaussian algebra; EM's laws; samples.

    Posterior moments and expected statistics are those of the joint normal distribution of (x, z) given what is
    observed of x; the log-likelihood is SciPy's multivariate normal density; the score is the gradient of the
    log-likelihood (Fisher) and vanishes at an M-step; statistics add; a weight of 2 is the row twice; an EM step does
    not lower the objective; the mean score of own samples is zero.

    Parameters
    ----------
    model : LatentVariableModel
        `Normal` joined with `LinearGaussian`; all variances above zero.
    params : ModelParameters
    batch : Batch
        Some rows, with weights, perhaps with missing entries and covariates.

    Raises
    ------
    AssertionError
    """
    name = f"{type(model.latent).__name__} x {type(model.family).__name__}"
    check_parameters(params)
    expectation = model.e_step(params, fresh(batch))
    _law_dense(model, params, batch, expectation, name)
    _law_fisher(model, params, batch, expectation, name)
    _law_m_step(model, params, expectation, name)
    _law_sums(model, params, batch, expectation, name)
    after = model.e_step(updated := model.m_step(expectation.statistics, params), fresh(batch)).log_likelihood
    slack = 1e-11 * (1 + expectation.magnitude)
    require(
        after + model.log_prior(updated) >= expectation.log_likelihood + model.log_prior(params) - slack,
        f"{name}: the log-likelihood falls at an EM step, from {expectation.log_likelihood!r} to {after!r}",
    )
    if batch.covariates is None:
        _law_samples_have_the_score(model, params, name)


def _law_dense(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    latent, emission = params.latent, params.emission
    posterior, log_likelihood = model.infer(params, fresh(batch))
    mean, covariance = posterior.moments
    covariance = np.broadcast_to(covariance, (len(batch), *covariance.shape[1:]))
    weights, q = batch.unit_weights(per_group=False), len(latent.mean)
    gram, cross, square, count = 0.0, 0.0, 0.0, 0.0
    for n, weight in enumerate(weights):
        known = np.append(1.0, [] if batch.covariates is None else batch.covariates[n])
        about, spread, log = _given_observed(latent, emission, batch.values[n], known)
        close(log_likelihood[n], log, 1e-10 * (1 + abs(log)), f"{name}: log-likelihood of row {n}")
        close(mean[n], about[-q:], 1e-9 * (1 + np.abs(about[-q:])), f"{name}: posterior mean of row {n}")
        close(covariance[n], spread[-q:, -q:], 1e-9, f"{name}: posterior covariance of row {n}")
        if np.isnan(batch.values[n]).all():
            continue  # says nothing of x given z
        y, w = about[:-q] - emission.offset, np.append(known, about[-q:])
        inner = np.zeros((len(w), len(w)))
        inner[-q:, -q:] = spread[-q:, -q:]
        gram = gram + weight * (np.outer(w, w) + inner)
        across = np.concatenate([np.zeros((len(y), len(known))), spread[:-q, -q:]], axis=1)
        cross = cross + weight * (np.outer(y, w) + across)
        squares = np.outer(y, y) + spread[:-q, :-q]
        square = square + weight * (squares if emission.noise.ndim == 2 else np.diagonal(squares))
        count += weight
    statistics = expectation.statistics.emission
    for got, expected, what in (
        (statistics.count, count, "Σ w"),
        (statistics.gram, gram, "Σ w E[w wᵀ]"),
        (statistics.cross, cross, "Σ w E[y wᵀ]"),
        (statistics.square, square, "Σ w E[y yᵀ]"),
    ):
        close(got, np.asarray(expected), 1e-9 * (1 + np.abs(expected)), f"{name}: {what} by dense algebra")


def _given_observed(
    latent: NormalParameters, emission: LinearGaussianParameters, x: FloatArray, known: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Mean and covariance of (x, z) given what is observed of x, and the log density of that."""
    loadings, across = emission.loadings, emission.loadings @ latent.covariance
    whole = np.block([[across @ loadings.T + emission.noise_matrix, across], [across.T, latent.covariance]])
    centre = emission.offset + emission.inputs @ known[1:] + loadings @ latent.mean
    mean = np.concatenate([centre, latent.mean])
    seen = np.concatenate([~np.isnan(x), np.zeros(len(latent.mean), bool)])
    if not seen.any():
        return mean, whole, 0.0
    block, deviation = whole[np.ix_(seen, seen)], x[seen[: len(x)]] - mean[seen]
    gain = whole[:, seen] @ np.linalg.inv(block)
    log = multivariate_normal(np.zeros(len(deviation)), block).logpdf(deviation)
    return mean + gain @ deviation, whole - gain @ whole[seen], float(log)


def _law_fisher(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    def log_likelihood(vector: FloatArray) -> float:
        return model.e_step(params.unflatten(vector), fresh(batch)).log_likelihood

    numeric = gradient(log_likelihood, params.flatten())
    score = model.score(expectation.statistics, params)
    bound = 1e-6 * (1 + expectation.magnitude)
    close(score, numeric, bound, f"{name}: the score of Q is the gradient of the log-likelihood (Fisher's identity)")


def _law_m_step(model: LatentVariableModel, params: ModelParameters, expectation: Expectation, name: str) -> None:
    statistics, slack = expectation.statistics, 1e-11 * (1 + expectation.magnitude)
    for part, own, now in (
        (model.latent, statistics.latent, params.latent),
        (model.family, statistics.emission, params.emission),
    ):
        updated = part.maximize(own, now).check()
        q = [part.expected_log_density(own, at) for at in (now, updated)]
        require(q[1] >= q[0] - slack, f"{name}: Q falls at an M-step, from {q[0]!r} to {q[1]!r}")
        score = part.score(own, updated)
        bound = 1e-8 * (1 + expectation.magnitude)
        close(score, 0 * score, bound, f"{name}: the score of Q vanishes at an M-step")
        numeric = gradient(partial(_q, part, own, now), now.flatten())
        close(part.score(own, now), numeric, bound * 100, f"{name}: the score is the gradient of Q")
        nothing = part.maximize(own * 0.0, now)
        for label, value in nothing.arrays().items():
            close(value, now.arrays()[label], 0.0, f"{name}: without data {label} stays as it was")


def _q(part: Any, statistics: Any, template: Any, vector: FloatArray) -> float:
    return float(part.expected_log_density(statistics, template.unflatten(vector)))


def _law_sums(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    weights, parts = batch.unit_weights(per_group=False), []
    for n in range(len(batch)):
        row = replace(take(replace(batch, covariates=None), n, n + 1, False), weights=None)
        covariates = None if batch.covariates is None else batch.covariates[n : n + 1]
        parts.append(model.e_step(params, replace(row, covariates=covariates, missing=batch.missing)))
    added = parts[0] * float(weights[0])
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        added = added + part * float(weight)
    bound = magnitudes_of([(part * float(w)).statistics for part, w in zip(parts, weights, strict=True)])
    law = f"{name}: statistics add over rows, each as often as its weight says"
    same(expectation.statistics, added.statistics, bound, 1e-11, law)
    require(len(arrays_of(added.statistics)) == len(bound), law)
    close(expectation.log_likelihood, added.log_likelihood, 1e-12 * (1 + expectation.magnitude), law)


def _law_samples_have_the_score(model: LatentVariableModel, params: ModelParameters, name: str) -> None:
    """E[∇ log p(x; θ)] = 0 at the θ that x was drawn from."""
    rng, scores = np.random.default_rng(3), []
    for _ in range(40):
        drawn = Batch(model.sample(params, np.zeros(80, int), rng))
        scores.append(model.score(model.e_step(params, drawn).statistics, params))
    mean_is(np.array(scores), 0.0, f"{name}: the mean score of its own samples is zero")
