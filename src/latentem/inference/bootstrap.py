"""The bootstrap: fits to data sets that might have been, each from the estimates, with components aligned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._typing import Array, FloatArray
from ..acceleration import Squarem
from ..data import Batch, Source
from ..em import Executor, run
from ..errors import LatentemError, ParameterError
from ..model import LatentVariableModel
from ..models.relabelling import permute
from ..result import EMResult
from .examined import Examination, rows_for
from .resampling import Reweighted, Units, simulated

KINDS = ("parametric", "nonparametric")
# A fit ends so near to its limit that what is left is no part of the spread: within about a thousandth of it.
TOLERANCE, MOST_PASSES = 1e-6, 5000
LEAST = 10


@dataclass(frozen=True)
class Replicates:
    """Estimates from data sets that might have been.

    Attributes
    ----------
    parameters : list of Parameters
    told : tuple of str
    """

    parameters: list[Any]
    told: tuple[str, ...]


def bootstrap(
    result: EMResult, case: Examination, kind: str, clusters: Array | None, count: int, random_state: Any
) -> Replicates:
    """Fits to `count` data sets; each has a stream of random numbers of its own.

    Raises
    ------
    ParameterError
        There are too few replicates, or most fits fail.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < LEAST:
        raise ParameterError(f"replicates must be a whole number of at least {LEAST}, got {count!r}")
    executor, found, lost, unfinished = case.surface.problem.executor, [], [], 0
    units = None if kind == "parametric" else Units.of(case.source, result.model.per_group, clusters)
    for rng in np.random.default_rng(random_state).spawn(int(count)):
        try:
            fitted = _refitted(result, case.source, units, rng, executor)
        except (ArithmeticError, LatentemError, np.linalg.LinAlgError) as error:
            if isinstance(error, ParameterError):
                raise
            lost.append(str(error))
            continue
        unfinished += not fitted.converged
        found.append(aligned(result, fitted.parameters, case.source, executor))
    if len(found) < max(LEAST, count // 2):
        raise ParameterError(f"{len(lost)} of {count} fits to resampled data failed, the first as: {lost[0]}")
    told = [f"{len(found)} replicates"]
    told += [f"{len(lost)} fits failed, the first as: {lost[0]}"] if lost else []
    told += [f"{unfinished} fits did not converge within {MOST_PASSES} passes"] if unfinished else []
    return Replicates(found, tuple(told))


def _refitted(
    result: EMResult, source: Source, units: Units | None, rng: np.random.Generator, executor: Executor
) -> EMResult:
    if units is None:
        drawn = simulated(result.model, result.parameters, source, rng)
    else:
        drawn = Reweighted(source, units.drawn(rng))
    rows = rows_for(result.model, drawn, executor)
    return run(
        result.model,
        rows,
        result.parameters,
        executor=executor,
        acceleration=Squarem(),
        tol=TOLERANCE,
        max_iter=MOST_PASSES,
    )


def aligned(result: EMResult, params: Any, source: Source, executor: Executor) -> Any:
    """The parameters with components numbered as those of the result that they agree with best, if they may be."""
    model = result.model
    if not isinstance(model, LatentVariableModel) or not hasattr(model.latent, "n_states"):
        return params
    batch = next(iter(source))
    try:
        table = _agreement(model, result.parameters, params, batch)
        order = linear_sum_assignment(-table)[1] if table.size else np.empty(0, int)
        if np.array_equal(order, np.arange(len(order))):
            return params
        turned = permute(model, params, source, order)
        same, other = (executor.fold(partial(model.e_step, one), source) for one in (params, turned))
    except LatentemError:
        return params
    return turned if abs(same.log_likelihood - other.log_likelihood) <= same.rounding + other.rounding else params


def _agreement(model: LatentVariableModel, here: Any, there: Any, batch: Batch) -> FloatArray:
    """(K, K): how many units of a batch one gives to the first component and the other to the second."""
    one, two = (model.infer(params, batch)[0].responsibilities for params in (here, there))
    return np.asarray(one @ two.T)
