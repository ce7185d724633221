"""Forward-backward with a matrix for every row: the usual chain where all are one, and all paths."""

from __future__ import annotations

import numpy as np
import pytest
from kernels.all_paths import Tables, enumerate_paths
from reference.cases import within

from latentem.kernels import inhomogeneous_chain
from latentem.kernels.chain import smooth
from latentem.kernels.inhomogeneous_chain import (
    log_product,
    smooth_inhomogeneous,
    smooth_inhomogeneous_reference,
)


def problem(seed: int, lengths: list[int], k: int, spread: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix, offsets = rng.dirichlet(np.ones(k), k), np.concatenate([[0], np.cumsum(lengths)])
    return matrix, spread * rng.normal(size=(k, offsets[-1])), offsets


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("lengths", [[1], [2], [1] * 7, [50, 1, 49], [3, 997], [20_000]], ids=str)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_one_matrix_in_all_rows_is_the_usual_chain(lengths, k):
    matrix, density, offsets = problem(7, lengths, k)
    every = np.broadcast_to(np.log(matrix)[:, :, None], (k, k, offsets[-1]))
    posterior, pairs, log_likelihood = smooth_inhomogeneous(every, density, offsets)
    expected = smooth(np.ones(k), matrix, density.copy(), offsets)
    within(1e-12)(posterior, expected[0])
    within(1e-9)(np.add.reduceat(pairs, offsets[:-1], axis=2).transpose(2, 0, 1), expected[1])
    within(1e-13, relative=True)(log_likelihood, expected[2])


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("spread", [3.0, 300.0, 3000.0])
def test_masses_that_underflow_are_not_lost(spread):
    """A chain to the right: what is unlikely now may be all that can go on."""
    _, density, offsets = problem(11, [6, 9, 1, 8], 3, spread)
    rng = np.random.default_rng(12)
    steps = np.log(rng.dirichlet(np.ones(3), (3, offsets[-1]))).transpose(0, 2, 1).copy()
    steps[np.tril_indices(3, -1)] = -np.inf
    density[1:, offsets[:-1]] = -np.inf
    density[:2, offsets[1:3] - 1] = -np.inf
    tables = Tables(np.zeros(3), steps.transpose(2, 0, 1), density.T)
    lengths = np.diff(offsets).tolist()
    posterior, pairs, log_likelihood = smooth_inhomogeneous(steps, density, offsets)
    expected = enumerate_paths(tables, lengths)
    within(1e-9)(posterior, expected[0])
    within(1e-9)(np.add.reduceat(pairs, offsets[:-1], axis=2).transpose(2, 0, 1), expected[1])
    within(1e-13, relative=True)(log_likelihood, expected[2])


def test_products_of_logarithms_keep_what_plain_products_lose():
    left, right = np.array([[0.0, -2000.0]]), np.array([[-np.inf, -1.0], [0.0, -3000.0]])
    within(1e-12)(log_product(left, right), [[-2000.0, -1.0]])
    assert log_product(np.array([[0.0, -np.inf]]), np.array([[-np.inf], [0.0]]))[0, 0] == -np.inf


@pytest.mark.parametrize("k", [1, 2, 5, 33])
def test_compiled_is_the_reference(use_compiled, monkeypatch, k):
    """Matrices that need not add to one, some transitions forbidden, first rows unknown."""
    rng, (_, density, offsets) = np.random.default_rng(k), problem(13, [1, 2, 32, 33, 34, 1, 97], k)
    steps = rng.normal(size=(k, k, offsets[-1]))
    steps[rng.random(steps.shape) < 0.2] = -np.inf
    steps[np.arange(k), np.arange(k)] = 1.0
    steps[:, :, offsets[:-1]] = np.nan
    expected = smooth_inhomogeneous_reference(steps, density, offsets)
    monkeypatch.setattr(inhomogeneous_chain, "smooth_inhomogeneous_reference", None)  # nothing may be left to it
    got = smooth_inhomogeneous(steps, density, offsets)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("either")
def test_an_impossible_sequence_leaves_the_others_alone():
    matrix, density, offsets = problem(17, [4, 5, 6], 3)
    every = np.broadcast_to(np.log(matrix)[:, :, None], (3, 3, 15))
    alone = smooth_inhomogeneous(every[:, :, 9:], density[:, 9:], np.array([0, 6]))
    density[:, 6] = -np.inf
    posterior, pairs, log_likelihood = smooth_inhomogeneous(every, density, offsets)
    assert log_likelihood[1] == -np.inf
    assert not posterior[:, 4:9].any()
    assert not pairs[:, :, 4:9].any()
    np.testing.assert_allclose(posterior[:, 9:], alone[0], rtol=1e-12)
    assert log_likelihood[2] == pytest.approx(alone[2][0], rel=1e-13)
