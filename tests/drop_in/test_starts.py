"""Starts: where missing entries lie, too few distinct rows, and responsibilities that the user gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from latentem import GaussianMixture, ParameterError, PoissonMixture, StudentTMixture
from latentem.data import ArraySource
from latentem.estimators.starting import start_parameters
from latentem.execution import Serial
from latentem.families.gaussian import DiagonalGaussian
from latentem.latents import Categorical
from latentem.model import LatentVariableModel


def kmeans_start(table: Any, k: int = 2, scale_free: bool = False, weights: Any = None) -> Any:
    model = LatentVariableModel(Categorical(k), DiagonalGaussian())
    return start_parameters(model, ArraySource(table, weights=weights), "kmeans", 0, scale_free, Serial())


@pytest.mark.parametrize("scale_free", [False, True])
def test_missing_entries_start_at_their_columns_mean_wherever_that_is(scale_free: bool) -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(size=(300, 3)) * 0.3
    table[:150, 0] += 3.0
    table[rng.random(300) < 0.4, 2] = np.nan
    near, far = (kmeans_start(table + np.array([0, 0, shift]), scale_free=scale_free) for shift in (0.0, 1e3))
    order = np.argsort(near.emission.means[:, 0]), np.argsort(far.emission.means[:, 0])
    moved = far.emission.means[order[1]] - [0, 0, 1e3]
    assert np.allclose(moved, near.emission.means[order[0]], atol=0.05)
    assert np.allclose(far.latent.weights, 0.5, atol=0.05)


@pytest.mark.parametrize("scale_free", [False, True])
def test_rows_of_weight_zero_do_not_move_a_start(scale_free: bool, rng: np.random.Generator) -> None:
    table = rng.normal(size=(80, 2))
    table[:30] += 4.0
    alone = kmeans_start(table, scale_free=scale_free)
    outlier = np.vstack([table, [[1e6, -1e6]]])
    beside = kmeans_start(outlier, scale_free=scale_free, weights=np.append(np.ones(80), 0.0))
    assert np.allclose(beside.emission.means, alone.emission.means)
    assert np.allclose(beside.latent.weights, alone.latent.weights)


def test_columns_are_standardized_by_weights(rng: np.random.Generator) -> None:
    table = rng.normal(size=(60, 2)) * [1.0, 50.0]
    table[:20, 0] += 9.0
    weights = rng.integers(1, 4, 60)
    weighted = kmeans_start(table, scale_free=True, weights=weights)
    repeated = kmeans_start(np.repeat(table, weights, axis=0), scale_free=True)
    order = np.argsort(weighted.latent.weights), np.argsort(repeated.latent.weights)
    assert np.allclose(weighted.emission.means[order[0]], repeated.emission.means[order[1]])


@pytest.mark.parametrize("distinct", [1, 2, 3])
@pytest.mark.parametrize("make", [GaussianMixture, StudentTMixture, PoissonMixture])
def test_fewer_distinct_rows_than_components_is_a_finding_and_nothing_else(make: Any, distinct: int) -> None:
    table = np.tile(np.arange(distinct, dtype=float)[:, None] * [3.0, 7.0], (12, 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mixture = make(4, init_params="kmeans", random_state=0, max_iter=5).fit(table)
    assert np.all(np.isfinite(mixture.predict_proba(table)))
    assert any(f"{distinct} distinct rows for 4 components" in str(warning.message) for warning in told)
    assert not any("Number of distinct clusters" in str(warning.message) for warning in told)
    assert len(set(mixture.predict(table))) <= distinct


def test_clusters_close_together_beside_a_far_row_are_found_without_the_peers_warning(
    rng: np.random.Generator,
) -> None:
    table = np.concatenate([rng.normal(0, 0.1, 40), rng.normal(5, 0.1, 40), [1e8]])[:, None]
    means = np.sort(kmeans_start(table, 3).emission.means[:, 0])
    assert np.allclose(means, [0, 5, 1e8], rtol=0.05, atol=0.2)


@pytest.mark.filterwarnings("ignore::latentem.FindingWarning")
@pytest.mark.parametrize("make", [GaussianMixture, StudentTMixture, PoissonMixture])
def test_responsibilities_are_taken_as_nested_lists_too(make: Any, rng: np.random.Generator) -> None:
    table = rng.poisson(np.where(np.arange(60)[:, None] < 25, 2.0, 9.0), (60, 2)).astype(float)
    given = rng.dirichlet([1.0, 1.0], 60)
    as_array, as_list = (make(2, init_params=r, max_iter=20, tol=1e-2).fit(table) for r in (given, given.tolist()))
    assert np.array_equal(as_array.predict_proba(table), as_list.predict_proba(table))


@pytest.mark.parametrize(
    "given",
    [[[1.0, 0.0]] * 59, [[1.0, 0.0]] * 61, [[1.0]] * 60, [[1.0, 0.0], [1.0]] * 30, [["a", "b"]] * 60],
    ids=["a row short", "a row more", "one column", "ragged", "text"],
)
def test_responsibilities_of_another_shape_are_refused(given: Any, rng: np.random.Generator) -> None:
    with pytest.raises(ParameterError, match="init_params"):
        GaussianMixture(2, init_params=given).fit(rng.normal(size=(60, 2)))


def test_a_start_that_is_no_name_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises((ParameterError, ValueError), match="init_params"):
        GaussianMixture(2, init_params="k-nearest").fit(rng.normal(size=(60, 2)))


