"""Semi-Markov chains: forward-backward and the best path against every segmentation; compiled against reference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from reference.cases import within

from latentem.kernels import semi_markov
from latentem.kernels.semi_markov import Stays, decode_stays, decode_stays_reference, smooth_one, smooth_stays

Chain = tuple[np.ndarray, np.ndarray, np.ndarray]
Segments = list[tuple[int, int]]


def chain(seed: int, k: int, d: int) -> Chain:
    """Initial probabilities, jumps, and durations."""
    rng = np.random.default_rng(seed)
    jumps = rng.dirichlet(np.ones(k), k) * (1 - np.eye(k))
    return rng.dirichlet(np.ones(k)), jumps / jumps.sum(axis=1, keepdims=True), rng.dirichlet(np.ones(d), k)


def segmentations(length: int, k: int, d: int, before: int = -1) -> Iterator[Segments]:
    """Every way to fill so many rows with stays (state, duration) of at most d rows, no state after itself."""
    if length == 0:
        yield []
        return
    for state in range(k):
        for duration in range(1, min(d, length) + 1) if state != before else ():
            for rest in segmentations(length - duration, k, d, state):
                yield [(state, duration), *rest]


def log_joint(model: Chain, segments: Segments, log_density: np.ndarray) -> float:
    """log p(x, z): the last stay counts by the probability of lasting at least so long."""
    initial, jumps, durations = model
    path = np.repeat([s for s, _ in segments], [d for _, d in segments])
    total = np.log(initial[segments[0][0]]) + log_density[path, np.arange(len(path))].sum()
    for state, duration in segments[:-1]:
        total += np.log(durations[state, duration - 1])
    for (a, _), (b, _) in pairwise(segments):
        total += np.log(jumps[a, b])
    state, duration = segments[-1]
    return float(total + np.log(durations[state, duration - 1 :].sum()))


def enumerated(model: Chain, log_density: np.ndarray) -> tuple[Stays, np.ndarray, float]:
    """What forward-backward must find, the best path, and its log p(x, z)."""
    (k, length), d = log_density.shape, model[2].shape[1]
    every = list(segmentations(length, k, d))
    with np.errstate(divide="ignore"):
        logs = np.array([log_joint(model, segments, log_density) for segments in every])
    total = float(np.logaddexp.reduce(logs))
    posterior, pairs = np.zeros((k, length)), np.zeros((k, k))
    ended, censored = np.zeros((k, d)), np.zeros((k, d))
    for segments, share in zip(every, np.exp(logs - total), strict=True):
        path = np.repeat([s for s, _ in segments], [n for _, n in segments])
        posterior[path, np.arange(length)] += share
        for (a, n), (b, _) in pairwise(segments):
            pairs[a, b] += share
            ended[a, n - 1] += share
        censored[segments[-1][0], segments[-1][1] - 1] += share
    best = every[int(logs.argmax())]
    path = np.repeat([s for s, _ in best], [n for _, n in best])
    return Stays(posterior, pairs[None], ended[None], censored[None], np.array([total])), path, float(logs.max())


def assert_same(got: Stays, expected: Stays, tolerance: float = 1e-12) -> None:
    for name in ("probabilities", "pairs", "ended", "censored"):
        within(tolerance)(getattr(got, name), getattr(expected, name))
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood, rtol=1e-13, atol=1e-12)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(("k", "d", "length"), [(2, 1, 4), (2, 3, 1), (2, 3, 7), (3, 2, 6), (3, 9, 6)])
def test_forward_backward_is_the_enumeration_of_segmentations(k: int, d: int, length: int) -> None:
    model, log_density = chain(k + d, k, d), 3 * np.random.default_rng(length).normal(size=(k, length))
    expected, path, best = enumerated(model, log_density)
    assert_same(smooth_stays(*model, log_density, np.array([0, length])), expected)
    found, log = decode_stays(*model, log_density, np.array([0, length]))
    assert np.array_equal(found, path)
    assert log[0] == pytest.approx(best, rel=1e-13)


@pytest.mark.parametrize(("k", "d"), [(2, 1), (2, 40), (5, 11), (8, 3)])
def test_compiled_is_the_reference(use_compiled: Any, monkeypatch: pytest.MonkeyPatch, k: int, d: int) -> None:
    model, lengths = chain(k + d, k, d), [1, 2, 3, 64, 1, 201]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    log_density = 4 * np.random.default_rng(1).normal(size=(k, offsets[-1]))
    each = [smooth_one(*model, log_density[:, a:b]) for a, b in pairwise(offsets)]
    monkeypatch.setattr(semi_markov, "smooth_one", None)  # nothing may be left to it
    got = smooth_stays(*model, log_density, offsets)
    within(1e-12)(got.probabilities, np.hstack([one.probabilities for one in each]))
    for name in ("pairs", "ended", "censored", "log_likelihood"):
        expected = np.concatenate([getattr(one, name) for one in each])
        np.testing.assert_allclose(getattr(got, name), expected, rtol=1e-12, atol=1e-12)


def test_compiled_best_paths_are_the_reference(use_compiled: Any) -> None:
    """To the bit: the same sums in the same order, and of equal ones the first."""
    model, offsets = chain(6, 4, 9), np.array([0, 1, 3, 150, 151])
    log_density = np.random.default_rng(6).integers(-3, 1, size=(4, 151)).astype(float)
    got, expected = (f(*model, log_density, offsets) for f in (decode_stays, decode_stays_reference))
    assert np.array_equal(got[0], expected[0])
    assert np.array_equal(got[1], expected[1])


def test_sums_over_stays_agree_with_each_other() -> None:
    """Rows spent, stays begun and stays left are the same numbers counted in three ways."""
    model, lengths = chain(4, 4, 12), [150, 31]
    log_density = np.random.default_rng(2).normal(size=(4, 181))
    got = smooth_stays(*model, log_density, np.array([0, 150, 181]))
    stays = got.ended + got.censored
    spent = (stays * np.arange(1, 13)).sum(axis=2)
    within(1e-10)(spent, np.add.reduceat(got.probabilities, [0, 150], axis=1).T)
    within(1e-10)(got.ended.sum(axis=2), got.pairs.sum(axis=2))
    within(1e-10)(spent.sum(axis=1), np.array(lengths, float))
    within(1e-12)(got.censored.sum(axis=(1, 2)), 1.0)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("spread", [100.0, 1000.0])
def test_masses_that_underflow_are_not_lost(spread: float) -> None:
    """Durations 1 and 3 alone, jumps in one direction: what is unlikely now may be all that can go on."""
    initial, jumps = np.array([1.0, 0, 0]), np.roll(np.eye(3), 1, axis=1)
    durations = np.array([[0.5, 0, 0.5]] * 3)
    for seed in range(6):
        log_density = spread * np.random.default_rng(seed).normal(size=(3, 8))
        expected, path, best = enumerated((initial, jumps, durations), log_density)
        assert_same(smooth_stays(initial, jumps, durations, log_density, np.array([0, 8])), expected, 1e-9)
        found, log = decode_stays(initial, jumps, durations, log_density, np.array([0, 8]))
        assert np.array_equal(found, path)
        assert log[0] == pytest.approx(best, rel=1e-12)


@pytest.mark.usefixtures("either")
def test_an_impossible_sequence_is_told_and_leaves_the_others_alone() -> None:
    model = chain(0, 2, 3)
    log_density = np.random.default_rng(0).normal(size=(2, 12))
    log_density[1, :6] = -np.inf  # six rows in state 0, which lasts three at most
    got = smooth_stays(*model, log_density, np.array([0, 6, 12]))
    assert got.log_likelihood[0] == -np.inf
    assert np.isnan(got.probabilities[:, :6]).all()
    assert_same(
        Stays(got.probabilities[:, 6:], got.pairs[1:], got.ended[1:], got.censored[1:], got.log_likelihood[1:]),
        smooth_one(*model, log_density[:, 6:]),
    )
    path, log = decode_stays(*model, log_density, np.array([0, 6, 12]))
    assert np.all(path[:6] == -1)
    assert log[0] == -np.inf
    assert np.all(path[6:] >= 0)


def test_geometric_durations_are_a_markov_chain() -> None:
    """Long enough a table: leaving with probability h in each row is a transition matrix with 1 - h on its diagonal."""
    from latentem.kernels.chain import smooth

    rng, leave = np.random.default_rng(3), np.array([0.3, 0.5, 0.2])
    initial, jumps, _ = chain(5, 3, 1)
    durations = leave[:, None] * (1 - leave[:, None]) ** np.arange(200)
    durations[:, -1] += 1 - durations.sum(axis=1)
    log_density = 2 * rng.normal(size=(3, 60))
    got = smooth_stays(initial, jumps, durations, log_density, np.array([0, 25, 60]))
    transition = np.diag(1 - leave) + leave[:, None] * jumps
    posterior, _, log_likelihood = smooth(initial, transition, log_density.copy(), np.array([0, 25, 60]))
    within(1e-11)(got.probabilities, posterior)
    within(1e-10)(got.log_likelihood, log_likelihood)


def test_however_far_off_rows_are_stays_keep_their_digits() -> None:
    model = chain(2, 3, 4)
    far = 40 * np.random.default_rng(0).normal(size=(3, 50)) - 2.0**53
    got, expected = smooth_one(*model, far), smooth_one(*model, far + 2.0**53)
    np.testing.assert_allclose(got.probabilities.sum(axis=0), 1, rtol=1e-12)
    for name in ("probabilities", "pairs", "ended", "censored"):
        within(1e-10)(getattr(got, name), getattr(expected, name))
    np.testing.assert_allclose(got.censored.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood - 50 * 2.0**53, rtol=1e-15)
