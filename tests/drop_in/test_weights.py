"""A row of weight w is the row w times, a row of weight zero is none: whole fits, for every kind of data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import latentem.estimators as estimators
from latentem import DataError, FindingWarning

Draw = Callable[[np.random.Generator], Any]


def two_clusters(rng: np.random.Generator) -> Any:
    table = rng.normal(size=(60, 3))
    table[:25] += 2.0
    return table


def counts(rng: np.random.Generator) -> Any:
    return rng.poisson(np.where(np.arange(60)[:, None] < 25, 1.0, 6.0), (60, 4))


def positive(rng: np.random.Generator) -> Any:
    return rng.gamma(np.where(np.arange(60)[:, None] < 25, 2.0, 9.0), size=(60, 2))


def with_holes(rng: np.random.Generator) -> Any:
    table = two_clusters(rng)
    table[rng.random(table.shape) < 0.2] = np.nan
    return table


def categories(rng: np.random.Generator) -> Any:
    return rng.choice(["a", "b", "c"], size=(60, 4))


CASES: list[tuple[Any, Draw]] = [
    (estimators.GaussianMixture(n_components=2), two_clusters),
    (estimators.GaussianMixture(n_components=3, covariance_type="tied", init_params="random_from_data"), two_clusters),
    (estimators.GaussianMixture(n_components=2, covariance_type="diag", reg_covar="auto"), two_clusters),
    (estimators.GaussianMixture(n_components=2, init_params="small-em", acceleration="squarem"), with_holes),
    (estimators.StudentTMixture(n_components=2, max_iter=20), two_clusters),
    (estimators.PoissonMixture(n_components=2), counts),
    (estimators.PoissonMixture(n_components=2, init_params="kmeans"), lambda rng: sparse.csr_array(counts(rng))),
    (estimators.NegativeBinomialMixture(n_components=2), counts),
    (estimators.MultinomialMixture(n_components=2), counts),
    (estimators.GammaMixture(n_components=2), positive),
    (estimators.LatentClassAnalysis(n_components=2), categories),
    (estimators.MixtureModel(["poisson", "geometric"]), counts),
]


@pytest.mark.filterwarnings("ignore:The best start did not converge")
@pytest.mark.filterwarnings("ignore:component .*held at the upper bound")
@pytest.mark.parametrize(("estimator", "draw"), CASES, ids=lambda case: type(case).__name__)
def test_weights_are_repetitions_to_the_bit(estimator: Any, draw: Draw, rng: np.random.Generator) -> None:
    table = draw(rng)
    weights = rng.integers(1, 4, size=60)
    weights[rng.choice(60, 8, replace=False)] = 0
    kept = table[np.flatnonzero(weights)]
    estimator.set_params(random_state=3)
    shuffled = rng.permutation(60)
    repeated = estimator.fit(table[np.repeat(np.arange(60), weights)])
    by_repetition = repeated.predict_proba(kept), repeated.score_samples(kept), repeated.n_iter_
    weighted = estimator.fit(table[shuffled], sample_weight=weights[shuffled])
    by_weight = weighted.predict_proba(kept), weighted.score_samples(kept), weighted.n_iter_
    for one, other in zip(by_repetition, by_weight, strict=True):
        assert np.array_equal(one, other)


def test_weights_of_one_are_no_weights(rng: np.random.Generator) -> None:
    table = two_clusters(rng)
    mixture = estimators.GaussianMixture(n_components=2, random_state=0)
    without = mixture.fit(table).means_
    assert np.array_equal(without, mixture.fit(table, sample_weight=np.ones(60)).means_)


def test_weights_scale_the_log_likelihood_and_nothing_else(rng: np.random.Generator) -> None:
    table, weights = two_clusters(rng), rng.random(60)
    mixture = estimators.GaussianMixture(n_components=2, random_state=0)
    once = mixture.fit(table, sample_weight=weights).result_
    tenfold = mixture.fit(table, sample_weight=10 * weights).result_
    assert tenfold.log_likelihood == pytest.approx(10 * once.log_likelihood, rel=1e-6)
    assert np.allclose(tenfold.parameters.emission.means, once.parameters.emission.means, rtol=1e-4, atol=1e-4)


def test_criteria_count_weights_as_rows(rng: np.random.Generator) -> None:
    table, weights = two_clusters(rng), rng.integers(1, 4, size=60)
    mixture = estimators.GaussianMixture(n_components=2, random_state=0).fit(table)
    repeated = np.repeat(table, weights, axis=0)
    for criterion in (mixture.score, mixture.aic, mixture.bic, mixture.icl):
        assert criterion(table, sample_weight=weights) == pytest.approx(criterion(repeated), rel=1e-12)


def test_labels_are_part_of_what_makes_rows_equal(rng: np.random.Generator) -> None:
    table = np.repeat([[0.0], [1.0]], 20, axis=0) + 0.3 * rng.integers(-1, 2, (40, 1))
    labels = rng.integers(-1, 2, size=40)
    mixture = estimators.GaussianMixture(n_components=2, random_state=0, max_iter=500)
    once = mixture.fit(table, labels=labels).result_
    twice = mixture.fit(np.tile(table, (2, 1)), labels=np.tile(labels, 2)).result_
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-6)


GAUSSIANS = [
    *(estimators.GaussianMixture(2, covariance_type=kind) for kind in ("full", "tied", "diag", "spherical")),
    *(estimators.StudentTMixture(2, covariance_type=kind, dof=4.0) for kind in ("full", "diag")),
]


def floors(mixture: Any) -> Any:
    return np.asarray(mixture.result_.model.family.floor)


@pytest.mark.parametrize("reg_covar", ["auto", 0])
@pytest.mark.parametrize("mixture", GAUSSIANS, ids=lambda m: f"{type(m).__name__}-{m.covariance_type}")
def test_floors_relative_to_the_data_count_rows_by_weight(
    mixture: Any, reg_covar: Any, rng: np.random.Generator
) -> None:
    if reg_covar == 0 and isinstance(mixture, estimators.StudentTMixture):
        pytest.skip("t mixtures need a positive floor")
    mixture.set_params(reg_covar=reg_covar, random_state=0)
    table = rng.normal(size=(200, 2))
    table[:80] += 6.0
    alone = mixture.fit(table)
    floor, density = floors(alone), alone.score_samples(table)
    beside = mixture.fit(np.vstack([table, [[1e6, -1e6]]]), sample_weight=np.append(np.ones(200), 0.0))
    assert np.allclose(floors(beside), floor, rtol=1e-12, atol=0)
    assert np.allclose(beside.score_samples(table), density, rtol=1e-3)
    weights = rng.integers(0, 4, 200)
    weighted = floors(mixture.fit(table, sample_weight=weights))
    repeated = floors(mixture.fit(np.repeat(table, weights, axis=0)))
    assert np.array_equal(weighted, repeated) and not np.array_equal(weighted, floor)


def test_relative_floors_bind_by_weight() -> None:
    table = np.array([[0.0], [1e-9], [1.0]])
    mixture = estimators.GaussianMixture(2, reg_covar="auto", random_state=0, init_params="k-means++")
    with pytest.warns(FindingWarning, match="floor"):
        variances = mixture.fit(table, sample_weight=[50, 50, 1]).covariances_.ravel()
    assert variances.min() == pytest.approx(1e-6 * (1 / 101) * (100 / 101), rel=1e-6)


def told(mixture: Any, table: Any, weights: Any = None) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        mixture.fit(table, sample_weight=weights)
    return [str(warning.message).partition(" (its rows")[0] for warning in found]


FINITE = [
    estimators.GaussianMixture(random_state=0),
    estimators.StudentTMixture(random_state=0, dof=4.0),
    estimators.PoissonMixture(random_state=0),
]


@pytest.mark.parametrize("mixture", FINITE, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("k", [1, 2])
def test_one_row_of_weight_two_is_the_row_twice(mixture: Any, k: int) -> None:
    row = np.array([[3.0, 5.0]])
    mixture.set_params(n_components=k)
    assert told(mixture, row, [2.0]) == told(mixture, np.repeat(row, 2, axis=0))
    twice = mixture.score_samples(row)
    told(mixture, row, [2.0])
    assert np.array_equal(mixture.score_samples(row), twice)


@pytest.mark.parametrize("mixture", FINITE, ids=lambda m: type(m).__name__)
def test_rows_of_weight_zero_are_no_rows_to_findings(mixture: Any) -> None:
    table = np.array([[1.0, 1.0, 4.0], [2.0, 2.0, 4.0], [1.0, 1.0, 4.0], [2.0, 2.0, 4.0], [7.0, 3.0, 5.0]])
    mixture.set_params(n_components=3)
    assert told(mixture, table, [1, 1, 1, 1, 0]) == told(mixture, table[:4])
    assert any("2 distinct rows for 3 components" in said for said in told(mixture, table, [1, 1, 1, 1, 0]))


@pytest.mark.parametrize("mixture", FINITE, ids=lambda m: type(m).__name__)
def test_rows_are_counted_by_weight_where_there_are_too_few(mixture: Any) -> None:
    mixture.set_params(n_components=3)
    table = np.array([[1.0], [2.0], [4.0]])
    with pytest.raises(DataError, match="n_samples = 2"):
        mixture.fit(table, sample_weight=[1, 1, 0])
    told(mixture, table[:2], [2, 1])
    told(mixture, table, [0.1, 0.1, 0.1])


@pytest.mark.parametrize("order", ["weight", "mean"])
def test_sorted_components_keep_the_totals_of_every_executor(order: str, rng: np.random.Generator) -> None:
    table = rng.normal(size=(20_000, 2))
    table[:7_000] += 4.0
    results = [
        estimators.GaussianMixture(2, order=order, random_state=0, executor=executor).fit(table).result_
        for executor in ("serial", "threads")
    ]
    alone = estimators.GaussianMixture(2, random_state=0).fit(table).result_
    assert results[0].expectation.log_likelihood == results[1].expectation.log_likelihood
    assert results[0].log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-12)
    one, other = (result.expectation.statistics.emission for result in results)
    assert np.array_equal(one.counts, other.counts) and np.array_equal(one.second, other.second)
