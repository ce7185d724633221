"""Normal latents, by adaptive quadrature where the log joint is not quadratic in z."""

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
    log_bernoulli,
    log_likelihood,
    normal_average,
    ready,
)
from jax.scipy.stats import norm, poisson, t as student
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, log_expit, logsumexp

import latentem as em
from latentem.errors import DataError
from latentem.models.declared import DeclaredModel
from latentem.models.declared.e_steps.monte_carlo import MonteCarlo
from latentem.models.declared.e_steps.quadrature import Quadrature


def logit_intercept() -> DeclaredModel:
    return em.latent_variable_model(
        latent=em.Normal(),
        parameters={"mean": em.Real(), "scale": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z),
        log_emission=lambda x, z, theta: log_bernoulli(x["y"], theta.mean + theta.scale * z),
        group="g",
        name="logit_intercept",
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(120), rng.integers(1, 8, size=120))
    return {"y": rng.binomial(1, expit(0.4 + 1.5 * rng.normal(size=120)[g])), "g": g}


@pytest.mark.parametrize("scale", [0.05, 0.7, 3.0, 20.0])
def test_logit_with_few_rows_equals_adaptive_integration(answers: Any, scale: float) -> None:
    model = logit_intercept()
    batch = batch_of(model, answers)
    params = model.parameters(mean=0.4, scale=scale)
    prepared = ready(model, params, batch)
    assert isinstance(prepared.estep, Quadrature)
    points = prepared.infer(params, batch)
    successes, sizes = np.add.reduceat(answers["y"], batch.group_offsets[:-1]), batch.group_lengths
    known: dict[tuple[int, int], float] = {}
    for s, n in set(zip(successes.tolist(), sizes.tolist(), strict=True)):
        known[s, n] = normal_average(
            lambda z, s=s, n=n: s * log_expit(0.4 + scale * z) + (n - s) * log_expit(-0.4 - scale * z),
            [-0.4 / scale, (2 - 0.4) / scale, (-2 - 0.4) / scale],
        )
    expected = [known[pair] for pair in zip(successes.tolist(), sizes.tolist(), strict=True)]
    np.testing.assert_allclose(points.log_likelihood, expected, atol=1e-9)
    check_points(points, batch, per_group=True)
    assert points.noise < 1e-7
    if scale == 3.0:
        check_fisher(model, params, batch)


ONE_DIMENSIONAL = {
    "probit": (
        lambda x, z, theta: norm.logpdf(z) + norm.logcdf((2 * x - 1) * (1.0 + theta.a * z)),
        lambda x, z, a: stats.norm.logcdf((2 * x - 1) * (1.0 + a * z)),
        (0.0, 1.0),
        (0.5, 5.0, 50.0),
    ),
    "Poisson": (
        lambda x, z, theta: norm.logpdf(z) + poisson.logpmf(x, jnp.exp(1.0 + theta.a * z)),
        lambda x, z, a: stats.poisson.logpmf(x, np.exp(1.0 + a * z)),
        (0.0, 3.0, 30.0),
        (0.3, 2.0),
    ),
    "Student-t": (
        lambda x, z, theta: norm.logpdf(z) + student.logpdf(x, 2.0, z, theta.a),
        lambda x, z, a: stats.t.logpdf(x, 2.0, z, a),
        (0.0, 2.0, 6.0, 1e3),
        (0.1, 1.0),
    ),
    "sign-free": (
        lambda x, z, theta: norm.logpdf(z) + norm.logpdf(x, z**2, theta.a),
        lambda x, z, a: stats.norm.logpdf(x, z**2, a),
        (-1.0, 0.3, 4.0, 9.0),
        (0.1, 1.0),
    ),
}


@pytest.mark.parametrize("name", ONE_DIMENSIONAL)
def test_skewed_heavy_tailed_and_bimodal_posteriors_equal_adaptive_integration(name: str) -> None:
    density, log_emission, x, settings = ONE_DIMENSIONAL[name]
    model = em.latent_variable_model(density, latent=em.Normal(), parameters={"a": em.Positive()}, name=name)
    batch = batch_of(model, np.array(x))
    breaks = [-3.0, -2.0, -1.0, -0.2, 0.0, 0.2, 1.0, 2.0, 3.0, 5.5, 6.0, 6.5]
    for a in settings:
        params = model.parameters(a=a)
        expected = [normal_average(lambda z, v=v, a=a: log_emission(v, z, a), breaks) for v in x]
        np.testing.assert_allclose(log_likelihood(model, params, batch), expected, atol=1e-8, err_msg=f"a = {a}")
        check_fisher(model, params, batch)


def test_a_heavy_tailed_prior_is_followed_into_its_tails() -> None:
    @em.latent_variable_model(latent=em.Normal(), parameters={"a": em.Real()})
    def heavy(x, z, theta):
        return student.logpdf(z, 3.0) + log_bernoulli(x, theta.a + 2 * z)

    expected = [
        np.log(
            sum(
                quad(lambda z, s=s: stats.t.pdf(z, 3.0) * expit(s * (1 + 2 * z)), *ends, epsabs=0, epsrel=1e-12)[0]
                for ends in ((-np.inf, -3), (-3, 0), (0, 3), (3, np.inf))
            )
        )
        for s in (-1, 1)
    ]
    batch = batch_of(heavy, np.array([0.0, 1.0]))
    np.testing.assert_allclose(log_likelihood(heavy, heavy.parameters(a=1.0), batch), expected, atol=1e-8)


def random_slopes() -> DeclaredModel:
    return em.latent_variable_model(
        latent=em.Normal(2),
        parameters={"mean": em.Real(2), "factor": em.LowerTriangular(2)},
        log_latent=lambda z, theta: jnp.sum(norm.logpdf(z)),
        log_emission=lambda x, z, theta: log_bernoulli(
            x["y"], jnp.stack([1.0, x["t"]]) @ (theta.mean + theta.factor @ z)
        ),
        group="g",
        name="random_slopes",
    )


@pytest.fixture(scope="module")
def courses() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    g, t = np.repeat(np.arange(50), 6), np.tile(np.linspace(-1, 1, 6), 50)
    z = rng.normal(size=(50, 2))[g]
    return {"y": rng.binomial(1, expit(0.3 + z[:, 0] + (1 + z[:, 1]) * t)), "t": t, "g": g}


def test_two_dimensional_random_effects_equal_a_dense_grid(courses: Any) -> None:
    model = random_slopes()
    batch = batch_of(model, courses)
    params = model.parameters(mean=[0.3, 1.0], factor=[[1.2, 0.0], [0.4, 0.8]])
    prepared = ready(model, params, batch)
    points = prepared.infer(params, batch)
    t = np.linspace(-8, 8, 161)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(t, t)], axis=1)
    effects = params.mean + grid @ params.factor.T
    signed = (2 * courses["y"] - 1) * (effects[:, :1] + effects[:, 1:] * courses["t"])
    joint = np.add.reduceat(log_expit(signed), batch.group_offsets[:-1], axis=1)
    prior = stats.norm.logpdf(grid).sum(axis=1)[:, None] + 2 * np.log(t[1] - t[0])
    np.testing.assert_allclose(points.log_likelihood, logsumexp(joint + prior, axis=0), atol=1e-8)
    check_points(points, batch, per_group=True)
    check_fisher(model, params, batch)


def test_random_effects_fit(courses: Any, answers: Any) -> None:
    slopes = em.fit(random_slopes(), courses, parameters={"mean": 0.0, "factor": np.eye(2)}, tol=1e-3)
    check_fit(slopes, courses, score=0.1)
    model = logit_intercept()
    ends = [
        em.fit(model, answers, parameters=model.parameters(mean=mean, scale=scale), tol=1e-5)
        for mean, scale in ((0.0, 1.0), (6.0, 30.0))
    ]
    for result in ends:
        check_fit(result, answers, score=0.05)
        check_fisher(model, result.parameters, batch_of(model, answers))
    assert ends[0].log_likelihood == pytest.approx(ends[1].log_likelihood, abs=1e-4)


def test_three_dimensions_and_states_beside_them() -> None:
    @em.latent_variable_model(
        latent=(em.Categorical(2), em.Normal(3)), parameters={"a": em.Real(2, 3), "weights": em.Simplex(2)}
    )
    def mixed(x, z, theta):
        k, u = z
        return jnp.log(theta.weights[k]) + jnp.sum(norm.logpdf(u)) + jnp.sum(log_bernoulli(x, theta.a[k] + u))

    params = mixed.parameters(a=[[0.0, 1.0, -1.0], [1.0, 1.0, 1.0]], weights=[0.4, 0.6])
    x = np.array([[0.0, 0, 1], [1, 1, 1]])
    single = {a: normal_average(lambda z, a=a: log_expit(a + z), [-1.0, 0.0, 1.0]) for a in (-1.0, 0.0, 1.0)}

    def log_probability(y: float, a: float) -> float:
        return single[a] if y else float(np.log1p(-np.exp(single[a])))

    parts = [
        [np.log(w) + sum(log_probability(y, a) for y, a in zip(row, means, strict=True)) for row in x]
        for w, means in zip(params.weights, params.a, strict=True)
    ]
    batch = batch_of(mixed, x)
    np.testing.assert_allclose(log_likelihood(mixed, params, batch), logsumexp(parts, axis=0), atol=1e-8)
    known = batch_of(mixed, x, labels=[1, 0])
    np.testing.assert_allclose(log_likelihood(mixed, params, known), [parts[1][0], parts[0][1]], atol=1e-8)
    check_fisher(mixed, params, batch)


def test_the_error_is_estimated_and_more_nodes_are_taken_where_it_is_large(answers: Any) -> None:
    model = logit_intercept()
    batch, params = batch_of(model, answers), model.parameters(mean=0.4, scale=2.0)
    exact = log_likelihood(model, params, batch)
    for count in (7, 11, 15, 21):
        coarse = DeclaredModel(model.declaration, Quadrature(count))
        points = coarse.infer(params, batch)
        error = np.abs(points.log_likelihood - exact).sum()
        assert 0.1 * error <= points.noise
        assert coarse.refined(params, batch).estep.count > count
    assert ready(model, params, batch).refined(params, batch) is None
    assert "nodes" in ready(model, params, batch).estep.approximation


def test_a_posterior_too_rough_for_quadrature_is_said_to_be() -> None:
    """z is all but confined to a circle: no frame of two axes fits it, and other nodes find another likelihood."""

    @em.latent_variable_model(latent=em.Normal(2), parameters={"scale": em.Positive()})
    def ring(x, z, theta):
        return jnp.sum(norm.logpdf(z)) + norm.logpdf(x, jnp.sum(z**2), theta.scale)

    batch, params = batch_of(ring, np.array([6.0])), ring.parameters(scale=0.3)
    assert isinstance(ready(ring, params, batch).estep, MonteCarlo)
    fixed = DeclaredModel(ring.declaration, Quadrature(91))
    points = fixed.infer(params, batch)
    exact = quad(lambda w: 0.5 * np.exp(-w / 2) * stats.norm.pdf(6.0, w, 0.3), 0, 20, points=[6.0], epsabs=0)[0]
    assert 0.1 < abs(points.log_likelihood[0] - np.log(exact)) < 1.0
    assert points.noise > 0.01
    assert isinstance(fixed.refined(params, batch).estep, MonteCarlo)
    assert "that at row 0: the posterior of z is too rough" in fixed.shortcomings(params, batch)


def test_a_second_mode_is_looked_for_where_a_fit_ends() -> None:
    density = ONE_DIMENSIONAL["sign-free"][0]
    model = em.latent_variable_model(density, latent=em.Normal(), parameters={"a": em.Positive()}, name="sign_free")
    batch, params = batch_of(model, np.array([4.0])), model.parameters(a=0.1)
    blind = DeclaredModel(model.declaration, Quadrature(61, two_modes=False))
    both = blind.refined(params, batch)
    assert both.estep.two_modes
    difference = both.infer(params, batch).log_likelihood - blind.infer(params, batch).log_likelihood
    np.testing.assert_allclose(difference, np.log(2), rtol=1e-8)
    assert not ready(model, params, batch_of(model, np.array([-4.0]))).estep.two_modes


def test_an_integral_that_diverges_only_obliquely_is_refused() -> None:
    @em.latent_variable_model(latent=em.Normal(2), parameters={"mean": em.Real()})
    def improper(x, z, theta):
        return norm.logpdf(x, z[0] + z[1], 1.0) + log_bernoulli(x, theta.mean + z[0] + z[1])

    with pytest.raises(DataError, match="row 0: the integral"):
        em.fit(improper, np.array([0.0, 1.0]), parameters={"mean": 0.0})


@pytest.mark.parametrize("exact", [True, False])
def test_impossible_units_have_no_weight_and_numbers_that_are_none_are_told(exact: bool) -> None:
    @em.latent_variable_model(latent=em.Normal(), parameters={"a": em.Real()})
    def model(x, z, theta):
        own = norm.logpdf(x, theta.a + z, 1.0) if exact else log_bernoulli(x, theta.a + z)
        return jnp.where(x > 5, -jnp.inf, jnp.where(x < -5, jnp.nan, own)) + norm.logpdf(z)

    batch = batch_of(model, np.array([0.0, 9.0, -9.0, 1.0]))
    params = model.parameters(a=0.5)
    estep = ready(model, params, batch_of(model, np.array([0.0, 1.0]))).estep
    points = estep.points(model._functions(batch), params.values, model.rows(batch), batch)
    assert points.log_likelihood[1] == -np.inf
    assert np.isnan(points.log_likelihood[2])
    np.testing.assert_allclose(np.bincount(points.rows, points.weights[0], 4), [1.0, 0.0, 0.0, 1.0], atol=1e-12)
    with pytest.raises(DataError, match="row 1 "):
        em.fit(model, np.array([0.0, 9.0, 1.0]), parameters={"a": 0.5})


def test_units_in_portions_give_the_same(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentem.models.declared.e_steps import units

    model = logit_intercept()
    batch, params = batch_of(model, answers), model.parameters(mean=0.4, scale=1.0)
    whole = Quadrature(15).points(model._functions(batch), params.values, model.rows(batch), batch)
    monkeypatch.setattr(units, "SLAB", 300)
    parts = Quadrature(15).points(model._functions(batch), params.values, model.rows(batch), batch)
    np.testing.assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-14)
    assert parts.noise == pytest.approx(whole.noise)
    order = [np.lexsort((points.u[:, 0], points.rows)) for points in (whole, parts)]
    np.testing.assert_allclose(parts.u[order[1]], whole.u[order[0]], rtol=1e-13)
    np.testing.assert_allclose(parts.weights[:, order[1]], whole.weights[:, order[0]], atol=1e-14)
