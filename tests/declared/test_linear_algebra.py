"""Cholesky factors, triangular systems and LU in plain arithmetic equal LAPACK's, and no call of LAPACK is left."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.scipy.stats import multivariate_normal
from scipy import stats

from latentem.models.declared.linear_algebra import WRITTEN_OUT, without_lapack

SIZES = (1, 3, WRITTEN_OUT, WRITTEN_OUT + 1, 20)
BATCHES = ((), (4,), (2, 3))
OPTIONS = list(product([True, False], repeat=4))


def positive_definite(rng, *shape: int) -> np.ndarray:
    root = rng.normal(size=shape)
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + np.eye(shape[-1])


def diagonally_dominant(rng, *shape: int) -> np.ndarray:
    return 0.3 * rng.normal(size=shape) / np.sqrt(shape[-1]) + np.eye(shape[-1])


def plain(function, *arguments):
    """The value of the compiled function without LAPACK, which is not left in it."""
    with jax.enable_x64(True):
        compiled = jax.jit(without_lapack(function))
        assert "lapack_" not in compiled.lower(*arguments).as_text()
        return jax.tree.map(np.asarray, compiled(*arguments))


def by_lapack(function, *arguments):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*arguments))


def close(found, expected, tolerance=1e-11):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, expected)


def equal(found, expected):
    close(found, expected, 1e-12)


# -- against NumPy -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
def test_cholesky_factors_equal_numpys(rng, n):
    matrices = [positive_definite(rng, *batch, n, n) for batch in BATCHES]
    equal(plain(lambda each: list(map(jnp.linalg.cholesky, each)), matrices), [np.linalg.cholesky(a) for a in matrices])


@pytest.mark.parametrize("n", SIZES)
def test_triangular_systems_equal_numpys(rng, n):
    """With every option; the other triangle, and the diagonal where it counts as ones, are not looked at."""
    a, b = diagonally_dominant(rng, 2, n, n), rng.normal(size=(2, n, n))

    def solve(a: Any, b: Any) -> list[Any]:
        return [
            lax.linalg.triangular_solve(a, b, left_side=left, lower=lower, transpose_a=swapped, unit_diagonal=unit)
            for left, lower, swapped, unit in OPTIONS
        ]

    def expected(left: bool, lower: bool, swapped: bool, unit: bool) -> np.ndarray:
        matrix = np.tril(a) if lower else np.triu(a)
        if unit:
            matrix = np.where(np.eye(n, dtype=bool), 1.0, matrix)
        matrix = np.swapaxes(matrix, 1, 2) if swapped else matrix
        return np.linalg.solve(matrix, b) if left else b @ np.linalg.inv(matrix)

    equal(plain(solve, a, b), [expected(*options) for options in OPTIONS])


@pytest.mark.parametrize("n", SIZES)
def test_one_vector_may_be_solved_for(rng, n):
    a, b = positive_definite(rng, n, n), rng.normal(size=n)

    def solve(a: Any, b: Any) -> Any:
        factor = jnp.linalg.cholesky(a)
        return cho_solve((factor, True), b), solve_triangular(factor, b, lower=True)

    equal(plain(solve, a, b), (np.linalg.solve(a, b), np.linalg.solve(np.linalg.cholesky(a), b)))


@pytest.mark.parametrize("n", SIZES)
def test_systems_determinants_and_inverses_by_lu_equal_numpys(rng, n):
    """Of matrices whose rows have to be exchanged: cyclic shifts of dominant ones."""
    a = np.roll(diagonally_dominant(rng, 2, 3, n, n), 1, axis=-2)
    b = rng.normal(size=(2, 3, n, 2))

    def all_of(a: Any, b: Any) -> Any:
        return jnp.linalg.solve(a, b), jnp.linalg.det(a), jnp.linalg.inv(a), tuple(jnp.linalg.slogdet(a))

    expected = np.linalg.solve(a, b), np.linalg.det(a), np.linalg.inv(a), tuple(np.linalg.slogdet(a))
    equal(plain(all_of, a, b), expected)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 4, 4)])
def test_lu_gives_the_factors_and_pivots_of_lapack(rng, shape):
    matrix = rng.normal(size=shape)
    equal(plain(lax.linalg.lu, matrix), by_lapack(lax.linalg.lu, matrix))


def test_a_singular_matrix_has_determinant_zero():
    assert plain(jnp.linalg.det, np.ones((3, 3))) == 0.0


# -- where it stands ---------------------------------------------------------------------------


def log_density(x, covariance):
    return multivariate_normal.logpdf(x, jnp.zeros(x.shape[-1]), covariance)


def by_lu(x, matrix):
    """A number from the solution of a system and a determinant."""
    return jnp.linalg.solve(matrix, x).sum() + jnp.linalg.slogdet(matrix)[1]


def scanned(x, matrix):
    def step(carry: Any, _: Any) -> Any:
        return 0.5 * carry + jnp.linalg.cholesky(matrix) @ x, log_density(carry, matrix)

    carry, densities = lax.scan(step, x, None, length=3)
    return carry.sum() + densities.sum()


def looped(x, matrix):
    return lax.fori_loop(0, 3, lambda _, y: jnp.linalg.solve(matrix, y), x).sum()


def chosen(x, matrix):
    return lax.cond(x[0] > 0, log_density, by_lu, x, matrix)


def many(x, matrix):
    return jax.vmap(log_density, (0, None))(x * jnp.arange(1.0, 4.0)[:, None], matrix).sum()


def inner_gradient(x, matrix):
    return jax.grad(log_density)(x, matrix).sum()


def checkpointed(x, matrix):
    return jax.checkpoint(log_density)(x, matrix)


def compiled_inside(x, matrix):
    return jax.jit(log_density)(x, matrix)


PLACES = [log_density, by_lu, scanned, looped, chosen, many, inner_gradient, checkpointed, compiled_inside]


@pytest.mark.parametrize("function", PLACES)
def test_values_gradients_and_hessians_are_those_through_lapack(rng, function):
    x, matrix = rng.normal(size=3), positive_definite(rng, 3, 3)

    def all_of(function: Any) -> Any:
        def derivatives(x: Any, matrix: Any) -> Any:
            return function(x, matrix), jax.grad(function, 1)(x, matrix), jax.hessian(function, 1)(x, matrix)

        return derivatives

    close(plain(all_of(function), x, matrix), by_lapack(all_of(function), x, matrix))


@pytest.mark.parametrize("function", [log_density, by_lu])
def test_derivatives_may_be_taken_once_lapack_is_gone(rng, function):
    x, matrix = rng.normal(size=3), positive_definite(rng, 3, 3)
    close(by_lapack(jax.hessian(without_lapack(function), 1), x, matrix), plain(jax.hessian(function, 1), x, matrix))


@pytest.mark.parametrize("n", [3, WRITTEN_OUT + 1])
def test_batches_of_densities_and_their_hessians(rng, n):
    x, covariances = rng.normal(size=(5, n)), positive_definite(rng, 5, n, n)
    expected = [stats.multivariate_normal.logpdf(one, np.zeros(n), s) for one, s in zip(x, covariances, strict=True)]
    equal(plain(jax.vmap(log_density), x, covariances), np.array(expected))
    hessians = jax.vmap(jax.hessian(log_density))
    close(plain(hessians, x, covariances), -np.linalg.inv(covariances))


@pytest.mark.parametrize("n", [2, WRITTEN_OUT + 1])
def test_what_is_not_positive_definite_gives_nan_and_leaves_the_others_alone(rng, n):
    matrices = np.stack([positive_definite(rng, n, n), -np.eye(n), np.diag([1.0] * (n - 1) + [-1.0]), np.eye(n)])
    factors = plain(jnp.linalg.cholesky, matrices)
    assert np.isnan(factors[1:3][:, *np.tril_indices(n)]).all()
    equal(factors[[0, 3]], np.linalg.cholesky(matrices[[0, 3]]))
    densities = plain(jax.vmap(log_density), np.ones((4, n)), matrices)
    assert np.isnan(densities).tolist() == [False, True, True, False]


def test_results_keep_their_structure():
    def both(pair):
        return {"factor": jnp.linalg.cholesky(pair[0]), "sum": (pair[1].sum(), 2.0)}

    with jax.enable_x64(True):
        found = without_lapack(both)((np.eye(2), np.ones(3)))
    assert set(found) == {"factor", "sum"} and float(found["sum"][0]) == 3.0


def test_float32_stays_float32(rng):
    a = positive_definite(rng, 3, 3).astype(np.float32)
    found = jax.jit(without_lapack(lambda a: (jnp.linalg.cholesky(a), jnp.linalg.inv(a))))(a)
    assert [part.dtype for part in found] == [jnp.float32] * 2
    np.testing.assert_allclose(found[1], np.linalg.inv(a), rtol=1e-4)


# -- why it is there ---------------------------------------------------------------------------

MIXTURE = """
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import multivariate_normal
from latentem.models.declared.linear_algebra import without_lapack

def log_joint(roots, x, labels):
    def density(row, k):
        return multivariate_normal.logpdf(row, jnp.zeros(3), roots[k] @ roots[k].T + jnp.eye(3))

    return jax.vmap(density)(x, labels).sum()

rng = np.random.default_rng(0)
with jax.enable_x64(True):
    hessian = jax.jit(without_lapack(jax.hessian(log_joint)))
    for _ in range(3):
        found = hessian(rng.normal(size=(2, 3, 3)), rng.normal(size=(8192, 3)), np.arange(8192) % 2)
        assert np.isfinite(found).all()
"""


def test_the_hessian_of_a_mixture_of_many_normals_ends():
    """With LAPACK, its calls wait for each other for ever on a few cores: see `linear_algebra`."""
    done = subprocess.run([sys.executable, "-c", MIXTURE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
