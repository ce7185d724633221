"""Where a fit starts: an M-step from initial responsibilities, itself a fold over the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import ArraySource, Batch, Source, default_chunk_rows
from ..densities import Form
from ..em import Executor, run
from ..errors import ParameterError
from ..kernels import seeding
from ..model import LONG, Family, LatentVariableModel, ModelParameters, ModelStatistics, Posterior, unit_points
from ..statistics import PairwiseSum

POOL_ROWS = 20_000
PIECE = 1008
ROUNDS = 12
STANDS_STILL = 1e-3
SMALL_EM_RUNS = 8
SMALL_EM_ITERATIONS = 6
METHODS = ("k-means++", "random", "random-rows", "small-em")

Assign = Callable[[Batch], FloatArray]


def initial_parameters(
    model: LatentVariableModel,
    source: Source,
    *,
    init: Any,
    rng: np.random.Generator,
    executor: Executor,
) -> ModelParameters:
    """Parameters to start from.

    Parameters
    ----------
    init : {"k-means++", "random", "random-rows", "small-em"} or array (n, K)
        How the initial responsibilities come about: nearest of the centres that k-means finds from k-means++ seeds
        (standardized columns, on at most 20,000 rows); uniform random numbers; nearest of K random rows; the best of
        eight short EM runs from random starts (Biernacki, Celeux and Govaert 2003); or given for each row (for groups,
        in the group's first row).  Regressions have no centres, since responses lie apart by their covariates as well:
        for them all are random numbers unless given.  For counts and categories the nearest takes nine tenths and the
        rest is shared evenly: a probability that hard labels make 0 could never rise again.
    """
    if not isinstance(init, str) and len(init) != source.n_rows:
        raise ParameterError(f"expected responsibilities for {source.n_rows} rows, got {len(init)}")
    pool = draw_pool(source, rng, POOL_ROWS, cut=model.family.rowwise)
    rough = ModelParameters(model.latent.start(), model.family.start(pool, model.latent.size))
    if model.latent.form is not Form.TABLE:
        return model.conform(rough)
    if isinstance(init, str) and init == "small-em":
        return _small_em(model, source, pool, rough, rng, executor)
    return from_responsibilities(model, source, _assignment(model, pool, init, rng), rough, executor)


def from_responsibilities(
    model: LatentVariableModel, source: Source, assign: Assign, rough: ModelParameters, executor: Executor
) -> ModelParameters:
    """M-step from the responsibilities (K, units) that `assign` gives each batch.

    Repeated until it stands still: the second round takes moments about the first one's means, and is the last where
    the M-step is exact; Newton M-steps take more.
    """
    params = rough
    for _ in range(ROUNDS):
        before = params.flatten()
        statistics = executor.fold(partial(_statistics, model, assign, params), source)
        if statistics.latent is None:
            params = replace(params, emission=model.family.maximize(statistics.emission, params.emission))
        else:
            params = model.m_step(statistics, params)
        if np.allclose(params.flatten(), before, rtol=STANDS_STILL, atol=STANDS_STILL):
            break
    return params


def draw_pool(source: Source, rng: np.random.Generator, limit: int, cut: bool = False) -> Batch:
    """All rows as one batch, or about `limit` of them drawn at random (whole groups, if there are groups).

    With `cut`, long groups are drawn in pieces, each a group of its own.
    """
    share = min(1.0, limit / source.n_rows)
    batches = (_cut(batch) if cut else batch for batch in source)
    drawn = [part for part in (_thin(batch, share, rng) for batch in batches) if len(part)]
    return _concatenate(drawn or [next(iter(source))])


def _statistics(
    model: LatentVariableModel, assign: Assign, params: ModelParameters, batch: Batch
) -> ModelStatistics:
    if model.family.rowwise and len(batch) >= LONG:
        edges = [*range(0, len(batch), default_chunk_rows(batch.n_columns)), len(batch)]
        blocks = (batch.rows_between(start, stop) for start, stop in pairwise(edges))
        total: PairwiseSum[ModelStatistics] = PairwiseSum()
        for block in blocks:
            total.push(_statistics(model, assign, params, block))
        return total.total()
    r = _with_labels(assign(batch), batch, model.family.per_group)
    weights = None if batch.weights is None else batch.unit_weights(model.family.per_group)
    posterior = Posterior(r, weights)
    latent = None if model.latent.per_group else model.latent.statistics(posterior, batch)
    return ModelStatistics(latent, model.family.statistics(batch.without_labels(), posterior, params.emission))


def _with_labels(r: FloatArray, batch: Batch, per_group: bool) -> FloatArray:
    if batch.labels is None:
        return r
    labels = batch.labels[batch.group_offsets[:-1]] if per_group else batch.labels
    return np.where(labels >= 0, seeding.one_hot(labels, len(r)), r)


def _assignment(model: LatentVariableModel, pool: Batch, init: Any, rng: np.random.Generator) -> Assign:
    k, per_group = model.latent.n_states, model.family.per_group
    if not isinstance(init, str):
        return Given(np.asarray(init, float), k, per_group)
    if init == "random":
        return RandomResponsibilities(k, per_group, int(rng.integers(2**63)))
    if init not in METHODS:
        raise ParameterError(f"init must be one of {', '.join(METHODS)} or an array of responsibilities, got {init!r}")
    points = model.family.points(pool)
    if points is None:
        return _assignment(model, pool, "random", rng)
    weights = pool.unit_weights(per_group)
    centre, scale = seeding.standardize(points, weights)
    standard = seeding.to_standard(points, centre, scale)
    if init == "random-rows":
        rows = rng.choice(len(points), size=k, replace=bool(np.count_nonzero(weights) < k), p=weights / weights.sum())
        return Nearest(
            standard[rows], centre, scale, per_group, soft=is_discrete(model.family), family=model.family
        )
    seeds, _ = seeding.lloyd(standard, seeding.kmeans_plus_plus(standard, k, rng, weights), weights)
    return Nearest(seeds, centre, scale, per_group, soft=is_discrete(model.family), family=model.family)


def is_discrete(family: Any) -> bool:
    """Whether any part of a family holds counts or categories."""
    if isinstance(family, Family):
        return family.discrete or any(is_discrete(getattr(family, item.name)) for item in _fields(family))
    return isinstance(family, tuple) and any(is_discrete(part) for part in family)


def _fields(family: Any) -> tuple[Any, ...]:
    return fields(family) if is_dataclass(family) else ()


def _small_em(
    model: LatentVariableModel,
    source: Source,
    pool: Batch,
    rough: ModelParameters,
    rng: np.random.Generator,
    executor: Executor,
) -> ModelParameters:
    small = PoolSource(pool, source.names)
    runs = []
    for _ in range(SMALL_EM_RUNS):
        start = from_responsibilities(model, small, _assignment(model, pool, "random-rows", rng), rough, executor)
        runs.append(run(model, small, start, executor=executor, tol=0.0, max_iter=SMALL_EM_ITERATIONS))
    best: ModelParameters = max(runs, key=lambda result: result.objective).parameters
    return best


@dataclass(frozen=True)
class Nearest:
    """Responsibility to the nearest centre in standardized columns, all of it or (`soft`) nine tenths.

    Missing entries are at `fill`, in the units of the columns; without it at the origin.  The points are those of
    `family`, without it the rows or the means of groups.
    """

    centres: FloatArray
    origin: FloatArray
    scale: FloatArray
    per_group: bool
    soft: bool
    fill: FloatArray | None = None
    family: Family[Any, Any] | None = None

    def __call__(self, batch: Batch) -> FloatArray:
        found = None if self.family is None else self.family.points(batch)
        points = unit_points(batch, self.per_group) if found is None else found
        if self.fill is not None:
            points = np.where(np.isnan(points), self.fill, points)
        points = seeding.to_standard(points, self.origin, self.scale)
        r = seeding.one_hot(seeding.nearest_centre(points, self.centres), len(self.centres))
        return seeding.soften(r) if self.soft else r


@dataclass(frozen=True)
class RandomResponsibilities:
    """Uniform random numbers, normalized; each chunk has a stream of its own."""

    n_states: int
    per_group: bool
    seed: int

    def __call__(self, batch: Batch) -> FloatArray:
        units = batch.n_groups if self.per_group else len(batch)
        r = np.random.default_rng([self.seed, batch.first_row]).random((self.n_states, units))
        return np.asarray(r / r.sum(axis=0))


class Given:
    """Responsibilities given by the user, one row for each row of the data; a group's are those of its first row."""

    def __init__(self, responsibilities: FloatArray, n_states: int, per_group: bool) -> None:
        if responsibilities.ndim != 2 or responsibilities.shape[1] != n_states:
            raise ParameterError(f"expected responsibilities of shape (n, {n_states}), got {responsibilities.shape}")
        if not np.all(np.isfinite(responsibilities)) or np.any(responsibilities < 0) or not responsibilities.any():
            raise ParameterError("responsibilities must be finite, not negative and not all zero")
        self.responsibilities, self.per_group = responsibilities, per_group

    def __call__(self, batch: Batch) -> FloatArray:
        rows = self.responsibilities[batch.first_row : batch.first_row + len(batch)]
        if len(rows) != len(batch):
            raise ParameterError(f"there are responsibilities for {len(self.responsibilities)} rows only")
        rows = rows[batch.group_offsets[:-1]] if self.per_group else rows
        return np.ascontiguousarray(rows.T)


class PoolSource(ArraySource):
    """A pool of rows as a source of its own."""

    def __init__(self, pool: Batch, names: tuple[str, ...]) -> None:
        lengths = None if pool.offsets is None else pool.group_lengths
        super().__init__(
            pool.values,
            weights=pool.weights,
            labels=pool.labels,
            lengths=lengths,
            covariates=pool.covariates,
            names=names,
            layout=pool.layout,
            rows=pool.rows,
        )


def _cut(batch: Batch) -> Batch:
    """The batch with groups of at least `LONG` rows in pieces."""
    if batch.offsets is None or not np.any(batch.group_lengths >= LONG):
        return batch
    pieces = [
        np.arange(start, stop, PIECE if stop - start >= LONG else stop - start)
        for start, stop in pairwise(batch.offsets.tolist())
    ]
    return replace(batch, offsets=np.concatenate([*pieces, batch.offsets[-1:]]), memo={})


def _thin(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    if share >= 1:
        return batch
    if batch.offsets is None:
        return batch.only(np.flatnonzero(rng.random(len(batch)) < share))
    groups = np.flatnonzero(rng.random(batch.n_groups) < share)
    lengths = batch.group_lengths[groups]
    starts = batch.offsets[groups]
    rows = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)] or [np.empty(0, int)])
    return replace(batch.only(rows), offsets=np.concatenate([[0], np.cumsum(lengths)]))


def _concatenate(parts: list[Batch]) -> Batch:
    def join(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        return None if columns[0] is None else np.concatenate(columns)

    offsets = None
    if parts[0].offsets is not None:
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.group_lengths for part in parts]))])
    return Batch(
        join("values"),
        join("weights"),
        join("labels"),
        offsets,
        missing=parts[0].missing,
        covariates=join("covariates"),
        layout=parts[0].layout,
        rows=join("rows"),
    )
