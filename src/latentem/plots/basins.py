"""From where EM leads to which maximum: basins of attraction over two coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..em import Executor, run
from ..errors import LatentemError, ParameterError
from ..execution.opening import opened
from ..inference.examined import ground, surface_of
from ..inference.maxima import distinct
from ..inference.surface import Surface
from ..result import EMResult, Iteration, result_of
from .display import Display
from .style import COLOURS, INK, tidy

SIZE = 15
# The square of starts reaches so many standard deviations of one complete observation from the fit.
SPREAD = 3.0
PASSES = 1000
HATCHES = ("", "//", "..", "\\\\", "xx", "oo", "++", "--")
Ranges = tuple[tuple[float, float], tuple[float, float]]


def draw_basins(
    fitted: Any, coordinates: tuple[str, str], ax: Any = None, *, ranges: Ranges | None = None, size: int = SIZE
) -> Any:
    """Draw where EM ends from each of a grid of starts; see `BasinsDisplay`.

    Parameters
    ----------
    fitted : EMResult, or estimator
        With its data.
    coordinates : two names
        Of unconstrained coordinates, "emission.means[0,1]"; `parameters.coordinate_names()` lists them.
    ax : matplotlib Axes, optional
        A new figure's by default.
    ranges : two pairs of numbers, optional
        Between which the starts lie; by default around the fit.
    size : int
        How many starts each way.

    Returns
    -------
    Axes
    """
    return BasinsDisplay.from_result(fitted, coordinates, ranges=ranges, size=size).plot(ax).ax_


@dataclass(eq=False)
class BasinsDisplay(Display):
    """Ends of EM from a grid of starts over two coordinates; the other coordinates start where the fit ended.

    Two ends are one if they give each observation the same likelihood, so that the order of components does not count
    (see `MapOfMaxima`): one maximum may have two places in the plane.

    Attributes
    ----------
    names : (str, str)
    across, up : (m,)
        The starts' coordinates.
    ends : (m, m) of int
        To which of the maxima the start (up, across) leads; -1 where it is not in the model, or EM found no end.
    objectives : tuple of float
        Of the maxima, the highest first.
    reached : (m, m)
        The objective where each start ended; NaN where there is no end.
    paths : tuple of (t, 2)
        The way of EM from a few of the starts.
    """

    names: tuple[str, str]
    across: FloatArray
    up: FloatArray
    ends: Array
    objectives: tuple[float, ...]
    reached: FloatArray
    paths: tuple[FloatArray, ...]

    @classmethod
    def from_result(
        cls,
        fitted: Any,
        coordinates: tuple[str, str],
        *,
        ranges: Ranges | None = None,
        size: int = SIZE,
        tol: float = 1e-6,
        max_iter: int = PASSES,
    ) -> Self:
        """Run EM from each start to its end: size² fits.

        Parameters
        ----------
        fitted, coordinates, ranges, size
            See `draw_basins`.
        tol, max_iter
            See `fit`.

        Raises
        ------
        ParameterError
            The result has no data with it; there are no such two coordinates; or no start led to an end.
        """
        result = result_of(fitted)
        pair = _numbers(result, coordinates)
        if size < 2:
            raise ParameterError(f"expected at least two starts each way, got size={size}")
        with opened(None) as workers:
            surface = surface_of(result, workers)
            (low, high), (bottom, top) = _around(surface, result, pair) if ranges is None else ranges
            across, up = np.linspace(low, high, size), np.linspace(bottom, top, size)
            climbs = _climbs(surface, result, pair, across, up, (workers, tol, max_iter))
        if all(one.result is None for one in climbs):
            raise ParameterError(f"EM came to no end from any of {size}² starts: move the ranges, or raise max_iter")
        groups = distinct([one.result for one in climbs if one.result is not None], result.source)
        number = {id(member): k for k, group in enumerate(groups) for member in group}
        ends = np.array([-1 if one.result is None else number[id(one.result)] for one in climbs])
        reached = np.array([np.nan if one.result is None else one.result.objective for one in climbs])
        paths = tuple(np.array(climbs[i].path) for i in _few(size) if climbs[i].result is not None)
        names = (coordinates[0], coordinates[1])
        objectives = tuple(group[0].objective for group in groups)
        return cls(names, across, up, ends.reshape(size, size), objectives, reached.reshape(size, size), paths)

    @property
    def shares(self) -> FloatArray:
        """Of all starts, that lead to each maximum."""
        return np.array([np.mean(self.ends == k) for k in range(len(self.objectives))])

    def _draw(self, ax: Any) -> Any:
        for k, (objective, share) in enumerate(zip(self.objectives, self.shares, strict=True)):
            self._fill(ax, k, f"log-likelihood {objective:.2f} ({share:.0%} of starts)")
        if np.any(self.ends < 0):
            ax.fill([], [], facecolor="white", edgecolor="#888888", label="no end")
        limits = _edges(self.across)[[0, -1]], _edges(self.up)[[0, -1]]
        for path in self.paths:
            ax.plot(*path.T, color=INK, linewidth=1.0, zorder=3)
            ax.plot(*path[0], "o", color=INK, markersize=3, zorder=3)
            ax.plot(*path[-1], "*", color=INK, markeredgecolor="white", markersize=12, zorder=4)
        if self.paths:
            ax.plot([], [], "-*", color=INK, linewidth=1.0, markersize=9, label="the way of EM, and its end")
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
        ax.set_xlabel(f"start: {self.names[0]}")
        ax.set_ylabel(f"start: {self.names[1]}")
        columns = 1 if len(self.objectives) <= 3 else 2
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
        tidy(ax)
        ax.grid(visible=False)
        return ax

    def _fill(self, ax: Any, k: int, label: str) -> None:
        colour, hatch = COLOURS[k % len(COLOURS)], HATCHES[k % len(HATCHES)]
        own = np.ma.masked_where(self.ends != k, self.ends)
        light = _light(colour)
        ax.pcolor(
            _edges(self.across), _edges(self.up), own, cmap=_one_colour(light), edgecolor=colour, linewidth=0,
            hatch=hatch, antialiased=False, zorder=1,
        )  # fmt: skip
        ax.fill([], [], facecolor=light, edgecolor=colour, linewidth=0.5, hatch=hatch, label=label)


@dataclass
class _Climb:
    """One start: where EM ended from it, if it did, and the way there in two coordinates."""

    result: EMResult | None = None
    path: list[FloatArray] = field(default_factory=list)


def _numbers(result: EMResult, coordinates: tuple[str, str]) -> list[int]:
    known = result.parameters.coordinate_names()
    wrong = [name for name in coordinates if name not in known]
    if wrong or len(set(coordinates)) != 2:
        raise ParameterError(f"expected two coordinates of {', '.join(known)}; got {', '.join(map(str, coordinates))}")
    return [known.index(name) for name in coordinates]


def _around(surface: Surface, result: EMResult, pair: list[int]) -> Ranges:
    """About the fit, as far as complete observations scatter."""
    point, _, _, complete, _ = ground(surface, result.parameters.flatten())
    bends = np.maximum(np.diagonal(complete)[pair] / surface.units(point), 0.0)
    reach = SPREAD / np.sqrt(np.where(bends > 0, bends, SPREAD**2))
    middle = point.vector[pair]
    low, high = middle - reach, middle + reach
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _climbs(
    surface: Surface,
    result: EMResult,
    pair: list[int],
    across: FloatArray,
    up: FloatArray,
    options: tuple[Executor, float, int],
) -> list[_Climb]:
    """From each start, row by row."""
    vector, climbs = result.parameters.flatten(), []
    for y in up:
        for x in across:
            start = vector.copy()
            start[pair] = x, y
            climbs.append(_climb(surface, start, pair, options))
    return climbs


def _climb(surface: Surface, start: FloatArray, pair: list[int], options: tuple[Executor, float, int]) -> _Climb:
    climb = _Climb()
    if not surface.admits(start):
        return climb

    def seen(iteration: Iteration) -> None:
        climb.path.append(iteration.parameters.flatten()[pair])

    executor, tol, max_iter = options
    problem, parameters = surface.problem, surface.template.unflatten(start)
    try:
        found = run(
            problem.model, problem.source, parameters, executor=executor, tol=tol, max_iter=max_iter, callbacks=[seen]
        )  # fmt: skip
    except (LatentemError, ArithmeticError):
        return climb
    climb.result = found if found.converged else None
    return climb


def _few(size: int) -> list[int]:
    """The numbers of nine starts, three each way."""
    places = sorted({round(share * (size - 1)) for share in (0.1, 0.5, 0.9)})
    return [row * size + column for row in places for column in places]


def _edges(middles: FloatArray) -> FloatArray:
    """The sides of cells around evenly spaced numbers."""
    half = 0.5 * (middles[1] - middles[0])
    return np.append(middles - half, middles[-1] + half)


def _light(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(0.35 * part + 0.65 for part in to_rgb(colour))


def _one_colour(colour: tuple[float, ...]) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])
