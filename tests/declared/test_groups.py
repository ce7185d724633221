"""Rows that share one z: the same as one row per group, whatever their order, and as built-in models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.nn
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm
from reference.cases import case, em_steps, fit_tightly, log_likelihoods, near, start as mixture_of, within

import latentem as em
from latentem.errors import DataError, ParameterError
from latentem.families.bernoulli import BernoulliParameters
from latentem.model import LatentVariableModel
from latentem.models.declared import prepare
from latentem.models.declared.m_steps.sufficient import Basis
from latentem.sources import Grouping, as_source

COINS = case("two_coin_do_batzoglou")
TOSSES = 10


def toss(x: Any, z: Any, theta: Any) -> Any:
    return jnp.where(x == 1, jnp.log(theta.heads[z]), jnp.log1p(-theta.heads[z]))


EVEN = em.latent_variable_model(
    latent=em.Categorical(2),
    parameters={"heads": em.UnitInterval(2)},
    log_latent=lambda z, theta: jnp.log(0.5),
    log_emission=lambda x, z, theta: toss(x["heads"], z, theta),
    group="coin",
)
FREE = {"weights": em.Simplex(2), "heads": em.UnitInterval(2)}
BY_TOSS = em.latent_variable_model(
    latent=em.Categorical(2),
    parameters=FREE,
    log_latent=lambda z, theta: jnp.log(theta.weights[z]),
    log_emission=toss,
)
BY_SET = em.latent_variable_model(
    lambda x, z, theta: jnp.log(theta.weights[z]) + x["heads"] * jnp.log(theta.heads[z])
    + (x["tosses"] - x["heads"]) * jnp.log1p(-theta.heads[z]),
    latent=em.Categorical(2),
    parameters=FREE,
)
FREE_START = {"weights": [0.4, 0.6], "heads": [0.6, 0.5]}


def tosses() -> tuple[np.ndarray, np.ndarray]:
    """Every single toss, 1 for heads, and its set."""
    heads = COINS.columns("heads")[:, 0].astype(int)
    results = [np.repeat([1, 0], [one, TOSSES - one]) for one in heads]
    return np.concatenate(results), np.repeat(np.arange(len(heads)), TOSSES)


def steps_of(model: Any, source: Any, start: Any, n: int) -> list[Any]:
    return em_steps(prepare(model, source, start), source, start, n)


def grouped(model: Any, x: Any, **columns: Any) -> Any:
    return as_source(x, grouping=model.declaration.grouping, **columns)


# -- two coins -------------------------------------------------------------------------------------


def test_two_coins_toss_by_toss(rng):
    """The published iterates, from fifty rows in no order."""
    x, sets = tosses()
    order = rng.permutation(len(x))
    source = grouped(EVEN, {"coin": sets[order], "heads": x[order]})
    start = EVEN.parameters(heads=[COINS.record["start"]["theta_A"], COINS.record["start"]["theta_B"]])
    expected = COINS.expected["iterates"]
    steps = steps_of(EVEN, source, start, 60)
    within(COINS.tolerance["iterates"])([step.parameters.heads for step in steps[: len(expected)]], expected)
    within(COINS.tolerance["theta_limit"])(steps[-1].parameters.heads, COINS.expected["theta_limit_fixed_half_weights"])
    assert steps[-1].log_likelihood == near(COINS.expected["loglik_no_binomial_constant"], 1e-10)


def test_the_first_responsibilities_of_the_coins():
    x, sets = tosses()
    (batch,) = grouped(EVEN, {"coin": sets, "heads": x})
    start = EVEN.parameters(heads=[COINS.record["start"]["theta_A"], COINS.record["start"]["theta_B"]])
    weights = EVEN.infer(start, batch).weights[0].reshape(-1, TOSSES)
    within(COINS.tolerance["iterates"])(weights[:, 0], COINS.expected["responsibilities_A_first_E_step"])
    assert np.all(weights == weights[:, :1])


def test_coins_with_free_weights():
    expected = COINS.expected["free_weight_variant"]
    x, sets = tosses()
    weight, *heads = expected["start"]
    result = fit_tightly(BY_TOSS, x, groups=sets, parameters={"weights": [weight, 1 - weight], "heads": heads})
    assert isinstance(result.model.basis, Basis)
    within(1e-6)(result.parameters.weights[0], expected["weight_A"])
    within(1e-6)(result.parameters.heads, [expected["theta_A"], expected["theta_B"]])
    assert result.log_likelihood == near(expected["loglik_no_binomial_constant"], 1e-9)


# -- one row per group -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ragged() -> tuple[np.ndarray, np.ndarray]:
    """Tosses of forty coins, one to nine of each, and their coins."""
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 10, 40)
    coins = np.repeat(np.arange(40), counts)
    probabilities = np.where(rng.random(40) < 0.4, 0.85, 0.3)
    return (rng.random(len(coins)) < probabilities[coins]).astype(int), coins


def by_set(x: np.ndarray, coins: np.ndarray) -> dict[str, np.ndarray]:
    return {"heads": np.bincount(coins, x), "tosses": np.bincount(coins).astype(float)}


def assert_same_climb(source: Any, other: Any, tolerance: float = 1e-10) -> None:
    """The tosses climb as their sums do."""
    start = FREE_START
    mine = steps_of(BY_TOSS, source, BY_TOSS.parameters(**start), 12)
    others = steps_of(BY_SET, other, BY_SET.parameters(**start), 12)
    within(tolerance)(log_likelihoods(mine), log_likelihoods(others))
    for name in FREE:
        within(1e-8)([step.parameters[name] for step in mine], [step.parameters[name] for step in others])


@pytest.mark.parametrize("chunk_rows", [None, 20])
def test_rows_of_a_group_are_as_one_row(ragged, chunk_rows):
    x, coins = ragged
    other = as_source(by_set(x, coins), grouping=Grouping())
    source = grouped(BY_TOSS, x, lengths=np.bincount(coins))
    if chunk_rows:
        source = em.ArraySource(
            source.values, lengths=np.bincount(coins), chunk_rows=chunk_rows, names=source.names, layout=source.layout
        )
        assert len(source.chunks) > 3
    assert_same_climb(source, other)


def test_the_order_of_rows_says_nothing(ragged, rng):
    x, coins = ragged
    order = rng.permutation(len(x))
    other = as_source(by_set(x, coins), grouping=Grouping())
    names = np.array([f"coin {coin}" for coin in coins])
    assert_same_climb(grouped(BY_TOSS, x[order], groups=coins[order]), other)
    assert_same_climb(grouped(BY_TOSS, x[order], groups=names[order]), other)


def test_groups_by_column_by_array_and_by_lengths(ragged):
    x, coins = ragged
    start = EVEN.parameters(heads=[0.7, 0.2])
    columns = {"coin": coins, "heads": x}
    by_column = EVEN.declaration
    without = replace(EVEN, declaration=replace(by_column, group=None, token="without a column"))
    expected = em.fit(EVEN, columns, parameters=start)
    for model, options in (
        (EVEN, {"lengths": np.bincount(coins)}),
        (without, {"groups": "coin"}),
        (without, {"groups": coins}),
        (without, {"lengths": np.bincount(coins)}),
    ):
        result = em.fit(model, columns, parameters=start, **options)
        assert result.log_likelihood == expected.log_likelihood
        assert np.array_equal(result.parameters.heads, expected.parameters.heads)


def test_without_groups_every_row_is_one(ragged):
    """Only a chain takes rows of which nothing is said for one sequence."""
    x, _ = ragged
    start = FREE_START
    steps = steps_of(BY_TOSS, grouped(BY_TOSS, x, lengths=np.ones(len(x), int)), BY_TOSS.parameters(**start), 0)
    p = float(np.dot(start["weights"], start["heads"]))
    assert steps[0].log_likelihood == near(np.sum(x * np.log(p) + (1 - x) * np.log(1 - p)), 1e-10)


# -- weights and known states ----------------------------------------------------------------------


def test_a_weight_is_the_group_s(ragged, rng):
    """Weight 2 is the group twice, weight 0 none, though the rows be in no order."""
    x, coins = ragged
    weights = np.random.default_rng(5).integers(0, 3, 40)
    order = rng.permutation(len(x))
    weighted = grouped(BY_TOSS, x[order], groups=coins[order], sample_weight=weights[coins][order])
    sets = by_set(x, coins)
    repeated = {name: np.repeat(column, weights) for name, column in sets.items()}
    assert_same_climb(weighted, as_source(repeated, grouping=Grouping()))
    result = em.fit(BY_TOSS, x, groups=coins, sample_weight=weights[coins], parameters=FREE_START)
    assert result.expectation.weight == weights.sum()


def test_known_states_of_groups(ragged):
    x, coins = ragged
    labels = np.where(coins < 10, coins % 2, -1)
    (batch,) = grouped(BY_TOSS, x, groups=coins, labels=labels)
    (rows,) = as_source(by_set(x, coins), grouping=Grouping(), labels=labels[np.unique(coins, return_index=True)[1]])
    mine = BY_TOSS.infer(BY_TOSS.parameters(**FREE_START), batch)
    others = BY_SET.infer(BY_SET.parameters(**FREE_START), rows)
    within(1e-12)(mine.log_likelihood, others.log_likelihood)
    within(1e-12)(mine.weights, others.weights[:, coins])
    assert np.array_equal(mine.weights[1, coins < 10], (coins % 2)[coins < 10])


# -- messages --------------------------------------------------------------------------------------

SCRAMBLED = np.array([2, 0, 1, 0, 2, 1])


def test_a_group_with_two_weights_names_the_user_s_row():
    x = np.array([1, 0, 1, 0, 1, 1])
    with pytest.raises(DataError, match="row 4 differs"):
        em.fit(BY_TOSS, x, groups=SCRAMBLED, sample_weight=[1.0, 2, 3, 2, 5, 3], parameters=FREE_START)


def test_an_impossible_group_names_the_user_s_row():
    parameters = BY_TOSS.parameters(weights=0.5, heads=[1.0, 1.0])
    (batch,) = grouped(BY_TOSS, np.array([1, 1, 0, 1, 1, 0]), groups=SCRAMBLED)
    with pytest.raises(DataError, match="row 2 "):
        BY_TOSS.e_step(parameters, batch)


def test_a_group_of_weight_0_may_be_impossible():
    x = np.array([0, 1, 1, 1, 0, 1])
    parameters = BY_TOSS.parameters(weights=0.5, heads=[1.0, 0.5])
    impossible = replace(parameters, values=(np.array([1.0, 0.0]), parameters.heads))
    (batch,) = grouped(BY_TOSS, x, groups=SCRAMBLED, sample_weight=[0.0, 1, 1, 1, 0, 1])
    expectation = BY_TOSS.e_step(impossible, batch)
    assert expectation.log_likelihood == near(0.0, 1e-12) and expectation.weight == 2.0


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"groups": "coins"}, DataError, "no column 'coins' to group by; x has 'coin', 'heads'"),
        ({"groups": [0, 1]}, DataError, "one entry for each of the 6 rows"),
        ({"groups": [0.0, 1, np.nan, 0, 1, 2]}, DataError, "row 2 belongs to no group"),
        ({"groups": [0] * 6, "lengths": [6]}, ParameterError, "give one of them"),
        ({"lengths": [2, 3]}, DataError, "add up to 5, but there are 6 rows"),
    ],
)
def test_groups_that_do_not_fit(options, error, said):
    with pytest.raises(error, match=said):
        em.fit(EVEN, {"coin": SCRAMBLED, "heads": np.ones(6, int)}, parameters={"heads": [0.4, 0.6]}, **options)


def test_a_group_column_that_is_not_there():
    with pytest.raises(DataError, match="no column 'coin'"):
        em.fit(EVEN, {"heads": np.ones(6, int)}, parameters={"heads": [0.4, 0.6]})


# -- other models with groups ----------------------------------------------------------------------


def test_a_latent_class_model_from_long_answers(rng):
    """Persons' answers as rows (person, item, answer): the built-in on the table of persons and items."""
    truth, classes = np.array([[0.9, 0.8, 0.85, 0.7], [0.2, 0.3, 0.1, 0.25]]), rng.random(120) < 0.6
    table = (rng.random((120, 4)) < truth[classes.astype(int)]).astype(int)
    table[:2] = [[1, 1, 1, 1], [0, 0, 0, 0]]
    person, item = (part.ravel() for part in np.indices(table.shape))
    order = rng.permutation(table.size)
    long = {"person": person[order], "item": item[order], "answer": table.ravel()[order]}
    model = em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "yes": em.UnitInterval(2, 4)},
        log_latent=lambda z, theta: jnp.log(theta.weights[z]),
        log_emission=lambda x, z, theta: jnp.log(
            jnp.where(x["answer"] == 1, theta.yes[z, x["item"]], 1.0 - theta.yes[z, x["item"]])
        ),
        group="person",
    )
    yes = np.array([[0.7, 0.6, 0.7, 0.6], [0.4, 0.3, 0.4, 0.3]])
    start = model.parameters(weights=[0.5, 0.5], yes=yes)
    source = grouped(model, long)
    mine = steps_of(model, source, start, 20)
    built_in = LatentVariableModel(em.latents.Categorical(2), em.families.Bernoulli())
    others = em_steps(built_in, table, mixture_of([0.5, 0.5], BernoulliParameters(yes)), 20)
    within(1e-9)(log_likelihoods(mine), log_likelihoods(others))
    within(1e-8)(mine[-1].parameters.yes, others[-1].parameters.emission.probabilities)


def test_the_density_of_z_may_depend_on_a_covariate_of_the_group(rng):
    """A concomitant variable: the class of a subject by a logit, its visits normal about the mean of the class."""
    subjects = np.repeat(np.arange(300), rng.integers(1, 6, 300))
    age = rng.normal(size=300)
    class_ = rng.random(300) < 1 / (1 + np.exp(-(0.5 + 2.0 * age)))
    y = rng.normal(size=len(subjects)) + 4.0 * class_[subjects]

    def log_latent(x: Any, z: Any, theta: Any) -> Any:
        logit = theta.coefficients[0] + theta.coefficients[1] * x["age"]
        return jax.nn.log_sigmoid(jnp.where(z == 1, logit, -logit))

    model = em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"coefficients": em.Real(2), "means": em.Real(2)},
        log_latent=log_latent,
        log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.means[z], 1.0),
        group="subject",
    )
    start = {"coefficients": 0.0, "means": [-1.0, 1.0]}
    order = rng.permutation(len(subjects))
    long = {"subject": subjects[order], "age": age[subjects][order], "y": y[order]}
    result = em.fit(model, long, parameters=start, tol=1e-8)
    objectives = np.array([value for _, value in result.history])
    assert result.converged and np.all(np.diff(objectives) > -1e-9)
    within(0.5)(result.parameters.coefficients, [0.5, 2.0])
    within(0.15)(result.parameters.means, [0.0, 4.0])


def test_a_random_start_finds_the_coins(ragged):
    x, coins = ragged
    result = em.fit(BY_TOSS, x, groups=coins, random_state=0)
    other = em.fit(BY_TOSS, x, groups=coins, parameters={"weights": [0.5, 0.5], "heads": [0.8, 0.3]})
    assert result.converged and result.log_likelihood == near(other.log_likelihood, 1e-4)
