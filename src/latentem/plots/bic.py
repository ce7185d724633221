"""Models side by side by their BIC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from ..errors import ParameterError
from ..result import result_of
from .display import Display
from .style import INK, Series, tidy


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
    return BICDisplay.from_candidates(table).plot(ax).ax_


@dataclass(frozen=True)
class Fit:
    """A `Candidate`."""

    label: str
    n_components: int
    bic: float
    converged: bool


@dataclass(eq=False)
class BICDisplay(Display):
    """Fits by label and number of components, with their BIC (Schwarz 1978); smaller is better.

    Attributes
    ----------
    candidates : tuple of candidates
        By rising number of components.
    """

    candidates: tuple[Candidate, ...]

    @classmethod
    def from_candidates(cls, table: Iterable[Candidate]) -> Self:
        """What has a label, a number of components, a BIC, and did or did not converge.

        Raises
        ------
        ParameterError
            There is none.
        """
        candidates = tuple(sorted(table, key=lambda candidate: candidate.n_components))
        if not candidates:
            raise ParameterError("there is no model to draw")
        return cls(candidates)

    @classmethod
    def from_estimators(cls, fitted: Mapping[str, Iterable[Any]] | Iterable[Any]) -> Self:
        """Fitted estimators or results, or lists of them by their labels; the BIC is that of the data of the fit.

        Raises
        ------
        ParameterError
            One of them is not fitted, or has no components or states.
        """
        lists = fitted if isinstance(fitted, Mapping) else {"models": fitted}
        return cls.from_candidates(_candidate(label, one) for label, fits in lists.items() for one in fits)

    @property
    def best(self) -> Candidate:
        """The one with the smallest BIC."""
        return min(self.candidates, key=lambda candidate: candidate.bic)

    def _draw(self, ax: Any) -> Any:
        labels = list(dict.fromkeys(candidate.label for candidate in self.candidates))
        for number, label in enumerate(labels):
            _draw_series(ax, Series(number), label, [c for c in self.candidates if c.label == label])
        if not all(candidate.converged for candidate in self.candidates):
            ax.plot([], [], "o", markerfacecolor="white", markeredgecolor=INK, label="not converged")
        best = self.best
        ax.plot(best.n_components, best.bic, "o", ms=15, markerfacecolor="none", markeredgecolor=INK, label="smallest")
        ax.set_xticks(sorted({candidate.n_components for candidate in self.candidates}))
        ax.set_xlabel("components")
        ax.set_ylabel("BIC (smaller is better)")
        ax.legend(frameon=True, framealpha=0.9, fontsize="small")
        return tidy(ax)


def _candidate(label: str, fitted: Any) -> Fit:
    result = result_of(fitted)
    size = getattr(getattr(result.model, "latent", None), "n_states", None)
    if size is None:
        raise ParameterError(f"{type(fitted).__name__} has no components or states to count")
    return Fit(label, int(size), result.bic, result.converged)


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
