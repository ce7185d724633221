"""Data sets that might have been: units drawn again with replacement, or simulated by a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import ArraySource, Batch, Source
from ..errors import ParameterError
from ..model import LatentVariableModel
from ..sources import as_source

# Weights are counts if they are whole numbers within this.
WHOLE = 1e-9


class Reweighted(Source):
    """A source with other weights of its rows (n_rows,), in the order in which the user gave them."""

    def __init__(self, source: Source, weights: FloatArray) -> None:
        self.source, self.weights, self.names = source, weights, source.names

    @property
    def n_rows(self) -> int:
        return self.source.n_rows

    @property
    def missing(self) -> bool:
        return self.source.missing

    @property
    def layout(self) -> Any:
        return self.source.layout

    @property
    def chunks(self) -> Sequence[Any]:
        return self.source.chunks

    def read(self, chunk: Any) -> Batch:
        batch = self.source.read(chunk)
        return replace(batch, weights=self.weights[rows_of(batch)])


def rows_of(batch: Batch) -> Array:
    """The numbers of a batch's rows in the data as the user gave them."""
    return batch.first_row + np.arange(len(batch)) if batch.rows is None else batch.rows


@dataclass(frozen=True)
class Units:
    """What is drawn as a whole: the unit of each row (n_rows,), and the weight of each unit."""

    of_rows: Array
    weights: FloatArray
    row_weights: FloatArray

    @classmethod
    def of(cls, source: Source, per_group: bool, clusters: Array | None) -> Units:
        numbers, weights = np.empty(source.n_rows, int), np.ones(source.n_rows)
        last = 0
        for batch in source:
            own = np.arange(len(batch))
            if per_group:
                own = np.repeat(np.arange(batch.n_groups), batch.group_lengths)
            rows = rows_of(batch)
            numbers[rows], last = last + own, last + int(own[-1]) + 1
            if batch.weights is not None:
                weights[rows] = batch.weights
        if clusters is not None:
            return cls(clusters, np.ones(int(clusters.max()) + 1), weights)
        _, first = np.unique(numbers, return_index=True)
        return cls(numbers, weights[first], np.ones(len(weights)))

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """Weights of the rows (n_rows,) where as many units are drawn again as there were, by their weights."""
        total = self.weights.sum()
        n = max(1, round(total))
        counts = rng.multinomial(n, self.weights / total) * (total / n)
        return np.asarray(counts[self.of_rows] * self.row_weights)


def simulated(model: Any, params: Any, source: Source, rng: np.random.Generator) -> Source:
    """Data drawn from a model: as many rows with the same groups, covariates and missing entries.

    A weight of w is that of w rows, each drawn by itself.

    Raises
    ------
    ParameterError
        Some states are known, weights are no whole numbers, or the model cannot be drawn from.
    """
    parts = [_repeated(batch, model.per_group) for batch in source]
    lengths = np.concatenate([np.diff(part.group_offsets) for part in parts]) if _grouped(parts[0]) else None
    if not isinstance(model, LatentVariableModel):
        return _declared(model, params, source, sum(map(len, parts)), lengths, rng)
    values = np.concatenate([_drawn(model, params, part, rng) for part in parts])
    covariates = None if parts[0].covariates is None else np.concatenate([part.covariates for part in parts])
    return ArraySource(values, lengths=lengths, covariates=covariates, names=source.names, layout=source.layout)


def _grouped(batch: Batch) -> bool:
    return batch.offsets is not None


def _declared(
    model: Any, params: Any, source: Source, n: int, lengths: Array | None, rng: np.random.Generator
) -> Source:
    sizes = {"lengths": lengths} if model.per_group and lengths is not None else {"n": n}
    x = model.sample(params, random_state=rng, **sizes)[0]
    grouped = {"lengths": lengths} if model.per_group else {}
    drawn = as_source(x, grouping=model.declaration.grouping, **grouped)
    if drawn.names != source.names:
        raise ParameterError(
            f"the sampler draws {', '.join(drawn.names)}, but the data have {', '.join(source.names)}: it must draw "
            "all columns for a parametric bootstrap; or use method='nonparametric'"
        )
    return drawn


def _repeated(batch: Batch, per_group: bool) -> Batch:
    """The batch with each unit as often as its weight says."""
    if batch.labels is not None and np.any(batch.labels >= 0):
        raise ParameterError("states are known for some rows, which no simulation respects; use method='nonparametric'")
    if batch.weights is None:
        return batch
    weights = batch.unit_weights(per_group)
    counts = np.rint(weights).astype(int)
    if np.any(np.abs(counts - weights) > WHOLE * np.maximum(weights, 1)):
        raise ParameterError("a parametric bootstrap needs weights that are counts; use method='nonparametric'")
    if not per_group:
        return replace(batch.only(np.repeat(np.arange(len(batch)), counts)), weights=None)
    chosen = np.repeat(np.arange(batch.n_groups), counts)
    lengths = batch.group_lengths[chosen]
    rows = np.concatenate([np.arange(*batch.group_offsets[g : g + 2]) for g in chosen])
    return replace(batch.only(rows), weights=None, offsets=np.concatenate([[0], np.cumsum(lengths)]))


def _drawn(model: LatentVariableModel, params: Any, batch: Batch, rng: np.random.Generator) -> FloatArray:
    """New values (n, D) for the rows of a batch, missing where they were."""
    if model.per_group:
        groups = [batch.groups_between(g, g + 1) for g in range(batch.n_groups)]
        drawn = [model.sample_given(params, np.zeros(len(group), int), group, rng) for group in groups]
        values = np.concatenate(drawn)
    else:
        values = model.sample_given(params, np.zeros(len(batch), int), replace(batch, offsets=None, first_row=0), rng)
    return np.where(np.isnan(batch.values), np.nan, values) if batch.missing else values
