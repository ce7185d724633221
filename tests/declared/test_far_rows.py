"""What is wrong in one row of many is found, and named by its number; at the fit and in new data."""

from contextlib import suppress
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import latentem as em

N = 6000
START = {"weights": [0.5, 0.5], "faces": [[0.1] * 5 + [0.5], [1 / 6] * 6]}


@pytest.fixture(scope="module")
def dice():
    @em.latent_variable_model(
        latent=em.Categorical(2), parameters={"weights": em.Simplex(2), "faces": em.Simplex(2, 6)}
    )
    def dice(x, z, theta):
        return jnp.log(theta.weights[z]) + jnp.log(theta.faces[z, x])

    return dice


@pytest.fixture(scope="module")
def normals():
    @em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    )
    def two_normals(x, z, theta):
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])

    return two_normals


AT = {"weights": [0.5, 0.5], "means": [-1.0, 1.0], "scales": [1.0, 1.0]}


def rolls(rng: np.random.Generator) -> Any:
    return rng.integers(0, 6, N)


@pytest.mark.parametrize("row", [0, 3777, N - 1])
def test_an_index_out_of_range_is_found_in_any_row(dice, rng, row):
    x = rolls(rng)
    x[row] = 9
    with pytest.raises(em.DataError, match=f"row {row}: x and z make log_joint .* entry 9 .* from 0 to 5"):
        em.fit(dice, x, parameters=START, max_iter=2)
    weights = np.ones(N)
    weights[row] = 0.0
    assert np.isfinite(em.fit(dice, x, parameters=START, sample_weight=weights, max_iter=2).log_likelihood)


def test_an_index_out_of_range_is_found_in_new_data(dice, rng):
    result = em.fit(dice, rolls(rng)[:60], random_state=0, max_iter=2)
    for call in (result.posterior, lambda x: dice.log_likelihood(START, x)):
        assert call(np.array([5, 0])) is not None
        with pytest.raises(em.DataError, match=r"row 1: x and z make .* entry 7"):
            call(np.array([3, 7]))


def test_a_row_out_of_many_is_called_by_its_number(normals, rng):
    x = rng.normal(size=N)
    x[[777, 4321]] = np.nan
    with pytest.raises(em.DataError, match=r"in row (777|4321) "):
        em.fit(normals, x, parameters=AT)


def test_a_row_that_is_impossible_for_a_built_in_model_is_shown_though_groups_are_interleaved():
    x = np.tile([0.0, 1.0, 0.0], 8)[:, None]
    x[12] = 2.0
    columns = em.families.categorical.ColumnProbabilities(np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]]))
    start = em.model.ModelParameters(
        em.latents.markov_chain.MarkovChainParameters(np.array([0.5, 0.5]), np.full((2, 2), 0.5)),
        em.families.categorical.CategoryParameters((columns,)),
    )
    model = em.LatentVariableModel(em.MarkovChain(2), em.families.CategoricalColumns((3,)))
    with pytest.raises(em.DataError, match=r"the group of row 0 \(12 rows\) has log-likelihood -inf"):
        em.fit(model, x, parameters=start, groups=np.tile([0, 1], 12), max_iter=1)


# -- before and after a fit --------------------------------------------------------------------


def asks(x, z, theta):
    return norm.logpdf(x["y"], theta.means[0], 1.0) if z == 0 else norm.logpdf(x["y"], theta.means[1], 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x: model.log_likelihood({"means": [0, 1]}, x),
        lambda model, x: model.posterior({"means": [0, 1]}, x),
        lambda model, x: model.explain(x),
    ],
)
def test_mistakes_are_explained_without_a_fit_too(call):
    model = em.latent_variable_model(asks, latent=em.Categorical(2), parameters={"means": em.Real(2)})
    with pytest.raises(em.ParameterError, match=r"jnp\.where"):
        call(model, {"y": np.arange(3.0)})


def test_a_density_in_place_of_its_logarithm_raises_nothing_of_numpy(rng):
    x = np.concatenate([rng.normal(size=60), rng.normal(5, 1, size=40)])
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.log(theta.weights[z]) + norm.pdf(x, theta.means[z], theta.scales[z]),
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    )
    params = model.parameters(weights=[0.6, 0.4], means=[0.0, 5.0], scales=[1.0, 1.0])
    result = em.fit(model, x, parameters=params, max_iter=20)
    assert result.log_likelihood > em.fit(model, x, parameters=params, max_iter=0).log_likelihood
    for seed in range(3):
        with suppress(em.errors.LatentemError):
            assert np.isfinite(em.fit(model, x, random_state=seed, max_iter=20).log_likelihood)


@pytest.mark.parametrize("x", [np.full(20, 3.0), np.array([1.0])])
@pytest.mark.parametrize("start", [None, {"weights": [0.5, 0.5], "means": [2.0, 4.0], "scales": [1.0, 1.0]}])
def test_constant_data_have_no_bound(normals, x, start):
    result = em.fit(normals, x, parameters=start, random_state=0)
    assert result.status is em.Status.UNBOUNDED
    told = {finding.code: finding.message for finding in result.findings}
    assert "scales" in told["unbounded"]
    assert "lower bound" in told["unbounded"]
    assert "slope" not in told


def test_a_chain_of_one_step_has_no_bound():
    model = em.latent_variable_model(
        latent=em.MarkovChain(2),
        log_initial=lambda z, theta: jnp.log(theta.initial[z]),
        log_transition=lambda before, z, theta: jnp.log(theta.transition[before, z]),
        log_emission=lambda x, z, theta: norm.logpdf(x, theta.means[z], theta.scales[z]),
        parameters={
            "initial": em.Simplex(2),
            "transition": em.Simplex(2, 2),
            "means": em.Real(2),
            "scales": em.Positive(2),
        },
    )
    assert em.fit(model, np.array([1.0]), random_state=0).status is em.Status.UNBOUNDED


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.4, 0.6]])
def test_states_that_are_the_same_are_told(normals, rng, weights):
    x = np.concatenate([rng.normal(size=60), rng.normal(5, 1, size=40)])
    start = {"weights": weights, "means": [1.0, 1.0], "scales": [1.0, 1.0]}
    result = em.fit(normals, x, parameters=start)
    told = {finding.code: finding.message for finding in result.findings}
    assert "z = 0 and z = 1" in told["same-states"]
    assert "start" in told["same-states"]
    apart = em.fit(normals, x, parameters={**start, "means": [0.0, 4.0]})
    assert not any(finding.code == "same-states" for finding in apart.findings)


def test_data_of_two_values_raise_no_warning(normals):
    x = np.repeat([0.0, 1.0], [60, 40]) > 0.5
    assert em.fit(normals, x, random_state=0).status is em.Status.UNBOUNDED


def test_a_density_that_is_no_number_is_told_with_z_though_starts_are_random(rng):
    from jax.scipy.stats import beta, binom

    model = em.latent_variable_model(
        lambda x, z, theta: beta.logpdf(z, theta.a, theta.b) + binom.logpmf(x, 10, z),
        latent=em.Continuous(-5.0, 5.0),
        parameters={"a": em.Positive(), "b": em.Positive()},
    )
    with pytest.raises(em.errors.LatentemError, match=r"is nan in row \d+ \(x = \d+\) at z = "):
        em.fit(model, rng.binomial(10, 0.4, size=20), random_state=0)


def test_a_missing_return_and_a_prior_of_several_numbers_are_told(normals):
    def forgets(x, z, theta):
        jnp.log(theta.weights[z])

    one = {"latent": em.Categorical(2), "parameters": {"weights": em.Simplex(2)}}
    with pytest.raises(em.ParameterError, match=r"returned None \(is a return missing\?\)"):
        em.fit(em.latent_variable_model(forgets, **one), np.arange(4.0))
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.log(theta.weights[z]) + norm.logpdf(x, z),
        log_prior=lambda theta: jnp.log(theta.weights),
        **one,
    )
    with pytest.raises(em.ParameterError, match=r"log_prior must return one number, .* \(2,\).*add up the log dens"):
        em.fit(model, np.arange(4.0))
