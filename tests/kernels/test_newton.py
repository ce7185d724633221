"""Numeric ascent and differences."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.kernels.derivatives import curved_jacobian, difference_steps, gradient
from latentem.kernels.newton import maximize_smooth


def test_ascent_ends_at_the_maximum_whatever_the_units() -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-9, 1.0, 1e9):
        y = scale * (5 + rng.normal(size=300))

        def q(v, y=y):
            return -0.5 * np.sum((y - v[0]) ** 2) * np.exp(-2 * v[1]) - len(y) * v[1]

        found = maximize_smooth(q, np.array([0.0, np.log(7 * scale)]))
        np.testing.assert_allclose(found[0], y.mean(), rtol=1e-9)
        np.testing.assert_allclose(np.exp(found[1]), y.std(), rtol=1e-9)


def test_ascent_follows_a_bent_valley_with_and_without_a_gradient() -> None:
    def f(v):
        return -(100 * (v[1] - v[0] ** 2) ** 2 + (1 - v[0]) ** 2)

    def slope(v):
        inner = v[1] - v[0] ** 2
        return np.array([400 * v[0] * inner + 2 * (1 - v[0]), -200 * inner])

    for given in (None, slope):
        np.testing.assert_allclose(maximize_smooth(f, np.array([-1.2, 1.0]), given), [1, 1], atol=1e-8)


def test_ascent_never_ends_below_its_start() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(3, 3)), rng.normal(size=3)

        def f(v, a=a, b=b):
            return float(np.sin(a @ v).sum() + b @ v - 0.01 * np.sum(v**4))

        start = rng.normal(size=3) * 3
        assert f(maximize_smooth(f, start)) >= f(start)


def test_ascent_leaves_a_saddle_and_stays_inside_the_domain() -> None:
    found = maximize_smooth(lambda v: v[0] ** 2 - v[0] ** 4, np.array([1e-3]))
    np.testing.assert_allclose(np.abs(found), np.sqrt(0.5), rtol=1e-8)
    np.testing.assert_allclose(maximize_smooth(lambda v: np.log(v[0]) - v[0], np.array([0.01])), 1.0, rtol=1e-9)
    with pytest.raises(ValueError, match="at the start"):
        maximize_smooth(lambda v: np.log(v[0]), np.array([-1.0]))


def test_derivatives_are_accurate_on_any_scale() -> None:
    for scale in (1e-8, 1.0, 1e8):
        point = np.array([0.7 * scale])
        slope = gradient(lambda v, s=scale: float(np.sin(v[0] / s)), point)
        np.testing.assert_allclose(slope, np.cos(0.7) / scale, rtol=1e-10)
        step = difference_steps(lambda v, s=scale: float(np.sin(v[0] / s)), point)
        assert 1e-5 * scale < step[0] < 0.1 * scale


def test_a_gradient_saves_evaluations_and_leads_closer() -> None:
    rng = np.random.default_rng(1)
    root, centre, calls = rng.normal(size=(20, 20)), rng.normal(size=20), [0, 0]
    scales = 10.0 ** rng.uniform(-6, 6, size=20)
    a = root @ root.T / 20 + np.eye(20)

    def f(v):
        calls[0] += 1
        z = v / scales - centre
        return float(-np.sum(np.cosh(z)) - 0.5 * z @ a @ z)

    def slope(v):
        calls[1] += 1
        z = v / scales - centre
        return -(np.sinh(z) + a @ z) / scales

    by_values = maximize_smooth(f, 0 * scales) / scales
    values, calls[0] = calls[0], 0
    by_slopes = maximize_smooth(f, 0 * scales, slope) / scales
    assert sum(calls) < 0.25 * values
    np.testing.assert_allclose(by_values, centre, atol=1e-7)
    np.testing.assert_allclose(by_slopes, centre, atol=1e-12)


def test_differences_of_a_gradient_are_the_hessian_whatever_the_units() -> None:
    scales = np.array([1e-8, 1.0, 1e8])
    point = scales * np.array([0.3, 0.7, -0.4])
    steps, found = curved_jacobian(lambda v: np.cos((v / scales).sum()) / scales, point, np.sin(0.6))
    expected = -np.sin(0.6) / np.outer(scales, scales)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.all((steps > 1e-5 * scales) & (steps < 0.1 * scales))


@pytest.mark.parametrize("given", [False, True])
def test_a_wall_before_one_coordinate_does_not_hold_back_the_others(given: bool) -> None:
    def f(v):
        return -((v[0] - 3) ** 2) - np.cosh(v[1] - v[2]) - (v[1] - 5) ** 2 if v[0] <= 1 else -np.inf

    def slope(v):
        bend = np.sinh(v[1] - v[2])
        return np.array([-2 * (v[0] - 3), -bend - 2 * (v[1] - 5), bend])

    found = maximize_smooth(f, np.zeros(3), slope if given else None)
    assert 0.9 < found[0] <= 1
    np.testing.assert_allclose(found[1:], 5.0, atol=1e-6)
