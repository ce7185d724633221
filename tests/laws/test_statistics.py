"""Statistics are values that add."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from latentem.data import Batch
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
)
from latentem.model import Posterior
from latentem.statistics import Expectation, LocalQ, Reference, Statistics, arrays_of


@dataclass(frozen=True)
class Pair(Statistics):
    left: Any
    right: Any


@dataclass(frozen=True)
class Other(Statistics):
    left: Any
    right: Any


def test_they_add_field_by_field_to_any_depth():
    a = Pair(np.array([1.0, 2.0]), (Pair(1.0, None), 3.0))
    b = Pair(np.array([10.0, 20.0]), (Pair(5.0, None), 7.0))
    total = a + b
    assert np.array_equal(total.left, [11, 22])
    assert total.right == (Pair(6.0, None), 10.0)


def test_a_scalar_multiplies_every_array_on_either_side():
    a = Pair(np.array([1.0, 2.0]), (Pair(1.0, None), Reference(np.zeros(1))))
    for double in (2 * a, a * 2):
        assert np.array_equal(double.left, [2, 4])
        assert double.right[0] == Pair(2.0, None)
        assert double.right[1] is a.right[1]


def test_they_are_a_vector_space():
    rng = np.random.default_rng(0)
    a, b, c = (Pair(rng.integers(9, size=3).astype(float), rng.integers(9, size=2).astype(float)) for _ in range(3))

    def equal(x, y):
        return all(np.array_equal(p, q) for p, q in zip(arrays_of(x), arrays_of(y), strict=True))

    assert equal(a + b, b + a)
    assert equal((a + b) + c, a + (b + c))
    assert equal((a + b) * 2, a * 2 + b * 2)
    assert equal(a + a * -1.0, a * 0.0)


def test_addition_changes_neither_side():
    a, b = Pair(np.ones(2), 1.0), Pair(np.ones(2), 1.0)
    a + b
    assert np.array_equal(a.left, [1, 1])
    assert np.array_equal(b.left, [1, 1])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Pair(np.zeros(2), None), Pair(np.zeros(2), 1.0)),
        (Pair(np.zeros(2), 1.0), Pair(np.zeros(2), None)),
        (Pair(np.zeros(2), 1.0), Pair(np.zeros(1), 1.0)),
        (Pair(np.zeros((2, 1)), 1.0), Pair(np.zeros(2), 1.0)),
    ],
)
def test_what_does_not_fit_is_neither_broadcast_nor_dropped(a, b):
    with pytest.raises(ValueError, match="different shapes"):
        a + b


def test_different_kinds_do_not_add():
    with pytest.raises(TypeError):
        Pair(1.0, 2.0) + Other(1.0, 2.0)


def local_q(point):
    return LocalQ(np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2, 2)), Reference(np.array(point)))


def test_different_references_do_not_add():
    with pytest.raises(ValueError, match="different references"):
        local_q([0.0, 1.0]) + local_q([0.0, 1.5])


def test_equal_references_add_even_if_they_are_not_the_same_object():
    total = local_q([0.0, 1.0]) + local_q([0.0, 1.0])
    assert np.array_equal(total.reference.point, [0, 1])


def test_a_local_q_cannot_be_moved():
    with pytest.raises(TypeError, match="LocalQ cannot be moved"):
        local_q([0.0]).shift(Reference(np.zeros(1)))


GAUSSIANS = [
    (FullGaussian(), lambda m: FullGaussianParameters(m, np.stack([np.eye(2)] * 2))),
    (DiagonalGaussian(), lambda m: DiagonalGaussianParameters(m, np.ones((2, 2)))),
]


@pytest.mark.parametrize(("family", "params"), GAUSSIANS)
def test_shifted_moments_are_those_about_the_other_centre(family, params, rng):
    x, r = rng.normal(size=(30, 2)) + 5, rng.dirichlet(np.ones(2), size=30).T
    near, far = params(np.array([[5.0, 5], [6, 5]])), params(np.array([[1.0, 2], [3, 0]]))
    here = family.statistics(Batch(x), Posterior(r), near)
    there = family.statistics(Batch(x), Posterior(r), far)
    with pytest.raises(ValueError, match="references"):
        here + there
    moved = here.shift(there.reference)
    for a, b in zip(arrays_of(moved), arrays_of(there), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    back = moved.shift(here.reference)
    for a, b in zip(arrays_of(back), arrays_of(here), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert isinstance(moved + there, type(here))


def test_rounding_of_a_log_likelihood_goes_with_the_sum_of_magnitudes():
    one, large = Expectation(None, 0.0, 1.0, 1.0), Expectation(None, -1e6, 1e6, 1e6)
    assert one.rounding < 1e-14
    assert large.rounding == pytest.approx(1e6 * one.rounding)
    assert (one + large).magnitude == 1e6 + 1
