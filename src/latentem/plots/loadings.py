"""Loadings of a factor model as a table of colours and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from .display import Display
from .style import INK

LIGHT_TEXT = 0.6


def draw_loadings(loadings: Any, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw loadings (p, q): a row for each column of the data, a column for each factor.

    Rows are ordered by the factor that they load on most, and by how much, so that simple structure shows as blocks.

    Parameters
    ----------
    loadings : (p, q), or a fitted `FactorAnalysis`
        Of an estimator, in units of the columns' standard deviations.
    names : sequence of str, optional
        What the columns are called; an estimator may know it itself.
    ax : matplotlib Axes, optional
        A new figure's by default.

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        No loadings, or another number of names.
    """
    return LoadingsDisplay.from_estimator(loadings, names).plot(ax).ax_


@dataclass(eq=False)
class LoadingsDisplay(Display):
    """Loadings in blocks: rows ordered by the factor that they load on most, and by how much.

    Attributes
    ----------
    table : (p, q)
    names : tuple of str
        Of its rows.
    """

    table: FloatArray
    names: tuple[str, ...]

    @classmethod
    def from_estimator(cls, loadings: Any, names: Sequence[str] | None = None) -> Self:
        """Of a fitted `FactorAnalysis`, in units of the columns' standard deviations; or a table as it is.

        Raises
        ------
        ParameterError
            No loadings, or another number of names.
        """
        table, known = _standardized(loadings)
        names = known if names is None else list(map(str, names))
        if table.ndim != 2 or not table.size or len(names) != len(table):
            shape = table.shape
            raise ParameterError(f"expected loadings (p, q) and p names, got shape {shape} and {len(names)} names")
        strongest = np.argmax(np.abs(table), axis=1)
        order = np.lexsort((-np.abs(table).max(axis=1), strongest))
        return cls(table[order], tuple(names[j] for j in order))

    def _draw(self, ax: Any) -> Any:
        table = self.table
        limit = max(1.0, float(np.abs(table).max()))
        image = ax.imshow(table, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            colour = "white" if abs(value) > LIGHT_TEXT * limit else INK
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="small")
        ax.set_yticks(range(len(table)), self.names)
        ax.set_xticks(range(table.shape[1]), [f"factor {k + 1}" for k in range(table.shape[1])])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.figure.colorbar(image, ax=ax, label="loading, in standard deviations")
        return ax


def _standardized(loadings: Any) -> tuple[Any, list[str]]:
    """The table of loadings, and names of its rows."""
    if not hasattr(loadings, "get_covariance"):
        table = np.asarray(loadings, float)
        return table, [f"x{j}" for j in range(len(table) if table.ndim else 0)]
    scale = np.sqrt(np.diagonal(loadings.get_covariance()))
    names = getattr(loadings, "feature_names_in_", [f"x{j}" for j in range(len(scale))])
    return loadings.loadings_ / scale[:, None], list(map(str, names))
