"""Forward-backward: compiled and reference agree, both with brute force; sequences are independent."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from latentem.kernels import chain
from latentem.kernels.chain import smooth
from latentem.kernels.forward_backward import forward_backward

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def problem(seed: int, n_states: int, lengths: list[int], spread: float = 3.0) -> Problem:
    rng = np.random.default_rng(seed)
    log_density = rng.normal(size=(n_states, sum(lengths))) * spread
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return rng.dirichlet(np.ones(n_states)), rng.dirichlet(np.ones(n_states), n_states), log_density, offsets


def reference(initial: np.ndarray, transition: np.ndarray, log_density: np.ndarray, offsets: np.ndarray) -> Any:
    each = [
        forward_backward(initial, transition, log_density[:, a:b]) for a, b in itertools.pairwise(offsets.tolist())
    ]
    posteriors, pairs, log_likelihoods = zip(*each, strict=True)
    return np.concatenate(posteriors, axis=1), np.stack(pairs), np.array(log_likelihoods)


def assert_agree(got: Any, expected: Any, tol: float = 1e-12) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def compiled_alone(monkeypatch: pytest.MonkeyPatch, *arguments: np.ndarray) -> Any:
    """The compiled result; fails where a sequence was handed to the reference."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("the compiled kernel left a sequence to the reference")

    with monkeypatch.context() as patch:
        patch.setattr(chain, "forward_backward", refuse)
        return smooth(arguments[0], arguments[1], arguments[2].copy(), arguments[3])


def left_to_the_reference(monkeypatch: pytest.MonkeyPatch, *arguments: np.ndarray) -> int:
    calls = []

    def record(initial: np.ndarray, transition: np.ndarray, log_density: np.ndarray) -> Any:
        calls.append(log_density.shape)
        return forward_backward(initial, transition, log_density)

    with monkeypatch.context() as patch:
        patch.setattr(chain, "forward_backward", record)
        smooth(arguments[0], arguments[1], arguments[2].copy(), arguments[3])
    return len(calls)


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("n_states", [1, 2, 3, 4, 7, 8, 9, 16, 17])
def test_compiled_equals_the_reference(
    use_compiled: Any, monkeypatch: pytest.MonkeyPatch, n_states: int, spread: float
) -> None:
    case = problem(n_states, n_states, [1, 2, 63, 64, 65, 200], spread)
    assert_agree(compiled_alone(monkeypatch, *case), reference(*case))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    n_states=st.integers(1, 12),
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    spread=st.floats(0, 400),
    zeros=st.floats(0, 0.7),
)
def test_compiled_equals_the_reference_also_with_impossible_transitions(
    use_compiled: Any, seed: int, n_states: int, lengths: list[int], spread: float, zeros: float
) -> None:
    initial, transition, log_density, offsets = problem(seed, n_states, lengths, spread)
    closed = (np.random.default_rng(seed).random(transition.shape) < zeros) & ~np.eye(n_states, dtype=bool)
    transition[closed] = 0
    transition /= transition.sum(axis=1, keepdims=True)
    got = smooth(initial, transition, log_density.copy(), offsets)
    # The reference may have taken logarithms, whose rounding grows with the densities.
    assert_agree(got, reference(initial, transition, log_density, offsets), 1e-11 + 2e-12 * spread)


def test_posteriors_equal_enumeration_of_all_paths(either: str) -> None:
    initial, transition, log_density, offsets = problem(3, 3, [5])
    joint = {}
    for path in itertools.product(range(3), repeat=5):
        logs = np.log(initial[path[0]]) + sum(log_density[k, t] for t, k in enumerate(path))
        joint[path] = np.exp(logs + sum(np.log(transition[j, k]) for j, k in itertools.pairwise(path)))
    total = sum(joint.values())
    posterior, pairs, log_likelihood = smooth(initial, transition, log_density.copy(), offsets)
    np.testing.assert_allclose(log_likelihood, [np.log(total)], rtol=1e-13)
    for t, k in itertools.product(range(5), range(3)):
        share = sum(value for path, value in joint.items() if path[t] == k) / total
        assert posterior[k, t] == pytest.approx(share, rel=1e-12)
    for j, k in itertools.product(range(3), range(3)):
        share = sum(v * list(itertools.pairwise(path)).count((j, k)) for path, v in joint.items()) / total
        assert pairs[0, j, k] == pytest.approx(share, rel=1e-12)


def test_a_sequence_does_not_depend_on_its_neighbours(either: str) -> None:
    initial, transition, log_density, offsets = problem(5, 4, [30, 1, 70])
    together = smooth(initial, transition, log_density.copy(), offsets)
    for g, (a, b) in enumerate(itertools.pairwise(offsets.tolist())):
        alone = smooth(initial, transition, log_density[:, a:b].copy(), np.array([0, b - a]))
        assert np.array_equal(together[0][:, a:b], alone[0])
        assert np.array_equal(together[1][g], alone[1][0])
        assert together[2][g] == alone[2][0]


def test_pairs_sum_to_the_posteriors_of_their_ends(either: str) -> None:
    initial, transition, log_density, offsets = problem(6, 5, [400])
    posterior, pairs, _ = smooth(initial, transition, log_density, offsets)
    np.testing.assert_allclose(pairs[0].sum(axis=1), posterior[:, :-1].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(pairs[0].sum(axis=0), posterior[:, 1:].sum(axis=1), rtol=1e-12)


def test_rare_transitions_are_trusted_to_the_scaled_recursion_only_where_nothing_was_lost(
    use_compiled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two chains that never meet: the evidence runs 2,000 nats to one side and 3,000 back."""
    evidence = np.concatenate([np.full(200, 10.0), np.full(200, -15.0)])
    log_density = np.stack([np.zeros(400), -evidence])
    case = (np.array([0.5, 0.5]), np.eye(2), log_density, np.array([0, 400]))
    assert left_to_the_reference(monkeypatch, *case) == 1
    posterior, _, log_likelihood = smooth(case[0], case[1], log_density.copy(), case[3])
    totals = log_density.sum(axis=1)
    np.testing.assert_allclose(log_likelihood, np.logaddexp(*totals) + np.log(0.5), rtol=1e-13)
    np.testing.assert_allclose(posterior, np.exp(totals - np.logaddexp(*totals))[:, None] * np.ones(400), atol=1e-12)
    assert left_to_the_reference(monkeypatch, case[0], case[1], log_density / 10, case[3]) == 0


def test_impossible_sequences_return_minus_infinity_and_leave_the_others_right(either: str) -> None:
    initial, transition, log_density, offsets = problem(7, 3, [20, 20, 20])
    log_density[:, 25] = -np.inf
    posterior, _, log_likelihood = smooth(initial, transition, log_density.copy(), offsets)
    assert log_likelihood[1] == -np.inf
    expected = reference(initial, transition, log_density[:, :20], np.array([0, 20]))
    np.testing.assert_allclose(posterior[:, :20], expected[0], rtol=1e-12)
    assert np.isfinite(log_likelihood[[0, 2]]).all()


def test_undefined_densities_do_not_pass(either: str) -> None:
    for value, zeros in itertools.product((np.nan, np.inf), (False, True)):
        initial, transition, log_density, offsets = problem(8, 3, [20, 20])
        if zeros:
            transition = np.triu(transition) / np.triu(transition).sum(axis=1, keepdims=True)
        for state in range(3):
            broken = log_density.copy()
            broken[state, 3] = value
            with np.errstate(all="ignore"):
                assert np.isneginf(smooth(initial, transition, broken, offsets)[2]).tolist() == [True, False]


def test_the_layout_of_the_arrays_does_not_matter(either: str) -> None:
    initial, transition, log_density, offsets = problem(9, 6, [50, 40])
    expected = smooth(initial, transition, log_density.copy(), offsets)
    for other in (np.asfortranarray(log_density), np.repeat(log_density, 2, axis=1)[:, ::2]):
        assert_agree(smooth(initial, np.asfortranarray(transition), other, offsets.astype(np.int32)), expected, 1e-13)


def test_calls_from_many_threads_give_the_same_bits(either: str) -> None:
    case = problem(10, 8, [3000])
    expected = smooth(*case[:2], case[2].copy(), case[3])
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: smooth(*case[:2], case[2].copy(), case[3]), range(16)):
            assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("n_states", [2, 5, 8, 11, 40])
def test_left_to_right_chains_need_no_logarithms(
    use_compiled: Any, monkeypatch: pytest.MonkeyPatch, n_states: int
) -> None:
    """The first states weigh less than can be represented long before the end, and are possible to the last row."""
    _, transition, log_density, offsets = problem(11, n_states, [3000, 1, 700], spread=1.0)
    transition = np.triu(np.tril(transition, 1)) + 0.1 * np.eye(n_states)
    transition /= transition.sum(axis=1, keepdims=True)
    case = np.eye(n_states)[0], transition, log_density, offsets
    assert_agree(compiled_alone(monkeypatch, *case), reference(*case))


def test_transitions_too_rare_for_the_scaled_recursion_count_where_they_are_taken(
    use_compiled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the transition of probability 1e-150 explains the second half."""
    transition = np.array([[1.0, 1e-150], [0.0, 1.0]])
    log_density = np.zeros((2, 200))
    log_density[0, 100:] = -50.0
    case = np.array([1.0, 0.0]), transition, log_density, np.array([0, 200])
    assert left_to_the_reference(monkeypatch, *case) == 1
    posterior, pairs, log_likelihood = smooth(case[0], transition, log_density.copy(), case[3])
    assert pairs[0, 0, 1] == pytest.approx(1.0, rel=1e-12)
    assert_agree((posterior, pairs, log_likelihood), reference(*case))
    # Where nothing calls for it, it is not taken, and nothing needs logarithms.
    assert left_to_the_reference(monkeypatch, case[0], transition, 0 * log_density, case[3]) == 0
    assert smooth(case[0], transition, 0 * log_density, case[3])[1][0, 0, 1] < 1e-140


def test_long_sequences_are_smoothed_block_by_block_without_a_seam(use_compiled: Any) -> None:
    for length in (1023, 1024, 1025, 2047, 2048, 5000):
        case = problem(length, 3, [length])
        assert_agree(smooth(*case[:2], case[2].copy(), case[3]), reference(*case), 1e-11)


def test_work_space_does_not_grow_with_the_sequence(use_compiled: Any) -> None:
    rows = use_compiled.latentem_forward_backward_work(8, 10**7)
    assert 8 * rows < 4e6


def test_rows_without_any_observation_pass_on_what_is_known(either: str) -> None:
    initial, transition, log_density, offsets = problem(12, 3, [9])
    log_density[:, 3:6] = 0.0
    posterior, _, log_likelihood = smooth(initial, transition, log_density.copy(), offsets)
    paths = np.array(list(itertools.product(range(3), repeat=9)))
    logs = np.log(initial)[paths[:, 0]] + np.log(transition)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    logs += log_density[paths, np.arange(9)].sum(axis=1)
    assert log_likelihood[0] == pytest.approx(np.logaddexp.reduce(logs), rel=1e-13)
    share = np.exp(logs - np.logaddexp.reduce(logs))
    np.testing.assert_allclose(posterior[1], [share[paths[:, t] == 1].sum() for t in range(9)], rtol=1e-12)


def far_off(seed: int) -> Problem:
    """Densities that are alike but for little, and so far off that the log-likelihood rounds to whole numbers."""
    rng = np.random.default_rng(seed)
    near = 40 * rng.normal(size=(3, 60))
    near[1, 30], near[2, 40] = -2000.0, -3000.0
    transition = np.array([[0.5, 0.3, 0.2], [0.0, 0.7, 0.3], [0.0, 0.0, 1.0]])
    return np.array([0.6, 0.4, 0.0]), transition, near, np.array([0, 60])


@pytest.mark.parametrize("seed", range(3))
def test_however_far_off_rows_are_posteriors_add_to_one(either: str, seed: int) -> None:
    initial, transition, near, offsets = far_off(seed)
    far = near - 2.0**53
    posterior, pairs, log_likelihood = smooth(initial, transition, far.copy(), offsets)
    np.testing.assert_allclose(posterior.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(pairs.sum(), 59, rtol=1e-12)
    np.testing.assert_allclose(pairs[0].sum(axis=0) + posterior[:, 0], posterior.sum(axis=1), rtol=1e-11)
    expected = smooth(initial, transition, (far + 2.0**53).copy(), offsets)
    np.testing.assert_allclose(posterior, expected[0], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(pairs, expected[1], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(log_likelihood, expected[2] - 60 * 2.0**53, rtol=1e-15)
