"""Every model of the zoo, fitted with a certificate, ends at a maximum; and it says so where that is not one point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.data import ArraySource
from latentem.em import iterate
from latentem.execution import Serial
from latentem.inference import Verdict
from latentem.model import LatentVariableModel, ModelParameters
from latentem.result import EMResult

pytestmark = pytest.mark.filterwarnings("ignore::latentem.FindingWarning")
GROUPS, LENGTH, STATES = 40, 6, 2
FAMILIES = {**zoo.FAMILIES, **zoo.VARIANTS}
# Its M-step climbs numerically, and slowly where a variance grows without end.
SLOW = ("Truncated, on both sides",)
PAIRS = [
    (family, latent)
    for family, specimen in FAMILIES.items()
    for latent in ("Categorical", "MarkovChain")
    if family not in SLOW and not (latent == "MarkovChain" and specimen.of(STATES).per_group)
]
PAIRS += [("Poisson", latent) for latent in {**zoo.LATENTS, **zoo.LATENT_VARIANTS}]
# More parameters than a table of the observations has cells; components that are equal.
NOT_IDENTIFIED = {
    ("Bernoulli", "Categorical"),
    ("CategoricalColumns", "Categorical"),
    ("UniformNoise", "Categorical"),
    ("UniformNoise", "MarkovChain"),
    ("ZeroInflated, of positive numbers", "Categorical"),
}


def drawn(family: str, latent: str) -> tuple[LatentVariableModel, ModelParameters, Any, dict[str, Any]]:
    """A model of the zoo, its parameters, rows drawn with them, and what a fit must be told besides."""
    emission, z = FAMILIES[family], {**zoo.LATENTS, **zoo.LATENT_VARIANTS}[latent]
    model = LatentVariableModel(z.latent(STATES), emission.of(STATES))
    params = model.conform(ModelParameters(z.parameters(STATES), emission.parameters(STATES)))
    rng, lengths = np.random.default_rng(0), [LENGTH] * GROUPS
    covariates = rng.normal(size=(GROUPS * LENGTH, max(emission.n_covariates, z.n_covariates, 1)))
    given = next(iter(ArraySource(np.zeros((len(covariates), 1)), lengths=lengths, covariates=covariates)))
    states = model.latent.sample_given(params.latent, given, rng)
    x = model.family.sample_given(params.emission, states, given, rng)
    options: dict[str, Any] = {"covariates": covariates} if emission.n_covariates or z.n_covariates else {}
    if model.per_group:
        options["lengths"] = lengths
    return model, params, x, options


def fit_of(family: str, latent: str) -> EMResult:
    """The model on these rows, from the parameters that they were drawn with."""
    model, params, x, options = drawn(family, latent)
    options |= {"tol": 1e-8, "max_iter": 3000, "acceleration": "squarem"}
    return em.fit(model, x, parameters=params, certify=True, **options)


@pytest.mark.parametrize(("family", "latent"), PAIRS, ids=[" x ".join(pair) for pair in PAIRS])
def test_a_certified_fit_is_a_maximum(family, latent):
    result = fit_of(family, latent)
    found = result.certificate
    assert found.is_maximum, f"{result}\n{found}"
    assert (found.verdict is Verdict.RIDGE) == ((family, latent) in NOT_IDENTIFIED), str(found)
    assert found.distance < 0.1
    assert found.remaining_gain < 1e-2
    assert found.passes <= 2 * result.n_parameters + 60
    assert -1e-6 <= found.rate <= 1 + found.error


@pytest.mark.parametrize(("family", "latent"), PAIRS, ids=[" x ".join(pair) for pair in PAIRS])
def test_the_way_can_be_gone_again_from_its_start(family, latent):
    model, params, x, options = drawn(family, latent)
    begin = params.unflatten(params.flatten() + 0.01)
    result = em.fit(model, x, parameters=begin if model.admissible(begin) else params, max_iter=1, **options)
    first = next(iterate(result.model, result.source, result.start, executor=Serial()))
    assert first.objective == pytest.approx(result.history[0][1], rel=1e-9)
