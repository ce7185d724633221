"""Declared Markov chains over sequences: covariates, chunks, forbidden steps, rows that spoil no other sequence."""

from __future__ import annotations

from typing import Any

import jax.nn
import jax.numpy as jnp
import numpy as np
import pytest
from declared.chains import (
    DICE,
    DRIVEN,
    GAUSSIAN,
    LEFT_TO_RIGHT,
    LENGTHS,
    SPECIMENS,
    N,
    batch_of,
    numbers,
    pair_sums,
    source_of,
    switching,
)
from jax.scipy.stats import norm
from kernels.all_paths import Tables, enumerate_paths
from reference.cases import near, within
from scipy.special import log_expit
from scipy.stats import norm as normal

import latentem as em
from latentem.errors import DataError
from latentem.models.declared.m_steps.sufficient import Basis, NoBasis
from latentem.sources import Grouping, as_source


def test_first_states_may_depend_on_a_covariate():
    model = em.latent_variable_model(
        latent=em.MarkovChain(2),
        parameters={"slope": em.Real(), "means": em.Real(2)},
        log_initial=lambda x, z, theta: jax.nn.log_sigmoid(jnp.where(z == 1, 1.0, -1.0) * theta.slope * x["c"]),
        log_transition=lambda previous, z, theta: jnp.log(jnp.where(previous == z, 0.8, 0.2)),
        log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.means[z], 1.0),
    )
    x = SPECIMENS["covariates"][2]
    points = model.infer(model.parameters(slope=0.7, means=[-1.0, 1.5]), batch_of(x, LENGTHS))
    emission = normal.logpdf(x["y"][:, None], [-1.0, 1.5])
    steps = np.broadcast_to(np.log([[0.8, 0.2], [0.2, 0.8]]), (N, 2, 2))
    start = 0
    for g, length in enumerate(LENGTHS):
        rows = slice(start, start + length)
        initial = log_expit(np.array([-0.7, 0.7]) * x["c"][start])
        posterior, _, totals, _ = enumerate_paths(Tables(initial, steps[rows], emission[rows]), [length])
        within(1e-12)(points.weights[:2, rows], posterior)
        within(1e-12)(points.log_likelihood[g], totals[0])
        start += length


def test_sequences_in_several_chunks_by_several_workers(rng):
    lengths = np.full(60, 10)
    x = rng.normal(size=600) + 3.0 * switching(rng, 600, 2)
    whole = source_of(x, lengths)
    chunked = em.ArraySource(whole.values, lengths=lengths, chunk_rows=50, names=whole.names, layout=whole.layout)
    assert len(chunked.chunks) == 12
    start = GAUSSIAN.parameters(**SPECIMENS["one matrix"][1])
    serial, threads = (em.fit(GAUSSIAN, chunked, parameters=start, executor=name) for name in ("serial", "threads"))
    assert serial.log_likelihood == threads.log_likelihood
    assert np.array_equal(serial.parameters.flatten(), threads.parameters.flatten())
    assert serial.log_likelihood == near(em.fit(GAUSSIAN, whole, parameters=start).log_likelihood, 1e-6)


def test_other_data_trace_nothing_anew(rng):
    start = GAUSSIAN.parameters(**SPECIMENS["one matrix"][1])
    first = em.fit(GAUSSIAN, rng.normal(size=300), lengths=[100, 200], parameters=start, max_iter=3)
    functions = first.model._any_functions()
    before = dict(functions.traced)
    again = em.fit(GAUSSIAN, rng.normal(size=5000), lengths=[2500] * 2, parameters=start, max_iter=3)
    assert dict(functions.traced) == before and again.model._any_functions() is functions
    assert sum(count > 0 for count in before.values()) <= 6


def test_a_left_to_right_chain_goes_right(rng):
    path = np.repeat([0, 1, 2], [15, 20, 10])
    x = np.concatenate([rng.normal(size=45) + 4.0 * path for _ in range(6)])
    lengths = [45] * 6
    result = em.fit(LEFT_TO_RIGHT, x, lengths=lengths, parameters={"stay": 0.5, "means": [-1.0, 3.0, 6.0]})
    objectives = np.array([value for _, value in result.history])
    assert result.converged and isinstance(result.model.basis, Basis) and np.all(np.diff(objectives) > -1e-9)
    within(0.4)(result.parameters.means, [0.0, 4.0, 8.0])
    within(0.02)(result.parameters.stay, [14 / 15, 19 / 20])
    points = result.model.infer(result.parameters, batch_of(x, lengths))
    forbidden = points.weights[3:].reshape(3, 3, -1)[np.tril_indices(3, -1)]
    assert not forbidden.any() and not points.weights[1:3, ::45].any()


def test_sequences_of_one_row_are_a_mixture():
    values = SPECIMENS["one matrix"][1]
    x = numbers(5)
    mixture = em.latent_variable_model(
        lambda x, z, theta: jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z]),
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    )
    same_values = {"weights": values["initial"], "means": values["means"], "scales": values["scales"]}
    (rows,) = as_source(x, grouping=Grouping())
    expected = mixture.infer(mixture.parameters(**same_values), rows)
    points = GAUSSIAN.infer(GAUSSIAN.parameters(**values), batch_of(x, [1] * N))
    within(1e-14)(points.log_likelihood, expected.log_likelihood)
    within(1e-14)(points.weights[:2], expected.weights)
    assert not points.weights[2:].any()


@pytest.mark.parametrize("name", ["one matrix", "covariates"])
def test_a_weight_of_two_is_the_sequence_twice(name):
    model, values, x, _ = SPECIMENS[name]
    parameters = model.parameters(**values)
    columns = x if isinstance(x, dict) else {"x": x}
    twice = {key: np.concatenate([column, column[:4]]) for key, column in columns.items()}
    weighted = np.repeat([2.0, 1.0, 1.0, 1.0], LENGTHS)
    more = twice if isinstance(x, dict) else twice["x"]
    here, there = (
        model._q_share(parameters, parameters.flatten() + 0.1, batch)
        for batch in (batch_of(x, LENGTHS, sample_weight=weighted), batch_of(more, [*LENGTHS, 4]))
    )
    within(1e-11)(here.value, there.value)
    within(1e-11)(here.gradient, there.gradient)
    within(1e-10)(here.curvature, there.curvature)


def impossible_sequences() -> tuple[Any, Any, np.ndarray]:
    """A chain of rolls in which face 6 cannot follow face 1, and three sequences, of which the second breaks that."""
    faces = [[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1.0]]
    parameters = DICE.parameters(initial=[0.5, 0.5], transition=[[1.0, 0.0], [0.5, 0.5]], faces=faces)
    return parameters, [3, 2, 1], np.array([6, 1, 1, 1, 6, 6])


def test_an_impossible_sequence_spoils_no_other():
    parameters, lengths, rolls = impossible_sequences()
    weights = np.repeat([1.0, 0.0, 1.0], lengths)
    batch = batch_of(rolls, lengths, sample_weight=weights)
    points = DICE.estep.points(DICE._functions(batch), parameters.values, DICE.rows(batch), batch)
    within(1e-14)(points.log_likelihood, [2 * np.log(0.5), -np.inf, np.log(0.5)])
    assert np.all(np.isfinite(points.weights)) and not points.weights[:, 3:5].any()
    within(1e-14)(points.weights[:2, :3], [[0, 1, 1], [1, 0, 0]])
    assert DICE.e_step(parameters, batch).log_likelihood == near(3 * np.log(0.5), 1e-14)
    with pytest.raises(DataError, match="row 3"):
        DICE.e_step(parameters, batch_of(rolls, lengths))


@pytest.mark.parametrize("name", ["one matrix", "covariates"])
@pytest.mark.parametrize("row", [0, 3, 4, 11])
def test_what_is_not_a_number_stays_in_its_sequence(name, row):
    model, values, x, _ = SPECIMENS[name]
    parameters = model.parameters(**values)
    good = model.infer(parameters, batch_of(x, LENGTHS))
    broken = {key: column.copy() for key, column in x.items()} if isinstance(x, dict) else x.copy()
    (broken["y"] if isinstance(x, dict) else broken)[row] = np.nan
    batch = batch_of(broken, LENGTHS)
    points = model.estep.points(model._functions(batch), parameters.values, model.rows(batch), batch)
    sequence = int(np.searchsorted(np.cumsum(LENGTHS), row, side="right"))
    others = np.repeat(np.arange(len(LENGTHS)), LENGTHS) != sequence
    assert np.isnan(points.log_likelihood[sequence]) and not points.weights[:, ~others].any()
    within(1e-13)(np.delete(points.log_likelihood, sequence), np.delete(good.log_likelihood, sequence))
    within(1e-13)(points.weights[:, others], good.weights[:, others])


def test_a_covariate_may_be_missing_where_a_sequence_begins():
    model, values, x, _ = SPECIMENS["covariates"]
    parameters = model.parameters(**values)
    starts = np.cumsum([0, *LENGTHS[:-1]])
    lacking = {"y": x["y"], "c": x["c"].copy()}
    lacking["c"][starts] = np.nan
    expected = model.infer(parameters, batch_of(x, LENGTHS))
    points = model.infer(parameters, batch_of(lacking, LENGTHS))
    assert np.array_equal(points.log_likelihood, expected.log_likelihood)
    assert np.array_equal(points.weights, expected.weights)


def test_transitions_too_rare_for_plain_probabilities():
    """exp(-1000) is no number but 0; the only way from a state to the other still has its posterior."""
    model = em.latent_variable_model(
        latent=em.MarkovChain(2),
        parameters={"rare": em.Real(), "means": em.Real(2)},
        log_initial=lambda z, theta: jnp.where(z == 0, 0.0, -jnp.inf),
        log_transition=lambda previous, z, theta: jnp.where(
            previous == z, 0.0, jnp.where(z == 1, theta.rare, -jnp.inf)
        ),
        log_emission=lambda x, z, theta: jnp.where(x == z, 0.0, -jnp.inf) + 0.0 * theta.means[z],
    )
    points = model.infer(model.parameters(rare=-1000.0, means=0.0), batch_of(np.array([0.0, 0.0, 1.0, 1.0])))
    within(1e-12)(points.log_likelihood, [-1000.0])
    within(1e-12)(points.weights[:2], [[1, 1, 0, 0], [0, 0, 1, 1]])
    within(1e-12)(pair_sums(points.weights, 2, [4])[0], [[1, 1], [0, 1]])


def test_a_driven_chain_is_recovered_and_its_objective_rises(rng):
    n = 1500
    c, z = rng.normal(size=n), np.zeros(n, int)
    intercepts, slopes = np.array([-2.0, 2.0]), np.array([1.5, 0.0])
    for t in range(1, n):
        z[t] = rng.random() < 1 / (1 + np.exp(-intercepts[z[t - 1]] - slopes[z[t - 1]] * c[t]))
    x = {"y": rng.normal(size=n) + 4.0 * z, "c": c}
    start = {"intercepts": 0.0, "slopes": 0.0, "means": [-1.0, 1.0]}
    result = em.fit(DRIVEN, x, lengths=[600, 900], parameters=start)
    objectives = np.array([value for _, value in result.history])
    assert result.converged and isinstance(result.model.basis, NoBasis)
    assert np.all(np.diff(objectives) > -1e-9)
    within(0.5)(result.parameters.intercepts, intercepts)
    within(0.5)(result.parameters.slopes, slopes)
