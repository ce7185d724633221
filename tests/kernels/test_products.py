"""The compiled products and features are the NumPy ones."""

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


def test_a_product_of_features_that_are_not_contiguous_is_right(everything_compiled):
    features = np.random.default_rng(0).standard_normal((300, 20)).T
    weights = np.ones((4, 20))
    assert np.allclose(products.weighted_sums(weights, features), weights @ features, rtol=1e-14)
