"""Mixtures of hidden Markov models through `fit`, and hidden Markov models with mixture emissions."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.execution import Serial
from latentem.families import Components, DiagonalGaussian
from latentem.families.composite import CompositeParameters
from latentem.families.gaussian import DiagonalGaussianParameters
from latentem.fitting import fit
from latentem.io import load, save
from latentem.latents import Categorical, CovariateMarkovChain, MarkovChain, SemiMarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.covariate_markov_chain import CovariateMarkovParameters
from latentem.latents.durations import PoissonDurations
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.latents.semi_markov_chain import SemiMarkovParameters
from latentem.model import LatentVariableModel, ModelParameters, sequence_points

HMM = LatentVariableModel(MarkovChain(2), DiagonalGaussian())
MIXTURE = LatentVariableModel(Categorical(2), Components((HMM, HMM)))
EMISSION = DiagonalGaussianParameters(np.array([[-1.0], [1.0]]), np.array([[0.5], [0.5]]))
STICKY, RESTLESS = (
    ModelParameters(MarkovChainParameters(np.array([0.5, 0.5]), np.array([[p, 1 - p], [1 - p, p]])), EMISSION)
    for p in (0.9, 0.2)
)
TRUTH = ModelParameters(CategoricalParameters(np.array([0.4, 0.6])), CompositeParameters((STICKY, RESTLESS)))


def sequences(n: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of sequences that differ in nothing but their transitions, and the kind of each."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 2
    x = [HMM.sample((STICKY, RESTLESS)[kind], np.zeros(length, int), rng) for kind in kinds]
    return np.concatenate(x), kinds


@pytest.mark.parametrize("init", ["k-means++", "random", "random-rows"])
def test_sequences_that_differ_in_their_dynamics_alone_are_told_apart(init: str) -> None:
    x, kinds = sequences(40, 50)
    source = ArraySource(x, lengths=[50] * 40, chunk_rows=300)
    result = fit(MIXTURE, source, init=init, n_init=2, random_state=0, executor=Serial())
    assert result.converged
    objective = np.array([value for _, value in result.history])
    assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))
    whole = next(iter(ArraySource(x, lengths=[50] * 40)))
    found = MIXTURE.infer(result.parameters, whole)[0].probabilities.argmax(axis=0)
    assert max(np.mean(found == kinds), np.mean(found != kinds)) > 0.95
    assert result.parameters.n_free == 1 + 2 * (1 + 2 + 4)


def test_a_start_from_points_tells_dynamics_apart_at_once() -> None:
    x, kinds = sequences(40, 80)
    points = sequence_points(Batch(x, offsets=np.arange(41) * 80))
    assert points.shape == (40, 3)
    assert points[kinds == 0, 2].min() > points[kinds == 1, 2].max()


def test_points_of_sequences_do_not_depend_on_their_neighbours_and_bear_holes() -> None:
    x, _ = sequences(3, 10)
    x[4] = np.nan
    x[20:] = np.nan
    offsets = np.array([0, 10, 20, 30])
    together = sequence_points(Batch(x, offsets=offsets, missing=True))
    alone = [sequence_points(Batch(x[a : a + 10], missing=True))[0] for a in offsets[:-1]]
    np.testing.assert_array_equal(together, alone)
    assert np.isnan(together[2, 0])
    np.testing.assert_array_equal(together[2, 1:], 0.0)


def test_the_likelihood_of_a_sequence_is_that_over_kinds_and_paths() -> None:
    x, _ = sequences(2, 4)
    batch = Batch(x, offsets=np.array([0, 4, 8]), weights=np.repeat([1.0, 2.5], 4))
    density = DiagonalGaussian().log_density(Batch(x), EMISSION)
    total = 0.0
    for start, weight in ((0, 1.0), (4, 2.5)):
        terms = []
        for kind, share in enumerate((0.4, 0.6)):
            chain = (STICKY, RESTLESS)[kind].latent
            for path in product(range(2), repeat=4):
                moves = [np.log(chain.transition[a, b]) for a, b in pairwise(path)]
                rows = sum(density[z, start + t] for t, z in enumerate(path))
                terms.append(np.log(share) + np.log(chain.initial[path[0]]) + sum(moves) + rows)
        total += weight * np.logaddexp.reduce(terms)
    assert MIXTURE.e_step(TRUTH, batch).log_likelihood == pytest.approx(total, rel=1e-13)


def test_weight_two_is_the_sequence_twice_in_a_whole_fit() -> None:
    x, _ = sequences(12, 20)
    times = np.arange(12) % 3
    weighted = fit(MIXTURE, x, lengths=[20] * 12, sample_weight=np.repeat(times, 20), parameters=TRUTH, max_iter=30)
    parts = np.split(x, 12)
    repeated = np.concatenate([part for part, n in zip(parts, times, strict=True) for _ in range(n)])
    twice = fit(MIXTURE, repeated, lengths=[20] * int(times.sum()), parameters=TRUTH, max_iter=30)
    assert weighted.objective == pytest.approx(twice.objective, rel=1e-11)


def test_known_kinds_of_sequences_are_kept() -> None:
    x, kinds = sequences(20, 30)
    labels = np.repeat(np.where(np.arange(20) < 6, kinds, -1), 30)
    result = fit(MIXTURE, x, lengths=[30] * 20, labels=labels, random_state=0)
    first = result.parameters.emission.parts[0].latent.transition
    assert np.diag(first).min() > 0.5  # the sticky ones, since they are known to be kind 0


def test_mixtures_of_the_other_chains_nest_as_well() -> None:
    rng = np.random.default_rng(5)
    covariate = LatentVariableModel(CovariateMarkovChain(2, columns=(0,)), DiagonalGaussian())
    stays = LatentVariableModel(SemiMarkovChain(2, 12, "poisson"), DiagonalGaussian())
    model = LatentVariableModel(Categorical(2), Components((covariate, stays)))
    even = np.array([0.5, 0.5])
    parts = (
        ModelParameters(CovariateMarkovParameters(even, np.array([[[-1, 2.0]], [[-1, -2.0]]])), EMISSION),
        ModelParameters(SemiMarkovParameters(even, np.ones((2, 1)), PoissonDurations(np.array([2.0, 5.0]))), EMISSION),
    )
    c, lengths = rng.normal(size=(600, 1)), [30] * 20
    x = np.concatenate([
        model.family.families[g % 2].sample_given(
            parts[g % 2], np.zeros(30, int), Batch(np.zeros((30, 1)), covariates=c[g * 30 : (g + 1) * 30]), rng
        )
        for g in range(20)
    ])
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), CompositeParameters(parts))
    result = fit(model, x, covariates=c, lengths=lengths, parameters=start, max_iter=60)
    objective = np.array([value for _, value in result.history])
    assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))
    assert fit(model, x, covariates=c, lengths=lengths, random_state=0, max_iter=20).objective > -np.inf


def test_mixture_emissions_through_a_whole_fit() -> None:
    within = LatentVariableModel(Categorical(2), DiagonalGaussian())
    model = LatentVariableModel(MarkovChain(2), Components((within, within)))
    rng = np.random.default_rng(7)
    z = np.repeat([0, 1] * 15, 20)
    centre = np.where(rng.random(600) < 0.5, -1.0, 1.0) * np.where(z, 2.0, 6.0)
    x = (centre + 0.5 * rng.normal(size=600))[:, None]
    result = fit(model, x, lengths=[600], init="random", n_init=6, random_state=0, executor=Serial())
    source = ArraySource(x, lengths=[600])
    found = model.infer(result.parameters, next(iter(source)))[0].probabilities.argmax(axis=0)
    assert result.converged
    assert max(np.mean(found == z), np.mean(found != z)) > 0.95


def test_a_model_of_models_is_saved_and_loaded_to_the_bit(tmp_path: object) -> None:
    stays = LatentVariableModel(SemiMarkovChain(2, 9, "negative-binomial"), DiagonalGaussian())
    model = LatentVariableModel(Categorical(2), Components((HMM, stays)))
    x, _ = sequences(8, 15)
    result = fit(model, x, lengths=[15] * 8, random_state=0, max_iter=4)
    path = f"{tmp_path}/model.latentem"
    save(result, path)
    again = load(path)
    assert again.model == model
    assert again.parameters.flatten().tobytes() == result.parameters.flatten().tobytes()
    source = ArraySource(x, lengths=[15] * 8)
    (batch,) = source
    assert again.model.e_step(again.parameters, batch).log_likelihood == result.log_likelihood
