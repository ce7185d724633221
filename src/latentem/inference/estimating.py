"""`standard_errors`: from a result to the standard errors of its estimates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..em import Executor
from ..errors import ParameterError
from ..result import EMResult
from . import natural
from .bootstrap import KINDS, Replicates, bootstrap
from .covariance import METHODS, Spread, spread
from .errors_of_estimates import StandardErrors
from .examined import Examination, examined
from .functions import sample_covariance
from .resampling import rows_of
from .verdicts import NEAR


def standard_errors(
    result: EMResult,
    method: str = "oakes",
    *,
    clusters: Any = None,
    refine: bool = True,
    replicates: int = 200,
    random_state: Any = None,
    executor: str | Executor | None = None,
) -> StandardErrors:
    """Standard errors of the estimates of a fit, on the natural and on the unconstrained scale.

    Parameters
    ----------
    result : EMResult
        With its `source`: as `fit` returned it, not as loaded from a file.
    method : str
        "oakes": the observed information, as the derivative of the score.  "louis" and "sem": the same matrix by Louis'
        formula and by supplemented EM.  "scores": the outer product of the units' scores.  "sandwich": robust to a
        model that is not quite right, and to dependence within `clusters`.  "parametric" and "nonparametric": fits to
        simulated and to resampled data, each from the estimates, with components aligned.
    clusters : None, "groups" or (n,), optional
        Equal for rows that belong together: for "scores", "sandwich" and "nonparametric".  "groups" are those that the
        data were given with.
    refine : bool
        Whether curvature is taken at the limit of the fit, by differences of fourth order, four further passes for each
        free parameter; else two passes at its end, as `certify` takes.
    replicates : int
        How many data sets a bootstrap draws.
    random_state : None, int or Generator
    executor : None, "serial", "threads", "processes" or Executor

    Returns
    -------
    StandardErrors

    Raises
    ------
    ParameterError
        There is no such method, the result has no source, or the method does not apply to the model.
    """
    if method not in (*METHODS, *KINDS):
        offered = ", ".join(map(repr, (*METHODS, *KINDS)))
        raise ParameterError(f"method must be one of {offered}, got {method!r}")
    if clusters is not None and method not in ("scores", "sandwich", "nonparametric"):
        raise ParameterError(f"clusters are for 'scores', 'sandwich' and 'nonparametric', not for {method!r}")
    with examined(result, executor) as examination:
        case = examination.refined() if refine else examination
        numbers = None if clusters is None else numbered(clusters, examination)
        told = _told(examination)
        if method in METHODS:
            return _by_curvature(result, case, method, numbers, told)
        drawn = bootstrap(result, case, method, numbers, replicates, random_state)
        return _by_replicates(result, case, method, drawn, told)


def numbered(clusters: Any, case: Examination) -> Array:
    """The number of each row's cluster, from 0, (n_rows,).

    Raises
    ------
    ParameterError
        There is not one for each row, or the data have no groups.
    """
    n = case.source.n_rows
    if isinstance(clusters, str):
        if clusters != "groups":
            raise ParameterError(f"clusters must be 'groups' or one key for each row, got {clusters!r}")
        found, last = np.empty(n, int), 0
        for batch in case.source:
            if batch.offsets is None:
                raise ParameterError("clusters='groups', but the data were given without groups or lengths")
            found[rows_of(batch)] = last + np.repeat(np.arange(batch.n_groups), batch.group_lengths)
            last += batch.n_groups
        return found
    keys = np.asarray(clusters)
    if keys.shape != (n,):
        raise ParameterError(f"clusters must have one key for each of the {n} rows, got shape {keys.shape}")
    return np.asarray(np.unique(keys, return_inverse=True)[1]).ravel()


def _told(case: Examination) -> tuple[str, ...]:
    distance = case.distance_and_gain()[0]
    if distance <= NEAR:
        return ()
    return (
        f"the fit ended {distance:.2g} standard errors from its limit: lower tol or raise max_iter, and ask again",
    )


def _by_curvature(
    result: EMResult, case: Examination, method: str, clusters: Array | None, told: tuple[str, ...]
) -> StandardErrors:
    found = spread(case, method, clusters)
    covariance, lacks = found.of(case.slopes)
    of_coordinates, lacks_there = found.of(np.eye(len(case.point.vector)), whole=True)
    return _record(result, case, method, (covariance, of_coordinates), (lacks, lacks_there), told, spread=found)


def _by_replicates(
    result: EMResult, case: Examination, method: str, drawn: Replicates, told: tuple[str, ...]
) -> StandardErrors:
    """The covariance of the replicates; without a number is what curvature gives none."""
    none = Spread(case, np.eye(len(case.linear.score)))
    lacks, lacks_there = none.of(case.slopes)[1], none.of(np.eye(len(case.point.vector)), whole=True)[1]
    covariance = sample_covariance([natural.entries(one) for one in drawn.parameters], lacks)
    of_coordinates = sample_covariance([one.flatten() for one in drawn.parameters], lacks_there)
    pair, kept = (covariance, of_coordinates), {"replicates": tuple(drawn.parameters), "spread": none}
    return _record(result, case, method, pair, (lacks, lacks_there), (*told, *drawn.told), **kept)


def _record(
    result: EMResult,
    case: Examination,
    method: str,
    covariances: tuple[FloatArray, FloatArray],
    lacks: tuple[list[str | None], list[str | None]],
    told: tuple[str, ...],
    **more: Any,
) -> StandardErrors:
    parameters = result.parameters
    names, coordinate_names = natural.labels(parameters), parameters.coordinate_names()
    reasons = {
        name: lack
        for named, lacking in ((names, lacks[0]), (coordinate_names, lacks[1]))
        for name, lack in zip(named, lacking, strict=True)
        if lack is not None
    }
    reasons |= {edge.name: str(edge) for edge in case.edges}
    return StandardErrors(
        method=method,
        names=tuple(names),
        estimates=natural.entries(parameters),
        errors=_roots(_without(covariances[0], names, reasons)),
        covariance=_without(covariances[0], names, reasons),
        reasons=reasons,
        coordinate_names=tuple(coordinate_names),
        coordinates=parameters.flatten(),
        coordinate_errors=_roots(covariances[1]),
        coordinate_covariance=covariances[1],
        told=told,
        result=result,
        **more,
    )


def _without(covariance: FloatArray, names: list[str], reasons: dict[str, str]) -> FloatArray:
    """The covariance with NaN for entries that have a reason to have none."""
    none = np.array([name in reasons for name in names], bool)
    return np.where(none[:, None] | none[None, :], np.nan, covariance)


def _roots(covariance: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.diagonal(covariance)))
