"""What a picture is of: a model at each step of a fit, and rows of its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..._typing import FloatArray
from ...data import Batch, Source
from .rows import some_rows

# Characters that all posterior probabilities of a picture may take together.
BUDGET = 90_000
MOST_ROWS, MOST_COUNTED, MOST_COLUMNS = 600, 20_000, 4


@dataclass(frozen=True)
class Subject:
    """A model at the steps of a fit, beside its data.

    Attributes
    ----------
    model : Model
    source : Source
        The data as they were fitted.
    names : tuple of str
        Of the columns.
    parameters : tuple
        θ at each step.
    numbers : tuple of int
        The iteration of each step.
    rng : Generator
        Draws the rows that are shown.
    """

    model: Any
    source: Source
    names: tuple[str, ...]
    parameters: tuple[Any, ...]
    numbers: tuple[int, ...]
    rng: np.random.Generator

    @classmethod
    def of(cls, trail: Any, rng: np.random.Generator) -> Subject:
        """Of a trail: its steps have `parameters`, and a `number` unless they are consecutive."""
        numbers = tuple(int(getattr(step, "number", i)) for i, step in enumerate(trail.steps))
        steps = tuple(step.parameters for step in trail.steps)
        return cls(trail.model, trail.source, tuple(map(str, trail.names)), steps, numbers, rng)

    @property
    def n_steps(self) -> int:
        return len(self.parameters)

    @property
    def n_states(self) -> int:
        return int(self.model.latent.size)

    @property
    def row_limit(self) -> int:
        """How many rows can be shown with their posterior probabilities at every step."""
        return int(np.clip(BUDGET // (self.n_steps * self.n_states), 40, MOST_ROWS))

    def shown_of(self, shown: int, what: str = "rows") -> str:
        """How many of the rows are shown."""
        total = self.source.n_rows
        what = what if next(iter(self.source)).weights is None else f"weighted {what}"
        return f"All {total:,} {what} are shown." if shown >= total else f"{shown:,} of {total:,} {what} are shown."


@dataclass(frozen=True)
class Shown:
    """Rows with the posterior of their component at each step: what the picture of a family is drawn from.

    Attributes
    ----------
    subject : Subject
    family : Family
        Without wrappers that change nothing about densities.
    emissions : tuple
        Its parameters at each step.
    batch : Batch of n rows
    responsibilities : (S, K, n)
    weights : (S, K)
    what : str
        "component", or "state" of a chain.
    told : str
        Which rows are shown.
    """

    subject: Subject
    family: Any
    emissions: tuple[Any, ...]
    batch: Batch
    responsibilities: FloatArray
    weights: FloatArray
    what: str
    told: str

    @property
    def n_states(self) -> int:
        return int(self.weights.shape[1])

    @property
    def sizes(self) -> list[float] | None:
        """(n,): how large the marker of a row is, by the root of its weight, where rows have weights."""
        weights = self.batch.weights
        if weights is None:
            return None
        middle = float(np.median(weights[weights > 0])) if (weights > 0).any() else 1.0
        sizes = np.where(weights > 0, np.clip(np.sqrt(weights / middle), 0.5, 3.0), 0.0)
        return [round(float(size), 2) for size in sizes]

    @property
    def told_of_markers(self) -> str:
        """What the markers of rows mean."""
        larger = "" if self.batch.weights is None else ", the larger, the more it weighs"
        return f"Each row has the marker of its most probable {self.what}, the paler, the less sure that is{larger}."

    @property
    def names(self) -> tuple[str, ...]:
        return self.subject.names

    @cached_property
    def counted(self) -> Batch:
        """More rows, for histograms."""
        return some_rows(self.subject.source, MOST_COUNTED, self.subject.rng)

    @property
    def told_of_counts(self) -> str:
        return self.subject.shown_of(len(self.counted)).replace("are shown", "are counted in the bars")
