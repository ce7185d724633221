"""A row of weight w is the row w times, a row of weight zero is none: whole fits, for every kind of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import latentem.estimators as estimators

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
