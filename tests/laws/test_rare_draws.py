"""Draws between bounds that hold little of a family's mass have the distribution that the bounds leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from latentem.families.beta import Beta, BetaParameters
from latentem.families.exponential import Exponential, ExponentialParameters
from latentem.families.gamma import Gamma, GammaParameters
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.families.negative_binomial import NegativeBinomial, NegativeBinomialParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.rare_draws import draw_rare
from latentem.families.truncated import Truncated, TruncatedParameters

SIZE = 4000


def one(number: float) -> Any:
    return np.array([[number]])


def below(law: Any, high: float) -> Any:
    return lambda x: np.exp(law.logcdf(x) - law.logcdf(high))


def above(law: Any, low: float) -> Any:
    return lambda x: 1 - np.exp(law.logsf(x) - law.logsf(low))


NORMAL = DiagonalGaussianParameters(one(1e3), one(4.0))
CONTINUOUS = [
    (Exponential(), ExponentialParameters(one(1e-9)), None, 1e3, below(stats.expon(scale=1e9), 1e3)),
    (Exponential(), ExponentialParameters(one(2.0)), 50.0, None, above(stats.expon(scale=0.5), 50.0)),
    (Exponential(), ExponentialParameters(one(2.0)), 50.0, 50.1, lambda x: np.expm1(-2 * (x - 50)) / np.expm1(-0.2)),
    (DiagonalGaussian(), NORMAL, None, 0.0, below(stats.norm(1e3, 2), 0.0)),
    (DiagonalGaussian(), NORMAL, 1020.0, None, above(stats.norm(1e3, 2), 1020.0)),
    (DiagonalGaussian(), NORMAL, 1000.0, 1000.001, stats.uniform(1000, 0.001).cdf),
    (Beta(), BetaParameters(one(3.0), one(40.0)), 0.6, None, above(stats.beta(3, 40), 0.6)),
    (Gamma(), GammaParameters(one(5.0), one(1.0)), None, 1e-3, below(stats.gamma(5), 1e-3)),
]


@pytest.mark.parametrize(("family", "params", "low", "high", "cdf"), CONTINUOUS)
def test_real_draws_have_the_distribution_between_the_bounds(
    family: Any, params: Any, low: Any, high: Any, cdf: Any, rng: np.random.Generator
) -> None:
    drawn = draw_rare(family, params, 0, low, high, SIZE, rng)
    assert np.all(drawn >= (-np.inf if low is None else low))
    assert np.all(drawn <= (np.inf if high is None else high))
    assert stats.kstest(drawn, cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("family", "params", "law"),
    [
        (Poisson(), PoissonParameters(one(10.0)), stats.poisson(10)),
        (NegativeBinomial(), NegativeBinomialParameters(one(3.0), one(2.0)), stats.nbinom(2, 2 / 5)),
    ],
)
@pytest.mark.parametrize(("low", "high"), [(40, None), (40, 44), (None, 0)])
def test_whole_numbers_come_with_their_probabilities(
    family: Any, params: Any, law: Any, low: Any, high: Any, rng: np.random.Generator
) -> None:
    drawn = draw_rare(family, params, 0, low, high, SIZE, rng)
    support = np.arange(low or 0, 200 if high is None else high + 1)
    p = law.pmf(support) / law.pmf(support).sum()
    mean, sd = p @ support, np.sqrt(p @ (support - p @ support) ** 2)
    assert set(drawn) <= set(support)
    assert abs(drawn.mean() - mean) <= 4.5 * sd / np.sqrt(SIZE)


def test_a_truncated_family_draws_from_components_that_rejection_does_not_reach(rng: np.random.Generator) -> None:
    zero_truncated = Truncated(Poisson(), low=1)
    rates = TruncatedParameters(PoissonParameters(np.array([[1e-12], [5.0]])))
    drawn = zero_truncated.sample(rates, np.repeat([0, 1], SIZE), rng)[:, 0]
    assert np.all(drawn[:SIZE] == 1)
    assert drawn[SIZE:].mean() == pytest.approx(5 / -np.expm1(-5), abs=0.15)
    short = Truncated(Exponential(), high=1e3)
    flat = short.sample(TruncatedParameters(ExponentialParameters(one(1e-8))), np.zeros(SIZE, int), rng)[:, 0]
    assert stats.kstest(flat, stats.uniform(0, 1e3).cdf).pvalue > 1e-3
