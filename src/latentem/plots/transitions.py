"""States of a chain on a circle, with an arrow for each transition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..latents import MarkovChain, SemiMarkovChain
from ..model import LatentVariableModel
from ..result import result_of
from .display import Display
from .style import INK, Series

WIDEST = 8.0
RADIUS = 0.26
SMALLEST = 0.02


def draw_transitions(
    what: Any, ax: Any = None, *, names: Sequence[str] | None = None, smallest: float = SMALLEST
) -> Any:
    """Draw the states of a chain on a circle, and an arrow for each transition, as wide as it is probable; see
    `TransitionDisplay`.

    Parameters
    ----------
    what : (K, K) matrix, or estimator or EMResult of a hidden Markov or semi-Markov model
    ax : matplotlib Axes, optional
        A new figure's by default.
    names : sequence of str, optional
        What the states are called.
    smallest : float
        Probabilities below have no arrow.

    Returns
    -------
    Axes
    """
    return TransitionDisplay.of(what, names=names, smallest=smallest).plot(ax).ax_


@dataclass(eq=False)
class TransitionDisplay(Display):
    """The transition matrix as a graph: node j to node k with probability Aⱼₖ.

    Widths are proportional to probabilities, and each arrow carries its number.

    Attributes
    ----------
    matrix : (K, K)
    names : tuple of str
    smallest : float
        Probabilities below have no arrow.
    """

    matrix: FloatArray
    names: tuple[str, ...]
    smallest: float = SMALLEST

    @classmethod
    def of(cls, what: Any, *, names: Sequence[str] | None = None, smallest: float = SMALLEST) -> Self:
        """The matrix of a fitted chain, or one that is given.

        Raises
        ------
        ParameterError
            Not a chain whose matrix is the same in all rows, not a matrix of probabilities, or another number of names.
        """
        matrix = _matrix(what)
        k = len(matrix)
        if matrix.ndim != 2 or matrix.shape != (k, k) or not k or not _is_stochastic(matrix):
            raise ParameterError(f"expected probabilities (K, K) whose rows add to 1, got shape {matrix.shape}")
        chosen = tuple(map(str, range(k) if names is None else names))
        if len(chosen) != k:
            raise ParameterError(f"expected a name for each of {k} states, got {len(chosen)}")
        return cls(matrix, chosen, smallest)

    @property
    def widths(self) -> FloatArray:
        """(K, K): of the arrows, in points; 0 where there is none."""
        return np.where(self.matrix >= self.smallest, WIDEST * self.matrix, 0.0)

    @property
    def places(self) -> FloatArray:
        """(K, 2): the states on a circle, the first at the top, clockwise."""
        k = len(self.matrix)
        if k == 2:
            return np.array([[-1.0, 0.0], [1.0, 0.0]])
        turn = np.pi / 2 - 2 * np.pi * np.arange(k) / k
        return np.stack([np.cos(turn), np.sin(turn)], axis=1) * (k > 1) * max(1.0, k / 4)

    @property
    def radius(self) -> float:
        """Of the states."""
        return RADIUS * max(1.0, len(self.matrix) / 6)

    def _draw(self, ax: Any) -> Any:
        places, widths, radius = self.places, self.widths, self.radius
        for j, k in zip(*np.nonzero(widths), strict=True):
            curve = _loop(places[j], radius) if j == k else _bow(places[j], places[k], radius)
            _draw_arrow(ax, curve, widths[j, k], Series(int(j)), f"{self.matrix[j, k]:.2f}")
        for k, place in enumerate(places):
            _draw_state(ax, place, radius, Series(k), self.names[k])
        reach = np.abs(places).max(axis=0) + 3.4 * radius
        ax.set_xlim(-reach[0], reach[0])
        ax.set_ylim(-reach[1], reach[1])
        ax.set_aspect("equal")
        ax.set_axis_off()
        return ax


def _matrix(what: Any) -> FloatArray:
    if hasattr(what, "transmat_"):
        return np.asarray(what.transmat_, float)
    if isinstance(what, np.ndarray | list | tuple):
        return np.asarray(what, float)
    result = result_of(what)
    chain = result.model.latent if isinstance(result.model, LatentVariableModel) else None
    if not isinstance(chain, MarkovChain | SemiMarkovChain):
        found = type(result.model if chain is None else chain).__name__
        raise ParameterError(f"expected a chain with one matrix for all rows, got {found}; give a matrix (K, K)")
    return np.asarray(result.parameters.latent.transition, float)


def _is_stochastic(matrix: FloatArray) -> bool:
    return bool(np.all(matrix >= 0) and np.allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-6))


def _bow(start: FloatArray, end: FloatArray, radius: float) -> FloatArray:
    """(3, 2): a quadratic curve from one state's rim to another's, bent to its left, so that two arrows part."""
    along = end - start
    length = float(np.hypot(*along))
    left = np.array([-along[1], along[0]]) / length
    control = 0.5 * (start + end) + left * 0.22 * length
    rims = [place + radius * _unit(control - place) for place in (start, end)]
    return np.array([rims[0], control, rims[1]])


def _loop(place: FloatArray, radius: float) -> FloatArray:
    """(4, 2): a cubic curve out of a state, away from the centre, and back into it."""
    outward = np.arctan2(place[1], place[0]) if place.any() else np.pi / 2
    angles = outward + np.array([0.5, 0.62, -0.62, -0.5])
    radii = radius * np.array([1.0, 3.6, 3.6, 1.0])
    return np.asarray(place + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.hypot(*vector))


def _at(curve: FloatArray, t: float) -> FloatArray:
    """A point of a Bézier curve, by de Casteljau's division."""
    while len(curve) > 1:
        curve = (1 - t) * curve[:-1] + t * curve[1:]
    return np.asarray(curve[0])


def _draw_arrow(ax: Any, curve: FloatArray, width: float, series: Series, label: str) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE3 if len(curve) == 3 else Path.CURVE4] * (len(curve) - 1)]
    ax.add_patch(
        FancyArrowPatch(
            path=Path(curve, codes), arrowstyle="-|>", mutation_scale=8 + 1.5 * width, linewidth=width,
            color=series.colour, alpha=0.85, zorder=2, shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip
    # Nearer to where it begins: curves that cross do so in the middle.
    x, y = _at(curve, 0.5 if len(curve) == 4 else 0.3)
    ax.text(
        x, y, label, ha="center", va="center", fontsize="small", color=INK, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1.5},
    )  # fmt: skip


def _draw_state(ax: Any, place: FloatArray, radius: float, series: Series, name: str) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(Circle(tuple(place), radius, facecolor="white", edgecolor=series.colour, linewidth=2.5, zorder=3))
    size = "large" if len(name) <= 3 else "medium" if len(name) <= 6 else "x-small"
    ax.text(*place, name, ha="center", va="center", color=INK, fontsize=size, zorder=4)
