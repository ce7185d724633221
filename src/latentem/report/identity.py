"""ℓ(θ) = Q(θ; θₜ) + H(q) + KL(q ‖ p(z | x; θ)), its terms each computed by itself where z is one of few states."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..data import Batch
from ..result import Iteration
from ..statistics import Statistics
from .trail import Trail

# Q from the statistics and Q from the table of states are one if they agree to this share of their size.
SAME = 1e-7


@dataclass(frozen=True)
class Terms(Statistics):
    """Σₙ wₙ of the parts: E_q[log p(x, z; θ)], -E_q[log q], and KL(q ‖ p(z | x; θ))."""

    q: float
    entropy: float
    kl: float


@dataclass(frozen=True)
class Residual:
    """What is left of ℓ(θₜ₊₁) when Q, H and KL are taken from it.

    Attributes
    ----------
    number : int
        t.
    objective : float
        ℓ(θₜ₊₁), the log prior left out.
    terms : Terms
        Q from the statistics of the E-step; H and KL from the table of posterior probabilities.
    rounding : float
    """

    number: int
    objective: float
    terms: Terms
    rounding: float

    @property
    def value(self) -> float:
        return self.objective - (self.terms.q + self.terms.entropy + self.terms.kl)


def residuals(trail: Trail) -> tuple[Residual, ...]:
    """Of each shown step; empty where posteriors are no tables, or where z is not all that Q is an expectation over."""
    found = [_residual(trail, step.number, step.iteration) for step in trail.steps]
    return tuple(one for one in found if one is not None)


def _residual(trail: Trail, number: int, here: Iteration) -> Residual | None:
    batch = next(iter(trail.problem.source))
    if trail.local or trail.model.complete_log_density(here.parameters, batch) is None:
        return None
    there = here.em_parameters
    terms = trail.problem.fold(partial(_terms, trail.model, here.parameters, there))
    q = float(trail.model.q_function(there, here.expectation.statistics))
    if abs(q - terms.q) > SAME * max(1.0, abs(q)):
        return None
    objective = trail.problem.evaluate(there)[0]
    return Residual(
        number, objective.log_likelihood, Terms(q, terms.entropy, terms.kl), objective.rounding + here.rounding
    )


def _terms(model: Any, here: Any, there: Any, batch: Batch) -> Terms:
    joint, joint_there = (np.array(model.complete_log_density(at, batch)) for at in (here, there))
    weights = batch.unit_weights(False) if joint.shape[1] == len(batch) else np.ones(joint.shape[1])
    log_q, log_p = (table - np.logaddexp.reduce(table, axis=0) for table in (joint, joint_there))
    q = np.exp(log_q)

    def expected(values: Any) -> float:
        return float(np.sum(np.where(q > 0, q * np.where(q > 0, values, 0.0), 0.0) @ weights))

    return Terms(expected(joint_there), -expected(log_q), expected(log_q - log_p))
