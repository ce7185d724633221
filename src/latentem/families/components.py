"""A family of its own for each component: p(x | z = k) = f_k(x; θ_k)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..model import Posterior
from .composite import AnyFamily, Composite, CompositeParameters, CompositeStatistics, common_unit


@dataclass(frozen=True)
class Components(Composite):
    """Component k has the family `families[k]`: p(x | z = k) = f_k(x; θ_k).

    Each family is asked for one component.  A `LatentVariableModel` is such a family, so mixtures of hidden Markov
    models and hidden Markov models with mixture emissions are lists of models.  Every row must lie in the support of
    all families.

    Attributes
    ----------
    families : tuple of Family
        One for each state of the latent, all with the same unit (rows, or groups of rows).

    Raises
    ------
    ParameterError
        No families, families whose units differ, or a number of states that is not the number of families.
    """

    families: tuple[AnyFamily, ...]

    def __post_init__(self) -> None:
        common_unit("Components", self.families)

    @property
    def per_group(self) -> bool:
        return self.families[0].per_group

    @property
    def discrete(self) -> bool:
        return all(family.discrete for family in self.families)

    def families_of(self, params: CompositeParameters) -> tuple[AnyFamily, ...]:
        return self.families

    def start(self, batch: Batch, n_components: int) -> CompositeParameters:
        if n_components != len(self.families):
            raise ParameterError(
                f"Components has {len(self.families)} families, but {n_components} components were asked for; "
                "give the latent as many states as there are families"
            )
        return CompositeParameters(tuple(family.start(batch, 1) for family in self.families))

    def log_density(self, batch: Batch, params: CompositeParameters) -> FloatArray:
        pairs = zip(self.families, params.parts, strict=True)
        return np.concatenate([family.log_density(batch, part) for family, part in pairs])

    def statistics(self, batch: Batch, posterior: Posterior, params: CompositeParameters) -> CompositeStatistics:
        return CompositeStatistics(
            tuple(
                family.statistics(batch, posterior.component(k), part)
                for k, (family, part) in enumerate(zip(self.families, params.parts, strict=True))
            )
        )

    def check(self, batch: Batch) -> None:
        for family in self.families:
            family.check(batch)

    def points(self, batch: Batch) -> FloatArray | None:
        return self.families[0].points(batch)

    def sample(self, params: CompositeParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        """One row for each entry of `states`; where the unit is the group, the entries of a state form one group."""
        return self.sample_given(params, states, None, rng)

    def sample_given(
        self, params: CompositeParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        draws: FloatArray | None = None
        for k in np.unique(states):
            rows = np.flatnonzero(states == k)
            own = None if given is None else given.only(rows)
            drawn = self.families[k].sample_given(params.parts[k], np.zeros(len(rows), int), own, rng)
            draws = np.empty((len(states), drawn.shape[1])) if draws is None else draws
            draws[rows] = drawn
        if draws is None:
            raise ParameterError("there is nothing to sample: no states were given")
        return draws

    def findings(self, statistics: CompositeStatistics, params: CompositeParameters) -> list[tuple[int, str]]:
        return [
            (k, text)
            for k, (family, part, own) in enumerate(self._terms(statistics, params))
            for _, text in family.findings(part, own)
        ]
