"""Indices that are out of range: a state of z, or a number in the data, that an array has no entry for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....errors import DataError, ParameterError
from ..compiled import Compiled
from ..parameters import DeclaredParameters
from .operations import Known
from .tracing import Density, Lookup, inputs_at
from .wording import called, named

# Pairs of row and state at which indices are looked at, and those at which it is tried whether they matter.
MOST_POINTS, MOST_TRIED = 20_000, 64


def check_lookups(
    functions: Compiled,
    densities: Iterable[Density],
    params: DeclaredParameters,
    batch: Batch,
    among: Array | None = None,
) -> None:
    """Raise where a density takes entries that an array does not have, and these matter; in some rows, or in all."""
    for density in densities:
        if density.role == "log_prior" or not density.lookups:
            continue
        rows, states, previous = _points(functions, density, batch, among)
        if not len(rows):
            continue

        def inputs(chosen: Any, density: Density = density, at: tuple[Array, ...] = (rows, states, previous)) -> Any:
            own, z, before = (array[chosen] for array in at)
            u = np.broadcast_to(levels(functions)[0], (*np.shape(own), functions.space.dimension))
            return inputs_at(functions, density.keys, batch.values[own], z, before, u, params.values)

        suspects = np.flatnonzero(density.outside(inputs(slice(None))))[:MOST_TRIED]
        wrong = suspects[density.spoiled(inputs(suspects))] if len(suspects) else suspects
        if len(wrong):
            lookup = density.first_outside(inputs(int(wrong[0])))
            raise _out_of_range(functions, density, lookup, batch, int(rows[wrong[0]]), int(states[wrong[0]]))


class Extremes:
    """The least and the largest entry of each column, batch by batch."""

    def __init__(self) -> None:
        self.low: FloatArray | float = np.inf
        self.high: FloatArray | float = -np.inf

    def new(self, batch: Batch) -> Array:
        """Rows of the batch that go beyond those of the batches before it."""
        values = batch.values if batch.weights is None else batch.values[batch.weights > 0]
        numbers = np.arange(len(batch)) if batch.weights is None else np.flatnonzero(batch.weights > 0)
        if not len(values):
            return numbers
        low, high = np.where(np.isnan(values), np.inf, values), np.where(np.isnan(values), -np.inf, values)
        ends = low.argmin(axis=0)[low.min(axis=0) < self.low], high.argmax(axis=0)[high.max(axis=0) > self.high]
        self.low, self.high = np.minimum(self.low, low.min(axis=0)), np.maximum(self.high, high.max(axis=0))
        return numbers[np.unique(np.concatenate(ends))]


def index_kinds(density: Density) -> set[str]:
    """Of which kinds the inputs are that a density's indices depend on."""
    reached = density.reached()
    return {
        kind
        for step in density.lookups
        for ref in step.indices
        if isinstance(ref, int)
        for kind, _ in reached[ref]
    }


def _points(
    functions: Compiled, density: Density, batch: Batch, among: Array | None
) -> tuple[Array, Array, Array]:
    """(rows, states, previous states) at which a density's indices are looked at."""
    k = functions.space.n_states
    labels = k * k if density.role == "log_transition" else k
    kinds = index_kinds(density)
    rows = rows_for(functions, density.role, batch)
    rows = rows if among is None else rows[np.isin(rows, among)]
    rows = rows[: max(1, MOST_POINTS // labels)] if "x" in kinds else rows[:1]
    label = np.arange(labels if kinds & {"z", "previous"} else 1)
    row, both = (part.ravel() for part in np.meshgrid(rows, label, indexing="ij"))
    return row, both % k, both // k


def rows_for(functions: Compiled, role: str, batch: Batch) -> Array:
    """Rows that a density is asked for, those with the extremes of the columns first."""
    values = np.nan_to_num(batch.values)
    ends = np.concatenate([values.argmin(axis=0), values.argmax(axis=0), np.arange(len(batch))])
    _, at = np.unique(ends, return_index=True)
    order = ends[np.sort(at)]
    counts = np.ones(len(batch), bool) if batch.weights is None else batch.weights > 0
    if functions.declaration.per_group and functions.declaration.sees_row(role):
        first = is_first(batch)
        counts = counts & ~first if role == "log_transition" else counts & first if role != "log_emission" else counts
    return np.asarray(order[counts[order]])


def is_first(batch: Batch) -> Array:
    """Which rows begin a group."""
    first = np.zeros(len(batch), bool)
    first[batch.group_offsets[:-1]] = True
    return first


def _out_of_range(
    functions: Compiled, density: Density, lookup: Lookup, batch: Batch, row: int, state: int
) -> DataError | ParameterError:
    reached = density.reached()

    def inputs_of(refs: Any) -> list[str]:
        keys = frozenset[Any]().union(*(reached[ref] for ref in refs if isinstance(ref, int)))
        return [called(functions, key) for key in density.keys if key in keys]

    array, by = lookup.step.operands[0], inputs_of(lookup.step.indices)
    shape = np.shape(array.value) if isinstance(array, Known) else density.shapes[array]
    made_of = " and ".join(inputs_of([array]))
    direct = isinstance(array, int) and array < len(density.keys)
    what = made_of if direct else f"an array made from {made_of}" if made_of else "a constant array"
    axis = f" along axis {lookup.axis}" if len(shape) > 1 else ""
    name, source = named(functions, density.role), " and ".join(by)
    if any(one == "x" or one.startswith(("x[", "x.")) for one in by):
        makes, at = ("makes", "") if len(by) == 1 else ("make", f" at {functions.space.describe(state)}")
        return DataError(
            f"row {batch.row_of_unit(row, False)}: {source} {makes} {name} take entry {lookup.index}{axis} of "
            f"{what}{at}, which has shape {shape}: its entries are numbered from 0 to {lookup.size - 1}; "
            "correct the data, or give it more"
        )
    if source == "z" and functions.space.kind == "single" and lookup.index == int(functions.space.states[state, 0]):
        runs = f"z runs to {int(functions.space.states.max())}"
    else:
        at = f" at {functions.space.describe(state)} in row {batch.row_of_unit(row, False)}" if by else ""
        runs = f"{source or 'a number'} asks for entry {lookup.index}{axis}{at}"
    return ParameterError(
        f"{name}: {what} has shape {shape}, but {runs}; its entries are numbered from 0 to {lookup.size - 1}: give it "
        "more entries, or z fewer states"
    )


def levels(functions: Compiled) -> list[FloatArray]:
    """Values of the continuous part of z at which the densities must be numbers."""
    low, high = functions.space.bounds or (np.full(functions.space.dimension, end) for end in (-np.inf, np.inf))
    shares = (0.5, 0.25, 0.75) if functions.space.dimension else (0.5,)
    return [_between(low, high, share) for share in shares]


def _between(low: FloatArray, high: FloatArray, share: float) -> FloatArray:
    """A point that lies between the ends, also where these are infinite."""
    with np.errstate(invalid="ignore"):
        inside = np.where(np.isfinite(high - low), low + share * (high - low), 4 * (share - 0.5))
    odds = share / (1 - share)
    inside = np.where(np.isfinite(low) & ~np.isfinite(high), low + odds, inside)
    return np.where(~np.isfinite(low) & np.isfinite(high), high - odds, inside)
