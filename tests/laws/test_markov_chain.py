"""Held, tied and stationary probabilities of Markov chains: M-steps, free parameters, what is refused."""

from itertools import product

import numpy as np
import pytest
import zoo
from scipy.optimize import minimize

from latentem import banded, blocks, fit, left_to_right
from latentem.data import Batch
from latentem.errors import ParameterError
from latentem.kernels.stationary import stationary_distribution
from latentem.latents import MarkovChain
from latentem.latents.markov_chain import MarkovChainParameters, MarkovChainStatistics
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.testing import check_model

NAN = np.nan
VARIANTS = {name: one for name, one in zoo.LATENT_VARIANTS.items() if name.startswith("MarkovChain")}


def counts(k, seed=0):
    rng = np.random.default_rng(seed)
    return MarkovChainStatistics(rng.random(k), 10 * rng.random((k, k)))


@pytest.mark.parametrize("name", VARIANTS)
def test_models_with_these_chains_are_enumerations(name):
    specimen = VARIANTS[name]
    model = LatentVariableModel(specimen.latent(2), zoo.counts)
    params = ModelParameters(specimen.parameters(2), zoo.po.PoissonParameters(zoo.rates(2)))
    rng = np.random.default_rng(0)
    check_model(model, params, Batch(rng.poisson(3.0, size=(5, 2)).astype(float), offsets=np.array([0, 1, 5])))


@pytest.mark.parametrize("name", VARIANTS)
def test_no_other_parameters_do_better_than_the_m_step(name):
    """Against a general optimizer in unconstrained coordinates."""
    specimen = VARIANTS[name]
    latent, params = specimen.latent(3), specimen.parameters(3)
    statistics = counts(3)
    statistics = MarkovChainStatistics(
        np.where(params.initial > 0, statistics.initial, 0), np.where(params.transition > 0, statistics.transitions, 0)
    )
    best = latent.maximize(statistics, params)

    def loss(vector):
        return -latent.expected_log_density(statistics, params.unflatten(vector))

    found = minimize(loss, params.flatten(), method="BFGS", options={"gtol": 1e-8})
    assert loss(best.flatten()) == pytest.approx(found.fun, abs=1e-8)


def test_what_is_held_or_tied_is_not_counted():
    k = 4
    free = k * (k - 1) + k - 1
    assert MarkovChain(k).start().n_free == free
    assert MarkovChain(k, fixed=left_to_right(k)).start().n_free == 3 + 3 + 2 + 1
    assert MarkovChain(k, fixed=left_to_right(k, 1), fixed_initial=np.eye(k)[0]).start().n_free == 3
    assert MarkovChain(k, fixed=banded(k, 1)).start().n_free == 3 + 1 + 2 + 2 + 1
    assert MarkovChain(k, fixed=blocks([1, 3])).start().n_free == 3 + 0 + 2 * 3
    assert MarkovChain(k, stationary=True).start().n_free == k * (k - 1)
    assert MarkovChain(k, tied=np.eye(k)).start().n_free == 3 + 1
    same_rows = np.tile(np.arange(k), (k, 1))
    assert MarkovChain(k, tied=same_rows).start().n_free == 3 + 3


def test_coordinates_have_names():
    chain = MarkovChain(2, fixed=[[NAN, NAN], [0, 1]], fixed_initial=[NAN, NAN])
    assert chain.start().coordinate_names() == ["log initial[0]/initial[1]", "log transition[0,0]/transition[0,1]"]


def test_tied_transitions_share_their_counts():
    statistics = counts(3)
    updated = MarkovChain(3, tied=np.eye(3)).maximize(statistics, MarkovChain(3, tied=np.eye(3)).start())
    stay = np.trace(statistics.transitions) / statistics.transitions.sum()
    np.testing.assert_allclose(updated.transition, np.where(np.eye(3) > 0, stay, (1 - stay) / 2), rtol=1e-13)


def test_held_transitions_stay_and_the_others_share_the_rest():
    fixed = [[0.7, NAN, NAN], [NAN, NAN, 0], [0, 0, 1]]
    chain = MarkovChain(3, fixed=fixed)
    statistics = counts(3)
    updated = chain.maximize(statistics, chain.start())
    n = statistics.transitions
    np.testing.assert_allclose(updated.transition[0], [0.7, *(0.3 * n[0, 1:] / n[0, 1:].sum())], rtol=1e-14)
    np.testing.assert_allclose(updated.transition[1], [*(n[1, :2] / n[1, :2].sum()), 0], rtol=1e-14)
    assert np.array_equal(updated.transition[2], [0, 0, 1])


def test_starts_are_made_to_conform():
    given = MarkovChainParameters(np.full(3, 1 / 3), zoo.shares(3, 3))
    conformed = MarkovChain(3, fixed=[[0.5, NAN, NAN], [NAN] * 3, [NAN] * 3]).conform(given)
    row = given.transition[0]
    np.testing.assert_allclose(conformed.transition[0], [0.5, *(0.5 * row[1:] / row[1:].sum())], rtol=1e-14)
    np.testing.assert_allclose(conformed.transition[1:], given.transition[1:], rtol=1e-14)
    stationary = MarkovChain(3, stationary=True).conform(given)
    np.testing.assert_allclose(stationary.initial @ given.transition, stationary.initial, rtol=1e-13)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fixed": np.zeros((2, 2))}, "row 0: all is held, but adds to 0"),
        ({"fixed": [[0.5, 0.6], [NAN, NAN]]}, "row 0: held probabilities must be at least 0 and add to at most 1"),
        ({"fixed": [[1.0, NAN], [NAN, NAN]]}, "leave nothing to the free ones"),
        ({"fixed": np.zeros((3, 2))}, r"must be numbers of shape \(2, 2\)"),
        ({"fixed_initial": [0.2, 0.2]}, "all is held, but adds to 0.4"),
        ({"fixed_initial": [1.0, 0.0], "stationary": True}, "both held"),
        ({"fixed": np.eye(2), "stationary": True}, "states 0 and 1 cannot be left for each other"),
        ({"tied": [[0, NAN], [0, 0]]}, "from state 1 are tied"),
        ({"tied": [[0, NAN], [NAN, 0]]}, "from state 1 are tied"),
        ({"fixed": [[0.5, 0.5], [NAN, NAN]], "tied": [[0, 0], [NAN, NAN]]}, "both fixed and tied"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        MarkovChain(2, **options)


@pytest.mark.parametrize("seed", range(5))
def test_the_stationary_distribution_is_an_eigenvector(seed):
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(6, 0.4), 6)
    transition[:4, 4:] = 0  # the last two are left for ever
    transition /= transition.sum(axis=1, keepdims=True)
    stationary = stationary_distribution(transition)
    np.testing.assert_allclose(stationary @ transition, stationary, rtol=1e-12)
    assert np.array_equal(stationary[4:], [0, 0])
    assert stationary.sum() == pytest.approx(1, rel=1e-14)


def test_the_stationary_distribution_of_a_chain_that_hardly_moves_keeps_its_digits():
    a, b = 1e-13, 3e-13
    stationary = stationary_distribution(np.array([[1 - a, a], [b, 1 - b]]))
    np.testing.assert_allclose(stationary, [0.75, 0.25], rtol=1e-14)


def test_transitions_too_rare_for_ratios_have_a_stationary_distribution():
    np.testing.assert_allclose(stationary_distribution(np.array([[0.5, 0.5], [1e-310, 1.0]])), [2e-310, 1], rtol=1e-12)
    up, down = np.full(39, 1e-12), np.full(39, 1e-3)
    climb = np.diag(up, 1) + np.diag(down, -1)
    climb += np.diag(1 - climb.sum(axis=1))
    expected = 1e-9 ** np.arange(40)  # to 1e-351, which is zero
    for table, found in ((climb, expected), (climb[::-1, ::-1], expected[::-1])):
        np.testing.assert_allclose(stationary_distribution(table), found / found.sum(), rtol=1e-10, atol=1e-307)


def test_fits_with_a_stationary_start_are_the_maximum_of_their_likelihood():
    """Many short sequences, where the start says much: no optimizer climbs from where EM ends."""
    rng = np.random.default_rng(2)
    chain = MarkovChain(2, stationary=True)
    truth = chain.conform(MarkovChainParameters(np.full(2, 0.5), np.array([[0.8, 0.2], [0.4, 0.6]])))
    lengths = [3] * 60
    values = rng.poisson(np.array([1.0, 9.0])[chain.sample(truth, np.array(lengths), rng)])[:, None]
    model = LatentVariableModel(chain, zoo.counts)
    start = ModelParameters(truth, zoo.po.PoissonParameters(np.array([[1.0], [9.0]])))
    result = fit(model, values, lengths=lengths, parameters=start, tol=1e-10)
    assert result.converged
    assert result.parameters.n_free == 4
    score = model.objective_score(result.expectation.statistics, result.parameters)
    np.testing.assert_allclose(score, 0, atol=1e-3)
    a, b = result.parameters.latent.transition[[0, 1], [1, 0]]
    np.testing.assert_allclose(result.parameters.latent.initial, [b / (a + b), a / (a + b)], rtol=1e-12)


@pytest.mark.parametrize(("name", "k"), list(product(VARIANTS, (2, 3))))
def test_a_prior_leaves_alone_what_is_held(name, k):
    specimen = VARIANTS[name]
    model = LatentVariableModel(specimen.latent(k), zoo.counts, Prior(concentration=2.0))
    params = ModelParameters(specimen.parameters(k), zoo.po.PoissonParameters(zoo.rates(k)))
    assert np.isfinite(model.log_prior(params))
    values = np.random.default_rng(1).poisson(3.0, size=(40, 2)).astype(float)
    result = fit(model, values, lengths=[15, 25], parameters=params, max_iter=20, tol=0.0)
    objectives = [objective for _, objective in result.history]
    assert np.all(np.diff(objectives) >= -1e-9)
    held = ~np.isnan(params.latent.pattern.held)
    np.testing.assert_allclose(result.parameters.latent.transition[held], params.latent.pattern.held[held], rtol=1e-14)


def test_models_with_patterns_are_saved_and_read(tmp_path):
    from latentem.io.model_files import load, save

    chain = MarkovChain(3, fixed=left_to_right(3), fixed_initial=np.eye(3)[0])
    model = LatentVariableModel(chain, zoo.counts)
    values = np.random.default_rng(1).poisson(3.0, size=(30, 1)).astype(float)
    result = fit(model, values, lengths=[30], max_iter=3, random_state=0)
    save(result, tmp_path / "chain.latentem")
    back = load(tmp_path / "chain.latentem")
    assert back.model == model
    assert back.parameters.latent.n_free == result.parameters.latent.n_free == 3
    assert np.array_equal(back.parameters.latent.transition, result.parameters.latent.transition)


STATIONARY_PATTERNS = {
    "free": {},
    "banded": {"fixed": banded(5, 2)},
    "held": {"fixed": np.where(np.eye(5) > 0, 0.3, NAN)},
    "tied": {"tied": np.eye(5)},
    "same rows": {"tied": np.tile(np.arange(5), (5, 1))},
}


@pytest.mark.parametrize("name", STATIONARY_PATTERNS)
def test_the_hessian_of_a_stationary_chain_is_the_slope_of_its_gradient(name):
    chain, statistics = MarkovChain(5, stationary=True, **STATIONARY_PATTERNS[name]), counts(5)
    rng = np.random.default_rng(4)
    params = chain.conform(MarkovChainParameters(np.full(5, 0.2), rng.dirichlet(np.ones(5), 5)))
    vector = params.flatten()
    value, slope, hessian = chain._derivatives(statistics, params)
    assert value == chain.expected_log_density(statistics, params)
    np.testing.assert_allclose(slope, chain.score(statistics, params), rtol=1e-13)
    for i, row in enumerate(hessian):
        step = 1e-5 * np.eye(len(vector))[i]
        up, down = (chain.score(statistics, params.unflatten(vector + by)) for by in (step, -step))
        np.testing.assert_allclose(row, (up - down) / 2e-5, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("k", [2, 8, 21])
def test_the_m_step_of_a_stationary_chain_takes_few_evaluations(k, monkeypatch):
    """By Newton's steps, and for many states by limited memory: the score vanishes at the end."""
    chain, statistics, seen = MarkovChain(k, stationary=True), counts(k), []
    q = MarkovChain.expected_log_density
    monkeypatch.setattr(MarkovChain, "expected_log_density", lambda *given: seen.append(0) or q(*given))
    updated = chain.maximize(statistics, chain.start())
    assert q(chain, statistics, updated) > q(chain, statistics, chain.start())
    np.testing.assert_allclose(chain.score(statistics, updated), 0, atol=1e-9 if k < 21 else 1e-3)
    assert len(seen) < 200


@pytest.mark.parametrize("k", [3, 8, 18])
def test_the_m_step_of_a_stationary_chain_never_falls_however_bare_the_counts(k):
    """Transitions that were not seen, and rows that were not: what is best lies at the edge."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        seen = rng.random((k, k)) < 0.3
        statistics = MarkovChainStatistics(5 * rng.dirichlet(np.ones(k)), 100.0 * seen * rng.random((k, k)))
        chain = MarkovChain(k, stationary=True)
        params = chain.conform(MarkovChainParameters(np.full(k, 1 / k), rng.dirichlet(np.full(k, 0.3), k)))
        updated = chain.maximize(statistics, params)
        q = chain.expected_log_density(statistics, params), chain.expected_log_density(statistics, updated)
        assert np.isfinite(q[1])
        assert q[1] >= q[0]
        np.testing.assert_allclose(updated.initial @ updated.transition, updated.initial, rtol=1e-9, atol=1e-14)
