"""What the loop asks of a model with a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..data import Batch
from ..statistics import Expectation, Statistics


@dataclass(frozen=True)
class PerUnit(Statistics):
    """Arrays with an entry for each unit of the data; `+` puts those of later chunks after those of earlier ones."""

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        names = [item.name for item in fields(self)]
        return type(self)(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


@dataclass(frozen=True)
class Simulation(Statistics):
    """What a simulated E-step leaves behind.

    Attributes
    ----------
    statistics : Statistics
        With latent variables drawn given the data: unbiased, or nearly so, for the expected ones.
    state : PerUnit
        Of the sampler, from which the next E-step goes on.
    """

    statistics: Any
    state: Any


class Simulator(ABC):
    """A model with a sampler of its latent variables, whose statistics form a vector space."""

    @abstractmethod
    def begin(self, parameters: Any, batch: Batch) -> PerUnit:
        """The batch's share of the sampler's state at the start."""

    @abstractmethod
    def simulate(self, parameters: Any, state: Any, index: int, batch: Batch) -> Simulation:
        """The batch's share of a simulated E-step at θ; `state` is that of all the data, `index` the iteration."""

    @abstractmethod
    def maximize(self, statistics: Any, simulated: Any, parameters: Any) -> Any:
        """argmax_θ of Q plus the log prior for averaged statistics; `simulated` are the latest, simulated at θ."""

    @abstractmethod
    def information(self, statistics: Any, parameters: Any) -> FloatArray:
        """(p, p): -∇² of Q plus the log prior at θ, on the unconstrained scale."""

    @abstractmethod
    def e_step(self, parameters: Any, batch: Batch) -> Expectation:
        """The batch's share of an estimate of the log-likelihood."""

    @abstractmethod
    def log_prior(self, parameters: Any) -> float: ...

    @abstractmethod
    def variance(self, expectation: Expectation) -> float:
        """The Monte Carlo variance of that estimate."""

    @abstractmethod
    def sharper(self, n_rows: int) -> Simulator | None:
        """The same with a finer estimate of the log-likelihood of so many rows, or None."""
