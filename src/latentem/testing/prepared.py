"""A declared model prepared for data, as the laws look at it: by units, by points, with statistics and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch, Source
from ..layout import Layout
from ..sources import as_source
from ..statistics import Expectation
from .comparing import require
from .drawing import fresh

if TYPE_CHECKING:
    from ..models.declared import DeclaredModel, DeclaredParameters
    from ..models.declared.e_steps import Points


@dataclass(frozen=True)
class Prepared:
    """A declared model that is prepared for its data, the data in one batch, and θ."""

    model: DeclaredModel
    params: DeclaredParameters
    batch: Batch
    seed: int

    def rng(self) -> np.random.Generator:
        """A generator with the same stream for every law."""
        return np.random.default_rng(self.seed)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def layout(self) -> Layout:
        return self.batch.layout or Layout.vector(self.batch.n_columns)

    @property
    def n_units(self) -> int:
        return self.batch.n_groups if self.model.per_group else len(self.batch)

    @property
    def vector(self) -> FloatArray:
        return self.params.flatten()

    def e_step(self, units: Any) -> Expectation:
        """Of some of the units, in this order."""
        return self.model.e_step(self.params, chosen(self.batch, np.asarray(units), self.model.per_group))

    def whole(self) -> Expectation:
        """Of all units."""
        return self.model.e_step(self.params, fresh(self.batch))

    def m_step(self, statistics: Any, which: str) -> DeclaredParameters:
        """Where an M-step leads; Q must not fall."""
        updated: DeclaredParameters = self.model.m_step(statistics, self.params, self.fold)
        points = self.points(self.params)
        (before, size), (after, _) = self.q(points, self.params), self.q(points, updated)
        prior = [self.model.log_prior(params) for params in (self.params, updated)]
        fall, slack = before + prior[0] - after - prior[1], 1e-11 * (size + abs(prior[0]))
        told = f"{self.name}: {which} lowers Q by {fall:.3g}, from {before + prior[0]!r}, allowed {slack:.3g}"
        require(fall <= slack, told)
        return updated

    def points(self, params: DeclaredParameters, batch: Batch | None = None) -> Points:
        """The posterior, also of units that are impossible."""
        from ..models.declared.compiled import compiled

        batch = fresh(self.batch if batch is None else batch)
        functions = compiled(self.model.declaration, self.layout)
        return self.model.estep.points(functions, params.values, self.model.rows(batch), batch)

    def q(self, points: Points, params: DeclaredParameters) -> tuple[float, float]:
        """Q at `params` from the densities themselves, under a posterior; and the size of its terms."""
        from ..models.declared.compiled import compiled

        functions = compiled(self.model.declaration, self.layout)
        values = functions.values(params.values, self.model.rows(self.batch)[points.rows], points.u)
        terms = np.where(points.weights > 0, points.weights * np.where(points.weights > 0, values, 0.0), 0.0)
        if self.batch.weights is not None:
            terms = terms * self.batch.weights[points.rows]
        return float(terms.sum()), float(np.abs(terms).sum()) + self.n_units

    def objective(self, params: DeclaredParameters) -> float:
        """Log-likelihood and log prior."""
        weights = self.batch.unit_weights(self.model.per_group)
        return float(weights @ self.points(params).log_likelihood) + self.model.log_prior(params)

    def fold(self, function: Callable[[Batch], Any]) -> Any:
        return function(self.batch)

    def kinds(self) -> Iterator[tuple[str, DeclaredModel]]:
        """The model, and where it has sufficient statistics the model without them."""
        from ..models.declared.m_steps.sufficient import Basis, NoBasis

        if isinstance(self.model.basis, Basis):
            yield "on pivots", self.model
        yield "over the data", replace(self.model, basis=NoBasis("none is wanted"))


def prepared(model: DeclaredModel, data: Any, parameters: Any, seed: int) -> Prepared:
    """The model as a fit to these data from θ would have it."""
    from ..models.declared import prepare

    source = as_source(data, grouping=model.declaration.grouping)
    params = model.parameters(**parameters) if isinstance(parameters, Mapping) else parameters
    batches = list(source)
    require(len(batches) == 1, f"{model.name}: the laws want data that fit in one chunk, not in {len(batches)}")
    batch = replace(batches[0], layout=batches[0].layout or source.layout)
    return Prepared(prepare(model, source, params), params, batch, seed)


def chosen(batch: Batch, units: Array, per_group: bool) -> Batch:
    """Some of the units of a batch, in this order, some perhaps several times; rows keep their numbers."""
    rows, offsets = units, None
    if per_group:
        starts, lengths = batch.group_offsets[:-1][units], batch.group_lengths[units]
        rows = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, lengths, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
    return replace(batch.only(rows), offsets=offsets)


@dataclass(frozen=True)
class Chunks(Source):
    """Data that are cut into chunks of a few units."""

    parts: tuple[Batch, ...]
    names: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        return sum(map(len, self.parts))

    @property
    def chunks(self) -> Sequence[int]:
        return range(len(self.parts))

    def read(self, chunk: int) -> Batch:
        return fresh(self.parts[chunk])

    @property
    def layout(self) -> Any:
        return self.parts[0].layout


def in_chunks(case: Prepared) -> Chunks:
    """Its data in several chunks."""
    parts = np.array_split(np.arange(case.n_units), min(5, case.n_units))
    batches = tuple(chosen(case.batch, units, case.model.per_group) for units in parts)
    return Chunks(batches, case.layout.names)
