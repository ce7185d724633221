"""What a fit found, in tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ..result import EMResult
from ..statistics import LocalQ, Statistics
from ..summarizing.labels import Labels, component_lines, weights_of

MOST_LINES = 60
CELL = 15  # widest number and the frame beside it
PLAIN_WIDTH = 120
CLOSE = 2.0  # Kass and Raftery (1995): a difference in BIC not worth more than a bare mention


@dataclass(frozen=True)
class Candidate:
    """One fitted model of a comparison.

    Attributes
    ----------
    label : str
        The covariance type, or the model's name.
    n_components : int
    estimator : Mixture
    icl : float or None
        Computed where it was asked for.
    """

    label: str
    n_components: int
    estimator: Any
    icl: float | None = None

    def __str__(self) -> str:
        return f"{self.label} with {self.n_components} component{'s' * (self.n_components > 1)}"

    @property
    def result(self) -> EMResult:
        result: EMResult = self.estimator.result_
        return result

    @property
    def converged(self) -> bool:
        return self.result.converged

    @property
    def bic(self) -> float:
        return self.result.bic

    @property
    def aic(self) -> float:
        return self.result.aic


def choose(candidates: Sequence[Candidate], criterion: str) -> Candidate:
    """The model with the smallest criterion, whether or not its fit converged."""
    return min(candidates, key=lambda candidate: float(getattr(candidate, criterion)))


def choice_line(candidates: Sequence[Candidate], criterion: str, best: Candidate, n_asked: int) -> str:
    """Which of the models is chosen, how clearly, and what may change that; `n_asked` were to be fitted."""
    return " ".join(_choice(candidates, criterion, best, n_asked))


def _choice(candidates: Sequence[Candidate], criterion: str, best: Candidate, n_asked: int) -> Iterator[str]:
    yield f"Chosen: {best}{'' if best.converged else ', which has not converged'}."
    others = [candidate for candidate in candidates if candidate is not best]
    if others:
        following = choose(others, criterion)
        margin = getattr(following, criterion) - getattr(best, criterion)
        yield f"The next best is {following}, with {margin:.2f} more {criterion.upper()}."
        if margin <= CLOSE:
            yield "That is close: the data hardly tell the two apart."
    if not all(candidate.converged for candidate in candidates):
        yield f"Where a fit has not converged, its {criterion.upper()} may still fall, so the choice is not final."
    if len(candidates) < n_asked:
        yield f"Interrupted: {len(candidates)} of {n_asked} models were fitted."


def console(*, error: bool = False) -> Any:
    """Where text goes: data are no markup, paths are not wrapped, files get tables of their full width."""
    from rich.console import Console

    found = Console(stderr=error, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not found.is_terminal:
        found.width = PLAIN_WIDTH
    return found


def comparison(candidates: Sequence[Candidate], criterion: str, best: Candidate) -> Any:
    """The table of models, one line each, the chosen one marked."""
    from rich.table import Table

    table = Table(title=f"Models by {criterion.upper()} (smaller is better)", title_justify="left")
    labelled = len({candidate.label for candidate in candidates}) > 1
    headings = ["", *(["covariance"] if labelled else []), "components", "parameters", "log-likelihood", "AIC", "BIC"]
    headings += ["ICL"] if criterion == "icl" else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for c in candidates:
        numbers = [c.result.log_likelihood, c.aic, c.bic, *([c.icl] if criterion == "icl" else [])]
        cells = ["→" if c is best else "", *([c.label] if labelled else []), str(c.n_components)]
        cells += [str(c.result.n_parameters), *(f"{number:.2f}" for number in numbers), short_status(c.result)]
        table.add_row(*cells, style="bold" if c is best else None)
    return table


def short_status(result: EMResult) -> str:
    """The status in a word or three, and how many findings there are."""
    findings = len(result.findings)
    more = f", {findings} finding{'s' * (findings > 1)}" if findings else ""
    if result.converged:
        return f"converged{more}"
    return f"not converged ({result.status.name.lower().replace('_', ' ')}){more}"


def status_lines(result: EMResult) -> Iterator[str]:
    """Status, remaining gain, rate and findings, each a sentence."""
    yield f"Status: {result.status.value} ({result.n_iter} passes over {result.n_rows} rows)."
    if isfinite(result.remaining_gain):
        yield f"Remaining gain: about {result.remaining_gain:.2g} in log-likelihood, estimated from the last steps."
    else:
        yield "Remaining gain: unknown; the last steps do not tell how far the limit is."
    yield _rate_line(result)
    if result.certificate is not None:
        yield f"Certificate: {result.certificate}"
    for finding in result.findings:
        yield f"Note: {finding.message}."


def _rate_line(result: EMResult) -> str:
    rate = result.rate
    if not isfinite(rate):
        return "EM's rate λ: not estimated, since fewer than three plain EM steps were made in a row."
    if rate >= 1:
        return "EM's rate λ: not yet to be told, since the last gains did not shrink."
    pace = f"EM's rate λ = {rate:.3g}: near the limit each EM step leaves that fraction of the distance."
    if _has_local(result.expectation.statistics):
        return pace
    return (
        f"{pace} It is the fraction of the information that is missing, because components are not observed, in the "
        "direction that is hardest to estimate."
    )


def _has_local(statistics: Any) -> bool:
    """Whether the M-step is one Newton step: its rate is then no fraction of information."""
    if isinstance(statistics, LocalQ):
        return True
    if isinstance(statistics, Statistics):
        return any(_has_local(value) for value in vars(statistics).values())
    return isinstance(statistics, tuple) and any(map(_has_local, statistics))


# -- estimates ---------------------------------------------------------------------------------


def estimates(result: EMResult, labels: Labels, width: int, most: int | None = MOST_LINES) -> Iterator[Any]:
    """Tables with a line for each estimate and a column for each component; as many tables as the width asks for."""
    from rich.table import Table

    lines = component_lines(result, labels)
    shown, k_all = lines[:most], len(weights_of(result))
    across = max(1, (width - max(len(label) for label, _ in shown) - 4) // CELL)
    for first in range(0, k_all, across):
        block = range(first, min(first + across, k_all))
        table = Table(title="Estimates" if first == 0 else None, title_justify="left")
        table.add_column("component", no_wrap=True)
        for k in block:
            table.add_column(str(k), justify="right", no_wrap=True)
        for label, values in shown:
            table.add_row(label, *(f"{values[k]:.6g}" for k in block))
        yield table
    if len(lines) > len(shown):
        yield f"and {len(lines) - len(shown)} more estimates for each component; latentem show --all prints them"


def categories_lines(levels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Which code stands for which category."""
    for name, known in levels.items():
        yield f"Categories of {name}: {', '.join(f'{code} = {level}' for code, level in enumerate(known))}"


def description(
    candidate: Candidate,
    names: Sequence[str],
    levels: Mapping[str, Sequence[str]],
    width: int,
    most: int | None = MOST_LINES,
) -> Iterator[Any]:
    """The chosen model: its name, its estimates, and how far the fit came."""
    result = candidate.result
    k = candidate.n_components
    kind = type(candidate.estimator).__name__
    label = f" ({candidate.estimator.covariance_type})" if hasattr(candidate.estimator, "covariance_type") else ""
    fit = f"log-likelihood {result.log_likelihood:.4f}, BIC {result.bic:.4f}"
    yield ""
    yield f"{kind}{label} with {k} component{'s' * (k > 1)}: {fit}"
    yield from estimates(result, Labels.of(candidate.estimator, names, levels), width, most)
    yield from categories_lines(levels)
    yield from status_lines(result)
