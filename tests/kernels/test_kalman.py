"""Kalman filter and smoother: dense conditioning, compiled equals reference, long and degenerate chains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernels.dense_gaussian import conditioned, draw, random_system

from latentem.kernels import kalman
from latentem.kernels.kalman import IMPOSSIBLE, UNDETERMINED, Dynamics, Numbers, run

CASES = {
    "plain": {},
    "missing": {"patterns": 4},
    "time-varying": {"arrivals": 5},
    "both": {"patterns": 4, "arrivals": 5},
    "singular noise": {"noise_rank": 1},
    "no noise in the state": {"noise_rank": 0},
    "known start": {"known": True},
    "known start, singular noise": {"known": True, "noise_rank": 1},
    "exact numbers": {"exact": 1},
    "exact numbers, singular noise": {"exact": 1, "noise_rank": 2},
    "diffuse": {"flat": 3},
    "partly diffuse": {"flat": 1},
    "diffuse, missing": {"flat": 2, "patterns": 4},
    "diffuse, known otherwise": {"flat": 2, "known": True},
    "diffuse, singular noise": {"flat": 3, "known": True, "noise_rank": 1},
    "diffuse, time-varying": {"flat": 3, "arrivals": 3, "patterns": 5},
}


def one(dynamics: Dynamics, numbers: Numbers, smooth: bool = True) -> kalman.Path:
    return run(dynamics, numbers, np.array([0, len(numbers.values)]), smooth=smooth)


def moments(path: kalman.Path) -> tuple[np.ndarray, ...]:
    """Means, covariances, and those of the disturbances, step by step."""
    s = path.smoothed
    assert s is not None
    return (
        s.mean,
        s.covariance[s.kept],
        s.disturbance,
        s.noise_covariance[s.kept],
        s.cross[s.kept],
        path.predicted,
        path.filtered,
        *(np.einsum("tij,tkj->tik", r[path.record], r[path.record]) for r in (path.predicted_root, path.filtered_root)),
        path.log_likelihood,
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_smoother_is_dense_conditioning(either: str, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dynamics, numbers = random_system(rng, q=3, m=2, n=9, **CASES[name])
    path = one(dynamics, numbers)
    mean, covariance, log_likelihood = conditioned(dynamics, numbers)
    assert path.status[0] == 0
    np.testing.assert_allclose(path.log_likelihood[0], log_likelihood, rtol=1e-9, atol=1e-9)
    scale = 1e-8 * (1 + np.abs(mean).max() + np.abs(np.diag(covariance.reshape(27, 27))).max())
    got = moments(path)
    np.testing.assert_allclose(got[0], mean, atol=scale)
    for t in range(9):
        np.testing.assert_allclose(got[1][t], covariance[t, :, t], atol=scale)
    for t in range(1, 9):
        A = dynamics.transition[0 if dynamics.arrival is None else dynamics.arrival[t]]
        w = mean[t] - A @ mean[t - 1] - dynamics.shift[t]
        noise = covariance[t, :, t] - A @ covariance[t - 1, :, t] - covariance[t, :, t - 1] @ A.T
        np.testing.assert_allclose(got[2][t], w, atol=5 * scale)
        np.testing.assert_allclose(got[3][t - 1], noise + A @ covariance[t - 1, :, t - 1] @ A.T, atol=5 * scale)
        cross = covariance[t, :, t - 1] - A @ covariance[t - 1, :, t - 1]
        np.testing.assert_allclose(got[4][t - 1], cross, atol=5 * scale)


@pytest.mark.parametrize("name", ["plain", "missing", "exact numbers", "diffuse, time-varying"])
def test_filter_is_dense_conditioning_on_the_past(either: str, name: str) -> None:
    dynamics, numbers = random_system(np.random.default_rng(4), q=3, m=2, n=8, **CASES[name])
    got = moments(one(dynamics, numbers))
    for t in range(4, 8):
        mean, covariance, _ = conditioned(dynamics, numbers, t + 1)
        np.testing.assert_allclose(got[6][t], mean[t], atol=1e-8)
        np.testing.assert_allclose(got[8][t], covariance[t, :, t], atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_compiled_equals_the_reference(use_compiled: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for q, m in ((1, 1), (2, 3), (4, 2), (5, 5)):
        options = {**CASES[name], "flat": min(q, CASES[name].get("flat", 0))}
        case = random_system(np.random.default_rng(q), q, m, 40, **options)
        offsets = np.array([0, 11, 12, 40]) if not CASES[name].get("flat") else np.array([0, 18, 40])
        with monkeypatch.context() as patch:
            fast = run(*case, offsets, smooth=True)
            patch.setattr(kalman, "library", lambda: None)
            slow = run(*case, offsets, smooth=True)
        np.testing.assert_array_equal(fast.status, slow.status)
        if fast.status.any():
            continue
        for a, b in zip(moments(fast), moments(slow), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * (1 + np.abs(b).max()))


@pytest.mark.parametrize("smooth", [True, False])
def test_settled_covariances_are_used_again(either: str, smooth: bool) -> None:
    dynamics, numbers = random_system(np.random.default_rng(1), q=3, m=2, n=400)
    numbers = replace(numbers, pattern=np.repeat([0, 1, 0], [150, 3, 247]), rows=np.repeat(numbers.rows, 2, 0),
                      deviations=np.repeat(numbers.deviations, 2, 0), counts=np.array([2, 1]))  # fmt: skip
    dynamics = replace(dynamics, transition=0.5 * dynamics.transition)
    numbers = replace(numbers, values=draw(dynamics, numbers, np.random.default_rng(0)))
    path = one(dynamics, numbers, smooth)
    assert len(np.unique(path.record)) < 200
    if path.smoothed:
        assert len(np.unique(path.smoothed.kept)) < 200
        mean, covariance, log_likelihood = conditioned(dynamics, numbers)
        np.testing.assert_allclose(path.smoothed.mean, mean, atol=1e-9)
        each = np.einsum("titj->tij", covariance)
        np.testing.assert_allclose(path.smoothed.covariance[path.smoothed.kept], each, atol=1e-10)
        np.testing.assert_allclose(path.log_likelihood[0], log_likelihood, rtol=1e-11)


def test_sequences_are_independent(either: str) -> None:
    dynamics, numbers = random_system(np.random.default_rng(2), q=2, m=2, n=30, patterns=3)
    together = moments(run(dynamics, numbers, np.array([0, 1, 12, 30]), smooth=True))
    for g, (a, b) in enumerate([(0, 1), (1, 12), (12, 30)]):
        part = replace(numbers, values=numbers.values[a:b], pattern=numbers.pattern[a:b])
        alone = moments(one(replace(dynamics, shift=dynamics.shift[a:b]), part))
        for x, y in zip(alone[:-1], together[:-1], strict=True):
            np.testing.assert_array_equal(x, y[a:b])
        assert alone[-1][0] == together[-1][g]


def test_hundred_thousand_steps_stay_definite(use_compiled: Any) -> None:
    rng = np.random.default_rng(3)
    n = 100_000
    transition = np.array([[[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.999]]])
    noise = np.diag([1e-3, 1e-6, 1e3])[None]
    dynamics = Dynamics(transition, noise, np.zeros((1, 3)), np.zeros(3), np.zeros((3, 3)), np.eye(3))
    rows = np.array([[[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]] * 2)
    numbers = Numbers(np.zeros((n, 2)), rows, np.array([[1.0, 1e-4]] * 2), np.array([2, 1]), rng.integers(0, 2, n))
    walk = np.cumsum(rng.normal(size=n))
    numbers = replace(numbers, values=np.stack([walk, rng.normal(size=n)], axis=1))
    path = one(dynamics, numbers)
    assert path.status[0] == 0 and np.isfinite(path.log_likelihood[0])
    for table in moments(path)[1:2] + moments(path)[3:4] + moments(path)[7:9]:
        assert np.array_equal(table, np.swapaxes(table, 1, 2))
        scale = np.sqrt(np.einsum("tii->ti", table))
        units = np.where(scale > 0, scale, 1.0)
        correlation = table / (units[:, :, None] * units[:, None, :])
        assert np.linalg.eigvalsh(correlation).min() > -1e-12


def test_an_open_direction_is_told(either: str) -> None:
    dynamics, numbers = random_system(np.random.default_rng(5), q=3, m=1, n=2, flat=3)
    assert one(dynamics, numbers).status[0] == UNDETERMINED
    assert one(dynamics, numbers, smooth=False).status[0] == UNDETERMINED


def test_an_impossible_number_is_told(either: str) -> None:
    zero = np.zeros((1, 1))
    still = Dynamics(np.eye(1)[None], zero[None], zero, np.ones(1), zero, np.empty((1, 0)))
    numbers = Numbers(np.ones((3, 1)), np.ones((1, 1, 1)), np.zeros((1, 1)), np.array([1]))
    path = one(still, numbers)
    assert path.status[0] == 0 and path.log_likelihood[0] == 0
    assert one(still, replace(numbers, values=np.array([[1.0], [1.0], [1.001]]))).status[0] == IMPOSSIBLE
