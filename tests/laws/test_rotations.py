"""Rotations: what they keep, and that their criteria stand still where they end."""

import numpy as np
import pytest
from sklearn.decomposition._factor_analysis import _ortho_rotation

from latentem.errors import ParameterError
from latentem.kernels.derivatives import gradient
from latentem.kernels.rotations import METHODS, oblimin, quartimax, rotate, varimax

CRITERIA = {"varimax": varimax, "quartimax": quartimax, "oblimin": oblimin}


@pytest.fixture
def loadings(rng):
    simple = np.kron(np.eye(3), np.ones((4, 1))) * rng.uniform(0.5, 0.9, size=(12, 1))
    mixed = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return (simple + 0.1 * rng.normal(size=simple.shape)) @ mixed


@pytest.mark.parametrize("kaiser", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_covariance_stays_and_the_structure_becomes_simple(method, kaiser, loadings):
    found = rotate(loadings, method, kaiser=kaiser)
    implied = found.loadings @ found.correlations @ found.loadings.T
    np.testing.assert_allclose(implied, loadings @ loadings.T, atol=1e-10)
    np.testing.assert_allclose(np.diagonal(found.correlations), 1.0, atol=1e-12)
    np.testing.assert_allclose(found.transform.T @ found.transform, found.correlations, atol=1e-12)
    np.testing.assert_allclose(found.loadings @ found.transform.T, loadings, atol=1e-10)
    largest = np.sort(np.abs(found.loadings), axis=1)
    assert np.all(largest[:, -1] > 1.5 * largest[:, -2])
    if method in ("varimax", "quartimax"):
        np.testing.assert_allclose(found.correlations, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_rounding_of_the_loadings_moves_a_rotation_by_little_more(method, loadings, rng):
    for _ in range(10):
        near = loadings * (1 + 1e-15 * rng.normal(size=loadings.shape))
        np.testing.assert_allclose(rotate(near, method).loadings, rotate(loadings, method).loadings, atol=1e-11)


@pytest.mark.parametrize("name", CRITERIA)
def test_the_gradients_are_those_of_the_criteria(name, rng):
    at = rng.normal(size=(5, 2))
    numeric = gradient(lambda v: CRITERIA[name](v.reshape(5, 2))[0], at.ravel())
    np.testing.assert_allclose(CRITERIA[name](at)[1].ravel(), numeric, atol=1e-7)


@pytest.mark.parametrize("name", CRITERIA)
def test_no_turn_improves_the_criterion(name, loadings, rng):
    found = rotate(loadings, name)
    best = CRITERIA[name](found.loadings)[0]
    for _ in range(30):
        turn = found.transform + 1e-3 * rng.normal(size=(3, 3))
        turn = turn / np.linalg.norm(turn, axis=0) if name == "oblimin" else np.linalg.qr(turn)[0]
        assert CRITERIA[name](loadings @ np.linalg.inv(turn).T)[0] >= best - 1e-9


@pytest.mark.parametrize("method", ["varimax", "quartimax"])
def test_orthogonal_rotations_are_scikit_learns(method, loadings):
    peer = _ortho_rotation(loadings, method=method, tol=1e-14, max_iter=5000).T
    ours = rotate(loadings, method).loadings
    order = np.argmax(np.abs(peer.T @ ours), axis=1)
    np.testing.assert_allclose(np.abs(ours[:, order]), np.abs(peer), atol=1e-5)


def test_correlated_factors_are_found_correlated(rng):
    correlations = np.array([[1.0, 0.5], [0.5, 1.0]])
    simple = np.kron(np.eye(2), np.ones((5, 1))) * rng.uniform(0.5, 0.9, size=(10, 1))
    mixed = simple @ np.linalg.cholesky(correlations)
    found = rotate(mixed, "oblimin")
    assert np.abs(found.correlations[0, 1]) == pytest.approx(0.5, abs=1e-6)
    assert np.abs(rotate(mixed, "promax").correlations[0, 1]) == pytest.approx(0.5, abs=0.1)


def test_one_factor_has_nothing_to_rotate_and_names_are_checked():
    column = np.array([[0.5], [0.2]])
    assert rotate(column, "promax").loadings is column
    with pytest.raises(ParameterError, match="varimax, quartimax, promax, oblimin"):
        rotate(np.eye(2), "equamax")
