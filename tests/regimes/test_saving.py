"""Every latent and family of regimes goes to a file and comes back to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zoo

from latentem.data import ArraySource, Batch
from latentem.fitting import fit
from latentem.io import load, save
from latentem.model import LatentVariableModel, ModelParameters

LATENTS = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}
FAMILIES = {**zoo.FAMILIES, **zoo.VARIANTS}
CASES = [
    ("CovariateMarkovChain", "LinearRegression"),
    ("CovariateMarkovChain, without intercept", "PoissonRegression"),
    ("SemiMarkovChain", "LogisticRegression, of several trials without intercept"),
    ("SemiMarkovChain, Poisson", "LinearRegression, full"),
    ("MarkovChain", "Autoregression"),
]


@pytest.mark.parametrize(("latent", "family"), CASES)
def test_a_round_trip_keeps_every_bit(latent: str, family: str, tmp_path: Path) -> None:
    model = LatentVariableModel(LATENTS[latent].latent(2), FAMILIES[family].of(2))
    start = ModelParameters(LATENTS[latent].parameters(2), FAMILIES[family].parameters(2))
    rng = np.random.default_rng(0)
    given = Batch(np.zeros((12, 1)), covariates=rng.normal(size=(12, 2)), offsets=np.array([0, 5, 12]))
    x = model.family.sample_given(start.emission, np.arange(12) % 2, given, rng)
    source = ArraySource(x, covariates=given.covariates, lengths=[5, 7])
    result = fit(model, source, parameters=start, max_iter=2)
    save(result, tmp_path / "m.latentem")
    again = load(tmp_path / "m.latentem")
    assert again.model == model
    assert again.parameters.flatten().tobytes() == result.parameters.flatten().tobytes()
    assert again.parameters.n_free == result.parameters.n_free
    (batch,) = source
    assert again.model.e_step(again.parameters, batch).log_likelihood == result.log_likelihood
