"""Two coins, five sets of ten tosses (Do and Batzoglou 2008): the figure that EM is taught with."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, near, start, within

from latentem.families.multinomial import Multinomial, MultinomialParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("two_coin_do_batzoglou")
HEADS, TOSSES = KNOWN.columns("heads", "tosses").T
X = np.stack([HEADS, TOSSES - HEADS], axis=1)
EVEN = LatentVariableModel(Categorical(2, fixed=(0, 1)), Multinomial())
FREE = LatentVariableModel(Categorical(2), Multinomial())


def begin_at(first: float, second: float, weight: float = 0.5):
    return start([weight, 1 - weight], MultinomialParameters(np.array([[first, 1 - first], [second, 1 - second]])))


def heads(parameters) -> np.ndarray:
    return parameters.emission.probabilities[:, 0]


PUBLISHED_START = begin_at(KNOWN.record["start"]["theta_A"], KNOWN.record["start"]["theta_B"])


@pytest.fixture(scope="module")
def steps():
    return em_steps(EVEN, X, PUBLISHED_START, 60)


def test_em_takes_the_published_steps(steps):
    expected = KNOWN.expected["iterates"]
    within(KNOWN.tolerance["iterates"])([heads(step.parameters) for step in steps[: len(expected)]], expected)


def test_the_first_e_step_is_the_published_table(steps):
    from latentem.data import Batch

    posterior, _ = EVEN.infer(PUBLISHED_START, Batch(X))
    within(KNOWN.tolerance["iterates"])(posterior.probabilities[0], KNOWN.expected["responsibilities_A_first_E_step"])
    counts = posterior.probabilities @ X
    within(0.06)(counts, [KNOWN.record["published"][f"expected_counts_{coin}_H_T"] for coin in "AB"])


def test_em_goes_on_to_the_limit(steps):
    limit = KNOWN.expected["theta_limit_fixed_half_weights"]
    within(KNOWN.tolerance["theta_limit"])(heads(steps[-1].parameters), limit)
    assert steps[-1].log_likelihood == near(KNOWN.expected["loglik_with_binomial_constant"], 1e-10)
    assert np.array_equal(steps[-1].parameters.latent.weights, [0.5, 0.5])


def test_the_maximum_with_free_weights_is_another():
    expected = KNOWN.expected["free_weight_variant"]
    weight, *thetas = expected["start"]
    last = em_steps(FREE, X, begin_at(*thetas, weight), expected["iterations_to_1e-16"])[-1]
    same = within(KNOWN.tolerance["theta_limit"])
    same(last.parameters.latent.weights[0], expected["weight_A"])
    same(heads(last.parameters), [expected["theta_A"], expected["theta_B"]])
    constant = KNOWN.expected["loglik_with_binomial_constant"] - KNOWN.expected["loglik_no_binomial_constant"]
    assert last.log_likelihood == near(expected["loglik_no_binomial_constant"] + constant, 1e-10)


def test_from_equal_coins_em_stays_at_the_saddle():
    """Monotone and at rest, yet no maximum: only second derivatives can tell."""
    expected = KNOWN.expected["equal_start_fixed_point"]
    result = fit_tightly(EVEN, X, parameters=begin_at(0.3, 0.3))
    within(KNOWN.tolerance["theta_limit"])(heads(result.parameters), expected["theta"])
    constant = KNOWN.expected["loglik_with_binomial_constant"] - KNOWN.expected["loglik_no_binomial_constant"]
    assert result.log_likelihood == near(expected["loglik_no_binomial_constant"] + constant, 1e-10)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_free_starts_reach_at_least_the_limit(seed):
    result = fit_tightly(FREE, X, n_init=3, random_state=seed)
    assert result.log_likelihood >= KNOWN.expected["loglik_with_binomial_constant"]
