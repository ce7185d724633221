"""Where the fit of a declared model starts: the best of short runs from random parameters.

Nothing is known of what the parameters mean but their domains.  Candidates are drawn on the unconstrained scale; those
in `Real` also from the entries of the data, positive ones about the columns' standard deviations and means.  The
likeliest on a pool of rows make a few EM iterations each, and the best of these is the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ..._typing import FloatArray
from ...data import Batch, Source
from ...domains import Domain, Ordered, Positive, Real
from ...em import Executor, iterate
from ...errors import LatentemError, ParameterError
from ..starts import PoolSource, draw_pool
from .checking.checks import check_values
from .m_steps.sufficient import NoBasis
from .model import DeclaredModel
from .parameters import DeclaredParameters, logarithms, without_constraints

POOL_ROWS = 1000
CANDIDATES, SURVIVORS, ITERATIONS = 60, 6, 5
SPREADS = (0.3, 1.0, 2.0)
# A factor by which a scale becomes smaller in a few iterations only where it goes to zero, in logs.
VANISHING = float(np.log(1e5))


def initial_parameters(
    model: DeclaredModel, source: Source, *, given: Mapping[str, Any], rng: np.random.Generator, executor: Executor
) -> DeclaredParameters:
    """Parameters to start from; those that are `given` by name stay as they are in all candidates.

    Raises
    ------
    ParameterError
        Given values do not fit, or no candidate has a finite likelihood.
    """
    domains = model.declaration.domains
    unknown = set(given) - {name for name, _ in domains}
    if unknown:
        raise ParameterError(
            f"the model has no parameter {min(unknown)!r}; its parameters are {', '.join(name for name, _ in domains)}"
        )
    own = {
        name: DeclaredParameters.of(((name, domain),), {name: given[name]})[name]
        for name, domain in domains
        if name in given
    }
    if len(own) == len(domains):
        return model.parameters(**own)
    pool = draw_pool(source, rng, POOL_ROWS)
    best = likeliest(model, pool, own, rng)
    if not best:
        raise ParameterError(
            f"none of {CANDIDATES} random starts gives the data a finite likelihood.  At the last one: "
            f"{_refusal(model, pool, own, rng)}.  If other parameters would do, give em.fit a start: "
            f"parameters={{{', '.join(f'{name!r}: …' for name, _ in domains if name not in own)}}}"
        )
    runs = [_short_run(model, params, pool, source, executor) for params in best]
    # Where the likelihood has no bound, the highest are those that are lost.
    sound = [run for run, candidate in zip(runs, best, strict=True) if not _has_vanished(candidate, run[1])]
    return max(sound, key=lambda run: run[0])[1] if sound else best[0]


def _refusal(
    model: DeclaredModel, pool: Batch, own: Mapping[str, FloatArray], rng: np.random.Generator
) -> str:
    """Why a random start is refused."""
    params = _candidate(model, own, _Columns(pool.values), rng)
    try:
        with np.errstate(all="ignore"):
            check_values(model, params, pool)
            model.infer(params, pool)
            prior = model.log_prior(params)
    except LatentemError as error:
        return str(error).rstrip(".")
    return f"the log prior is {prior}"


def likeliest(
    model: DeclaredModel, pool: Batch, own: Mapping[str, FloatArray], rng: np.random.Generator
) -> list[DeclaredParameters]:
    """The random candidates under which the pool is likeliest, best first; none where it is impossible under all."""
    columns = _Columns(pool.values)
    drawn = [_candidate(model, own, columns, rng) for _ in range(CANDIDATES)]
    scored = sorted(((_objective(model, params, pool), i) for i, params in enumerate(drawn)), reverse=True)
    return [drawn[i] for value, i in scored[:SURVIVORS] if np.isfinite(value)]


class _Columns:
    """What the data say of the size of parameters: entries, and the columns' means and standard deviations."""

    def __init__(self, values: FloatArray) -> None:
        self.entries = [column[np.isfinite(column)] for column in values.T]
        self.entries = [column for column in self.entries if len(column)] or [np.zeros(1)]
        self.sizes = [
            size for column in self.entries for size in (float(np.std(column)), float(np.mean(column))) if size > 0
        ] or [1.0]

    def entries_like(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        column = self.entries[rng.integers(len(self.entries))]
        return np.asarray(rng.choice(column, size=shape))

    def sizes_like(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return np.asarray(rng.choice(self.sizes) * np.exp(rng.normal(scale=0.5, size=shape)))


def _candidate(
    model: DeclaredModel, own: Mapping[str, FloatArray], columns: _Columns, rng: np.random.Generator
) -> DeclaredParameters:
    spread = rng.choice(SPREADS)
    values = {}
    for name, domain in model.declaration.domains:
        values[name] = own[name] if name in own else _drawn(domain, columns, spread, rng)
    return DeclaredParameters(model.declaration.domains, tuple(values.values()))


def _drawn(domain: Domain, columns: _Columns, spread: float, rng: np.random.Generator) -> FloatArray:
    """A random value; those on the real line half of the time from the data."""
    shape, base = domain.shape, without_constraints(domain)
    if isinstance(base, Real | Ordered | Positive) and rng.random() < 0.5:
        like = columns.sizes_like if isinstance(base, Positive) else columns.entries_like
        value = like(shape, rng)
        if isinstance(base, Ordered):
            value = np.sort(value, axis=-1) + 1e-9 * np.arange(shape[-1]) * (1 + np.abs(value))
        return domain.unflatten(domain.flatten(value), shape)
    return domain.unflatten(spread * rng.normal(size=domain.n_free(shape)), shape)


def _objective(model: DeclaredModel, params: DeclaredParameters, pool: Batch) -> float:
    with np.errstate(all="ignore"):
        try:
            points = model.infer(params, pool)
            value = float(pool.unit_weights(model.per_group) @ points.log_likelihood) + model.log_prior(params)
        except LatentemError:
            return -np.inf
    return value if np.isfinite(value) else -np.inf


def _has_vanished(before: DeclaredParameters, after: DeclaredParameters) -> bool:
    """Whether a positive parameter has become smaller by orders of magnitude."""
    return bool(np.any(logarithms(before) - logarithms(after) > VANISHING))


def _short_run(
    model: DeclaredModel, params: DeclaredParameters, pool: Batch, source: Source, executor: Executor
) -> tuple[float, DeclaredParameters]:
    """A few EM iterations on the pool, as far as they get."""
    small = PoolSource(pool, source.names)
    # Without pivots Q's slope comes from the data: near a limit the loop asks for it.
    model = replace(model, basis=NoBasis("a short run does without"))
    best: tuple[float, DeclaredParameters] = (-np.inf, params)
    try:
        with np.errstate(all="ignore"):
            for iteration in iterate(model, small, params, executor=executor):
                best = iteration.objective, cast(DeclaredParameters, iteration.parameters)
                if iteration.index >= ITERATIONS:
                    break
    except LatentemError:
        pass
    return best
