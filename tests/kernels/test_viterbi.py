"""The most probable paths: enumeration, ties, impossible sequences; compiled and reference find the same paths."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from latentem.kernels.inhomogeneous_chain import decode_inhomogeneous
from latentem.kernels.viterbi import decode, decode_in_blocks, decode_reference, k_best_paths


def problem(seed: int, n_states: int, length: int, zeros: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(n_states), n_states)
    if zeros:
        transition *= (rng.random((n_states, n_states)) < 0.6) | np.eye(n_states, dtype=bool)
    transition /= transition.sum(axis=1, keepdims=True)
    return rng.dirichlet(np.ones(n_states)), transition, 2 * rng.normal(size=(n_states, length))


def all_paths(initial: np.ndarray, transition: np.ndarray, log_density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every path, in lexicographic order, and its log p(x, z)."""
    n_states, length = log_density.shape
    paths = np.array(list(itertools.product(range(n_states), repeat=length)))
    with np.errstate(divide="ignore"):
        logs = np.log(initial)[paths[:, 0]] + np.log(transition)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    return paths, logs + log_density[paths, np.arange(length)].sum(axis=1)


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_best_of_all(either: str, seed: int) -> None:
    case = problem(seed, 3, 6)
    paths, logs = all_paths(*case)
    states, log_joint = decode(*case, np.array([0, 6]))
    assert np.array_equal(states, paths[logs.argmax()])
    assert log_joint[0] == pytest.approx(logs.max(), rel=1e-14)


@pytest.mark.parametrize("n_states", [1, 2, 7, 8, 9, 17, 257])
def test_compiled_paths_are_those_of_the_reference_also_where_many_are_equal(use_compiled: Any, n_states: int) -> None:
    initial, transition, log_density = problem(n_states, n_states, 330)
    offsets = np.array([0, 1, 2, 66, 130, 330])
    flat = np.full(n_states, 1 / n_states), np.full((n_states, n_states), 1 / n_states)
    cases = [(initial, transition, log_density), (*flat, np.round(log_density / 4)), (*flat, 0 * log_density)]
    for case in cases:
        got, expected = decode(*case, offsets), decode_reference(*case, offsets)
        assert np.array_equal(got[0], expected[0])
        assert np.array_equal(got[1], expected[1])


@pytest.mark.parametrize("n_states", [1, 3, 8, 9, 257])
@pytest.mark.parametrize("edges", [[0, 300], [0, 1, 2, 66, 130, 300], [0, 8, 64, 129, 300]])
def test_a_path_in_blocks_is_the_path_of_the_whole(either: str, n_states: int, edges: list[int]) -> None:
    case = problem(n_states, n_states, 300)
    flat = np.full(n_states, 1 / n_states), np.full((n_states, n_states), 1 / n_states), np.round(case[2] / 4)
    for initial, transition, log_density in (case, flat):
        expected = decode(initial, transition, log_density, np.array([0, 300]))
        blocks = (log_density[:, a:b] for a, b in itertools.pairwise(edges))
        states, log_joint = decode_in_blocks(initial, transition, blocks, 300)
        assert states.dtype == expected[0].dtype
        assert np.array_equal(states, expected[0])
        assert log_joint == expected[1][0]


@pytest.mark.parametrize("where", [0, 1, 7, 8, 63, 64, 99])
@pytest.mark.parametrize("value", [-np.inf, np.nan, np.inf])
def test_blocks_that_are_impossible_or_undefined_have_no_path(either: str, where: int, value: float) -> None:
    initial, transition, log_density = problem(3, 3, 100)
    log_density[:, where] = value
    blocks = (log_density[:, a:b] for a, b in [(0, 8), (8, 64), (64, 100)])
    states, log_joint = decode_in_blocks(initial, transition, blocks, 100)
    assert states.tolist() == [-1] * 100
    assert log_joint == -np.inf


def test_of_equal_paths_the_lowest_states_are_taken(either: str) -> None:
    states, _ = decode(np.full(3, 1 / 3), np.full((3, 3), 1 / 3), np.zeros((3, 5)), np.array([0, 5]))
    assert states.tolist() == [0] * 5


def test_impossible_and_undefined_sequences_have_no_path(either: str) -> None:
    initial, transition, log_density = problem(3, 3, 12)
    for value in (-np.inf, np.nan, np.inf):
        broken = log_density.copy()
        broken[:, 5] = value
        states, log_joint = decode(initial, transition, broken, np.array([0, 4, 8, 12]))
        assert states[4:8].tolist() == [-1] * 4
        assert np.all(np.delete(states, range(4, 8)) >= 0)
        assert np.isneginf(log_joint).tolist() == [False, True, False]


@pytest.mark.parametrize("offsets", [[0], [0, 1, 9, 20]])
@pytest.mark.parametrize("value", [0.0, -np.inf, np.nan, np.inf])
def test_a_chain_with_a_matrix_a_row_has_the_same_paths(offsets: list[int], value: float) -> None:
    initial, transition, log_density = problem(4, 3, offsets[-1])
    log_density[:, 4:5] += value
    expected = decode_reference(initial, transition, log_density, np.array(offsets))
    with np.errstate(divide="ignore"):
        steps = np.repeat(np.log(transition)[:, :, None], offsets[-1], axis=2)
        log_density[:, offsets[:-1]] += np.log(initial)[:, None]
    states, log_joint = decode_inhomogeneous(steps, log_density, np.array(offsets))
    assert np.array_equal(states, expected[0])
    assert np.array_equal(log_joint, expected[1])


@pytest.mark.parametrize("k", [1, 2, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_the_k_best_paths_are_the_best_of_all(seed: int, k: int) -> None:
    case = problem(seed, 3, 5)
    paths, logs = all_paths(*case)
    order = np.argsort(-logs)[: min(k, int(np.isfinite(logs).sum()))]
    found, log_joints = k_best_paths(*case, k)
    np.testing.assert_allclose(log_joints, logs[order], rtol=1e-13)
    assert np.array_equal(found, paths[order])


def test_the_best_path_is_the_first_of_the_best_paths() -> None:
    case = problem(9, 6, 200)
    states, log_joint = decode(*case, np.array([0, 200]))
    paths, log_joints = k_best_paths(*case, 5)
    assert np.array_equal(paths[0], states)
    assert log_joints[0] == pytest.approx(log_joint[0], rel=1e-14)
    assert len(np.unique(paths, axis=0)) == 5
    assert np.all(np.diff(log_joints) <= 0)


def test_an_impossible_sequence_has_no_best_paths() -> None:
    initial, transition, log_density = problem(1, 3, 6)
    log_density[:, 2] = -np.inf
    paths, log_joints = k_best_paths(initial, transition, log_density, 3)
    assert paths.shape == (0, 6)
    assert log_joints.shape == (0,)
