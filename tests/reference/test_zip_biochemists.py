"""Articles by 915 biochemistry students (Long 1990): a zero-inflated Poisson without regressors (R pscl)."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, fit_tightly, near, within

from latentem.families.poisson import Poisson
from latentem.families.zero_inflated import ZeroInflated
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("zip_biochemists")
Y = KNOWN.columns("art")


def numbers(coefficients) -> list[float]:
    """Coefficients, with or without names."""
    return list(coefficients.values()) if isinstance(coefficients, dict) else coefficients


@pytest.mark.parametrize("published", [KNOWN.expected["zip_intercepts"], KNOWN.expected["pscl"]["zip_intercepts"]])
def test_em_reaches_the_published_maximum(published):
    result = fit_tightly(LatentVariableModel(Categorical(1), ZeroInflated(Poisson())), Y)
    same, found = within(KNOWN.tolerance["coef"]), result.parameters.emission
    assert result.log_likelihood == near(published["loglik"], KNOWN.tolerance["loglik"])
    same(np.log(found.base.rates[0]), numbers(published["count"]))
    same(np.log(found.inflation) - np.log1p(-found.inflation), numbers(published["zero"]))


def test_a_zero_inflated_poisson_is_a_mixture_with_a_component_of_zeros():
    """The same likelihood by another road: two Poisson components, one with a rate that EM drives to zero."""
    begin = np.hstack([Y == 0, Y > 0]).astype(float)
    result = fit_tightly(LatentVariableModel(Categorical(2), Poisson()), Y, init=begin)
    assert result.log_likelihood >= KNOWN.expected["zip_intercepts"]["loglik"] - KNOWN.tolerance["loglik"]
