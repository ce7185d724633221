"""The lower bound that an EM step climbs, and the objective beside it, anywhere: NaN where a model has neither."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..em import Problem
from ..errors import LatentemError
from ..result import Iteration

# What a model may raise far from its data; elsewhere it would be told.
_FAR_OFF = (LatentemError, ArithmeticError, ValueError)


@dataclass(frozen=True)
class LowerBound:
    """Q(θ; θₜ) + H(q) with q = p(z | x; θₜ), a log prior included: it touches the objective at θₜ.

    H(q) = ℓ(θₜ) - Q(θₜ; θₜ).  Q comes from the statistics at θₜ, without a pass over the data.

    Attributes
    ----------
    model : Model
    iteration : Iteration
        At θₜ.
    """

    model: Any
    iteration: Iteration

    def q(self, parameters: Any) -> float:
        """Q(θ; θₜ) plus log prior."""
        value = self.model.q_function(parameters, self.iteration.expectation.statistics)
        return float(value + self.model.log_prior(parameters))

    @cached_property
    def q_here(self) -> float:
        return self.q(self.iteration.parameters)

    def gain(self, parameters: Any) -> float:
        """What Q gains from θₜ to θ."""
        return self.q(parameters) - self.q_here

    def __call__(self, parameters: Any) -> float:
        with np.errstate(all="ignore"):
            try:
                found = self.iteration.objective + self.gain(parameters)
            except _FAR_OFF:
                return nan
        return found if isfinite(found) else nan


def objective_at(problem: Problem, parameters: Any) -> float:
    """ℓ(θ) plus log prior, in one pass."""
    with np.errstate(all="ignore"):
        try:
            found = problem.evaluate(parameters)[1]
        except _FAR_OFF:
            return nan
    return found if isfinite(found) else nan


def admitted(model: Any, template: Any, vector: FloatArray) -> Any:
    """Parameters at a vector (d,) of unconstrained coordinates, or None where the model admits none there."""
    with np.errstate(all="ignore"):
        try:
            parameters = template.unflatten(vector)
            return parameters if model.admissible(parameters) else None
        except _FAR_OFF:
            return None
