"""The compiled products, moments and features are the NumPy ones."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.kernels import compiled, products

SHAPES = [(1, 1, 1), (3, 6, 50), (5, 153, 1009), (16, 33, 2016), (16, 153, 2048), (12, 153, 4099), (7, 40, 517)]
SHAPES += [(2, 5, 9)]


@pytest.fixture
def everything_compiled(monkeypatch):
    """Small cases take the compiled path too, so that every tail is exercised."""
    if compiled.library() is None:
        pytest.skip(f"no compiled kernels: {compiled.status().reason}")
    monkeypatch.setattr(products, "SMALLEST_COMPILED", 0)


@pytest.mark.parametrize(("k", "p", "n"), SHAPES)
def test_weighted_sums_are_the_matrix_product(everything_compiled, k, p, n):
    rng = np.random.default_rng(n)
    weights, features = rng.standard_normal((k, p)), rng.standard_normal((p, n))
    bound = 1e-14 * p * (np.abs(weights) @ np.abs(features)) + 1e-300
    assert np.all(np.abs(products.weighted_sums(weights, features) - weights @ features) <= bound)


@pytest.mark.parametrize(("k", "p", "n"), SHAPES)
def test_expected_sums_are_the_matrix_product(everything_compiled, k, p, n):
    rng = np.random.default_rng(n)
    r, features = rng.random((k, n)), rng.standard_normal((p, n))
    bound = 1e-13 * (r @ np.abs(features).T) + 1e-300
    assert np.all(np.abs(products.expected_sums(r, features) - r @ features.T) <= bound)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 3), (257, 2), (2016, 16), (1000, 5)])
@pytest.mark.parametrize("name", ["product_features", "axis_features"])
def test_features_are_the_reference_to_the_bit(everything_compiled, name, n, d):
    rng = np.random.default_rng(n)
    x, centre = rng.standard_normal((n, d)), rng.standard_normal(d)
    reference = getattr(products, f"{name}_reference")(x, centre)
    assert np.array_equal(getattr(products, name)(x, centre), reference)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 3), (95, 8), (96, 9), (97, 16), (193, 25), (505, 31), (2016, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_exact_sums(everything_compiled, n, d, weighted):
    rng = np.random.default_rng(n)
    x, centre = 1e3 + rng.standard_normal((n, d)), np.full(d, 1e3)
    weights = rng.uniform(0, 2, n) * (rng.random(n) < 0.9) if weighted else None
    y = (x - centre).astype(np.longdouble)
    scaled = y if weights is None else y * weights[:, None]
    for moments in (products.moments, products.moments_reference):
        first, second = moments(x, centre, weights)
        assert first.shape == (d,) and second.shape == (d, d)
        assert np.all(np.abs(first - scaled.sum(axis=0)) <= 1e-15 * n * np.abs(scaled).sum(axis=0))
        assert np.all(np.abs(second - scaled.T @ y) <= 1e-15 * n * (np.abs(scaled).T @ np.abs(y)))
        np.testing.assert_array_equal(second, second.T)


def test_moments_of_a_table_that_is_not_contiguous_or_not_double_are_right(everything_compiled):
    table = np.random.default_rng(1).standard_normal((40, 60)).astype(np.float32)[:, ::3].T
    first, second = products.moments(table, np.zeros(40), None)
    np.testing.assert_allclose(second, table.astype(float).T @ table.astype(float), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(first, table.astype(float).sum(axis=0), rtol=1e-12, atol=1e-12)


def test_a_product_of_features_that_are_not_contiguous_is_right(everything_compiled):
    features = np.random.default_rng(0).standard_normal((300, 20)).T
    weights = np.ones((4, 20))
    assert np.allclose(products.weighted_sums(weights, features), weights @ features, rtol=1e-14)


@pytest.mark.parametrize("n", [1, 7, 255, 256, 1024, 1025, 2500])
@pytest.mark.parametrize("d", [1, 3, 4, 8])
@pytest.mark.parametrize("k", [1, 3, 8, 11])
def test_products_in_passing_are_products_that_are_kept(everything_compiled, k, d, n):
    rng = np.random.default_rng(n + d)
    x, centre, r = rng.standard_normal((n, d)), rng.standard_normal(d), rng.random((k, n))
    features = products.product_features_reference(x, centre)
    weights = rng.standard_normal((k, len(features)))
    weighted, expected = products.weighted_products(weights, x, centre), products.expected_products(r, x, centre)
    assert np.all(np.abs(weighted - weights @ features) <= 1e-13 * (np.abs(weights) @ np.abs(features)))
    assert np.all(np.abs(expected - r @ features.T) <= 1e-13 * (r @ np.abs(features).T))


def test_products_in_passing_without_wide_vectors_are_the_matrix_products(monkeypatch):
    monkeypatch.setattr(products, "library", lambda: None)
    rng = np.random.default_rng(0)
    x, centre, r = rng.standard_normal((900, 4)), rng.standard_normal(4), rng.random((3, 900))
    features = products.product_features_reference(x, centre)
    assert not products.passes_by(8, x)
    assert np.array_equal(products.weighted_products(np.ones((2, 15)), x, centre), np.ones((2, 15)) @ features)
    assert np.array_equal(products.expected_products(r, x, centre), r @ features.T)
