"""The objective of a fit as a function of the unconstrained vector, with what an E-step and an M-step tell there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..em import Problem
from ..kernels.derivatives import curved_jacobian
from ..model import SMALLEST_TERMS
from ..statistics import Expectation

# The share of the length over which parameters bend that a step may take.
LINEAR = 0.1
THOUSANDTH = 1e-3
# Of the steps this share is taken: differences of second order are then off by some 1e-7 of the curvature, and rounding
# of 1e-13 by less.
SHARE = 0.3


@dataclass(frozen=True)
class Point:
    """The objective at θ, and where it leads.

    Attributes
    ----------
    vector : (d,)
        The unconstrained coordinates φ of θ.
    parameters : Parameters
    objective : float
        ℓ(θ) plus log prior.
    rounding : float
        Bound on its rounding error.
    score : (d,)
        Its gradient in φ.
    em_vector : (d,)
        Where an EM step leads from here.
    expectation : Expectation
    """

    vector: FloatArray
    parameters: Any
    objective: float
    rounding: float
    score: FloatArray
    em_vector: FloatArray
    expectation: Expectation


@dataclass
class Surface:
    """What certificates, standard errors and comparisons look at: a model on data, around parameters.

    Attributes
    ----------
    problem : Problem
    template : Parameters
        Parameters whose shapes and options every point has.
    passes : int
        E-steps over all the data so far, folds of M-steps included.
    """

    problem: Problem
    template: Any
    passes: int = field(default=0)

    @property
    def dimension(self) -> int:
        return int(self.template.n_free)

    def at(self, vector: FloatArray) -> Point:
        """One E-step and one M-step.

        Raises
        ------
        DataError
            A row is impossible at these parameters.
        """
        parameters = self.template.unflatten(vector)
        with np.errstate(over="ignore"):
            expectation, objective = self.problem.evaluate(parameters)
        em_parameters, folds = self.problem.m_step(expectation, parameters)
        self.passes += 1 + folds
        return Point(
            vector=vector,
            parameters=parameters,
            objective=objective,
            rounding=self.problem.rounding(expectation, objective),
            score=self.problem.model.objective_score(expectation.statistics, parameters),
            em_vector=em_parameters.flatten(),
            expectation=expectation,
        )

    def look(self, vector: FloatArray) -> tuple[float, FloatArray]:
        """The objective and its gradient (d,): one E-step, and no M-step."""
        parameters = self.template.unflatten(vector)
        with np.errstate(over="ignore"):
            expectation, objective = self.problem.evaluate(parameters)
        self.passes += 1
        return objective, self.problem.model.objective_score(expectation.statistics, parameters)

    def admits(self, vector: FloatArray) -> bool:
        """Whether the model's own limits (a floor under variances) leave these parameters in it."""
        return bool(np.all(np.isfinite(vector)) and self.problem.model.admissible(self.template.unflatten(vector)))

    @staticmethod
    def units(point: Point) -> float:
        """About how many observations there are."""
        return max(1.0, point.expectation.magnitude / SMALLEST_TERMS)

    def complete_information(self, point: Point, lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Steps for differences (d,), and I_c = -∂² (Q(θ; S) + log prior) (d, d) at fixed S: no pass over the data.

        The steps are a thousandth of a unit's standard deviation under the complete data, in each coordinate.
        """
        complete = self.problem.model.complete_score(point.expectation.statistics, point.parameters)
        most = LINEAR * np.where(lengths > 0, lengths, 1.0)

        def score(vector: FloatArray) -> FloatArray:
            return complete(self.template.unflatten(vector))

        steps, jacobian = curved_jacobian(score, point.vector, self.units(point), largest=most)
        bends = np.abs(np.diagonal(jacobian)) / self.units(point)
        fitting = np.divide(THOUSANDTH, np.sqrt(bends), out=np.array(steps), where=bends > 0)
        return np.minimum(fitting, np.where(bends > 0, most, steps)), -0.5 * (jacobian + jacobian.T)
