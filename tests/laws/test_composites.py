"""Components, products, plates and zero inflation: what they are made of, and what they refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.errors import DataError, ParameterError
from latentem.families.components import Components
from latentem.families.composite import CompositeParameters
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
)
from latentem.families.plate import Plate
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.product import PerColumn, Product
from latentem.families.truncated import Truncated
from latentem.families.weibull import Weibull, WeibullParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, Posterior

MIXTURE = LatentVariableModel(Categorical(2), Poisson())
HMM = LatentVariableModel(MarkovChain(2), Poisson())


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def weibulls(k: int = 2) -> WeibullParameters:
    return WeibullParameters(np.array([[0.8], [2.5], [1.4]])[:k], np.array([[1.5], [3.0], [0.7]])[:k])


def mixture(weights: list[float], *values: float) -> ModelParameters:
    return ModelParameters(CategoricalParameters(np.array(weights)), rates(*values))


def chain(initial: list[float], transition: list[list[float]], *values: float) -> ModelParameters:
    return ModelParameters(MarkovChainParameters(np.array(initial), np.array(transition)), rates(*values))


def test_product_is_the_sum_over_its_parts_and_keeps_their_columns() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.poisson(3, 40), rng.normal(size=40), rng.poisson(1, 40)]).astype(float)
    family = Product(((DiagonalGaussian(), (1,)), (Poisson(), (2, 0))))
    counts = PoissonParameters(np.array([[1.0, 3.0], [2.0, 5.0]]))
    params = CompositeParameters((normals([0, 1], [1, 2]), counts))
    expected = DiagonalGaussian().log_density(Batch(x[:, [1]]), params.parts[0])
    expected = expected + Poisson().log_density(Batch(x[:, [2, 0]]), counts)
    np.testing.assert_allclose(family.log_density(Batch(x), params), expected, rtol=1e-14)
    r = rng.dirichlet([1, 1], size=40).T
    updated = family.maximize(family.statistics(Batch(x), Posterior(r), params), params)
    means = (r @ x) / r.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(updated.parts[1].rates, means[:, [2, 0]], rtol=1e-13)
    np.testing.assert_allclose(updated.parts[0].means, means[:, [1]], rtol=1e-12, atol=1e-14)


def test_one_batch_serves_products_at_any_weights() -> None:
    family = Product(((MIXTURE, (0,)), (Poisson(), (1,))))
    batch = Batch(np.array([[1.0, 2.0], [5.0, 0.0], [3.0, 3.0]]))
    params = CompositeParameters((mixture([0.5, 0.5], 1, 6), rates(2)))
    for weights in (np.ones(3), np.array([2.0, 0.0, 1.0])):
        posterior = Posterior(np.ones((1, 3)), weights)
        used = family.statistics(batch, posterior, params)
        new = family.statistics(Batch(batch.values), posterior, params)
        np.testing.assert_array_equal(used.parts[0].latent.counts, new.parts[0].latent.counts)


def test_a_plate_is_the_product_over_the_rows_of_each_group() -> None:
    rng = np.random.default_rng(2)
    lengths = np.array([1, 3, 2, 5])
    x = rng.poisson(3, size=(11, 2)).astype(float)
    params = PoissonParameters(np.array([[2.0, 3.0], [4.0, 1.0]]))
    batch = Batch(x, offsets=np.concatenate([[0], np.cumsum(lengths)]))
    by_row = Poisson().log_density(Batch(x), params)
    expected = np.stack([by_row[:, a:b].sum(axis=1) for a, b in pairwise(batch.offsets)], axis=1)
    np.testing.assert_allclose(Plate(Poisson()).log_density(batch, params), expected, rtol=1e-14)


def test_a_mixture_over_groups_equals_enumeration() -> None:
    x, lengths = np.array([0.0, 2, 7, 5, 1, 0])[:, None], [2, 3, 1]
    model = LatentVariableModel(Categorical(2), Plate(Poisson()))
    weights, params = np.array([0.3, 0.7]), rates(1, 5)
    batch = next(iter(ArraySource(x, lengths=lengths)))
    e = model.e_step(ModelParameters(CategoricalParameters(weights), params), batch)
    density = np.exp(Poisson().log_density(Batch(x), params))
    groups = np.split(density, np.cumsum(lengths)[:-1], axis=1)
    joint = np.stack([weights * group.prod(axis=1) for group in groups], axis=1)
    np.testing.assert_allclose(e.log_likelihood, np.log(joint.sum(axis=0)).sum(), rtol=1e-13)
    posterior = joint / joint.sum(axis=0)
    np.testing.assert_allclose(e.statistics.latent.counts, posterior.sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        e.statistics.emission.sums[:, 0, 0], np.repeat(posterior, lengths, axis=1) @ x[:, 0], rtol=1e-13
    )


def test_units_must_agree() -> None:
    with pytest.raises(ParameterError, match="number 1"):
        Components((Poisson(), HMM))
    with pytest.raises(ParameterError, match="single rows"):
        LatentVariableModel(MarkovChain(2), Plate(Poisson()))
    for wrapper in (ZeroInflated, Truncated, Plate, PerColumn):
        with pytest.raises(ParameterError, match="group of rows"):
            wrapper(HMM)


def test_every_zero_of_a_continuous_family_is_structural() -> None:
    family = ZeroInflated(Weibull())
    x = np.array([0.0, 1.2, 0.0, 0.4, 2.2])[:, None]
    params = ZeroInflatedParameters(np.array([0.2]), weibulls(1))
    family.check(Batch(x))
    density = family.log_density(Batch(x), params)[0]
    np.testing.assert_allclose(density[[0, 2]], np.log(0.2), rtol=1e-14)
    positive = Weibull().log_density(Batch(x[[1, 3, 4]]), params.base)[0]
    np.testing.assert_allclose(density[[1, 3, 4]], np.log(0.8) + positive, rtol=1e-14)
    statistics = family.statistics(Batch(x), Posterior(np.ones((1, 5))), params)
    np.testing.assert_array_equal(statistics.zeros, [2.0])
    assert family.maximize(statistics, params).inflation == pytest.approx(0.4)


def test_data_without_zeros_are_not_inflated() -> None:
    family = ZeroInflated(Poisson())
    params = ZeroInflatedParameters(np.array([0.5]), rates(3))
    batch = Batch(np.array([[1.0], [4.0], [2.0]]))
    updated = family.maximize(family.statistics(batch, Posterior(np.ones((1, 3))), params), params)
    np.testing.assert_array_equal(updated.inflation, [0.0])
    np.testing.assert_allclose(
        family.log_density(batch, updated), Poisson().log_density(batch, updated.base), rtol=1e-15
    )
    zero = Batch(np.zeros((1, 1)))
    np.testing.assert_allclose(family.log_density(zero, updated), -updated.base.rates, rtol=1e-14)


def test_errors_name_the_place_and_the_remedy() -> None:
    with pytest.raises(DataError, match="row 12, column 0"):
        Truncated(Poisson(), low=1).check(Batch(np.array([[2.0], [1.0], [0.0]]), first_row=10))
    with pytest.raises(DataError, match="PerColumn"):
        ZeroInflated(Poisson()).start(Batch(np.ones((3, 2))), 2)
    with pytest.raises(DataError, match="PerColumn"):
        Truncated(Poisson(), 1).start(Batch(np.ones((3, 2))), 2)
    with pytest.raises(DataError, match="row 1, column 2 holds -1"):
        Product(((Poisson(), (0, 1)), (Weibull(), (2,)))).check(Batch(np.array([[1.0, 1, 1], [1, 1, -1]])))
    with pytest.raises(DataError, match="2 columns, but the table has 3"):
        Product(((Poisson(), (0, 1)),)).start(Batch(np.ones((2, 3))), 1)
    with pytest.raises(ParameterError, match="exactly once"):
        Product(((Poisson(), (0, 1)), (Poisson(), (1,))))
    with pytest.raises(ParameterError, match="2 families, but 3"):
        Components((Poisson(), Poisson())).start(Batch(np.ones((2, 1))), 3)
    for bounds in ((None, None), (3, 2), (np.nan, None), (2.2, 2.8)):
        with pytest.raises(ParameterError):
            Truncated(Poisson(), *bounds)
