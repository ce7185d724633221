"""Items of a test: the probability of a right answer, and the information that it gives, against ability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit

from .._typing import FloatArray
from ..errors import ParameterError
from ..result import result_of
from .display import Display
from .style import INK, Series, axes_or_new, tidy

GRID = 241


def draw_item_curves(
    difficulty: Any, discrimination: Any = 1.0, ax: Any = None, *, names: Sequence[str] | None = None
) -> Any:
    """Draw the probability of a right answer to each item against ability; see `ItemDisplay`.

    Parameters
    ----------
    difficulty, discrimination : (J,), or numbers
        b and a of logit p = a (z - b).
    ax : matplotlib Axes, optional
        A new figure's by default.
    names : sequence of str, optional
        Of the items.

    Returns
    -------
    Axes
    """
    return ItemDisplay.from_parameters(difficulty, discrimination, names=names).plot(ax).ax_


def draw_test_information(
    difficulty: Any, discrimination: Any = 1.0, ax: Any = None, *, names: Sequence[str] | None = None
) -> Any:
    """Draw what each item, and the whole test, tell of ability; see `ItemDisplay`.

    Parameters
    ----------
    difficulty, discrimination : (J,), or numbers
        b and a of logit p = a (z - b).
    ax : matplotlib Axes, optional
        A new figure's by default.
    names : sequence of str, optional
        Of the items.

    Returns
    -------
    Axes
    """
    return ItemDisplay.from_parameters(difficulty, discrimination, names=names).plot_information(ax).ax_


@dataclass(eq=False)
class ItemDisplay(Display):
    """Items of the two-parameter logistic model, p(right | z) = 1 / (1 + exp(-a (z - b))) (Birnbaum 1968).

    An item's Fisher information of z is a² p (1 - p); those of the items add to that of the test, whose inverse root is
    the standard error of an ability that is estimated from the answers.  `plot` draws probabilities, `plot_information`
    information.

    Attributes
    ----------
    difficulty, discrimination : (J,)
        b, on the scale of z, and a.
    names : tuple of str
    abilities : (m,)
        z at which the curves are drawn.
    """

    difficulty: FloatArray
    discrimination: FloatArray
    names: tuple[str, ...]
    abilities: FloatArray

    @classmethod
    def from_parameters(
        cls, difficulty: Any, discrimination: Any = 1.0, *, names: Sequence[str] | None = None, abilities: Any = None
    ) -> Self:
        """Items by their difficulties and discriminations.

        Raises
        ------
        ParameterError
            Numbers that are not finite, discriminations of 0, or another number of names.
        """
        b, a = np.broadcast_arrays(np.atleast_1d(np.asarray(difficulty, float)), np.asarray(discrimination, float))
        if b.ndim != 1 or not np.all(np.isfinite(b) & np.isfinite(a) & (a != 0)):
            raise ParameterError("expected a finite difficulty, and a finite discrimination, not 0, for each item")
        chosen = tuple(f"item {j + 1}" for j in range(len(b))) if names is None else tuple(map(str, names))
        if len(chosen) != len(b):
            raise ParameterError(f"expected a name for each of {len(b)} items, got {len(chosen)}")
        grid = _around(b) if abilities is None else np.asarray(abilities, float)
        return cls(np.array(b), np.array(a), chosen, grid)

    @classmethod
    def from_result(
        cls, fitted: Any, intercept: str = "easiness", slope: str = "slope", *, names: Sequence[str] | None = None
    ) -> Self:
        """Items of a fitted declared model whose logit is intercept + slope · z: b = -intercept / slope, a = slope.

        Parameters
        ----------
        fitted : EMResult of a declared model
        intercept, slope : str
            What it calls these parameters, (J,) each; the slope may be one number for all.

        Raises
        ------
        ParameterError
            There are no such parameters.
        """
        arrays = result_of(fitted).parameters.arrays()
        lacking = [name for name in (intercept, slope) if name not in arrays]
        if lacking:
            raise ParameterError(f"there is no parameter {lacking[0]!r}; there are {', '.join(arrays)}")
        a = np.asarray(arrays[slope], float)
        return cls.from_parameters(-np.asarray(arrays[intercept], float) / a, a, names=names)

    @property
    def probabilities(self) -> FloatArray:
        """(J, m)."""
        return np.asarray(expit(self.discrimination[:, None] * (self.abilities - self.difficulty[:, None])))

    @property
    def information(self) -> FloatArray:
        """(J, m): of each item."""
        p = self.probabilities
        return np.asarray(self.discrimination[:, None] ** 2 * p * (1 - p))

    def plot_information(self, ax: Any = None) -> Self:
        """Draw the information of the items and of the test, and beside it the standard error of an ability."""
        return self._kept(self._draw_information(axes_or_new(ax)))

    def _draw(self, ax: Any) -> Any:
        self._draw_items(ax, self.probabilities)
        ax.axhline(0.5, color="#888888", linewidth=0.8, linestyle=":")
        ax.plot(self.difficulty, np.full(len(self.difficulty), 0.5), "|", color=INK, markersize=10)
        ax.set_ylim(-0.02, 1.02)
        ax.set_ylabel("probability of a right answer")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return self._finished(ax)

    def _draw_information(self, ax: Any) -> Any:
        information = self.information
        total = information.sum(axis=0)
        ax.plot(self.abilities, total, color=INK, linewidth=2.4, label="the test")
        self._draw_items(ax, information)
        best = int(total.argmax())
        ax.plot(
            self.abilities[best], total[best], "o", color=INK, markersize=6,
            label=f"standard error {total[best] ** -0.5:.2g} at {self.abilities[best]:.2g}, its smallest",
        )  # fmt: skip
        ax.set_ylim(0, 1.08 * float(total.max()))
        ax.set_ylabel("information")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return self._finished(ax)

    def _draw_items(self, ax: Any, curves: FloatArray) -> None:
        every = max(1, len(self.abilities) // 12)
        for j, (name, curve) in enumerate(zip(self.names, curves, strict=True)):
            series = Series(j)
            ax.plot(
                self.abilities, curve, color=series.colour, linestyle=series.line, linewidth=1.6, marker=series.marker,
                markersize=5, markevery=(j * every // max(len(curves), 1), every), label=name,
            )  # fmt: skip

    def _finished(self, ax: Any) -> Any:
        ax.set_xlim(self.abilities[0], self.abilities[-1])
        ax.set_xlabel("ability z")
        return tidy(ax)


def _around(difficulty: FloatArray) -> FloatArray:
    """Abilities from -4 to 4, and further where difficulties are."""
    return np.linspace(min(-4.0, float(difficulty.min()) - 1), max(4.0, float(difficulty.max()) + 1), GRID)
