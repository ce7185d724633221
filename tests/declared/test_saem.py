"""Stochastic approximation EM against exact maximum likelihood."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from declared.normals import intercept_log_likelihood, random_intercept
from jax.scipy.stats import gamma, norm, poisson as jax_poisson
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, nbinom

import latentem as em
from latentem.data import ArraySource
from latentem.execution import Serial, Threads
from latentem.models.declared import prepare
from latentem.models.declared.m_steps.sufficient import Basis
from latentem.models.declared.saem import ChainSimulator, run_saem
from latentem.result import Status
from latentem.sources import as_source


@em.latent_variable_model(
    latent=em.Normal(),
    parameters={"mean": em.Real(3), "loadings": em.Real(3), "scales": em.Positive(3)},
    e_step="saem",
)
def one_factor(x, z, theta):
    return norm.logpdf(z) + norm.logpdf(x, theta.mean + theta.loadings * z, theta.scales).sum()


RANDOM_INTERCEPT = random_intercept("saem")


@em.latent_variable_model(
    latent=em.Continuous(0, np.inf), parameters={"shape": em.Positive(), "scale": em.Positive()}, e_step="saem"
)
def overdispersed(x, z, theta):
    return jax_poisson.logpmf(x, z) + gamma.logpdf(z, theta.shape, scale=theta.scale)


@em.latent_variable_model(
    latent={"class": em.Categorical(2), "u": em.Normal(2)},
    parameters={"weights": em.Simplex(2), "means": em.Real(2), "spread": em.Positive()},
    e_step="saem",
)
def mixed(x, z, theta):
    k = z["class"]
    prior = jnp.log(theta.weights[k]) + norm.logpdf(z.u, theta.means[k], theta.spread).sum()
    return prior + norm.logpdf(x, z.u, 0.5).sum()


def prepared(model, data, start, **columns):
    source = as_source(data, grouping=model.declaration.grouping, **columns)
    params = model.parameters(**start)
    return prepare(model, source, params), source, params


def fitted(model, data, start, *, seed=0, executor=None, weights=None, **options):
    columns = {} if weights is None else {"sample_weight": weights}
    ready, source, params = prepared(model, data, start, **columns)
    assert isinstance(ready.basis, Basis)
    return run_saem(ready, source, params, executor=executor or Serial(), random_state=seed, **options)


def distance(result, log_likelihood):
    """Loss of log-likelihood against the maximum, and the simulated log-likelihood's error in its standard errors."""
    found = minimize(lambda v: -log_likelihood(v), result.parameters.flatten(), method="BFGS")
    here = log_likelihood(result.parameters.flatten())
    standard_error = np.sqrt(result.expectation.statistics.variance)
    return -found.fun - here, (result.log_likelihood - here) / standard_error


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(2)
    return rng.normal(size=(150, 1)) * np.array([1, 0.8, 1.2]) + rng.normal(size=(150, 3)) * [0.6, 0.8, 0.7] + 1


START = {"mean": np.zeros(3), "loadings": np.full(3, 0.5), "scales": np.ones(3)}


def test_one_factor_ends_at_its_maximum(scores):
    result = fitted(one_factor, scores, START)

    def exact(v):
        mean, loadings, scales = v[:3], v[3:6], np.exp(v[6:])
        return multivariate_normal.logpdf(scores, mean, np.outer(loadings, loadings) + np.diag(scales**2)).sum()

    loss, errors = distance(result, exact)
    assert result.status is Status.STOCHASTIC
    assert loss < 4 * result.remaining_gain
    assert abs(errors) < 4
    assert {finding.code for finding in result.findings} == {"stochastic"}
    assert f"{result.log_likelihood:.2f}"[:-1] in result.findings[0].message


def test_groups_with_weights_end_at_their_maximum():
    rng = np.random.default_rng(7)
    subject = np.repeat(np.arange(50), rng.integers(2, 8, 50))
    y = 2 + 1.5 * rng.normal(size=50)[subject] + rng.normal(size=len(subject))
    weights = rng.integers(1, 3, 50).astype(float)
    order = rng.permutation(len(subject))
    data = {"subject": subject[order], "y": y[order]}
    start = {"mean": 0.0, "between": 1.0, "within": 2.0}
    result = fitted(RANDOM_INTERCEPT, data, start, weights=weights[subject][order], tol=0.05)

    def exact(v):
        return weights @ intercept_log_likelihood({"subject": subject, "y": y}, v[0], *np.exp(v[1:]))

    loss, errors = distance(result, exact)
    assert loss < 0.05
    assert abs(errors) < 4


def test_a_bounded_coordinate_ends_at_its_maximum():
    x = nbinom.rvs(2.5, 0.4, size=150, random_state=4).astype(float)
    result = fitted(overdispersed, x, {"shape": 1.0, "scale": 1.0}, tol=0.05)
    loss, errors = distance(result, lambda v: nbinom.logpmf(x, np.exp(v[0]), 1 / (1 + np.exp(v[1]))).sum())
    assert loss < 0.05
    assert abs(errors) < 4


def test_a_discrete_part_ends_at_its_maximum_and_known_states_stay():
    rng = np.random.default_rng(8)
    k = rng.integers(0, 2, 120)
    x = np.array([-1.0, 1.5])[k, None] + rng.normal(size=(120, 2)) * 0.9
    start = {"weights": [0.5, 0.5], "means": [-0.5, 0.5], "spread": 1.0}
    result = fitted(mixed, x, start, tol=0.1)

    def exact(v):
        params = result.parameters.unflatten(v)
        sd = np.sqrt(params.spread**2 + 0.25)
        parts = [np.log(w) - np.log(2 * np.pi * sd**2) - 0.5 * np.sum((x - m) ** 2, axis=1) / sd**2
                 for w, m in zip(params.weights, params.means, strict=True)]
        return np.logaddexp(*parts).sum()

    loss, errors = distance(result, exact)
    assert loss < 0.1
    assert abs(errors) < 4
    ready, source, params = prepared(mixed, x, start, labels=k)
    known = run_saem(ready, source, params, executor=Serial(), random_state=0, tol=0.1)
    assert known.parameters.weights == pytest.approx([np.mean(k == 0), np.mean(k == 1)], abs=1e-9)
    assert known.parameters.means == pytest.approx([x[k == 0].mean(), x[k == 1].mean()], abs=0.05)


def test_chains_have_the_posterior_for_their_distribution(scores):
    ready, source, params = prepared(one_factor, scores, {**START, "loadings": np.ones(3)})
    simulator, (batch,) = ChainSimulator(ready), list(source)
    state, draws = simulator.begin(params, batch), []
    for index in range(1, 401):
        state = simulator.simulate(params, state, index, batch).state
        draws.append(state.v[..., 0])
    drawn = np.array(draws).transpose(1, 0, 2).reshape(150, -1)
    exact = scores.sum(axis=1) / 4
    assert drawn.mean(axis=1) == pytest.approx(exact, abs=0.09)
    assert drawn.std(axis=1) == pytest.approx(np.full(150, 0.5), abs=0.08)
    assert drawn.mean(axis=1).mean() == pytest.approx(exact.mean(), abs=0.005)
    assert np.mean(drawn.std(axis=1)) == pytest.approx(0.5, abs=0.005)


def test_chains_go_from_one_mode_to_the_other():
    @em.latent_variable_model(latent=em.Normal(), parameters={"scale": em.Positive()}, e_step="saem")
    def squared(x, z, theta):
        return norm.logpdf(z) + norm.logpdf(x, z**2, theta.scale)

    ready, source, params = prepared(squared, np.full(50, 4.0), {"scale": 0.3})
    simulator, (batch,) = ChainSimulator(ready), list(source)
    state, draws = simulator.begin(params, batch), []
    for index in range(1, 101):
        state = simulator.simulate(params, state, index, batch).state
        draws.append(state.v[..., 0])
    assert np.mean(np.sign(draws)) == pytest.approx(0, abs=0.03)
    assert np.mean(np.abs(draws)) == pytest.approx(1.98, abs=0.03)


def test_executors_and_chunks_change_nothing(scores):
    ready, _, params = prepared(one_factor, scores, START)

    def of(executor, **options):
        source = ArraySource(scores, **options)
        return run_saem(ready, source, params, executor=executor, max_iter=25, random_state=3)

    serial, threads = of(Serial(), chunk_rows=40), of(Threads(2), chunk_rows=40)
    assert np.array_equal(serial.parameters.flatten(), threads.parameters.flatten())
    assert serial.log_likelihood == threads.log_likelihood
    assert of(Serial()).parameters.flatten() == pytest.approx(serial.parameters.flatten(), rel=1e-7)


def test_random_states_matter(scores):
    ready, source, params = prepared(one_factor, scores, START)
    fit = partial(run_saem, ready, source, params, executor=Serial(), max_iter=10)
    first = fit(random_state=0).parameters.flatten()
    assert np.array_equal(first, fit(random_state=0).parameters.flatten())
    assert not np.array_equal(first, fit(random_state=1).parameters.flatten())


def test_without_statistics_it_is_monte_carlo_em_and_says_so():
    parameters = {"scale": em.Positive(), "power": em.Positive()}

    @em.latent_variable_model(latent=em.Normal(), parameters=parameters, e_step="saem")
    def curved(x, z, theta):
        return norm.logpdf(z) + norm.logpdf(x, theta.scale * jnp.sign(z) * jnp.abs(z) ** theta.power, 0.5)

    rng = np.random.default_rng(9)
    x = 1.5 * rng.normal(size=60) + 0.5 * rng.normal(size=60)
    ready, source, params = prepared(curved, x, {"scale": 1.0, "power": 1.1})
    assert not isinstance(ready.basis, Basis)
    result = run_saem(ready, source, params, executor=Serial(), max_iter=15, random_state=0)
    codes = [finding.code for finding in result.findings]
    assert codes == ["saem", "stochastic"]
    assert "Monte Carlo EM instead" in result.findings[0].message
    assert result.log_likelihood > ready.e_step(params, next(iter(source))).log_likelihood
