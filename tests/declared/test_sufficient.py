"""Automatic sufficient statistics: found where the density is an exponential family in θ, refused where it is none."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import gamma, multivariate_normal, norm, poisson, t as student_t

import latentem as em
from latentem.models.declared import prepare
from latentem.models.declared.m_steps.sufficient import Basis, NoBasis
from latentem.sources import Grouping, as_source

WEIGHTS = {"weights": em.Simplex(2)}


def weibull(x, z, theta):
    shape, ratio = theta.shapes[z], x / theta.scales[z]
    return jnp.log(theta.weights[z] * shape / theta.scales[z]) + (shape - 1) * jnp.log(ratio) - ratio**shape


def free_student_t(x, z, theta):
    return jnp.log(theta.weights[z]) + student_t.logpdf(x, theta.dof[z], theta.means[z], theta.scales[z])


def gammas(x, z, theta):
    return jnp.log(theta.weights[z]) + gamma.logpdf(x, theta.shapes[z], scale=theta.scales[z])


def poissons(x, z, theta):
    return jnp.log(theta.weights[z]) + poisson.logpmf(x, theta.rates[z])


def lines(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x["y"], theta.a[z] + theta.b[z] * x["t"], theta.scales[z])


def four_dimensions(x, z, theta):
    return jnp.log(theta.weights[z]) + multivariate_normal.logpdf(x, theta.means[z], theta.covariances[z])


def basis_of(density, parameters, x, start):
    model = em.latent_variable_model(density, latent=em.Categorical(2), parameters=WEIGHTS | parameters)
    params = model.parameters(weights=0.5, **start)
    return prepare(model, as_source(x, grouping=Grouping()), params).basis


POSITIVE = np.random.default_rng(0).gamma(2.0, 2.0, 600)
REAL = np.random.default_rng(1).standard_t(3, 600)
TABLE = np.random.default_rng(2).normal(size=(600, 4)) @ np.random.default_rng(3).normal(size=(4, 4))


@pytest.mark.parametrize(
    ("density", "parameters", "x", "start"),
    [
        (weibull, {"shapes": em.Positive(2), "scales": em.Positive(2)}, POSITIVE, {"shapes": [1, 2], "scales": [1, 2]}),
        (
            free_student_t,
            {"means": em.Real(2), "scales": em.Positive(2), "dof": em.Positive(2)},
            REAL,
            {"means": [0, 1], "scales": [1, 2], "dof": [3, 4]},
        ),
    ],
)
def test_no_exponential_family_is_taken_for_one(density, parameters, x, start):
    found = basis_of(density, parameters, x, start)
    assert isinstance(found, NoBasis)
    assert "no exponential family" in found.reason or "times their scale" in found.reason


@pytest.mark.parametrize(
    ("rank", "density", "parameters", "x", "start"),
    [
        (3, gammas, {"shapes": em.Positive(2), "scales": em.Positive(2)}, POSITIVE, {"shapes": [1, 2], "scales": 1}),
        (3, poissons, {"rates": em.Positive(2)}, np.floor(POSITIVE).astype(int), {"rates": [1, 4]}),
        (
            6,
            lines,
            {"a": em.Real(2), "b": em.Real(2), "scales": em.Positive(2)},
            {"y": REAL, "t": POSITIVE},
            {"a": [0, 1], "b": [1, 0], "scales": 1},
        ),
        (
            15,
            four_dimensions,
            {"means": em.Real(2, 4), "covariances": em.PositiveDefinite(2, 4, 4)},
            TABLE,
            {"means": TABLE[:2], "covariances": np.stack([np.eye(4)] * 2)},
        ),
        (
            15,
            four_dimensions,
            {"means": em.Real(2, 4), "covariances": em.PositiveDefinite(2, 4, 4)},
            1e4 + 100 * TABLE,
            {"means": 1e4, "covariances": 1e4 * np.stack([np.eye(4)] * 2)},
        ),
    ],
)
def test_an_exponential_family_has_its_rank_whatever_the_scale(rank, density, parameters, x, start):
    found = basis_of(density, parameters, x, start)
    assert isinstance(found, Basis)
    assert found.rank == rank
    assert found.error < 1e-9
