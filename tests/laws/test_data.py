"""Sources and batches: errors name the place, chunks respect groups, what is remembered belongs to its values."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse

import latentem as em
from latentem.data import ArraySource, Batch
from latentem.errors import DataError
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.latents import MarkovChain
from latentem.model import LatentVariableModel, ModelParameters, Posterior

GOOD = np.arange(20.0).reshape(10, 2)


def spoiled(row, column, value):
    values = GOOD.copy()
    values[row, column] = value
    return values


@dataclass(frozen=True)
class Bad:
    """Arguments of a source, and what the message must say."""

    message: str
    values: object = None
    options: object = None


BAD = {
    "infinite": Bad(r"row 7, column 'b': inf", spoiled(7, 1, np.inf), {"names": ["a", "b"]}),
    "minus infinite": Bad(r"row 3, column 'x0': -inf", spoiled(3, 0, -np.inf)),
    "square overflows": Bad(r"row 9, column 'x1': 1e\+160", spoiled(9, 1, 1e160)),
    "infinite beside missing": Bad(r"row 7, column 'x1': inf", np.where(GOOD == 2, np.nan, spoiled(7, 1, np.inf))),
    "text": Bad("expected numbers", np.array([["a", "b"]])),
    "objects": Bad("expected numbers", np.array([[1, None]], dtype=object)),
    "no rows": Bad("at least one row", np.empty((0, 2))),
    "no columns": Bad("at least one row and one column", np.empty((3, 0))),
    "one dimension": Bad("2 dimensions", np.zeros(3)),
    "negative weight": Bad("row 4 has -1", options={"weights": np.where(np.arange(10) == 4, -1.0, 1.0)}),
    "missing weight": Bad("row 2 has nan", options={"weights": np.where(np.arange(10) == 2, np.nan, 1.0)}),
    "zero weights": Bad("all weights are zero", options={"weights": np.zeros(10)}),
    "few weights": Bad("one entry for each of the 10 rows", options={"weights": np.ones(9)}),
    "weights of text": Bad("weights must be numbers", options={"weights": ["a"] * 10}),
    "weights in a table": Bad("one-dimensional", options={"weights": np.ones((10, 1))}),
    "fractional label": Bad("row 5 has 0.5", options={"labels": np.where(np.arange(10) == 5, 0.5, 0.0)}),
    "label below": Bad("row 0 has -2", options={"labels": [-2] + [0] * 9}),
    "missing label": Bad("row 1 has nan", options={"labels": [0, np.nan] + [0] * 8}),
    "labels of text": Bad("labels must be numbers", options={"labels": ["a"] * 10}),
    "short lengths": Bad("lengths add up to 9, but there are 10 rows", options={"lengths": [4, 5]}),
    "empty group": Bad("group 1 has 0", options={"lengths": [4, 0, 6]}),
    "fractional length": Bad("whole numbers", options={"lengths": [4.0, 6.0]}),
    "no lengths": Bad("whole numbers", options={"lengths": []}),
    "names": Bad("expected 2 column names, got 1", options={"names": ["a"]}),
    "chunk of nothing": Bad("chunk_rows", options={"chunk_rows": 0}),
    "missing covariate": Bad("row 3, column 1 has nan", options={"covariates": np.where(GOOD == 7, np.nan, GOOD)}),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("chunk_rows", [2048, 3])
def test_bad_data_are_told_with_their_place(name, chunk_rows):
    bad = BAD[name]
    values = GOOD if bad.values is None else bad.values
    with pytest.raises(DataError, match=bad.message):
        ArraySource(values, **{"chunk_rows": chunk_rows, **(bad.options or {})})


def test_data_are_left_as_they_were():
    values, weights = GOOD.copy(), np.ones(10)
    for batch in ArraySource(values, weights=weights, chunk_rows=3):
        DiagonalGaussian().log_density(batch, DiagonalGaussianParameters(np.zeros((1, 2)), np.ones((1, 2))))
    assert np.array_equal(values, GOOD)
    assert np.array_equal(weights, np.ones(10))


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8, bool])
def test_other_numbers_are_read_as_float64(kind):
    values = (GOOD % 2).astype(kind)
    read = np.concatenate([batch.values for batch in ArraySource(values, chunk_rows=3)])
    assert read.dtype == np.float64
    assert np.array_equal(read, GOOD % 2)


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array, sparse.csr_array])
def test_sparse_tables_are_read_like_dense_ones(layout):
    values = GOOD * (GOOD % 3 == 0)
    source = ArraySource(layout(values), chunk_rows=3)
    assert np.array_equal(np.concatenate([batch.values for batch in source]), values)


def test_missing_entries_are_found():
    assert ArraySource(spoiled(9, 1, np.nan), chunk_rows=3).missing
    assert not ArraySource(GOOD).missing
    assert all(batch.missing for batch in ArraySource(spoiled(9, 1, np.nan), chunk_rows=3))


# -- chunks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_rows", [1, 3, 10, 99])
def test_chunks_cover_every_row_once_in_order(chunk_rows):
    weights, labels = np.arange(1.0, 11.0), np.arange(10) - 1
    batches = list(ArraySource(GOOD, weights=weights, labels=labels, covariates=GOOD + 1, chunk_rows=chunk_rows))
    assert np.array_equal(np.concatenate([batch.values for batch in batches]), GOOD)
    assert np.array_equal(np.concatenate([batch.weights for batch in batches]), weights)
    assert np.array_equal(np.concatenate([batch.labels for batch in batches]), labels)
    assert np.array_equal(np.concatenate([batch.covariates for batch in batches]), GOOD + 1)
    assert [batch.first_row for batch in batches] == list(range(0, 10, chunk_rows))


@pytest.mark.parametrize("chunk_rows", [1, 3, 4, 10])
@pytest.mark.parametrize("lengths", [[10], [1] * 10, [3, 4, 3], [1, 8, 1], [2, 2, 2, 4]])
def test_chunks_end_where_groups_end(lengths, chunk_rows):
    batches = list(ArraySource(GOOD, lengths=lengths, chunk_rows=chunk_rows))
    assert np.concatenate([batch.group_lengths for batch in batches]).tolist() == lengths
    assert np.array_equal(np.concatenate([batch.values for batch in batches]), GOOD)
    assert all(batch.group_offsets[0] == 0 and batch.group_offsets[-1] == len(batch) for batch in batches)
    assert all(len(batch) >= chunk_rows for batch in batches[:-1])


def test_a_sequence_without_its_length_is_not_cut_silently():
    model = LatentVariableModel(MarkovChain(1), Poisson())
    params = ModelParameters(model.latent.start(), PoissonParameters(np.ones((1, 2))))
    whole = model.e_step(params, next(iter(ArraySource(GOOD))))
    assert whole.statistics.latent.transitions.sum() == pytest.approx(9)
    with pytest.raises(DataError, match=r"give lengths=\[n\]"):
        [model.e_step(params, batch) for batch in ArraySource(GOOD, chunk_rows=4)]


def test_weights_of_a_group_are_one_weight():
    batch = Batch(GOOD, weights=np.repeat([1.0, 2.0], 5), offsets=np.array([0, 5, 10]), first_row=30)
    assert batch.unit_weights(True).tolist() == [1, 2]
    assert np.array_equal(batch.reweighted(np.array([3.0, 4.0]), True).weights, np.repeat([3.0, 4.0], 5))
    uneven = Batch(GOOD, weights=np.arange(10.0), offsets=np.array([0, 5, 10]), first_row=30)
    with pytest.raises(DataError, match="row 31 differs"):
        uneven.unit_weights(True)


def test_rows_of_units_are_numbered_in_the_whole_data():
    batch = Batch(GOOD, offsets=np.array([0, 4, 10]), first_row=100)
    assert batch.row_of_unit(1, per_group=True) == 104
    assert batch.row_of_unit(1, per_group=False) == 101


# -- what is remembered ----------------------------------------------------------------------------


def test_something_is_computed_once():
    calls = []
    batch = Batch(GOOD)
    for _ in range(3):
        assert batch.once("key", lambda: calls.append(1) or 7) == 7
    assert len(calls) == 1


def test_the_same_rows_with_other_weights_remember_and_other_columns_do_not():
    batch = Batch(GOOD, labels=np.zeros(10, int))
    batch.once("key", lambda: 7)
    assert batch.reweighted(np.ones(10), False).once("key", lambda: 8) == 7
    assert batch.without_labels().once("key", lambda: 8) == 7
    assert batch.columns(np.array([1])).once("key", lambda: 8) == 8


def test_families_that_come_and_go_do_not_share_what_is_remembered():
    """A new object may take the address of one that is gone."""
    batch = Batch(GOOD)
    r = Posterior(np.ones((1, 10)))
    for i in range(200):
        params = DiagonalGaussianParameters(np.full((1, 2), 0.1 * i), np.ones((1, 2)))
        kept = DiagonalGaussian().log_density(batch, params)
        assert np.array_equal(kept, DiagonalGaussian().log_density(Batch(GOOD), params))
        statistics = DiagonalGaussian().statistics(batch, r, params)
        assert np.array_equal(statistics.first, DiagonalGaussian().statistics(Batch(GOOD), r, params).first)
        rates = PoissonParameters(np.full((1, 2), 0.1 + i))
        assert np.array_equal(Poisson().log_density(batch, rates), Poisson().log_density(Batch(GOOD), rates))
        del params, statistics


@pytest.mark.parametrize(
    ("fit", "bad"),
    [
        (lambda X, groups, u: em.GaussianHMM(2).fit(X, groups=groups), np.inf),
        (lambda X, groups, u: em.CategoricalHMM(2).fit(X, groups=groups), 0.5),
        (lambda X, groups, u: em.PoissonHMM(2).fit(X, groups=groups), -1.0),
        (lambda X, groups, u: em.fit(poisson_chain(), X, groups=groups), -1.0),
        (lambda X, groups, u: em.fit(poisson_chain(), X, groups=groups), np.inf),
        (lambda X, groups, u: em.LinearGaussianStateSpace.local_level().fit(X, groups=groups), np.inf),
        (lambda X, groups, u: with_inputs().fit(X, groups=groups, inputs=u), np.nan),
        (lambda X, groups, u: em.fit(poisson_chain(), X, groups=groups, covariates=u), np.nan),
    ],
)
def test_rows_are_called_as_the_user_numbers_them_however_they_are_grouped(fit, bad):
    X, u = np.tile([[0.0], [1.0], [1.0], [2.0]], (30, 1)), np.zeros((120, 1))
    (u if np.isnan(bad) else X)[7, 0] = bad
    for groups in (np.arange(120) // 40, np.arange(120) % 3, (np.arange(120) % 3)[::-1], np.arange(120) % 2):
        with pytest.raises(em.DataError, match=r"row 7\b"):
            fit(X, groups, u)


def poisson_chain():
    return em.LatentVariableModel(MarkovChain(2), Poisson())


def with_inputs():
    return em.LinearGaussianStateSpace.local_level(inputs=[[None]])


def test_groups_whose_rows_are_not_adjacent_are_named_by_their_first_row():
    hmm = em.CategoricalHMM(2, init_params="", params="ste")
    hmm.startprob_, hmm.transmat_ = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    hmm.emissionprob_ = np.eye(2)
    X = np.array([[0], [0], [1], [0], [0], [1]])
    with pytest.raises(em.DataError, match=r"the group of row 1 \(3 rows\) has log-likelihood -inf .* allow more"):
        hmm.score(X, groups=[0, 1, 0, 1, 0, 1])
    with pytest.raises(em.DataError, match=r"the 3 rows from row 3 on have"):
        hmm.score(X[[0, 2, 4, 1, 3, 5]], groups=[0, 0, 0, 1, 1, 1])
