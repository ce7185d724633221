"""Declared Markov chains: forward-backward against all paths, built-in models and published values."""

from __future__ import annotations

from typing import Any

import jax.nn
import jax.numpy as jnp
import numpy as np
import pytest
from declared.chains import (
    DICE,
    GAUSSIAN,
    LENGTHS,
    POISSON,
    SPECIMENS,
    batch_of,
    chain_of,
    pair_sums,
    source_of,
    switching,
)
from jax.scipy.stats import norm
from kernels.all_paths import enumerate_paths
from reference.cases import case, em_steps, log_likelihoods, near, within

import latentem as em
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.models.declared import prepare
from latentem.models.declared.m_steps.sufficient import Basis

# -- all paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [None, [-1, 1, -1, 0, -1, -1, 0, -1, -1, 1, -1, -1]], ids=["unknown", "some known"])
@pytest.mark.parametrize("name", SPECIMENS)
def test_posteriors_are_those_of_all_paths(name, known):
    model, values, x, tables = SPECIMENS[name]
    if name == "left to right" and known is not None:
        known = [-1, 1, -1, 2, 0, -1, 0, -1, -1, 1, -1, -1]
    parameters = model.parameters(**values)
    labels = None if known is None else np.array(known)
    posterior, pairs, totals, _ = enumerate_paths(tables(parameters, x), LENGTHS, labels)
    points = model.infer(parameters, batch_of(x, LENGTHS, labels=known))
    k = len(posterior)
    same = within(1e-12)
    same(points.log_likelihood, totals)
    same(points.weights[:k], posterior)
    same(pair_sums(points.weights, k, LENGTHS), pairs)
    assert model.estep.kind == "exact forward-backward over sequences" and model.estep.approximation is None


@pytest.mark.parametrize("name", SPECIMENS)
def test_q_is_the_mean_over_all_paths(name):
    """Also at another θ; the data's own Q and that of the sufficient statistics."""
    model, values, x, tables = SPECIMENS[name]
    parameters = model.parameters(**values)
    sequence_weights = np.array([1.0, 0.5, 2.0, 3.0])
    rows = np.repeat(sequence_weights, LENGTHS)
    source = source_of(x, LENGTHS, sample_weight=rows)
    (batch,) = source
    prepared = prepare(model, source, parameters)
    elsewhere = parameters.unflatten(parameters.flatten() + 0.3)
    *_, weighted = enumerate_paths(tables(parameters, x), LENGTHS)

    def q(at: Any) -> float:
        there = tables(at, x)
        return sum(rows[start] * weight * there.of_path(path, start) for path, start, weight in weighted if weight)

    expectation = prepared.e_step(parameters, batch)
    assert float(expectation.statistics.complete) == near(q(parameters), 1e-10)
    assert float(model._q_share(parameters, elsewhere.flatten(), batch).value) == near(q(elsewhere), 1e-10)
    assert isinstance(prepared.basis, Basis)
    assert prepared.q_function(elsewhere, expectation.statistics) == near(q(elsewhere), 1e-9)


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_score_is_the_slope_of_the_log_likelihood(name):
    model, values, x, _ = SPECIMENS[name]
    parameters = model.parameters(**values)
    batch, vector = batch_of(x, LENGTHS), parameters.flatten()
    score = model._q_share(parameters, vector, batch).gradient

    def log_likelihood(at: np.ndarray) -> float:
        return float(model.infer(parameters.unflatten(at), batch).log_likelihood.sum())

    steps = 1e-5 * np.eye(len(vector))
    slopes = [(log_likelihood(vector + step) - log_likelihood(vector - step)) / 2e-5 for step in steps]
    within(1e-7)(score, slopes)


# -- built-in models -------------------------------------------------------------------------------


def both_climb(declared: Any, own: Any, built_in: Any, theirs: Any, x: np.ndarray, lengths: list[int]) -> Any:
    """Log-likelihoods of the first iterations of both are the same, and so are their ends."""
    source = source_of(x, lengths)
    prepared = prepare(declared, source, own)
    assert isinstance(prepared.basis, Basis)
    mine = em_steps(prepared, source, own, 25)
    others = em_steps(built_in, x[:, None], theirs, 25, lengths=lengths)
    within(1e-9)(log_likelihoods(mine), log_likelihoods(others))
    tight = {"tol": 1e-9, "lengths": lengths, "executor": "serial"}
    mine = em.fit(declared, x, parameters=own, **tight)
    others = em.fit(built_in, x[:, None], parameters=theirs, **tight)
    assert mine.converged and others.converged
    assert mine.log_likelihood == near(others.log_likelihood, 1e-7)
    within(1e-4)(mine.parameters.transition, others.parameters.latent.transition)
    return mine.parameters, others.parameters


def test_gaussian_emissions_as_built_in(rng):
    lengths = [60, 1, 25, 2, 112]
    x = rng.normal(size=200) + 3.0 * switching(rng, 200, 2)
    initial, transition = np.array([0.5, 0.5]), np.array([[0.7, 0.3], [0.4, 0.6]])
    own = GAUSSIAN.parameters(initial=initial, transition=transition, means=[0.0, 2.0], scales=[1.0, 2.0])
    family = em.families.FullGaussian()
    emission = family.start(batch_of(x[:, None], lengths), 2)
    emission = type(emission)(np.array([[0.0], [2.0]]), np.array([[[1.0]], [[4.0]]]))
    built_in = LatentVariableModel(em.latents.MarkovChain(2), family)
    theirs = ModelParameters(MarkovChainParameters(initial, transition), emission)
    mine, others = both_climb(GAUSSIAN, own, built_in, theirs, x, lengths)
    within(1e-4)(mine.means, others.emission.means[:, 0])


def test_poisson_emissions_as_built_in(rng):
    lengths = [50, 70, 30]
    x = rng.poisson(np.array([1.0, 5.0, 12.0])[switching(rng, 150, 3)])
    initial, transition = np.full(3, 1 / 3), np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    own = POISSON.parameters(initial=initial, transition=transition, rates=[2.0, 4.0, 9.0])
    family = em.families.Poisson()
    emission = type(family.start(batch_of(x[:, None].astype(float), lengths), 3))(np.array([[2.0], [4.0], [9.0]]))
    built_in = LatentVariableModel(em.latents.MarkovChain(3), family)
    theirs = ModelParameters(MarkovChainParameters(initial, transition), emission)
    both_climb(POISSON, own, built_in, theirs, x.astype(float), lengths)


# -- published values ------------------------------------------------------------------------------


def casino(initial: list[float]) -> Any:
    loaded = [0.1] * 5 + [0.5]
    transition = [[0.95, 0.05], [0.10, 0.90]]
    return DICE.parameters(initial=initial, transition=transition, faces=[[1 / 6] * 6, loaded])


def test_the_dishonest_casino():
    known = case("hmm_dishonest_casino")
    rolls = known.columns("roll")[:, 0].astype(int)
    posterior = DICE.infer(casino([0.5, 0.5]), batch_of(rolls)).weights[0]
    within(known.tolerance["posterior"])(posterior[:20], known.expected["posterior_fair_first_20"])
    within(known.tolerance["posterior"])(posterior[::25], known.expected["posterior_fair_every_25th"])
    for start, name in (([0.5, 0.5], "half"), ([2 / 3, 1 / 3], "(2/3,1/3)")):
        expected = known.expected[f"loglik_at_true_parameters_initial_{name}"]
        assert DICE.infer(casino(start), batch_of(rolls)).log_likelihood.sum() == near(expected, 1e-8)


def test_the_casino_s_trace():
    known = case("hmm_dishonest_casino")
    source, start = source_of(known.columns("roll")[:, 0].astype(int)), casino([0.5, 0.5])
    expected = known.expected["baum_welch_trace_from_true_first_51"]
    steps = em_steps(prepare(DICE, source, start), source, start, len(expected) - 1)
    within(known.tolerance["trace"])(log_likelihoods(steps), expected)
    limit = known.expected["baum_welch_limit_from_true"]
    within(1e-4)(steps[-1].parameters.transition, limit["A"])
    within(1e-4)(steps[-1].parameters.faces, limit["E"])


def test_the_trace_of_the_earthquakes():
    known = case("hmm_earthquakes_poisson")
    counts = known.columns("count")[:, 0].astype(int)
    start = POISSON.parameters(initial=1 / 3, transition=0.1 + 0.7 * np.eye(3), rates=[10.0, 20.0, 30.0])
    source = source_of(counts)
    expected = known.expected["EM_loglik_trace_m3_from_lambda_10_20_30_diag0.8_delta_1/3"]
    steps = em_steps(prepare(POISSON, source, start), source, start, len(expected) - 1)
    within(1e-7)(log_likelihoods(steps), expected)
    within(known.tolerance["lambda"])(steps[-1].parameters.rates, known.expected["EM_free_initial_m3"]["lambda"])


def speed_data() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Response times and answers of three series, with the covariate of the trial before; and the series' lengths."""
    series, times, correct, pay = case("hmm_speed_accuracy").columns("series", "rt", "corr", "Pacc").T
    before = np.concatenate([[0.0], pay[:-1]])
    return {"rt": times, "corr": correct.astype(int), "before": before}, np.unique(series, return_counts=True)[1]


def speed_emission(x: Any, z: Any, theta: Any) -> Any:
    answer = jnp.log(jnp.where(x["corr"] == 1, theta.correct[z], 1.0 - theta.correct[z]))
    return norm.logpdf(x["rt"], theta.means[z], theta.scales[z]) + answer


SPEED_DOMAINS = {"means": em.Real(2), "scales": em.Positive(2), "correct": em.UnitInterval(2)}
SPEED_START = {"means": [5.5, 6.4], "scales": [0.2, 0.25], "correct": [0.5, 0.9]}


def test_speed_and_accuracy():
    known = case("hmm_speed_accuracy")
    x, lengths = speed_data()
    model = chain_of(2, speed_emission, **SPEED_DOMAINS)
    rounded = known.expected["evaluation_at_rounded_parameters"]
    at = model.parameters(
        initial=rounded["initial"],
        transition=rounded["A"],
        means=rounded["rt_mean"],
        scales=rounded["rt_sd"],
        correct=[row[1] for row in rounded["P_inc_cor"]],
    )
    assert model.infer(at, batch_of(x, lengths)).log_likelihood.sum() == near(rounded["loglik"], 1e-8)
    start = {"initial": 0.5, "transition": [[0.8, 0.2], [0.2, 0.8]], **SPEED_START}
    result = em.fit(model, x, lengths=lengths, parameters=start)
    expected = known.expected["rt_corr_2states_3series"]
    assert result.converged
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    within(known.tolerance["parameters"])(result.parameters.means, expected["mean"][::-1])
    within(known.tolerance["parameters"])(result.parameters.transition, np.array(expected["A"])[::-1, ::-1])


def test_speed_and_accuracy_with_a_covariate_of_the_transitions():
    """The limit of depmixS4, which had its last step at 1e-8; there a step depends on the trial that it leaves."""
    known = case("hmm_speed_accuracy")
    x, lengths = speed_data()

    def log_transition(x: Any, previous: Any, z: Any, theta: Any) -> Any:
        logit = theta.intercepts[previous] + theta.slopes[previous] * x["before"]
        return jax.nn.log_sigmoid(jnp.where(z == 1, logit, -logit))

    model = em.latent_variable_model(
        latent=em.MarkovChain(2),
        parameters={"initial": em.Simplex(2), "intercepts": em.Real(2), "slopes": em.Real(2), **SPEED_DOMAINS},
        log_initial=lambda z, theta: jnp.log(theta.initial[z]),
        log_transition=log_transition,
        log_emission=speed_emission,
    )
    start = {"initial": 0.5, "intercepts": [-2.0, 0.0], "slopes": 1.0, **SPEED_START}
    result = em.fit(model, x, lengths=lengths, parameters=start, tol=1e-7)
    objectives = np.array([value for _, value in result.history])
    expected = known.expected["depmixS4"]["rt_corr_2states_Pacc_3series"]
    assert result.converged and np.all(np.diff(objectives) > -1e-9)
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    _, _, _, first, _, first_slope, _, second, _, second_slope, *_ = expected["pars"]
    within(0.01)(result.parameters.intercepts, [first, second])
    within(0.05)(result.parameters.slopes, [first_slope, second_slope])
