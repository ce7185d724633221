"""Old Faithful: two bivariate t components, degrees of freedom fixed, tied and free."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, log_likelihoods, near, start, within

from latentem.families.student_t import FullStudentT, FullStudentTParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("t_mixture_faithful")
X = KNOWN.columns("eruptions", "waiting")
LONGEST_SHORT_ERUPTION = 3.1
FIXED = (3, 5, 10, 30)
START_DOF = 8.0


def hard_split(dof=()):
    """Weights, means and covariances of the two halves, as the case starts."""
    halves = [X[X[:, 0] <= LONGEST_SHORT_ERUPTION], X[X[:, 0] > LONGEST_SHORT_ERUPTION]]
    means = np.array([half.mean(axis=0) for half in halves])
    scales = np.array([np.cov(half.T, bias=True) for half in halves])
    shares = [len(half) / len(X) for half in halves]
    return start(shares, FullStudentTParameters(means, scales, np.array(dof, float)))


@pytest.mark.parametrize("dof", FIXED)
def test_em_takes_the_same_steps_with_fixed_degrees_of_freedom(dof):
    expected = KNOWN.expected[f"fixed_common_nu_{dof}"]["EM_loglik_trace_first_10"]
    model = LatentVariableModel(Categorical(2), FullStudentT(dof=dof, floor=0.0))
    steps = em_steps(model, X, hard_split(), len(expected) - 1)
    within(1e-10)(log_likelihoods(steps), expected)


@pytest.mark.parametrize("dof", FIXED)
def test_em_reaches_the_same_maximum_with_fixed_degrees_of_freedom(dof):
    expected = KNOWN.expected[f"fixed_common_nu_{dof}"]
    model = LatentVariableModel(Categorical(2), FullStudentT(dof=dof, floor=0.0))
    result = fit_tightly(model, X, parameters=hard_split())
    same, emission = within(KNOWN.tolerance["parameters"]), result.parameters.emission
    assert result.log_likelihood == near(expected["loglik"], KNOWN.tolerance["loglik"])
    same(result.parameters.latent.weights, expected["pi"])
    same(emission.means, expected["mean"])
    same(emission.scales, expected["scale_matrix"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_free_starts_reach_at_least_the_same_maximum(seed):
    model = LatentVariableModel(Categorical(2), FullStudentT(dof=5, floor=0.0))
    result = fit_tightly(model, X, n_init=3, random_state=seed)
    assert result.log_likelihood >= KNOWN.expected["fixed_common_nu_5"]["loglik"] - KNOWN.tolerance["loglik"]


def test_degrees_of_freedom_tied_to_one_estimate():
    expected = KNOWN.expected["common_nu_estimated"]
    model = LatentVariableModel(Categorical(2), FullStudentT(dof="tied", floor=0.0))
    result = fit_tightly(model, X, parameters=hard_split([START_DOF]), acceleration="squarem")
    assert result.log_likelihood == near(expected["loglik"], KNOWN.tolerance["loglik"])
    assert result.parameters.emission.dof[0] == pytest.approx(expected["nu"], rel=0.01)


def test_free_degrees_of_freedom_beside_a_component_that_is_all_but_normal():
    """The likelihood rises by 4/ν on the way to the normal: from the published ν, there is nothing left to gain."""
    expected = KNOWN.expected["separate_nu_estimated"]
    model = LatentVariableModel(Categorical(2), FullStudentT(dof="free", dof_range=(0.1, 1e7), floor=0.0))
    result = fit_tightly(model, X, parameters=hard_split([START_DOF, expected["nu"][1]]), acceleration="squarem")
    assert result.log_likelihood == near(expected["loglik"], KNOWN.tolerance["loglik"])
    assert result.parameters.emission.dof[0] == pytest.approx(expected["nu"][0], rel=0.01)


def test_degrees_of_freedom_that_run_away_are_reported_as_a_normal_component():
    """teigen updates the degrees of freedom by an approximation, and holds them below 200."""
    highest = 200.0
    model = LatentVariableModel(Categorical(2), FullStudentT(dof="free", dof_range=(0.1, highest), floor=0.0))
    result = fit_tightly(model, X, parameters=hard_split([START_DOF, START_DOF]), acceleration="squarem")
    assert result.parameters.emission.dof[1] == pytest.approx(highest)
    assert [finding.component for finding in result.findings] == [1]
    assert "normal" in result.findings[0].message
    assert result.log_likelihood >= KNOWN.expected["teigen"]["UUUU_G2"]["loglik"]
    assert result.log_likelihood <= KNOWN.expected["separate_nu_estimated"]["loglik"] + KNOWN.tolerance["loglik"]
