"""What surrounds the fit of a declared model: checks and sufficient statistics before it, a diagnosis after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..._typing import FloatArray
from ...data import Batch, Source
from ...em import Executor
from ...errors import LatentemError
from ...execution import Serial
from ...online import stochastic_finding
from ...result import EMResult, Finding, Status
from ...statistics import Expectation
from ..starts import draw_pool
from . import starts
from .checking.checks import check_declaration, check_functions, check_indices, looks_up_data
from .checking.gradients import check_gradients
from .diagnosing.diagnosis import diagnose
from .e_steps.monte_carlo import MonteCarlo
from .m_steps.sufficient import Basis, NoBasis
from .model import DeclaredModel
from .parameters import DeclaredParameters

POOL_ROWS = 2000
# Errors of the log-likelihood by quadrature or simulation that hide gains worth having.
COARSE = 0.1


def start(
    model: DeclaredModel, source: Source, given: Mapping[str, Any], rng: np.random.Generator, executor: Executor
) -> DeclaredParameters:
    """Parameters to start from, once it is clear that the densities can be evaluated."""
    check_functions(model, next(iter(source)))
    return starts.initial_parameters(model, source, given=given, rng=rng, executor=executor)


def pool_of(source: Source) -> Batch:
    """Some rows of the data, or all of them, the same ones every time: what is looked at before and after a fit."""
    return draw_pool(source, np.random.default_rng(0), POOL_ROWS)


def prepare(
    model: DeclaredModel,
    source: Source,
    params: DeclaredParameters,
    seed: int = 0,
    pool: Batch | None = None,
    known: Basis | NoBasis | None = None,
) -> DeclaredModel:
    """The model as it will be fitted to these data from this start; the same for the same data, start and seed.

    Parameters
    ----------
    model, source, params
        What is fitted, to what, from where.
    seed : int
        Of the random numbers of a simulated E-step.
    pool : Batch, optional
        See `pool_of`.
    known : Basis or NoBasis, optional
        Sufficient statistics, as they were found for these data from another start; they are looked for unless given.

    Raises
    ------
    ParameterError, DataError
        The densities cannot be what was meant; see `checks.check_declaration`.
    """
    rng, pool = np.random.default_rng(0), pool_of(source) if pool is None else pool
    check_declaration(model, params, pool)
    if known is None and looks_up_data(model._functions(pool)):
        for _ in check_indices(model, params, source):
            pass
    complete = len(pool) == source.n_rows
    if known is not None:
        return replace(model.at(params, pool), basis=known).seeded(seed)
    prepared = model.prepared(params, pool, complete, rng)
    if isinstance(prepared.basis, NoBasis) and params.n_free:
        # Far from the data log densities cancel; sufficient statistics found elsewhere are the same.
        for elsewhere in starts.likeliest(model, pool, {}, rng)[:1]:
            found = model.prepared(elsewhere, pool, complete, rng).basis
            prepared = replace(prepared, basis=found if isinstance(found, Basis) else prepared.basis)
    return prepared.seeded(seed)


def until_fine(
    climb: Callable[[DeclaredModel, DeclaredParameters], EMResult], result: EMResult, pool: Batch
) -> EMResult:
    """A fit, gone on with for as long as its E-step turns out too coarse where it ends."""
    while result.status.converged and (finer := result.model.refined(result.parameters, pool)) is not None:
        more = climb(finer, result.parameters)
        result = replace(
            more,
            history=result.history + more.history,
            n_iter=result.n_iter + 1 + more.n_iter,
            ascent=result.ascent + more.ascent,
            start=result.start,
        )
    return result


def diagnosed(result: EMResult, source: Source, params: DeclaredParameters, pool: Batch) -> EMResult:
    """The result of a fit from `params` with what a user should know of its end among its findings."""

    def whole(vector: FloatArray) -> Expectation:
        return Serial().fold(partial(result.model.e_step, result.parameters.unflatten(vector)), source)

    told = diagnose(
        result.model,
        result.parameters,
        result.expectation,
        pool,
        params,
        whole=whole,
        converged=result.status.converged,
        remaining=result.remaining_gain if np.isfinite(result.remaining_gain) else 0.0,
    )
    findings = [Finding(code, text, k) for k, code, text in told]
    unbounded = any(one.code == "unbounded" for one in findings)
    if not unbounded and (lost := _without_gradient(result, source)) is not None:
        findings.append(Finding("slope", lost))
    if (short := result.model.shortcomings(result.parameters, pool)) is not None:
        findings.append(Finding("simulation" if isinstance(result.model.estep, MonteCarlo) else "quadrature", short))
    variance = float(result.expectation.statistics.variance)
    if variance > 0 and not any(one.code == "stochastic" for one in result.findings):
        findings.append(stochastic_finding(result.log_likelihood, variance))
    told_of = {one.code for one in findings}
    return replace(
        result,
        model=_as_it_served(result),
        status=_demoted(result, told_of),
        findings=(*result.findings, *findings),
    )


def _without_gradient(result: EMResult, source: Source) -> str | None:
    """Which row has a density without a gradient at the end, where the score of all the data is no number."""
    if np.isfinite(result.model.objective_score(result.expectation.statistics, result.parameters)).all():
        return None
    try:
        for batch in source:
            check_gradients(result.model, result.parameters, batch)
    except LatentemError as error:
        return str(error)
    return "the gradient of the log-likelihood overflows at these parameters; rescale the data or start elsewhere"


def _demoted(result: EMResult, told_of: set[str]) -> Status:
    """What the status is worth in the light of the findings: no more passes help a likelihood without bound."""
    if "unbounded" in told_of and (result.status.converged or result.status is Status.MAX_ITER):
        return Status.UNBOUNDED
    if not result.status.converged:
        return result.status
    if "slope" in told_of:
        return Status.SLOPE
    return Status.COARSE if not result.expectation.noise <= COARSE else result.status


def _as_it_served(result: EMResult) -> DeclaredModel:
    """The model without the statistics that did not stand for all the data in the end: the M-step did without them."""
    model: DeclaredModel = result.model
    if not isinstance(model.basis, Basis) or model._holds(result.expectation.statistics, result.parameters):
        return model
    reason = f"{model.basis.rank} were found, but do not reproduce Q over all the data at the end of the fit"
    return replace(model, basis=NoBasis(reason))
