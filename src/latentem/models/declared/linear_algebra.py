"""Small matrices without LAPACK: Cholesky factors, triangular systems and LU in plain arithmetic over a whole batch.

jaxlib's LAPACK calls split large batches over XLA's thread pool and wait for the parts on a thread of that very pool:
as many such calls at a time as the pool has threads wait for ever, and no option of XLA prevents it (seen with two
cores, in the Hessian of a multivariate normal density).  A density is evaluated for thousands of points at once, so
that its Cholesky factors and triangular systems are such batches; plain operations over the batch are also faster than
a call of LAPACK for each of its matrices.  So a traced function is rewritten: `without_lapack` evaluates its jaxpr with
these in the place of JAX's primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core as core
import jax.numpy as jnp
from jax import lax

# Loops over this many rows or columns are written out; longer ones, which would take long to compile, run as loops.
WRITTEN_OUT = 8


def without_lapack(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays, to be traced, with Cholesky factors, triangular systems and LU in plain arithmetic."""

    def rewritten(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        results = _evaluate(closed, *jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return rewritten


def _evaluate(closed: Any, *arguments: Any) -> list[Any]:
    """The values of a jaxpr, equation by equation."""
    jaxpr = closed.jaxpr
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any]) -> Any:
    params = equation.params
    if _is_lapack(equation):
        return PLAIN[equation.primitive.name](*inputs, **params)
    if equation.primitive.name in ("jit", "pjit", "remat2", "checkpoint") and _uses_lapack(_closed(params["jaxpr"])):
        return _evaluate(_closed(params["jaxpr"]), *inputs)
    if any(map(_uses_lapack, _inner(params))):
        params = {key: _rewrite(value) for key, value in params.items()}
    bound = equation.primitive.get_bind_params(params)
    # Up to JAX 0.9 with the functions in the parameters apart.
    functions, own = bound if isinstance(bound, tuple) else ((), bound)
    with equation.ctx.manager:
        results = equation.primitive.bind(*functions, *inputs, **own)
    return results if equation.primitive.multiple_results else [results]


def _closed(jaxpr: Any) -> Any:
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def _is_lapack(equation: Any) -> bool:
    return equation.primitive.name in PLAIN and bool(jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating))


def _uses_lapack(closed: Any) -> bool:
    return any(
        _is_lapack(equation) or any(map(_uses_lapack, _inner(equation.params))) for equation in closed.jaxpr.eqns
    )


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs inside an equation: bodies of loops, branches, functions with derivatives of their own."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr | core.Jaxpr):
                yield _closed(item)


def _rewrite(value: Any) -> Any:
    if isinstance(value, tuple | list):
        rewritten = list(map(_rewrite, value))
        return value._make(rewritten) if hasattr(value, "_make") else type(value)(rewritten)
    if not isinstance(value, core.ClosedJaxpr) or not _uses_lapack(value):
        return value
    closed = value
    return jax.make_jaxpr(lambda *inputs: _evaluate(closed, *inputs))(*closed.in_avals)


# -- in plain arithmetic -----------------------------------------------------------------------


def cholesky(a: Any, **_: Any) -> list[Any]:
    """The lower triangular L with L Lᵀ = A (..., n, n); NaN where A is not positive definite."""
    n = a.shape[-1]
    rows = jnp.arange(n)

    def column(j: Any, before: Any) -> Any:
        """Column j, given what the columns before it take from it."""
        rest = jnp.take(a, j, axis=-1) - before
        return jnp.where(rows >= j, rest / jnp.sqrt(jnp.take(rest, jnp.array([j]), axis=-1)), 0.0)

    if n <= WRITTEN_OUT:
        columns: list[Any] = []
        for j in range(n):
            columns.append(column(j, sum(known * known[..., j : j + 1] for known in columns)))
        factor = jnp.stack(columns, axis=-1)
    else:

        def fill(j: Any, done: Any) -> Any:
            before = jnp.einsum("...ik,...k->...i", done, jnp.take(done, j, axis=-2))
            return jnp.where(rows == j, column(j, before)[..., None], done)

        factor = lax.fori_loop(0, n, fill, jnp.zeros_like(a))
    return [jnp.where(jnp.isnan(factor).any(axis=(-2, -1), keepdims=True), jnp.nan, factor)]


def triangular_solve(
    a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool, **_: Any
) -> list[Any]:
    """X with A X = B, or X A = B where not `left_side`, for triangular A (..., n, n), perhaps transposed."""
    if transpose_a:
        a, lower = _swapped(a), not lower
    if not left_side:
        return [_swapped(_substitute(_swapped(a), _swapped(b), not lower, unit_diagonal))]
    return [_substitute(a, b, lower, unit_diagonal)]


def _swapped(matrix: Any) -> Any:
    return jnp.swapaxes(matrix, -1, -2)


def _substitute(a: Any, b: Any, lower: bool, unit_diagonal: bool) -> Any:
    n = a.shape[-1]
    if n <= WRITTEN_OUT:
        found: dict[int, Any] = {}
        for i in range(n) if lower else reversed(range(n)):
            rest = b[..., i, :] - sum(a[..., i, j, None] * row for j, row in found.items())
            found[i] = rest if unit_diagonal else rest / a[..., i, i, None]
        return jnp.stack([found[i] for i in range(n)], axis=-2)
    a = jnp.tril(a) if lower else jnp.triu(a)

    def fill(step: Any, x: Any) -> Any:
        i = step if lower else n - 1 - step
        line = jnp.take(a, i, axis=-2)
        rest = jnp.take(b, i, axis=-2) - jnp.einsum("...k,...km->...m", line, x)
        solved = rest if unit_diagonal else rest / jnp.take(line, i, axis=-1)[..., None]
        return jnp.where((jnp.arange(n) == i)[:, None], solved[..., None, :], x)

    return lax.fori_loop(0, n, fill, jnp.zeros_like(b))


def lu(a: Any, **_: Any) -> list[Any]:
    """L and U in one matrix, the pivots, and the permutation of the rows, of A (..., m, n) with partial pivoting."""
    single = _lu
    for _axis in range(a.ndim - 2):
        single = jax.vmap(single)
    return list(single(a))


def _lu(a: Any) -> tuple[Any, Any, Any]:
    m, n = a.shape
    k = min(m, n)
    rows, columns = jnp.arange(m), jnp.arange(n)

    def eliminate(j: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        matrix, pivots, permutation = state
        best = jnp.argmax(jnp.where(rows >= j, jnp.abs(matrix[:, j]), -jnp.inf))
        order = jnp.where(rows == j, best, jnp.where(rows == best, j, rows))
        matrix, permutation = matrix[order], permutation[order]
        pivot = matrix[j, j]
        share = jnp.where(rows > j, matrix[:, j] / jnp.where(pivot == 0, 1.0, pivot), 0.0)
        reduced = matrix - share[:, None] * jnp.where(columns > j, matrix[j], 0.0)
        matrix = jnp.where((columns == j) & (rows > j)[:, None], share[:, None], reduced)
        return matrix, pivots.at[j].set(best.astype(jnp.int32)), permutation

    start = (a, jnp.zeros(k, jnp.int32), jnp.arange(m, dtype=jnp.int32))
    return lax.fori_loop(0, k, eliminate, start)


PLAIN: dict[str, Callable[..., list[Any]]] = {
    "cholesky": cholesky,
    "triangular_solve": triangular_solve,
    "lu": lu,
}
