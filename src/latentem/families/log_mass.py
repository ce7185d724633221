"""log P(low ≤ X ≤ high) of any family of one column and its gradient, from its log density alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.special import logit

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..kernels.normalize import log_sum_exp
from ..kernels.quadrature import log_nodes
from .composite import AnyFamily

_BLOCK = 64
_MOST_TERMS = 2**22
# Where a support that does not hold 0 is looked for.
_POWERS_OF_TWO = tuple(2**i for i in range(23))
_FURTHEST_SOUGHT = 2**16
_NEGLIGIBLE = -40.0
_DRAWS = 65
# Transformed values beyond these lie where densities over- or underflow, and hold no mass that counts.
_FURTHEST_LOG, _FURTHEST_REAL = 690.0, 1e140
_NEAREST_ONE = 36.0
# Terms that are a smaller share of the mass say nothing of its gradient.
_SMALLEST_SHARE = 1e-30


@dataclass(frozen=True, eq=False)
class Terms:
    """What some components' masses are sums of.

    Attributes
    ----------
    values : (n, 1)
    logs : (m, n)
        log f(xₙ; θₖ), with quadrature weights counted in.
    first : int
        The number of the first of the m components.
    """

    values: FloatArray
    logs: FloatArray
    first: int = 0

    @property
    def log_sum(self) -> FloatArray:
        """(m,): the log of each component's sum."""
        return log_sum_exp(self.logs)


@dataclass(frozen=True, eq=False)
class Mass:
    """The mass between two bounds.

    Attributes
    ----------
    log : (K,)
        log P(low ≤ X ≤ high; θₖ).
    parts : tuple of (Terms, FloatArray)
        What it is made of, with the signs (m,) of the components: 1 for terms between the bounds, -1 for those outside
        where the mass is one minus theirs, 0 where they do not count.
    """

    log: FloatArray
    parts: tuple[tuple[Terms, FloatArray], ...]

    @cached_property
    def points(self) -> tuple[FloatArray, FloatArray]:
        """Values (n, 1) and shares (K, n) with ∂ log Pₖ = Σₙ shareₖₙ ∂ log f(xₙ; θₖ).

        A share is f(xₙ) / Pₖ, or its negative for a value outside, since scores average to zero over all values.
        """
        values = np.concatenate([terms.values for terms, _ in self.parts])
        shares, at = np.zeros((len(self.log), len(values))), 0
        for terms, signs in self.parts:
            rows, columns = slice(terms.first, terms.first + len(signs)), slice(at, at + len(terms.values))
            with np.errstate(all="ignore"):
                shares[rows, columns] = signs[:, None] * np.exp(terms.logs - self.log[rows, None])
            at = columns.stop
        shares = np.where(np.isfinite(shares), shares, 0.0)
        kept = np.any(np.abs(shares) > _SMALLEST_SHARE, axis=0)
        return values[kept], shares[:, kept]


def mass_between(family: AnyFamily, params: Any, low: float | None, high: float | None) -> Mass:
    """The mass with low ≤ X ≤ high; None leaves a side open."""
    if family.discrete:
        return _discrete(family, params, low, high)
    return _continuous(family, params, low, high)


# -- whole numbers -----------------------------------------------------------------------------


def _discrete(family: AnyFamily, params: Any, low: float | None, high: float | None) -> Mass:
    """The sum over what is inside; or one minus that over the outside, where there is no end or a distant one."""
    first = 0 if low is None else max(0, int(np.ceil(low)))
    stop = sys.maxsize if high is None else int(np.floor(high)) + 1
    if stop - first <= _MOST_TERMS:
        inside = _terms(family, params, first, stop)
        return Mass(inside.log_sum, ((inside, np.ones(len(inside.logs))),))
    outside = _terms(family, params, 0, first)
    if high is not None:
        beyond = _upwards(family, params, stop, sys.maxsize, np.ones(len(outside.logs), bool))
        outside = _joined([outside, beyond])
    log_outside = outside.log_sum
    with np.errstate(divide="ignore"):
        log = np.log1p(-np.exp(np.minimum(log_outside, 0.0)))
    accurate = log_outside < -np.log(2)
    if accurate.all():
        return Mass(log, ((outside, -np.ones(len(log))),))
    above = _upwards(family, params, first, stop, ~accurate)
    log = np.where(accurate, log, above.log_sum)
    return Mass(log, ((outside, -1.0 * accurate), (above, 1.0 * ~accurate)))


def _terms(family: AnyFamily, params: Any, first: int, stop: int) -> Terms:
    """Those of the whole numbers first ≤ x < stop within the family's support, for all components."""
    lowest = lowest_value(family)
    first = max(first, lowest)
    stop = _end(family, first, stop)
    if first >= stop:
        return Terms(np.empty((0, 1)), np.empty((_n_components(family, params, float(lowest)), 0)))
    grid = np.arange(first, stop, dtype=float)[:, None]
    return Terms(grid, np.asarray(family.log_density(Batch(grid), params)))


def _joined(terms: list[Terms]) -> Terms:
    values, logs = [part.values for part in terms], [part.logs for part in terms]
    return Terms(np.concatenate(values), np.concatenate(logs, axis=1))


def _upwards(family: AnyFamily, params: Any, first: int, stop: int, wanted: Array) -> Terms:
    """The terms from `first` on, in growing blocks until the next adds nothing to the components (K,) that are wanted:
    accurate where their sum is small."""
    found, size = [_terms(family, params, first, first + _BLOCK)], _BLOCK
    total = found[0].log_sum
    while size < min(_MOST_TERMS, stop - first):
        found.append(_terms(family, params, first + size, min(first + 2 * size, stop)))
        block = found[-1].log_sum
        total, size = np.logaddexp(total, block), 2 * size
        if np.all(((block < total + _NEGLIGIBLE) | (total == -np.inf))[wanted]):
            break
    return _joined(found)


@lru_cache(maxsize=64)
def lowest_value(family: AnyFamily) -> int:
    """The least whole number of the support, which has no gaps: 0, or where a truncation inside begins."""
    known = next((v for v in (0, *_POWERS_OF_TWO, *range(_FURTHEST_SOUGHT)) if takes(family, float(v))), None)
    if known is None:
        raise ParameterError(f"no whole number up to {_MOST_TERMS} lies in the support of {type(family).__name__}")
    below = -1
    while known - below > 1:
        middle = (known + below) // 2
        known, below = (middle, below) if takes(family, float(middle)) else (known, middle)
    return known


def _end(family: AnyFamily, first: int, stop: int) -> int:
    """One more than the greatest number of the support below `stop`, by bisection; nothing lies there if ≤ first.

    `first` is not below the support.
    """
    if first >= stop or takes(family, float(stop - 1)):
        return stop
    inside, outside = first - 1, stop - 1
    while outside - inside > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if takes(family, float(middle)) else (inside, middle)
    return outside


def takes(family: AnyFamily, value: float) -> bool:
    """Whether a value lies in the family's support."""
    try:
        family.check(Batch(np.array([[value]])))
    except DataError:
        return False
    return True


def _n_components(family: AnyFamily, params: Any, value: float) -> int:
    return len(family.log_density(Batch(np.array([[value]])), params))


# -- real numbers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Coordinates y in which the support is the real line: x = from_line(y), log |dx/dy| = log_slope(y)."""

    to_line: Callable[[Any], Any]
    from_line: Callable[[FloatArray], FloatArray]
    log_slope: Callable[[FloatArray], FloatArray]
    furthest: float


_REAL = Line(lambda x: x, lambda y: y, np.zeros_like, _FURTHEST_REAL)
_POSITIVE = Line(np.log, np.exp, lambda y: y, _FURTHEST_LOG)
_UNIT = Line(logit, lambda y: 1 / (1 + np.exp(-y)), lambda y: -np.logaddexp(0, y) - np.logaddexp(0, -y), _FURTHEST_LOG)


def _continuous(family: AnyFamily, params: Any, low: float | None, high: float | None) -> Mass:
    """By quadrature in y = m + s sinh v, where m and s say where a component's mass is."""
    line = line_of(family)
    first, last = ends_on(line, low, high)
    n_components = _n_components(family, params, 0.5)

    def between(start: float, end: float) -> tuple[list[Terms], FloatArray]:
        """The terms of each component, at points of its own, and the logs (K,) of their sums."""
        found = [_one(family, params, k, line, start, end) for k in range(n_components)]
        return found, np.concatenate([terms.log_sum for terms in found])

    inside, log = between(first, last)
    one = np.ones(1)
    if line is not _UNIT or last < _NEAREST_ONE:
        return Mass(log, tuple((terms, one) for terms in inside))
    below, log_below = between(-line.furthest, first)
    few = log_below < np.log(0.9)
    log = np.where(few, np.log1p(-np.exp(np.minimum(log_below, -0.1))), log)
    return Mass(log, tuple((below[k], -one) if few[k] else (inside[k], one) for k in range(n_components)))


def line_of(family: AnyFamily) -> Line:
    """The real line, the positive numbers or the unit interval, whichever is the family's support."""
    if not takes(family, 0.5):
        raise ParameterError(
            f"{type(family).__name__} holds neither whole numbers from 0 (its `discrete` is False) nor an interval of "
            "real numbers with 0.5 in it; it cannot be truncated"
        )
    return _REAL if takes(family, -1.0) else _POSITIVE if takes(family, 2.0) else _UNIT


def ends_on(line: Line, low: float | None, high: float | None) -> tuple[float, float]:
    """The bounds on the line; those beyond the support leave the side open.

    Doubles cannot come nearer to 1 than ε/2, so there the line of the unit interval ends early.
    """
    with np.errstate(all="ignore"):
        first = -np.inf if low is None else line.to_line(np.float64(low))
        last = np.inf if high is None else line.to_line(np.float64(high))
    first, last = (-np.inf if np.isnan(first) else first), (np.inf if np.isnan(last) else last)
    furthest = _NEAREST_ONE if line is _UNIT else line.furthest
    return max(float(first), -line.furthest), min(float(last), furthest)


def _one(family: AnyFamily, params: Any, k: int, line: Line, first: float, last: float) -> Terms:
    """What adds up to the mass of a component between two places on the line."""
    centre, spread = location(family, params, k, line)

    def log_integrand(v: FloatArray) -> FloatArray:
        y = centre + spread * np.sinh(v)
        with np.errstate(all="ignore"):
            density = family.log_density(Batch(line.from_line(y)[:, None]), params)[k]
            logs = density + line.log_slope(y) + np.log(spread) + np.log(np.cosh(v))
        return np.where(np.isnan(logs), -np.inf, logs)

    ends = np.arcsinh((np.array([first, last]) - centre) / spread)
    v, logs = log_nodes(log_integrand, _edges(float(ends[0]), float(ends[1])))
    with np.errstate(all="ignore"):
        return Terms(line.from_line(centre + spread * np.sinh(v))[:, None], logs[None], k)


def location(family: AnyFamily, params: Any, k: int, line: Line) -> tuple[float, float]:
    """Median and half the distance of the quartiles of a few draws, on the line; the same draws for the same θ."""
    with np.errstate(all="ignore"):
        draws = family.sample(params, np.full(_DRAWS, k), np.random.default_rng(0))[:, 0]
        y = np.clip(line.to_line(draws), -line.furthest, line.furthest)
    lower, centre, upper = np.quantile(y, [0.25, 0.5, 0.75])
    return float(centre), float(max(0.5 * (upper - lower), 1e-12 * max(abs(centre), 1e-100)))


def _edges(first: float, last: float) -> FloatArray:
    """Panels of unit length about the mass, then ever longer ones."""
    near = np.arange(-8.0, 9.0)
    far = 8.0 * 2.0 ** np.arange(1, 7)
    inner = np.concatenate([-far[::-1], near, far])
    return np.array([first, *inner[(inner > first) & (inner < last)], last])
