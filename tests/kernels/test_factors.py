"""Where the fit of factors starts: a maximum of the likelihood where Newton's method arrives, uphill everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.kernels import factors
from latentem.kernels.derivatives import gradient
from latentem.kernels.factors import Profile, leading_eigenpairs, likely_factors, loadings_given_noise, stepped

P, Q = 9, 2


@pytest.fixture
def covariance(rng):
    """Of 400 rows with two factors."""
    loadings, noise = rng.normal(size=(P, Q)), rng.uniform(0.3, 2.0, size=P)
    rows = rng.normal(size=(400, Q)) @ loadings.T + np.sqrt(noise) * rng.normal(size=(400, P))
    return np.cov(rows.T, bias=True)


def deviance(covariance, loadings, noise):
    """-2 ℓ / n without the constant, from the dense covariance."""
    implied = loadings @ loadings.T + np.diag(noise)
    return np.linalg.slogdet(implied)[1] + np.trace(np.linalg.solve(implied, covariance))


@pytest.mark.parametrize("q", [1, 2, 3, 5])
def test_the_profile_is_the_likelihood_at_the_best_loadings(covariance, rng, q):
    noise = rng.uniform(0.2, 0.9, size=P) * np.diagonal(covariance)
    found = Profile.of(covariance, np.log(noise), q)
    best = loadings_given_noise(covariance, noise, q)
    np.testing.assert_allclose(found.loadings, best, atol=1e-12)
    assert found.value == pytest.approx(deviance(covariance, best, noise), rel=1e-13)
    for _ in range(5):
        assert deviance(covariance, best + 0.01 * rng.normal(size=best.shape), noise) >= found.value


def test_its_slope_is_that_of_differences(covariance, rng):
    for q in (1, 2, 4):
        place = np.log(rng.uniform(0.2, 0.9, size=P) * np.diagonal(covariance))
        slope = gradient(lambda v, q=q: Profile.of(covariance, v, q).value, place)
        np.testing.assert_allclose(Profile.of(covariance, place, q).slope, slope, atol=1e-8)


@pytest.mark.parametrize(("p", "q"), [(2, 0), (2, 1), (9, 2), (12, 3), (40, 1), (40, 9), (40, 10), (40, 40)])
@pytest.mark.parametrize("kind", ["random", "equal", "clustered", "wide"])
def test_leading_eigenpairs_are_those_of_the_whole_decomposition(rng, p, q, kind):
    basis = np.linalg.qr(rng.normal(size=(p, p)))[0]
    wanted = {
        "random": rng.normal(size=p),
        "equal": np.ones(p),
        "clustered": np.repeat([1.0, 2.0], [p - q, q]) + 1e-9 * rng.normal(size=p),
        "wide": 10.0 ** rng.uniform(-12, 3, size=p),
    }[kind]
    matrix = (basis * wanted) @ basis.T
    matrix = 0.5 * (matrix + matrix.T)
    values, vectors = leading_eigenpairs(matrix, q)
    size = np.abs(wanted).max()
    np.testing.assert_allclose(values, np.sort(wanted)[::-1][:q], atol=1e-13 * size)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=2e-13 * size)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(q), atol=1e-12)


def test_its_newton_step_arrives_at_once_where_the_model_holds(rng):
    loadings, noise = rng.normal(size=(P, Q)), rng.uniform(0.3, 2.0, size=P)
    covariance = loadings @ loadings.T + np.diag(noise)
    near = Profile.of(covariance, np.log(noise) + 1e-4 * rng.normal(size=P), Q)
    step = near.newton_step(near.hessian_factor())
    assert np.abs(2 * np.log(near.root) + step - np.log(noise)).max() < 1e-7


def test_the_start_is_where_em_stands_still(covariance):
    loadings, noise = likely_factors(covariance, Q, 1e-12)
    assert np.abs(Profile.of(covariance, np.log(noise), Q).slope).max() < 1e-5
    moved = stepped(covariance, loadings, noise, 1e-12)
    gain = deviance(covariance, loadings, noise) - deviance(covariance, *moved)
    assert abs(gain) < 1e-11
    np.testing.assert_allclose(moved[1], noise, rtol=1e-4)


@pytest.mark.parametrize("q", [1, 2, 3, 4, 5, 7, 9])
def test_the_start_is_never_worse_than_em_steps(covariance, q):
    first = (1 - 0.5 * q / P) / np.diagonal(np.linalg.inv(covariance))
    by_em = stepped(covariance, loadings_given_noise(covariance, first, q), first, 1e-12)
    found = likely_factors(covariance, q, 1e-12)
    assert deviance(covariance, *found) <= deviance(covariance, *by_em) + 1e-10
    assert np.all(found[1] > 0)


def test_em_steps_serve_where_a_uniqueness_tends_to_zero(rng):
    rows = rng.normal(size=(30, 6))
    rows[:, 1] = rows[:, 0] + 1e-2 * rows[:, 1]
    covariance = np.corrcoef(rows.T)
    first = (1 - 0.5 * 2 / 6) / np.diagonal(np.linalg.inv(covariance))
    expected = stepped(covariance, loadings_given_noise(covariance, first, 2), first, 1e-6)
    for got, part in zip(likely_factors(covariance, 2, 1e-6), expected, strict=True):
        np.testing.assert_allclose(got, part, rtol=1e-9)


def test_units_change_nothing_but_units(covariance, rng):
    scale = 10.0 ** rng.uniform(-3, 3, size=P)
    loadings, noise = likely_factors(covariance, Q, 1e-12)
    moved, spread = likely_factors(covariance * np.outer(scale, scale), Q, 1e-12)
    np.testing.assert_allclose(spread, noise * scale**2, rtol=1e-6)
    implied = moved @ moved.T / np.outer(scale, scale)
    np.testing.assert_allclose(implied, loadings @ loadings.T, atol=1e-6)


def test_newtons_method_is_left_where_it_would_not_arrive_in_time(covariance, monkeypatch):
    monkeypatch.setattr(factors, "NEWTON_STEPS", 1)
    first = (1 - 0.5 * Q / P) / np.diagonal(np.linalg.inv(covariance))
    expected = stepped(covariance, loadings_given_noise(covariance, first, Q), first, 1e-12)
    np.testing.assert_allclose(likely_factors(covariance, Q, 1e-12)[1], expected[1], rtol=1e-9)
