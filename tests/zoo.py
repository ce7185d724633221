"""Every family, latent, acceleration and executor, once, one line each: what the laws are tested on.

A new family is one line in `FAMILIES`; it then meets every law and every latent.  `test_zoo.py` finds what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from latentem.acceleration import Squarem
from latentem.execution import Processes, Serial, Threads
from latentem.families import bernoulli as be
from latentem.families import beta as bt
from latentem.families import categorical as ca
from latentem.families import components as cm
from latentem.families import constrained as co
from latentem.families import exponential as ex
from latentem.families import gamma as ga
from latentem.families import gaussian as g
from latentem.families import geometric as ge
from latentem.families import inverse_gaussian as ig
from latentem.families import log_normal as ln
from latentem.families import multinomial as mu
from latentem.families import negative_binomial as nb
from latentem.families import plate as pl
from latentem.families import poisson as po
from latentem.families import product as pr
from latentem.families import student_t as t
from latentem.families import student_t_diagonal as td
from latentem.families import truncated as tr
from latentem.families import uniform_noise as un
from latentem.families import von_mises_fisher as vm
from latentem.families import weibull as we
from latentem.families import zero_inflated as zi
from latentem.families.composite import CompositeParameters
from latentem.latents import categorical as c
from latentem.latents import markov_chain as mc

INF = np.inf


@dataclass(frozen=True)
class FamilySpecimen:
    """A family (or a function of K that gives one), its parameters for K components, values outside its support,
    and whether it integrates missing entries out."""

    family: Any
    parameters: Callable[[int], Any]
    outside: tuple[float, ...] = ()
    missing: bool = True

    def of(self, k: int) -> Any:
        return self.family(k) if isinstance(self.family, FunctionType) else self.family


@dataclass(frozen=True)
class LatentSpecimen:
    """A latent with K states, and its parameters."""

    latent: Callable[[int], Any]
    parameters: Callable[[int], Any]


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


def one_of(k: int) -> Any:
    """Parameters of one component: a Poisson or a negative binomial, in turn."""
    mean = np.array([[1.0 + 2 * k, 4.0]])
    return po.PoissonParameters(mean) if k % 2 == 0 else nb.NegativeBinomialParameters(mean, np.array([[2.0, 3.0]]))


means, scales, rates, rate = between(-2, 3), between(0.7, 2), between(0.7, 6), between(0.7, 6, 1)
inflated = zi.ZeroInflated(po.Poisson())
mixed = pr.Product(((g.DiagonalGaussian(), (1,)), (po.Poisson(), (0, 2))))
held = co.Constrained(g.DiagonalGaussian(), fixed=("variances",))
tied = co.Constrained(ga.Gamma(), tied=("shapes",))


def zero_inflated(k: int, most: float = 0.5) -> Any:
    return zi.ZeroInflatedParameters(np.linspace(0.1, most, k), po.PoissonParameters(rate(k)))


# fmt: off
FAMILIES: dict[str, FamilySpecimen] = {
    "FullGaussian": FamilySpecimen(g.FullGaussian(), lambda k: g.FullGaussianParameters(means(k), covariances(k))),
    "TiedGaussian": FamilySpecimen(g.TiedGaussian(), lambda k: g.TiedGaussianParameters(means(k), covariances(1)[0])),
    "DiagonalGaussian": FamilySpecimen(g.DiagonalGaussian(), lambda k: g.DiagonalGaussianParameters(means(k), scales(k))),
    "SphericalGaussian": FamilySpecimen(g.SphericalGaussian(), lambda k: g.SphericalGaussianParameters(means(k), line(k))),
    "FullStudentT": FamilySpecimen(t.FullStudentT(), lambda k: t.FullStudentTParameters(means(k), covariances(k), 4 + line(k))),
    "DiagonalStudentT": FamilySpecimen(td.DiagonalStudentT(), lambda k: td.DiagonalStudentTParameters(means(k), scales(k), 4 + line(k))),
    "Bernoulli": FamilySpecimen(be.Bernoulli(), lambda k: be.BernoulliParameters(between(0.1, 0.8)(k)), (-1, 2, 0.5)),
    "Beta": FamilySpecimen(bt.Beta(), lambda k: bt.BetaParameters(rates(k), scales(k)), (-1, 0, 1, INF)),
    "CategoricalColumns": FamilySpecimen(ca.CategoricalColumns((2, 4)), lambda k: ca.CategoryParameters((ca.ColumnProbabilities(shares(k, 2)), ca.ColumnProbabilities(shares(k, 4)))), (-1, 4, 0.5)),
    "Exponential": FamilySpecimen(ex.Exponential(), lambda k: ex.ExponentialParameters(scales(k)), (-1, INF)),
    "Gamma": FamilySpecimen(ga.Gamma(), lambda k: ga.GammaParameters(rates(k), scales(k)), (-1, 0, INF)),
    "Geometric": FamilySpecimen(ge.Geometric(), lambda k: ge.GeometricParameters(between(0.1, 0.8)(k)), (-1, 0.5, INF)),
    "InverseGaussian": FamilySpecimen(ig.InverseGaussian(), lambda k: ig.InverseGaussianParameters(rates(k), scales(k)), (-1, 0, INF)),
    "LogNormal": FamilySpecimen(ln.LogNormal(), lambda k: ln.LogNormalParameters(means(k), scales(k)), (-1, 0, INF)),
    "Multinomial": FamilySpecimen(mu.Multinomial(n_trials=7), lambda k: mu.MultinomialParameters(shares(k, 4)), (-1, 0.5, INF), missing=False),
    "Poisson": FamilySpecimen(po.Poisson(), lambda k: po.PoissonParameters(rates(k)), (-1, 0.5, INF)),
    "NegativeBinomial": FamilySpecimen(nb.NegativeBinomial(), lambda k: nb.NegativeBinomialParameters(rates(k), scales(k)), (-1, 0.5, INF)),
    "UniformNoise": FamilySpecimen(un.UniformNoise((-1.0, 2.0), (3.0, 4.0)), lambda k: un.UniformNoiseParameters(np.empty((k, 0)))),
    "VonMisesFisher": FamilySpecimen(vm.VonMisesFisher(), lambda k: vm.VonMisesFisherParameters(means(k)), (5, INF), missing=False),
    "Weibull": FamilySpecimen(we.Weibull(), lambda k: we.WeibullParameters(scales(k), rates(k)), (-1, 0, INF)),
    "Product": FamilySpecimen(mixed, lambda k: parts(g.DiagonalGaussianParameters(between(-2, 3, 1)(k), between(0.7, 2, 1)(k)), po.PoissonParameters(rates(k))), (-1, 0.5)),
    "PerColumn": FamilySpecimen(pr.PerColumn(inflated), lambda k: parts(zero_inflated(k), zero_inflated(k, 0.3)), (-1, 0.5)),
    "ZeroInflated": FamilySpecimen(inflated, zero_inflated, (-1, 0.5)),
    "Truncated": FamilySpecimen(tr.Truncated(po.Poisson(), low=1), lambda k: tr.TruncatedParameters(po.PoissonParameters(rate(k))), (0, 0.5)),
    "Plate": FamilySpecimen(pl.Plate(po.Poisson()), lambda k: po.PoissonParameters(rates(k)), (-1, 0.5)),
    "Constrained": FamilySpecimen(held, lambda k: held.constrain(g.DiagonalGaussianParameters(means(k), scales(k)))),
    "Components": FamilySpecimen(lambda k: cm.Components((po.Poisson(), nb.NegativeBinomial(), po.Poisson())[:k]), lambda k: parts(*map(one_of, range(k))), (-1, 0.5)),
}

# The same classes with other options.
VARIANTS: dict[str, FamilySpecimen] = {
    "FullStudentT, tied": FamilySpecimen(t.FullStudentT(dof="tied"), lambda k: t.FullStudentTParameters(means(k), covariances(k), np.array([5.0]))),
    "Constrained, tied": FamilySpecimen(tied, lambda k: tied.constrain(ga.GammaParameters(rates(k), scales(k))), (-1, 0, INF)),
    "DiagonalStudentT, fixed": FamilySpecimen(td.DiagonalStudentT(dof=4.0), lambda k: td.DiagonalStudentTParameters(means(k), scales(k), np.empty(0))),
}

LATENTS: dict[str, LatentSpecimen] = {
    "Categorical": LatentSpecimen(c.Categorical, lambda k: c.CategoricalParameters(shares(1, k)[0])),
    "MarkovChain": LatentSpecimen(mc.MarkovChain, lambda k: mc.MarkovChainParameters(shares(1, k)[0], shares(k, k))),
}

ACCELERATIONS: dict[str, Callable[[], Any]] = {
    "Squarem": Squarem,
}

EXECUTORS: dict[str, Callable[[], Any]] = {
    "Serial": Serial,
    "Threads": lambda: Threads(3),
    "Processes": lambda: Processes(2),
}
# fmt: on
