"""Enzyme activity of 245 people: two gamma components, whose shapes need a numeric M-step."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, fit_tightly, near, start, within

from latentem.families.gamma import Gamma, GammaParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

MODEL = LatentVariableModel(Categorical(2), Gamma())


def test_from_the_stated_start_em_reaches_the_maximum():
    known = case("gamma_mixture_enzyme")
    expected, begin = known.expected, known.record["start"]
    emission = GammaParameters(np.array(begin["shape"], float)[:, None], 1 / np.array(begin["scale"])[:, None])
    result = fit_tightly(MODEL, known.columns(), parameters=start([begin["w"], 1 - begin["w"]], emission))
    same, found = within(known.tolerance["parameters"]), result.parameters.emission
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    same(result.parameters.latent.weights[0], expected["weight_1"])
    same(found.shapes[:, 0], expected["shape"])
    same(1 / found.rates[:, 0], expected["scale"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_free_starts_reach_at_least_the_maximum(seed):
    known = case("gamma_mixture_enzyme")
    result = fit_tightly(MODEL, known.columns(), n_init=3, random_state=seed)
    assert result.log_likelihood >= known.expected["loglik"] - known.tolerance["loglik"]
    assert result.log_likelihood >= known.expected["mixtools"]["gammamixEM"]["loglik"] - known.tolerance["loglik"]
