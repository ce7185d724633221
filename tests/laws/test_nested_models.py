"""Models inside models, against enumeration of every path on data of at most six rows."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.execution import Serial
from latentem.families.components import Components
from latentem.families.composite import CompositeParameters
from latentem.families.gaussian import (
    DiagonalGaussianParameters,
)
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.truncated import Truncated, TruncatedParameters
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, Prior

SERIAL = Serial()
MIXTURE = LatentVariableModel(Categorical(2), Poisson())
HMM = LatentVariableModel(MarkovChain(2), Poisson())


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def mixture(weights: list[float], *values: float) -> ModelParameters:
    return ModelParameters(CategoricalParameters(np.array(weights)), rates(*values))


def chain(initial: list[float], transition: list[list[float]], *values: float) -> ModelParameters:
    return ModelParameters(MarkovChainParameters(np.array(initial), np.array(transition)), rates(*values))


CHAINS = (
    chain([0.4, 0.6], [[0.8, 0.2], [0.3, 0.7]], 1, 6),
    chain([0.5, 0.5], [[0.1, 0.9], [0.6, 0.4]], 2, 9),
)


def path_probability(x: np.ndarray, path: tuple[int, ...], params: ModelParameters) -> float:
    emission = np.exp(Poisson().log_density(Batch(x[:, None]), params.emission))
    value = params.latent.initial[path[0]] * emission[path[0], 0]
    for t in range(1, len(x)):
        value *= params.latent.transition[path[t - 1], path[t]] * emission[path[t], t]
    return float(value)


def test_a_mixture_of_hidden_markov_models_equals_enumeration() -> None:
    x, lengths, weights = np.array([0.0, 3, 8, 5, 1, 1]), [4, 2], np.array([0.35, 0.65])
    model = LatentVariableModel(Categorical(2), Components((HMM, HMM)))
    params = ModelParameters(CategoricalParameters(weights), CompositeParameters(CHAINS))
    e = model.e_step(params, next(iter(ArraySource(x[:, None], lengths=lengths))))
    total, sums, firsts = 0.0, np.zeros((2, 2)), np.zeros((2, 2))
    for group in np.split(x, np.cumsum(lengths)[:-1]):
        paths = list(product(range(2), product(range(2), repeat=len(group))))
        joint = np.array([weights[c] * path_probability(group, path, CHAINS[c]) for c, path in paths])
        total += np.log(joint.sum())
        for (c, path), p in zip(paths, joint / joint.sum(), strict=True):
            firsts[c, path[0]] += p
            np.add.at(sums[c], list(path), p * group)
    np.testing.assert_allclose(e.log_likelihood, total, rtol=1e-13)
    for c in range(2):
        np.testing.assert_allclose(e.statistics.emission.parts[c].latent.initial, firsts[c], rtol=1e-12)
        np.testing.assert_allclose(e.statistics.emission.parts[c].emission.sums[:, 0, 0], sums[c], rtol=1e-12)


def test_a_hidden_markov_model_with_mixture_emissions_equals_enumeration() -> None:
    x = np.array([0.0, 3, 8, 5, 1])
    parts = (mixture([0.3, 0.7], 1, 4), mixture([0.6, 0.4], 2, 9))
    model = LatentVariableModel(MarkovChain(2), Components((MIXTURE, MIXTURE)))
    params = ModelParameters(CHAINS[0].latent, CompositeParameters(parts))
    e = model.e_step(params, Batch(x[:, None]))
    density = [np.exp(Poisson().log_density(Batch(x[:, None]), part.emission)) for part in parts]
    joint = {}
    for path in product(range(2), repeat=5):
        moves = [params.latent.transition[a, b] for a, b in pairwise(path)]
        for within in product(range(2), repeat=5):
            pairs = enumerate(zip(path, within, strict=True))
            terms = [parts[z].latent.weights[m] * density[z][m, t] for t, (z, m) in pairs]
            joint[path, within] = params.latent.initial[path[0]] * np.prod(moves) * np.prod(terms)
    total = sum(joint.values())
    np.testing.assert_allclose(e.log_likelihood, np.log(total), rtol=1e-13)
    counts = np.zeros((2, 2))
    for (path, within), p in joint.items():
        np.add.at(counts, (list(path), list(within)), p / total)
    for z in range(2):
        np.testing.assert_allclose(e.statistics.emission.parts[z].latent.counts, counts[z], rtol=1e-12)


def test_nested_models_never_fall() -> None:
    rng = np.random.default_rng(3)
    lengths = [6] * 30
    groups = [HMM.sample(CHAINS[i % 2], np.zeros(6, int), rng) for i in range(30)]
    source = ArraySource(np.concatenate(groups), lengths=lengths, chunk_rows=50)
    model = LatentVariableModel(Categorical(2), Components((HMM, HMM)))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), CompositeParameters(CHAINS))
    assert_monotone(model, source, start, 15)
    emissions = CompositeParameters((mixture([0.5, 0.5], 1, 4), mixture([0.5, 0.5], 2, 9)))
    nested = LatentVariableModel(MarkovChain(2), Components((MIXTURE, MIXTURE)))
    assert_monotone(nested, source, ModelParameters(CHAINS[0].latent, emissions), 15)


def test_a_group_that_one_chain_cannot_produce_belongs_to_the_other() -> None:
    stuck = chain([1.0, 0.0], [[0.0, 1.0], [0.0, 1.0]], 3, 1)
    only = LatentVariableModel(MarkovChain(2), Truncated(Poisson(), low=1))
    free = LatentVariableModel(MarkovChain(2), Poisson())
    model = LatentVariableModel(Categorical(2), Components((only, free)))
    truncated = ModelParameters(stuck.latent, TruncatedParameters(stuck.emission))
    params = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), CompositeParameters((truncated, CHAINS[0])))
    batch = Batch(np.array([[2.0], [1.0], [0.0], [4.0]]), offsets=np.array([0, 2, 4]))
    e = model.e_step(params, batch)
    assert np.isfinite(e.log_likelihood)
    assert all(np.isfinite(value).all() for value in model.m_step(e.statistics, params).arrays().values())
    alone = model.e_step(params, Batch(batch.values[:2]))
    np.testing.assert_allclose(
        e.statistics.emission.parts[0].latent.transitions, alone.statistics.emission.parts[0].latent.transitions
    )


def test_a_prior_on_the_rows_of_a_chain_keeps_the_fit_monotone() -> None:
    model = LatentVariableModel(MarkovChain(2), Poisson(), Prior(np.array([[1.0], [4.0]]), np.array([0.5, 0.5]), 1.0))
    x = np.random.default_rng(0).poisson(3, size=(60, 1))
    assert_monotone(model, ArraySource(x, lengths=[60]), CHAINS[0], 10)


def assert_monotone(model: LatentVariableModel, source: ArraySource, start: ModelParameters, steps: int) -> None:
    result = run(model, source, start, executor=SERIAL, max_iter=steps, tol=0.0)
    objective = np.array([value for _, value in result.history])
    assert len(objective) > 3
    assert np.all(np.diff(objective) >= -1e-11 * np.abs(objective[1:]))
    assert objective[-1] > objective[0]
    assert all(np.isfinite(value).all() for value in result.parameters.arrays().values())
