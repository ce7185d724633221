"""What all displays share: numbers that are computed once, and drawn as often as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from ..em import Problem
from ..errors import ParameterError
from ..execution.opening import opened
from ..inference.examined import rows_for
from ..result import result_of
from .style import axes_or_new


class Display:
    """Numbers of a picture; `plot` draws them.

    Attributes
    ----------
    ax_, figure_ : Axes, Figure
        Of the last picture.
    """

    ax_: Any
    figure_: Any

    def plot(self, ax: Any = None) -> Self:
        """Draw the numbers on these axes, or on those of a new figure."""
        return self._kept(self._draw(axes_or_new(ax)))

    def _kept(self, ax: Any) -> Self:
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Replay:
    """A fit whose way can be gone again: the model on its data, and where the fit began."""

    problem: Problem
    start: Any


@contextmanager
def replay(fitted: Any) -> Iterator[Replay]:
    """What is needed to go the way of a fit again.

    Raises
    ------
    ParameterError
        The result has no data with it, or does not know where it began.
    """
    result = result_of(fitted)
    if result.source is None or result.start is None:
        lack = "no data with it" if result.source is None else "no start with it"
        raise ParameterError(f"the result has {lack} (it was loaded, or came of a stream); fit again and draw that fit")
    with opened(None) as workers:
        rows = rows_for(result.model, result.source, workers)
        yield Replay(Problem(result.model, rows, workers), result.start)
