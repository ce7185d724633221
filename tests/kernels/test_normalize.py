"""Normalization over states: compiled and reference agree, and posteriors add to one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentem.kernels import normalize
from latentem.kernels.normalize import normalize_states, normalize_states_reference

SHAPES = [(1, 4096), (2, 2048), (3, 5000), (16, 2048), (40, 1999)]


def joints(shape: tuple[int, int], spread: float) -> np.ndarray:
    return np.random.default_rng(shape[1]).normal(size=shape) * spread - 5


@pytest.mark.parametrize("spread", [0.1, 3.0, 300.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_normalization_equals_the_reference(
    use_compiled: Any, shape: tuple[int, int], spread: float
) -> None:
    expected = joints(shape, spread)
    got = expected.copy()
    assert expected.size >= normalize.SMALLEST_COMPILED
    np.testing.assert_allclose(normalize_states(got), normalize_states_reference(expected), rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(got.sum(axis=0), 1, rtol=0, atol=1e-14)


def test_impossible_states_get_nothing_and_impossible_columns_return_minus_infinity(either: str) -> None:
    x = joints((4, 2048), 2.0)
    x[1, ::3] = -np.inf
    x[:, 7] = -np.inf
    total = normalize_states(x)
    assert total[7] == -np.inf
    assert np.all(np.isfinite(np.delete(total, 7)))
    assert np.all(x[1, 9::3] == 0)


def test_infinite_and_undefined_densities_are_not_hidden(either: str) -> None:
    x = joints((4, 2048), 2.0)
    x[2, 5], x[0, 6], x[3, 8] = np.nan, np.inf, np.nan
    total = normalize_states(x)
    assert not np.isfinite(total[[5, 6, 8]]).any()
    assert np.isfinite(np.delete(total, [5, 6, 8])).all()


def test_a_shift_of_the_densities_moves_the_log_likelihood_alone(either: str) -> None:
    x = joints((16, 2048), 3.0)
    y = x + 1e3
    moved = normalize_states(y) - normalize_states(x)
    np.testing.assert_allclose(moved, 1e3, rtol=1e-14)
    np.testing.assert_allclose(y, x, rtol=1e-11)


def test_arrays_that_the_kernel_cannot_read_take_the_reference(use_compiled: Any) -> None:
    x = np.asfortranarray(joints((8, 2048), 2.0))
    expected = np.ascontiguousarray(x)
    np.testing.assert_allclose(normalize_states(x), normalize_states(expected), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(x, expected, rtol=1e-13)
