"""What watches a fit: scikit-learn's callbacks, and progress in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter
from typing import Any

from ..em import RemainingGain
from ..result import EMResult, Iteration, Step

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


@dataclass
class Tasks:
    """Tells scikit-learn's callbacks of the tasks of a fit: the fit, its starts, and their iterations.

    Attributes
    ----------
    estimator : Mixture
    data : dict
        X, y and metadata as the callbacks get them.
    """

    estimator: Any
    data: dict[str, Any]
    root: Any = None

    @property
    def listening(self) -> bool:
        return self.root is not None and bool(getattr(self.estimator, "_skl_callbacks", ()))

    def begin(self, n_starts: int | None) -> None:
        """The fit begins."""
        if hasattr(self.estimator, "_init_callback_context"):
            self.root = self.estimator._init_callback_context(max_subtasks=n_starts)
            self.root.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, attributes: dict[str, Any]) -> None:
        """The fit ends."""
        if self.root is not None:
            self.root.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=lambda: attributes
            )

    def start(self, max_iter: int) -> Any:
        """One of the starts begins; its context, or None where nobody listens."""
        return self.open(self.root, "start", max_iter) if self.listening else None

    def open(self, parent: Any, name: str, max_subtasks: int) -> Any:
        context = parent.subcontext(task_name=name, max_subtasks=max_subtasks)
        return context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def close(self, context: Any, attributes: Callable[[], dict[str, Any]]) -> bool:
        """A start or an iteration ends; whether a callback asks to stop."""
        return bool(
            context.call_on_fit_task_end(estimator=self.estimator, **self.data, reconstruction_attributes=attributes)
        )


@dataclass
class Watcher:
    """Called with every iteration of one start; True stops it."""

    tasks: Tasks
    rule: RemainingGain
    max_iter: int
    attributes: Callable[[Any], dict[str, Any]]
    start: Any = None
    current: Any = None
    last: Iteration | None = field(default=None)

    def __call__(self, iteration: Iteration) -> bool:
        self.last = iteration
        stop = False
        if self.current is not None and iteration.step is not Step.START:
            stop = self.tasks.close(self.current, lambda: self.attributes(iteration.parameters))
            self.current = None
        if self.start is not None and not stop and self._goes_on(iteration):
            self.current = self.tasks.open(self.start, "iteration", 0)
        return stop

    def _goes_on(self, iteration: Iteration) -> bool:
        return iteration.index < self.max_iter and self.rule.status(iteration) is None

    def finish(self, parameters: Any) -> bool:
        """The start ends (an iteration that was broken off ends with it); whether a callback asks to stop."""
        attributes = lambda: self.attributes(parameters)  # noqa: E731
        if self.current is not None:
            self.tasks.close(self.current, attributes)
        return self.start is not None and self.tasks.close(self.start, attributes)


@dataclass
class Progress:
    """Prints the course of a start.

    Attributes
    ----------
    verbose : int
        0: nothing; 1: starts and passes; 2 and more: log-likelihood, gain and time as well.
    every : int
        Passes from one line to the next.
    weight : float
        Sum of the weights: the log-likelihood is printed per unit of weight.
    """

    verbose: int
    every: int
    weight: float
    began: float = field(default_factory=perf_counter)

    def begin(self, start: int) -> None:
        if self.verbose:
            self._say(f"Start {start}")

    def __call__(self, iteration: Iteration) -> None:
        if not self.verbose or iteration.step is Step.START or iteration.index % self.every:
            return
        line = f"  pass {iteration.index}"
        if self.verbose > 1:
            gain = f", gain {iteration.gain / self.weight:.3g}" if isfinite(iteration.gain) else ""
            line += f": mean log-likelihood {iteration.log_likelihood / self.weight:.6f}{gain}{self._elapsed()}"
        self._say(line)

    def end(self, result: EMResult) -> None:
        if self.verbose:
            self._say(f"  {result.status.value}" + (self._elapsed() if self.verbose > 1 else ""))

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")

    def _elapsed(self) -> str:
        return f" ({perf_counter() - self.began:.2f} s)"
