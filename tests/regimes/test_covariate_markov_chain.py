"""Chains whose transitions depend on covariates: recovery, units, degenerate data, bad input."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.errors import DataError, ParameterError
from latentem.execution import Serial
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.fitting import fit
from latentem.kernels.chain import smooth
from latentem.kernels.derivatives import gradient
from latentem.latents import CovariateMarkovChain, MarkovChain
from latentem.latents.covariate_markov_chain import CovariateMarkovParameters
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.result import EMResult
from latentem.testing import draw

LENGTHS = [150, 90, 260]
EMISSION = DiagonalGaussianParameters(np.array([[-1.5], [1.5]]), np.ones((2, 1)))
COEFFICIENTS = np.array([[[-1.5, 1.2]], [[-2.0, -1.0]]])
TRUTH = ModelParameters(CovariateMarkovParameters(np.array([0.5, 0.5]), COEFFICIENTS), EMISSION)
MODEL = LatentVariableModel(CovariateMarkovChain(2, columns=(0,)), DiagonalGaussian())


def rows(lengths: list[int] = LENGTHS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Observations and covariates drawn from the truth, sequence by sequence."""
    rng = np.random.default_rng(seed)
    parts = []
    for length in lengths:
        given = Batch(np.zeros((length, 1)), covariates=rng.normal(size=(length, 1)))
        parts.append((MODEL.sample_given(TRUTH, np.zeros(length, int), given, rng), given.covariates))
    return np.concatenate([x for x, _ in parts]), np.concatenate([c for _, c in parts])


def fitted(x: Any, c: Any, lengths: Any = LENGTHS, model: LatentVariableModel = MODEL, **options: Any) -> EMResult:
    options = {"executor": Serial(), "random_state": 0, "tol": 1e-9} | options
    return fit(model, x, covariates=c, lengths=lengths, **options)


def test_coefficients_are_found_again() -> None:
    x, c = rows([2000, 3000])
    result = fitted(x, c, [2000, 3000], parameters=TRUTH)
    assert result.converged
    np.testing.assert_allclose(result.parameters.latent.coefficients, COEFFICIENTS, atol=0.35)
    score = MODEL.objective_score(result.expectation.statistics, result.parameters)
    np.testing.assert_allclose(score, 0.0, atol=1e-2)


def test_the_objective_never_falls_from_any_start() -> None:
    x, c = rows()
    for seed in range(4):
        result = fitted(x, c, init="random", random_state=seed, max_iter=40)
        objective = np.array([value for _, value in result.history])
        assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))


@pytest.mark.parametrize(("scale", "shift"), [(1e6, 0.0), (1e-6, 0.0), (10.0, 500.0)])
def test_units_of_a_covariate_change_its_coefficient_and_nothing_else(scale: float, shift: float) -> None:
    x, c = rows()
    plain, other = fitted(x, c), fitted(x, scale * c + shift)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-5)
    slopes = other.parameters.latent.coefficients[:, 0, 1] * scale
    order = np.argsort(other.parameters.emission.means[:, 0])
    expected = plain.parameters.latent.coefficients[np.argsort(plain.parameters.emission.means[:, 0]), 0, 1]
    np.testing.assert_allclose(slopes[order], expected, rtol=1e-2)


def test_without_covariates_it_is_the_plain_chain() -> None:
    x, _ = rows()
    constant = LatentVariableModel(CovariateMarkovChain(2, columns=()), DiagonalGaussian())
    result = fitted(x, None, model=constant)
    plain = fitted(x, None, model=LatentVariableModel(MarkovChain(2), DiagonalGaussian()))
    assert result.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert result.parameters.n_free == plain.parameters.n_free
    matrix = result.parameters.latent.transition(np.ones((1, 1)))[:, :, 0]
    density = DiagonalGaussian().log_density(Batch(x), result.parameters.emission)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    total = smooth(result.parameters.latent.initial, matrix, density, offsets)[2].sum()
    assert total == pytest.approx(result.log_likelihood, rel=1e-12)


def test_a_prior_keeps_coefficients_finite_where_a_state_is_never_left() -> None:
    x = np.concatenate([np.full((30, 1), -4.0), np.full((30, 1), 4.0)]) + 0.1 * rows([60])[0]
    c = np.random.default_rng(3).normal(size=(60, 1))
    free = fitted(x, c, [60])
    assert free.converged
    assert any("never left" in finding.message for finding in free.findings)
    held = replace(MODEL, prior=Prior(concentration=0.5))
    result = fitted(x, c, [60], held)
    objective = np.array([value for _, value in result.history])
    assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))
    assert np.abs(result.parameters.latent.coefficients).max() < 12 < np.abs(free.parameters.latent.coefficients).max()
    source = ArraySource(x, covariates=c, lengths=[60])

    def objective_at(vector: np.ndarray) -> float:
        there = result.parameters.unflatten(vector)
        return held.e_step(there, next(iter(source))).log_likelihood + held.log_prior(there)

    here = result.parameters.flatten()
    statistics = held.e_step(result.parameters, next(iter(source))).statistics
    numeric = gradient(objective_at, here)
    np.testing.assert_allclose(held.objective_score(statistics, result.parameters), numeric, atol=1e-5)


def test_collinear_covariates_are_told_and_harmless() -> None:
    x, c = rows()
    twice = LatentVariableModel(CovariateMarkovChain(2, columns=(0, 1)), DiagonalGaussian())
    result = fitted(x, np.hstack([c, 2 * c - 1]), model=twice)
    assert result.converged
    assert result.log_likelihood == pytest.approx(fitted(x, c).log_likelihood, abs=1e-6)
    assert any("collinear" in finding.message for finding in result.findings)


def test_one_chunk_or_many_and_weights() -> None:
    x, c = rows([40] * 12)
    whole = ArraySource(x, covariates=c, lengths=[40] * 12)
    cut = ArraySource(x, covariates=c, lengths=[40] * 12, chunk_rows=100)
    one, many = (fit(MODEL, s, executor=Serial(), parameters=TRUTH, tol=1e-9) for s in (whole, cut))
    assert one.log_likelihood == pytest.approx(many.log_likelihood, rel=1e-10)
    doubled = fitted(x, c, [40] * 12, parameters=TRUTH, sample_weight=np.full(480, 2.0))
    assert doubled.log_likelihood == pytest.approx(2 * one.log_likelihood, rel=1e-8)


def test_decoding_is_the_best_of_all_paths() -> None:
    x, c = rows([6])
    batch = Batch(x, covariates=c)
    density = MODEL.family.log_density(batch, EMISSION)
    steps = np.log(TRUTH.latent.transition(np.column_stack([np.ones(6), c])))
    scores = {}
    for path in product(range(2), repeat=6):
        total = np.log(0.5) + sum(density[z, t] for t, z in enumerate(path))
        scores[path] = total + sum(steps[path[t - 1], path[t], t] for t in range(1, 6))
    best = max(scores, key=scores.__getitem__)
    found, log = MODEL.latent.decode(density, batch, TRUTH.latent)
    assert tuple(found) == best
    assert log[0] == pytest.approx(scores[best], rel=1e-13)


def test_covariates_that_are_missing_or_wrong_are_named() -> None:
    x, c = rows()
    with pytest.raises(DataError, match=r"CovariateMarkovChain conditions on covariates.*fit\(…, covariates=C\)"):
        fitted(x, None)
    c[7, 0] = np.nan
    with pytest.raises(DataError, match=r"covariates must be finite.*row 7, column 0"):
        fitted(x, c)
    second = LatentVariableModel(CovariateMarkovChain(2, columns=(1,)), DiagonalGaussian())
    with pytest.raises(DataError, match="column 1 of the covariates, counted from 0, but there are 1"):
        fitted(x, rows()[1], model=second)
    with pytest.raises(DataError, match="covariates must have one entry for each of the 500 rows"):
        fitted(x, rows()[1][:-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CovariateMarkovChain(0, columns=(0,)), "at least one state"),
        (lambda: CovariateMarkovChain(2, columns=0), "must be a tuple"),
        (lambda: CovariateMarkovChain(2, columns=(0, 0)), "different whole numbers"),
        (lambda: CovariateMarkovChain(2, columns=(), intercept=False), "neither covariates nor an intercept"),
        (lambda: draw(MODEL, TRUTH, 1, np.random.default_rng(0)), "conditions on covariates"),
        (lambda: MODEL.sample(TRUTH, np.zeros(3, int), np.random.default_rng(0)), "use sample_given"),
    ],
)
def test_misuse_is_told(make: Any, message: str) -> None:
    with pytest.raises((ParameterError, DataError), match=message):
        make()
