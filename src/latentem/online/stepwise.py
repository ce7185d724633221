"""Stepwise (online) EM: statistics that forget, S ← (1 - γ) S + γ s, and an M-step after each batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import ParameterError
from ..model import LatentVariableModel
from ..statistics import Expectation, moved_like


@dataclass(frozen=True)
class StepSize:
    """γₜ = (t + delay)^-exponent for the batches t = 2, 3, …; the first has γ = 1.

    Σ γ diverges and Σ γ² converges, as stochastic approximation asks, for ½ < exponent ≤ 1 (Cappé and Moulines
    2009).  An exponent of 1 without delay weighs all batches alike; smaller ones forget faster, and go with an
    average of θ.

    Attributes
    ----------
    exponent : float
        κ, ½ < κ ≤ 1.
    delay : float
        t₀ ≥ 0: larger ones keep the first batches' steps small.

    Raises
    ------
    ParameterError
        κ or t₀ out of its range.
    """

    exponent: float = 0.6
    delay: float = 0.0

    def __post_init__(self) -> None:
        if not 0.5 < self.exponent <= 1:
            raise ParameterError(f"the exponent must be above 1/2 and at most 1, got {self.exponent!r}")
        if not 0 <= self.delay < float("inf"):
            raise ParameterError(f"the delay must be finite and at least 0, got {self.delay!r}")

    def __call__(self, t: int) -> float:
        """γ of the batch t, counted from 1."""
        return 1.0 if t <= 1 else float((t + self.delay) ** -self.exponent)


@dataclass(frozen=True)
class OnlineState:
    """Where stepwise EM stands: all that it keeps of the data.

    Attributes
    ----------
    parameters : ModelParameters
        θ after the last batch.
    statistics : Statistics or None
        S, for a unit of weight; None before the first batch.
    step : int
        Batches so far.
    weight : float
        Sum of the weights of their units.
    n_rows : int
    log_likelihood, magnitude : float
        Σ w log p(x; θ) of each batch at the θ before it: how well rows were foreseen; and the size of its terms.
    mean : ModelParameters or None
        The mean of θ over the last `averaged` batches (Polyak and Juditsky 1992).
    averaged : int
    """

    parameters: Any
    statistics: Any = None
    step: int = 0
    weight: float = 0.0
    n_rows: int = 0
    log_likelihood: float = 0.0
    magnitude: float = 0.0
    mean: Any = None
    averaged: int = 0

    @property
    def best(self) -> Any:
        """The mean of θ where there is one, else θ."""
        return self.parameters if self.mean is None else self.mean

    @property
    def expectation(self) -> Expectation:
        """Statistics as of all weight seen so far, with the log-likelihood of batches before they were learnt."""
        return Expectation(self.statistics * self.weight, self.log_likelihood, self.magnitude, self.weight)


def stepped(
    model: LatentVariableModel,
    state: OnlineState,
    found: Expectation,
    n_rows: int,
    *,
    step_size: StepSize,
    average_from: int | None = None,
    warm_up: float = 0.0,
    most_weight: float = float("inf"),
) -> OnlineState:
    """The state after a batch, of which the expectation at `state.parameters` is known.

    Parameters
    ----------
    model : LatentVariableModel
        As `additive` gives it.
    average_from : int, optional
        The batch with which the mean of θ begins.
    warm_up : float
        Weight that must have been seen before the first M-step.
    most_weight : float
        Weight of the data, where they are read several times: what a prior is weighed against.

    Returns
    -------
    OnlineState
        As it was, where the batch has no weight.
    """
    if not found.weight > 0:
        return state
    step, weight = state.step + 1, state.weight + found.weight
    statistics = found.statistics * (1 / found.weight)
    if state.statistics is not None:
        gamma = step_size(step)
        statistics = moved_like(state.statistics, statistics) * (1 - gamma) + statistics * gamma
    theta = state.parameters
    if weight >= warm_up:
        theta = model.m_step(statistics * min(weight, most_weight), theta)
    moved = replace(
        state,
        parameters=theta,
        statistics=statistics,
        step=step,
        weight=weight,
        n_rows=state.n_rows + n_rows,
        log_likelihood=state.log_likelihood + found.log_likelihood,
        magnitude=state.magnitude + found.magnitude,
    )
    return moved if average_from is None or step < average_from else _averaged(model, moved)


def _averaged(model: LatentVariableModel, state: OnlineState) -> OnlineState:
    n, theta = state.averaged + 1, state.parameters
    return replace(state, mean=theta if n == 1 else model.conform(state.mean.blend(theta, 1 / n)), averaged=n)
