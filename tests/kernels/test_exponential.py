"""The kernels' exponential against extended precision."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from latentem.kernels.compiled import address


def exponential(kernels: Any, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    kernels.latentem_exp(len(x), address(x), address(y))
    return y


def test_exponential_is_within_two_units_in_the_last_place(kernels: Any) -> None:
    rng = np.random.default_rng(0)
    x = -np.concatenate([rng.uniform(0, 1, 1000), rng.uniform(0, 707, 1000), 10.0 ** rng.uniform(-20, 0, 500)])
    exact = [mpmath.exp(mpmath.mpf(float(value))) for value in x]
    y = exponential(kernels, x)
    errors = [abs(mpmath.mpf(float(a)) - b) / mpmath.mpf(float(np.spacing(a))) for a, b in zip(y, exact, strict=True)]
    assert max(errors) <= 2


def test_exponential_is_one_at_zero_and_zero_far_below(kernels: Any) -> None:
    y = exponential(kernels, np.array([0.0, -0.0, -708.5, -1e6, -1e300, -np.inf]))
    assert y.tolist() == [1, 1, 0, 0, 0, 0]


def test_exponential_does_not_fall_as_its_argument_rises_across_the_switch_of_powers(kernels: Any) -> None:
    edges = -np.log(2) * (np.arange(1, 900) - 0.5)
    for edge in edges:
        x = edge + np.linspace(-1e-9, 1e-9, 21) * abs(edge)
        assert np.all(np.diff(exponential(kernels, x)) >= 0)


def test_exponential_of_nan_is_nan(kernels: Any) -> None:
    assert np.isnan(exponential(kernels, np.array([np.nan, -1.0]))).tolist() == [True, False]
