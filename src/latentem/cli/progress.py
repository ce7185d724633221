"""Progress of a fit on the terminal: pass, log-likelihood, expected time left.  Nothing where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite, log, nan
from time import perf_counter
from typing import Any

from ..data import Batch, Source
from ..em import Executor
from ..statistics import Expectation

PATIENCE = 0.5  # seconds before anything is shown: short fits stay quiet


class Watched(Executor):
    """An executor that tells of every E-step over the whole data; what it returns is the other's, to the bit."""

    def __init__(self, executor: Executor, tell: Callable[[float], None]) -> None:
        self.executor = executor
        self.tell = tell

    def fold(self, function: Callable[[Batch], Any], source: Source) -> Any:
        result = self.executor.fold(function, source)
        if isinstance(result, Expectation):
            self.tell(result.log_likelihood)
        return result


def passes_left(log_likelihoods: list[float], tolerance: float, limit: int) -> float:
    """Expected passes until the remaining gain is within `tolerance`, at most `limit`; NaN if nothing is known.

    Gains contract as g ρᵐ, and what remains after m more passes is g ρᵐ⁺¹ / (1 - ρ).
    """
    if len(log_likelihoods) < 3:
        return nan
    before, gain = (b - a for a, b in zip(log_likelihoods[-3:], log_likelihoods[-2:], strict=False))
    if not 0 < gain < before:
        return nan
    ratio = gain / before
    remaining = gain * ratio / (1 - ratio)
    if tolerance <= 0 or not isfinite(remaining):
        return float(limit)
    return min(max(log(tolerance / remaining) / log(ratio), 0.0), float(limit))


class Meter:
    """What is known of the fit that runs.

    Attributes
    ----------
    tolerance : float
        Of the remaining gain of the log-likelihood, summed over rows.
    """

    def __init__(self) -> None:
        self.begin("", 0.0, 0)

    def begin(self, title: str, tolerance: float, max_iter: int) -> None:
        """Another model is fitted."""
        self.title, self.tolerance, self.max_iter = title, tolerance, max_iter
        self.log_likelihoods: list[float] = []
        self.began = perf_counter()

    def __call__(self, log_likelihood: float) -> None:
        self.log_likelihoods.append(log_likelihood)

    def __str__(self) -> str:
        passes = len(self.log_likelihoods)
        if not passes:
            return f"{self.title}: finding a start"
        text = f"{self.title}: pass {passes}, log-likelihood {self.log_likelihoods[-1]:.6g}"
        left = passes_left(self.log_likelihoods, self.tolerance, max(self.max_iter - passes, 0))
        return text if left != left else f"{text}, about {_duration(left * self._seconds_a_pass)} left"

    @property
    def _seconds_a_pass(self) -> float:
        return (perf_counter() - self.began) / len(self.log_likelihoods)


@contextmanager
def shown(meter: Meter, n_fits: int, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show the meter until the block ends, on a terminal only; yields what to call when a fit is done."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    class Reading(TextColumn):
        """Asks the meter at every refresh."""

        def get_renderable(self, task: Any) -> Any:
            task.description = str(meter) if perf_counter() - started > PATIENCE else ""
            return self.render(task)

    started = perf_counter()
    columns = (SpinnerColumn(), BarColumn(bar_width=20), MofNCompleteColumn(), Reading("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as progress:
        task = progress.add_task("", total=n_fits)
        yield lambda: progress.advance(task)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
