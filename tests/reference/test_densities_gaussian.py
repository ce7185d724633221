"""Gaussian densities against 50 digits: on the matrix products, and on the centred path for components far away."""

import mpmath as mp
import numpy as np
import pytest

from latentem.data import Batch
from latentem.families import gaussian as g

EPS = np.finfo(float).eps
D = 3


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def exact(x, mean, covariance):
    deviation, matrix = mp.matrix(x) - mp.matrix(mean), mp.matrix(covariance)
    distance = (deviation.T * mp.inverse(matrix) * deviation)[0]
    return -(D * mp.log(2 * mp.pi) + mp.log(mp.det(matrix)) + distance) / 2


def components(apart, rng):
    mixing = rng.normal(size=(2, D, D)) + 2 * np.eye(D)
    return apart * rng.normal(size=(2, D)), mixing @ np.swapaxes(mixing, 1, 2)


def cases(means, covariances):
    """Each family's parameters, and the covariances (K, D, D) that they mean."""
    tied = np.broadcast_to(covariances[0], covariances.shape)
    variances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    round_ones = variances[:, 0]
    return {
        "full": (g.FullGaussian(), g.FullGaussianParameters(means, covariances), covariances),
        "tied": (g.TiedGaussian(), g.TiedGaussianParameters(means, covariances[0]), tied),
        "diagonal": (
            g.DiagonalGaussian(),
            g.DiagonalGaussianParameters(means, variances),
            np.stack([np.diag(v) for v in variances]),
        ),
        "spherical": (
            g.SphericalGaussian(),
            g.SphericalGaussianParameters(means, round_ones),
            np.stack([v * np.eye(D) for v in round_ones]),
        ),
    }


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal", "spherical"])
@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0, 1e3, 1e8])
def test_density_has_thirteen_digits(kind, apart):
    rng = np.random.default_rng(int(apart))
    means, covariances = components(apart, rng)
    family, params, meant = cases(means, covariances)[kind]
    x = np.concatenate([means[k] + 2 * rng.normal(size=(4, D)) for k in range(2)])
    density = family.log_density(Batch(x), params)
    for k in range(2):
        for n, row in enumerate(x):
            value = exact(row, means[k], meant[k])
            assert abs(density[k, n] - value) <= 1e-13 * max(1, abs(value)), (k, n)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_density_of_what_is_observed(kind):
    rng = np.random.default_rng(0)
    means, covariances = components(2.0, rng)
    family, params, meant = cases(means, covariances)[kind]
    x = rng.normal(size=(6, D))
    x[::2, 1] = np.nan
    x[1, [0, 2]] = np.nan
    density = family.log_density(Batch(x, missing=True), params)
    for n, row in enumerate(x):
        seen = np.flatnonzero(~np.isnan(row))
        for k in range(2):
            deviation = mp.matrix(row[seen]) - mp.matrix(means[k][seen])
            matrix = mp.matrix(meant[k][np.ix_(seen, seen)])
            distance = (deviation.T * mp.inverse(matrix) * deviation)[0]
            value = -(len(seen) * mp.log(2 * mp.pi) + mp.log(mp.det(matrix)) + distance) / 2
            assert abs(density[k, n] - value) <= 1e-13 * max(1, abs(value))


@pytest.mark.parametrize("apart", [20.0, 60.0])
def test_between_the_two_paths_the_error_stays_within_the_bound_that_decides(apart):
    """ε Bₖ with Bₖ at most `LARGEST_TERMS`: components some tens of standard deviations from the common centre."""
    rng = np.random.default_rng(1)
    means, covariances = components(apart, rng)
    params = g.FullGaussianParameters(means, covariances)
    density = g.FullGaussian().log_density(Batch(means), params)
    bound = 2 * EPS * g.kernel.LARGEST_TERMS
    for k in range(2):
        assert abs(density[k, k] - exact(means[k], means[k], covariances[k])) <= bound


@pytest.mark.parametrize("kind", ["full", "diagonal", "spherical"])
@pytest.mark.parametrize("far", [100.0, 1e4, 1e8])
def test_a_tight_component_far_away_costs_the_others_no_digits(kind, far):
    """It is computed about its own mean, and so has no part in the common centre."""
    rng = np.random.default_rng(3)
    means, covariances = np.array([[0.0, 0.0, 0.0], [far, -far, far]]), np.stack([np.eye(D), 1e-6 * np.eye(D)])
    family, params, meant = cases(means, covariances)[kind]
    assert list(params.plan.centred) == [1]
    x = means[0] + rng.normal(size=(20, D))
    density = family.log_density(Batch(x), params)[0]
    wanted = [float(exact(row, means[0], meant[0])) for row in x]
    np.testing.assert_allclose(density, wanted, rtol=10 * EPS, atol=0)


def test_an_ill_conditioned_covariance_takes_the_factored_path():
    """Its error is that of the factorization, a few ε times the condition number."""
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(D, D)))
    covariance = rotation @ np.diag([1.0, 1e-5, 1e-10]) @ rotation.T
    covariance = (covariance + covariance.T) / 2
    mean = np.ones(D)
    params = g.FullGaussianParameters(mean[None], covariance[None])
    x = mean + np.linalg.cholesky(covariance) @ np.ones(D)
    found = g.FullGaussian().log_density(Batch(x[None]), params)[0, 0]
    assert abs(found - exact(x, mean, covariance)) <= 20 * EPS * 1e10
    assert len(params.plan.centred) == 1
