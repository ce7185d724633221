"""The user's densities as compiled functions of padded blocks: few, and shared by all fits of a model.

A *point* is a row of the data with continuous coordinates u of z; a *label* is a state of z's discrete part, or for a
chain also a pair of states: label k < K stands for log p(xₙ, z = k), K + jK + k for log p(zₜ = k | zₜ₋₁ = j, xₜ).
Rows of groups carry one more column, 1 in a group's first row, where the density of the group as a whole is added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._typing import Array, FloatArray
from ...errors import ParameterError
from ...layout import Layout
from .declaration import Declaration
from .linear_algebra import without_lapack
from .parameters import unflatten
from .records import Record

# Points that a call takes, enough to hide what a call costs; and how many of them are worked on at a time, few enough
# for data of a few rows, for which the rest of the block is left alone.
BLOCK, PART = 8192, 512
# The same for pairs of point and label with derivatives, which cost more each and are often few: pivots.
DERIVATIVES_BLOCK, DERIVATIVES_PART = 1024, 128

Values = tuple[FloatArray, ...]
# θ and z may go through the user's own compiled functions.
jax.tree_util.register_pytree_node(Record, Record.parts, Record.whole)
_CACHE: dict[tuple[str, Layout], Compiled] = {}
_LOCK = Lock()


def compiled(declaration: Declaration, layout: Layout) -> Compiled:
    """The functions of a declaration for rows of this layout."""
    key = (declaration.token, layout)
    with _LOCK:
        if key not in _CACHE:
            _CACHE[key] = Compiled(declaration, layout)
        return _CACHE[key]


class Compiled:
    """Compiled functions of one declaration and layout.

    Attributes
    ----------
    traced : Counter
        How often each function was traced, by name.
    """

    def __init__(self, declaration: Declaration, layout: Layout) -> None:
        self.declaration, self.layout, self.space = declaration, layout, declaration.space
        self.names = tuple(name for name, _ in declaration.domains)
        self.traced: Counter[str] = Counter()

    @property
    def n_labels(self) -> int:
        k = self.space.n_states
        return k + k * k if self.declaration.is_chain else k

    # -- what is computed ----------------------------------------------------------------------

    def values(self, theta: Values, x: FloatArray, u: FloatArray) -> FloatArray:
        """log densities of every label at every point, (L, m)."""
        return self._by_blocks(partial(self._values, theta), self.n_labels, x, u)

    def features(self, thetas: Values, labels: Array, x: FloatArray, u: FloatArray) -> FloatArray:
        """log densities of one label each at θ₁ … θ_P, at every point, (P, m)."""
        return self._by_blocks(partial(self._features, thetas, labels), len(labels), x, u)

    def derivatives(
        self, vector: FloatArray, x: FloatArray, u: FloatArray, labels: Array, weights: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Σ weights · log density of pairs of point and label, and its gradient and Hessian in the unconstrained θ."""
        value, gradient, hessian = 0.0, np.zeros(len(vector)), np.zeros((len(vector),) * 2)
        for rows in _blocks(len(weights), DERIVATIVES_BLOCK):
            columns = [_padded(column[rows], DERIVATIVES_PART, DERIVATIVES_BLOCK) for column in (x, u, labels)]
            share = np.zeros(DERIVATIVES_BLOCK)
            share[: len(weights[rows])] = weights[rows]
            with jax.enable_x64(True):
                parts = self._derivatives(vector, *columns, share, len(weights[rows]))
            value += float(parts[0])
            gradient += np.asarray(parts[1])
            hessian += np.asarray(parts[2])
        return value, gradient, hessian

    def coordinates(
        self, theta: Values, x: FloatArray, u: FloatArray, labels: Array
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log density of pairs of point and label, (m,), its gradient (m, d) and Hessian (m, d, d) in u."""
        d, m = self.space.dimension, len(labels)
        value, gradient, hessian = np.empty(m), np.empty((m, d)), np.empty((m, d, d))
        for rows in _blocks(m):
            n = len(labels[rows])
            columns = [_padded(column[rows], PART) for column in (x, u, labels)]
            with jax.enable_x64(True):
                parts = self._coordinates(theta, *columns, n)
            value[rows], gradient[rows], hessian[rows] = (np.asarray(part)[:n] for part in parts)
        return value, gradient, hessian

    def prior(self, vector: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """log p(θ) with its gradient and Hessian in the unconstrained θ."""
        with jax.enable_x64(True):
            value, gradient, hessian = self._prior(vector)
        return float(value), np.asarray(gradient), np.asarray(hessian)

    def _by_blocks(self, function: Callable[..., Any], height: int, x: FloatArray, u: FloatArray) -> FloatArray:
        m = len(x)
        result = np.empty((height, m))
        for rows in _blocks(m):
            n = len(x[rows])
            with jax.enable_x64(True):
                part = function(_padded(x[rows], PART), _padded(u[rows], PART), n)
            result[:, rows] = np.asarray(part)[:, :n]
        return result

    # -- compiled functions --------------------------------------------------------------------

    @cached_property
    def _values(self) -> Any:
        def values(theta: Values, x: Any, u: Any, n: Any) -> Any:
            k = jnp.arange(self.space.n_states)
            pairs = jnp.arange(self.space.n_states**2)

            def part(x: Any, u: Any) -> Any:
                unit = _over_points(lambda row, at, label: self._unit(row, at, label, theta), k)(x, u)
                if not self.declaration.is_chain:
                    return unit
                return jnp.concatenate([unit, _over_points(lambda row, _, ij: self._pair(row, ij, theta), pairs)(x, u)])

            return _by_parts(part, self.n_labels, n, x, u)

        return self._jit(values)

    @cached_property
    def _features(self) -> Any:
        def features(thetas: Values, labels: Any, x: Any, u: Any, n: Any) -> Any:
            def part(x: Any, u: Any) -> Any:
                def one(theta: Values, label: Any) -> Any:
                    return jax.vmap(lambda row, at: self._term(row, at, label, theta))(x, u)

                return jax.vmap(one)(thetas, labels)

            return _by_parts(part, labels.shape[0], n, x, u)

        return self._jit(features)

    @cached_property
    def _derivatives(self) -> Any:
        def total(vector: Any, x: Any, u: Any, labels: Any, weights: Any) -> Any:
            theta = unflatten(self.declaration.domains, vector, jnp)
            return weights @ jax.vmap(lambda row, at, label: self._term(row, at, label, theta))(x, u, labels)

        def derivatives(vector: Any, x: Any, u: Any, labels: Any, weights: Any, n: Any) -> Any:
            def add(i: Any, sums: Any) -> Any:
                part = _with_hessian(total)(vector, *(_part(c, i, DERIVATIVES_PART) for c in (x, u, labels, weights)))
                return jax.tree.map(jnp.add, sums, part)

            d = vector.shape[0]
            return lax.fori_loop(0, -(-n // DERIVATIVES_PART), add, (0.0, jnp.zeros(d), jnp.zeros((d, d))))

        return self._jit(derivatives)

    @cached_property
    def _coordinates(self) -> Any:
        def coordinates(theta: Values, x: Any, u: Any, labels: Any, n: Any) -> Any:
            def one(row: Any, at: Any, label: Any) -> Any:
                return _with_hessian(lambda v: self._term(row, v, label, theta))(at)

            def fill(i: Any, results: Any) -> Any:
                part = jax.vmap(one)(*(_part(column, i, PART) for column in (x, u, labels)))
                return jax.tree.map(
                    lambda whole, new: lax.dynamic_update_slice_in_dim(whole, new, i * PART, 0), results, part
                )

            d = self.space.dimension
            start = jnp.zeros(BLOCK), jnp.zeros((BLOCK, d)), jnp.zeros((BLOCK, d, d))
            return lax.fori_loop(0, -(-n // PART), fill, start)

        return self._jit(coordinates)

    @cached_property
    def _prior(self) -> Any:
        log_prior = self.declaration.log_prior
        assert log_prior is not None

        def prior(vector: Any) -> Any:
            return _number(log_prior(self._theta(unflatten(self.declaration.domains, vector, jnp))), "log_prior")

        return self._jit(_with_hessian(prior), "prior")

    def _jit(self, function: Callable[..., Any], name: str | None = None) -> Any:
        name = function.__name__ if name is None else name

        def counted(*arguments: Any) -> Any:
            self.traced[name] += 1
            return without_lapack(function)(*arguments)

        return jax.jit(counted)

    # -- the user's densities ------------------------------------------------------------------

    def _theta(self, values: Values) -> Record:
        return Record(dict(zip(self.names, values, strict=True)), "theta")

    def _term(self, row: Any, u: Any, label: Any, theta: Values) -> Any:
        """The density of one label at one point."""
        if not self.declaration.is_chain:
            return self._unit(row, u, label, theta)
        k = self.space.n_states
        unit = self._unit(row, u, jnp.minimum(label, k - 1), theta)
        return jnp.where(label < k, unit, self._pair(row, jnp.maximum(label - k, 0), theta))

    def _unit(self, row: Any, u: Any, k: Any, values: Values) -> Any:
        z = self.space.value(jnp.asarray(self.space.states)[k], u)
        x, theta = self.layout.unpack(row[: self.layout.n_columns]), self._theta(values)
        densities, first = self.declaration.densities, self.declaration.first
        if first is None:
            return _number(densities["log_joint"](x, z, theta), "log_joint")
        whole = self._call(first, x, z, theta)
        return _number(densities["log_emission"](x, z, theta), "log_emission") + jnp.where(row[-1] > 0, whole, 0.0)

    def _pair(self, row: Any, ij: Any, values: Values) -> Any:
        x, k = self.layout.unpack(row[: self.layout.n_columns]), self.space.n_states
        return self._call("log_transition", x, ij // k, ij % k, self._theta(values))

    def _call(self, role: str, x: Any, *rest: Any) -> Any:
        function = self.declaration.densities[role]
        return _number(function(x, *rest) if self.declaration.sees_row(role) else function(*rest), role)


def _over_points(function: Callable[..., Any], labels: Any) -> Any:
    """function(row, u, label) for all labels and points, (L, m)."""
    return lambda x, u: jax.vmap(lambda label: jax.vmap(lambda row, at: function(row, at, label))(x, u))(labels)


def _by_parts(function: Callable[..., Any], height: int, n: Any, x: Any, u: Any) -> Any:
    """function(x, u) of parts of a block, as many of them as hold the first n points, (height, block)."""

    def fill(i: Any, result: Any) -> Any:
        part = function(_part(x, i, PART), _part(u, i, PART))
        return lax.dynamic_update_slice_in_dim(result, part, i * PART, 1)

    return lax.fori_loop(0, -(-n // PART), fill, jnp.zeros((height, BLOCK)))


def _part(column: Any, i: Any, size: int) -> Any:
    return lax.dynamic_slice_in_dim(column, i * size, size)


def _with_hessian(function: Callable[..., Any]) -> Any:
    """(value, gradient, Hessian) in the first argument."""

    def derivatives(*arguments: Any) -> Any:
        slope = jax.value_and_grad(function)

        def twice(v: Any) -> Any:
            value, gradient = slope(v, *arguments[1:])
            return gradient, (value, gradient)

        hessian, (value, gradient) = jax.jacfwd(twice, has_aux=True)(arguments[0])
        return value, gradient, hessian

    return derivatives


def _number(value: Any, role: str) -> Any:
    if isinstance(value, tuple | list | dict) or value is None:
        raise ParameterError(f"{role} must return one number, but returned a {type(value).__name__}")
    if jnp.shape(value) != ():
        raise ParameterError(f"{role} must return one number, but returned an array of shape {jnp.shape(value)}")
    return jnp.asarray(value, float)


def _blocks(m: int, size: int = BLOCK) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, m, size))


def _padded(block: Array, part: int, size: int = BLOCK) -> Array:
    """A whole block: the first entry is repeated to the end of the last part begun, and the rest is not looked at."""
    n = len(block)
    if n == size:
        return block
    result = np.empty((size, *block.shape[1:]), block.dtype)
    result[:n], result[n : -(-n // part) * part] = block, block[0]
    return result
