"""Monte Carlo E-steps against exact ones, and Monte Carlo EM against exact maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from declared.normals import batch_of, intercept_log_likelihood, random_intercept
from jax.scipy.special import logsumexp
from jax.scipy.stats import beta, gamma, norm, poisson as jax_poisson
from scipy.optimize import minimize
from scipy.special import expit, gammaln, ndtr
from scipy.stats import betabinom, multivariate_normal, nbinom, norm as normal

import latentem as em
from latentem.data import ArraySource
from latentem.models.declared import prepare
from latentem.models.declared.e_steps.draws import (
    independent_draws,
    log_standard_density,
    random_bits,
    rounded_draws,
    standard_draws,
    uniforms,
)
from latentem.models.declared.e_steps.monte_carlo import MonteCarlo, _score, theta_vector
from latentem.models.declared.e_steps.sampling import Ends
from latentem.result import Step


@em.latent_variable_model(
    latent=em.Normal(2),
    parameters={"mean": em.Real(5), "loadings": em.Real(5, 2), "scales": em.Positive(5)},
    e_step="monte-carlo",
)
def factors(x, z, theta):
    return norm.logpdf(z).sum() + norm.logpdf(x, theta.mean + theta.loadings @ z, theta.scales).sum()


@em.latent_variable_model(
    latent=em.Normal(), parameters={"difficulty": em.Real(5), "spread": em.Positive()}, e_step="monte-carlo"
)
def item_response(x, z, theta):
    eta = theta.spread * z - theta.difficulty
    return norm.logpdf(z) + jnp.sum(x * eta - jnp.logaddexp(0, eta))


RANDOM_INTERCEPT = random_intercept("monte-carlo")


@em.latent_variable_model(
    latent={"class": em.Categorical(2), "u": em.Normal(4)},
    parameters={"weights": em.Simplex(2), "means": em.Real(2), "spread": em.Positive()},
    e_step="monte-carlo",
)
def mixed(x, z, theta):
    k = z["class"]
    prior = jnp.log(theta.weights[k]) + norm.logpdf(z.u).sum()
    return prior + norm.logpdf(x, theta.means[k] + theta.spread * z.u).sum()


@em.latent_variable_model(
    latent=(em.Continuous(0, 1), em.Continuous(0, np.inf), em.Continuous(-np.inf, 2.0)),
    parameters={"a": em.Positive(), "b": em.Positive(), "shape": em.Positive()},
)
def bounded(x, z, theta):
    share, rate, below = z
    binomial = x["successes"] * jnp.log(share) + (5 - x["successes"]) * jnp.log1p(-share)
    return (
        binomial
        + beta.logpdf(share, theta.a, theta.b)
        + jax_poisson.logpmf(x["events"], rate)
        + gamma.logpdf(rate, theta.shape)
        + gamma.logpdf(2.0 - below, 3.0)
    )


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    loadings = np.array([[1.0, 0], [0.8, 0.5], [0.3, 1], [-0.5, 0.8], [1, 1]])
    return rng.normal(size=(60, 2)) @ loadings.T + rng.normal(size=(60, 5)) * 0.7 + 1


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(1)
    eta = 1.2 * rng.normal(size=(200, 1)) - np.array([-2, -1, 0, 0.5, 1])
    return (rng.random((200, 5)) < expit(eta)).astype(float)


def at(model, **values):
    return model.parameters(**values)


def start_of_factors():
    return at(factors, mean=np.ones(5), loadings=np.linspace(-1, 1, 10).reshape(5, 2), scales=np.full(5, 0.8))


def exact_factors(params, x):
    covariance = params.loadings @ params.loadings.T + np.diag(params.scales**2)
    return multivariate_normal.logpdf(x, params.mean, covariance)


def simulated(model, params, batch, **options):
    return replace(model, estep=MonteCarlo(**options)).infer(params, batch)


def n_errors(points, exact):
    """The error of the log-likelihood, corrected for the bias of a logarithm, in its standard errors."""
    total = points.log_likelihood.sum() + 0.5 * points.variance.sum()
    return (total - exact.sum()) / np.sqrt(points.variance.sum())


# -- random numbers ------------------------------------------------------------------------------


def test_random_numbers_belong_to_keys_and_streams():
    keys = np.arange(50)
    whole = random_bits(3, 1, keys, 8)
    assert np.array_equal(random_bits(3, 1, keys[20:30], 8), whole[20:30])
    assert len(np.unique(np.concatenate([whole, random_bits(3, 2, keys, 8), random_bits(4, 1, keys, 8)]))) == 3 * 400
    numbers = uniforms(3, 1, np.arange(4000), 5)
    assert abs(numbers.mean() - 0.5) < 0.01
    assert np.abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 0.05


@pytest.mark.parametrize("dimension", [1, 3])
def test_draws_come_from_their_density(dimension):
    for draw in (standard_draws, independent_draws):
        drawn = draw(0, 0, np.arange(40), 2560, dimension)
        flat = drawn.reshape(-1, dimension)
        density = log_standard_density(np.sum(flat**2, axis=1), dimension)
        # E_q[p / q] = 1 for the densities of two normals.
        for scale in (0.5, 1.2):
            log_normal = normal.logpdf(flat, 0, scale).sum(axis=1)
            assert np.mean(np.exp(log_normal - density)) == pytest.approx(1, abs=0.02)


def test_replicates_are_independent():
    means = standard_draws(0, 0, np.arange(500), 320, 1).reshape(500, 8, 40).mean(axis=2)
    assert np.abs(np.corrcoef(means.T) - np.eye(8)).max() < 0.2


@pytest.mark.parametrize(("asked", "made"), [(1, 80), (80, 80), (81, 160), (1000, 1280)])
def test_draws_are_rounded_up(asked, made):
    assert rounded_draws(asked) == made


def test_the_maps_of_bounded_coordinates_have_the_right_derivatives():
    ends = Ends(np.array([-np.inf, 1.0, -np.inf, -2.0]), np.array([np.inf, np.inf, 3.0, 5.0]))
    v, h = np.array([[0.3, -1.2, 0.7, 1.5]]), 1e-5
    slope, bend = ends.slopes(v)
    value, first, second = ends.log_jacobian(v)
    assert (ends.inside(v + h) - ends.inside(v - h)) / (2 * h) == pytest.approx(slope, rel=1e-8)
    assert (ends.slopes(v + h)[0] - ends.slopes(v - h)[0]) / (2 * h) == pytest.approx(bend, rel=1e-8, abs=1e-9)
    assert value == pytest.approx(np.log(np.abs(slope)).sum(axis=1))
    assert bend / slope == pytest.approx(first)
    assert (ends.log_jacobian(v + h)[1] - ends.log_jacobian(v - h)[1]) / (2 * h) == pytest.approx(second, abs=1e-8)


# -- the E-step against exact ones ---------------------------------------------------------------


def test_factors_agree_with_their_closed_form_and_the_exact_posterior(scores):
    params, batch = start_of_factors(), batch_of(factors, scores)
    points = simulated(factors, params, batch, draws=2560)
    assert abs(n_errors(points, exact_factors(params, scores))) < 4
    assert np.sqrt(points.variance.sum()) < 0.02
    joint = params.loadings.T / params.scales**2
    exact = np.linalg.solve(np.eye(2) + joint @ params.loadings, joint @ (scores - params.mean).T).T
    means = np.stack([np.bincount(points.rows, points.weights[0] * points.u[:, j]) for j in range(2)], axis=1)
    assert means == pytest.approx(exact, abs=0.02)
    assert np.bincount(points.rows, points.weights[0]) == pytest.approx(np.ones(60))


def test_bounded_coordinates_agree_with_closed_forms():
    rng = np.random.default_rng(5)
    successes, events = rng.integers(0, 6, 40), rng.poisson(3, 40)
    params = at(bounded, a=0.7, b=2.0, shape=2.5)
    points = simulated(bounded, params, batch_of(bounded, {"successes": successes, "events": events}), draws=5120)
    choose = gammaln(6) - gammaln(successes + 1) - gammaln(6 - successes)
    exact = betabinom.logpmf(successes, 5, 0.7, 2.0) - choose + nbinom.logpmf(events, 2.5, 0.5)
    assert abs(n_errors(points, exact)) < 4
    assert np.sqrt(points.variance.sum()) < 0.1
    assert points.u[:, 0].min() > 0
    assert points.u[:, 0].max() < 1
    assert points.u[:, 2].max() < 2


def test_a_discrete_part_beside_it_has_its_posterior():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(30, 4)) + rng.choice([-1.0, 1.0], size=(30, 1))
    params = at(mixed, weights=[0.3, 0.7], means=[-1.0, 1.0], spread=0.6)
    of_state = [np.log(w) + normal.logpdf(x, m, np.sqrt(1.36)).sum(axis=1) for w, m in ((0.3, -1.0), (0.7, 1.0))]
    exact = np.asarray(np.logaddexp(*of_state))
    points = simulated(mixed, params, batch_of(mixed, x), draws=1280)
    assert abs(n_errors(points, exact)) < 4
    shares = np.stack([np.bincount(points.rows, weights) for weights in points.weights])
    assert shares == pytest.approx(np.exp(of_state - exact), abs=0.02)
    known = np.where(np.arange(30) % 2, 1, -1)
    points = simulated(mixed, params, batch_of(mixed, x, labels=known), draws=1280)
    assert abs(n_errors(points, np.where(known == 1, of_state[1], exact))) < 4
    assert np.bincount(points.rows, points.weights[0])[1::2] == pytest.approx(0)


def ragged():
    rng = np.random.default_rng(7)
    subject = np.repeat(np.arange(40), rng.integers(1, 8, 40))
    return {"subject": subject, "y": 2 + 1.5 * rng.normal(size=40)[subject] + rng.normal(size=len(subject))}


def test_groups_share_their_draws():
    data, params = ragged(), at(RANDOM_INTERCEPT, mean=1.5, between=1.0, within=1.2)
    points = simulated(RANDOM_INTERCEPT, params, batch_of(RANDOM_INTERCEPT, data), draws=1280)
    assert abs(n_errors(points, intercept_log_likelihood(data, **params.by_name))) < 4
    assert np.bincount(points.rows, points.weights[0]) == pytest.approx(np.ones(len(data["y"])))


def test_standard_errors_are_calibrated(scores):
    params, batch = start_of_factors(), batch_of(factors, scores)
    exact = exact_factors(params, scores)
    errors = [n_errors(simulated(factors, params, batch, draws=160, seed=seed), exact) for seed in range(20)]
    assert 0.6 < np.sqrt(np.mean(np.square(errors))) < 1.5


def test_more_draws_err_less(scores):
    params, batch = start_of_factors(), batch_of(factors, scores)
    exact = exact_factors(params, scores).sum()

    def errors(draws):
        found = [simulated(factors, params, batch, draws=draws, seed=seed) for seed in range(12)]
        return (
            np.sqrt(np.mean([(points.log_likelihood.sum() - exact) ** 2 for points in found])),
            np.mean([points.variance.sum() for points in found]),
        )

    few, more, many = errors(80), errors(320), errors(1280)
    assert few[0] > 1.7 * more[0] > 3 * many[0]
    assert few[1] > 4 * more[1] > 16 * many[1]


def test_chunks_and_the_order_of_groups_change_nothing(scores):
    model = replace(factors, estep=MonteCarlo(draws=80))
    params = start_of_factors()
    whole = model.infer(params, batch_of(factors, scores)).log_likelihood
    parts = [model.infer(params, batch).log_likelihood for batch in ArraySource(scores, chunk_rows=7)]
    assert np.concatenate(parts) == pytest.approx(whole, rel=1e-12)


def test_impossible_rows_are_told_and_spoil_no_other():
    @em.latent_variable_model(latent=em.Normal(), parameters={"mean": em.Real()}, e_step="monte-carlo")
    def odd(x, z, theta):
        density = norm.logpdf(z, theta.mean) + norm.logpdf(x, z)
        return jnp.where(x > 100, -jnp.inf, jnp.where(x < -100, jnp.nan, density))

    params, x = at(odd, mean=0.0), np.array([0.5, 200.0, -0.3, -200.0])
    batch = batch_of(odd, x)
    found = odd.estep.points(odd._functions(batch), params.values, batch.values, batch)
    assert found.log_likelihood[1] == -np.inf
    assert np.isnan(found.log_likelihood[3])
    assert found.log_likelihood[::2] == pytest.approx(normal.logpdf(x[::2], 0, np.sqrt(2)), abs=0.05)
    assert not found.weights[:, np.isin(found.rows, [1, 3])].any()


# -- anchored draws: exact EM for the simulated log-likelihood -----------------------------------


def test_with_anchored_modes_the_score_is_the_slope_of_the_simulated_log_likelihood(answers):
    batch = batch_of(item_response, answers)
    params = at(item_response, difficulty=np.linspace(-1, 1, 5), spread=1.5)
    anchor = at(item_response, difficulty=np.zeros(5), spread=1.0).values
    model = replace(item_response, estep=MonteCarlo(draws=40, anchor=anchor))
    functions, vector = model._functions(batch), params.flatten()
    gradient, _ = _score(functions, vector, answers, model.infer(params, batch))

    def log_likelihood(v):
        return model.infer(params.unflatten(v), batch).log_likelihood.sum()

    h = 1e-5 * np.eye(6)
    slopes = [(log_likelihood(vector + step) - log_likelihood(vector - step)) / 2e-5 for step in h]
    assert gradient == pytest.approx(slopes, abs=1e-6)


def test_refining_ends_in_anchored_modes_with_enough_draws(scores):
    batch, params = batch_of(factors, scores), start_of_factors()
    functions, steps = factors._functions(batch), [MonteCarlo(draws=80)]
    while (finer := steps[-1].refined(functions, params.values, scores, batch)) is not None:
        steps.append(finer)
    draws = [step.draws for step in steps]
    assert all(b == 4 * a for a, b in pairwise(draws[:-1]))
    assert draws[-1] == draws[-2]
    assert steps[-1].anchor is params.values
    assert len(steps) > 2
    errors = [step.update_error(functions, params.values, scores, batch) for step in (steps[0], steps[-1])]
    assert errors[0] > 0.03 >= errors[1]


def test_stale_modes_are_anchored_anew(answers):
    batch = batch_of(item_response, answers)
    params = at(item_response, difficulty=np.linspace(-1.5, 1, 5), spread=1.2)
    far = at(item_response, difficulty=np.full(5, 3.0), spread=3.0)
    stale = MonteCarlo(draws=640, anchor=far.values)
    renewed = stale.refined(item_response._functions(batch), params.values, answers, batch)
    assert renewed is not None
    assert renewed.anchor is params.values
    assert renewed.draws == 640


def test_a_posterior_that_leaves_the_sign_open_is_seen_whole():
    @em.latent_variable_model(latent=em.Normal(), parameters={"scale": em.Positive()}, e_step="monte-carlo")
    def squared(x, z, theta):
        return norm.logpdf(z) + norm.logpdf(x, z**2 + 0.1 * z, theta.scale)

    x = np.array([4.0, 1.0, 2.5, -0.5])
    points = simulated(squared, at(squared, scale=0.3), batch_of(squared, x), draws=2560)
    grid = np.linspace(-6, 6, 200_001)
    density = np.exp(normal.logpdf(grid) + normal.logpdf(x[:, None], grid**2 + 0.1 * grid, 0.3))
    exact = np.log(density.sum(axis=1) * (grid[1] - grid[0]))
    assert np.abs(points.log_likelihood - exact).max() < 0.03
    assert abs(n_errors(points, exact)) < 4
    means = np.bincount(points.rows, points.weights[0] * points.u[:, 0])
    assert means == pytest.approx((density * grid).sum(axis=1) / density.sum(axis=1), abs=0.05)


def test_draws_that_miss_the_posterior_are_told():
    @em.latent_variable_model(latent=em.Normal(), parameters={"mean": em.Real()}, e_step="monte-carlo")
    def spike(x, z, theta):
        prior = logsumexp(jnp.stack([jnp.log(1e-3) + norm.logpdf(z, 0, 1e-4), norm.logpdf(z, theta.mean)]))
        return prior + norm.logpdf(x, 0.0 * z)

    batch, params = batch_of(spike, np.zeros(3)), at(spike, mean=0.0)
    told = MonteCarlo(draws=160).shortcomings(spike._functions(batch), params.values, batch.values, batch)
    assert told is not None
    assert "of 3 units fewer than 20 of 160 draws carry the weight (at row " in told


def test_good_draws_are_not_told(scores):
    batch, params = batch_of(factors, scores), start_of_factors()
    assert MonteCarlo().shortcomings(factors._functions(batch), params.values, scores, batch) is None


# -- fits ----------------------------------------------------------------------------------------


def maximum(log_likelihood, start):
    """The maximum by quasi-Newton steps, its log-likelihood, and standard errors."""
    found = minimize(lambda v: -log_likelihood(v), start, method="BFGS")
    return found.x, -found.fun, np.sqrt(np.diag(found.hess_inv))


def test_item_response_agrees_with_quadrature(answers):
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)

    def exact(v):
        eta = np.exp(v[-1]) * nodes[None, :, None] - v[:-1]
        log_given = (answers[:, None] * eta - np.logaddexp(0, eta)).sum(axis=-1)
        return np.log(np.exp(log_given) @ weights / weights.sum()).sum()

    start = {"difficulty": 0.0, "spread": 1.0}
    result = em.fit(item_response, answers, parameters=start, executor="serial", random_state=0)
    best, log_likelihood, errors = maximum(exact, result.parameters.flatten())
    assert np.abs((result.parameters.flatten() - best) / errors).max() < 0.15
    standard_error = np.sqrt(result.expectation.statistics.variance)
    assert abs(result.log_likelihood - log_likelihood) < 4 * standard_error
    assert standard_error < 0.25
    assert result.status.converged
    assert result.model.estep.anchor is not None
    restarted = max(i for i, (step, _) in enumerate(result.history) if step is Step.START)
    assert np.all(np.diff([objective for _, objective in result.history[restarted:]]) > -1e-9)


def test_five_dimensional_probit_agrees_with_its_closed_form():
    @em.latent_variable_model(latent=em.Normal(5), parameters={"b": em.Real(2)})
    def probit(x, z, theta):
        eta = theta.b[0] + theta.b[1] * x["t"] + 0.9 * z
        return norm.logpdf(z).sum() + norm.logcdf((2 * x["y"] - 1) * eta).sum()

    rng = np.random.default_rng(3)
    t = rng.normal(size=(80, 5))
    y = (0.3 + 0.8 * t + 0.9 * rng.normal(size=t.shape) + rng.normal(size=t.shape) > 0).astype(float)
    result = em.fit(probit, {"t": t, "y": y}, parameters={"b": [0.0, 0.0]}, executor="serial", random_state=0)

    def exact(b):
        return np.log(ndtr((2 * y - 1) * (b[0] + b[1] * t) / np.sqrt(1.81))).sum()

    best, log_likelihood, errors = maximum(exact, np.zeros(2))
    assert isinstance(result.model.estep, MonteCarlo)
    assert np.abs((result.parameters.b - best) / errors).max() < 0.15
    assert abs(result.log_likelihood - log_likelihood) < 4 * np.sqrt(result.expectation.statistics.variance)


def test_random_intercept_finds_its_maximum_from_a_far_start():
    data, start = ragged(), {"mean": -5.0, "between": 0.3, "within": 4.0}
    result = em.fit(RANDOM_INTERCEPT, data, parameters=start, executor="serial", random_state=0)

    def exact(v):
        return intercept_log_likelihood(data, **result.parameters.unflatten(v).by_name).sum()

    best, log_likelihood, errors = maximum(exact, result.parameters.flatten())
    assert np.abs((result.parameters.flatten() - best) / errors).max() < 0.15
    assert abs(result.log_likelihood - log_likelihood) < 4 * np.sqrt(result.expectation.statistics.variance)


def test_executors_and_chunks_fit_the_same(scores):
    start = start_of_factors()

    def fitted(executor, **options):
        source = ArraySource(scores, **options)
        return em.fit(factors, source, parameters=start, executor=executor, max_iter=6, random_state=0)

    serial, threads = fitted("serial", chunk_rows=16), fitted("threads", chunk_rows=16)
    assert np.array_equal(serial.parameters.flatten(), threads.parameters.flatten())
    assert serial.log_likelihood == threads.log_likelihood
    assert fitted("serial").parameters.flatten() == pytest.approx(serial.parameters.flatten(), rel=1e-8)


def test_the_e_step_explains_itself(scores):
    model = prepare(factors, ArraySource(scores), start_of_factors())
    assert "Monte Carlo" in model.estep.kind
    assert "80 draws" in model.estep.approximation
    assert model.estep.units == 60
    batch = batch_of(factors, scores)
    assert len(theta_vector(model._functions(batch), start_of_factors().values)) == 20
