"""What is wrong with where a fit has ended: no bound of the likelihood, parameters not identified, ends of domains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....domains import Domain, Interval, Positive, Simplex
from ....errors import LatentemError
from ....statistics import Expectation
from ..model import DeclaredModel
from ..parameters import DeclaredParameters, coordinate_kinds, without_constraints
from .place import Place, Whole
from .ridges import flat_directions, null_directions
from .same_states import same_states
from .slopes import slopes

Told = list[tuple[int | None, str, str]]

# How far a coordinate must have gone (in logs) from its start, or from the columns' standard deviations.
FAR, HOPELESS = float(np.log(1e5)), float(np.log(1e8))
# A factor by which what goes to zero is made smaller, in logs, and the rise that each row gives at least (0.5 to 1).
SHRUNK, RISE = float(np.log(10.0)), 0.1
AT_END = 1e-10
MOST_TOLD = 5


def diagnose(
    model: DeclaredModel,
    params: DeclaredParameters,
    expectation: Expectation,
    pool: Batch,
    start_params: DeclaredParameters,
    *,
    whole: Whole | None = None,
    converged: bool = True,
    remaining: float = 0.0,
) -> Told:
    """What a user should know of the end of a fit: (None, code, sentence).

    "unbounded": a scale goes to zero, or a matrix becomes singular, and the likelihood grows with it.
    "same-states": states of z that EM cannot tell apart.
    "flat": the likelihood does not change along a direction of the parameters.
    "slope": the fit claims to have converged where the likelihood still rises, or is not as its derivatives say.
    "boundary": the fit has led probabilities, numbers in an interval, or positive numbers to their ends.

    Parameters
    ----------
    model : DeclaredModel
    params : DeclaredParameters
        Where the fit has ended.
    expectation : Expectation
        Of all the data, there.
    pool : Batch
        All the rows, or some of them.
    start_params : DeclaredParameters
        Where the fit began.
    whole : callable, optional
        The expectation of all the data at an unconstrained vector: flat directions seen in a pool are confirmed by it.
    converged : bool
        Whether the fit claims a maximum; if not, no slope is looked for.
    remaining : float
        The gain that is estimated to remain for EM: a slope that promises no more than ten times that is not told.
    """
    place = Place(model, params, expectation, pool, start_params, whole)
    try:
        with np.errstate(all="ignore"):
            if unbounded := _unbounded(place):
                return unbounded
            null = null_directions(place)
            rising = slopes(place, null, remaining) if converged else []
            return _boundary(place) + same_states(model, params, pool) + rising + flat_directions(place, null)
    except LatentemError:
        # A pool that is impossible here tells nothing.
        return _boundary(place)


# -- unbounded ---------------------------------------------------------------------------------


def _unbounded(place: Place) -> Told:
    reference = place.start.flatten()
    sizes = [float(np.nanstd(column)) for column in place.pool.values.T if np.isfinite(column).any()]
    data = float(np.log(min((size for size in sizes if size > 0), default=1.0)))
    found: dict[str, list[int]] = {}
    for j, (name, kind) in enumerate(coordinate_kinds(place.params.domains)):
        if kind == "correlation":
            gone = abs(place.vector[j]) > FAR / 2
            grows = gone and _grows(place, j, float(np.sign(place.vector[j])))
        elif kind == "log":
            depth = max(reference[j], data) - place.vector[j]
            grows = depth > FAR and (_grows(place, j, -1.0) or (depth > HOPELESS and _grew(place, j)))
        else:
            continue
        if grows:
            found.setdefault(name, []).append(j)
    return [(None, "unbounded", _without_bound(place, name, which)) for name, which in found.items()]


def _grows(place: Place, j: int, sign: float) -> bool:
    """Whether the likelihood still rises, and no slower, as a coordinate goes on."""
    functions = (place.pool_change, place.expected_change)
    return any(_is_line(*_changes(place, function, j, sign), place.least_weight) for function in functions)


def _grew(place: Place, j: int) -> bool:
    """Whether the likelihood rose on the way here with each factor, up to where rounding keeps it from rising more."""
    first, second = _changes(place, place.pool_change, j, 1.0)
    return _is_line(-first, -second, place.least_weight) and second > 2.5 * first


def _changes(place: Place, change: Callable[[FloatArray], float], j: int, sign: float) -> tuple[float, float]:
    """By how much a function changes with one step, and with two."""
    step = np.zeros(len(place.vector))
    step[j] = sign * SHRUNK
    return change(step), change(2 * step)


def _is_line(first: float, second: float, weight: float) -> bool:
    return bool(first > RISE * SHRUNK * weight and second > 1.8 * first)


def _without_bound(place: Place, name: str, which: list[int]) -> str:
    names = place.params.coordinate_names()
    entries = ", ".join(names[j].removeprefix("log ") for j in which[:MOST_TOLD])
    base = without_constraints(dict(place.params.domains)[name])
    if isinstance(base, Positive | Interval):
        value = np.exp(place.vector[which[0]])
        what = f"{entries} goes to zero (it is {value:.3g} here)"
        bound = f", or a lower bound in place of {type(base).__name__}, such as em.Interval(1e-3, float('inf'))"
    else:
        what, bound = f"{name} becomes singular ({entries})", ""
    return (
        f"the likelihood grows without bound as {what}: a few rows are fitted exactly, and this is no estimate.  "
        f"Give the model a prior that keeps {name} away from there (log_prior=){bound}; another start may lead "
        "elsewhere"
    )


# -- ends of domains ---------------------------------------------------------------------------


def _boundary(place: Place) -> Told:
    """Entries that the fit, not the start, has led to the ends of their domains."""
    found: list[str] = []
    for name, domain in place.params.domains:
        base = without_constraints(domain)
        here, start = place.params[name], place.start[name]
        reached = _at_end(base, here, start) & ~_at_end(base, start, start)
        found += [f"{name}[{','.join(map(str, index))}]" if index else name for index in np.argwhere(reached).tolist()]
    if not found:
        return []
    more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    verb = "lies at an end of its domain" if len(found) == 1 else "lie at an end of their domains"
    message = (
        f"{', '.join(found[:MOST_TOLD])}{more} {verb}: EM hardly leads away from there, and standard errors "
        "mean nothing there; if it is not what you expect, try another start, fewer states, "
        "or a prior (log_prior=)"
    )
    return [(None, "boundary", message)]


def _at_end(domain: Domain, value: FloatArray, start: FloatArray) -> Array:
    value = np.asarray(value)
    if isinstance(domain, Simplex | Positive):
        return np.asarray(value < AT_END * (start if isinstance(domain, Positive) else 1.0))
    if not isinstance(domain, Interval):
        return np.zeros(value.shape, bool)
    width = domain.high - domain.low if np.isfinite(domain.high - domain.low) else 1.0
    return np.asarray((value - domain.low < AT_END * width) | (domain.high - value < AT_END * width))
