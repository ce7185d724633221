"""What `fit` asks of another E-step: to make a result of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..data import Source
from ..em import Acceleration, Executor, run
from ..errors import ParameterError
from ..model import Latent, LatentVariableModel, ModelParameters
from ..result import EMResult, Iteration, Status


@dataclass(frozen=True)
class Task:
    """A model, data and a start, and the options of a fit.

    Attributes
    ----------
    seed : int
        Of what is drawn.
    """

    model: LatentVariableModel
    source: Source
    start: ModelParameters
    executor: Executor
    acceleration: Acceleration | None
    tol: float
    max_iter: int
    callbacks: tuple[Callable[[Iteration], object], ...]
    seed: int

    def with_latent(self, latent: Latent[Any, Any]) -> LatentVariableModel:
        """The model with a latent around its own."""
        return replace(self.model, latent=latent)

    def climb(self, model: LatentVariableModel, start: ModelParameters, max_iter: int) -> EMResult:
        """Plain EM for a model that stands in for the task's."""
        return run(
            model,
            self.source,
            start,
            executor=self.executor,
            tol=self.tol,
            max_iter=max_iter,
            callbacks=self.callbacks,
        )

    def finish(self, start: ModelParameters, passes: int, by: str) -> EMResult:
        """EM, after so many passes that led to its start; they are counted, and `by` says what they were."""
        result = run(
            self.model,
            self.source,
            start,
            executor=self.executor,
            acceleration=self.acceleration,
            tol=self.tol,
            max_iter=max(0, self.max_iter - passes),
            callbacks=self.callbacks,
        )
        return replace(result, n_iter=result.n_iter + passes, algorithm=f"{by}, then {result.algorithm}")

    def ended(self, parameters: ModelParameters, passes: int, by: str, status: Status) -> EMResult:
        """The result at parameters where nothing goes on: of the model itself, evaluated there."""
        result = run(self.model, self.source, parameters, executor=self.executor, max_iter=0)
        return replace(result, n_iter=passes, status=status, algorithm=by)


class EStep(ABC):
    """Another E-step, by which a fit begins."""

    @abstractmethod
    def fit(self, task: Task) -> EMResult:
        """The result of a task; `n_iter` counts all passes over the data."""


def was_stopped(status: Status) -> bool:
    """Whether the user or a callback wants no more."""
    return status in (Status.INTERRUPTED, Status.STOPPED)


def demand_whole(name: str, value: Any, least: int) -> None:
    """A `ParameterError` where an option is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterError(f"{name} must be a whole number of at least {least}, got {value!r}")
