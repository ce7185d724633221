"""Data that are hard on arithmetic only are fitted right: far apart, of any scale, of any type of number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bad_input.specimens import POSITIVE, built, estimators, fitted, quiet, suiting

from latentem.estimators import GaussianMixture, LogNormalMixture, MixtureModel

TYPES = ["full", "tied", "diag", "spherical"]
NORMAL = ["GaussianMixture", "StudentTMixture"]
FAR = 1e8


def clusters(rng: np.random.Generator, n: int = 200) -> tuple[Any, Any]:
    """Two clusters of variance about 1, 1e8 apart in both columns, in random order; and which row is in which."""
    z = rng.permutation(np.arange(n) < n // 3).astype(int)
    return rng.normal(size=(n, 2)) @ [[1.0, 0.4], [0.0, 0.8]] + FAR * z[:, None], z


def moments(X: Any, z: Any) -> tuple[Any, Any]:
    """Sample means about the cluster's corner, and covariances, of each cluster: (2, D) and (2, D, D)."""
    parts = [X[z == k] - FAR * k for k in (0, 1)]
    return np.stack([p.mean(axis=0) for p in parts]), np.stack([np.cov(p.T, bias=True) for p in parts])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data"])
def test_clusters_1e8_apart_have_the_moments_of_their_rows(kind: str, init: str, rng: np.random.Generator) -> None:
    X, z = clusters(rng)
    means, covariances = moments(X, z)
    options: dict[str, Any] = {"covariance_type": kind, "init_params": init, "order": "mean", "max_iter": 300}
    estimator = GaussianMixture(2, random_state=0, **options).fit(X)
    assert np.allclose(estimator.means_ - FAR * np.arange(2)[:, None], means, rtol=0, atol=1e-6)
    shares = np.array([np.mean(z == 0), np.mean(z == 1)])
    expected = {
        "full": covariances,
        "tied": np.tensordot(shares, covariances, 1),
        "diag": np.diagonal(covariances, axis1=1, axis2=2),
        "spherical": np.trace(covariances, axis1=1, axis2=2) / 2,
    }[kind]
    assert np.allclose(estimator.covariances_, expected, rtol=1e-6, atol=1e-6)
    assert np.array_equal(estimator.predict(X), z)
    assert np.allclose(estimator.weights_, shares, rtol=1e-12)


@pytest.mark.parametrize("kind", TYPES)
def test_far_from_the_origin_the_fit_is_the_same(kind: str, rng: np.random.Generator) -> None:
    X = np.round(rng.normal(size=(150, 2)) * 2**10 + 3 * 2**10 * (np.arange(150)[:, None] % 2)) / 2**10
    here, there = [
        GaussianMixture(2, covariance_type=kind, random_state=0, tol=0.0, max_iter=500).fit(X + shift)
        for shift in (0.0, 2.0**30)
    ]
    assert np.allclose(there.means_ - 2.0**30, here.means_, atol=1e-6)
    assert np.allclose(there.predict_proba(X + 2.0**30), here.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_missing_entries_do_not_spoil_clusters_1e8_apart(kind: str, rng: np.random.Generator) -> None:
    X, z = clusters(rng)
    X[::7, 0] = np.nan
    estimator = GaussianMixture(2, covariance_type=kind, order="mean", random_state=0).fit(X)
    assert np.array_equal(estimator.predict(X), z)
    largest = np.max(estimator.covariances_)
    assert 0.3 < largest < 2.0


@pytest.mark.parametrize("name", list(estimators()))
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint8, bool])
def test_a_number_is_the_same_in_every_type(name: str, dtype: Any) -> None:
    X = suiting(name)
    if dtype is not np.float32:
        if name in ("BetaMixture", "VonMisesFisherMixture"):
            pytest.skip("whole numbers are outside its support")
        X = np.clip(np.round(X * 8 if name in POSITIVE else X), int(name in POSITIVE), 200)
        X = X if dtype is not bool else (np.median(X, axis=0) < X)
        X = X if name not in POSITIVE or dtype is not bool else np.ones_like(X)
    given = np.asarray(X).astype(dtype)
    with quiet():
        exact, other = [built(name, max_iter=50).fit(table) for table in (given.astype(float), given)]
    for one, two in zip(values(exact), values(other), strict=True):
        assert np.allclose(one, two, rtol=1e-9, atol=1e-12)
    assert exact.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-9)
    assert np.allclose(exact.predict_proba(given.astype(float)), other.predict_proba(given), atol=1e-6)


def values(estimator: Any) -> Any:
    return estimator.result_.parameters.arrays().values()


def test_float32_results_are_float32_unless_their_numbers_do_not_fit(rng: np.random.Generator) -> None:
    X = (rng.normal(size=(60, 2)) * [1e-30, 1e30]).astype(np.float32)
    estimator = GaussianMixture(1, covariance_type="diag", reg_covar="auto").fit(X)
    assert np.all(estimator.covariances_ > 0)
    assert np.all(np.isfinite(estimator.covariances_))
    assert estimator.means_.dtype == np.float32


SCALES = [(1e-9, 1e9), (1e9, 1e-9), (1e-150, 1e-150), (1e-145, 1e145), (1e148, 1e148), (2.0**-30, 2.0**30)]


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("name", NORMAL)
@pytest.mark.parametrize("kind", TYPES)
def test_with_an_automatic_floor_units_do_not_matter(name: str, kind: str, scale: Any) -> None:
    if (name == "StudentTMixture" and kind in ("tied", "spherical")) or (kind == "spherical" and scale[0] != scale[1]):
        pytest.skip("no such type, or one variance for columns of different units")
    X = suiting(name)
    options = {"covariance_type": kind, "reg_covar": "auto", "max_iter": 100, "tol": 1e-9}
    plain, scaled = fitted(name, X, **options), fitted(name, X * np.array(scale), **options)
    assert np.allclose(scaled.predict_proba(X * np.array(scale)), plain.predict_proba(X), atol=1e-9)
    assert np.allclose(scaled.weights_, plain.weights_, rtol=1e-9)
    assert np.allclose(scaled.means_ / scale, plain.means_, rtol=1e-8, atol=1e-12)
    shifted = scaled.score_samples(X * np.array(scale)) + np.log(scale).sum()
    assert np.allclose(shifted, plain.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("name", [*POSITIVE])
@pytest.mark.parametrize("scale", [1e-140, 1e-9, 1e9, 1e140])
def test_positive_families_do_not_mind_units(name: str, scale: float) -> None:
    X = suiting(name)
    plain, scaled = fitted(name, X, tol=1e-8), fitted(name, X * scale, tol=1e-8)
    assert np.allclose(scaled.predict_proba(X * scale), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("name", list(estimators()))
@pytest.mark.parametrize("weight", [1e-100, 1e-12, 1e12, 1e100])
def test_the_unit_of_the_weights_does_not_matter(name: str, weight: float) -> None:
    X, start = suiting(name), {"init_params": np.eye(2)[np.arange(40) % 2], "tol": 1e-6, "max_iter": 50}
    plain = fitted(name, X, **start)
    with quiet():
        weighted = built(name, **start).fit(X, sample_weight=np.full(40, weight))
    assert weighted.n_iter_ == plain.n_iter_
    assert np.allclose(weighted.predict_proba(X), plain.predict_proba(X), atol=1e-9)
    assert weighted.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-12)


def test_a_general_mixture_of_normals_is_the_named_one() -> None:
    X = suiting("GaussianMixture")
    options = {"random_state": 0, "init_params": "k-means++", "tol": 1e-9, "max_iter": 500}
    named, general = GaussianMixture(2, **options).fit(X), MixtureModel("gaussian", 2, **options).fit(X)
    assert np.allclose(named.predict_proba(X), general.predict_proba(X), atol=1e-9)


def test_logarithms_of_any_size_are_normal(rng: np.random.Generator) -> None:
    logs = rng.normal(size=(80, 1)) * 0.5 + 300.0 * (np.arange(80)[:, None] % 2)
    estimator = LogNormalMixture(2, order="mean", random_state=0).fit(np.exp(logs))
    assert np.allclose(np.sort(estimator.locations_[:, 0]), [logs[::2].mean(), logs[1::2].mean()], rtol=1e-9)
