"""A fitted mixture over its data: densities over a histogram, or regions over a scatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form
from ..errors import ParameterError
from ..model import LatentVariableModel, ModelParameters
from ..result import result_of
from .display import Display
from .rows import names_of, values_of
from .shapes import degrees_of_freedom, has_ellipses, n_bins, passes, spreads, squared_radius
from .style import INK, Series, axes_or_new, tidy

SHARES = (0.5, 0.95)
WIDTHS = (2.0, 1.2)
LARGEST_SCATTER = 20_000
GRID = 400
SIDE = 201


def draw_mixture(
    fitted: Any, X: Any, ax: Any = None, *, columns: tuple[int, ...] | None = None, names: Any = None
) -> Any:
    """Draw a fitted mixture over its data.

    One column: a histogram, the components' densities πₖ p(x | k) and their sum.  Two columns: the rows, marked by
    their most probable component, and for each component the regions of highest density that hold half and 95 % of it.

    Parameters
    ----------
    fitted : estimator, or EMResult of a mixture or a hidden Markov model
    X : (n, D) array, or a frame
        Of more than 20,000 rows every so many-th is drawn.
    ax : matplotlib Axes, optional
        A new figure's by default.
    columns : one or two column numbers, optional
        By default the only one, or the first two.  Of more than two columns, regions are drawn for normal and Student-t
        components (their marginal distributions).
    names : sequence of str, optional
        Names of all columns; by default those seen at the fit.

    Returns
    -------
    Axes
    """
    return MixtureDisplay.from_estimator(fitted, X, names=names).plot(ax, columns=columns).ax_


@dataclass(eq=False)
class MixtureDisplay(Display):
    """A fitted mixture and rows: the model at its parameters, and each row's most probable component.

    Attributes
    ----------
    model, parameters
    values : (n, D)
    assigned : (n,) of int
    weights : (K,)
        Of the components; of a hidden Markov model, the states' mean probabilities.
    names : tuple of str
        Of the columns.
    """

    model: LatentVariableModel
    parameters: ModelParameters
    values: FloatArray
    assigned: Array
    weights: FloatArray
    names: tuple[str, ...]

    @classmethod
    def from_estimator(cls, fitted: Any, X: Any, *, names: Any = None) -> Self:
        """Rows, and what a fitted model says of them.

        Raises
        ------
        ParameterError
            Not a fitted mixture or hidden Markov model.
        """
        result = result_of(fitted)
        if not isinstance(result.model, LatentVariableModel):
            raise ParameterError("the densities of a declared model's components cannot be drawn over its data")
        if result.model.latent.form is not Form.TABLE:
            raise ParameterError(f"{type(fitted).__name__} has no components to draw")
        values = values_of(fitted, X)
        batch = Batch(values, missing=bool(np.isnan(values).any()))
        posterior = result.model.infer(result.parameters, batch)[0].probabilities
        weights = getattr(result.parameters.latent, "weights", posterior.mean(axis=1))
        labels = names_of(fitted, X, values.shape[1]) if names is None else tuple(map(str, names))
        return cls(result.model, result.parameters, values, posterior.argmax(axis=0), np.asarray(weights), labels)

    def plot(self, ax: Any = None, *, columns: tuple[int, ...] | None = None) -> Self:
        """Draw the rows and the components, over one or two of the columns; see `draw_mixture`.

        Raises
        ------
        ParameterError
            Columns that are not there, or one of several.
        """
        d = self.values.shape[1]
        chosen = tuple(range(min(d, 2))) if columns is None else tuple(columns)
        if len(chosen) not in (1, 2) or any(not 0 <= j < d for j in chosen):
            raise ParameterError(f"columns must be one or two of 0 … {d - 1}, got {chosen}")
        if len(chosen) == 1 < d:
            raise ParameterError("of data with several columns two can be drawn, got one")
        ax = axes_or_new(ax)
        if len(chosen) == 2:
            _draw_pair(ax, self, chosen)
        else:
            _draw_line(ax, self)
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return self._kept(tidy(ax))

    @property
    def n_components(self) -> int:
        return len(self.weights)

    def component_densities(self, points: FloatArray) -> FloatArray:
        """πₖ p(x | k), shape (K, points)."""
        log_density = self.model.family.log_density(Batch(np.ascontiguousarray(points)), self.parameters.emission)
        return self.weights[:, None] * np.exp(log_density)

    def accepts(self, points: FloatArray) -> Array:
        """Which points lie in the support."""
        return np.array([passes(self.model, point) for point in points])

    def label(self, component: int) -> str:
        return f"component {component} ({self.weights[component]:.0%})"


def _is_discrete(picture: MixtureDisplay, rows: FloatArray) -> bool:
    """Whether the support holds whole numbers only: a row moved by a half is outside."""
    return bool(np.all(rows == np.floor(rows))) and not picture.accepts(rows[:1] + 0.5).any()


# -- one column --------------------------------------------------------------------------------


def _draw_line(ax: Any, picture: MixtureDisplay) -> None:
    x = picture.values[~np.isnan(picture.values[:, 0])]
    (_draw_counts if _is_discrete(picture, x) else _draw_densities)(ax, picture, x[:, 0])
    ax.set_xlabel(picture.names[0])


def _draw_densities(ax: Any, picture: MixtureDisplay, x: FloatArray) -> None:
    ax.hist(x, bins=n_bins(x), density=True, color="#dcdcdc", edgecolor="white", label="data")
    margin = 0.05 * (np.ptp(x) or 1.0)
    grid = np.linspace(x.min() - margin, x.max() + margin, GRID)
    grid = grid[picture.accepts(grid[:, None])]
    densities = picture.component_densities(grid[:, None])
    ax.plot(grid, densities.sum(axis=0), color=INK, linewidth=2.0, label="mixture")
    for k, density in enumerate(densities):
        series = Series(k)
        ax.plot(
            grid, density, color=series.colour, linestyle=series.line, linewidth=1.6, label=picture.label(k),
            marker=series.marker, markevery=(k * 7 % 40, 40), markersize=5,
        )  # fmt: skip
    ax.set_ylabel("density")


def _draw_counts(ax: Any, picture: MixtureDisplay, x: FloatArray) -> None:
    values, counts = np.unique(x, return_counts=True)
    ax.bar(values, counts / counts.sum(), width=0.8, color="#dcdcdc", label="data")
    grid = np.arange(values.min(), values.max() + 1)
    grid = grid[picture.accepts(grid[:, None])]
    densities = picture.component_densities(grid[:, None])
    ax.plot(grid, densities.sum(axis=0), color=INK, linewidth=2.0, label="mixture")
    for k, density in enumerate(densities):
        series = Series(k)
        ax.plot(
            grid, density, color=series.colour, linestyle=series.line, marker=series.marker, markersize=5,
            linewidth=1.2, label=picture.label(k),
        )  # fmt: skip
    ax.set_ylabel("share of rows")


# -- two columns -------------------------------------------------------------------------------


def _draw_pair(ax: Any, picture: MixtureDisplay, columns: tuple[int, ...]) -> None:
    every = -(-len(picture.values) // LARGEST_SCATTER)
    for k in range(picture.n_components):
        rows = picture.values[picture.assigned == k][::every][:, columns]
        _scatter(ax, rows[~np.isnan(rows).any(axis=1)], k, picture)
    ax.set_xlabel(picture.names[columns[0]])
    ax.set_ylabel(picture.names[columns[1]])
    ax.margins(0.1)
    limits = ax.axis()
    if has_ellipses(picture.parameters.emission):
        _draw_ellipses(ax, picture, columns)
    elif picture.values.shape[1] == 2 and not _is_discrete(picture, picture.values[:1]):
        _draw_regions(ax, picture, columns)
    if ax.lines or len(ax.collections) > picture.n_components:
        for share, width in zip(SHARES, WIDTHS, strict=True):
            ax.plot([], [], color=INK, linewidth=width, label=f"{share:.0%} of a component")
    ax.axis(limits)


def _scatter(ax: Any, rows: FloatArray, k: int, picture: MixtureDisplay) -> None:
    """Rows of one component; equal rows become one larger marker."""
    series = Series(k)
    distinct, counts = np.unique(rows, axis=0, return_counts=True) if len(rows) else (rows, np.ones(0))
    ax.scatter(
        distinct[:, 0], distinct[:, 1], s=14 * np.sqrt(counts), marker=series.marker, facecolor=series.colour,
        edgecolor="white", linewidth=0.3, alpha=0.75, label=picture.label(k), rasterized=len(rows) > 2000,
    )  # fmt: skip


def _draw_ellipses(ax: Any, picture: MixtureDisplay, columns: tuple[int, ...]) -> None:
    emission = picture.parameters.emission
    matrices = spreads(emission)[np.ix_(range(picture.n_components), columns, columns)]
    degrees = degrees_of_freedom(picture.model.family, emission)
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for k, mean in enumerate(emission.means[:, columns]):
        series = Series(k)
        values, vectors = np.linalg.eigh(matrices[k])
        stretch = vectors * np.sqrt(np.maximum(values, 0.0))
        for share, width in zip(SHARES, WIDTHS, strict=True):
            outline = mean[:, None] + np.sqrt(squared_radius(share, float(degrees[k]))) * stretch @ circle
            ax.plot(*outline, color=INK, linestyle=series.line, linewidth=width)
        ax.plot(*mean, marker=series.marker, markersize=9, color=series.colour, markeredgecolor=INK, linestyle="none")


def _draw_regions(ax: Any, picture: MixtureDisplay, columns: tuple[int, ...]) -> None:
    """Regions of highest density of any continuous family, from its densities on a grid."""
    left, right, bottom, top = ax.axis()
    horizontal, vertical = np.linspace(left, right, SIDE), np.linspace(bottom, top, SIDE)
    across, up = np.meshgrid(horizontal, vertical)
    points = np.empty((across.size, 2))
    points[:, list(columns)] = np.stack([across.ravel(), up.ravel()], axis=1)
    inside = picture.accepts(points)
    densities = np.zeros((picture.n_components, len(points)))
    densities[:, inside] = picture.component_densities(points[inside])
    for k, density in enumerate(densities):
        levels = sorted(_level(density, share) for share in SHARES)
        if levels[0] < levels[1]:
            shown = density.reshape(across.shape)
            ax.contour(across, up, shown, levels, colors=INK, linestyles=[Series(k).line] * 2, linewidths=WIDTHS[::-1])


def _level(density: FloatArray, share: float) -> float:
    """The density above which this share of the mass on the grid lies."""
    falling = np.sort(density)[::-1]
    mass = np.cumsum(falling)
    return float(falling[min(int(np.searchsorted(mass, share * mass[-1])), len(falling) - 1)])
