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
    """An executor that tells the log-likelihood of every E-step, and NaN for a pass that looks for a start.

    What it returns is the other's, to the bit.
    """

    def __init__(self, executor: Executor, tell: Callable[[float], None]) -> None:
        self.executor = executor
        self.tell = tell

    def fold(self, function: Callable[[Batch], Any], source: Source) -> Any:
        result = self.executor.fold(function, source)
        self.tell(result.log_likelihood if isinstance(result, Expectation) else nan)
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
    watch : callable
        Called after every pass.
    """

    def __init__(self) -> None:
        self.watch: Callable[[], None] = lambda: None
        self.begin("", 0.0, 0)

    def begin(self, title: str, tolerance: float, max_iter: int) -> None:
        """Another model is fitted."""
        self.title, self.tolerance, self.max_iter = title, tolerance, max_iter
        self.log_likelihoods: list[float] = []
        self.began = perf_counter()

    def __call__(self, log_likelihood: float) -> None:
        if log_likelihood != log_likelihood:
            self.log_likelihoods.clear()
            self.began = perf_counter()
        else:
            self.log_likelihoods.append(log_likelihood)
        self.watch()

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
    progress, task = _display(meter, n_fits)
    began = perf_counter()

    def start_if_long() -> None:
        if perf_counter() - began > PATIENCE and not progress.live.is_started:
            progress.start()

    meter.watch = start_if_long
    try:
        yield lambda: progress.advance(task)
    finally:
        progress.stop()


def _display(meter: Meter, n_fits: int) -> tuple[Any, Any]:
    """A bar of the fits that are done, and the meter's sentence, asked for anew at every refresh."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn
    from rich.text import Text

    class Sentence(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(str(meter))

    progress = Progress(
        SpinnerColumn(), BarColumn(bar_width=20), MofNCompleteColumn(), Sentence(), console=Console(stderr=True),
        transient=True, refresh_per_second=4,
    )  # fmt: skip
    return progress, progress.add_task("", total=n_fits)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
