"""Two components that lie apart are found again from the default start, whatever their family."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import zoo

from latentem.data import ArraySource
from latentem.execution import Serial
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.testing.drawing import design

ROWS, CANDIDATES = 600, 300
# A row's posterior leaves little doubt, and the means lie at least so many standard deviations of all rows apart.
CERTAIN, APART = 0.98, 1.2
# Nothing to estimate; different families, of which k-means cannot know which one belongs to which cluster; variances
# held where they start, which is not at those of the rows; rows that follow on each other; lines through the origin,
# whose means do not lie apart.
WITHOUT = ("UniformNoise", "Components", "Constrained", "Autoregression")
WITHOUT += ("LogisticRegression, of several trials without intercept",)
ALL = {name: one for name, one in {**zoo.FAMILIES, **zoo.VARIANTS}.items() if name not in WITHOUT}


@cache
def two_apart(name: str) -> tuple[LatentVariableModel, ModelParameters, ArraySource]:
    """A model, parameters whose components lie apart, and rows drawn from them."""
    specimen = ALL[name]
    model = LatentVariableModel(Categorical(2), specimen.of(2))
    middle = specimen.parameters(2)
    states = np.arange(ROWS) % 2
    for seed in range(CANDIDATES):
        rng = np.random.default_rng(seed)
        vector = middle.flatten()
        emission = middle.unflatten(vector + rng.normal(scale=1 + seed / 100, size=len(vector)))
        truth = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), emission)
        source = drawn(model, truth, states, rng, specimen.n_covariates)
        if source is not None and lie_apart(model, truth, source, states):
            return model, truth, source
    raise AssertionError(f"no parameters near those of the zoo have components that lie apart: {name}")


def drawn(
    model: LatentVariableModel, truth: ModelParameters, states: Any, rng: Any, n_covariates: int
) -> ArraySource | None:
    if not model.admissible(truth):
        return None
    if model.family.per_group:
        rows = [model.family.sample(truth.emission, np.full(3, state), rng) for state in states[::3]]
        return ArraySource(np.concatenate(rows), lengths=[3] * len(rows))
    given = design(len(states), rng, n_covariates)
    return ArraySource(model.family.sample_given(truth.emission, states, given, rng), covariates=given.covariates)


def lie_apart(model: LatentVariableModel, truth: ModelParameters, source: ArraySource, states: Any) -> bool:
    (batch,) = source
    certainty = model.infer(truth, batch)[0].probabilities.max(axis=0).mean()
    own = np.repeat(states[::3], 3) if model.family.per_group else states
    between = batch.values[own == 0].mean(axis=0) - batch.values[own == 1].mean(axis=0)
    return bool(certainty > CERTAIN and np.any(np.abs(between) > APART * batch.values.std(axis=0)))


@pytest.mark.parametrize("name", ALL)
def test_components_that_lie_apart_are_found_from_the_default_start(name: str) -> None:
    model, truth, source = two_apart(name)
    result = fit(model, source, executor=Serial(), random_state=0)
    (batch,) = source
    expected = model.e_step(truth, batch).log_likelihood + model.log_prior(truth)
    found = f"{result.status}: {result.parameters.arrays()} instead of {truth.arrays()}"
    assert result.objective >= expected, found
