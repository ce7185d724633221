"""Normal × linear Gaussian against dense Gaussian algebra, and what cannot be joined."""

from dataclasses import replace

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.data import ArraySource, Batch
from latentem.errors import DataError, ParameterError
from latentem.families import Components, Constrained, LinearGaussian, Plate, Poisson, Product
from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.latents.normal import NormalParameters
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.testing import check_family, check_normal_model, check_parameters

Q = 2
FAMILIES = zoo.LINEAR_FAMILIES | zoo.LINEAR_VARIANTS
LATENTS = zoo.NORMAL_LATENTS | zoo.NORMAL_VARIANTS
PAIRS = [(latent, family) for latent in LATENTS for family in FAMILIES]


def joined(latent_name, family_name, q=Q):
    latent, family = LATENTS[latent_name], FAMILIES[family_name]
    model = LatentVariableModel(latent.latent(q), family.of(q))
    return model, ModelParameters(latent.parameters(q), family.parameters(q))


def rows(model, params, rng, share=0.0):
    """Seven weighted rows, some of their entries missing; one of them empty where any are."""
    values = model.sample(params, np.zeros(7, int), rng)
    if share:
        values[rng.random(values.shape) < share] = np.nan
        values[3] = np.nan
    return Batch(values, weights=np.linspace(0.5, 2.0, 7), missing=share > 0)


@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_e_step_is_dense_gaussian_algebra(latent, family, share, rng):
    model, params = joined(latent, family)
    check_normal_model(model, params, rows(model, params, rng, share))


@pytest.mark.parametrize("q", [1, 3, 5])
def test_any_number_of_coordinates_will_do(q, rng):
    model, params = joined("Normal", "LinearGaussian", q)
    check_normal_model(model, params, rows(model, params, rng, 0.3))


@pytest.mark.parametrize("noise", ["diagonal", "full"])
def test_inputs_are_part_of_the_regression(noise, rng):
    family = LinearGaussian(noise, inputs=[[None, 0.0], ["b", None], ["b", 1.0]])
    emission = LinearGaussianParameters.of(
        rng.normal(size=3), rng.normal(size=(3, Q)), zoo.covariances(1, 3)[0], rng.normal(size=(3, 2))
    )
    model = LatentVariableModel(Normal(Q), family)
    params = model.conform(ModelParameters(NormalParameters(np.zeros(Q), np.eye(Q)), emission))
    assert params.n_free == 3 + 3 + 3 * Q + (3 if noise == "diagonal" else 6)
    for share in (0.0, 0.3):
        values = rng.normal(size=(6, 3))
        values[rng.random(values.shape) < share] = np.nan
        batch = Batch(values, np.arange(1.0, 7), missing=share > 0, covariates=rng.normal(size=(6, 2)))
        check_normal_model(model, params, batch)


def test_a_model_is_a_family_whose_density_is_its_marginal_one():
    model, params = joined("Normal", "LinearGaussian")
    check_family(replace(model, latent=Normal(Q, expand=False)), params, 1, missing=True)


def test_zero_noise_gives_the_same_posterior_as_very_little(rng):
    emission = LinearGaussianParameters.of(np.zeros(3), rng.normal(size=(3, 2)), [0.5, 0.0, 0.3])
    model = LatentVariableModel(Normal(2, expand=False), LinearGaussian([None, 0.0, None]))
    nearly = LatentVariableModel(Normal(2, expand=False), LinearGaussian([None, 1e-13, None]))
    latent = NormalParameters(np.zeros(2), np.eye(2))
    batch = Batch(np.array([[0.3, -1.0, 0.2], [np.nan, 1.0, 0.0], [0.4, np.nan, np.nan]]), missing=True)
    for free in ((), ("covariance",)):
        params = model.conform(ModelParameters(replace(latent, free=free), emission))
        exact, _ = model.infer(params, batch)
        close, _ = nearly.infer(nearly.conform(params), batch)
        np.testing.assert_allclose(exact.mean, close.mean, atol=1e-9)
        np.testing.assert_allclose(exact.covariance, close.covariance, atol=1e-9)
    fitted = model.m_step(model.e_step(params, batch).statistics, params)
    assert fitted.emission.noise[1] == 0.0
    np.testing.assert_allclose(fitted.emission.loadings[1], emission.loadings[1], atol=1e-12)


def test_a_singular_covariance_names_its_columns():
    emission = LinearGaussianParameters.of(np.zeros(3), np.ones((3, 1)), np.zeros(3))
    model = LatentVariableModel(Normal(1), LinearGaussian([0.0, 0.0, 0.0]))
    params = model.conform(ModelParameters(NormalParameters(np.zeros(1), np.eye(1)), emission))
    with pytest.raises(ParameterError, match="columns 0, 1, 2"):
        model.e_step(params, Batch(np.ones((2, 3))))


def test_held_and_equal_entries_stay_so_through_a_fit(rng):
    loadings = [["a", 0.0], [None, "a"], [1.0, None], [0, 0]]
    family = LinearGaussian(["s", "s", None, 0.25], [0.0, None, None, None], loadings)
    truth = np.array([[0.9, 0.0], [0.4, 0.9], [1.0, -0.7], [0.0, 0.0]])
    x = rng.normal(size=(200, 2)) @ truth.T + rng.normal(size=(200, 4)) * [0.6, 0.6, 0.8, 0.5]
    result = em.fit(LatentVariableModel(Normal(2), family), x, tol=1e-6, acceleration="anderson")
    assert result.converged
    emission = result.parameters.emission
    assert emission.noise[0] == emission.noise[1] != emission.noise[2]
    assert emission.noise[3] == 0.25
    assert emission.offset[0] == 0.0
    assert emission.loadings[0, 0] == emission.loadings[1, 1]
    assert emission.loadings[0, 1] == emission.loadings[3, 0] == 0.0
    assert result.n_parameters == 3 + 4 + 2 - 1
    check_parameters(emission)
    score = result.model.score(result.expectation.statistics, result.parameters)
    assert np.abs(score).max() < 0.05


def test_an_expanded_m_step_reaches_the_same_limit_in_fewer_passes(rng):
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 20)) + rng.normal(size=(300, 20))
    fits = [
        em.fit(LatentVariableModel(Normal(2, expand=expand), LinearGaussian()), x, tol=1e-7, max_iter=20_000)
        for expand in (True, False)
    ]
    assert fits[0].converged and fits[1].converged
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, abs=1e-5)
    assert fits[0].n_iter < 0.6 * fits[1].n_iter


@pytest.mark.parametrize(
    ("latent", "family", "said"),
    [
        (Categorical(2), LinearGaussian(), "Categorical takes a table"),
        (MarkovChain(2), LinearGaussian(), "MarkovChain takes a table"),
        (Normal(2), Poisson(), "Normal takes a linear Gaussian form"),
        (Categorical(2), Plate(LinearGaussian()), "Categorical takes a table"),
        (Categorical(2), Product(((LinearGaussian(), (0, 1)), (Poisson(), (2,)))), "LinearGaussian gives"),
        (Normal(2), Components((Poisson(), Poisson())), "Components gives a table"),
    ],
)
def test_what_cannot_be_joined_is_refused_at_construction(latent, family, said):
    with pytest.raises(ParameterError, match=said):
        LatentVariableModel(latent, family)


def test_states_have_no_place_beside_a_vector():
    model, params = joined("Normal", "LinearGaussian")
    with pytest.raises(DataError, match="z is a vector"):
        model.e_step(params, Batch(np.ones((2, 3)), labels=np.array([0, -1])))
    with pytest.raises(ParameterError, match="pseudo-observations"):
        LatentVariableModel(Normal(2), LinearGaussian(), Prior(concentration=1.0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise": "round"}, "full, diagonal, isotropic"),
        ({"floor": -1.0}, "floor"),
        ({"noise": [1.0, 2.0]}, r"noise must have shape \(3,\)"),
        ({"loadings": [["a", None]]}, r"loadings must have shape \(3, 2\)"),
        ({"offset": [1.0, {}, None]}, "a number, a name or None"),
    ],
)
def test_options_that_do_not_fit_are_told(options, said):
    with pytest.raises(ParameterError, match=said):
        LinearGaussian(**options).start(Batch(np.random.default_rng(0).normal(size=(9, 3))), 2)


def test_wrong_shapes_are_told():
    model, params = joined("Normal", "LinearGaussian")
    with pytest.raises(DataError, match="2 columns"):
        model.e_step(params, Batch(np.ones((2, 2))))
    with pytest.raises(ParameterError, match="3 coordinates"):
        LatentVariableModel(Normal(3), LinearGaussian()).e_step(params, Batch(np.ones((2, 3))))
    with pytest.raises(DataError, match="inputs"):
        em.fit(LatentVariableModel(Normal(1), LinearGaussian(inputs=2)), np.ones((3, 3)))
    with pytest.raises(ParameterError, match="Normal is a number"):
        Normal(0)
    with pytest.raises(ParameterError, match="free is a tuple"):
        Normal(2, free="mean")


def test_a_family_with_arrays_held_whole_takes_its_own_m_step(rng):
    family = Constrained(LinearGaussian(), fixed=("noise",))
    x = rng.normal(size=(60, 1)) @ rng.normal(size=(1, 4)) + rng.normal(size=(60, 4))
    model = LatentVariableModel(Normal(1), family)
    start = family.constrain(replace(LinearGaussian().start(Batch(x), 1), noise=np.array([1.0, 1.1, 0.9, 1.2])))
    result = em.fit(model, x, parameters=ModelParameters(model.latent.start(), start), tol=1e-6)
    assert result.converged
    assert result.n_parameters == 8
    np.testing.assert_array_equal(result.parameters.emission.noise, [1.0, 1.1, 0.9, 1.2])


def test_mixtures_of_factor_analyzers_need_no_code_of_their_own(rng):
    """Two classes whose columns vary along different lines through one mean: only their factors tell them apart."""
    lines = np.array([[2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0]])
    states = rng.integers(2, size=600)
    x = rng.normal(size=(600, 1)) * lines[states] + 0.3 * rng.normal(size=(600, 4))
    factors = LatentVariableModel(Normal(1), LinearGaussian())
    model = LatentVariableModel(Categorical(2), Components((factors, factors)))
    fits = [
        em.fit(model, x, init="random", random_state=seed, acceleration="anderson", tol=1e-2, max_iter=500)
        for seed in range(3)
    ]
    best = max(fits, key=lambda fit: fit.objective)
    assert best.objective > -2300
    found = best.model.infer(best.parameters, Batch(x))[0].probabilities.argmax(axis=0)
    right = np.mean(found == states)
    assert max(right, 1 - right) > 0.9


def test_executors_and_chunks_give_one_fit(rng):
    x = rng.normal(size=(700, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(700, 5))
    x[rng.random(x.shape) < 0.1] = np.nan
    model = LatentVariableModel(Normal(2), LinearGaussian())
    fits = [em.fit(model, ArraySource(x, chunk_rows=99), executor=name, tol=1e-3) for name in ("serial", "threads")]
    assert np.array_equal(fits[0].parameters.flatten(), fits[1].parameters.flatten())
    whole = em.fit(model, x, tol=1e-3)
    np.testing.assert_allclose(whole.log_likelihood, fits[0].log_likelihood, rtol=1e-9)
