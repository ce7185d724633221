"""Forward recursion and draws of paths: enumeration, agreement with smoothing, sequences that are impossible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from latentem.kernels.chain import smooth
from latentem.kernels.filtering import filtered, filtered_reference, sample_paths


def problem(seed: int, n_states: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(n_states), n_states)
    transition *= (rng.random((n_states, n_states)) < 0.7) | np.eye(n_states, dtype=bool)
    transition /= transition.sum(axis=1, keepdims=True)
    return rng.dirichlet(np.ones(n_states)), transition, 2 * rng.normal(size=(n_states, length))


@pytest.mark.parametrize("n_states", [1, 2, 8, 9, 33])
def test_compiled_filter_is_the_reference(use_compiled: Any, n_states: int) -> None:
    case = *problem(n_states, n_states, 330), np.array([0, 1, 65, 129, 330])
    for got, expected in zip(filtered(*case), filtered_reference(*case), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_filtered_states_are_the_smoothed_ones_of_the_sequence_so_far(either: str) -> None:
    initial, transition, log_density = problem(2, 4, 30)
    predicted, current, increments = filtered(initial, transition, log_density, np.array([0, 30]))
    for t in (0, 1, 7, 29):
        posterior, _, log_likelihood = smooth(initial, transition, log_density[:, : t + 1].copy(), np.array([0, t + 1]))
        np.testing.assert_allclose(current[:, t], posterior[:, -1], rtol=1e-11)
        assert increments[: t + 1].sum() == pytest.approx(log_likelihood[0], rel=1e-12)
    np.testing.assert_allclose(predicted[:, 0], initial, rtol=1e-14)
    np.testing.assert_allclose(predicted[:, 1:], transition.T @ current[:, :-1], rtol=1e-11, atol=1e-15)


def test_a_state_that_was_as_good_as_lost_comes_back(either: str) -> None:
    """No transitions: 900 nats against the second state, then 100 a row against the first."""
    log_density = np.array([[0.0] + [-100.0] * 10, [-900.0] + [0.0] * 10])
    case = np.full(2, 0.5), np.eye(2), log_density, np.array([0, 11])
    _, current, increments = filtered(*case)
    totals = np.cumsum(log_density, axis=1)
    np.testing.assert_allclose(current, np.exp(totals - np.logaddexp.reduce(totals)), rtol=1e-11, atol=1e-199)
    assert increments.sum() == pytest.approx(np.logaddexp.reduce(totals[:, -1]) + np.log(0.5), rel=1e-13)


def test_from_an_impossible_row_on_nothing_is_known(either: str) -> None:
    initial, transition, log_density = problem(3, 3, 20)
    log_density[:, 12] = -np.inf
    predicted, current, increments = filtered(initial, transition, log_density, np.array([0, 10, 20]))
    assert np.all(np.isfinite(increments[:12]))
    assert np.all(increments[12:] == -np.inf)
    assert np.isfinite(predicted[:, :13]).all()
    assert np.isnan(predicted[:, 13:]).all()
    assert np.isnan(current[:, 12:]).all()


def test_paths_are_drawn_as_often_as_they_are_probable() -> None:
    initial, transition, log_density = problem(4, 2, 4)
    paths = np.array(list(itertools.product(range(2), repeat=4)))
    with np.errstate(divide="ignore"):
        logs = np.log(initial)[paths[:, 0]] + np.log(transition)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    logs += log_density[paths, np.arange(4)].sum(axis=1)
    expected = np.exp(logs - np.logaddexp.reduce(logs))
    size = 40_000
    drawn = sample_paths(initial, transition, log_density, np.array([0, 4]), np.random.default_rng(0), size)
    share = np.bincount(drawn @ [8, 4, 2, 1], minlength=16) / size
    np.testing.assert_allclose(share, expected, atol=5 * np.sqrt(0.25 / size))
    assert np.all(share[expected == 0] == 0)


def test_draws_of_sequences_are_independent_of_impossible_neighbours() -> None:
    initial, transition, log_density = problem(5, 3, 9)
    log_density[:, 4] = -np.inf
    drawn = sample_paths(initial, transition, log_density, np.array([0, 3, 6, 9]), np.random.default_rng(0), 5)
    assert drawn.shape == (5, 9)
    assert np.all(drawn[:, 3:6] == -1)
    assert np.all(np.delete(drawn, range(3, 6), axis=1) >= 0)


def test_however_far_off_rows_are_states_keep_their_digits(either: str) -> None:
    """Also where a state that is forbidden to the others makes logarithms necessary."""
    initial, transition, log_density = problem(5, 3, 60)
    log_density[1, 30] = -2000.0
    case, offsets = (initial, transition), np.array([0, 60])
    far = log_density - 2.0**53
    got, expected = filtered_reference(*case, far, offsets), filtered_reference(*case, far + 2.0**53, offsets)
    for one, other, third in zip(got[:2], expected[:2], filtered(*case, far, offsets)[:2], strict=True):
        np.testing.assert_allclose(one.sum(axis=0), 1, rtol=1e-12)
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-300)
        np.testing.assert_allclose(third.sum(axis=0), 1, rtol=1e-12)
