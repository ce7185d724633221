"""One long sequence from both ends: what smoothing it whole says, block by block, whatever runs at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from latentem.kernels import chain_blocks
from latentem.kernels.chain import smooth
from latentem.kernels.chain_blocks import ImpossibleSequenceError, NeedsLogarithmsError, smooth_from_both_ends
from latentem.kernels.scratch import give_back, take

LENGTH = 700
EDGES = ([0, 350, 700], [0, 64, 700], [0, 1, 2, 65, 300, 301, 700], [*range(0, 700, 100), 700])


def one_after_the_other(one: Any, other: Any) -> None:
    one()
    other()


def the_other_way_round(one: Any, other: Any) -> None:
    other()
    one()


def at_once(one: Any, other: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(other)
        one()
        future.result()


def problem(seed: int, n_states: int, zeros: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(n_states), n_states)
    if zeros and n_states > 1:
        transition *= (rng.random((n_states, n_states)) < 0.6) | np.eye(n_states, dtype=bool)
    transition /= transition.sum(axis=1, keepdims=True)
    return rng.dirichlet(np.ones(n_states)), transition, 3 * rng.normal(size=(n_states, LENGTH))


def run(initial: Any, transition: Any, log_density: Any, edges: Any, both: Any = one_after_the_other) -> Any:
    """First state, pairs, log-likelihood, posterior, and the order in which each end told its blocks."""
    posterior, told = np.full(log_density.shape, np.nan), ([], [])

    def visit(end: int, start: int, stop: int, probabilities: np.ndarray) -> None:
        posterior[:, start:stop] = probabilities
        told[end].append((start, stop))

    def in_pairs(*pairs: Any) -> None:
        for pair in pairs:
            both(*pair)

    found = smooth_from_both_ends(
        initial, transition, edges, lambda a, b: log_density[:, a:b].copy(), visit, in_pairs
    )
    return found.first, found.pairs, found.log_likelihood, posterior, told


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("n_states", [1, 3, 8, 13, 33])
def test_both_ends_find_what_smoothing_the_whole_finds(
    use_compiled: Any, n_states: int, zeros: bool, edges: list[int]
) -> None:
    initial, transition, log_density = problem(n_states, n_states, zeros)
    first, pairs, log_likelihood, posterior, told = run(initial, transition, log_density, edges)
    expected = smooth(initial, transition, log_density.copy(), np.array([0, LENGTH]))
    np.testing.assert_allclose(posterior, expected[0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(pairs, expected[1][0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(log_likelihood, expected[2][0], rtol=1e-13)
    assert np.array_equal(first, posterior[:, 0])
    assert sorted(told[0] + told[1]) == list(pairwise(edges))


@pytest.mark.parametrize("kept", [0, chain_blocks.KEPT])
@pytest.mark.parametrize("both", [the_other_way_round, at_once])
def test_the_bits_do_not_depend_on_what_runs_at_once_or_is_kept(
    use_compiled: Any, monkeypatch: pytest.MonkeyPatch, both: Any, kept: int
) -> None:
    case = *problem(5, 8, True), EDGES[3]
    expected = run(*case)
    monkeypatch.setattr(chain_blocks, "KEPT", kept)
    got = run(*case, both)
    assert all(np.array_equal(a, b) for a, b in zip(got[:4], expected[:4], strict=True))
    assert got[4] == expected[4]


@pytest.mark.parametrize("row", [0, 99, 350, 699])
def test_an_impossible_row_is_found_in_either_half(use_compiled: Any, row: int) -> None:
    for value in (-np.inf, np.nan, np.inf):
        initial, transition, log_density = problem(6, 3, True)
        log_density[:, row] = value
        with pytest.raises(ImpossibleSequenceError), np.errstate(all="ignore"):
            run(initial, transition, log_density, EDGES[3])


def test_states_that_only_the_whole_sequence_decides_between_need_logarithms(use_compiled: Any) -> None:
    """Two chains that never meet: the evidence runs 2,000 nats to one side and 2,900 back."""
    log_density = np.zeros((2, LENGTH))
    log_density[1] = -np.concatenate([np.full(350, 6.0), np.full(350, -8.0)])
    with pytest.raises(NeedsLogarithmsError):
        run(np.full(2, 0.5), np.eye(2), log_density, EDGES[3])


def test_a_raised_transition_that_is_taken_needs_logarithms(use_compiled: Any) -> None:
    log_density = np.zeros((2, LENGTH))
    log_density[0, 300:] = -50.0
    with pytest.raises(NeedsLogarithmsError):
        run(np.array([1.0, 0.0]), np.array([[1.0, 1e-150], [0.0, 1.0]]), log_density, EDGES[3])


def test_without_a_compiled_kernel_the_whole_must_be_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_blocks, "library", lambda: None)
    with pytest.raises(NeedsLogarithmsError):
        run(*problem(7, 2, False), EDGES[0])


def test_scratch_space_has_one_owner_at_a_time() -> None:
    one, other = take(1000), take(1000)
    assert not np.shares_memory(one, other)
    give_back(one)
    again = take(1000)
    assert again is one
    assert not np.shares_memory(again, other)
