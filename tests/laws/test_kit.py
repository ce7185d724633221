"""The kit itself: each law is broken by some family, and the message says which law."""

from dataclasses import replace

import numpy as np
import pytest

from latentem.acceleration import Squarem
from latentem.execution import Serial
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.latents.categorical import Categorical, CategoricalParameters
from latentem.testing import check_acceleration, check_executor, check_family, check_latent

PARAMS = PoissonParameters(np.array([[1.0, 4.0], [2.0, 3.0], [5.0, 0.7]]))


class NotNormalized(Poisson):
    def log_density(self, batch, params):
        return super().log_density(batch, params) + params.rates.sum(axis=1, keepdims=True) * 0.1


class NormalizedOnlyWhenComplete(Poisson):
    def log_density(self, batch, params):
        density = super().log_density(batch, params)
        return density + 0.1 * (~batch.observed).sum(axis=1)


class WrongStatistics(Poisson):
    def statistics(self, batch, posterior, params):
        return super().statistics(batch, posterior, params) * 1.01


class ForgetsWeights(Poisson):
    def statistics(self, batch, posterior, params):
        return super().statistics(batch, replace(posterior, weights=None), params)


class AveragesRows(Poisson):
    def statistics(self, batch, posterior, params):
        return super().statistics(batch, posterior, params) * (1 / len(batch))


class ShortStep(Poisson):
    def maximize(self, statistics, params):
        best = super().maximize(statistics, params)
        return PoissonParameters(0.9 * best.rates + 0.1 * params.rates)


class WrongWay(Poisson):
    def maximize(self, statistics, params):
        best = super().maximize(statistics, params)
        return PoissonParameters(params.rates**2 / best.rates)


class SamplesTooLarge(Poisson):
    def sample(self, params, states, rng):
        return super().sample(PoissonParameters(1.3 * params.rates), states, rng)


class TakesAnything(Poisson):
    def check(self, batch):
        return None


class NamesNoRow(Poisson):
    def check(self, batch):
        super().check(replace(batch, first_row=100))


class ForgetsEmptyComponents(Poisson):
    def maximize(self, statistics, params):
        with np.errstate(invalid="ignore"):
            return PoissonParameters(statistics.sums[:, 0] / statistics.counts)


class RemembersTooMuch(Poisson):
    def log_density(self, batch, params):
        return batch.once("density", lambda: super(RemembersTooMuch, self).log_density(batch, params))


class FirstComponentIsSpecial(Poisson):
    def log_density(self, batch, params):
        density = super().log_density(batch, params)
        density[0] -= 1.0
        return density


BROKEN = {
    NotNormalized: "score",
    NormalizedOnlyWhenComplete: "missing|observed",
    WrongStatistics: "gradient of the log density",
    ForgetsWeights: "weight of 2",
    AveragesRows: "add up",
    ShortStep: "vanishes",
    WrongWay: "falls at an M-step",
    SamplesTooLarge: "mean score",
    TakesAnything: "must reject",
    NamesNoRow: "must name row 2",
    ForgetsEmptyComponents: "without data|domain",
    RemembersTooMuch: "asked before|gradient",
    FirstComponentIsSpecial: "permut",
}


@pytest.mark.parametrize("family", BROKEN)
def test_a_broken_family_is_told_by_its_law(family):
    with pytest.raises((AssertionError, ValueError), match=BROKEN[family]):
        check_family(family(), PARAMS, 3, missing=True, outside=(-1,))


def test_a_broken_latent_is_told():
    class Uneven(Categorical):
        def maximize(self, statistics, params):
            return CategoricalParameters(params.weights[::-1].copy())

    with pytest.raises(AssertionError, match="falls at an M-step"):
        check_latent(Uneven(3), CategoricalParameters(np.array([0.1, 0.3, 0.6])))


def test_an_executor_that_adds_in_another_order_is_told():
    class Backwards(Serial):
        def fold(self, function, source):
            total = None
            for batch in reversed(list(source)):
                total = function(batch) if total is None else total + function(batch)
            return total

    with pytest.raises(AssertionError, match="bits"):
        check_executor(Backwards())


def test_an_acceleration_that_does_not_accelerate_is_told():
    class Idle(Squarem):
        def propose(self, trial, state):
            return None, state

    with pytest.raises(AssertionError, match="passes"):
        check_acceleration(Idle())
