"""A long sequence is worked on block by block: the E-step is that of the whole, to the same bits on every executor."""

from dataclasses import replace

import numpy as np
import pytest
import zoo

from latentem import fit
from latentem.data import ArraySource, Batch
from latentem.errors import DataError
from latentem.execution import Serial, Threads
from latentem.latents import MarkovChain, left_to_right
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, blocks, joined
from latentem.models import starts
from latentem.statistics import arrays_of

K = 3
FAMILIES = ["FullGaussian", "DiagonalGaussian", "Poisson", "CategoricalColumns", "Weibull"]


@pytest.fixture
def short_blocks(monkeypatch):
    """Sequences of 100 rows are long, and their blocks have 32 rows."""
    for module in (joined, blocks, starts):
        monkeypatch.setattr(module, "LONG", 100)
        monkeypatch.setattr(module, "default_chunk_rows", lambda n_columns: 32)


def specimen(name, lengths, left=False):
    family = zoo.FAMILIES[name]
    transition = zoo.shares(K, K)
    if left:
        transition = np.triu(transition) / np.triu(transition).sum(axis=1, keepdims=True)
    params = ModelParameters(MarkovChainParameters(zoo.shares(1, K)[0], transition), family.parameters(K))
    rng = np.random.default_rng(3)
    states = MarkovChain(K).sample(params.latent, np.array(lengths), rng)
    values = family.of(K).sample(params.emission, states, rng)
    batch = Batch(values, offsets=np.concatenate([[0], np.cumsum(lengths)]))
    return LatentVariableModel(MarkovChain(K), family.of(K)), params, batch


def assert_same_expectation(got, expected):
    for a, b in zip(arrays_of(got), arrays_of(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)


def whole(model, params, batch):
    return model._e_step(params, replace(batch, memo={}))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_e_step_in_blocks_is_that_of_the_whole(short_blocks, name, left):
    model, params, batch = specimen(name, [20, 333, 5, 7, 100, 101, 99], left)
    assert_same_expectation(model.e_step(params, batch), whole(model, params, batch))


def test_weights_labels_and_missing_rows_count_in_blocks_too(short_blocks):
    model, params, batch = specimen("FullGaussian", [150, 40, 200])
    rng = np.random.default_rng(0)
    values = np.where(rng.random(batch.values.shape) < 0.2, np.nan, batch.values)
    values[60:130] = np.nan
    labels = np.where(rng.random(len(values)) < 0.1, rng.integers(K, size=len(values)), -1)
    weights = np.repeat([2.0, 1.0, 0.5], batch.group_lengths)
    batch = replace(batch, values=values, labels=labels, weights=weights, missing=True)
    assert_same_expectation(model.e_step(params, batch), whole(model, params, batch))


def test_executors_give_the_same_bits(short_blocks):
    model, params, batch = specimen("FullGaussian", [700])
    source = ArraySource(batch.values, lengths=[700])
    results = [
        executor.fold(lambda part: model.e_step(params, part), source)
        for executor in (Serial(), Threads(1), Threads(2), Threads(5))
    ]
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(arrays_of(results[0]), arrays_of(other), strict=True))


def test_an_impossible_long_sequence_is_named_unless_it_weighs_nothing(short_blocks):
    model, params, batch = specimen("CategoricalColumns", [30, 250])
    impossible = replace(
        params.emission.columns[0], probabilities=np.tile([1.0, 0.0], (K, 1))
    )
    params = replace(params, emission=replace(params.emission, columns=(impossible, params.emission.columns[1])))
    batch = replace(batch, values=np.where(np.arange(280)[:, None] == 200, 1.0, np.minimum(batch.values, 0.0)))
    with pytest.raises(DataError, match=r"the 250 rows from row 30 on .* no states can have"):
        model.e_step(params, batch)
    weights = np.repeat([1.0, 0.0], [30, 250])
    found = model.e_step(params, replace(batch, weights=weights))
    alone = model.e_step(params, batch.groups_between(0, 1))
    assert_same_expectation(found, alone)


def test_a_sequence_that_needs_logarithms_is_smoothed_whole(short_blocks):
    values = np.concatenate([np.full((200, 1), 10.0), np.full((200, 1), -12.0)])
    model = LatentVariableModel(MarkovChain(2), zoo.normal)
    emission = zoo.g.DiagonalGaussianParameters(np.array([[10.0], [-10.0]]), np.ones((2, 1)))
    params = ModelParameters(MarkovChainParameters(np.full(2, 0.5), np.eye(2)), emission)
    batch = Batch(values)
    assert_same_expectation(model.e_step(params, batch), whole(model, params, batch))


def test_a_fit_of_a_long_sequence_rises_and_ends_where_that_of_the_whole_ends(short_blocks, monkeypatch):
    model, _, batch = specimen("FullGaussian", [600])
    options = {"lengths": [600], "random_state": 0, "max_iter": 30, "tol": 0.0}
    blockwise = fit(model, batch.values, **options)
    for module in (joined, blocks, starts):
        monkeypatch.setattr(module, "LONG", 10**6)
    dense = fit(model, batch.values, parameters=blockwise.parameters, **{**options, "max_iter": 0})
    assert dense.objective == pytest.approx(blockwise.objective, rel=1e-12)
    objectives = [objective for _, objective in blockwise.history]
    assert np.all(np.diff(objectives) >= -1e-9)


def test_a_long_left_to_right_sequence_keeps_its_zeros(short_blocks):
    model = LatentVariableModel(
        MarkovChain(K, fixed=left_to_right(K), fixed_initial=np.eye(K)[0]), zoo.FAMILIES["Poisson"].of(K)
    )
    rng = np.random.default_rng(1)
    values = rng.poisson(np.repeat([1.0, 4.0, 9.0], 150)[:, None], size=(450, 2))
    start = ModelParameters(model.latent.start(), zoo.po.PoissonParameters(np.array([[1.5, 1.5], [4, 4], [8, 8.0]])))
    result = fit(model, values, lengths=[450], parameters=start, tol=1e-6)
    chain = result.parameters.latent
    assert np.array_equal(np.triu(chain.transition), chain.transition)
    np.testing.assert_allclose(result.parameters.emission.rates.mean(axis=1), [1, 4, 9], rtol=0.1)
    np.testing.assert_allclose(np.diag(chain.transition)[:2], 1 - 1 / 150, atol=2e-3)


def test_densities_of_many_rows_are_found_block_by_block(short_blocks):
    model, params, batch = specimen("Poisson", [140, 150])
    batch = replace(batch, labels=np.where(np.arange(290) == 250, 2, -1))
    densities = model.state_densities(params, batch)
    expected = model.family.log_density(batch.without_labels(), params.emission)
    expected[:2, 250] = -np.inf
    np.testing.assert_allclose(densities, expected, rtol=1e-13)


def test_pools_of_long_sequences_come_in_pieces():
    source = ArraySource(np.arange(60_000.0)[:, None], lengths=[50_000, 10_000])
    pool = starts.draw_pool(source, np.random.default_rng(0), 8000, cut=True)
    assert 2000 < len(pool) < 20_000
    starts_of_pieces = pool.values[pool.group_offsets[:-1], 0]
    assert np.all((starts_of_pieces % starts.PIECE == 0) | (starts_of_pieces == 50_000))
    inside = np.setdiff1d(np.arange(1, len(pool)), pool.group_offsets)
    assert np.all(np.diff(pool.values[:, 0])[inside - 1] == 1)
