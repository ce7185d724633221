"""Five reads, three transcripts (Pachter 2011): a mixture whose components are known and whose weights are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from reference.cases import case, em_steps, log_likelihoods, start, within

from latentem.latents import Categorical
from latentem.model import Family, LatentVariableModel
from latentem.parameters import Parameters
from latentem.statistics import Statistics

KNOWN = case("rnaseq_toy_pachter")
COMPATIBLE = KNOWN.columns("red", "green", "blue")


@dataclass(frozen=True)
class Nothing(Parameters, Statistics):
    """What a family without parameters has to estimate and to add up."""


@dataclass(frozen=True)
class KnownDensities(Family[Nothing, Nothing]):
    """Column k of the data holds p(x | z = k) itself."""

    def start(self, batch, n_components):
        return Nothing()

    def log_density(self, batch, params):
        with np.errstate(divide="ignore"):
            return np.log(batch.values.T)

    def statistics(self, batch, posterior, params):
        return Nothing()

    def maximize(self, statistics, params):
        return params

    def expected_log_density(self, statistics, params):
        return 0.0

    def sample(self, params, states, rng):
        raise NotImplementedError("densities do not tell which reads there could be")


MODEL = LatentVariableModel(Categorical(3), KnownDensities())
STEPS = len(KNOWN.expected["iterates"]) - 1


@pytest.fixture(scope="module")
def steps():
    return em_steps(MODEL, COMPATIBLE, start(KNOWN.record["start"], Nothing()), 200)


def test_em_takes_the_published_steps(steps):
    weights = [step.parameters.latent.weights for step in steps[: STEPS + 1]]
    within(KNOWN.tolerance["iterates"])(weights, KNOWN.expected["iterates"])
    within(KNOWN.tolerance["iterates"])(log_likelihoods(steps[: STEPS + 1]), KNOWN.expected["loglik_trace"])
    within(0.005)(weights[1], KNOWN.record["published"]["after_1"])


def test_em_goes_on_to_the_limit(steps):
    within(KNOWN.tolerance["iterates"])(steps[-1].parameters.latent.weights, KNOWN.expected["limit"])
    within(KNOWN.tolerance["iterates"])(steps[-1].log_likelihood, KNOWN.expected["loglik_limit"])
