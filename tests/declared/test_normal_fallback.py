"""Normal latents whose log joint has kinks, jumps or ends: what serves where nodes about the modes do not."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from declared.normals import batch_of, check_fisher, check_fit, log_bernoulli, ready
from jax.scipy.stats import multivariate_normal, norm
from scipy import stats

import latentem as em
from latentem.models.declared import DeclaredModel
from latentem.models.declared.e_steps.continuous import AdaptiveQuadrature
from latentem.models.declared.e_steps.gaussian import Gaussian
from latentem.models.declared.e_steps.monte_carlo import MonteCarlo
from latentem.models.declared.e_steps.quadrature import Quadrature


def half_normal() -> DeclaredModel:
    return em.latent_variable_model(
        lambda x, z, theta: (
            jnp.where(z > 0, jnp.log(2.0) + norm.logpdf(z, 0, theta.scale), -jnp.inf) + norm.logpdf(x, z, 0.3)
        ),
        latent=em.Normal(),
        parameters={"scale": em.Positive()},
        name="half_normal",
    )


def half_normal_marginal(x: np.ndarray, params: Any) -> np.ndarray:
    spread = np.hypot(params.scale, 0.3)
    return np.log(2) + stats.norm.logpdf(x, 0, spread) + stats.norm.logcdf(x * params.scale / (0.3 * spread))


def ceiling() -> DeclaredModel:
    """A tobit-like kink: z acts up to 1.5 only."""
    return em.latent_variable_model(
        lambda x, z, theta: norm.logpdf(z) + norm.logpdf(x, theta.mean + jnp.minimum(z, 1.5), 0.5),
        latent=em.Normal(),
        parameters={"mean": em.Real()},
        name="ceiling",
    )


def ceiling_marginal(x: np.ndarray, params: Any) -> np.ndarray:
    r = x - params.mean
    below = stats.norm.logpdf(r, 0, np.sqrt(1.25)) + stats.norm.logcdf(1.5, 0.8 * r, np.sqrt(0.2))
    return np.logaddexp(below, stats.norm.logsf(1.5) + stats.norm.logpdf(r, 1.5, 0.5))


def jump() -> DeclaredModel:
    return em.latent_variable_model(
        lambda x, z, theta: norm.logpdf(z) + norm.logpdf(x, jnp.where(z > 0.7, theta.height, 0.0), 1.0),
        latent=em.Normal(),
        parameters={"height": em.Real()},
        name="jump",
    )


def jump_marginal(x: np.ndarray, params: Any) -> np.ndarray:
    low = stats.norm.logcdf(0.7) + stats.norm.logpdf(x)
    return np.logaddexp(low, stats.norm.logsf(0.7) + stats.norm.logpdf(x, params.height, 1.0))


ROUGH = {
    "half-normal": (half_normal, half_normal_marginal, {"scale": 2.0}),
    "kink": (ceiling, ceiling_marginal, {"mean": 1.0}),
    "jump": (jump, jump_marginal, {"height": 1.0}),
}


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.abs(rng.normal(size=150)) + 0.3 * rng.normal(size=150)


@pytest.mark.parametrize("name", ROUGH)
def test_kinks_jumps_and_ends_in_one_dimension_equal_closed_forms(name: str, x: np.ndarray) -> None:
    make, marginal, start = ROUGH[name]
    model = make()
    params, batch = model.parameters(**start), batch_of(model, x)
    prepared = ready(model, params, batch)
    assert isinstance(prepared.estep, AdaptiveQuadrature)
    np.testing.assert_allclose(prepared.infer(params, batch).log_likelihood, marginal(x, params), atol=1e-9)
    check_fisher(model, params, batch)
    result = em.fit(model, x, parameters=start, tol=1e-9)
    check_fit(result, x)
    assert result.log_likelihood == pytest.approx(marginal(x, result.parameters).sum(), abs=1e-7)
    assert "adaptive quadrature over z" in str(result.explain())
    assert "exact" not in str(result.explain())


def test_ends_that_only_few_rows_come_near_are_seen() -> None:
    model = half_normal()
    params, far = model.parameters(scale=8.0), batch_of(model, np.linspace(7.0, 9.0, 20))
    assert not isinstance(ready(model, params, far).estep, Gaussian)


def test_a_normal_posterior_of_a_batch_with_ends_is_not_taken_for_exact() -> None:
    model = half_normal()
    params, batch = model.parameters(scale=1.0), batch_of(model, np.array([0.1, 0.5, 3.0]))
    points = DeclaredModel(model.declaration, Gaussian()).infer(params, batch)
    assert np.all(points.u[points.weights[0] > 0] > 0)
    assert points.noise > 1e-4


@pytest.mark.parametrize("count", [31, 61, 551])
def test_nodes_too_coarse_for_a_jump_are_told_and_given_up(count: int, x: np.ndarray) -> None:
    model = jump()
    params, batch = model.parameters(height=2.0), batch_of(model, x)
    fixed = DeclaredModel(model.declaration, Quadrature(count))
    points = fixed.infer(params, batch)
    off = np.abs(points.log_likelihood - jump_marginal(x, params)).sum()
    text = fixed.shortcomings(params, batch)
    told = float(text.split(" by ")[1].split(",")[0])
    assert 0.2 * off < told < 5 * off
    assert "em.Continuous" in text
    assert isinstance(fixed.refined(params, batch).estep, AdaptiveQuadrature)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_smooth_models_keep_the_quick_rules_and_nothing_is_told(d: int) -> None:
    @em.latent_variable_model(latent=em.Normal(d), parameters={"a": em.Real(d)})
    def logits(x, z, theta):
        return jnp.sum(norm.logpdf(z)) + jnp.sum(log_bernoulli(x, theta.a + z))

    batch = batch_of(logits, np.random.default_rng(1).integers(0, 2, size=(40, d)).astype(float))
    params = logits.parameters(a=np.zeros(d))
    prepared = ready(logits, params, batch)
    assert isinstance(prepared.estep, Quadrature)
    assert prepared.estep.count <= 21
    assert prepared.refined(params, batch) is None
    assert prepared.shortcomings(params, batch) is None


def probit(d: int) -> DeclaredModel:
    def density(x, z, theta):
        mean = theta.b[:, 0] + theta.b[:, 1] * x["a"]
        return jnp.where(jnp.all((z > 0) == (x["y"] == 1)), multivariate_normal.logpdf(z, mean, theta.R), -jnp.inf)

    return em.latent_variable_model(
        density, latent=em.Normal(d), parameters={"b": em.Real(d, 2), "R": em.Correlation(d)}, name="probit"
    )


def test_bivariate_probit_is_simulated_and_equals_normal_probabilities_up_to_that() -> None:
    rng = np.random.default_rng(8)
    a = rng.normal(size=100)
    errors = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 100)
    y = (np.c_[0.3 + 0.8 * a, -0.2 + 0.5 * a] + errors > 0).astype(int)
    model = probit(2)
    params = model.parameters(b=[[0.3, 0.8], [-0.2, 0.5]], R=[[1.0, 0.6], [0.6, 1.0]])
    batch = batch_of(model, {"a": a, "y": y})
    sign, mean = 2 * y - 1, params.b[:, 0] + params.b[:, 1] * a[:, None]
    exact = [
        np.log(stats.multivariate_normal.cdf(s * m, [0, 0], params.R * np.outer(s, s)))
        for s, m in zip(sign, mean, strict=True)
    ]
    prepared = ready(model, params, batch)
    assert isinstance(prepared.estep, MonteCarlo)
    points = prepared.infer(params, batch)
    error = float(np.sqrt(points.variance.sum()))
    assert error < 0.5
    assert abs(points.log_likelihood.sum() - np.sum(exact)) < 4 * error
    assert "simulated" in prepared.estep.approximation
    coarse = DeclaredModel(model.declaration, Quadrature(31))
    assert isinstance(coarse.refined(params, batch).estep, MonteCarlo)
    assert "em.Continuous" not in coarse.shortcomings(params, batch)
