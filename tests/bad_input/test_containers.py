"""Masked arrays, lists nested unevenly, weights beyond range, too few workers: understood, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bad_input.specimens import NUMERIC, built, estimators, fitted, quiet, suiting, unchanged

from latentem import DataError, GaussianMixture, ParameterError, PoissonMixture
from latentem.data import ArraySource
from latentem.execution import Processes, Threads

EVERY = list(estimators())
WITH_MISSING = [name for name in EVERY if built(name).__sklearn_tags__().input_tags.allow_nan]
METHODS = ["fit", "predict", "predict_proba", "score_samples", "score"]


def holes() -> Any:
    return np.random.default_rng(2).random((len(suiting("GaussianMixture")), 2)) < 0.1


# -- masked arrays -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_MISSING)
def test_masked_entries_are_missing_entries(name: str) -> None:
    table = suiting(name)
    missing = np.where(holes(), np.nan, table)
    one, other = fitted(name, np.ma.masked_array(table, holes())), fitted(name, missing)
    assert np.array_equal(one.predict_proba(missing), other.predict_proba(missing))
    assert np.array_equal(one.score_samples(np.ma.masked_array(table, holes())), other.score_samples(missing))


@pytest.mark.parametrize("name", sorted(set(EVERY) - set(WITH_MISSING)))
def test_masked_entries_are_refused_where_missing_ones_are(name: str) -> None:
    masked = np.ma.masked_array(suiting(name), holes())
    for estimator in (built(name), fitted(name, suiting(name))):
        with pytest.raises(DataError, match=r"missing|NaN"):
            estimator.fit(masked)


@pytest.mark.parametrize("name", EVERY)
def test_a_mask_that_masks_nothing_changes_nothing(name: str) -> None:
    table = suiting(name)
    one, other = fitted(name, np.ma.masked_array(table, np.zeros(table.shape, bool))), fitted(name, table)
    assert np.array_equal(one.predict_proba(table), other.predict_proba(table))


def test_masked_counts_are_missing_counts() -> None:
    table = suiting("PoissonMixture").astype(int)
    with quiet():
        one = PoissonMixture(2, random_state=0).fit(np.ma.masked_array(table, holes()))
    other = fitted("PoissonMixture", np.where(holes(), np.nan, table))
    assert np.array_equal(one.rates_, other.rates_)


def test_what_is_masked_may_be_anything() -> None:
    table = suiting("GaussianMixture")
    worst = np.ma.masked_array(np.where(holes(), np.inf, table), holes())
    assert np.array_equal(
        fitted("GaussianMixture", worst).means_, fitted("GaussianMixture", np.where(holes(), np.nan, table)).means_
    )


@pytest.mark.parametrize("column", ["sample_weight", "labels"])
def test_masked_weights_and_labels_are_refused(column: str) -> None:
    table = suiting("GaussianMixture")
    masked = np.ma.masked_array(np.ones(len(table), int), np.arange(len(table)) == 3)
    with pytest.raises(DataError, match="masked"):
        built("GaussianMixture").fit(table, **{column: masked})


# -- lists nested unevenly -----------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("X", "place"),
    [
        ([[1, 0], [1]], "row 1 has 1 columns"),
        ([[1, 0], 1], "row 1"),
        ([1, [1, 0]], "row 1"),
        ([[1, 0], [1, [0]]], "inhomogeneous|sequence"),
        ([[[1, 0], [1]], [[1], [0]]], "inhomogeneous|sequence"),
    ],
    ids=["short row", "no row", "first is no row", "a list as entry", "deeper"],
)
def test_lists_nested_unevenly_are_refused(name: str, X: Any, place: str) -> None:
    estimator = fitted(name, suiting(name), max_iter=3)
    for method in METHODS:
        with unchanged(estimator, 0.0), pytest.raises(DataError, match=place):
            getattr(estimator, method)(X)


@pytest.mark.parametrize("column", ["sample_weight", "labels"])
def test_weights_and_labels_nested_unevenly_are_refused(column: str) -> None:
    table = suiting("GaussianMixture")
    with pytest.raises(DataError, match="unevenly"):
        built("GaussianMixture").fit(table, **{column: [[1, 1], *[1] * (len(table) - 1)]})


# -- weights beyond range ------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("weight", [1e308, 1e200, 1e149])
def test_weights_whose_sum_overflows_are_refused(name: str, weight: float) -> None:
    table = suiting(name)
    with pytest.raises(DataError, match="weights add up to"):
        built(name).fit(table, sample_weight=np.full(len(table), weight))


@pytest.mark.parametrize("name", NUMERIC)
def test_large_weights_that_do_not_overflow_are_taken(name: str) -> None:
    table = suiting(name)
    with quiet():
        mixture = built(name, max_iter=5).fit(table, sample_weight=np.full(len(table), 1e12))
    assert np.isfinite(mixture.lower_bound_) and np.all(np.isfinite(mixture.predict_proba(table)))


@pytest.mark.parametrize("labels", [np.full(40, 2), np.full(40, -2), np.full(40, 0.5), np.full(40, np.nan)])
def test_labels_are_checked_once_and_name_the_row(labels: Any) -> None:
    with pytest.raises(DataError, match="row 0"):
        built("GaussianMixture").fit(suiting("GaussianMixture"), labels=labels)
    if labels[0] != 2:
        with pytest.raises(DataError, match="row 0"):
            ArraySource(suiting("GaussianMixture"), labels=labels)


# -- workers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Threads, Processes])
@pytest.mark.parametrize("n_workers", [0, -3, 2.0, "2", True])
def test_fewer_than_one_worker_are_refused(kind: Any, n_workers: Any) -> None:
    with pytest.raises(ParameterError, match="n_workers"):
        GaussianMixture(executor=kind(n_workers))
