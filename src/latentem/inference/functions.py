"""Functions of the parameters and their standard errors: the delta method, or the spread over replicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from .covariance import Spread
from .intervals import quantile


@dataclass(frozen=True)
class Derived:
    """A function of the parameters, with standard errors.

    Attributes
    ----------
    estimate, error : arrays of the function's shape
        NaN where there is no standard error; `reasons` says why.
    covariance : (r, r)
        Of the entries, in their order.
    reasons : dict from place to str
    """

    estimate: FloatArray
    error: FloatArray
    covariance: FloatArray
    reasons: dict[int, str]

    def interval(self, level: float = 0.95) -> FloatArray:
        """θ ± z s, (2, …)."""
        z = quantile(level)
        return np.stack([self.estimate - z * self.error, self.estimate + z * self.error])

    def __str__(self) -> str:
        cells = [
            f"{value:.6g} ± {error:.4g}" if np.isfinite(error) else f"{value:.6g} (no number: {self.reasons[i]})"
            for i, (value, error) in enumerate(zip(self.estimate.ravel(), self.error.ravel(), strict=True))
        ]
        return ", ".join(cells)


def derived(
    function: Callable[[Any], Any], parameters: Any, spread: Spread | None, replicates: tuple[Any, ...] = ()
) -> Derived:
    """A function's values and their covariance: G V Gᵀ, G its derivatives by differences of fourth order.

    Parameters
    ----------
    function : callable
    parameters : Parameters
        At which the value is found.
    spread : Spread
    replicates : tuple of Parameters
        Of a bootstrap, whose spread is taken where there are any.
    """
    estimate = np.asarray(function(parameters), float)
    if not np.all(np.isfinite(estimate)):
        raise ParameterError("the function is not finite at the estimates")
    assert spread is not None
    covariance, lacks = spread.of(gradients(lambda there: np.asarray(function(there), float), spread))
    if replicates:
        rows = [np.ravel(np.asarray(function(one), float)) for one in replicates]
        covariance = sample_covariance(rows, lacks)
    return _record(estimate, covariance, {i: told for i, told in enumerate(lacks) if told is not None})


def sample_covariance(rows: list[FloatArray], lacks: list[str | None]) -> FloatArray:
    """The covariance (r, r) of rows (r,), with NaN for what has a reason to have none."""
    with np.errstate(invalid="ignore"):
        covariance = np.array(np.atleast_2d(np.cov(np.array(rows).T)))
    none = np.array([lack is not None for lack in lacks], bool)
    covariance[none, :] = covariance[:, none] = np.nan
    return covariance


def gradients(function: Callable[[Any], FloatArray], spread: Spread) -> FloatArray:
    """∂ function / ∂ φ, (r, d), at steps that are short for every entry."""
    case = spread.case
    template, vector = case.surface.template, case.point.vector
    columns = []
    for j, step in enumerate(case.whole.free.steps):
        unit = np.zeros(len(vector))
        unit[j] = step
        one, back, two, back_two = (
            np.ravel(function(template.unflatten(vector + times * unit))) for times in (1, -1, 2, -2)
        )
        columns.append((8 * (one - back) - (two - back_two)) / (12 * step))
    return np.array(columns).T


def _record(estimate: FloatArray, covariance: FloatArray, reasons: dict[int, str]) -> Derived:
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.diagonal(covariance)).reshape(estimate.shape)
    return Derived(estimate, error, covariance, reasons)
