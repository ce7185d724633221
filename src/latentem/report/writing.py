"""`write_report`: measure what the page shows, and write it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..em import Executor
from ..errors import LatentemError, ParameterError
from ..execution.opening import opened
from ..inference import natural
from ..io.atomic import write_atomically
from ..result import EMResult, Status
from ..summarizing.grids import entry_names
from ..summarizing.labels import Labels
from .estimates import candidate_rows, estimates, maxima_rows
from .identity import Residual, residuals
from .limit import Limit, find_limit
from .lines import Explored, explore
from .methods import Methods, compare_methods
from .numbers import percent, said, times
from .pagedata import ascent_data, explorer_data, limit_data, methods_data, steps_data
from .pictures import picture_of
from .provenance import provenance
from .rendering import render
from .trail import Trail, go_again, missing_way
from .words import answers, verdict

MOST_BYTES = 1_000_000
# Of the table of components, where there is no picture.
MOST_ENTRIES = 40
# Shares of the time: the way gone again, lines and planes, the limit, other methods.
WAY, LINES, LIMIT, METHODS = 0.2, 0.4, 0.1, 0.3
KINDS = {
    "Categorical": "Mixture of {size} components, {family}",
    "MarkovChain": "Hidden Markov model with {size} states, {family}",
    "CovariateMarkovChain": "Hidden Markov model with {size} states and covariates, {family}",
    "SemiMarkovChain": "Hidden semi-Markov model with {size} states, {family}",
    "Normal": "Normal factors, {size}, {family}",
    "NormalChain": "State space model of dimension {size}, {family}",
}
NO_ANSWERS: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What going the way again told."""

    trail: Trail
    explored: Explored
    residuals: tuple[Residual, ...]
    limit: Limit
    methods: Methods | None
    same_end: bool
    certificate: Any


def write_report(
    result: EMResult,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    candidates: Any = (),
    compare: bool = True,
    seconds: float = 60.0,
    seed: Any = None,
    command: str | None = None,
    executor: str | Executor | None = None,
) -> Path:
    """Write the report of a fit: one page of HTML that needs nothing else, no network and no other file.

    The way of the fit is gone again by plain EM from `result.start`.  The page shows the log-likelihood and its lower
    bound at every half-step, ℓ = Q + H + KL as bars, the distance to the limit beside its rate, the data with the
    components, estimates with standard errors, and what other methods would have done.  What cannot be shown is said,
    with the reason.

    Parameters
    ----------
    result : EMResult
        With its `source`, as `fit` returned it; of one read from a file the page shows little.
    path : path
        Where to; an existing file is replaced.
    title : str, optional
    candidates : mapping from label to EMResult, or sequence of EMResult or (label, EMResult), optional
        Models that the result was chosen from.
    compare : bool
        Whether other methods are run from the same start.
    seconds : float
        About how long measuring may take, beside the certificate and the standard errors.
    seed : optional
        What the fit's random choices came from, to be shown.
    command : str, optional
        The code or the command that makes the fit again, to be shown.
    executor : None, "serial", "threads", "processes" or Executor

    Returns
    -------
    Path

    Raises
    ------
    ParameterError
        `seconds` is not positive, or the page would be larger than 1 MB.
    """
    if not seconds > 0:
        raise ParameterError(f"seconds must be above 0, got {seconds!r}")
    target = Path(path)
    missing = missing_way(result)
    with opened(executor) as workers:
        certificate, why_none = _certificate(result, workers)
        measured = None if missing else _measured(result, certificate, workers, compare, seconds)
    options = {"compare": compare, "seconds": f"{seconds:g}"}
    content, data = _content(result, measured, certificate, why_none, seconds)
    content |= {
        "title": title or _model_name(result),
        "missing": missing,
        "candidates": candidate_rows(result, candidates),
        "provenance": provenance(result, seed=seed, command=command, options=options),
    }
    text = render(content, data).encode("utf-8")
    if len(text) > MOST_BYTES:
        raise ParameterError(f"the page would have {len(text):,} bytes, more than {MOST_BYTES:,}; fit fewer parameters")

    def write(file: BinaryIO) -> None:
        file.write(text)

    write_atomically(target, write)
    return target


def _certificate(result: EMResult, workers: Executor) -> tuple[Any, str]:
    """The certificate of the fit, made now if there is none, or why there is none."""
    if result.certificate is not None:
        return result.certificate, ""
    try:
        return result.certify(executor=workers), ""
    except (LatentemError, ArithmeticError, ValueError, AssertionError, NotImplementedError) as error:
        return None, f"{error}."


def _measured(result: EMResult, certificate: Any, workers: Executor, compare: bool, seconds: float) -> Measured:
    trail = go_again(result, workers, seconds=WAY * seconds)
    explored = explore(trail, LINES * seconds)
    limit = find_limit(trail, LIMIT * seconds)
    methods = compare_methods(trail, METHODS * seconds) if compare else None
    same_end = abs(limit.objective - result.objective) <= _close(result, certificate)
    if not (same_end and certificate is not None and certificate.is_maximum):
        certificate = _at_limit(result, trail, limit, workers, seconds)
    return Measured(trail, explored, residuals(trail), limit, methods, same_end, certificate)


def _at_limit(result: EMResult, trail: Trail, limit: Limit, workers: Executor, seconds: float) -> Any:
    """The certificate of the limit of the way, where the fit's own is of another point; None if that takes long."""
    if 4 * result.n_parameters * trail.seconds > seconds:
        return None
    end = limit.end
    there = replace(
        result,
        parameters=end.parameters,
        log_likelihood=end.log_likelihood,
        objective=end.objective,
        expectation=end.expectation,
        status=Status.ROUNDING,
        certificate=None,
        ascent=(),
    )
    found = _certificate(there, workers)[0]
    return found if found is not None and found.is_maximum else None


def _model_name(result: EMResult) -> str:
    """What kind of model it is, in a few words."""
    declared = getattr(result.model, "declaration", None)
    if declared is not None:
        return f"Declared model “{declared.name}”"
    latent, family = getattr(result.model, "latent", None), getattr(result.model, "family", None)
    kind = KINDS.get(type(latent).__name__)
    if kind is None or latent is None:
        return type(result.model).__name__
    told = kind.format(size=latent.size, family=type(family).__name__)
    return told.replace(" 1 components", " 1 component").replace(" 1 states", " 1 state")


def coordinate_labels(parameters: Any, names: Sequence[str]) -> list[str]:
    """What the unconstrained coordinates are called on the page: like entries, where they are those or their logs."""
    called = dict(zip(natural.labels(parameters), entry_names(parameters, Labels(tuple(names), {})), strict=True))
    return [_called(label, called) for label in parameters.coordinate_names()]


def _called(label: str, called: dict[str, str]) -> str:
    bare = label.removeprefix("log ")
    found = called.get(bare, bare.replace("emission.", "").replace("latent.", ""))
    return f"log {found}" if bare != label else found


def _content(
    result: EMResult, measured: Measured | None, certificate: Any, why_none: str, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    names = () if result.source is None else tuple(result.source.names)
    affordable = measured is None or 5 * result.n_parameters * measured.trail.seconds < seconds
    content: dict[str, Any] = {
        "result": result,
        "model_name": _model_name(result),
        "verdict": verdict(result, certificate, why_none),
        "certificate": certificate,
        "estimates": estimates(result, names, affordable),
        "maxima": maxima_rows(result),
        "starts": None if result.maxima is None else result.maxima.starts,
        "said": said,
        "percent": percent,
        "times": times,
        "measured": measured,
        "answers": NO_ANSWERS,
        "picture": None,
        "worst_residual": None,
    }
    if measured is None:
        return content, {"steps": []}
    trail = measured.trail
    picture = _picture(trail, seed=0)
    content |= {
        "answers": answers(trail, measured.residuals, measured.limit, measured.methods, measured.certificate),
        "picture": picture,
        "worst_residual": max((abs(one.value) for one in measured.residuals), default=None),
    }
    labels = coordinate_labels(trail.end.parameters, names)
    return content, {
        "steps": steps_data(trail),
        "explorer": explorer_data(trail, measured.explored, labels),
        "ascent": ascent_data(trail, measured.residuals),
        "limit": {**limit_data(measured.limit), **_rates(measured.certificate)},
        "methods": methods_data(measured.methods),
        "picture": picture,
        "table": _components(trail),
    }


def _close(result: EMResult, certificate: Any) -> float:
    """By how much the objective at the end of the way may differ from that of the fit, if both lead to one point."""
    left = (result.remaining_gain, getattr(certificate, "remaining_gain", 0.0))
    return 1e-3 + 2 * max((abs(gain) for gain in left if np.isfinite(gain)), default=0.0)


def _rates(certificate: Any) -> dict[str, float | None]:
    missing = getattr(certificate, "missing_information", np.nan)
    return {"missing": float(missing) if np.isfinite(missing) else None}


def _picture(trail: Trail, seed: int) -> Any:
    """What is drawn of data and components, where there is a picture for such a model."""
    return picture_of(trail, np.random.default_rng(seed))


def _components(trail: Trail) -> list[list[Any]]:
    """Name of each entry, and its value at each shown step, for want of a picture."""
    rows = np.array([natural.entries(step.parameters) for step in trail.steps]).T[:MOST_ENTRIES]
    labels = entry_names(trail.end.parameters, Labels(tuple(trail.names), {}))
    return [[name, [float(f"{value:.5g}") for value in row]] for name, row in zip(labels, rows, strict=False)]
