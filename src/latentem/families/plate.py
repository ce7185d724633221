"""Rows of a group share one state: p(x_g | z = k) = Π_{n in g} f(xₙ; θ_k)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..model import Family, Posterior
from .composite import AnyFamily, demand_rows


@dataclass(frozen=True)
class Plate(Family[Any, Any]):
    """Repeated measurements: the rows of a group are independent given the one state that they share.

    log p(x_g | z = k) = Σ_{n in g} log f(xₙ; θ_k).  `Categorical` × `Plate(family)` is a mixture over groups (subjects,
    documents).  Parameters and statistics are those of the family itself.

    Attributes
    ----------
    family : Family
        Whose unit is a row.
    """

    family: AnyFamily

    def __post_init__(self) -> None:
        demand_rows("Plate", self.family)

    @property
    def per_group(self) -> bool:
        return True

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    def start(self, batch: Batch, n_components: int) -> Any:
        return self.family.start(batch, n_components)

    def log_density(self, batch: Batch, params: Any) -> FloatArray:
        rows = self.family.log_density(batch, params)
        return np.add.reduceat(rows, batch.group_offsets[:-1], axis=1)

    def statistics(self, batch: Batch, posterior: Posterior, params: Any) -> Any:
        lengths = batch.group_lengths
        rows = replace(
            posterior,
            probabilities=np.repeat(posterior.probabilities, lengths, axis=1),
            weights=None if posterior.weights is None else np.repeat(posterior.weights, lengths),
        )
        return self.family.statistics(batch, rows, params)

    def maximize(self, statistics: Any, params: Any) -> Any:
        return self.family.maximize(statistics, params)

    def expected_log_density(self, statistics: Any, params: Any) -> float:
        return self.family.expected_log_density(statistics, params)

    def score(self, statistics: Any, params: Any) -> FloatArray:
        return self.family.score(statistics, params)

    def log_prior(self, params: Any) -> float:
        return self.family.log_prior(params)

    def admissible(self, params: Any) -> bool:
        return self.family.admissible(params)

    def findings(self, statistics: Any, params: Any) -> list[tuple[int, str]]:
        return self.family.findings(statistics, params)

    def check(self, batch: Batch) -> None:
        self.family.check(batch)

    def points(self, batch: Batch) -> FloatArray | None:
        return None if self.family.points(batch) is None else super().points(batch)

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        """One row for each entry of `states`, which repeats the state of a group for each of its rows."""
        return self.family.sample(params, states, rng)

    def sample_given(self, params: Any, states: Array, given: Batch | None, rng: np.random.Generator) -> FloatArray:
        return self.family.sample_given(params, states, given, rng)
