"""Every latent with every family, with no code for a pair: the E-step against the enumeration of all state paths."""

from dataclasses import replace

import numpy as np
import pytest
import zoo

from latentem.data import Batch
from latentem.errors import DataError, ParameterError
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.testing import check_family, check_model, with_holes
from latentem.testing.drawing import take

K = 2
ALL_PAIRS = [(latent, family) for latent in zoo.LATENTS for family in zoo.FAMILIES]


def both_about_groups(latent, family):
    return zoo.LATENTS[latent].latent(K).per_group and zoo.FAMILIES[family].of(K).per_group


PAIRS = [pair for pair in ALL_PAIRS if not both_about_groups(*pair)]
REFUSED = [pair for pair in ALL_PAIRS if both_about_groups(*pair)]


def joined(latent_name, family_name, k=K):
    """The model and its parameters."""
    latent, family = zoo.LATENTS[latent_name], zoo.FAMILIES[family_name]
    model = LatentVariableModel(latent.latent(k), family.of(k))
    return model, ModelParameters(latent.parameters(k), family.parameters(k))


def six_rows(model, params, k=K):
    """Two groups of three rows with two covariates, weighted: drawn from the components in turn."""
    rng = np.random.default_rng(8)
    family, emission = model.family, params.emission
    states = np.arange(6) % k
    given = Batch(np.zeros((6, 1)), covariates=rng.normal(size=(6, 2)), offsets=np.array([0, 3, 6]))
    if family.per_group:
        groups = [take(given, g, g + 1, True) for g in range(2)]
        values = np.concatenate([family.sample_given(emission, np.full(3, g), groups[g], rng) for g in range(2)])
    else:
        values = family.sample_given(emission, states, given, rng)
    return replace(given, values=values, weights=np.repeat([1.0, 2.5], 3))


@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_e_step_is_enumeration(latent, family):
    model, params = joined(latent, family)
    check_model(model, params, six_rows(model, params))


@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_e_step_is_enumeration_with_missing_entries_and_known_states(latent, family):
    model, params = joined(latent, family)
    batch = six_rows(model, params)
    if zoo.FAMILIES[family].missing:
        batch = with_holes(batch, np.random.default_rng(9))
    labels = np.array([-1, -1, -1, 1, 1, 1]) if model.family.per_group else np.array([-1, 0, -1, -1, 1, -1])
    check_model(model, params, replace(batch, labels=labels))


@pytest.mark.parametrize(("latent", "family"), REFUSED)
def test_states_of_rows_and_a_family_of_groups_are_refused(latent, family):
    with pytest.raises(ParameterError, match="whole group"):
        joined(latent, family)


@pytest.mark.parametrize("latent", zoo.LATENTS)
def test_e_step_is_enumeration_with_three_states(latent):
    model, params = joined(latent, "Poisson", 3)
    check_model(model, params, six_rows(model, params, 3))


@pytest.mark.parametrize("latent", zoo.LATENTS)
@pytest.mark.parametrize("family", ["Poisson", "FullGaussian", "DiagonalGaussian"])
def test_em_steps_raise_the_log_posterior_under_a_prior(latent, family):
    model, params = joined(latent, family)
    rows = six_rows(model, params).values[:2]
    model = replace(model, prior=Prior(rows=rows, weights=np.array([0.5, 1.5]), concentration=0.7))
    check_model(model, params, six_rows(model, params))


@pytest.mark.parametrize(("latent", "family"), [("Categorical", "Poisson"), ("MarkovChain", "Poisson")])
def test_a_model_is_a_family(latent, family):
    model, params = joined(latent, family)
    check_family(model, params, 1, missing=True, outside=(-1,))


def test_a_row_that_no_state_can_have_produced_is_named():
    model, params = joined("Categorical", "CategoricalColumns")
    impossible = replace(params, emission=zoo.ca.CategoryParameters(
        (zoo.ca.ColumnProbabilities(np.array([[1.0, 0.0], [1.0, 0.0]])), params.emission.columns[1])
    ))
    batch = Batch(np.array([[0.0, 1], [1, 2], [0, 3]]), first_row=10)
    with pytest.raises(DataError, match=r"row 11 \(\[1.0, 2.0\]\)"):
        model.e_step(impossible, batch)


def test_a_known_state_that_does_not_exist_is_named():
    model, params = joined("Categorical", "Poisson")
    batch = Batch(np.ones((3, 2)), labels=np.array([0, -1, 2]), first_row=5)
    with pytest.raises(DataError, match="row 7 has the known state 2, but there are 2 states"):
        model.e_step(params, batch)
