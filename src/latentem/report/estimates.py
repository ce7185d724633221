"""Estimates with standard errors, models side by side, and where several starts ended: rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from ..errors import LatentemError
from ..inference import natural, standard_errors
from ..result import EMResult
from ..summarizing.grids import entries_once, entry_names
from ..summarizing.labels import Labels
from .numbers import said

MOST_ROWS = 120
TOO_LONG = "Standard errors were left out: they would have taken too long."


@dataclass(frozen=True)
class Estimates:
    """Rows (name, estimate, standard error, interval, number of the reason why there is none) and what else is to say.

    Attributes
    ----------
    rows : tuple of tuples of str
    left_out : int
        How many entries have no row.
    told : tuple of str
    reasons : tuple of str
        The first has number 1.
    """

    rows: tuple[tuple[str, ...], ...]
    left_out: int
    told: tuple[str, ...]
    reasons: tuple[str, ...] = ()


def estimates(result: EMResult, names: Sequence[str], affordable: bool) -> Estimates:
    """The table of estimates; without standard errors where they would take too long or do not exist."""
    values, labels = natural.entries(result.parameters), entry_names(result.parameters, Labels(tuple(names), {}))
    once = entries_once(result.parameters)
    bare = tuple((labels[i], said(float(values[i]), 6), "–", "–", "") for i in once)
    kept = bare[:MOST_ROWS]
    if not affordable:
        return Estimates(kept, len(bare) - len(kept), (TOO_LONG,))
    try:
        found = standard_errors(result)
        ends = found.intervals()
    except (LatentemError, ArithmeticError, ValueError) as error:
        return Estimates(kept, len(bare) - len(kept), (f"There are no standard errors: {error}.",))
    shown = once[:MOST_ROWS]
    lacking = (found.reasons.get(found.names[i]) for i in shown)
    reasons = list(dict.fromkeys(reason for reason in lacking if reason is not None))
    rows = [_row(found, labels[i], i, ends[i], reasons) for i in shown]
    told = tuple(_sentence(line) for line in found.told)
    return Estimates(tuple(rows), len(bare) - len(rows), told, tuple(_sentence(reason) for reason in reasons))


def _row(found: Any, label: str, i: int, ends: Any, reasons: list[str]) -> tuple[str, ...]:
    error = float(found.errors[i])
    if isnan(error):
        why = found.reasons.get(found.names[i])
        number = "" if why is None else str(1 + reasons.index(why))
        return label, said(float(found.estimates[i]), 6), "–", "–", number
    interval = f"{said(float(ends[0]), 5)} to {said(float(ends[1]), 5)}"
    return label, said(float(found.estimates[i]), 6), said(error, 3), interval, ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def candidate_rows(chosen: EMResult, candidates: Any) -> list[dict[str, Any]]:
    """A row for each model that was fitted; the chosen one is marked.

    Parameters
    ----------
    chosen : EMResult
    candidates : mapping from label to EMResult, or sequence of EMResult or of (label, EMResult)
    """
    pairs = list(candidates.items()) if isinstance(candidates, Mapping) else [_labelled(one) for one in candidates]
    least = min((result.bic for _, result in pairs), default=0.0)
    return [
        {
            "label": label,
            "parameters": result.n_parameters,
            "log_likelihood": said(result.log_likelihood, 8),
            "aic": said(result.aic, 8),
            "bic": said(result.bic, 8),
            "more": said(result.bic - least, 4),
            "converged": result.converged,
            "chosen": result is chosen,
        }
        for label, result in pairs
    ]


def _labelled(one: Any) -> tuple[str, EMResult]:
    if isinstance(one, EMResult):
        return f"{one.n_parameters} free parameters", one
    label, result = one
    return str(label), result


def maxima_rows(result: EMResult) -> list[dict[str, Any]]:
    """A row for each different end of several starts; none of a single start."""
    if result.maxima is None:
        return []
    best = result.maxima.maxima[0].objective
    return [
        {
            "log_likelihood": said(one.log_likelihood, 9),
            "below": said(best - one.objective, 4),
            "found": one.found,
            "state": "converged" if one.converged else "not converged",
            "verdict": "" if one.certificate is None else one.certificate.verdict.value,
        }
        for one in result.maxima.maxima
    ]
