"""Distribution functions and means of the columns of a family, state by state: for residuals and forecasts.

Families are added by `register`; one that is not here has no distribution function in closed form (see `UNKNOWN`).
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from scipy.special import betainc, gammainc, gammaincc, ndtr, stdtr

from .._typing import FloatArray
from ..errors import ParameterError
from ..families.bernoulli import Bernoulli
from ..families.categorical import CategoricalColumns
from ..families.components import Components
from ..families.conjugate import Conjugate
from ..families.constrained import Constrained
from ..families.exponential import Exponential
from ..families.gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from ..families.multinomial import Multinomial
from ..families.poisson import Poisson
from ..families.student_t import FullStudentT
from ..families.student_t_diagonal import DiagonalStudentT
from ..model import LatentVariableModel

UNKNOWN = "there is no {what} for {family}; there is one for {known}"

Tails = tuple[FloatArray, FloatArray]


@singledispatch
def mid_tails(family: Any, params: Any, values: FloatArray) -> Tails:  # noqa: ARG001 - what is registered has them
    """P(X < x) + ½ P(X = x) and P(X > x) + ½ P(X = x) of every entry of `values` (n, D), both (K, n, D).

    They add to one; each keeps its digits where it is small.  For continuous families they are the distribution
    function and its complement.  A missing entry gives NaN.

    Raises
    ------
    ParameterError
        The family has no distribution function here.
    """
    raise _unknown("distribution function", family, mid_tails)


@singledispatch
def state_means(family: Any, params: Any) -> FloatArray:  # noqa: ARG001 - what is registered has them
    """E[x | z = k], shape (K, D).

    Raises
    ------
    ParameterError
        The family has no mean here, or one that is infinite.
    """
    raise _unknown("mean", family, state_means)


def _unknown(what: str, family: Any, function: Any) -> ParameterError:
    known = sorted(kind.__name__ for kind in function.registry if kind is not object)
    return ParameterError(UNKNOWN.format(what=what, family=type(family).__name__, known=", ".join(known)))


# -- wrappers ----------------------------------------------------------------------------------


@mid_tails.register
def _(family: Conjugate, params: Any, values: FloatArray) -> Tails:
    return mid_tails(family.family, params, values)


@state_means.register
def _(family: Conjugate, params: Any) -> FloatArray:
    return state_means(family.family, params)


@mid_tails.register
def _(family: Constrained, params: Any, values: FloatArray) -> Tails:
    return mid_tails(family.family, params.base, values)


@state_means.register
def _(family: Constrained, params: Any) -> FloatArray:
    return state_means(family.family, params.base)


@mid_tails.register
def _(family: Components, params: Any, values: FloatArray) -> Tails:
    pairs = [mid_tails(own, part, values) for own, part in zip(family.families, params.parts, strict=True)]
    return np.concatenate([lower for lower, _ in pairs]), np.concatenate([upper for _, upper in pairs])


@state_means.register
def _(family: Components, params: Any) -> FloatArray:
    return np.concatenate([state_means(own, part) for own, part in zip(family.families, params.parts, strict=True)])


@mid_tails.register
def _(family: LatentVariableModel, params: Any, values: FloatArray) -> Tails:
    """A mixture: the average of its components by their weights."""
    lower, upper = mid_tails(family.family, params.emission, values)
    weights = params.latent.weights
    return np.tensordot(weights, lower, 1)[None], np.tensordot(weights, upper, 1)[None]


@state_means.register
def _(family: LatentVariableModel, params: Any) -> FloatArray:
    return np.asarray(params.latent.weights @ state_means(family.family, params.emission))[None]


# -- continuous --------------------------------------------------------------------------------


def _deviations(means: FloatArray, variances: FloatArray, values: FloatArray) -> FloatArray:
    return np.asarray((values - means[:, None, :]) / np.sqrt(variances)[:, None, :])


@mid_tails.register(FullGaussian)
@mid_tails.register(TiedGaussian)
def _(_family: Any, params: Any, values: FloatArray) -> Tails:
    z = _deviations(params.means, np.diagonal(params.covariances, axis1=1, axis2=2), values)
    return ndtr(z), ndtr(-z)


@mid_tails.register(DiagonalGaussian)
@mid_tails.register(SphericalGaussian)
def _(_family: Any, params: Any, values: FloatArray) -> Tails:
    z = _deviations(params.means, params.plan.variances, values)
    return ndtr(z), ndtr(-z)


@mid_tails.register(FullStudentT)
@mid_tails.register(DiagonalStudentT)
def _(family: Any, params: Any, values: FloatArray) -> Tails:
    scales = params.scales if params.scales.ndim == 2 else np.diagonal(params.scales, axis1=1, axis2=2)
    z, dof = _deviations(params.means, scales, values), family.degrees_of_freedom(params)[:, None, None]
    return stdtr(dof, z), stdtr(dof, -z)


@mid_tails.register
def _(_family: Exponential, params: Any, values: FloatArray) -> Tails:
    x = values * params.rates[:, None, :]
    return -np.expm1(-x), np.exp(-x)


@state_means.register
def _(_family: Exponential, params: Any) -> FloatArray:
    return np.asarray(1.0 / params.rates)


@state_means.register(FullGaussian)
@state_means.register(TiedGaussian)
@state_means.register(DiagonalGaussian)
@state_means.register(SphericalGaussian)
def _(_family: Any, params: Any) -> FloatArray:
    return np.asarray(params.means)


@state_means.register(FullStudentT)
@state_means.register(DiagonalStudentT)
def _(family: Any, params: Any) -> FloatArray:
    dof = family.degrees_of_freedom(params)
    if np.any(dof <= 1):
        raise ParameterError(
            f"state {int(np.argmin(dof))} has {dof.min():.3g} degrees of freedom: its mean is undefined"
        )
    return np.asarray(params.means)


# -- discrete ----------------------------------------------------------------------------------


def _mid(below: FloatArray, up_to: FloatArray, above: FloatArray, from_here: FloatArray) -> Tails:
    return 0.5 * (below + up_to), 0.5 * (above + from_here)


@mid_tails.register
def _(_family: Poisson, params: Any, values: FloatArray) -> Tails:
    rates, x = params.rates[:, None, :], values[None]
    positive = x > 0
    before = np.where(positive, x, 1.0)
    below = np.where(positive, gammaincc(before, rates), np.where(np.isnan(x), np.nan, 0.0))
    from_here = np.where(positive, gammainc(before, rates), np.where(np.isnan(x), np.nan, 1.0))
    return _mid(below, gammaincc(x + 1, rates), gammainc(x + 1, rates), from_here)


@state_means.register
def _(_family: Poisson, params: Any) -> FloatArray:
    return np.asarray(params.rates)


@mid_tails.register
def _(_family: Bernoulli, params: Any, values: FloatArray) -> Tails:
    p = params.probabilities[:, None, :]
    one = values[None] > 0.5
    lower = np.where(one, (1 - p) + 0.5 * p, 0.5 * (1 - p))
    upper = np.where(one, 0.5 * p, p + 0.5 * (1 - p))
    seen = np.where(np.isnan(values), np.nan, 1.0)
    return lower * seen, upper * seen


@state_means.register
def _(_family: Bernoulli, params: Any) -> FloatArray:
    return np.asarray(params.probabilities)


@mid_tails.register
def _(_family: Multinomial, params: Any, values: FloatArray) -> Tails:
    """Column by column, where a count is binomial given the row's total."""
    p, total = params.probabilities[:, None, :], values.sum(axis=1, keepdims=True)[None]
    x, seen = np.nan_to_num(values)[None], np.where(np.isnan(values), np.nan, 1.0)
    n = np.nan_to_num(total)
    more, some = np.maximum(n - x, 1.0), np.maximum(x, 1.0)
    up_to = np.where(x < n, betainc(more, x + 1, 1 - p), 1.0)
    above = np.where(x < n, betainc(x + 1, more, p), 0.0)
    from_here = np.where(x > 0, betainc(some, n - x + 1, p), 1.0)
    below = np.where(x > 0, betainc(n - x + 1, some, 1 - p), 0.0)
    lower, upper = _mid(below, up_to, above, from_here)
    return lower * seen, upper * seen


@state_means.register
def _(family: Multinomial, params: Any) -> FloatArray:
    return np.asarray(family.n_trials * params.probabilities)


@mid_tails.register
def _(_family: CategoricalColumns, params: Any, values: FloatArray) -> Tails:
    """In the order of the codes."""
    tails = [_category_tails(column.probabilities, x) for column, x in zip(params.columns, values.T, strict=True)]
    return np.stack([lower for lower, _ in tails], axis=2), np.stack([upper for _, upper in tails], axis=2)


def _category_tails(probabilities: FloatArray, codes: FloatArray) -> Tails:
    zero = np.zeros((len(probabilities), 1))
    up_to = np.cumsum(probabilities, axis=1)
    from_here = np.cumsum(probabilities[:, ::-1], axis=1)[:, ::-1]
    lower = 0.5 * (np.concatenate([zero, up_to[:, :-1]], axis=1) + up_to)
    upper = 0.5 * (np.concatenate([from_here[:, 1:], zero], axis=1) + from_here)
    index, seen = np.nan_to_num(codes).astype(int), np.where(np.isnan(codes), np.nan, 1.0)
    return lower[:, index] * seen, upper[:, index] * seen
