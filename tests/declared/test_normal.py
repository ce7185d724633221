"""Normal latents, exact where the log joint is quadratic in z."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from declared.normals import (
    batch_of,
    check_fisher,
    check_fit,
    check_points,
    intercept_log_likelihood,
    log_likelihood,
    normal_average,
    ready,
)
from jax.scipy.stats import norm
from scipy import stats
from scipy.special import logsumexp

import latentem as em
from latentem.errors import DataError
from latentem.models.declared import DeclaredModel
from latentem.models.declared.e_steps.gaussian import Gaussian
from latentem.models.declared.e_steps.quadrature import Quadrature


def factor_model(p: int, d: int) -> DeclaredModel:
    @em.latent_variable_model(
        latent=em.Normal(d),
        parameters={"mean": em.Real(p), "loadings": em.Real(p, d), "noise": em.Positive(p)},
    )
    def factors(x, z, theta):
        return jnp.sum(norm.logpdf(z)) + jnp.sum(norm.logpdf(x, theta.mean + theta.loadings @ z, theta.noise))

    return factors


@pytest.fixture(scope="module")
def measured() -> np.ndarray:
    rng = np.random.default_rng(0)
    loadings = np.array([[1.0, 0.0], [0.8, 0.5], [0.3, -1.0], [0.0, 0.7], [-0.6, 0.4]])
    return rng.normal(size=(200, 2)) @ loadings.T + rng.normal(size=(200, 5)) * 0.5 + 3.0


def test_factor_analysis_has_the_multivariate_normal_density(measured: np.ndarray) -> None:
    model, rng = factor_model(5, 2), np.random.default_rng(1)
    batch = batch_of(model, measured)
    for scale in (1.0, 1e3):
        params = model.parameters(mean=rng.normal(size=5), loadings=scale * rng.normal(size=(5, 2)), noise=0.5)
        points = ready(model, params, batch).infer(params, batch)
        covariance = params.loadings @ params.loadings.T + 0.25 * np.eye(5)
        expected = stats.multivariate_normal.logpdf(measured, params.mean, covariance)
        np.testing.assert_allclose(points.log_likelihood, expected, rtol=1e-10 * scale)
        check_points(points, batch)


def test_points_have_the_moments_of_the_posterior(measured: np.ndarray) -> None:
    model, rng = factor_model(5, 2), np.random.default_rng(2)
    batch = batch_of(model, measured)
    params = model.parameters(mean=3.0, loadings=rng.normal(size=(5, 2)), noise=0.5)
    points = ready(model, params, batch).infer(params, batch)
    covariance = np.linalg.inv(np.eye(2) + params.loadings.T @ params.loadings / 0.25)
    mean = (measured - 3.0) @ params.loadings @ covariance / 0.25
    row = points.rows == 7
    weights, u = points.weights[0, row], points.u[row]
    np.testing.assert_allclose(weights @ u, mean[7], rtol=1e-12)
    second = covariance + np.outer(mean[7], mean[7])
    np.testing.assert_allclose(np.einsum("m,mi,mj->ij", weights, u, u), second, rtol=1e-12)
    check_fisher(model, params, batch)


def test_factor_analysis_fits(measured: np.ndarray) -> None:
    model = factor_model(5, 2)
    given = {"mean": 0.0, "noise": 1.0}
    result = em.fit(model, measured, parameters=given, random_state=0, tol=1e-3, acceleration="squarem")
    check_fit(result, measured, score=0.2)
    assert isinstance(result.model.estep, Gaussian)
    covariance = result.parameters.loadings @ result.parameters.loadings.T + np.diag(result.parameters.noise**2)
    expected = stats.multivariate_normal.logpdf(measured, result.parameters.mean, covariance).sum()
    assert result.log_likelihood == pytest.approx(expected, rel=1e-11)
    np.testing.assert_allclose(result.parameters.mean, measured.mean(axis=0), atol=1e-3)


@pytest.fixture(scope="module")
def ragged() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(60), rng.integers(1, 9, size=60))
    return {"y": 2.0 + rng.normal(size=60)[subject] + 0.7 * rng.normal(size=len(subject)), "subject": subject}


def random_intercept() -> DeclaredModel:
    return em.latent_variable_model(
        latent=em.Normal(),
        parameters={"mean": em.Real(), "between": em.Positive(), "within": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z, 0.0, theta.between),
        log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.mean + z, theta.within),
        group="subject",
        name="random_intercept",
    )


@pytest.mark.parametrize("between", [1e-4, 0.3, 1.0, 30.0])
def test_ragged_random_intercept_has_the_marginal_normal_density(ragged: Any, between: float) -> None:
    model = random_intercept()
    batch = batch_of(model, ragged)
    params = model.parameters(mean=1.5, between=between, within=0.5)
    points = ready(model, params, batch).infer(params, batch)
    np.testing.assert_allclose(
        points.log_likelihood, intercept_log_likelihood(ragged, 1.5, between, 0.5), rtol=1e-10
    )
    check_points(points, batch, per_group=True)
    if between == 1.0:
        check_fisher(model, params, batch)


def test_random_intercept_fits(ragged: Any) -> None:
    model = random_intercept()
    start = model.parameters(mean=0.0, between=1.0, within=1.0)
    result = em.fit(model, ragged, parameters=start, tol=1e-8)
    check_fit(result, ragged)
    found = result.parameters
    expected = intercept_log_likelihood(ragged, float(found.mean), float(found.between), float(found.within)).sum()
    assert result.log_likelihood == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("start", [(20.0, 10.0, 10.0), (-50.0, 100.0, 0.05), (300.0, 0.01, 1.0)])
def test_random_intercept_rises_from_afar(ragged: Any, start: tuple[float, float, float]) -> None:
    """EM is slow there, as it has to be; what it must not do is fall."""
    model = random_intercept()
    mean, between, within = start
    first = model.parameters(mean=mean, between=between, within=within)
    result = em.fit(model, ragged, parameters=first, max_iter=40)
    objectives = np.array([objective for _, objective in result.history])
    assert np.all(np.diff(objectives) > 0)


def mixture_of_factors() -> DeclaredModel:
    @em.latent_variable_model(
        latent={"k": em.Categorical(2), "u": em.Normal()},
        parameters={
            "weights": em.Simplex(2),
            "means": em.Real(2, 3),
            "loadings": em.Real(2, 3),
            "noise": em.Positive(),
        },
    )
    def factors(x, z, theta):
        at = theta.means[z.k] + theta.loadings[z.k] * z.u
        return jnp.log(theta.weights[z.k]) + norm.logpdf(z.u) + jnp.sum(norm.logpdf(x, at, theta.noise))

    return factors


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    k, u = rng.integers(2, size=150), rng.normal(size=(150, 1))
    means, loadings = np.array([[0.0, 0, 0], [3, -2, 1]]), np.array([[1.0, 1, 0], [0, 1, -1]])
    return means[k] + loadings[k] * u + 0.5 * rng.normal(size=(150, 3)), k


def test_mixture_of_factor_models_has_its_closed_form(clustered: Any) -> None:
    (x, k), model = clustered, mixture_of_factors()
    params = model.parameters(
        weights=[0.3, 0.7], means=[[0, 0, 0], [3, -2, 1]], loadings=[[1, 1, 0.2], [0, 1, -1]], noise=0.6
    )
    parts = np.array(
        [
            np.log(params.weights[j])
            + stats.multivariate_normal.logpdf(
                x, params.means[j], np.outer(params.loadings[j], params.loadings[j]) + 0.36 * np.eye(3)
            )
            for j in range(2)
        ]
    )
    batch = batch_of(model, x)
    points = ready(model, params, batch).infer(params, batch)
    np.testing.assert_allclose(points.log_likelihood, logsumexp(parts, axis=0), rtol=1e-11)
    by_state = np.array([np.bincount(points.rows, weights, len(x)) for weights in points.weights])
    np.testing.assert_allclose(by_state, np.exp(parts - logsumexp(parts, axis=0)), atol=1e-12)
    check_points(points, batch)
    check_fisher(model, params, batch)
    known = np.where(np.arange(150) % 3 == 0, k, -1)
    expected = np.where(known >= 0, parts[np.maximum(known, 0), np.arange(150)], logsumexp(parts, axis=0))
    np.testing.assert_allclose(log_likelihood(model, params, batch_of(model, x, labels=known)), expected, rtol=1e-11)


def test_mixture_of_factor_models_fits(clustered: Any) -> None:
    result = em.fit(mixture_of_factors(), clustered[0], random_state=1, tol=1e-4)
    check_fit(result, clustered[0], score=0.2)


def test_a_density_that_is_not_integrable_names_its_row() -> None:
    @em.latent_variable_model(latent=em.Normal(2), parameters={"mean": em.Real()})
    def forgotten(x, z, theta):
        return norm.logpdf(x, theta.mean + z[0] + z[1], 1.0)

    with pytest.raises(DataError, match="row 0: the integral of the joint density over z is infinite"):
        em.fit(forgotten, np.arange(5.0), parameters={"mean": 0.0})


def test_data_far_from_zero_are_exact_up_to_rounding() -> None:
    @em.latent_variable_model(latent=em.Normal(), parameters={"mean": em.Real(), "scale": em.Positive()})
    def shifted(x, z, theta):
        return norm.logpdf(z, theta.mean, theta.scale) + norm.logpdf(x, z, 1e-3)

    x = 1e6 + 1e-3 * np.random.default_rng(7).normal(size=20)
    batch, params = batch_of(shifted, x), shifted.parameters(mean=1e6, scale=1e-2)
    prepared = ready(shifted, params, batch)
    assert isinstance(prepared.estep, Gaussian)
    points = prepared.infer(params, batch)
    np.testing.assert_allclose(points.log_likelihood, stats.norm.logpdf(x, 1e6, np.hypot(1e-2, 1e-3)), rtol=1e-6)
    assert points.noise == 0.0


def test_rows_of_which_some_are_not_quadratic_are_integrated_all_the_same() -> None:
    """A pool of censored rows or a parameter of 0 hide what is not quadratic; the E-step sees it."""

    @em.latent_variable_model(latent=em.Normal(), parameters={"curve": em.Real()})
    def bent(x, z, theta):
        return norm.logpdf(z) + norm.logpdf(x, z + theta.curve * z**2, 1.0)

    x = np.array([-1.0, 0.5, 2.0])
    batch, flat, curved = batch_of(bent, x), bent.parameters(curve=0.0), bent.parameters(curve=0.3)
    assert isinstance(ready(bent, flat, batch).estep, Quadrature)
    forced = DeclaredModel(bent.declaration, Gaussian())
    expected = [normal_average(lambda z, v=v: stats.norm.logpdf(v, z + 0.3 * z**2), [-4.0, 0.0, 1.0]) for v in x]
    points = forced.infer(curved, batch)
    error = np.abs(points.log_likelihood - expected).sum()
    assert error < 1e-5
    assert error < 10 * points.noise
    assert isinstance(forced.refined(curved, batch).estep, Quadrature)
