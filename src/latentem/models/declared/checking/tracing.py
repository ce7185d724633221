"""The user's densities as lists of primitive operations: what depends on what, and which arrays are indexed where.

JAX does not tell an index that is out of range: it takes the last entry instead, or NaN.  Here each operation is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...._typing import Array, FloatArray
from ..compiled import Compiled
from ..declaration import ROLES
from ..linear_algebra import without_lapack
from ..records import Record
from .operations import Flattened, Known, Step, value_of

Key = tuple[str, Any]


@dataclass(frozen=True)
class Lookup:
    """What a look-up met at one point.

    Attributes
    ----------
    step : Step
    axis, size, index : int
        The axis of the array, how many entries it has, and the one that was asked for.
    """

    step: Step
    axis: int
    size: int
    index: int


@dataclass(frozen=True)
class Density:
    """A density as operations on named inputs.

    Attributes
    ----------
    role : str
    keys : tuple
        The inputs: ("x", name of the piece), ("z", number of the part), ("previous", 0), ("theta", name).
    steps : tuple of Step
        Values are numbered, the inputs first.
    output : int or Known
    shapes : dict
        Shape of each value.
    kind : dtype
        Of the output.
    """

    role: str
    keys: tuple[Key, ...]
    steps: tuple[Step, ...]
    output: int | Known
    shapes: Mapping[int, tuple[int, ...]]
    shape: tuple[int, ...]
    kind: Any

    def reached(self) -> list[frozenset[Key]]:
        """For each value, the inputs that it depends on."""
        found = {i: frozenset([key]) for i, key in enumerate(self.keys)}
        for step in self.steps:
            own = frozenset[Key]().union(*(found[ref] for ref in step.operands if isinstance(ref, int)))
            found.update(dict.fromkeys(step.results, own))
        return [found[i] for i in range(len(found))]

    @property
    def uses(self) -> frozenset[Key]:
        """The inputs that the density depends on."""
        return frozenset() if isinstance(self.output, Known) else self.reached()[self.output]

    @property
    def lookups(self) -> list[Step]:
        """Look-ups that the density depends on."""
        needed = {id(step) for step in self._needed([self.output])}
        return [step for step in self.steps if step.looks_up and id(step) in needed]

    def outside(self, inputs: Sequence[Any]) -> Array:
        """(m,) bool: at which of m points, whose inputs are stacked (those of θ are not), a look-up is out of range."""
        return self._over_points(self._is_outside, inputs)

    def spoiled(self, inputs: Sequence[Any]) -> Array:
        """(m,) bool: at which of these points, all with look-ups out of range, that matters."""
        return self._over_points(self._is_spoiled, inputs)

    def values(self, inputs: Sequence[Any]) -> FloatArray:
        """(m,): the density at m points."""
        return self._over_points(self._at, inputs)

    def first_outside(self, inputs: Sequence[Any]) -> Lookup:
        """The first look-up that is out of range at one point."""
        with jax.enable_x64(True):
            values = self._run(self._needed([self.output]), inputs, poison=False)
        for step in self.lookups:
            for axis, size, start, width in _ranges(self, step, values):
                starts = np.atleast_1d(np.asarray(start))
                wrong = starts[(starts < 0) | (starts + width > size)]
                if len(wrong):
                    return Lookup(step, axis, size, int(wrong[0]))
        raise AssertionError("no look-up is out of range")

    @cached_property
    def _is_outside(self) -> Any:
        lookups = self.lookups
        wanted = self._needed([ref for step in lookups for ref in step.indices])

        def at(*one: Any) -> Any:
            values = self._run(wanted, one, poison=False)
            return jnp.any(jnp.stack([flag for step in lookups for flag in _outside(self, step, values)]))

        return self._compiled(at)

    @cached_property
    def _is_spoiled(self) -> Any:
        wanted = self._needed([self.output])
        return self._compiled(lambda *one: jnp.isnan(value_of(self.output, self._run(wanted, one, poison=True))))

    @cached_property
    def _at(self) -> Any:
        wanted = self._needed([self.output])

        def at(*one: Any) -> Any:
            return jnp.asarray(value_of(self.output, self._run(wanted, one, poison=False)), float)

        return self._compiled(at)

    def _compiled(self, function: Any) -> Any:
        axes = tuple(None if kind == "theta" else 0 for kind, _ in self.keys)
        return jax.jit(without_lapack(jax.vmap(function, in_axes=axes)))

    def _over_points(self, function: Any, inputs: Sequence[Any]) -> Array:
        """A function of points, their number padded to a power of two so that few numbers are ever compiled for."""
        stacked = [kind != "theta" for kind, _ in self.keys]
        m = max((len(array) for array, is_stacked in zip(inputs, stacked, strict=True) if is_stacked), default=1)
        chosen = np.minimum(np.arange(1 << (m - 1).bit_length()), m - 1)
        padded = [array[chosen] if is_stacked else array for array, is_stacked in zip(inputs, stacked, strict=True)]
        with jax.enable_x64(True):
            return np.asarray(function(*padded))[:m]

    def _needed(self, refs: Iterable[int | Known]) -> list[Step]:
        wanted = {ref for ref in refs if isinstance(ref, int)}
        kept = []
        for step in reversed(self.steps):
            if wanted.intersection(step.results):
                kept.append(step)
                wanted.update(ref for ref in step.operands if isinstance(ref, int))
        return kept[::-1]

    def _run(self, steps: Iterable[Step], inputs: Sequence[Any], poison: bool) -> dict[int, Any]:
        """All values at one point; with poison, what is out of range is NaN."""
        values: dict[int, Any] = dict(enumerate(inputs))
        for step in steps:
            operands = [value_of(ref, values) for ref in step.operands]
            bound = step.primitive.get_bind_params(dict(step.options))
            # Before JAX 0.10 functions came beside the options.
            first, options = bound if isinstance(bound, tuple) else ((), bound)
            results = step.primitive.bind(*first, *operands, **options)
            results = list(results) if step.primitive.multiple_results else [results]
            if poison and step.looks_up and jnp.issubdtype(results[0].dtype, jnp.floating):
                wrong = jnp.any(jnp.stack(_outside(self, step, values)))
                results[0] = jnp.where(wrong, jnp.nan, results[0])
            values.update(zip(step.results, results, strict=True))
        return values


def trace(functions: Compiled, role: str) -> Density:
    """A density (`log_joint`, …, or `log_prior`) as the user's function computes it; what that raises comes through."""
    declaration, keys = functions.declaration, keys_of(functions, role)
    function = declaration.log_prior if role == "log_prior" else declaration.densities[role]
    assert function is not None
    density: Callable[..., Any] = function

    def called(*inputs: Any) -> Any:
        given = dict(zip(keys, inputs, strict=True))
        theta = Record({name: given["theta", name] for name in functions.names}, "theta")
        if role == "log_prior":
            return density(theta)
        z = functions.space.value(
            {i: given["z", i] for i in range(functions.space.n_discrete)},
            _Slices({start: given["u", start] for kind, start in keys if kind == "u"}),
        )
        leading = [] if not declaration.sees_row(role) else [_record(functions, given)]
        return density(*leading, *([given["previous", 0]] if role == "log_transition" else []), z, theta)

    examples = _examples(functions, keys)
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(called)(*examples)
    if len(closed.out_avals) != 1:
        found = f"{len(closed.out_avals)} of them" if closed.out_avals else "None (is a return missing?)"
        raise TypeError(f"{role} must return one number, but returned {found}")
    flat = Flattened(len(keys))
    output = flat.inline(closed.jaxpr, closed.consts, list(range(len(keys))))[0]
    shapes = {**dict(enumerate(np.shape(example) for example in examples)), **flat.shapes}
    out: Any = closed.out_avals[0]
    return Density(role, keys, tuple(flat.steps), output, shapes, tuple(out.shape), out.dtype)


def keys_of(functions: Compiled, role: str) -> tuple[Key, ...]:
    """The inputs of a density."""
    thetas = [("theta", name) for name in functions.names]
    if role == "log_prior":
        return tuple(thetas)
    keys: list[Key] = []
    if functions.declaration.sees_row(role):
        keys += [("x", piece.name) for piece in functions.layout.pieces]
    if "previous" in ROLES[role]:
        keys.append(("previous", 0))
    keys += [("z", i) for i in range(functions.space.n_discrete)]
    keys += [("u", part.start) for part in functions.space.slices]
    return (*keys, *thetas)


def _examples(functions: Compiled, keys: Iterable[Key]) -> list[Any]:
    """Inputs of the right shapes and kinds."""
    thetas = [np.zeros(domain.shape) for _, domain in functions.declaration.domains]
    row, u = np.zeros(functions.layout.n_columns), np.zeros(functions.space.dimension)
    return inputs_at(functions, keys, row, np.array(0), np.array(0), u, thetas)


def inputs_at(
    functions: Compiled, keys: Iterable[Key], x: FloatArray, states: Array, previous: Array, u: FloatArray, thetas: Any
) -> list[Any]:
    """Inputs at points: rows (…, D), numbers of states (…), coordinates (…, d), and θ's arrays."""
    table, start = functions.space.states, 0
    parts: dict[Key, Any] = {("previous", 0): previous}
    parts.update({("z", i): table[states, i] for i in range(functions.space.n_discrete)})
    parts.update({("u", part.start): u[..., part] for part in functions.space.slices})
    parts.update({("theta", name): value for name, value in zip(functions.names, thetas, strict=True)})
    for piece in functions.layout.pieces:
        parts["x", piece.name] = x[..., start : start + piece.size]
        start += piece.size
    return [np.asarray(parts[key]) for key in keys]


@dataclass(frozen=True)
class _Slices:
    """Stands for a vector of which only whole pieces are asked for, by slice or (a single one) by number."""

    pieces: Mapping[int, Any]
    shape: tuple[int, ...] = (0,)

    def __getitem__(self, key: Any) -> Any:
        key = key[-1] if isinstance(key, tuple) else key
        return self.pieces[key.start] if isinstance(key, slice) else self.pieces[key][0]


def _record(functions: Compiled, given: Mapping[Key, Any]) -> Any:
    """x as the user's function sees it, from its pieces."""
    starts = np.cumsum([0, *(piece.size for piece in functions.layout.pieces[:-1])]).tolist()
    pieces = functions.layout.pieces
    return functions.layout.unpack(_Slices({at: given["x", p.name] for at, p in zip(starts, pieces, strict=True)}))


def _ranges(density: Density, step: Step, values: Mapping[int, Any]) -> list[tuple[int, int, Any, int]]:
    """(axis, its size, first entries asked for, how many) of a look-up."""
    array = step.operands[0]
    shape = np.shape(array.value) if isinstance(array, Known) else density.shapes[array]
    widths = step.options["slice_sizes"]
    if step.primitive.name == "dynamic_slice":
        each = [value_of(ref, values) for ref in step.indices]
        return [(axis, shape[axis], start, widths[axis]) for axis, start in enumerate(each)]
    starts = jnp.asarray(value_of(step.indices[0], values))
    axes = step.options["dimension_numbers"].start_index_map
    return [(axis, shape[axis], starts[..., i], widths[axis]) for i, axis in enumerate(axes)]


def _outside(density: Density, step: Step, values: Mapping[int, Any]) -> list[Any]:
    ranges = _ranges(density, step, values)
    return [jnp.any((start < 0) | (start + width > size)) for _, size, start, width in ranges]
