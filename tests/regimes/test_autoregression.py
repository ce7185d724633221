"""Emissions that regress on their own past: by hand, by paths, sequence by sequence; what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.errors import DataError, ParameterError
from latentem.execution import Serial
from latentem.families import Autoregression
from latentem.families.gaussian_regression import FullRegressionParameters
from latentem.fitting import fit
from latentem.kernels.derivatives import gradient
from latentem.latents import Categorical, CovariateMarkovChain, MarkovChain
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, Posterior

EMISSION = FullRegressionParameters(
    np.array([[[1.0, 0.6, 0.0, -0.2, 0.1], [0.0, 0.1, 0.5, 0.0, 0.2]],
              [[-1.0, -0.3, 0.0, 0.2, 0.0], [0.0, 0.0, -0.5, 0.0, 0.1]]]),
    np.array([[[0.3, 0.1], [0.1, 0.3]], [[0.6, 0.0], [0.0, 0.6]]]),
)
CHAIN = MarkovChainParameters(np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.1, 0.9]]))
TRUTH = ModelParameters(CHAIN, EMISSION)
MODEL = LatentVariableModel(MarkovChain(2), Autoregression(2))


def rows(lengths: list[int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([MODEL.sample(TRUTH, np.zeros(n, int), rng) for n in lengths])


def test_densities_are_those_of_the_rows_given_the_two_before() -> None:
    x, family = rows([5, 4]), Autoregression(2)
    got = family.log_density(Batch(x, offsets=np.array([0, 5, 9])), EMISSION)
    a, matrices = family.intercepts(EMISSION), family.matrices(EMISSION)
    for t in range(9):
        for k in range(2):
            if t in (0, 1, 5, 6):
                assert got[k, t] == 0.0
                continue
            e = x[t] - a[k] - matrices[k, 0] @ x[t - 1] - matrices[k, 1] @ x[t - 2]
            sigma = EMISSION.covariances[k]
            expected = -0.5 * (e @ np.linalg.solve(sigma, e) + np.log(np.linalg.det(2 * np.pi * sigma)))
            assert got[k, t] == pytest.approx(expected, rel=1e-12)


def test_the_likelihood_is_the_sum_over_paths() -> None:
    x = rows([6])
    density = Autoregression(2).log_density(Batch(x), EMISSION)
    logs = []
    for path in product(range(2), repeat=6):
        moves = [np.log(CHAIN.transition[a, b]) for a, b in pairwise(path)]
        logs.append(np.log(0.5) + sum(moves) + sum(density[z, t] for t, z in enumerate(path)))
    assert MODEL.e_step(TRUTH, Batch(x)).log_likelihood == pytest.approx(np.logaddexp.reduce(logs), rel=1e-12)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_one_state_is_least_squares_on_lags_within_sequences(covariance: str) -> None:
    lengths = [40, 7, 53]
    x = rows(lengths)
    model = LatentVariableModel(Categorical(1), Autoregression(2, covariance=covariance))
    found = fit(model, x, lengths=lengths, executor=Serial()).parameters.emission
    parts = np.split(x, np.cumsum(lengths)[:-1])
    lagged = np.vstack([np.hstack([np.ones((len(p) - 2, 1)), p[1:-1], p[:-2]]) for p in parts])
    now = np.vstack([p[2:] for p in parts])
    beta = np.linalg.lstsq(lagged, now, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients[0], beta.T, rtol=1e-8, atol=1e-10)
    residuals = now - lagged @ beta
    spread = residuals.T @ residuals / len(now)
    expected = spread if covariance == "full" else np.diag(spread)
    got = found.covariances if covariance == "full" else found.variances
    np.testing.assert_allclose(got[0], expected, rtol=1e-8)


def test_covariates_beside_the_lags_are_found_again() -> None:
    rng, n = np.random.default_rng(12), 3000
    family = Autoregression(1, columns=(1,))
    params = FullRegressionParameters(np.array([[[0.5, 0.6, 2.0]]]), np.array([[[0.25]]]))
    given = Batch(np.zeros((n, 1)), covariates=rng.normal(size=(n, 2)), offsets=np.array([0, 1000, n]))
    x = family.sample_given(params, np.zeros(n, int), given, rng)
    model = LatentVariableModel(Categorical(1), family)
    result = fit(model, x, covariates=given.covariates, lengths=[1000, 2000])
    np.testing.assert_allclose(result.parameters.emission.coefficients, params.coefficients, atol=0.05)
    assert family.matrices(result.parameters.emission).shape == (1, 1, 1, 1)
    with pytest.raises(DataError, match="Autoregression conditions on covariates"):
        fit(model, x, lengths=[1000, 2000])
    with pytest.raises(ParameterError, match="use sample_given"):
        family.sample(params, np.zeros(3, int), rng)


def test_statistics_add_over_sequences_and_weights_are_repetition() -> None:
    family, lengths = Autoregression(1), [5, 4, 6]
    x, rng = rows(lengths), np.random.default_rng(1)
    params = FullRegressionParameters(EMISSION.coefficients[:, :, :3], EMISSION.covariances)
    r = rng.dirichlet(np.ones(2), 15).T
    offsets = np.array([0, 5, 9, 15])
    whole = family.statistics(Batch(x, offsets=offsets), Posterior(r), params)
    head = family.statistics(Batch(x[:9], offsets=offsets[:3]), Posterior(r[:, :9]), params)
    tail = family.statistics(Batch(x[9:]), Posterior(r[:, 9:]), params)
    for name in ("counts", "gram", "cross", "squares"):
        np.testing.assert_allclose(getattr(head + tail, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
    weighted = family.statistics(Batch(x[9:]), Posterior(r[:, 9:], np.full(6, 2.0)), params)
    np.testing.assert_allclose(weighted.squares, 2 * tail.squares, rtol=1e-13)
    updated = family.maximize(whole, params)
    again = family.statistics(Batch(x, offsets=offsets), Posterior(r), updated)
    np.testing.assert_allclose(family.score(again, updated), 0.0, atol=1e-8)


def test_regimes_are_found_again() -> None:
    lengths = [600, 400]
    x = rows(lengths, 3)
    source = ArraySource(x, lengths=lengths)
    result = fit(MODEL, source, executor=Serial(), random_state=0)
    assert result.converged
    assert result.log_likelihood > MODEL.e_step(TRUTH, next(iter(source))).log_likelihood
    objective = np.array([value for _, value in result.history])
    assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))
    order = np.argsort(-result.parameters.emission.coefficients[:, 0, 0])
    np.testing.assert_allclose(result.parameters.emission.coefficients[order], EMISSION.coefficients, atol=0.25)
    assert result.parameters.n_free == 1 + 2 + 2 * (10 + 3)


def test_fishers_identity_with_transitions_that_depend_on_covariates() -> None:
    latent = CovariateMarkovChain(2, columns=(0,))
    model = LatentVariableModel(latent, Autoregression(2))
    start = latent.start()
    params = ModelParameters(replace(start, coefficients=start.coefficients + 0.3), EMISSION)
    batch = Batch(rows([20]), covariates=np.random.default_rng(2).normal(size=(20, 1)))
    score = model.score(model.e_step(params, batch).statistics, params)
    numeric = gradient(lambda v: model.e_step(params.unflatten(v), batch).log_likelihood, params.flatten())
    np.testing.assert_allclose(score, numeric, atol=2e-4)  # differences along a flat coordinate


def test_samples_have_the_stationary_moments(rng: np.random.Generator) -> None:
    family = Autoregression(1)
    params = FullRegressionParameters(np.array([[[2.0, 0.8]]]), np.array([[[0.36]]]))
    x = family.sample(params, np.zeros(40_000, int), rng)
    assert x.mean() == pytest.approx(10.0, abs=0.15)
    assert x.var() == pytest.approx(1.0, rel=0.1)
    given = Batch(np.zeros((6, 1)), offsets=np.array([0, 3, 6]))
    quiet = replace(params, covariances=np.array([[[1e-20]]]))
    np.testing.assert_allclose(family.sample_given(quiet, np.zeros(6, int), given, rng), 10.0, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.ones((5, 1)), [3, 2], r"begins in row 3 has 2 rows; an Autoregression of order 2 needs at least 3"),
        (np.array([[1.0], [np.nan], [2.0], [3.0]]), [4], "row 1, column 'x0' is missing"),
    ],
)
def test_data_that_it_cannot_take_are_named(values: Any, lengths: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(MODEL, values, lengths=lengths)


@pytest.mark.parametrize("order", [0, 1.5, True])
def test_orders_that_make_no_sense_are_refused(order: Any) -> None:
    with pytest.raises(ParameterError, match="whole number of at least 1"):
        Autoregression(order)


def test_a_constant_series_is_held_by_the_floor_and_told() -> None:
    result = fit(LatentVariableModel(Categorical(1), Autoregression()), np.full((20, 1), 3.0), lengths=[20])
    assert all(np.isfinite(value).all() for value in result.parameters.arrays().values())
    told = " ".join(finding.message for finding in result.findings)
    assert "collinear" in told
    assert "floor" in told
