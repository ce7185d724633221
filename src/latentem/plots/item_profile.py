"""What the classes of a latent class analysis answer to each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..families.bernoulli import BernoulliParameters
from ..families.categorical import CategoryParameters
from ..result import result_of
from .display import Display
from .rows import names_of
from .style import Series, tidy


def draw_item_profile(fitted: Any, ax: Any = None, *, names: Sequence[str] | None = None) -> Any:
    """Draw the probability of each answer in each class, a line for each class; see `ItemProfileDisplay`.

    Parameters
    ----------
    fitted : estimator, or EMResult with categorical or Bernoulli columns
    ax : matplotlib Axes, optional
        A new figure's by default.
    names : sequence of str, optional
        Of the items; by default those seen at the fit.

    Returns
    -------
    Axes
    """
    return ItemProfileDisplay.from_estimator(fitted, names=names).plot(ax).ax_


@dataclass(eq=False)
class ItemProfileDisplay(Display):
    """p(x_d = c | z = k): of an item with two categories for the second one, of others for each.

    Attributes
    ----------
    probabilities : (K, answers)
    answers : tuple of str
        "item = category".
    weights : (K,)
        Of the classes, NaN where the model has none of its own.
    """

    probabilities: FloatArray
    answers: tuple[str, ...]
    weights: FloatArray

    @classmethod
    def from_estimator(cls, fitted: Any, *, names: Sequence[str] | None = None) -> Self:
        """The classes of a fitted model.

        Raises
        ------
        ParameterError
            Its columns are neither categories nor zeros and ones, or there is another number of names.
        """
        parameters = result_of(fitted).parameters
        tables = _tables(getattr(parameters, "emission", None))
        if tables is None:
            raise ParameterError(
                f"{type(fitted).__name__} has no categorical or Bernoulli columns whose answers could be drawn"
            )
        items = names_of(fitted, None, len(tables)) if names is None else tuple(map(str, names))
        if len(items) != len(tables):
            raise ParameterError(f"expected a name for each of {len(tables)} items, got {len(items)}")
        known = getattr(fitted, "categories_", [range(table.shape[1]) for table in tables])
        columns, answers = [], []
        for item, table, categories in zip(items, tables, known, strict=True):
            shown = [1] if table.shape[1] == 2 else range(table.shape[1])
            columns += [table[:, c] for c in shown]
            answers += [f"{item} = {categories[c]}" for c in shown]
        weights = getattr(parameters.latent, "weights", np.full(len(tables[0]), np.nan))
        return cls(np.stack(columns, axis=1), tuple(answers), np.asarray(weights))

    def _draw(self, ax: Any) -> Any:
        places = np.arange(len(self.answers))
        for k, (row, weight) in enumerate(zip(self.probabilities, self.weights, strict=True)):
            series = Series(k)
            share = "" if np.isnan(weight) else f" ({weight:.0%})"
            ax.plot(
                places, row, color=series.colour, linestyle=series.line, linewidth=1.6, marker=series.marker,
                markersize=7, label=f"class {k}{share}",
            )  # fmt: skip
        crowded = max(map(len, self.answers)) * len(places) > 60
        ax.set_xticks(places, self.answers, **({"rotation": 45, "ha": "right"} if crowded else {}))
        ax.set_xlim(-0.3, len(places) - 0.7)
        ax.set_ylim(-0.03, 1.03)
        ax.set_ylabel("probability of the answer")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return tidy(ax)


def _tables(emission: Any) -> list[FloatArray] | None:
    """(K, C_d) for each column, or None."""
    if isinstance(emission, CategoryParameters):
        return [np.asarray(column.probabilities) for column in emission.columns]
    if not isinstance(emission, BernoulliParameters):
        return None
    return [np.stack([1 - column, column], axis=1) for column in np.asarray(emission.probabilities).T]
