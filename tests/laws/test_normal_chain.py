"""NormalChain × LinearGaussian: dense algebra, statistics that add, M-steps that maximize, scores, degenerate
chains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.errors import DataError, ParameterError
from latentem.execution import Processes, Serial, Threads
from latentem.families.linear_gaussian import LinearGaussian
from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
from latentem.kernels.derivatives import gradient
from latentem.latents import NormalChain
from latentem.latents.chain_parameters import NormalChainParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.statistics import Reference, arrays_of

LENGTHS = [7, 1, 12, 9]
N = sum(LENGTHS)
rng = np.random.default_rng(8)
SERIES = 0.5 * np.eye(2) + 0.1 * rng.normal(size=(N, 2, 2))
NOISES = np.eye(2) * rng.uniform(0.2, 1.0, size=(N, 1, 1))

CHAINS: dict[str, dict[str, Any]] = {
    "free": {},
    "free shift": {"shift": [None, None]},
    "diagonal noise": {"noise": "diagonal"},
    "isotropic noise": {"noise": "isotropic", "transition": [[None, 0.0], [0.0, None]]},
    "held entries, full noise": {"transition": [[None, 0.3], [0.0, None]]},
    "equal entries": {"transition": [["a", 0.0], [0.1, "a"]], "noise": ["v", "v"]},
    "one coordinate without noise": {"transition": [[None, None], [1.0, 0.0]], "noise": [None, 0.0]},
    "a free block of noise": {"transition": [[None, None], [1.0, 0.0]], "noise": [[None, 0.0], [0.0, 0.0]]},
    "held noise": {"noise": [[0.5, 0.2], [0.2, 0.8]]},
    "known start": {"initial": "known", "initial_covariance": np.zeros((2, 2))},
    "free mean": {"initial": "mean"},
    "stationary start": {"initial": "stationary", "shift": [None, None]},
    "partly stationary": {"initial": ["stationary", "known"], "transition": [[None, 0.0], [None, None]]},
    "inputs": {"inputs": 1},
    "some inputs": {"inputs": [[None], [0.0]], "noise": "diagonal"},
    "known transitions": {"transition": SERIES, "noise": "diagonal"},
    "known noises": {"transition": SERIES, "noise": NOISES},
}


def case(name: str, missing: bool = True) -> tuple[LatentVariableModel, ModelParameters, ArraySource]:
    """A model, parameters that do not maximize, and four sequences."""
    rng = np.random.default_rng(3)
    chain = NormalChain(2, **CHAINS[name])
    family = LinearGaussian(inputs=np.zeros((3, 1)) if chain.n_inputs else 0)
    latent = replace(
        chain.start(),
        transition=np.array([[0.7, 0.2], [-0.1, 0.5]]),
        noise=np.array([[0.8, 0.1], [0.1, 0.5]]),
        inputs=rng.normal(size=(2, chain.n_inputs)),
        initial_mean=np.array([0.3, -0.2]),
    )
    emission = LinearGaussianParameters.of(
        [0.1, -0.2, 0.3], rng.normal(size=(3, 2)), [0.5, 0.9, 0.4], np.zeros((3, chain.n_inputs))
    )
    model = LatentVariableModel(chain, family)
    values = np.cumsum(rng.normal(size=(N, 3)), axis=0) * 0.4
    if missing:
        values[rng.random((N, 3)) < 0.25] = np.nan
        values[9] = np.nan
    covariates = rng.normal(size=(N, 1)) if chain.n_inputs else None
    weights = np.repeat([1.0, 2.0, 0.5, 1.5], LENGTHS)
    source = ArraySource(values, lengths=LENGTHS, weights=weights, covariates=covariates)
    return model, model.conform(ModelParameters(latent, emission)), source


def one_batch(source: ArraySource) -> Batch:
    (batch,) = list(source)
    return batch


@pytest.mark.parametrize("name", CHAINS)
def test_score_is_the_gradient_of_the_log_likelihood(name: str) -> None:
    model, params, source = case(name)
    batch = one_batch(source)
    expectation = model.e_step(params, batch)
    numeric = gradient(lambda v: model.e_step(params.unflatten(v), batch).log_likelihood, params.flatten())
    np.testing.assert_allclose(model.score(expectation.statistics, params), numeric, atol=2e-6)
    differences = gradient(lambda v: model.q_function(params.unflatten(v), expectation.statistics), params.flatten())
    np.testing.assert_allclose(model.score(expectation.statistics, params), differences, atol=2e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_m_step_raises_q_and_its_score_vanishes(name: str) -> None:
    model, params, source = case(name)
    statistics = model.e_step(params, one_batch(source)).statistics
    updated = model.m_step(statistics, params)
    assert model.q_function(updated, statistics) >= model.q_function(params, statistics)
    tolerance = 1e-5 if "stationary" in name else 1e-7
    np.testing.assert_allclose(model.latent.score(statistics.latent, updated.latent), 0, atol=tolerance)
    updated.check()


@pytest.mark.parametrize("name", CHAINS)
def test_the_objective_never_falls(name: str) -> None:
    model, params, source = case(name)
    result = run(model, source, params, executor=Serial(), max_iter=5 if "stationary" in name else 25)
    gains = np.diff([objective for _, objective in result.history])
    assert np.all(gains >= -1e-9) and np.isfinite(result.objective)
    assert all(np.all(np.isfinite(a)) for a in result.parameters.arrays().values())


@pytest.mark.parametrize("name", ["free", "inputs", "stationary start", "one coordinate without noise"])
def test_vector_of_free_parameters_there_and_back(name: str) -> None:
    _, params, _ = case(name)
    vector = params.flatten() + 0.01
    assert len(vector) == params.n_free
    np.testing.assert_allclose(params.unflatten(vector).flatten(), vector, rtol=1e-12)
    with pytest.raises(ParameterError, match="vector of"):
        params.latent.unflatten(np.zeros(99))


def test_free_parameters_are_counted() -> None:
    counts = {name: case(name)[1].latent.n_free for name in CHAINS}
    assert counts["free"] == 4 + 3 + 2 + 3
    assert counts["free shift"] == counts["free"] + 2
    assert counts["equal entries"] == 1 + 1 + 5
    assert counts["one coordinate without noise"] == counts["a free block of noise"] == 2 + 1 + 5
    assert counts["known noises"] == 5
    assert counts["stationary start"] == 4 + 2 + 3
    assert counts["some inputs"] == 4 + 1 + 2 + 5


def close_statistics(a: Any, b: Any, tolerance: float = 1e-11) -> None:
    for x, y in zip(arrays_of(a), arrays_of(b), strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance * (1 + np.abs(y).max(initial=0)))


@pytest.mark.parametrize("name", ["free", "inputs", "known transitions"])
def test_statistics_add_over_sequences_and_weights_multiply(name: str) -> None:
    model, params, source = case(name)
    whole = model.e_step(params, one_batch(source))
    parts = [model.e_step(params, batch) for batch in ArraySource(
        source.values, lengths=LENGTHS, weights=source.weights, covariates=source.covariates, chunk_rows=1
    )]  # fmt: skip
    assert len(parts) == len(LENGTHS)
    total = parts[0] + parts[1] + parts[2] + parts[3]
    close_statistics(total.statistics, whole.statistics)
    assert total.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)
    close_statistics(parts[2].statistics, model.e_step(params, replace(
        list(ArraySource(source.values, lengths=LENGTHS, covariates=source.covariates, chunk_rows=1))[2]
    )).statistics * 0.5)  # fmt: skip


def test_statistics_move_to_another_reference() -> None:
    model, params, source = case("free shift")
    here = model.e_step(params, one_batch(source)).statistics.latent
    latent = model.latent.maximize(here, params.latent)
    there = here.shift(latent.reference)
    close_statistics(there.shift(params.latent.reference), here)
    assert model.latent.expected_log_density(there, latent) == pytest.approx(
        model.latent.expected_log_density(here, latent), rel=1e-12
    )
    again = model.latent.maximize(there, latent)
    np.testing.assert_allclose(again.flatten(), latent.flatten(), atol=1e-10)
    with pytest.raises(ValueError, match="different references"):
        here + there
    assert isinstance(there.reference, Reference)


@pytest.mark.parametrize("executor", [Threads(3), Processes(2)])
def test_any_executor_gives_the_same_bits(executor: Any) -> None:
    model, params, source = case("free")
    chunked = ArraySource(source.values, lengths=LENGTHS, weights=source.weights, chunk_rows=5)
    results = [run(model, chunked, params, executor=e, max_iter=3) for e in (Serial(), executor)]
    np.testing.assert_array_equal(results[0].parameters.flatten(), results[1].parameters.flatten())
    assert results[0].objective == results[1].objective


def test_without_data_parameters_stay() -> None:
    model, params, source = case("free")
    statistics = model.e_step(params, one_batch(source)).statistics.latent * 0.0
    np.testing.assert_array_equal(model.latent.maximize(statistics, params.latent).flatten(), params.latent.flatten())


def test_sequences_of_one_step_tell_of_the_start_alone() -> None:
    model, params, _ = case("free")
    source = ArraySource(np.random.default_rng(1).normal(size=(6, 3)), lengths=[1] * 6)
    updated = model.m_step(model.e_step(params, one_batch(source)).statistics, params).latent
    np.testing.assert_array_equal(updated.transition, params.latent.transition)
    np.testing.assert_array_equal(updated.noise, params.latent.noise)
    assert not np.array_equal(updated.initial_mean, params.latent.initial_mean)


def test_small_disturbances_of_a_large_level_do_not_cancel() -> None:
    """A random walk at 1e6 with steps of 1e-2: their variance is told to many digits."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=400)) * 1e-2
    y = (walk + 1e-2 * rng.normal(size=400))[:, None]
    model = LatentVariableModel(
        NormalChain(1, transition=[[1.0]], noise=[None], initial="diffuse"),
        LinearGaussian(noise=[1e-4], offset=[0.0], loadings=[[1.0]]),
    )
    emission = LinearGaussianParameters.of([0.0], [[1.0]], [1e-3])
    start = model.conform(ModelParameters(replace(model.latent.start(), noise=np.array([1e-3])), emission))
    low, high = (
        run(model, ArraySource(y + level, lengths=[400]), start, executor=Serial(), max_iter=50) for level in (0.0, 1e6)
    )
    np.testing.assert_allclose(low.parameters.latent.noise, high.parameters.latent.noise, rtol=1e-3)
    assert low.objective == pytest.approx(high.objective, rel=1e-6)


def test_a_diffuse_start_is_the_limit_of_ever_larger_variances() -> None:
    model, params, source = case("free", missing=False)
    batch = replace(one_batch(source), offsets=np.array([0, N]), weights=None)
    diffuse = replace(model, latent=NormalChain(2, initial="diffuse"))
    exact = diffuse.e_step(diffuse.conform(params), batch)
    for kappa, tolerance in ((1e4, 1e-2), (1e7, 1e-5)):
        wide = replace(params.latent, initial_mean=np.zeros(2), initial_covariance=kappa * np.eye(2))
        near = model.e_step(ModelParameters(wide, params.emission), batch)
        limit = near.log_likelihood + np.log(2 * np.pi * kappa)
        assert limit == pytest.approx(exact.log_likelihood, abs=tolerance)
        close_statistics(near.statistics.latent.square, exact.statistics.latent.square, tolerance)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_can_be_made_of_its_own_options(name: str) -> None:
    model, params, _ = case(name)
    again = replace(model.latent)
    assert again == model.latent
    np.testing.assert_array_equal(again.conform(params.latent).flatten(), params.latent.flatten())


def test_samples_have_the_covariances_of_the_chain() -> None:
    chain = NormalChain(2, initial="stationary")
    params = replace(chain.start(), transition=np.array([[0.8, 0.1], [-0.2, 0.6]]), shift=np.zeros(2))
    path = chain.sample(params, np.full(4000, 5), np.random.default_rng(0)).reshape(4000, 5, 2)
    V = chain.start_of(params).covariance
    for t in (0, 4):
        np.testing.assert_allclose(np.cov(path[:, t].T), V, atol=6 * V.max() / np.sqrt(4000))
    lagged = path[:, 4].T @ path[:, 3] / 4000
    np.testing.assert_allclose(lagged, params.transition @ V, atol=6 * V.max() / np.sqrt(4000))


def test_what_cannot_be_is_told() -> None:
    _, params, source = case("free")
    explosive = NormalChain(2, initial="stationary")
    with pytest.raises(ParameterError, match=r"eigenvalue of modulus 1\.2"):
        explosive.start_of(replace(params.latent, transition=np.diag([1.2, 0.1])))
    with pytest.raises(ParameterError, match="coordinate 1 has no noise"):
        NormalChain(2, noise=[None, 0.0])
    with pytest.raises(ParameterError, match="initial must be one of"):
        NormalChain(2, initial="vague")
    with pytest.raises(ParameterError, match="covariance matrix"):
        NormalChain(2, noise=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ParameterError, match="negative variance"):
        NormalChain(1, noise=[-1.0])
    with pytest.raises(ParameterError, match="shape"):
        NormalChain(2, transition=[[1.0]])
    diffuse = LatentVariableModel(NormalChain(2, initial="diffuse"), LinearGaussian())
    one = ModelParameters(params.latent, LinearGaussianParameters.of([0.0], [[1.0, 0.3]], [1.0]))
    with pytest.raises(DataError, match="begins at row 7"):
        diffuse.e_step(diffuse.conform(one), replace(one_batch(source), values=np.ones((N, 1)), missing=False))
    with pytest.raises(DataError, match="1 inputs, but the data come with 0"):
        NormalChain(2, inputs=1).dynamics(NormalChain(2, inputs=1).start(), one_batch(source))
    with pytest.raises(DataError, match="1 matrices"):
        NormalChain(2, transition=np.eye(2)[None]).dynamics(params.latent, one_batch(source))


def test_an_exact_observation_that_cannot_be_is_an_error() -> None:
    chain = NormalChain(
        1, transition=[[1.0]], noise=[0.0], initial="known", initial_mean=[2.0], initial_covariance=[[0.0]]
    )
    model = LatentVariableModel(chain, LinearGaussian(noise=[0.0], offset=[0.0], loadings=[[1.0]]))
    params = model.conform(ModelParameters(chain.start(), LinearGaussianParameters.of([0.0], [[1.0]], [0.0])))
    assert isinstance(params.latent, NormalChainParameters)
    assert model.e_step(params, Batch(np.full((3, 1), 2.0))).log_likelihood == 0
    with pytest.raises(DataError, match="log-likelihood -inf"):
        model.e_step(params, Batch(np.array([[2.0], [2.0], [2.1]])))
