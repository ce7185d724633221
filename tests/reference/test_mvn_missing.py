"""One multivariate normal with missing values: apple crops (monotone pattern) and the Hald data (nearly collinear)."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, log_likelihoods, near, start, within

from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

NAMES = ("mvn_missing_apple_monotone", "mvn_missing_draper_smith")
MODEL = LatentVariableModel(Categorical(1), FullGaussian(floor=0.0))
TRACE = "EM_loglik_trace_from_(observed_means,diag_observed_variances)_first_20"
RELATIVE = 1e-3


def observed_moments(x: np.ndarray):
    """The stated start: means and variances of what is observed, no covariances."""
    return start(1.0, FullGaussianParameters(np.nanmean(x, axis=0)[None], np.diag(np.nanvar(x, axis=0))[None]))


@pytest.mark.parametrize("name", NAMES)
def test_em_takes_the_same_steps(name):
    known = case(name)
    x, expected = known.columns(), known.expected[TRACE]
    within(1e-9)(log_likelihoods(em_steps(MODEL, x, observed_moments(x), len(expected) - 1)), expected)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("name", NAMES)
def test_em_reaches_the_published_maximum(name, acceleration):
    known = case(name)
    x, expected, tolerance = known.columns(), known.expected, known.tolerance
    assert tolerance["cov"] == "1e-3 relative"
    result = fit_tightly(MODEL, x, parameters=observed_moments(x), acceleration=acceleration)
    found = result.parameters.emission
    assert result.log_likelihood == near(expected["loglik"], tolerance["loglik"])
    within(tolerance["mean"])(found.means[0], expected["mean"])
    within(RELATIVE, relative=True)(found.covariances[0], expected["cov_ML"])
    assert result.log_likelihood == near(expected["R"]["lavaan_saturated"]["loglik"], tolerance["loglik"])


def test_a_monotone_pattern_has_the_closed_form_of_the_factored_likelihood():
    known = case("mvn_missing_apple_monotone")
    expected = known.expected["closed_form_factored_likelihood"]
    last = em_steps(MODEL, known.columns(), observed_moments(known.columns()), 100)[-1].parameters.emission
    within(1e-10, relative=True)(last.means[0], expected["mean"])
    within(1e-10, relative=True)(last.covariances[0], expected["cov"])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_free_starts_reach_at_least_the_maximum(name, seed):
    known = case(name)
    result = fit_tightly(MODEL, known.columns(), init="random-rows", random_state=seed)
    assert result.log_likelihood >= known.expected["loglik"] - known.tolerance["loglik"]
