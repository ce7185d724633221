"""Twelve points with missing values: two maxima and a saddle (Murray 1977, on Dempster et al.)."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, log_likelihoods, near, start

from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("murray_1977_bivariate_missing")
X = KNOWN.columns("x1", "x2")
MODEL = LatentVariableModel(Categorical(1), FullGaussian(floor=0.0))
STEPS = 400
RUNS = KNOWN.expected["em_runs_free_means_400_iterations"]


def begin_at(rho: float):
    return start(1.0, FullGaussianParameters(np.zeros((1, 2)), np.array([[[1.0, rho], [rho, 1.0]]])))


def correlation(covariance) -> float:
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


@pytest.mark.parametrize("rho", [0.0, 1e-6, 0.1, -0.1, 0.9])
def test_em_ends_where_the_sign_of_the_first_correlation_says(rho):
    expected = RUNS[f"rho0={'1e-6' if rho == 1e-6 else rho}"]
    steps = em_steps(MODEL, X, begin_at(rho), STEPS)
    found, tolerance = steps[-1].parameters.emission.covariances[0], KNOWN.tolerance
    assert steps[-1].log_likelihood == near(expected["loglik"], tolerance["loglik"])
    assert found[0, 0] == near(expected["sigma11"], tolerance["parameters"])
    assert found[1, 1] == near(expected["sigma22"], tolerance["parameters"])
    assert correlation(found) == near(expected["rho"], tolerance["parameters"])
    assert np.all(np.diff(log_likelihoods(steps)) >= -steps[-1].rounding)


def test_a_start_without_correlation_stays_at_the_saddle():
    """Monotone and at rest: the likelihood alone cannot tell a saddle from a maximum."""
    result = fit_tightly(MODEL, X, parameters=begin_at(0.0))
    saddle, tolerance = KNOWN.expected["saddle"], KNOWN.tolerance
    assert result.log_likelihood == near(KNOWN.expected["loglik_at_saddle"], tolerance["loglik"])
    found = result.parameters.emission.covariances[0]
    assert found[0, 1] == saddle["rho"]
    assert found[0, 0] == near(saddle["sigma11"], tolerance["parameters"])


def test_the_two_maxima_are_of_the_same_height():
    up, down = (fit_tightly(MODEL, X, parameters=begin_at(rho)) for rho in (0.3, -0.3))
    assert up.log_likelihood == near(KNOWN.expected["loglik_at_maxima"], KNOWN.tolerance["loglik"])
    assert up.log_likelihood == near(down.log_likelihood, 1e-10)
    assert correlation(up.parameters.emission.covariances[0]) > 0 > correlation(down.parameters.emission.covariances[0])
