"""Families made of families keep the laws of families, in mixtures and in chains."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.execution import Serial
from latentem.families.beta import Beta, BetaParameters
from latentem.families.categorical import CategoricalColumns, CategoryParameters, ColumnProbabilities
from latentem.families.components import Components
from latentem.families.composite import CompositeParameters
from latentem.families.constrained import Constrained
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
)
from latentem.families.log_mass import mass_between
from latentem.families.numeric_step import knows_score
from latentem.families.plate import Plate
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.product import PerColumn, Product
from latentem.families.truncated import Truncated, TruncatedParameters, TruncatedStatistics
from latentem.families.weibull import Weibull, WeibullParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters
from latentem.kernels.derivatives import gradient
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, Posterior
from latentem.testing import check_family

SERIAL = Serial()


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def weibulls(k: int = 2) -> WeibullParameters:
    return WeibullParameters(np.array([[0.8], [2.5], [1.4]])[:k], np.array([[1.5], [3.0], [0.7]])[:k])


def full(k: int = 2) -> FullGaussianParameters:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(k, 2, 2))
    return FullGaussianParameters(rng.normal(size=(k, 2)) * 2, np.eye(2) + 0.4 * root @ np.swapaxes(root, 1, 2))


def mixture(weights: list[float], *values: float) -> ModelParameters:
    return ModelParameters(CategoricalParameters(np.array(weights)), rates(*values))


def chain(initial: list[float], transition: list[list[float]], *values: float) -> ModelParameters:
    return ModelParameters(MarkovChainParameters(np.array(initial), np.array(transition)), rates(*values))


MIXTURE = LatentVariableModel(Categorical(2), Poisson())
HMM = LatentVariableModel(MarkovChain(2), Poisson())
TIED = Constrained(FullGaussian(), tied=("covariances",))
HELD = Constrained(DiagonalGaussian(), fixed=("means",))
BOTH = Constrained(DiagonalGaussian(), fixed=("means",), tied=("variances",))

SPECIMENS = {
    "zero-inflated Poisson": (ZeroInflated(Poisson()), ZeroInflatedParameters(np.array([0.3, 0.1]), rates(2, 5)), 2),
    "point mass beside a normal": (
        ZeroInflated(DiagonalGaussian()), ZeroInflatedParameters(np.array([0.3, 0.1]), normals([0, 2], [1, 0.5])), 2
    ),
    "point mass beside a Weibull": (
        ZeroInflated(Weibull()), ZeroInflatedParameters(np.array([0.3, 0.1]), weibulls()), 2
    ),
    "zero-truncated Poisson": (Truncated(Poisson(), low=1), TruncatedParameters(rates(0.7, 3, 6)), 3),
    "Poisson between bounds": (Truncated(Poisson(), 2, 9), TruncatedParameters(rates(1.5, 4, 6)), 3),
    "normal above a bound": (Truncated(DiagonalGaussian(), low=-1), TruncatedParameters(normals([1, 4], [1, 2])), 2),
    "Weibull below a bound": (Truncated(Weibull(), high=15), TruncatedParameters(weibulls()), 2),
    "inflated in each column": (
        PerColumn(ZeroInflated(Poisson())),
        CompositeParameters(tuple(ZeroInflatedParameters(np.array([p, 0.2]), rates(2, 7)) for p in (0.3, 0.5, 0.1))),
        2,
    ),
    "product": (
        Product(((DiagonalGaussian(), (2,)), (Truncated(Poisson(), 1), (0,)), (Weibull(), (1,)))),
        CompositeParameters((normals([0, 2], [1, 2]), TruncatedParameters(rates(1, 4)), weibulls())),
        2,
    ),
    "components": (
        Components((Poisson(), ZeroInflated(Poisson()), MIXTURE)),
        CompositeParameters((rates(4), ZeroInflatedParameters(np.array([0.4]), rates(2)), mixture([0.3, 0.7], 1, 8))),
        3,
    ),
    "plate": (Plate(ZeroInflated(Poisson())), ZeroInflatedParameters(np.array([0.3, 0.1]), rates(2, 5)), 2),
    "chains": (
        Components((HMM,) * 3),
        CompositeParameters(
            (
                chain([0.4, 0.6], [[0.8, 0.2], [0.3, 0.7]], 1, 6),
                chain([0.5, 0.5], [[0.1, 0.9], [0.6, 0.4]], 2, 9),
                chain([0.9, 0.1], [[0.5, 0.5], [0.5, 0.5]], 0.5, 4),
            )
        ),
        3,
    ),
    "tied covariances": (TIED, TIED.constrain(full(3)), 3),
    "fixed means": (HELD, HELD.constrain(normals([0, 2, 5], [1, 0.5, 2])), 3),
    "fixed means and tied variances": (BOTH, BOTH.constrain(normals([0, 2, 5], [1, 0.5, 2])), 3),
}


@pytest.mark.parametrize("name", SPECIMENS)
def test_wrappers_keep_the_laws_of_families(name: str) -> None:
    family, params, k = SPECIMENS[name]
    check_family(family, params, k, missing=True)


@pytest.mark.parametrize("name", [name for name in SPECIMENS if name not in ("plate", "chains", "components")])
def test_mixtures_of_wrappers_never_fall(name: str) -> None:
    family, params, k = SPECIMENS[name]
    rng = np.random.default_rng(1)
    values = family.sample(params, rng.integers(k, size=150), rng)
    model = LatentVariableModel(Categorical(k), family)
    start = ModelParameters(CategoricalParameters(np.full(k, 1 / k)), params)
    assert_monotone(model, ArraySource(values, chunk_rows=64, weights=rng.random(150)), start, 12)


@pytest.mark.parametrize("name", ["zero-inflated Poisson", "Weibull below a bound", "product"])
def test_hidden_markov_models_of_wrappers_never_fall(name: str) -> None:
    family, params, k = SPECIMENS[name]
    rng = np.random.default_rng(1)
    values = family.sample(params, np.repeat(rng.integers(k, size=30), 4), rng)
    model = LatentVariableModel(MarkovChain(k), family)
    start = ModelParameters(MarkovChainParameters(np.full(k, 1 / k), np.full((k, k), 1 / k)), params)
    assert_monotone(model, ArraySource(values, lengths=[40, 80]), start, 8)


def assert_monotone(model: LatentVariableModel, source: ArraySource, start: ModelParameters, steps: int) -> None:
    result = run(model, source, start, executor=SERIAL, max_iter=steps, tol=0.0)
    objective = np.array([value for _, value in result.history])
    assert len(objective) > 3
    assert np.all(np.diff(objective) >= -1e-11 * np.abs(objective[1:]))
    assert objective[-1] > objective[0]
    assert all(np.isfinite(value).all() for value in result.parameters.arrays().values())


class Asked(CategoricalColumns):
    """Counts how often it is asked whether values lie in its support."""

    checks = 0

    def check(self, batch: Batch) -> None:
        Asked.checks += 1
        super().check(batch)


@pytest.mark.parametrize(("low", "high"), [(1, None), (None, 3_000_000), (2, 40_000_000), (5, None), (6, None)])
def test_a_finite_support_is_found_in_few_questions(low: float | None, high: float | None) -> None:
    shares = np.array([[0.9, 0.02, 0.02, 0.02, 0.02, 0.02], [0.05, 0.1, 0.2, 0.3, 0.2, 0.15]])
    family = Asked((6,))
    Asked.checks = 0
    found = mass_between(family, CategoryParameters((ColumnProbabilities(shares),)), low, high).log
    with np.errstate(divide="ignore"):
        expected = np.log(shares[:, int(low or 0) :].sum(axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert Asked.checks < 100


def test_a_support_that_begins_above_zero_is_found() -> None:
    inner = Truncated(Poisson(), low=5, high=6)
    weights = np.array([2.0**5 / 120, 2.0**6 / 720])
    five, six = weights / weights.sum()
    for low, high, expected in ((None, 5, five), (6, 9, six), (0, 99, 1.0)):
        found = mass_between(inner, TruncatedParameters(rates(2.0)), low, high).log
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12)


@pytest.mark.parametrize("rate", [3.0, 4e5])
def test_a_distant_bound_takes_nothing_away(rate: float) -> None:
    found = mass_between(Poisson(), rates(rate), None, 1e12).log
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


WIDE = DiagonalGaussian(), DiagonalGaussianParameters(np.array([[0.3], [2.0]]), np.array([[0.7], [6.0]]))
UNIT = Beta(), BetaParameters(np.array([[0.4], [3.0]]), np.array([[2.0], [0.3]]))
WAITING = Weibull(), WeibullParameters(np.array([[1.5], [0.6]]), np.array([[2.0], [1.0]]))
COUNTED = Poisson(), rates(0.7, 30.0)


@pytest.mark.parametrize(
    ("family", "params", "low", "high"),
    [
        (*WIDE, -1.0, 2.5),
        (*WIDE, None, -1.0),
        (*WIDE, 40.0, None),
        (*UNIT, 0.1, 0.6),
        (*UNIT, 0.2, None),
        (*UNIT, 0.999, 1.0),
        (*WAITING, 0.5, None),
        (*WAITING, 0.1, 3.0),
        (*COUNTED, 1, None),
        (*COUNTED, 3, 40),
        (*COUNTED, 60, None),
        (*COUNTED, None, 2),
        (*COUNTED, 25, 1e9),
    ],
)
def test_the_gradient_of_the_mass_is_the_mean_score_between_the_bounds(family, params, low, high) -> None:
    """Wherever the mass is: inside, outside, or far in a tail."""
    truncated, counts = Truncated(family, low, high), np.array([3.0, 5.0])
    whole = TruncatedParameters(params)
    row = Batch(np.full((1, 1), 1.0 if family.discrete else 0.5))
    nothing = family.statistics(row, Posterior(np.zeros((2, 1))), params)
    found = truncated.score(TruncatedStatistics(counts, nothing), whole)
    assert knows_score(truncated)
    wanted = -gradient(lambda v: counts @ truncated.log_mass(whole.unflatten(v)), whole.flatten())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)


def test_a_component_without_mass_between_the_bounds_has_no_part_in_q_unless_it_has_rows() -> None:
    shares = np.array([[0.5, 0.0, 0.0, 0.5], [0.25, 0.25, 0.25, 0.25]])
    truncated = Truncated(CategoricalColumns((4,)), low=1, high=2)
    params = TruncatedParameters(CategoryParameters((ColumnProbabilities(shares),)))
    rows = Batch(np.array([[1.0], [2.0]]))
    for r, q in (([0.0, 1.0], 2 * np.log(0.5)), ([0.5, 0.5], -np.inf)):
        statistics = truncated.statistics(rows, Posterior(np.repeat(np.array(r)[:, None], 2, axis=1)), params)
        assert truncated.expected_log_density(statistics, params) == pytest.approx(q)
