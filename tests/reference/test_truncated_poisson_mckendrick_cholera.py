"""Cholera in an Indian village (McKendrick 1926): the number of cases in a house, houses without any left out."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, fit_tightly, near, start

from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.truncated import Truncated, TruncatedParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("truncated_poisson_mckendrick_cholera")
CASES, HOUSES = KNOWN.columns("cases_in_household", "households").T
SEEN = CASES > 0
MODEL = LatentVariableModel(Categorical(1), Truncated(Poisson(), low=1))


@pytest.fixture(scope="module")
def result():
    mean = HOUSES[SEEN] @ CASES[SEEN] / HOUSES[SEEN].sum()
    begin = start(1.0, TruncatedParameters(PoissonParameters(np.array([[mean]]))))
    return fit_tightly(MODEL, CASES[SEEN], sample_weight=HOUSES[SEEN], parameters=begin)


def test_the_rate_is_that_of_mckendrick_s_em(result):
    found = result.parameters.emission.base.rates[0, 0]
    assert found == near(KNOWN.expected["lambda"], KNOWN.tolerance["lambda"])
    assert result.log_likelihood == near(KNOWN.expected["loglik_truncated"], 1e-9)


def test_so_is_the_number_of_houses_that_escaped(result):
    """Houses seen, times the odds of no case."""
    log_seen = Truncated(Poisson(), low=1).log_mass(result.parameters.emission)[0]
    total = HOUSES[SEEN].sum() / np.exp(log_seen)
    assert total == near(KNOWN.expected["N_total"], 1e-7)
    assert total - HOUSES[SEEN].sum() == near(KNOWN.expected["zero_class_imputed"], 1e-7)


def test_without_a_start_the_same_maximum_is_found(result):
    free = fit_tightly(MODEL, CASES[SEEN], sample_weight=HOUSES[SEEN])
    assert free.log_likelihood == near(result.log_likelihood, 1e-10)
