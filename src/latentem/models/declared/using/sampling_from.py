"""Samples of a declared model: by the user's sampler, or by enumeration where x and z are few values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._typing import Array, FloatArray
from ....errors import LatentemError, ParameterError
from ....latents.markov_chain import MarkovChain, MarkovChainParameters
from ....layout import Layout, Piece, is_named_tuple, pack
from ..compiled import Compiled, compiled
from ..model import DeclaredModel
from ..parameters import DeclaredParameters
from ..records import Record
from ..space import Space
from .new_data import checked_parameters

# Probabilities must add to one as exactly as this.
NORMALIZED = 1e-6
MOST_PAIRS = 20_000_000


def sample(
    model: DeclaredModel, parameters: Any, n: int | None = None, random_state: Any = None, *, lengths: Any = None
) -> tuple[Any, Any]:
    """Draw observations and their z.

    By the model's `sampler`, where it has one.  Else by enumeration of all (x, z), where z is discrete and `observed`
    says which values x takes; for groups z first and then row by row, for a chain along it.

    Parameters
    ----------
    model : DeclaredModel
    parameters : DeclaredParameters, or mapping from name to value
    n : int
        How many observations; of a model of groups or chains, the rows of one group.
    random_state : None, int or Generator
    lengths : sequence of int, optional
        Of a model of groups or chains: the rows of each group, instead of `n`.

    Returns
    -------
    x : array, mapping or named tuple of arrays
        One entry for each row; groups one after another, without a column that says so.
    z : array, or tuple or mapping of arrays
        One entry for each row, for each group, or for each row of a chain; None where the sampler returns x alone.

    Raises
    ------
    ParameterError
        There is neither a sampler nor a way to enumerate, the sampler returns something else than asked for, or
        probabilities do not add to one.
    """
    params = checked_parameters(model, parameters)
    sizes = _sizes(model, n, lengths)
    rng = np.random.default_rng(random_state)
    if model.declaration.sampler is not None:
        return _by_sampler(model, params, sizes, rng)
    return _by_enumeration(model, params, sizes, rng)


def _sizes(model: DeclaredModel, n: Any, lengths: Any) -> Array:
    """How many rows each group has; of independent rows there is one group."""
    if (n is None) == (lengths is None):
        raise ParameterError("say how many rows to draw: either n, or lengths of groups")
    if lengths is not None and not model.per_group:
        raise ParameterError("lengths belong to models of groups or chains; rows of this one are independent: give n")
    sizes = np.atleast_1d(np.asarray(n if lengths is None else lengths))
    if sizes.ndim > 1 or sizes.dtype.kind not in "iu" or not len(sizes) or np.any(sizes < 1):
        name = "n" if lengths is None else "lengths"
        raise ParameterError(f"{name} must be at least 1, in whole numbers; got {sizes}")
    return sizes


# -- by the user's sampler ---------------------------------------------------------------------


def _by_sampler(
    model: DeclaredModel, params: DeclaredParameters, sizes: Array, rng: np.random.Generator
) -> tuple[Any, Any]:
    theta = Record(params.by_name, "theta")
    drawn = [_drawn(model, theta, rng, int(size)) for size in sizes]
    alone = model.per_group and not model.declaration.is_chain
    join: Callable[[list[Any]], Any] = np.stack if alone else np.concatenate
    zs = [z for _, z in drawn]
    return _joined([x for x, _ in drawn], np.concatenate), None if zs[0] is None else _joined(zs, join)


def _drawn(model: DeclaredModel, theta: Record, rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """x and z (or None) of one call of the sampler."""
    assert model.declaration.sampler is not None
    drawn = model.declaration.sampler(theta, rng, n)
    pair = isinstance(drawn, tuple) and not is_named_tuple(drawn)
    if pair and len(drawn) != 2:
        raise ParameterError(f"the sampler must return x, or (x, z); got a tuple of {len(drawn)}")
    x, z = drawn if pair else (drawn, None)
    try:
        rows = len(pack(x)[0])
    except LatentemError as error:
        raise ParameterError(f"the sampler must return {n} observations: {error}") from error
    if rows != n:
        raise ParameterError(f"the sampler was asked for {n} observations, but returned {rows}")
    return x, z


def _joined(parts: list[Any], join: Callable[[list[Any]], Any]) -> Any:
    """Arrays, or the arrays in mappings and tuples, of several draws as one."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: _joined([part[name] for part in parts], join) for name in first}
    if isinstance(first, tuple):
        columns = [_joined(list(column), join) for column in zip(*parts, strict=True)]
        return type(first)(*columns) if is_named_tuple(first) else tuple(columns)
    return join([np.asarray(part) for part in parts])


# -- by enumeration ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tables:
    """Everything that x may be, and the functions at θ.

    Attributes
    ----------
    layout : Layout
    x : (S, D)
    functions : Compiled
    params : DeclaredParameters
    """

    layout: Layout
    x: FloatArray
    functions: Compiled
    params: DeclaredParameters

    def values(self, *mark: float) -> FloatArray:
        """log densities (L, S), of first rows of groups where they are marked so."""
        rows = np.hstack([self.x, np.broadcast_to(np.array(mark), (len(self.x), len(mark)))])
        return self.functions.values(self.params.values, rows, np.empty((len(rows), 0)))


def _by_enumeration(
    model: DeclaredModel, params: DeclaredParameters, sizes: Array, rng: np.random.Generator
) -> tuple[Any, Any]:
    tables, space = _tables(model, params), model.declaration.space
    if not model.per_group:
        x, z = _rows(tables, int(sizes[0]), rng)
        return tables.layout.unpack(tables.x[x]), _as_z(space, z)
    emission = _probabilities(tables.values(0.0)[: space.n_states], "log_emission", space)
    if space.is_chain:
        states = z = MarkovChain(space.n_states).sample(_chain(tables, space), sizes, rng)
    else:
        first = _probabilities(_of_group(tables, space)[None], "log_latent", space)[0]
        z = rng.choice(space.n_states, size=len(sizes), p=first)
        states = np.repeat(z, sizes)
    x = np.empty(len(states), int)
    for k in np.unique(states):
        of_k = states == k
        x[of_k] = rng.choice(len(tables.x), size=int(of_k.sum()), p=emission[k])
    return tables.layout.unpack(tables.x[x]), _as_z(space, z)


def _tables(model: DeclaredModel, params: DeclaredParameters) -> _Tables:
    declaration = model.declaration
    if declaration.observed is None or declaration.space.dimension:
        why = "z is continuous" if declaration.space.dimension else "nothing says which values x takes"
        raise ParameterError(
            f"the model {model.name!r} cannot be sampled by itself, as {why}: declare it with sampler=f(theta, rng, n)"
            f"{'' if declaration.space.dimension else ', or with observed=em.Integers(a, b) or the like'}"
        )
    covariates = [role for role in ("log_latent", "log_initial", "log_transition") if role in declaration.densities]
    seeing = [role for role in covariates if declaration.sees_row(role)]
    if seeing:
        raise ParameterError(f"{seeing[0]} depends on the row, which is not known before z is: declare a sampler")
    seen = Space.of(declaration.observed)
    if seen.dimension or seen.is_chain:
        raise ParameterError(
            f"observed must name finitely many values, as em.Integers(0, 9); got {declaration.observed!r}"
        )
    if seen.n_states * declaration.space.n_states > MOST_PAIRS:
        raise ParameterError(f"there are more than {MOST_PAIRS} pairs (x, z) to enumerate: declare a sampler")
    layout = _layout(seen, model.layout)
    return _Tables(layout, seen.states.astype(float), compiled(declaration, layout), params)


def _layout(seen: Space, known: Layout | None) -> Layout:
    """What a row is whose values are these: a number, a vector, or numbers by name (a named tuple if they were)."""
    if seen.kind != "record":
        return Layout((Piece(None, () if seen.kind == "single" else (len(seen.parts),), True),))
    names = [str(name) for name, _ in seen.parts]
    layout = Layout.table(names, names, {})
    same = known is not None and set(known.names) == set(layout.names)
    return Layout(layout.pieces, known.record if known is not None and same else None)


def _rows(tables: _Tables, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Positions of x and states of z of n independent rows."""
    values = tables.values()
    joint = _probabilities(values.reshape(1, -1), "log_joint", tables.functions.space)[0]
    z, x = np.unravel_index(rng.choice(joint.size, size=n, p=joint), values.shape)
    return x, z


def _of_group(tables: _Tables, space: Space) -> FloatArray:
    """The log density of z itself, (K,): what first rows have beyond others, at the likeliest x."""
    k = np.arange(space.n_states)
    alone, first = tables.values(0.0)[: len(k)], tables.values(1.0)[: len(k)]
    likeliest = alone.argmax(axis=1)
    return np.asarray(first[k, likeliest] - alone[k, likeliest])


def _chain(tables: _Tables, space: Space) -> MarkovChainParameters:
    k = space.n_states
    initial = _probabilities(_of_group(tables, space)[None], "log_initial", space)[0]
    pairs = tables.values(0.0)[k:, 0].reshape(k, k)
    return MarkovChainParameters(initial, _probabilities(pairs, "log_transition", space))


def _probabilities(logs: FloatArray, role: str, space: Space) -> FloatArray:
    """exp of the rows, each of which must add to one."""
    with np.errstate(over="ignore"):
        found = np.exp(logs)
    sums = found.sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= NORMALIZED))
    if len(wrong):
        what = _summed(role, int(wrong[0]), space)
        raise ParameterError(
            f"{what} add up to {sums[wrong[0]]:.6g} instead of 1: normalize the density, name all values in observed=, "
            "or declare a sampler where x holds covariates"
        )
    return np.asarray(found / sums[:, None])


def _summed(role: str, row: int, space: Space) -> str:
    """Which probabilities are the row of a table."""
    if role == "log_joint":
        return "the probabilities exp(log_joint) of all (x, z)"
    if role == "log_emission":
        return f"the probabilities exp(log_emission) of all x where {space.describe(row)}"
    if role == "log_transition":
        return f"the probabilities exp(log_transition) of all z after {space.describe(row)}"
    return f"the probabilities exp({role}) of all z"


def _as_z(space: Space, k: Array) -> Any:
    """States of z as the user knows them, with one entry for each k."""
    columns = space.states[k].T
    if space.kind == "single":
        return columns[0]
    names = [name for name, _ in space.parts]
    return tuple(columns) if space.kind == "tuple" else dict(zip(names, columns, strict=True))
