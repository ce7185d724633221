"""Rows, states, parameters and functions as messages call them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ..compiled import Compiled
from ..parameters import DeclaredParameters
from ..space import is_continuous
from .tracing import Key

# Columns of a row that messages show.
LONGEST_ROW = 12


def function_of(functions: Compiled, role: str) -> Callable[..., Any]:
    """The user's function in a role."""
    declaration = functions.declaration
    function = declaration.log_prior if role == "log_prior" else declaration.densities[role]
    assert function is not None
    return function


def named(functions: Compiled, role: str) -> str:
    """A density with the name of the user's function, where that is another."""
    name = getattr(function_of(functions, role), "__name__", role)
    return role if name in (role, "<lambda>") else f"{role} ({name})"


def arguments(functions: Compiled, role: str) -> str:
    """What the function is given: "It is given x, a dict of 'age' and 'dose'; theta with means (2,)"."""
    domains = ", ".join(f"{name} {domain.shape}" for name, domain in functions.declaration.domains)
    parts = [f"theta with {domains}"]
    if role != "log_prior" and functions.declaration.sees_row(role):
        parts.insert(0, f"x, {described_row(functions)}")
    return f"It is given {'; '.join(parts)}"


def described_row(functions: Compiled) -> str:
    """What x is: a number, a vector, a dict of columns."""
    pieces = functions.layout.pieces
    if pieces[0].name is None:
        shape = pieces[0].shape
        return "a number" if not shape else f"an array of shape {shape}"
    columns = ", ".join(repr(p.name) + (f" {p.shape}" if p.shape else "") for p in pieces)
    record = functions.layout.record
    return f"a dict with {columns}" if record is None else f"a {record.__name__} with {columns}"


def called(functions: Compiled, key: Key) -> str:
    """An input as the user writes it: theta.means, x['age'], z.group."""
    kind, which = key
    if kind == "theta":
        return f"theta.{which}"
    if kind == "previous":
        return "previous"
    if kind == "x":
        access = f".{which}" if functions.layout.record is not None else f"[{which!r}]"
        return "x" if which is None else f"x{access}"
    return _part(functions, parts_of_z(functions).index(key))


def parts_of_z(functions: Compiled) -> list[Key]:
    """The inputs that z is made of, in the user's order."""
    states, slices = count(), iter(functions.space.slices)
    return [
        ("u", next(slices).start) if is_continuous(part) else ("z", next(states)) for _, part in functions.space.parts
    ]


def _part(functions: Compiled, number: int) -> str:
    if functions.space.kind == "single":
        return "z"
    name = functions.space.parts[number][0]
    return f"z[{number}]" if name is None else f"z.{name}"


def main_density(functions: Compiled) -> str:
    """The density of a row, with the name of the user's function."""
    roles = functions.declaration.densities
    return named(functions, "log_joint" if "log_joint" in roles else "log_emission")


def row_in_words(functions: Compiled, batch: Batch, row: int) -> str:
    """A row of the batch by its number and values: row 17 (age = 3.5, item = 2)."""
    cells = [f"{name} = {value:g}" for name, value in zip(functions.layout.names, batch.values[row], strict=True)]
    shown = cells if len(cells) <= LONGEST_ROW else [*cells[:LONGEST_ROW], "…"]
    return f"row {batch.row_of_unit(row, False)} ({', '.join(shown)})"


def theta_in_words(params: DeclaredParameters) -> str:
    """θ in short: theta: means = [1.5, 2], scale = 3."""
    return "theta with " + ", ".join(f"{name} = {_short(value)}" for name, value in params.by_name.items())


def _short(value: FloatArray) -> str:
    return np.array2string(value, precision=4, threshold=8, edgeitems=3, separator=", ").replace("\n", "")


def states_in_words(functions: Compiled, states: Array, what: str) -> str:
    """Which states are so: " (impossible at z = 2)"."""
    chosen = np.flatnonzero(states)
    if not functions.space.n_discrete or not len(chosen):
        return ""
    shown = ", ".join(functions.space.describe(int(k)) for k in chosen[:4])
    every = "every z" if len(chosen) == functions.space.n_states > 1 else shown + (", …" if len(chosen) > 4 else "")
    return f" ({what} at {every})"


def remedy(batch: Batch, row: int, odd: bool) -> str:
    """What to do about a row whose density is odd (NaN or infinite), or zero."""
    if np.isnan(batch.values[row]).any():
        return (
            "The row has missing values (nan): remove it, or let the density leave them out, inside and outside: with "
            "ok = ~jnp.isnan(x), jnp.where(ok, f(jnp.where(ok, x, 0.0)), 0.0)"
        )
    if odd:
        return (
            "Logs and roots of negative numbers, 0/0 and 0 · log(0) are no numbers (jax.scipy.special.xlogy takes care "
            "of the last), and a density is infinite where a scale is 0: choose domains that exclude them, or another "
            "start"
        )
    return "Give em.fit another start (parameters=), or check whether the density should allow such a row"
