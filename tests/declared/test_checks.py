"""Mistakes in a declaration are found before the fit starts, and told in the user's terms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm, poisson

import latentem as em
from latentem.errors import DataError, LatentemError, ParameterError
from latentem.models.declared.checking.checks import check_declaration, describe_impossible
from latentem.sources import Grouping, as_source

MEANS = {"means": em.Real(2)}
PAIR: dict[str, Any] = {"latent": em.Categorical(2), "parameters": MEANS}
X = np.array([0.5, 1.5, -1.0])


def checked(model: Any, x: Any, *, group: Any = None, start: Any = None, **columns: Any) -> None:
    source = as_source(x, grouping=model.declaration.grouping, **columns)
    values = {"means": [0.0, 1.0]} if start is None else start
    check_declaration(model, model.parameters(**values), next(iter(source)))


def told(model: Any, x: Any = X, **options: Any) -> tuple[type, str]:
    with pytest.raises(LatentemError) as caught:
        checked(model, x, **options)
    return type(caught.value), str(caught.value)


def healthy(x: Any, z: Any, theta: Any) -> Any:
    return jnp.log(0.5) + norm.logpdf(x, theta.means[z], 1.0)


# -- sound models pass ---------------------------------------------------------------------------


def test_sound_models_pass() -> None:
    checked(em.latent_variable_model(healthy, **PAIR), X)

    def items(x: Any, z: Any, theta: Any) -> Any:
        guarded = jnp.where(z.c < 2, theta.means[z.c], 0.0)
        return norm.logpdf(x["y"], guarded + jnp.log1p(x["item"]), 1.0) + z.b * 0.1 + jax.nn.log_sigmoid(theta.means[0])

    latent = {"c": em.Categorical(3), "b": em.Bernoulli()}
    model = em.latent_variable_model(items, latent=latent, parameters=MEANS)
    checked(model, {"y": X, "item": np.array([0, 1, 2])})


def test_impossible_states_and_negative_indices_pass() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.where((z == 0) & (x > 0), -jnp.inf, norm.logpdf(x, theta.means[z - 1], 1.0))

    checked(em.latent_variable_model(density, **PAIR), X)


def test_what_is_checked_once_is_traced_once() -> None:
    calls = []

    def density(x: Any, z: Any, theta: Any) -> Any:
        calls.append(1)
        return healthy(x, z, theta)

    model = em.latent_variable_model(density, **PAIR)
    checked(model, X)
    before = len(calls)
    checked(model, X + 1, start={"means": [1.0, 2.0]})
    assert len(calls) == before > 0


# -- errors in the function ----------------------------------------------------------------------


def asks(x: Any, z: Any, theta: Any) -> Any:
    if z > 0:
        return x * theta.means[0]
    return x


WRONG_CODE = {
    "if": (asks, jax.errors.TracerBoolConversionError, "jnp.where"),
    "numpy": (lambda x, z, t: np.exp(t.means[z]) + x, jax.errors.TracerArrayConversionError, "jax.numpy"),
    "list": (lambda x, z, t: [1.0, 2.0][z] * x * t.means[0], jax.errors.TracerIntegerConversionError, "jnp.asarray"),
    "float": (lambda x, z, t: float(t.means[z]) * x, jax.errors.ConcretizationTypeError, "float()"),
    "picks": (lambda x, z, t: t.means[t.means > z].sum() * x, jax.errors.NonConcreteBooleanIndexError, "jnp.where"),
    "theta": (lambda x, z, t: t.mean[z] * x, AttributeError, "theta has no 'mean'; it has means"),
    "other": (lambda x, z, t: jnp.dot(t.means, jnp.ones(3)) * x * z, TypeError, "TypeError"),
}


@pytest.mark.parametrize("name", WRONG_CODE)
def test_errors_of_the_function_are_explained(name: str) -> None:
    function, cause, words = WRONG_CODE[name]
    model = em.latent_variable_model(function, name="mine", **PAIR)
    with pytest.raises(ParameterError, match="log_joint") as caught:
        checked(model, X)
    assert isinstance(caught.value.__cause__, cause)
    assert words in str(caught.value)
    assert "in line " in str(caught.value)
    assert "x, a number; theta with means (2,)" in str(caught.value)


def test_the_function_and_its_line_are_named() -> None:
    _, text = told(em.latent_variable_model(asks, **PAIR))
    assert "log_joint (asks)" in text
    assert "(if z > 0:)" in text


def test_columns_of_x_are_listed() -> None:
    model = em.latent_variable_model(lambda x, z, t: healthy(x["age"], z, t), **PAIR)
    kind, text = told(model, {"year": X, "dose": X})
    assert kind is DataError
    assert "x has no column 'age'" in text
    assert "'year', 'dose'" in text
    kind, text = told(model, X)
    assert "x is a number" in text
    model = em.latent_variable_model(lambda x, z, t: healthy(x.year, z, t), **PAIR)
    assert "x['year']" in told(model, {"year": X})[1]


# -- what it returns -----------------------------------------------------------------------------


def test_it_must_return_one_real_number() -> None:
    def shaped(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(x, theta.means[z], 1.0)

    kind, text = told(em.latent_variable_model(shaped, **PAIR), np.ones((4, 3)))
    assert kind is ParameterError
    assert "shape (3,)" in text
    assert "jnp.sum" in text
    complexes = em.latent_variable_model(lambda x, z, t: x * 1j * t.means[z], **PAIR)
    assert "complex" in told(complexes)[1]
    several = em.latent_variable_model(lambda x, z, t: (x, t.means[z]), **PAIR)
    assert "returned 2 of them" in told(several)[1]


def test_integers_and_float32_constants_are_harmless_but_float32_results_are_not() -> None:
    constant = jnp.asarray([0.3, 0.7], jnp.float32)

    def mixed(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(constant[z]) + norm.logpdf(x, theta.means[z], 1.0)

    checked(em.latent_variable_model(mixed, **PAIR), X)
    checked(em.latent_variable_model(lambda x, z, t: (x * t.means[z]).astype(int), **PAIR), X)
    narrow = em.latent_variable_model(lambda x, z, t: healthy(x, z, t).astype(jnp.float32), **PAIR)
    assert "float32" in told(narrow)[1]


# -- what is never used --------------------------------------------------------------------------


def test_parameters_z_and_x_that_have_no_effect_are_named() -> None:
    def without(x: Any, z: Any, theta: Any) -> Any:
        _ = theta.scale * 2.0
        return healthy(x, z, theta)

    start = {"means": [0.0, 1.0], "scale": 1.0}
    declared = {"latent": em.Categorical(2), "parameters": {**MEANS, "scale": em.Positive()}}
    kind, text = told(em.latent_variable_model(without, **declared), start=start)
    assert kind is ParameterError
    assert "parameter 'scale' is never used" in text
    checked(em.latent_variable_model(without, log_prior=lambda t: -t.scale, **declared), X, start=start)
    no_z = em.latent_variable_model(lambda x, z, t: norm.logpdf(x, t.means[0], 1.0), **PAIR)
    assert told(no_z)[1].startswith("z is never used")
    no_x = em.latent_variable_model(lambda x, z, t: norm.logpdf(0.0, t.means[z], 1.0), **PAIR)
    assert told(no_x)[1].startswith("x is never used")
    parts = {"latent": {"a": em.Bernoulli(), "b": em.Bernoulli()}, "parameters": MEANS}
    assert "z.b is never used" in told(em.latent_variable_model(lambda x, z, t: healthy(x, z.a, t), **parts))[1]


def test_an_emission_without_z_is_told() -> None:
    model = em.latent_variable_model(
        log_latent=lambda z, t: jnp.log(0.5) + 0 * z,
        log_emission=lambda x, z, t: norm.logpdf(x, t.means[0], 1.0),
        **PAIR,
    )
    assert "z is never used by log_emission" in told(model, groups=[0, 0, 1])[1]


# -- indices -------------------------------------------------------------------------------------


def test_z_outside_its_support_is_told() -> None:
    kind, text = told(em.latent_variable_model(healthy, latent=em.Categorical(3), parameters=MEANS))
    assert kind is ParameterError
    assert "log_joint (healthy): theta.means has shape (2,), but z runs to 2" in text
    taken = em.latent_variable_model(
        lambda x, z, t: norm.logpdf(x, jnp.exp(t.means)[1 + z], 1.0), latent=em.Categorical(2), parameters=MEANS
    )
    assert "an array made from theta.means has shape (2,), but z asks for entry 2 at z = 1" in told(taken)[1]
    rows = em.latent_variable_model(
        lambda x, z, t: norm.logpdf(x, t.means[jnp.asarray([0, 1]) + z].sum(), 1.0), **PAIR
    )
    assert "entry 2" in told(rows)[1]
    fixed = em.latent_variable_model(lambda x, z, t: healthy(x, z, t) + t.means[5], **PAIR)
    assert "a number asks for entry 5" in told(fixed)[1]


def test_item_numbers_beyond_the_parameters_name_the_row() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(x["y"], theta.means[x["item"]] * z, 1.0)

    model = em.latent_variable_model(density, **PAIR)
    kind, text = told(model, {"y": X, "item": np.array([0, 7, 1])})
    assert kind is DataError
    assert text.startswith("row 1: x['item'] makes log_joint (density) take entry 7 of theta.means")
    assert "0 to 1" in text
    checked(model, {"y": X, "item": np.array([0, 7, 1])}, sample_weight=[1.0, 0.0, 1.0])


# -- values --------------------------------------------------------------------------------------


def test_a_density_that_is_no_number_names_row_state_and_theta() -> None:
    model = em.latent_variable_model(lambda x, z, t: norm.logpdf(jnp.log(x), t.means[z], 1.0), **PAIR)
    kind, text = told(model)
    assert kind is DataError
    assert "is nan in row 2 (x = -1) at z = 0 and theta with means = [0., 1.]" in text
    assert "missing values" in told(em.latent_variable_model(healthy, **PAIR), np.array([1.0, np.nan]))[1]
    infinite = em.latent_variable_model(lambda x, z, t: jnp.where(z == 1, jnp.inf, x) * t.means[1], **PAIR)
    assert "is inf in row 0 (x = 0.5) at z = 1" in told(infinite)[1]
    checked(model, X, sample_weight=[1.0, 1.0, 0.0])


def test_rows_that_are_impossible_at_the_start_are_named() -> None:
    model = em.latent_variable_model(
        lambda x, z, t: poisson.logpmf(x, jnp.exp(t.means[z])) + jnp.log(0.5), **PAIR
    )
    kind, text = told(model, np.array([0, 3, -2, 1]))
    assert kind is DataError
    assert "row 2 (x = -2) is impossible at the start" in text
    assert "-inf for every z" in text


def test_a_prior_that_is_no_number_is_told() -> None:
    model = em.latent_variable_model(healthy, log_prior=lambda t: jnp.log(t.means[0] - 1.0), **PAIR)
    assert "log_prior" in told(model)[1]


def test_densities_are_tried_at_several_values_of_a_continuous_z() -> None:
    def rooted(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(z.u) + norm.logpdf(x, theta.means[z.c] + jnp.sqrt(z.u), 1.0)

    model = em.latent_variable_model(rooted, latent={"c": em.Categorical(2), "u": em.Normal()}, parameters=MEANS)
    kind, text = told(model)
    assert kind is DataError
    assert "nan in row 0 (x = 0.5) at z = (c=0) with its continuous part at -1 and theta" in text
    censored = em.latent_variable_model(
        lambda x, z, t: jnp.where(z > x, norm.logpdf(z, t.means[0], jnp.exp(t.means[1])), -jnp.inf),
        latent=em.Continuous(0.0, np.inf), parameters=MEANS,
    )
    checked(censored, X + 50.0)
    model = em.latent_variable_model(
        lambda x, z, t: jnp.log(1 - z) + x * t.means[0] * t.means[1], latent=em.Continuous(0.0, 3.0), parameters=MEANS
    )
    assert "at z = 1.5 and" in told(model)[1]


def test_vectors_that_z_is_are_one_input() -> None:
    def factor(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(z).sum() + norm.logpdf(x, theta.means @ z, 1.0)

    checked(em.latent_variable_model(factor, latent=em.Normal(2), parameters=MEANS), X)
    unused = em.latent_variable_model(
        lambda x, z, t: healthy(x, z[0], t), latent=(em.Categorical(2), em.Normal(2)), parameters=MEANS
    )
    assert told(unused)[1].startswith("z[1] is never used")


# -- distributions of z, groups ------------------------------------------------------------------


def test_probabilities_of_z_must_add_to_one() -> None:
    model = em.latent_variable_model(
        log_latent=lambda z, t: jnp.log(jnp.asarray([0.3, 0.6])[z]), log_emission=healthy, **PAIR
    )
    kind, text = told(model, groups=[0, 0, 1])
    assert kind is ParameterError
    assert "they add to 0.9" in text
    assert "em.Simplex" in text
    by_row = em.latent_variable_model(
        log_latent=lambda x, z, t: jax.nn.log_softmax(jnp.asarray([0.0, x]))[z], log_emission=healthy, **PAIR
    )
    checked(by_row, X, groups=[0, 0, 1])


def test_a_joint_density_may_have_any_constant() -> None:
    checked(em.latent_variable_model(lambda x, z, t: -0.5 * (x - t.means[z]) ** 2, **PAIR), X)


def test_a_group_column_must_be_there() -> None:
    model = em.latent_variable_model(
        log_latent=lambda z, t: jnp.log(0.5) + 0 * z, log_emission=lambda x, z, t: healthy(x["y"], z, t),
        group="subject", **PAIR,
    )
    source = as_source({"y": X}, grouping=Grouping(None, False))
    with pytest.raises(DataError, match=r"'subject'.*'y'"):
        check_declaration(model, model.parameters(means=[0.0, 1.0]), next(iter(source)))
    checked(model, {"y": X, "subject": np.array([3, 3, 4])})


# -- impossible rows later -----------------------------------------------------------------------


def test_groups_must_be_said() -> None:
    model = em.latent_variable_model(
        log_latent=lambda z, t: jnp.log(0.5) + 0 * z, log_emission=healthy, **PAIR
    )
    assert "nobody says which rows form one" in told(model)[1]


def test_impossible_rows_are_described() -> None:
    model = em.latent_variable_model(
        lambda x, z, t: jnp.where(x["n"] > 2, -jnp.inf, norm.logpdf(x["y"], t.means[z], 1.0)), **PAIR
    )
    batch = next(iter(as_source({"y": X, "n": np.array([0, 3, 1])}, grouping=Grouping(None, False))))
    params = model.parameters(means=[0.0, 1.0])
    points = model.estep.points(model._functions(batch), params.values, batch.values, batch)
    text = str(describe_impossible(model, params, batch, 1, points))
    assert text.startswith("row 1 (y = 1.5, n = 3) belongs to a row that is impossible (impossible at every z)")
    assert "means = [0., 1.]" in text


# -- chains --------------------------------------------------------------------------------------


def chain(initial: Any, transition: Any) -> Any:
    return em.latent_variable_model(
        latent=em.MarkovChain(2), parameters=MEANS, log_initial=initial, log_transition=transition, log_emission=healthy
    )


def even(z: Any, theta: Any) -> Any:
    return jnp.log(0.5) + 0 * z


def test_chains_must_have_distributions() -> None:
    stay = jnp.log(jnp.asarray([[0.9, 0.1], [0.2, 0.8]]))
    checked(chain(even, lambda i, j, t: stay[i, j]), X)
    kind, text = told(chain(even, lambda i, j, t: jnp.asarray([[0.9, 0.1], [0.3, 0.8]])[i, j]))
    assert kind is ParameterError
    assert "log_transition" in text
    kind, text = told(chain(even, lambda i, j, t: jnp.log(jnp.asarray([[0.9, 0.1], [0.3, 0.8]]))[i, j]))
    assert "they add to 1.1 at previous = 1" in text
    assert "log_initial" in told(chain(lambda z, t: even(z, t) * 2, lambda i, j, t: stay[i, j]))[1]
    turned = told(chain(even, lambda i, j, t: stay[j, i]))[1]
    assert "they add to 1.1 at previous = 0" in turned


def test_transitions_with_covariates_are_not_asked_for_in_first_rows() -> None:
    def transition(x: Any, previous: Any, z: Any, theta: Any) -> Any:
        return jax.nn.log_softmax(jnp.asarray([0.0, x["lag"] + previous]))[z]

    model = em.latent_variable_model(
        latent=em.MarkovChain(2), parameters=MEANS, log_initial=even, log_transition=transition,
        log_emission=lambda x, z, t: healthy(x["y"], z, t),
    )
    checked(model, {"y": X, "lag": np.array([np.nan, 1.0, 2.0])})
    kind, text = told(model, {"y": X, "lag": np.array([np.nan, np.nan, 2.0])})
    assert kind is DataError
    assert "log_transition (transition) is nan in row 1 (y = 1.5, lag = nan) at previous = 0, z = 0" in text


def test_transitions_out_of_range_are_told() -> None:
    text = told(chain(even, lambda i, j, t: jax.nn.log_softmax(t.means)[i + j]))[1]
    assert "log_transition: an array made from theta.means has shape (2,)" in text
    assert "previous and z asks for entry 2" in text
