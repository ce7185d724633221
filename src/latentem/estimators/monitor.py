"""hmmlearn's record of a fit, with an honest `converged`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from math import nan
from typing import Any, ClassVar

from ..result import Iteration, Status


@dataclass(repr=False)
class ConvergenceMonitor:
    """What a fit of a hidden Markov model reports: the objective after each pass, and why it stopped.

    Parameters
    ----------
    tol : float
        The remaining gain at which a fit stops.
    n_iter : int
        Passes, at most.
    verbose : bool
        Whether every pass is printed to `sys.stderr`.

    Attributes
    ----------
    history : list of float
        The objective (the log-likelihood where priors are flat) at the start and after each iteration.
    iter : int
        Number of entries that were reported.
    status : Status or None
        Why the last fit stopped.
    """

    tol: float
    n_iter: int
    verbose: bool
    history: list[float] = field(default_factory=list)
    iter: int = 0
    status: Status | None = None

    _template: ClassVar[str] = "{iter:>10d} {log_prob:>16.8f} {delta:>+16.8f}"

    def __repr__(self) -> str:
        return (
            f"ConvergenceMonitor(tol={self.tol}, n_iter={self.n_iter}, iter={self.iter}, converged={self.converged}, "
            f"history={self.history})"
        )

    def report(self, log_prob: float) -> None:
        """Take in the objective of the next iteration."""
        if self.verbose:
            delta = log_prob - self.history[-1] if self.history else nan
            sys.stderr.write(self._template.format(iter=self.iter + 1, log_prob=log_prob, delta=delta) + "\n")
        self.history.append(log_prob)
        self.iter += 1

    @property
    def converged(self) -> bool:
        """Whether the last fit converged: never by running out of passes, never by a fall of the objective."""
        return self.status is not None and self.status.converged

    def _reset(self) -> None:
        self.history.clear()
        self.iter, self.status = 0, None


@dataclass
class Reporting:
    """Called with every iteration of a fit: reports it to a monitor, and stops the fit where the user's own says so.

    A monitor of another class than ours, or of a subclass that redefines `converged`, decides by itself when to stop,
    in place of the estimator's `tol`.
    """

    monitor: Any

    def __post_init__(self) -> None:
        if hasattr(self.monitor, "_reset"):
            self.monitor._reset()
        self.decides = type(self.monitor).converged is not ConvergenceMonitor.converged

    def __call__(self, iteration: Iteration) -> bool:
        self.monitor.report(iteration.objective)
        return self.decides and bool(self.monitor.converged)

    def end(self, status: Status) -> None:
        """The fit ends."""
        if not self.decides:
            self.monitor.status = status
