"""Snowshoe hares caught on six occasions: binomials that are seen only where they are not zero (Agresti 1994).

The binomial with a given number of trials is a family written here, in the few lines that a family takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from reference.cases import case, fit_tightly, near
from scipy.special import gammaln

from latentem.families.bernoulli import BernoulliParameters
from latentem.families.columnwise import ColumnwiseExponential
from latentem.families.truncated import Truncated
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

OCCASIONS = 6


@dataclass(frozen=True)
class Binomial(ColumnwiseExponential[BernoulliParameters]):
    """log p(x) = log C(n, x) + x log p + (n - x) log(1 - p)."""

    n_trials: int

    support = "counts from 0 to the number of trials"
    discrete = True

    def invalid(self, x):
        return (x < 0) | (x > self.n_trials) | (x != np.floor(x))

    def sufficient(self, x):
        return (x,)

    def log_base(self, x):
        n = self.n_trials
        return gammaln(n + 1) - gammaln(x + 1) - gammaln(np.maximum(n - x, 0) + 1)

    def natural(self, params):
        yes, no = np.log(params.probabilities), np.log1p(-params.probabilities)
        return (yes - no)[:, None, :], -self.n_trials * no

    def log_pdf(self, x, params, k):
        p = params.probabilities[k]
        return self.log_base(x) + x * np.log(p) + (self.n_trials - x) * np.log1p(-p)

    def maximize_columns(self, means, counts, params):
        return BernoulliParameters(np.clip(means[:, 0] / self.n_trials, 1e-9, 1 - 1e-9))

    def sample_columns(self, params, states, rng):
        return rng.binomial(self.n_trials, params.probabilities[states]).astype(float)


@pytest.fixture(scope="module")
def hares():
    known = case("capture_recapture_hare")
    times, animals = known.columns("times_captured", "hares").T
    return known, times, animals


def fit_hares(model, hares, **options):
    _, times, animals = hares
    return fit_tightly(model, times, sample_weight=animals, **options)


def total(log_seen: float, hares) -> float:
    """Animals seen over the probability of being seen."""
    return hares[2].sum() / np.exp(log_seen)


def test_equal_catchability(hares):
    known = hares[0]
    expected, family = known.expected["M0"], Truncated(Binomial(OCCASIONS), low=1, high=OCCASIONS)
    result = fit_hares(LatentVariableModel(Categorical(1), family), hares)
    found = result.parameters.emission
    assert found.base.probabilities[0, 0] == near(expected["p"], known.tolerance["p"])
    assert total(family.log_mass(found)[0], hares) == near(expected["N"], known.tolerance["N"])
    assert result.log_likelihood == near(expected["loglik_conditional"], 1e-8)


def check_two_classes(hares, result, weights, probabilities, log_seen) -> None:
    known = hares[0]
    expected = known.expected["Mh_two_class"]
    order = np.argsort(probabilities)
    assert result.log_likelihood == near(expected["loglik_conditional"], 1e-8)
    assert total(log_seen, hares) == near(expected["N"], known.tolerance["N"])
    np.testing.assert_allclose(probabilities[order], expected["p"], atol=1e-5, rtol=0)
    assert weights[order][0] == near(expected["weight"], 1e-5)


def test_two_classes_truncated_one_by_one(hares):
    """Weights are then those of the animals seen, and are divided by the probabilities of being seen."""
    family = Truncated(Binomial(OCCASIONS), low=1, high=OCCASIONS)
    result = fit_hares(LatentVariableModel(Categorical(2), family), hares, acceleration="squarem")
    found = result.parameters
    log_seen = family.log_mass(found.emission)
    all_animals = found.latent.weights / np.exp(log_seen)
    probabilities = found.emission.base.probabilities[:, 0]
    check_two_classes(hares, result, all_animals / all_animals.sum(), probabilities, -np.log(all_animals.sum()))


def test_two_classes_truncated_as_a_whole(hares):
    """A mixture is itself a family, and can be truncated."""
    family = Truncated(LatentVariableModel(Categorical(2), Binomial(OCCASIONS)), low=1, high=OCCASIONS)
    result = fit_hares(LatentVariableModel(Categorical(1), family), hares, acceleration="squarem")
    inner = result.parameters.emission.base
    log_seen = family.log_mass(result.parameters.emission)[0]
    check_two_classes(hares, result, inner.latent.weights, inner.emission.probabilities[:, 0], log_seen)
