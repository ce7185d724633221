"""`summary`: from a fit to what it found."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, isfinite, nan
from typing import Any

from ..errors import ParameterError
from ..inference import StandardErrors, certify as certified
from ..result import EMResult, Status, result_of
from .grids import error_grid, estimate_grids
from .labels import Labels
from .record import Summary

# What the methods of standard errors are called.
CALLED = {
    "oakes": "Oakes' identity",
    "louis": "Louis' formula",
    "sem": "supplemented EM",
    "scores": "the outer product of scores",
    "sandwich": "the sandwich formula",
    "parametric": "a parametric bootstrap",
    "nonparametric": "a nonparametric bootstrap",
}


def summary(
    fitted: Any, *, standard_errors: bool | str | StandardErrors = False, certify: bool = False, level: float = 0.95
) -> Summary:
    """What a fit found: the model, how well it fits, why the fit stopped, the estimates; on demand their errors.

    Parameters
    ----------
    fitted : EMResult, or a fitted estimator
    standard_errors : bool, name of a method, or StandardErrors
        True is Oakes' identity, some passes over the data for each free parameter; see `inference.standard_errors`.
    certify : bool
        Whether to find out what the end of the fit is, if it is not known yet; see `inference.certify`.
    level : float
        Of the intervals, 0 < level < 1.

    Returns
    -------
    Summary
        Prints as text; `to_html()` and `to_latex()` give the same for pages and papers.

    Raises
    ------
    ParameterError
        There is no result, or the errors or the certificate need data that the result has no more.
    """
    result = result_of(fitted)
    if not 0 < level < 1:
        raise ParameterError(f"level must lie between 0 and 1, got {level!r}")
    errors = _errors(result, standard_errors)
    labels = Labels.of(fitted, getattr(result.source, "names", ()), {})
    grids = estimate_grids(result, labels) if errors is None else (error_grid(result, errors, labels, level),)
    certificate = certified(result) if certify and result.certificate is None else result.certificate
    notes = (*_findings(result), *_of_maxima(result), *_of_errors(errors), *_of_certificate(certificate))
    status = f"{result.status.value} ({result.algorithm})."
    return Summary(title_of(result), tuple(_facts(result, certificate)), status, grids, notes)


def title_of(result: EMResult) -> str:
    """The model as latent × family, or by the name of its declaration."""
    model = result.model
    declaration = getattr(model, "declaration", None)
    if declaration is not None:
        return f"{declaration.name}, a declared model"
    latent = type(model.latent).__name__
    size = getattr(model.latent, "n_states", getattr(model.latent, "n_coordinates", None))
    return f"{latent}{'' if size is None else f'({size})'} × {type(model.family).__name__}"


def _errors(result: EMResult, asked: bool | str | StandardErrors) -> StandardErrors | None:
    if isinstance(asked, StandardErrors):
        return asked
    if asked is False:
        return None
    errors: StandardErrors = result.standard_errors("oakes" if asked is True else asked)
    return errors


def _facts(result: EMResult, certificate: Any) -> Iterator[tuple[str, str]]:
    yield "rows", f"{result.n_rows:,}"
    weight = float(getattr(result.expectation, "weight", result.n_rows))
    if getattr(getattr(result.model, "latent", None), "per_group", False):
        yield "sequences", f"{weight:,.6g}"
    elif not isclose(weight, result.n_rows):
        yield "sum of weights", f"{weight:,.6g}"
    yield "free parameters", str(result.n_parameters)
    yield "log-likelihood", f"{result.log_likelihood:.4f}"
    if result.objective != result.log_likelihood:
        yield "objective, with the prior", f"{result.objective:.4f}"
    yield "AIC", f"{result.aic:.4f}"
    yield "BIC", f"{result.bic:.4f}"
    yield "batches" if result.status is Status.ONLINE else "passes over the data", f"{result.n_iter:,}"
    yield "remaining gain", _or_unknown(result.remaining_gain, ".2g")
    yield "EM's rate λ", _or_unknown(result.rate if certificate is None else certificate.rate, ".4g")
    if certificate is not None:
        yield "missing information", _or_unknown(certificate.missing_information, ".2%")


def _or_unknown(value: float, form: str) -> str:
    value = nan if value is None else value
    return format(value, form) if isfinite(value) else "unknown"


def _findings(result: EMResult) -> Iterator[str]:
    for finding in result.findings:
        yield f"Note ({finding.code}): {finding.message}."


def _of_maxima(result: EMResult) -> Iterator[str]:
    if result.maxima is not None:
        first, *_ = str(result.maxima).splitlines()
        yield f"Starts: {first}."


def _of_errors(errors: StandardErrors | None) -> Iterator[str]:
    if errors is None:
        return
    yield f"Standard errors by {CALLED.get(errors.method, errors.method)}."
    yield from (f"{sentence[0].upper()}{sentence[1:]}." for sentence in (*errors.lacking(), *errors.told))


def _of_certificate(certificate: Any) -> Iterator[str]:
    if certificate is not None:
        yield f"Certificate: {'; '.join((certificate.verdict.value, *certificate.reasons))}."
