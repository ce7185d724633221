"""Covariances of estimates in the free directions, by each method; and what they say of functions of the parameters.

With I_o the observed information, I_c that of the complete data, J the Jacobian of the EM map and B = Σ s sᵀ the sum of
outer products of the units' scores, all in the free directions:

    oakes      I_o⁻¹, I_o by differences of the score θ ↦ ∇Q(θ; S(θ))        Oakes (1999)
    sem        (I_c (I - J))⁻¹                                               Meng and Rubin (1991)
    louis      (E[-∂² l_c] - Var(s_c))⁻¹ over the states of z                Louis (1982)
    scores     B⁻¹                                                           Berndt, Hall, Hall and Hausman (1974)
    sandwich   I_o⁻¹ B I_o⁻¹                                                 Huber (1967), White (1982)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError
from .examined import Examination
from .unit_scores import louis_information, prior_information, scores_of_units

METHODS = ("oakes", "louis", "sem", "scores", "sandwich")
# I_c (I - J) of an EM map differs from I_o by differences' errors; by more than this share of I_c it is of another map.
SAME_MAP = 1e-4
# A function whose gradient has this share outside the directions that have a variance, squared, has none itself.
OUTSIDE = 1e-9
PARTLY = 1e-6


@dataclass(frozen=True)
class Spread:
    """The covariance of the estimates along the free directions, and which directions have none.

    Attributes
    ----------
    case : Examination
    covariance : (m, m)
    """

    case: Examination
    covariance: FloatArray

    def of(self, gradients: FloatArray, whole: bool = False) -> tuple[FloatArray, list[str | None]]:
        """The covariance (r, r) of functions with these gradients (r, d), and why some have none.

        Rows and columns of those are NaN.  With `whole`, functions that held directions move in part have none either.
        """
        inside = gradients @ self.case.moves
        least = 1 - PARTLY if whole else OUTSIDE
        reasons = [self._lack(gradient, part, least) for gradient, part in zip(gradients, inside, strict=True)]
        covariance = inside @ self.covariance @ inside.T
        none = np.array([reason is not None for reason in reasons], bool)
        covariance[none, :] = covariance[:, none] = np.nan
        return covariance, reasons

    def _lack(self, gradient: FloatArray, inside: FloatArray, least: float) -> str | None:
        """Why a function has no standard error, or None."""
        whole = self.case.whole.free
        scaled = gradient * whole.steps
        size = float(scaled @ scaled)
        if size == 0:
            return "it is held where it is"
        held = whole.basis[:, self.case.bounds]
        free = float(np.sum((self.case.linear.free.basis.T @ scaled) ** 2))
        if free <= least * size:
            limit = float(np.sum((held.T @ scaled) ** 2)) > 0.5 * size
            return "a limit of the model holds it" if limit else "it is at an end of its range, or belongs to what is"
        return self._flat(inside)

    def _flat(self, inside: FloatArray) -> str | None:
        spectrum = self.case.spectrum
        parts = (spectrum.vectors.T @ inside) ** 2
        total = float(parts.sum())
        if parts[spectrum.flat].sum() > OUTSIDE * total:
            names = ", ".join(self.case.along(spectrum.vectors[:, spectrum.flat]))
            return f"the objective is flat along {names}: the data do not say where it is"
        if parts[spectrum.rising].sum() > OUTSIDE * total:
            names = ", ".join(self.case.along(spectrum.vectors[:, spectrum.rising]))
            return f"the point is no maximum: the objective rises along {names}"
        return None


def spread(case: Examination, method: str, clusters: Array | None = None) -> Spread:
    """The covariance of the estimates by a method.

    Raises
    ------
    ParameterError
        The method does not apply to this model or these data; those that do are named.
    """
    if not len(case.linear.score):
        return Spread(case, np.zeros((0, 0)))
    if method == "sandwich":
        bread = _inverse(case, case.linear.observed, method)
        return Spread(case, bread @ scores_of_units(case, clusters) @ bread)
    return Spread(case, _inverse(case, _information(case, method, clusters), method))


def _information(case: Examination, method: str, clusters: Array | None) -> FloatArray:
    if method == "oakes":
        return case.linear.observed
    if method == "sem":
        return _supplemented(case)
    if method == "louis":
        return louis_information(case) + prior_information(case)
    return scores_of_units(case, clusters) + prior_information(case)


def _supplemented(case: Examination) -> FloatArray:
    """I_c (I - J), where J is that of an EM map."""
    linear = case.linear
    found = linear.complete @ (np.eye(len(linear.em_map)) - linear.em_map)
    apart = case.spectrum.vectors.T @ (found - linear.observed) @ case.spectrum.vectors
    if not case.spectrum.proper or np.abs(apart).max(initial=0.0) > SAME_MAP:
        raise ParameterError(
            "supplemented EM needs the EM map itself, and the M-step of this model is another one (parameter-expanded, "
            "numerical, or conditional); use method='oakes' (the same matrix), 'scores', 'sandwich' or 'bootstrap'"
        )
    return np.asarray(0.5 * (found + found.T))


def _inverse(case: Examination, information: FloatArray, method: str) -> FloatArray:
    """The inverse (m, m) in the directions with curvature, zero in the others."""
    across = case.spectrum.vectors[:, case.spectrum.curvatures > case.spectrum.error]
    inside = across.T @ information @ across
    values, vectors = np.linalg.eigh(0.5 * (inside + inside.T))
    if len(values) and values[0] <= 1e-10 * max(float(values[-1]), 1.0):
        raise ParameterError(
            f"the information by method={method!r} is not positive definite: there are too few units or clusters for "
            f"{len(values)} parameters; use method='oakes' or 'bootstrap'"
        )
    root = across @ (vectors / np.sqrt(values))
    return np.asarray(root @ root.T)
