"""Every family, latent, acceleration and executor, once, one line each: what the laws are tested on.

A new family is one line in `FAMILIES`; it then meets every law and every latent.  `test_zoo.py` finds what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from latentem.acceleration import Anderson, Auto, Lbfgs, Parabolic, QuasiNewton, Squarem, SubspaceNewton
from latentem.execution import Processes, Serial, Threads
from latentem.families import (
    autoregression as ar,
    bernoulli as be,
    beta as bt,
    categorical as ca,
    components as cm,
    conjugate as cj,
    constrained as co,
    exponential as ex,
    gamma as ga,
    gaussian as g,
    gaussian_regression as gr,
    geometric as ge,
    inverse_gaussian as ig,
    linear_gaussian as lgn,
    linear_regression as lr,
    log_normal as ln,
    logistic_regression as lg,
    multinomial as mu,
    negative_binomial as nb,
    plate as pl,
    poisson as po,
    poisson_regression as pg,
    product as pr,
    student_t as t,
    student_t_diagonal as td,
    truncated as tr,
    uniform_noise as un,
    von_mises_fisher as vm,
    weibull as we,
    zero_inflated as zi,
)
from latentem.families.columnwise import ColumnStatistics
from latentem.families.composite import CompositeParameters
from latentem.families.generalized_linear import CoefficientParameters
from latentem.latents import (
    banded,
    categorical as c,
    covariate_markov_chain as cmc,
    durations as du,
    left_to_right,
    markov_chain as mc,
    normal as no,
    normal_chain as nc,
    semi_markov_chain as smc,
)

INF = np.inf


@dataclass(frozen=True)
class FamilySpecimen:
    """A family (or a function of K that gives one), its parameters for K components, values outside its support,
    whether it integrates missing entries out, how many covariates it wants, and whether rows are independent given
    states and covariates."""

    family: Any
    parameters: Callable[[int], Any]
    outside: tuple[float, ...] = ()
    missing: bool = True
    n_covariates: int = 0
    independent: bool = True

    def of(self, k: int) -> Any:
        return self.family(k) if isinstance(self.family, FunctionType) else self.family


@dataclass(frozen=True)
class LatentSpecimen:
    """A latent with K states, its parameters, how many covariates it wants, and the fewest states that it takes."""

    latent: Callable[[int], Any]
    parameters: Callable[[int], Any]
    n_covariates: int = 0
    fewest: int = 1


def between(low: float, high: float, d: int = 2) -> Callable[[int], Any]:
    """(K, D) different numbers between two others, each column in another order."""

    def table(k: int) -> Any:
        columns = np.linspace(low, high, k * d).reshape(d, k)
        return np.stack([np.roll(column, shift) for shift, column in enumerate(columns)], axis=1)

    return table


def shares(k: int, n: int) -> Any:
    """k rows of n different probabilities."""
    return np.random.default_rng(n).dirichlet(np.full(n, 3.0), size=k)


def covariances(k: int, d: int = 2) -> Any:
    """k different covariance matrices (D, D)."""
    root = np.random.default_rng(k).normal(size=(k, d, d))
    return np.eye(d) + 0.4 * root @ np.swapaxes(root, 1, 2)


def line(k: int) -> Any:
    """(K,) different positive numbers."""
    return np.linspace(0.5, 2, k)


def parts(*own: Any) -> CompositeParameters:
    return CompositeParameters(own)


def ones(k: int) -> Any:
    """Parameters of k single components: Poissons and negative binomials in turn."""
    rows = [np.array([[1.0 + 2 * i, 4.0]]) for i in range(k)]
    size = np.array([[2.0, 3.0]])
    kinds = [po.PoissonParameters, lambda mean: nb.NegativeBinomialParameters(mean, size)]
    return parts(*[kinds[i % 2](mean) for i, mean in enumerate(rows)])


def zero_inflated(k: int, most: float = 0.5) -> Any:
    return zi.ZeroInflatedParameters(np.linspace(0.1, most, k), po.PoissonParameters(rate(k)))


def column(k: int, n: int) -> Any:
    return ca.ColumnProbabilities(shares(k, n))


def linear_gaussian(family: Any, q: int, p: int = 3) -> Any:
    """Parameters of p columns that see q coordinates, under the family's options."""
    rng = np.random.default_rng(q)
    params = lgn.LinearGaussianParameters.of(rng.normal(size=p), rng.normal(size=(p, q)), covariances(1, p)[0])
    return family.conform(params)


def normal_of_one_column(k: int) -> Any:
    return g.DiagonalGaussianParameters(line(k)[:, None], rate(k))


def has(
    family: Any, parameters: Callable[[int], Any], *outside: float, missing: bool = True, given: int = 0
) -> FamilySpecimen:
    return FamilySpecimen(family, parameters, outside, missing, given)


def slopes(k: int, p: int = 3, m: int = 2) -> Any:
    """Coefficients (K, M, P) of moderate size, the components different."""
    return np.random.default_rng(k + p).normal(scale=0.5, size=(k, m, p)) + np.linspace(-0.5, 0.5, k)[:, None, None]


def wishart(k: int) -> Any:
    """A prior that is the same for all k components."""
    scatter = np.tile(np.eye(2) + 0.3, (k, 1, 1))
    return cj.NormalInverseWishart(np.full((k, 2), 0.5), np.full(k, 2.0), scatter, np.full(k, 3.0))


means, scales, rates, rate = between(-2, 3), between(0.7, 2), between(0.7, 6), between(0.7, 6, 1)
share = between(0.1, 0.8)
normal, counts, inflated = g.DiagonalGaussian(), po.Poisson(), zi.ZeroInflated(po.Poisson())
mixed = pr.Product(((normal, (1,)), (counts, (0, 2))))
held = co.Constrained(normal, fixed=("variances",))
tied = co.Constrained(ga.Gamma(), tied=("shapes",))
box = un.UniformNoise((-1.0, 2.0), (3.0, 4.0))

_FAMILIES = [
    has(g.FullGaussian(), lambda k: g.FullGaussianParameters(means(k), covariances(k))),
    has(g.TiedGaussian(), lambda k: g.TiedGaussianParameters(means(k), covariances(1)[0])),
    has(normal, lambda k: g.DiagonalGaussianParameters(means(k), scales(k))),
    has(g.SphericalGaussian(), lambda k: g.SphericalGaussianParameters(means(k), line(k))),
    has(t.FullStudentT(), lambda k: t.FullStudentTParameters(means(k), covariances(k), 4 + line(k))),
    has(td.DiagonalStudentT(), lambda k: td.DiagonalStudentTParameters(means(k), scales(k), 4 + line(k))),
    has(be.Bernoulli(), lambda k: be.BernoulliParameters(share(k)), -1, 2, 0.5),
    has(bt.Beta(), lambda k: bt.BetaParameters(rates(k), scales(k)), -1, 0, 1, INF),
    has(ca.CategoricalColumns((2, 4)), lambda k: ca.CategoryParameters((column(k, 2), column(k, 4))), -1, 4, 0.5),
    has(ex.Exponential(), lambda k: ex.ExponentialParameters(scales(k)), -1, INF),
    has(ga.Gamma(), lambda k: ga.GammaParameters(rates(k), scales(k)), -1, 0, INF),
    has(ge.Geometric(), lambda k: ge.GeometricParameters(share(k)), -1, 0.5, INF),
    has(ig.InverseGaussian(), lambda k: ig.InverseGaussianParameters(rates(k), scales(k)), -1, 0, INF),
    has(ln.LogNormal(), lambda k: ln.LogNormalParameters(means(k), scales(k)), -1, 0, INF),
    has(mu.Multinomial(n_trials=7), lambda k: mu.MultinomialParameters(shares(k, 4)), -1, 0.5, INF, missing=False),
    has(counts, lambda k: po.PoissonParameters(rates(k)), -1, 0.5, INF),
    has(nb.NegativeBinomial(), lambda k: nb.NegativeBinomialParameters(rates(k), scales(k)), -1, 0.5, INF),
    has(box, lambda k: un.UniformNoiseParameters(np.empty((k, 0)))),
    has(vm.VonMisesFisher(), lambda k: vm.VonMisesFisherParameters(means(k)), 5, INF, missing=False),
    has(we.Weibull(), lambda k: we.WeibullParameters(scales(k), rates(k)), -1, 0, INF),
    has(mixed, lambda k: parts(normal_of_one_column(k), po.PoissonParameters(rates(k))), -1, 0.5),
    has(pr.PerColumn(inflated), lambda k: parts(zero_inflated(k), zero_inflated(k, 0.3)), -1, 0.5),
    has(inflated, zero_inflated, -1, 0.5),
    has(tr.Truncated(counts, low=1), lambda k: tr.TruncatedParameters(po.PoissonParameters(rate(k))), 0, 0.5),
    has(pl.Plate(counts), lambda k: po.PoissonParameters(rates(k)), -1, 0.5),
    has(held, lambda k: held.constrain(g.DiagonalGaussianParameters(means(k), scales(k)))),
    FamilySpecimen(
        ar.Autoregression(),
        lambda k: gr.FullRegressionParameters(0.7 * slopes(k), covariances(k)),
        missing=False,
        independent=False,
    ),
    has(
        lr.LinearRegression(covariance="diagonal"),
        lambda k: gr.DiagonalRegressionParameters(slopes(k), scales(k)),
        given=2,
    ),
    has(pg.PoissonRegression(), lambda k: CoefficientParameters(slopes(k)), -1, 0.5, INF, given=2),
    has(lg.LogisticRegression(), lambda k: CoefficientParameters(slopes(k)), -1, 0.5, 2, given=2),
    has(
        lambda k: cj.Conjugate(g.FullGaussian(), wishart(k)),
        lambda k: g.FullGaussianParameters(means(k), covariances(k)),
    ),
    has(lambda k: cm.Components((counts, nb.NegativeBinomial(), counts)[:k]), ones, -1, 0.5),
]
FAMILIES: dict[str, FamilySpecimen] = {type(one.of(2)).__name__: one for one in _FAMILIES}

# The same classes with other options.
VARIANTS: dict[str, FamilySpecimen] = {
    "StudentT, tied": has(
        t.FullStudentT(dof="tied"), lambda k: t.FullStudentTParameters(means(k), covariances(k), np.array([5.0]))
    ),
    "StudentT, fixed": has(
        td.DiagonalStudentT(dof=4.0), lambda k: td.DiagonalStudentTParameters(means(k), scales(k), np.empty(0))
    ),
    "Conjugate, of independent columns": has(
        lambda k: cj.Conjugate(
            normal,
            cj.NormalInverseWishart(means(1).repeat(k, 0), np.full(k, 2.0), scales(1).repeat(k, 0), np.full(k, 1.0)),
        ),
        lambda k: g.DiagonalGaussianParameters(means(k), scales(k)),
    ),
    "Conjugate, gamma prior of rates": has(
        lambda k: cj.Conjugate(
            counts, cj.PseudoCounts(ColumnStatistics(np.full((k, 1, 2), 3.0), np.full((k, 2), 2.0), np.zeros(k)))
        ),
        lambda k: po.PoissonParameters(rates(k)),
        -1,
        0.5,
    ),
    "Constrained, tied": has(tied, lambda k: tied.constrain(ga.GammaParameters(rates(k), scales(k))), -1, 0, INF),
    "ZeroInflated, of positive numbers": has(
        zi.ZeroInflated(ga.Gamma()),
        lambda k: zi.ZeroInflatedParameters(line(k) / 4, ga.GammaParameters(rate(k), rate(k))),
        -1,
    ),
    "Truncated, on both sides": has(
        tr.Truncated(g.DiagonalGaussian(), -2.0, 8.0),
        lambda k: tr.TruncatedParameters(normal_of_one_column(k)),
        -2.1,
        8.1,
    ),
    "LinearRegression, full": has(
        lr.LinearRegression(columns=(1,)),
        lambda k: gr.FullRegressionParameters(slopes(k, 2), covariances(k)),
        missing=False,
        given=2,
    ),
    "LogisticRegression, of several trials without intercept": has(
        lg.LogisticRegression(intercept=False, n_trials=4),
        lambda k: CoefficientParameters(slopes(k, 2)),
        5,
        0.5,
        given=2,
    ),
    "Plate, of Gaussians": has(
        pl.Plate(g.FullGaussian()), lambda k: g.FullGaussianParameters(means(k), covariances(k))
    ),
}

# Families whose density is a linear Gaussian form in a vector z of q coordinates, and the latents that take it.
LINEAR_FAMILIES: dict[str, FamilySpecimen] = {
    "LinearGaussian": has(lgn.LinearGaussian(), lambda q: linear_gaussian(lgn.LinearGaussian(), q)),
}
_bound = lgn.LinearGaussian(["a", "a", None], ["d", "d", 0.5], [["l", 0.0], [None, "l"], [None, None]])
LINEAR_VARIANTS: dict[str, FamilySpecimen] = {
    "LinearGaussian, full": has(lgn.LinearGaussian("full"), lambda q: linear_gaussian(lgn.LinearGaussian("full"), q)),
    "LinearGaussian, isotropic": has(
        lgn.LinearGaussian("isotropic"), lambda q: linear_gaussian(lgn.LinearGaussian("isotropic"), q)
    ),
    "LinearGaussian, bound": has(_bound, lambda q: linear_gaussian(_bound, q)),
}
NORMAL_LATENTS: dict[str, LatentSpecimen] = {
    "Normal": LatentSpecimen(no.Normal, lambda q: no.NormalParameters(np.zeros(q), np.eye(q))),
}
NORMAL_VARIANTS: dict[str, LatentSpecimen] = {
    "Normal, free": LatentSpecimen(
        lambda q: no.Normal(q, free=("mean", "covariance")),
        lambda q: no.NormalParameters(np.linspace(-1, 1, q), covariances(1, q)[0], ("mean", "covariance")),
    ),
}

# Chains of such vectors, whose unit is the group; their laws are in test_normal_chain.py.
NORMAL_CHAINS: dict[str, LatentSpecimen] = {
    "NormalChain": LatentSpecimen(nc.NormalChain, lambda q: nc.NormalChain(q).start()),
}


def chain_with(options: Callable[[int], dict[str, Any]]) -> LatentSpecimen:
    """A chain with options, and parameters that respect them."""

    def latent(k: int) -> Any:
        return mc.MarkovChain(k, **options(k)) if k > 1 else mc.MarkovChain(k)

    def parameters(k: int) -> Any:
        return latent(k).conform(mc.MarkovChainParameters(shares(1, k)[0], shares(k, k)))

    return LatentSpecimen(latent, parameters)


def held_transitions(k: int) -> Any:
    """The first state is left with probability 0.3, the last one keeps to itself, and one transition is forbidden."""
    table = np.full((k, k), np.nan)
    table[0, 0] = 0.7
    table[-1] = np.eye(k)[-1]
    table[0, -1] = 0.0 if k > 2 else np.nan
    return table


LATENTS: dict[str, LatentSpecimen] = {
    "Categorical": LatentSpecimen(c.Categorical, lambda k: c.CategoricalParameters(shares(1, k)[0])),
    "MarkovChain": LatentSpecimen(mc.MarkovChain, lambda k: mc.MarkovChainParameters(shares(1, k)[0], shares(k, k))),
    "CovariateMarkovChain": LatentSpecimen(
        lambda k: cmc.CovariateMarkovChain(k, columns=(0, 1)),
        lambda k: cmc.CovariateMarkovParameters(shares(1, k)[0], slopes(k, 3, k - 1)),
        2,
    ),
    "SemiMarkovChain": LatentSpecimen(
        lambda k: smc.SemiMarkovChain(k, max_duration=5),
        lambda k: smc.SemiMarkovParameters(shares(1, k)[0], shares(k, k - 1), du.FreeDurations(shares(k, 5))),
        fewest=2,
    ),
}

LATENT_VARIANTS: dict[str, LatentSpecimen] = {
    "Categorical, one fixed": LatentSpecimen(
        lambda k: c.Categorical(k, fixed=(0,)), lambda k: c.CategoricalParameters(shares(1, k)[0], fixed=(0,))
    ),
    "CovariateMarkovChain, without intercept": LatentSpecimen(
        lambda k: cmc.CovariateMarkovChain(k, columns=(1,), intercept=False),
        lambda k: cmc.CovariateMarkovParameters(shares(1, k)[0], slopes(k, 1, k - 1)),
        2,
    ),
    "SemiMarkovChain, Poisson": LatentSpecimen(
        lambda k: smc.SemiMarkovChain(k, 6, "poisson"),
        lambda k: smc.SemiMarkovParameters(shares(1, k)[0], shares(k, k - 1), du.PoissonDurations(line(k))),
        fewest=2,
    ),
    "MarkovChain, held": chain_with(
        lambda k: {"fixed": held_transitions(k), "fixed_initial": [0.4, *[np.nan] * (k - 1)]}
    ),
    "MarkovChain, tied": chain_with(lambda k: {"tied": np.eye(k)}),
    "MarkovChain, left to right": chain_with(lambda k: {"fixed": left_to_right(k), "fixed_initial": np.eye(k)[0]}),
    "MarkovChain, stationary": chain_with(lambda k: {"stationary": True}),
    "MarkovChain, stationary and banded": chain_with(lambda k: {"fixed": banded(k, 1), "stationary": True}),
}

ACCELERATIONS: dict[str, Callable[[], Any]] = {
    "Anderson": Anderson,
    "Auto": Auto,
    "Lbfgs": Lbfgs,
    "Parabolic": Parabolic,
    "QuasiNewton": QuasiNewton,
    "Squarem": Squarem,
    "SubspaceNewton": SubspaceNewton,
}

EXECUTORS: dict[str, Callable[[], Any]] = {
    "Serial": Serial,
    "Threads": lambda: Threads(3),
    "Processes": lambda: Processes(2),
}
