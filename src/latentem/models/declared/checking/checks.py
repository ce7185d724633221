"""Mistakes in a declaration, found before the fit starts and told in the user's terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...._typing import FloatArray
from ....data import Batch
from ....errors import DataError, ParameterError
from ..compiled import Compiled
from ..e_steps import Points
from ..parameters import DeclaredParameters
from .distributions import check_distributions, check_even_transitions, check_transitions, leave_out_unasked
from .gradients import check_gradients
from .indices import Extremes, check_lookups, index_kinds, is_first, levels
from .mistakes import densities_of
from .tracing import Density
from .wording import (
    arguments,
    called,
    described_row,
    main_density,
    named,
    parts_of_z,
    remedy,
    row_in_words,
    states_in_words,
    theta_in_words,
)

if TYPE_CHECKING:
    from ..model import DeclaredModel

# How far from the start θ is moved to see whether probabilities still add to one.
MOVED = 0.3


def check_declaration(model: DeclaredModel, params: DeclaredParameters, batch: Batch) -> None:
    """Raise if the densities cannot be what was meant: judged by their code, and by rows of the data at the start θ.

    Parameters
    ----------
    model : DeclaredModel
    params : DeclaredParameters
        The start.
    batch : Batch
        Some rows of the data.

    Raises
    ------
    ParameterError
        A density raises, does not return one real number, takes entries of an array that has fewer, never uses a
        parameter, z or x, or is no distribution of z; or the prior is NaN.
    DataError
        A column is missing, an index in the data is out of range, or a row has no density; the row is named.
    """
    functions = model._functions(batch)
    check_functions(model, batch)
    check_lookups(functions, densities_of(functions), params, batch)
    check_values(model, params, batch)
    check_distributions(functions, params, batch)
    # Probabilities that add to one at the start alone are those of a start that is even.
    moved = params.unflatten(params.flatten() + MOVED * np.random.default_rng(0).normal(size=params.n_free))
    check_distributions(functions, moved, batch, "away from the start")
    check_even_transitions(model, functions, moved, batch)
    check_gradients(model, params, batch)


def check_indices(model: DeclaredModel, params: DeclaredParameters, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches, each of them once it is clear that no number in it is an index out of range.

    An index grows with a number in the data, if it depends on one: the extremes of the columns are looked at.

    Raises
    ------
    DataError, ParameterError
        A number in the data makes a density take an entry that an array does not have; the row is named.
    """
    extremes = Extremes()
    for batch in batches:
        functions = model._functions(batch)
        if looks_up_data(functions) and len(rows := extremes.new(batch)):
            check_lookups(functions, densities_of(functions), params, batch, rows)
        yield batch


@lru_cache(64)
def looks_up_data(functions: Compiled) -> bool:
    """Whether any density takes entries of arrays by numbers in the data: else no row need be looked at for them."""
    return any("x" in index_kinds(density) for density in densities_of(functions) if density.role != "log_prior")


def check_functions(model: DeclaredModel, batch: Batch) -> None:
    """The part of `check_declaration` that needs no θ."""
    functions = model._functions(batch)
    _check_groups(functions, batch)
    densities = densities_of(functions)
    for density in densities:
        _check_result(functions, density)
    _check_uses(functions, densities)


def describe_impossible(
    model: DeclaredModel, params: DeclaredParameters, batch: Batch, unit: int, points: Points
) -> DataError:
    """The error for a unit (a row, or a group) whose log-likelihood is not finite."""
    functions = model._functions(batch)
    own = np.arange(*batch.group_offsets[unit : unit + 2]) if model.per_group else np.array([unit])
    mine = np.isin(points.rows, own)
    values = points.values[: model.declaration.space.n_states, mine]
    odd = np.isnan(values) | np.isposinf(values)
    worst = odd if odd.any() else np.isneginf(values)
    at = points.rows[mine][np.argmax(worst.any(axis=0))] if worst.any() else own[0]
    what = "a group" if model.per_group and len(own) > 1 else "a row"
    known = "" if batch.labels is None else ", given the known states"
    total = points.log_likelihood[unit]
    whole = f"{what} that is impossible{known}" if total == -np.inf else f"{what} whose log-likelihood is {total}"
    if total == -np.inf and np.isposinf(values).any():
        whole = f"{what} whose density cannot be integrated over z"
    state = states_in_words(functions, np.any(worst, axis=1), "NaN or infinite" if odd.any() else "impossible")
    return DataError(
        f"{row_in_words(functions, batch, int(at))} belongs to {whole}{state}, at {theta_in_words(params)}.  "
        f"{remedy(batch, int(at), bool(odd.any()))}"
    )


# -- the code of the densities -----------------------------------------------------------------


def _check_groups(functions: Compiled, batch: Batch) -> None:
    declaration = functions.declaration
    if batch.offsets is not None or not declaration.per_group:
        return
    if declaration.group is not None and declaration.group not in functions.layout.names:
        raise DataError(
            f"rows of {declaration.name} are put together by the column {declaration.group!r}, but x is "
            f"{described_row(functions)}: add the column, or give em.fit groups= or lengths="
        )
    if not declaration.is_chain:
        raise DataError(
            f"rows of {declaration.name} share one z in groups, but nobody says which rows form one: declare a column "
            "with group=, or give em.fit groups= or lengths="
        )


def _check_result(functions: Compiled, density: Density) -> None:
    name = named(functions, density.role)
    if density.shape != () and density.role == "log_prior":
        raise ParameterError(
            f"{name} must return one number, but returned an array of shape {density.shape}: add up the log densities "
            f"of its parts, with jnp.sum.  {arguments(functions, density.role)}"
        )
    if density.shape != ():
        raise ParameterError(
            f"{name} must return one number for one row, but returned an array of shape {density.shape}: add up what "
            f"belongs to the row, with jnp.sum, or take entries of x.  {arguments(functions, density.role)}"
        )
    if density.kind.kind == "c":
        raise ParameterError(f"{name} must return a real number, but returned a complex one: take jnp.real")
    narrow = density.kind.kind == "f" and density.kind.itemsize < 8
    if narrow and any(kind == "theta" for kind, _ in density.uses):
        raise ParameterError(
            f"{name} returns {density.kind}, which is too coarse to tell whether EM still rises: leave out "
            f"astype({density.kind}); θ and x come as float64"
        )


def _check_uses(functions: Compiled, densities: tuple[Density, ...]) -> None:
    uses = frozenset[Any]().union(*(density.uses for density in densities))
    roles = " or ".join(named(functions, density.role) for density in densities)
    for name in functions.names:
        if ("theta", name) not in uses:
            raise ParameterError(
                f"the parameter {name!r} is never used: theta.{name} has no effect on what {roles} returns; use it, or "
                "leave it out of parameters="
            )
    matters = [key for key in parts_of_z(functions) if not _has_one_value(functions, key)]
    for key in matters:
        if key not in uses:
            raise ParameterError(
                f"{called(functions, key)} is never used: it has no effect on what {roles} returns; use it, or leave "
                "it out of latent="
            )
    main = next(density for density in densities if density.role in ("log_joint", "log_emission"))
    name = named(functions, main.role)
    if not any(kind == "x" for kind, _ in main.uses):
        raise ParameterError(f"x is never used: it has no effect on what {name} returns; the data would tell nothing")
    if matters and not any(key in main.uses for key in matters):
        raise ParameterError(f"z is never used by {name}: it has no effect on what it returns, so x tells nothing of z")


def _has_one_value(functions: Compiled, key: Any) -> bool:
    kind, which = key
    return kind == "z" and len(np.unique(functions.space.states[:, which])) == 1


# -- values ------------------------------------------------------------------------------------


def check_values(model: DeclaredModel, params: DeclaredParameters, batch: Batch) -> None:
    """Raise where a density is no number, or a row impossible for every z; the row, z and θ are named."""
    functions = model._functions(batch)
    if model.declaration.log_prior is not None and np.isnan(value := model.log_prior(params)):
        raise ParameterError(f"{named(functions, 'log_prior')} is {value} at the start, {theta_in_words(params)}")
    x, k = model.rows(batch), functions.space.n_states
    for u in levels(functions):
        values = functions.values(params.values, x, np.broadcast_to(u, (len(x), len(u))))
        leave_out_unasked(values, functions, batch)
        wrong = np.isnan(values) | np.isposinf(values)
        if wrong.any():
            row = int(np.argmax(wrong.any(axis=0)))
            raise _not_a_number(functions, params, batch, row, int(np.argmax(wrong[:, row])), u, values)
        impossible = np.isneginf(values[:k]).all(axis=0)
        if impossible.any() and not functions.space.dimension:
            row = int(np.argmax(impossible))
            raise DataError(
                f"{row_in_words(functions, batch, row)} is impossible at the start: {main_density(functions)} is -inf "
                f"for every z, at {theta_in_words(params)}.  {remedy(batch, row, False)}"
            )
        if functions.declaration.is_chain:
            check_transitions(functions, batch, values[k:].reshape(k, k, -1))


def _not_a_number(
    functions: Compiled,
    params: DeclaredParameters,
    batch: Batch,
    row: int,
    label: int,
    u: FloatArray,
    values: FloatArray,
) -> DataError:
    k = functions.space.n_states
    if label < k:
        name, state = main_density(functions), functions.space.describe(label)
    else:
        name, state = named(functions, "log_transition"), f"previous = {(label - k) // k}, z = {(label - k) % k}"
    if len(u):
        numbers = ", ".join(f"{one:g}" for one in u)
        state = f"z = {numbers}" if not functions.space.n_discrete else f"{state} with its continuous part at {numbers}"
    first = functions.declaration.first
    also = f" + {first}" if first is not None and label < k and is_first(batch)[row] else ""
    return DataError(
        f"{name}{also} is {values[label, row]} in {row_in_words(functions, batch, row)} at {state} and "
        f"{theta_in_words(params)}.  {remedy(batch, row, True)}"
    )
