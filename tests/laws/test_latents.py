"""The laws of a latent, for every latent in the zoo, and its p(path) by the formula."""

from itertools import product

import numpy as np
import pytest
import zoo

from latentem.data import Batch
from latentem.errors import ParameterError
from latentem.kernels.chain import smooth
from latentem.kernels.forward_backward import forward_backward
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters, CategoricalStatistics
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.testing import check_latent, log_path

ALL = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in ALL for k in (1, 2, 3) if k >= ALL[name].fewest])
def test_latent_keeps_the_laws(name, k):
    specimen = ALL[name]
    check_latent(specimen.latent(k), specimen.parameters(k), n_covariates=specimen.n_covariates)


def test_probability_of_independent_states_is_the_product_of_their_weights():
    weights = np.array([0.2, 0.3, 0.5])
    _, log = log_path(Categorical(3), CategoricalParameters(weights), np.array([2, 0, 2, 1]))
    assert log == pytest.approx(np.log(0.5 * 0.2 * 0.5 * 0.3), rel=1e-14)


def test_probability_of_a_path_is_the_product_of_its_transitions():
    params = zoo.LATENTS["MarkovChain"].parameters(3)
    path = np.array([2, 0, 0, 1])
    a = params.transition
    posterior, log = log_path(MarkovChain(3), params, path)
    assert log == pytest.approx(np.log(params.initial[2] * a[2, 0] * a[0, 0] * a[0, 1]), rel=1e-13)
    np.testing.assert_allclose(posterior.pairs[0], [[1, 1, 0], [0, 0, 0], [1, 0, 0]], rtol=1e-15)


def test_states_sampled_follow_the_transitions(rng):
    params = MarkovChainParameters(np.array([1.0, 0, 0]), np.array([[0.5, 0.5, 0], [0, 0.2, 0.8], [0, 0, 1]]))
    path = MarkovChain(3).sample(params, np.full(500, 4), rng).reshape(500, 4)
    assert np.all(path[:, 0] == 0)
    assert np.all(np.diff(path, axis=1) >= 0)
    assert set(np.diff(path, axis=1).ravel()) == {0, 1}


def test_a_forbidden_transition_stays_forbidden():
    params = MarkovChainParameters(np.array([0.5, 0.5, 0]), np.array([[0.5, 0.5, 0], [0, 0.2, 0.8], [0.1, 0, 0.9]]))
    density = np.random.default_rng(0).normal(size=(3, 12))
    batch = Batch(np.zeros((12, 1)))
    chain = MarkovChain(3)
    posterior, _ = chain.posterior(density, batch, params)
    updated = chain.maximize(chain.statistics(posterior, batch), params)
    assert np.array_equal(updated.transition == 0, params.transition == 0)
    assert np.array_equal(updated.unflatten(updated.flatten()).transition == 0, params.transition == 0)


def test_fixed_weights_stay_and_the_others_share_the_rest():
    latent = Categorical(3, fixed=(1,))
    params = CategoricalParameters(np.array([0.5, 0.2, 0.3]))
    updated = latent.maximize(CategoricalStatistics(np.array([10.0, 5.0, 30.0])), params)
    np.testing.assert_allclose(updated.weights, [0.2, 0.2, 0.6], rtol=1e-15)


def test_states_that_are_not_there_cannot_be_fixed():
    with pytest.raises(ParameterError, match="states from 0 to 1"):
        Categorical(2, fixed=(2,))


@pytest.mark.parametrize("latent", [Categorical, MarkovChain])
def test_no_states_are_refused(latent):
    with pytest.raises(ParameterError, match="at least one state"):
        latent(0)


def brute_force(initial, transition, log_density):
    """Posterior, pairs and log-likelihood of a chain by enumeration in logarithms."""
    k, length = log_density.shape
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    paths = np.array(list(product(range(k), repeat=length)))
    logs = log_initial[paths[:, 0]] + log_density[paths, np.arange(length)].sum(axis=1)
    logs += log_transition[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    total = np.logaddexp.reduce(logs)
    share = np.exp(logs - total)
    posterior = np.stack([[share[paths[:, t] == j].sum() for t in range(length)] for j in range(k)])
    pairs = np.zeros((k, k))
    np.add.at(pairs, (paths[:, :-1], paths[:, 1:]), np.broadcast_to(share[:, None], paths[:, 1:].shape))
    return posterior, pairs, total


def sparse_chain(rng, k):
    """Initial probabilities and transitions with many zeros, every state with somewhere to go."""
    allowed = (rng.random((k, k)) < 0.6) | np.eye(k, dtype=bool)
    transition = rng.dirichlet(np.ones(k), size=k) * allowed
    initial = rng.dirichlet(np.ones(k)) if rng.random() < 0.7 else np.eye(k)[0]
    return initial, transition / transition.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(60))
def test_forward_backward_is_enumeration_whatever_the_gaps_between_densities(seed):
    rng = np.random.default_rng(seed)
    initial, transition = sparse_chain(rng, 3)
    log_density = rng.normal(size=(3, 5)) * 10 ** rng.uniform(-1, 3.3)
    posterior, pairs, total = brute_force(initial, transition, log_density)
    scale = 1 + np.abs(log_density).sum()
    for result in (
        forward_backward(initial, transition, log_density),
        [part[0] if i else part for i, part in enumerate(smooth(initial, transition, log_density.copy(), [0, 5]))],
    ):
        np.testing.assert_allclose(result[0], posterior, atol=1e-14 * scale)
        np.testing.assert_allclose(result[1], pairs, atol=1e-14 * scale)
        assert result[2] == pytest.approx(total, abs=1e-14 * scale)


def test_a_state_that_underflows_and_yet_wins_is_not_lost():
    """No transitions: the state that is worse by e^-900 at first is better by e^-700 at each of five later times."""
    log_density = np.array([[0.0, -700, -700, -700, -700, -700], [-900.0, 0, 0, 0, 0, 0]])
    for result in (
        forward_backward(np.full(2, 0.5), np.eye(2), log_density),
        smooth(np.full(2, 0.5), np.eye(2), log_density.copy(), np.array([0, 6])),
    ):
        np.testing.assert_allclose(result[0], [[0] * 6, [1] * 6], atol=1e-12)
        assert np.squeeze(result[2]) == pytest.approx(np.log(0.5) - 900, rel=1e-13)


def test_a_state_that_cannot_be_reached_weighs_nothing_however_well_it_would_go_on():
    log_density = np.vstack([np.full(200, -700.0), np.zeros(200)])
    posterior, pairs, total = forward_backward(np.array([1.0, 0.0]), np.eye(2), log_density)
    np.testing.assert_allclose(posterior, [[1] * 200, [0] * 200])
    np.testing.assert_allclose(pairs, [[199, 0], [0, 0]])
    assert total == pytest.approx(-700 * 200, rel=1e-14)


def test_an_impossible_sequence_has_log_likelihood_minus_infinity():
    forbidden = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    assert forward_backward(np.array([1.0, 0.0]), np.eye(2), forbidden)[2] == -np.inf
    assert forward_backward(np.full(2, 0.5), np.full((2, 2), 0.5), np.full((2, 3), -np.inf))[2] == -np.inf
