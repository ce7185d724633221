"""Covariates through `fit`: any executor, acceleration, files, and models that have no use for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentem as em
from latentem.execution import Serial, Threads
from latentem.families import Autoregression, LinearRegression, PoissonRegression

RNG = np.random.default_rng(0)
C = RNG.normal(size=(300, 2))
X = (np.repeat([0, 2, 0, 3, 0], 60) + RNG.normal(size=300) * 0.5 + C[:, 0])[:, None]
SOURCE = em.ArraySource(X, covariates=C, lengths=[30] * 10, chunk_rows=60)
MODELS: dict[str, Any] = {
    "covariates on both": em.LatentVariableModel(em.CovariateMarkovChain(2, columns=(1,)), LinearRegression()),
    "stays": em.LatentVariableModel(em.SemiMarkovChain(2, 40, "poisson"), Autoregression(columns=(0,))),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_executor_gives_the_same_bits(name: str) -> None:
    options = {"random_state": 0, "max_iter": 6}
    results = [em.fit(MODELS[name], SOURCE, executor=engine, **options) for engine in (Serial(), Threads(3))]
    assert results[0].parameters.flatten().tobytes() == results[1].parameters.flatten().tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_acceleration_ends_no_lower(name: str) -> None:
    options = {"random_state": 0, "executor": Serial()}
    plain = em.fit(MODELS[name], SOURCE, **options)
    quick = em.fit(MODELS[name], SOURCE, acceleration="squarem", **options)
    assert plain.converged
    assert quick.converged
    assert quick.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-4)


def test_files_name_their_covariates(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    counts = np.random.default_rng(1).poisson(np.exp(0.5 + 0.4 * C[:, 0]))
    rows = zip(counts, C[:, 0].tolist(), strict=True)
    path.write_text("count,dose\n" + "\n".join(f"{y},{c!r}" for y, c in rows) + "\n", encoding="utf-8")
    model = em.LatentVariableModel(em.Categorical(1), PoissonRegression())
    by_file = em.fit(model, path, covariates=["dose"])
    by_array = em.fit(model, counts, covariates=C[:, 0])
    assert by_file.log_likelihood == pytest.approx(by_array.log_likelihood, rel=1e-12)


def test_covariates_that_a_source_or_a_declared_model_would_not_see_are_refused() -> None:
    with pytest.raises(em.ParameterError, match="covariates: give them to the source itself"):
        em.fit(MODELS["stays"], SOURCE, covariates=C)

    @em.latent_variable_model(latent=em.Bernoulli(), parameters={"mean": em.Real()})
    def nothing(x: Any, z: Any, theta: Any) -> Any:
        return -((x - theta.mean - z) ** 2)

    with pytest.raises(em.ParameterError, match="finds its covariates among the data"):
        em.fit(nothing, X[:, 0], covariates=C)


