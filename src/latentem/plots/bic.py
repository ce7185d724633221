"""Models side by side by their BIC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..errors import ParameterError
from .style import INK, Series, axes_or_new, tidy


class Candidate(Protocol):
    """One fitted model of a comparison."""

    @property
    def label(self) -> str: ...

    @property
    def n_components(self) -> int: ...

    @property
    def bic(self) -> float: ...

    @property
    def converged(self) -> bool: ...


def draw_bic(table: Iterable[Candidate], ax: Any = None) -> Any:
    """Draw BIC against the number of components, a line for each label (a covariance type, a family).

    Parameters
    ----------
    table : candidates
        Anything with `label`, `n_components`, `bic` and `converged`.  Hollow markers are fits that did not converge; a
        ring is around the smallest BIC.
    ax : matplotlib Axes, optional
        A new figure's by default.

    Returns
    -------
    Axes
    """
    candidates = sorted(table, key=lambda candidate: candidate.n_components)
    if not candidates:
        raise ParameterError("there is no model to draw")
    ax = axes_or_new(ax)
    labels = list(dict.fromkeys(candidate.label for candidate in candidates))
    for number, label in enumerate(labels):
        _draw_series(ax, Series(number), label, [c for c in candidates if c.label == label])
    if not all(candidate.converged for candidate in candidates):
        ax.plot([], [], "o", markerfacecolor="white", markeredgecolor=INK, label="not converged")
    best = min(candidates, key=lambda candidate: candidate.bic)
    ax.plot(best.n_components, best.bic, "o", ms=15, markerfacecolor="none", markeredgecolor=INK, label="smallest")
    ax.set_xticks(sorted({candidate.n_components for candidate in candidates}))
    ax.set_xlabel("components")
    ax.set_ylabel("BIC (smaller is better)")
    ax.legend(frameon=True, framealpha=0.9, fontsize="small")
    return tidy(ax)


def _draw_series(ax: Any, series: Series, label: str, candidates: list[Candidate]) -> None:
    components = [candidate.n_components for candidate in candidates]
    values = [candidate.bic for candidate in candidates]
    ax.plot(
        components, values, color=series.colour, linestyle=series.line, linewidth=1.6, marker=series.marker,
        markersize=7, label=label,
    )  # fmt: skip
    for candidate in candidates:
        if not candidate.converged:
            ax.plot(
                candidate.n_components, candidate.bic, marker=series.marker, markersize=7, markerfacecolor="white",
                markeredgecolor=series.colour,
            )  # fmt: skip
