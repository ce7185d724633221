"""Points where EM stands still, of which it is known what they are: maxima, saddles, ridges, boundaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from reference.cases import case, start
from scipy.optimize import brentq
from scipy.stats import binom, poisson

import latentem as em
from latentem.families.bernoulli import Bernoulli, BernoulliParameters
from latentem.families.categorical import CategoricalColumns
from latentem.families.constrained import Constrained
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
    SphericalGaussian,
)
from latentem.families.linear_gaussian import LinearGaussian, LinearGaussianParameters
from latentem.families.negative_binomial import NegativeBinomial
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.student_t_diagonal import DiagonalStudentT, DiagonalStudentTParameters
from latentem.families.zero_inflated import ZeroInflated
from latentem.inference import Verdict
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.latents.normal import NormalParameters
from latentem.model import LatentVariableModel, ModelParameters

MAXIMUM, SADDLE, RIDGE, BOUNDARY = Verdict.MAXIMUM, Verdict.SADDLE, Verdict.RIDGE, Verdict.BOUNDARY
AWAY = Verdict.NOT_CONVERGED


@dataclass(frozen=True)
class Stationary:
    """A point where EM stands still (or ends), and what is known of it."""

    name: str
    verdict: Verdict
    reach: Callable[[], Any]


STATIONARY: list[Stationary] = []


def known(verdict: Verdict) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Adds a point to the list, by the name of the function that reaches it."""

    def add(reach: Callable[[], Any]) -> Callable[[], Any]:
        STATIONARY.append(Stationary(reach.__name__, verdict, reach))
        return reach

    return add


def fitted(model: Any, x: Any, parameters: Any = None, **options: Any) -> Any:
    """A fit to rounding."""
    return em.fit(model, x, parameters=parameters, **{"tol": 0.0, "max_iter": 20_000} | options)


def mixture(family: Any, k: int, held: tuple[int, ...] = ()) -> LatentVariableModel:
    return LatentVariableModel(Categorical(k, held), family)


def normals(means: Any, variances: Any) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.atleast_2d(means).T, np.atleast_2d(variances).T)


def two_humps() -> np.ndarray:
    """Two clusters, symmetric about zero."""
    half = np.random.default_rng(0).normal(2.0, 1.0, 60)
    return np.concatenate([half, -half])[:, None]


def one_hump(n: int = 200) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 1))


def standardized(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


# -- Murray (1977): two maxima and a saddle between them -------------------------------------------------


def murray(rho: float) -> Any:
    x = case("murray_1977_bivariate_missing").columns("x1", "x2")
    params = start(1.0, FullGaussianParameters(np.zeros((1, 2)), np.array([[[1.0, rho], [rho, 1.0]]])))
    return fitted(mixture(FullGaussian(floor=0.0), 1), x, params)


@known(SADDLE)
def murray_without_correlation() -> Any:
    return murray(0.0)


@known(MAXIMUM)
def murray_positive() -> Any:
    return murray(0.3)


@known(MAXIMUM)
def murray_negative() -> Any:
    return murray(-0.3)


# -- components that are alike ---------------------------------------------------------------------------


def alike(x: np.ndarray, weights: Any = (0.5, 0.5)) -> Any:
    """Two components at the mean and the variance of all rows: EM stands still there, whatever the data."""
    params = start(weights, normals([x.mean()] * 2, [x.var()] * 2))
    return fitted(mixture(DiagonalGaussian(floor=0.0), 2), x, params)


@known(SADDLE)
def alike_on_two_humps() -> Any:
    return alike(two_humps())


@known(SADDLE)
def alike_on_one_hump() -> Any:
    """The variances differ where the kurtosis is not 3."""
    return alike(one_hump(), (0.3, 0.7))


def alike_with_known_variance(x: np.ndarray, weights: tuple[float, float]) -> Any:
    """Means alone are free, and the variance is that of the data: the rate is exactly 1."""
    x = standardized(x)
    family = Constrained(DiagonalGaussian(floor=0.0), fixed=("variances",))
    emission = family.constrain(normals([0.0, 0.0], [1.0, 1.0]))
    return fitted(mixture(family, 2, held=(0, 1)), x, start(weights, emission))


@known(MAXIMUM)
def rate_of_one_on_symmetric_data() -> Any:
    """Flat to third order, and the fourth falls: ½ log cosh(δx) - δ²/2 loses δ⁴ E[x⁴] / 12."""
    return alike_with_known_variance(two_humps(), (0.5, 0.5))


@known(SADDLE)
def rate_of_one_on_skewed_data() -> Any:
    """Flat to second order, and the third order rises one way: skewness meets unequal weights."""
    return alike_with_known_variance(np.random.default_rng(2).gamma(1.5, size=(150, 1)), (0.2, 0.8))


# As often as two Poissons of the rates 1 and 8 expect each count: no mixture of Poissons fits better than these two.
COUNTS = np.arange(40.0)[:, None]
HOW_OFTEN = 400 * (0.3 * poisson.pmf(COUNTS[:, 0], 1.0) + 0.7 * poisson.pmf(COUNTS[:, 0], 8.0))

MEAN = float(np.average(COUNTS[:, 0], weights=HOW_OFTEN))


def of_counts(k: int, weights: Any, rates: Any) -> Any:
    params = start(weights, PoissonParameters(np.asarray(rates, float)[:, None]))
    return fitted(mixture(Poisson(), k), COUNTS, params, sample_weight=HOW_OFTEN)


@known(SADDLE)
def one_rate_twice() -> Any:
    """The counts vary more than a Poisson: two rates are better than one, and EM cannot find out."""
    return of_counts(2, [0.4, 0.6], [MEAN] * 2)


def two_rates() -> Any:
    found = of_counts(2, [0.3, 0.7], [1.0, 8.0]).parameters
    return found.latent.weights, found.emission.rates[:, 0]


@known(MAXIMUM)
def two_rates_once() -> Any:
    return of_counts(2, *two_rates())


@known(RIDGE)
def two_rates_one_of_them_twice() -> Any:
    """The best of all mixtures has two rates here; the third splits a weight, and it does not matter how."""
    (a, b), (low, high) = two_rates()
    return of_counts(3, [0.5 * a, 0.5 * a, b], [low, low, high])


@known(BOUNDARY)
def weight_of_zero_that_is_kept() -> Any:
    """Counts that vary less than a Poisson: any second rate would make the fit worse."""
    counts = np.arange(11.0)[:, None]
    params = start([1.0, 0.0], PoissonParameters(np.array([[5.0], [3.0]])))
    return fitted(mixture(Poisson(), 2), counts, params, sample_weight=200 * binom.pmf(counts[:, 0], 10, 0.5))


@known(AWAY)
def weight_of_zero_that_leads_away() -> Any:
    """One rate for all, and a second one of weight zero where the likelihood would rise."""
    return of_counts(2, [1.0, 0.0], [MEAN, 1.0])


# -- maxima ----------------------------------------------------------------------------------------------


@known(MAXIMUM)
def death_notices() -> Any:
    data = case("poisson_mixture_london_times").columns()
    params = start([0.36, 0.64], PoissonParameters(np.array([[1.25], [2.66]])))
    return fitted(mixture(Poisson(), 2), data[:, :1], params, sample_weight=data[:, 1])


@known(MAXIMUM)
def old_faithful() -> Any:
    x = case("gmm_faithful").columns("eruptions", "waiting")
    return fitted(mixture(FullGaussian(), 2), x, random_state=0)


@known(MAXIMUM)
def iris() -> Any:
    x = case("gmm_iris").columns("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
    return fitted(mixture(FullGaussian(), 2), x, random_state=0)


@known(MAXIMUM)
def one_normal() -> Any:
    return fitted(mixture(FullGaussian(), 1), np.random.default_rng(5).normal(size=(50, 3)))


@known(MAXIMUM)
def far_apart() -> Any:
    x = np.random.default_rng(6).normal(size=(100, 2)) + np.repeat([[0.0], [1e3]], 50, axis=0)
    return fitted(mixture(FullGaussian(), 2), x, random_state=0)


@known(MAXIMUM)
def with_a_prior() -> Any:
    model = LatentVariableModel(Categorical(2), Poisson(), em.Prior(concentration=2.0))
    return fitted(model, COUNTS, sample_weight=HOW_OFTEN, random_state=0)


# -- a t location with four maxima: Arslan, Constable and Kent (1993) by McLachlan and Krishnan (2008)

T_ROWS = np.array([[-20.0], [1.0], [2.0], [3.0]])
T_MAXIMA = (-19.993, 1.086, 1.997, 2.906)


def t_location(at: float) -> Any:
    family = Constrained(DiagonalStudentT(dof=0.05), fixed=("scales",))
    emission = family.constrain(DiagonalStudentTParameters(np.array([[at]]), np.ones((1, 1)), np.empty(0)))
    return fitted(mixture(family, 1), T_ROWS, start(1.0, emission))


STATIONARY += [Stationary(f"t_maximum_at_{at}", MAXIMUM, partial(t_location, at)) for at in T_MAXIMA]


def t_minimum(low: float, high: float) -> Any:
    """EM started within rounding of where the score of the location changes sign upwards."""
    def score(mean: float) -> float:
        u = 1.05 / (0.05 + (T_ROWS[:, 0] - mean) ** 2)
        return float(np.sum(u * (T_ROWS[:, 0] - mean)))

    return t_location(brentq(score, low, high, xtol=1e-15))


STATIONARY += [
    Stationary(f"t_minimum_between_{low}_and_{high}", SADDLE, partial(t_minimum, low, high))
    for low, high in [(-18.0, -5.0), (1.2, 1.7), (2.3, 2.8)]
]


# -- factors ---------------------------------------------------------------------------------------------

FACTORS = np.random.default_rng(8).normal(size=(300, 2)) @ np.array(
    [[1.5, -1.2, 0.9, 0.2, -0.3, 0.5], [0.1, 0.4, -0.6, 0.8, 0.9, -0.7]]
) + np.random.default_rng(9).normal(size=(300, 6))


@known(MAXIMUM)
def one_factor() -> Any:
    return em.FactorAnalysis(1, tol=1e-12, max_iter=10_000).fit(FACTORS).result_


@known(RIDGE)
def two_factors() -> Any:
    """Loadings may be rotated."""
    return em.FactorAnalysis(2, tol=1e-12, max_iter=10_000).fit(FACTORS).result_


@known(RIDGE)
def two_principal_components() -> Any:
    return em.ProbabilisticPCA(2, tol=1e-12, max_iter=10_000).fit(FACTORS).result_


def principal_component(j: int) -> Any:
    """Probabilistic PCA at the j-th axis: a saddle unless it is the first (Tipping and Bishop 1999, appendix A)."""
    x = FACTORS - FACTORS.mean(axis=0)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    order = np.argsort(-values)
    value, vector = values[order[j]], vectors[:, order[j]]
    noise = (values.sum() - value) / (len(values) - 1)
    model = LatentVariableModel(Normal(1), LinearGaussian("isotropic"))
    loadings = np.sqrt(max(value - noise, 0.0)) * vector[:, None]
    emission = LinearGaussianParameters.of(np.zeros(6), loadings, np.full(6, noise))
    return fitted(model, x, ModelParameters(NormalParameters(np.zeros(1), np.eye(1)), emission))


@known(MAXIMUM)
def first_principal_component() -> Any:
    return principal_component(0)


@known(SADDLE)
def second_principal_component() -> Any:
    return principal_component(1)


@known(BOUNDARY)
def heywood() -> Any:
    """0.8 · 0.8 / 0.45 > 1: the first column would need a noise below zero."""
    correlation = np.array([[1, 0.8, 0.8, 0.3], [0.8, 1, 0.45, 0.3], [0.8, 0.45, 1, 0.3], [0.3, 0.3, 0.3, 1]])
    return em.FactorAnalysis(1, tol=1e-12, max_iter=20_000).fit_covariance(correlation, 200).result_


# -- latent classes --------------------------------------------------------------------------------------


@known(MAXIMUM)
def two_classes() -> Any:
    rng = np.random.default_rng(11)
    chances = np.array([[0.2, 0.3, 0.1, 0.4], [0.8, 0.6, 0.7, 0.9]])
    x = (rng.random((500, 4)) < chances[rng.integers(0, 2, 500)]).astype(float)
    return fitted(mixture(Bernoulli(), 2), x, random_state=0)


@known(BOUNDARY)
def class_that_never_errs() -> Any:
    """An item that a class always affirms: its probability goes to 1."""
    rng = np.random.default_rng(12)
    chances = np.array([[0.2, 0.3, 0.1, 0.4], [1.0, 0.6, 0.7, 0.9]])
    x = (rng.random((500, 4)) < chances[rng.integers(0, 2, 500)]).astype(float)
    params = start([0.5, 0.5], BernoulliParameters(np.clip(chances, 0.1, 0.9)))
    return fitted(mixture(Bernoulli(), 2), x, params)


@known(RIDGE)
def two_classes_on_two_items() -> Any:
    """Five parameters for a table of three free cells."""
    rng = np.random.default_rng(13)
    z = rng.integers(0, 2, 400)
    x = (rng.random((400, 2)) < np.array([[0.2, 0.3], [0.8, 0.6]])[z]).astype(float)
    return fitted(mixture(CategoricalColumns((2, 2)), 2), x, random_state=0)


# -- ends of a range -------------------------------------------------------------------------------------


@known(BOUNDARY)
def no_extra_zeros() -> Any:
    """Fewer zeros than a Poisson has: zero inflation goes to zero."""
    x = np.random.default_rng(14).poisson(2.0, (300, 1)).astype(float)
    x = x[(x[:, 0] > 0) | (np.arange(300) % 3 == 0)]
    return fitted(mixture(ZeroInflated(Poisson()), 1), x)


@known(BOUNDARY)
def no_overdispersion() -> Any:
    """Counts that vary less than a Poisson: the size of the negative binomial grows to its limit."""
    x = np.random.default_rng(15).binomial(10, 0.5, (300, 1)).astype(float)
    return fitted(mixture(NegativeBinomial(), 1), x)


@known(BOUNDARY)
def floor_under_a_variance() -> Any:
    x = np.concatenate([np.random.default_rng(16).normal(size=80), np.full(20, 7.0)])[:, None]
    return fitted(mixture(SphericalGaussian(floor=1e-4), 2), x, random_state=0)


# -- chains ----------------------------------------------------------------------------------------------


def chain_of_counts() -> np.ndarray:
    rng = np.random.default_rng(17)
    states = np.repeat([0, 1, 0, 1, 0, 1, 1, 0], 40)
    return rng.poisson(np.array([2.0, 9.0])[states])[:, None].astype(float)


@known(BOUNDARY)
def two_states() -> Any:
    """The first state is known after one sequence: an initial probability goes to zero."""
    return fitted(LatentVariableModel(MarkovChain(2), Poisson()), chain_of_counts(), random_state=0)


@known(MAXIMUM)
def two_states_of_a_stationary_chain() -> Any:
    model = LatentVariableModel(MarkovChain(2, stationary=True), Poisson())
    return fitted(model, chain_of_counts(), random_state=0)


@known(SADDLE)
def states_that_are_alike() -> Any:
    x = chain_of_counts()
    latent = MarkovChainParameters(np.array([0.5, 0.5]), np.full((2, 2), 0.5))
    emission = PoissonParameters(np.full((2, 1), x.mean()))
    return fitted(LatentVariableModel(MarkovChain(2), Poisson()), x, ModelParameters(latent, emission))
