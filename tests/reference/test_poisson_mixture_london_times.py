"""Death notices in The Times (Hasselblad 1969): two Poisson components so close that EM takes thousands of steps."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, near, start, within

from latentem.execution import Serial
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("poisson_mixture_london_times")
X, DAYS = KNOWN.columns("deaths"), KNOWN.columns("days")[:, 0]
MODEL = LatentVariableModel(Categorical(2), Poisson())
TURBO_EM = (0.5, 1.0, 3.0)
WICHMANN_HILL = tuple(KNOWN.expected["start_seed123_wichmann_hill"])
MAXIMUM = [KNOWN.expected[name] for name in ("p", "mu1", "mu2")]


def begin_at(p: float, first: float, second: float):
    return start([p, 1 - p], PoissonParameters(np.array([[first], [second]])))


def as_published(parameters) -> list[float]:
    return [parameters.latent.weights[0], *parameters.emission.rates[:, 0]]


def fit_from(begin: tuple[float, ...], **options):
    return fit(MODEL, X, sample_weight=DAYS, parameters=begin_at(*begin), executor=Serial(), **options)


@pytest.fixture(scope="module")
def steps():
    return em_steps(MODEL, X, begin_at(*TURBO_EM), 4000, weights=DAYS)


@pytest.mark.parametrize("n", [1, 2, 5, 10, 50, 100, 500, 1000, 1500])
def test_em_takes_the_published_steps(steps, n):
    expected = KNOWN.expected["EM_from_0.5_1_3"][str(n)]
    same = within(KNOWN.tolerance["EM iterates"])
    same(as_published(steps[n].parameters), expected["par"])
    same(-steps[n].log_likelihood, expected["negloglik"])


def test_em_goes_on_to_the_maximum(steps):
    within(KNOWN.tolerance["par"])(as_published(steps[-1].parameters), MAXIMUM)
    assert steps[-1].log_likelihood == near(KNOWN.expected["loglik"], KNOWN.tolerance["loglik"])


def test_its_rate_is_the_largest_eigenvalue_of_the_em_map(steps):
    """Gains contract at λ²; from step 1000 on only the slowest direction is left."""
    gains = np.diff([step.log_likelihood for step in steps[1000:1201]])
    rate = (gains[-100:].sum() / gains[:100].sum()) ** (1 / 200)
    assert rate == pytest.approx(KNOWN.expected["EM_jacobian_eigenvalues"][0], abs=2e-4)


@pytest.mark.parametrize("begin", [TURBO_EM, WICHMANN_HILL], ids=["turboEM", "SQUAREM"])
def test_a_weight_of_n_days_is_n_rows(begin):
    weighted = fit_from(begin, tol=0.0, max_iter=20)
    repeated = fit(MODEL, np.repeat(X, DAYS.astype(int), axis=0), parameters=begin_at(*begin), tol=0.0, max_iter=20)
    within(1e-10)(as_published(weighted.parameters), as_published(repeated.parameters))


def test_em_does_not_claim_to_have_converged_at_turbo_em_s_limit():
    result = fit_from(TURBO_EM, tol=1e-8, max_iter=1500)
    assert not result.converged
    assert result.remaining_gain == pytest.approx(KNOWN.expected["loglik"] - result.log_likelihood, rel=0.2)


@pytest.mark.parametrize("tol", [1e-4, 1e-6])
def test_a_fit_that_says_converged_is_within_its_tolerance(tol):
    """A rule on changes of the likelihood or of the parameters stops far from this maximum."""
    result = fit_from(TURBO_EM, tol=tol, max_iter=20_000)
    assert result.converged
    assert KNOWN.expected["loglik"] - result.log_likelihood <= 1.1 * tol


@pytest.mark.parametrize("begin", [TURBO_EM, WICHMANN_HILL, (0.9, 1.0, 3.0)], ids=["turboEM", "SQUAREM", "0.9"])
def test_squarem_needs_far_fewer_passes(begin):
    plain = fit_from(begin, tol=1e-6, max_iter=20_000)
    fast = fit_from(begin, tol=1e-6, max_iter=20_000, acceleration="squarem")
    assert plain.converged
    assert fast.converged
    assert fast.n_iter <= plain.n_iter / 4
    assert fast.log_likelihood == near(KNOWN.expected["loglik"], 1.1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_free_starts_reach_at_least_the_maximum(seed):
    """A gain below rounding is not the end at a rate of 0.996: plain steps go on from there."""
    result = fit_tightly(MODEL, X, sample_weight=DAYS, acceleration="squarem", n_init=2, random_state=seed)
    last = em_steps(MODEL, X, result.parameters, 1000, weights=DAYS)[-1]
    assert last.log_likelihood >= result.log_likelihood - last.rounding
    assert last.log_likelihood == near(KNOWN.expected["loglik"], KNOWN.tolerance["loglik"])
