"""Starts race, ends are told apart whatever the order of their components, and the best should be found twice."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from inference.stationary import fitted, mixture, murray, two_humps
from reference.cases import case, near

import latentem as em
from latentem.families.categorical import CategoricalColumns
from latentem.families.gaussian import DiagonalGaussian, FullGaussian
from latentem.inference.maxima import distinct
from latentem.models.relabelling import permute

pytestmark = pytest.mark.filterwarnings("ignore::latentem.FindingWarning")


def test_maxima_of_one_height_are_two():
    """Murray's data are symmetric, and the signs of the correlation are different solutions."""
    ends = [murray(0.3), murray(-0.3), murray(0.5)]
    assert [len(group) for group in distinct(ends, ends[0].source)] in ([2, 1], [1, 2])


def test_relabelled_components_are_one_solution():
    from dataclasses import replace

    model = mixture(DiagonalGaussian(), 2)
    one = fitted(model, two_humps(), random_state=0)
    other = replace(one, parameters=permute(model, one.parameters, one.source, np.array([1, 0])))
    assert [len(group) for group in distinct([one, other], one.source)] == [2]


def test_solutions_along_a_ridge_are_one():
    ends = [fitted(mixture(CategoricalColumns((2, 2)), 2), two_by_two(), random_state=seed) for seed in (0, 1)]
    assert not np.allclose(ends[0].parameters.latent.weights, ends[1].parameters.latent.weights, atol=1e-3)
    assert [len(group) for group in distinct(ends, ends[0].source)] == [2]


def two_by_two() -> np.ndarray:
    rng = np.random.default_rng(13)
    z = rng.integers(0, 2, 400)
    return (rng.random((400, 2)) < np.array([[0.2, 0.3], [0.8, 0.6]])[z]).astype(float)


@pytest.fixture(scope="module")
def galaxies() -> em.EMResult:
    x = case("gmm_galaxies").columns()
    options = {"init": "random-rows", "acceleration": "squarem", "max_iter": 20_000, "random_state": 0}
    return em.fit(mixture(FullGaussian(floor=1e-2), 4), x, n_init=12, certify=True, **options)


def test_the_map_accounts_for_every_start(galaxies):
    found = galaxies.maxima
    assert sum(one.found for one in found.maxima) + found.abandoned == found.starts
    assert found.starts in (12, 24)
    heights = [one.objective for one in found.maxima]
    assert heights == sorted(heights, reverse=True)
    assert galaxies.objective == heights[0]


def test_every_end_has_its_certificate(galaxies):
    assert all(one.certificate is not None for one in galaxies.maxima.maxima)
    assert galaxies.certificate.is_maximum
    assert f"{galaxies.maxima.starts} starts" in str(galaxies.maxima)


def test_a_best_that_was_found_once_is_told():
    """Two starts at different maxima, and two more: whether one is repeated or not, the finding says the same."""
    seen = set()
    x = case("gmm_galaxies").columns()
    for seed in range(6):
        options = {"init": "random-rows", "tol": 1e-4, "max_iter": 2000, "acceleration": "squarem"}
        result = em.fit(mixture(FullGaussian(floor=1e-2), 6), x, n_init=2, random_state=seed, **options)
        told = any(finding.code == "not-replicated" for finding in result.findings)
        assert told is not result.maxima.replicated
        assert result.maxima.starts == 4 or result.maxima.replicated
        seen.add(told)
    assert True in seen


def test_one_start_has_no_map():
    assert fitted(mixture(DiagonalGaussian(), 2), two_humps(), random_state=0).maxima is None


def test_starts_of_a_race_go_to_their_limit():
    x = case("gmm_galaxies").columns()
    options = {"init": "random-rows", "tol": 0.0, "max_iter": 40, "random_state": 0}
    result = em.fit(mixture(FullGaussian(floor=1e-2), 4), x, n_init=6, **options)
    assert 40 <= result.n_iter <= 44


def test_five_maxima_of_three_classes():
    """McCutcheon's survey of 1982: all five maxima that 500 runs of others found."""
    known = case("lca_gss82")
    with (known.folder / "data.csv").open(newline="", encoding="utf-8") as stream:
        rows = np.array([[float(entry) for entry in row] for row in list(csv.reader(stream))[1:]])
    model, weights = mixture(CategoricalColumns((3, 2, 2, 3)), 3), rows[:, -1]
    options = {"init": "random", "acceleration": "squarem", "max_iter": 20_000, "random_state": 0}
    result = em.fit(model, rows[:, :-1] - 1, sample_weight=weights, n_init=150, certify=True, **options)
    listed = known.expected["classes_3"]["stationary_values_found_here"]
    assert len(result.maxima.maxima) == len(listed)
    for found, expected in zip(result.maxima.maxima, listed, strict=True):
        assert found.log_likelihood == near(expected["loglik"], 1e-5)
        assert found.certificate.is_maximum, str(found.certificate)


@pytest.mark.parametrize(
    "estimator",
    [
        em.GaussianMixture(3, n_init=4, init_params="random_from_data", random_state=0, reg_covar=1e-3),
        em.GaussianHMM(2, n_init=3, random_state=0),
    ],
    ids=["mixture", "chain"],
)
def test_estimators_with_several_starts_have_the_map(estimator):
    result = estimator.fit(case("gmm_galaxies").columns()).result_
    assert result.maxima.starts == estimator.n_init
    assert sum(one.found for one in result.maxima.maxima) == estimator.n_init
    assert result.maxima.maxima[0].objective == result.objective
