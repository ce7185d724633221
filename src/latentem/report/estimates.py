"""Estimates with standard errors, models side by side, and where several starts ended: rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from ..errors import LatentemError
from ..inference import natural, standard_errors
from ..result import EMResult
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


def readable(label: str, names: Sequence[str], shape: tuple[int, ...]) -> str:
    """"emission.means[0,1]" as "means of 0, waiting": columns by name where an axis is as long as there are columns."""
    plain = label.removeprefix("emission.").removeprefix("latent.")
    name, bracket, rest = plain.partition("[")
    if not bracket or not label.startswith("emission.") or len(shape) < 2:
        return plain
    index = rest.rstrip("]").split(",")
    parts = [
        names[int(i)] if axis and size == len(names) else i
        for axis, (i, size) in enumerate(zip(index, shape, strict=True))
    ]
    return f"{name}[{', '.join(parts)}]"


def entry_names(parameters: Any, names: Sequence[str]) -> list[str]:
    """What every entry of every array is called on the page."""
    shapes = [np.shape(array) for array in parameters.arrays().values()]
    per_entry = [shape for shape in shapes for _ in range(int(np.prod(shape)))]
    return [readable(label, names, shape) for label, shape in zip(natural.labels(parameters), per_entry, strict=True)]


def estimates(result: EMResult, names: Sequence[str], affordable: bool) -> Estimates:
    """The table of estimates; without standard errors where they would take too long or do not exist."""
    values, labels = natural.entries(result.parameters), entry_names(result.parameters, names)
    bare = tuple((label, said(float(value), 6), "–", "–", "") for label, value in zip(labels, values, strict=True))
    kept = bare[:MOST_ROWS]
    if not affordable:
        return Estimates(kept, len(bare) - len(kept), (TOO_LONG,))
    try:
        found = standard_errors(result)
        ends = found.intervals()
    except (LatentemError, ArithmeticError, ValueError) as error:
        return Estimates(kept, len(bare) - len(kept), (f"There are no standard errors: {error}.",))
    reasons = list(dict.fromkeys(found.reasons[name] for name in found.names[:MOST_ROWS] if name in found.reasons))
    rows = [_row(found, labels[i], i, ends[i], reasons) for i in range(min(len(labels), MOST_ROWS))]
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
