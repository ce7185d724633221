"""Data at the edge of what makes sense: every number stays finite, no objective falls, or an error says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentem.errors import DataError
from latentem.execution import Serial
from latentem.families import (
    Autoregression,
    DiagonalGaussian,
    LinearRegression,
    LogisticRegression,
    PoissonRegression,
)
from latentem.fitting import fit
from latentem.latents import Categorical, CovariateMarkovChain, MarkovChain, SemiMarkovChain
from latentem.model import LatentVariableModel

N = 40
RNG = np.random.default_rng(0)
COVARIATES: dict[str, Any] = {
    "plain": RNG.normal(size=(N, 2)),
    "constant": np.full((N, 2), 3.0),
    "zero": np.zeros((N, 2)),
    "huge": 1e140 * RNG.normal(size=(N, 2)),
    "tiny": 1e-140 * RNG.normal(size=(N, 2)),
    "far away": 1e9 + RNG.normal(size=(N, 2)),
    "unlike scales": RNG.normal(size=(N, 2)) * [1e-90, 1e90],
    "one outlier": np.vstack([RNG.normal(size=(N - 1, 2)), [[1e12, -1e12]]]),
}
RESPONSES: dict[str, Any] = {
    "plain": RNG.normal(size=(N, 1)),
    "constant": np.full((N, 1), 2.0),
    "outlier": np.vstack([RNG.normal(size=(N - 1, 1)), [[1e10]]]),
    "large": 1e100 * RNG.normal(size=(N, 1)),
}
COUNTS: dict[str, Any] = {
    "plain": RNG.poisson(3.0, size=(N, 1)).astype(float),
    "zeros": np.zeros((N, 1)),
    "outlier": np.vstack([np.zeros((N - 1, 1)), [[1e7]]]),
}
MODELS: dict[str, Any] = {
    "mixture": Categorical(2),
    "chain": MarkovChain(2),
    "many states": Categorical(9),
    "covariates on both": CovariateMarkovChain(2, columns=(0, 1)),
    "stays": SemiMarkovChain(3, 7, "negative-binomial"),
}


def assert_sound(model: LatentVariableModel, y: Any, **columns: Any) -> None:
    result = fit(model, y, executor=Serial(), random_state=0, max_iter=8, **columns)
    assert all(np.isfinite(value).all() for value in result.parameters.arrays().values()), result.parameters.arrays()
    objective = np.array([value for _, value in result.history])
    assert np.isfinite(objective).all()
    assert np.all(np.diff(objective) >= -1e-9 * (1 + np.abs(objective[1:])))


@pytest.mark.parametrize("c", COVARIATES)
@pytest.mark.parametrize("latent", MODELS)
def test_linear_regressions(latent: str, c: str) -> None:
    model = LatentVariableModel(MODELS[latent], LinearRegression())
    for y in RESPONSES.values():
        assert_sound(model, y, covariates=COVARIATES[c], lengths=[N - 5, 5])


@pytest.mark.parametrize("c", COVARIATES)
@pytest.mark.parametrize("latent", MODELS)
def test_regressions_of_counts(latent: str, c: str) -> None:
    counts, yes = (LatentVariableModel(MODELS[latent], f) for f in (PoissonRegression(), LogisticRegression()))
    for y in COUNTS.values():
        assert_sound(counts, y, covariates=COVARIATES[c], lengths=[N - 5, 5])
        assert_sound(yes, np.minimum(y, 1.0), covariates=COVARIATES[c], lengths=[N - 5, 5])


@pytest.mark.parametrize("y", RESPONSES)
@pytest.mark.parametrize("latent", MODELS)
def test_autoregressions(latent: str, y: str) -> None:
    model = LatentVariableModel(MODELS[latent], Autoregression(2))
    assert_sound(model, RESPONSES[y], covariates=COVARIATES["plain"], lengths=[N - 5, 5])


@pytest.mark.parametrize("latent", ["covariates on both", "stays"])
def test_sequences_of_one_row(latent: str) -> None:
    model = LatentVariableModel(MODELS[latent], DiagonalGaussian())
    assert_sound(model, RESPONSES["plain"], covariates=COVARIATES["plain"], lengths=[1] * N)


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e8])
def test_weights_of_any_scale(scale: float) -> None:
    columns = {"covariates": COVARIATES["plain"], "sample_weight": np.full(N, scale), "lengths": [N]}
    for latent in MODELS.values():
        assert_sound(LatentVariableModel(latent, LinearRegression()), RESPONSES["plain"], **columns)
        assert_sound(LatentVariableModel(latent, PoissonRegression()), COUNTS["plain"], **columns)


def test_covariates_whose_squares_overflow_are_named() -> None:
    model = LatentVariableModel(Categorical(1), LinearRegression())
    c = COVARIATES["plain"].copy()
    c[3, 1] = 1e160
    with pytest.raises(DataError, match="row 3, column 1 has 1e"):
        fit(model, RESPONSES["plain"], covariates=c)
