"""Truncated and inflated counts against published fits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from latentem.data import ArraySource
from latentem.em import run
from latentem.execution import Serial
from latentem.families.gaussian import (
    DiagonalGaussianParameters,
)
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.truncated import Truncated, TruncatedParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
SERIAL = Serial()


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def reference(name: str) -> tuple[dict, list[dict[str, str]]]:
    folder = REFERENCE / name
    if not folder.exists():
        pytest.skip("the reference data are not here")
    with (folder / "data.csv").open() as file:
        return json.loads((folder / "case.json").read_text()), list(csv.DictReader(file))


def one_component(family, params, values, weights=None, max_iter=2000):
    start = ModelParameters(CategoricalParameters(np.ones(1)), params)
    source = ArraySource(np.array(values, float)[:, None], weights=weights)
    model = LatentVariableModel(Categorical(1), family)
    return run(model, source, start, executor=SERIAL, max_iter=max_iter, tol=1e-13)


def test_cholera_households_mckendrick_1926() -> None:
    case, rows = reference("truncated_poisson_mckendrick_cholera")
    seen = [row for row in rows if int(row["cases_in_household"]) > 0]
    counts = [float(row["cases_in_household"]) for row in seen]
    weights = [float(row["households"]) for row in seen]
    result = one_component(Truncated(Poisson(), low=1), TruncatedParameters(rates(86 / 55)), counts, weights)
    rate = result.parameters.emission.base.rates[0, 0]
    assert rate == pytest.approx(case["expected"]["lambda"], abs=1e-10)
    assert result.log_likelihood == pytest.approx(case["expected"]["loglik_truncated"], rel=1e-12)
    assert 55 / np.expm1(rate) == pytest.approx(case["expected"]["zero_class_imputed"], rel=1e-8)


def test_articles_of_biochemists_long_1990() -> None:
    case, rows = reference("zip_biochemists")
    expected = case["expected"]["zip_intercepts"]
    articles = [float(row["art"]) for row in rows]
    result = one_component(ZeroInflated(Poisson()), ZeroInflatedParameters(np.array([0.3]), rates(1.5)), articles)
    params = result.parameters.emission
    assert result.log_likelihood == pytest.approx(expected["loglik"], rel=1e-11)
    assert np.log(params.base.rates[0, 0]) == pytest.approx(expected["count"][0], abs=1e-5)
    assert np.log(params.inflation[0] / (1 - params.inflation[0])) == pytest.approx(expected["zero"][0], abs=1e-4)
