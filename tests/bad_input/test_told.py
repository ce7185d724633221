"""Odd data are fitted, and the fit tells by a finding, a warning or its status what is odd."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from bad_input.specimens import POSITIVE, built, estimators, quiet, suiting
from sklearn.exceptions import ConvergenceWarning

import latentem as em
from latentem.estimators import FindingWarning, GaussianMixture
from latentem.families.gaussian import DiagonalGaussian, FullGaussian
from latentem.latents import Categorical
from latentem.result import Status

TYPES = ["full", "tied", "diag", "spherical"]
NORMAL = ["GaussianMixture", "StudentTMixture"]
DEGENERATE = [*NORMAL, *(name for name in POSITIVE if name != "ExponentialMixture"), "BetaMixture", "MixtureModel"]


def told(estimator: Any, X: Any, **columns: Any) -> list[str]:
    """Fit; the messages of the findings, each of which was a warning too; all numbers are finite."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        estimator.fit(X, **columns)
    assert {w.category for w in record} <= {FindingWarning, ConvergenceWarning}
    messages = [finding.message for finding in estimator.result_.findings]
    assert messages == [str(w.message) for w in record if w.category is FindingWarning]
    assert estimator.converged_ == (ConvergenceWarning not in [w.category for w in record])
    assert all(np.all(np.isfinite(value)) for value in estimator.result_.parameters.arrays().values())
    assert np.all(np.isfinite(estimator.score_samples(X)))
    return messages


def codes(estimator: Any) -> set[str]:
    return {finding.code for finding in estimator.result_.findings}


# -- columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NORMAL)
def test_a_constant_column_is_told_by_name_and_value(name: str) -> None:
    X = np.column_stack([suiting(name), np.full(40, 2.5)])
    estimator = built(name)
    messages = told(estimator, X)
    assert any("column 'x2' is constant (2.5)" in message for message in messages)
    assert "constant-column" in codes(estimator)


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_constant_column_never_passes_in_silence(name: str) -> None:
    X = suiting(name)
    X[:, 1] = 0.25
    assert told(built(name), X)


@pytest.mark.parametrize("name", [name for name in estimators() if name not in [*DEGENERATE, "VonMisesFisherMixture"]])
def test_where_a_constant_column_is_harmless_it_is_fitted(name: str) -> None:
    X = suiting(name)
    X[:, 1] = 1.0
    told(built(name), X)


@pytest.mark.parametrize("name", NORMAL)
def test_a_duplicated_column_is_told_by_both_names(name: str) -> None:
    X = suiting(name)
    estimator = built(name)
    messages = told(estimator, X[:, [0, 1, 0]])
    assert any("columns 'x0' and 'x2' are equal" in message for message in messages)
    assert "duplicated-column" in codes(estimator)


@pytest.mark.parametrize("kind", TYPES)
def test_columns_that_depend_on_others_leave_numbers_finite(kind: str) -> None:
    X = suiting("GaussianMixture")
    dependent = np.column_stack([X, X[:, 0] + X[:, 1], 3.0 * X[:, 0]])
    for floor in (1e-6, "auto"):
        messages = told(built("GaussianMixture", covariance_type=kind, reg_covar=floor), dependent)
        assert kind in ("diag", "spherical") or any("held by the floor" in message for message in messages)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_a_constant_column_beside_a_huge_one_is_held_and_told(kind: str) -> None:
    """Ratios of variances beyond 1e16: eigenvalues alone no longer show which direction has no spread."""
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.normal(size=120), np.ones(120), 1e6 * rng.integers(0, 2, 120), rng.normal(size=120)])
    estimator = built("GaussianMixture", covariance_type=kind)
    messages = told(estimator, X)
    assert any("held by the floor" in message for message in messages)
    assert np.all(np.diagonal(estimator.covariances_, axis1=-2, axis2=-1)[..., 1] == pytest.approx(1e-6))


# -- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(estimators()))
def test_fewer_distinct_rows_than_components_are_told_with_both_numbers(name: str) -> None:
    estimator = built(name, n_components=3)
    X = np.repeat(suiting(name)[:2], 10, axis=0)
    if len(np.unique(X, axis=0)) < 2:
        X[10:, 0] = 1 - X[10:, 0]
    messages = told(estimator, X)
    assert any("2 distinct rows for 3 components" in message for message in messages)
    assert "few-distinct-rows" in codes(estimator)


@pytest.mark.parametrize("name", list(estimators()))
def test_one_row_with_one_component_is_told(name: str) -> None:
    estimator = built(name, n_components=1)
    messages = told(estimator, suiting(name)[:1])
    assert any("one row" in message for message in messages)
    assert "one-row" in codes(estimator)


def test_rows_of_weight_zero_are_no_rows() -> None:
    X, weights = suiting("GaussianMixture"), np.zeros(40)
    weights[7] = 2.0
    messages = told(built("GaussianMixture", n_components=1), X, sample_weight=weights)
    assert messages


# -- components ----------------------------------------------------------------------------------


def with_outlier() -> Any:
    """One row far from all others: a component of its own, whose covariance shrinks to the floor."""
    return np.insert(suiting("GaussianMixture"), 25, [50.0, 50.0], axis=0)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
@pytest.mark.parametrize("floor", [1e-6, 1e-2, "auto"])
def test_a_component_that_collapses_is_held_by_the_floor_and_told_with_its_rows(kind: str, floor: Any) -> None:
    estimator = built("GaussianMixture", covariance_type=kind, reg_covar=floor)
    messages = told(estimator, with_outlier())
    assert any("held by the floor (reg_covar)" in message and "its rows: 25)" in message for message in messages)
    component = int(estimator.predict([[50.0, 50.0]])[0])
    assert any(message.startswith(f"component {component}:") for message in messages)
    covariance = estimator.covariances_[component]
    smallest = np.min(np.linalg.eigvalsh(covariance) if kind == "full" else covariance)
    variances = with_outlier().var(axis=0)
    if floor == "auto":
        floor = 1e-6 * (variances.mean() if kind == "spherical" else variances.min())
    assert smallest == pytest.approx(floor, rel=1e-6)


@pytest.mark.parametrize("name", ["StudentTMixture", "MixtureModel"])
def test_other_families_hold_and_tell_a_collapse_too(name: str) -> None:
    X = np.repeat(with_outlier(), np.where(np.arange(41) == 25, 4, 1), axis=0)
    messages = told(built(name), X)
    rows = "its rows: 25, 26, 27, 28, all identical)"
    assert any("held by the floor" in message and rows in message for message in messages)


@pytest.mark.parametrize("family", [FullGaussian(), DiagonalGaussian()])
def test_the_general_fit_tells_a_collapse_with_its_rows(family: Any) -> None:
    model = em.LatentVariableModel(Categorical(2), family)
    result = em.fit(model, with_outlier(), random_state=0)
    assert any("held by the floor" in f.message and "its rows: 25)" in f.message for f in result.findings)


def collapsing() -> Any:
    """Two clusters and a row beside them, which some starts of three components take alone."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 6.0, [[12.0, -6.0]]])


def test_a_collapse_is_started_again_on_request_and_only_then() -> None:
    options: dict[str, Any] = {"init_params": "random_from_data", "max_iter": 300, "n_components": 3}
    mended = 0
    for seed in range(12):
        with quiet():
            once = GaussianMixture(random_state=seed, **options).fit(collapsing())
            again = GaussianMixture(random_state=seed, restart_collapsed=15, **options).fit(collapsing())
        if not once.result_.findings:
            assert np.array_equal(once.means_, again.means_)
        else:
            mended += not again.result_.findings
    assert mended >= 1


def test_the_general_fit_starts_again_on_request() -> None:
    model = em.LatentVariableModel(Categorical(3), FullGaussian())
    results = {}
    for restarts in (0, 15):
        results[restarts] = [
            em.fit(model, collapsing(), init="random-rows", restart_collapsed=restarts, random_state=seed)
            for seed in range(12)
        ]
    collapsed = [sum(bool(result.findings) for result in results[restarts]) for restarts in (0, 15)]
    assert collapsed[0] > collapsed[1]


# -- status --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::latentem.estimators.FindingWarning")
@pytest.mark.parametrize("name", list(estimators()))
def test_the_iteration_limit_is_told_and_is_no_convergence(name: str) -> None:
    estimator = built(name, max_iter=1, tol=0.0, init_params="random")
    with pytest.warns(ConvergenceWarning, match="iteration limit"):
        estimator.fit(suiting(name))
    assert not estimator.converged_
    assert estimator.result_.status is Status.MAX_ITER


@pytest.mark.parametrize("name", ["GaussianMixture", "GaussianHMM"])
def test_a_component_on_identical_rows_is_told_with_their_numbers(name: str) -> None:
    rows = np.random.default_rng(1).normal(size=(60, 2))
    rows[[17, 23, 40]] = 8.0
    options = {"n_iter": 200, "min_covar": 1e-6, "covars_prior": 0.0} if name == "GaussianHMM" else {}
    estimator = getattr(em, name)(2, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        component = int(estimator.fit(rows).predict(rows)[17])
    found = next(finding for finding in estimator.result_.findings if finding.code == "floor")
    assert found.component == component and found.message.startswith(f"component {component}:")
    assert found.message.endswith("(its rows: 17, 23, 40, all identical)")
