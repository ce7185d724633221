"""The laws of a family, for every family in the zoo."""

from dataclasses import replace

import numpy as np
import pytest
import zoo

from latentem.data import Batch
from latentem.families.numeric_step import knows_score
from latentem.model import Family, Posterior
from latentem.testing import check_family, draw

K = 3
ALL = {name: one for name, one in {**zoo.FAMILIES, **zoo.VARIANTS}.items() if one.independent}


@pytest.mark.parametrize("name", ALL)
def test_family_keeps_the_laws(name):
    specimen = ALL[name]
    check_family(
        specimen.of(K),
        specimen.parameters(K),
        K,
        missing=specimen.missing,
        outside=specimen.outside,
        n_covariates=specimen.n_covariates,
    )


@pytest.mark.parametrize("name", ALL)
def test_the_score_is_the_gradient_of_q_wherever_it_is_asked(name):
    specimen, rng = ALL[name], np.random.default_rng(6)
    family, params = specimen.of(K), specimen.parameters(K)
    batch, states = draw(family, params, K, rng, n_covariates=specimen.n_covariates)
    statistics = family.statistics(batch, Posterior(rng.dirichlet(np.ones(K), size=len(states)).T), params)
    vector = params.flatten()
    elsewhere = params.unflatten(vector + rng.normal(scale=0.1, size=vector.shape))
    expected = Family.score(family, statistics, elsewhere)
    size = 1e-7 * (1 + abs(family.expected_log_density(statistics, elsewhere)))
    np.testing.assert_allclose(family.score(statistics, elsewhere), expected, rtol=1e-6, atol=size)


def test_families_that_know_their_score_are_told_from_those_that_do_not():
    class Unknowing(zoo.g.DiagonalGaussian):
        score = Family.score

    assert all(knows_score(specimen.of(K)) for specimen in ALL.values())
    assert not knows_score(Unknowing())
    assert not knows_score(zoo.tr.Truncated(Unknowing(), low=0.0))


def test_uniform_noise_has_no_density_outside_its_box():
    family = zoo.un.UniformNoise((0.0,), (2.0,))
    batch = Batch(np.array([[-0.1], [0.0], [2.0], [2.1]]))
    density = family.log_density(batch, zoo.un.UniformNoiseParameters(np.empty((1, 0))))
    np.testing.assert_allclose(density, [[-np.inf, -np.log(2), -np.log(2), -np.inf]])


# -- Gaussians: relabelling units and origin changes nothing that it should not ---------------------

GAUSSIANS = ["FullGaussian", "TiedGaussian", "DiagonalGaussian", "SphericalGaussian"]


def moved(params, scale, shift):
    """The parameters of scale * x + shift."""
    changes = {
        name: value * scale + shift if name == "means" else value * scale**2 for name, value in params.arrays().items()
    }
    return replace(params, **changes)


@pytest.mark.parametrize("shift", [0.0, -3.0, 1e6])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e5])
@pytest.mark.parametrize("name", GAUSSIANS)
def test_scale_and_shift_move_a_gaussian_and_nothing_else(name, scale, shift):
    specimen = zoo.FAMILIES[name]
    family, params = replace(specimen.family, floor=0.0), specimen.parameters(K)
    batch, _ = draw(family, params, K, np.random.default_rng(1), 200)
    shift = shift * scale
    other, there = Batch(batch.values * scale + shift), moved(params, scale, shift)
    lost = 1e-15 * (1 + np.abs(shift / scale)) * 100
    density = family.log_density(batch, params) - 2 * np.log(scale)
    np.testing.assert_allclose(family.log_density(other, there), density, atol=1e-12 + 20 * lost)
    r = Posterior(np.random.default_rng(2).dirichlet(np.ones(K), size=200).T)
    expected = moved(family.maximize(family.statistics(batch, r, params), params), scale, shift)
    got = family.maximize(family.statistics(other, r, there), there)
    for (field, value), want in zip(got.arrays().items(), expected.arrays().values(), strict=True):
        size = scale if field == "means" else scale**2
        np.testing.assert_allclose(value, want, rtol=1e-11, atol=size * (1e-12 + 20 * lost))


@pytest.mark.parametrize("name", GAUSSIANS)
def test_clusters_far_apart_keep_their_variances(name):
    """Raw moments of clusters 1e8 apart cancel; their variances of 1 must not come out as 2."""
    specimen, rng = zoo.FAMILIES[name], np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 1e8])
    r = Posterior(np.repeat([[1.0, 0.0], [0.0, 1.0]], 500, axis=1))
    params = moved(specimen.parameters(2), 1.0, 0.0)
    params = replace(params, means=np.array([[0.0, 0.0], [1e8, 1e8]]))
    updated = specimen.family.maximize(specimen.family.statistics(Batch(x), r, params), params)
    expected = np.stack([np.cov(part.T, bias=True) for part in np.split(x, 2)])
    variances = np.diagonal(expected, axis1=1, axis2=2)
    if name == "TiedGaussian":
        np.testing.assert_allclose(updated.covariance, expected.mean(axis=0), rtol=1e-6, atol=1e-6)
    elif name == "FullGaussian":
        np.testing.assert_allclose(updated.covariances, expected, rtol=1e-6, atol=1e-6)
    else:
        want = variances if name == "DiagonalGaussian" else variances.mean(axis=1)
        np.testing.assert_allclose(updated.variances, want, rtol=1e-6)


@pytest.mark.parametrize("name", ["FullGaussian", "TiedGaussian"])
def test_a_missing_entry_of_a_gaussian_leaves_the_marginal_normal(name):
    params, family = zoo.FAMILIES[name].parameters(K), zoo.FAMILIES[name].family
    x = np.linspace(-3, 4, 9)
    density = family.log_density(Batch(np.column_stack([np.full(9, np.nan), x]), missing=True), params)
    for k in range(K):
        variance = params.covariances[k][1, 1]
        expected = -0.5 * (np.log(2 * np.pi * variance) + (x - params.means[k, 1]) ** 2 / variance)
        np.testing.assert_allclose(density[k], expected, rtol=1e-13)
