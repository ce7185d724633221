"""`certify=True` of every estimator: its fit ends at a maximum, from a saddle too, or says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inference.stationary import FACTORS, murray

import latentem as em
from latentem import estimators
from latentem.em import iterate
from latentem.execution import Serial
from latentem.inference import Verdict

pytestmark = pytest.mark.filterwarnings("ignore::latentem.FindingWarning")

NO_FITS = {"ConvergenceMonitor", "FindingWarning", "FamilyMixture"}
RNG = np.random.default_rng(3)
HIGH = RNG.random(150) < 0.4
REAL = RNG.normal(size=(150, 2)) + np.where(HIGH, 3.0, 0.0)[:, None]
POSITIVE = np.exp(0.4 * REAL)
COUNTS = RNG.poisson(np.where(HIGH, 9.0, 2.0)[:, None], (150, 2))
TRIALS = RNG.binomial(10, np.where(HIGH, 0.8, 0.3)[:, None], (150, 1))
BITS = (RNG.random((150, 5)) < np.where(HIGH, 0.8, 0.2)[:, None]).astype(int)
ANGLES = REAL / np.linalg.norm(REAL, axis=1, keepdims=True)
WALK = np.cumsum(RNG.normal(size=150)) + RNG.normal(size=150)
RUNS: dict[str, Any] = {"n_iter": 2000, "tol": 1e-3, "random_state": 0}

CASES: dict[str, tuple[Any, Any]] = {
    "GaussianMixture": (em.GaussianMixture(2, random_state=0, max_iter=2000), REAL),
    "StudentTMixture": (em.StudentTMixture(2, random_state=0, dof=5.0), REAL),
    "MixtureModel": (em.MixtureModel("diagonal-gaussian", 2, random_state=0), REAL),
    "LatentClassAnalysis": (em.LatentClassAnalysis(2, random_state=0), BITS),
    "BernoulliMixture": (em.BernoulliMixture(2, random_state=0), BITS),
    "PoissonMixture": (em.PoissonMixture(2, random_state=0), COUNTS),
    "NegativeBinomialMixture": (em.NegativeBinomialMixture(2, random_state=0), COUNTS),
    "GeometricMixture": (em.GeometricMixture(2, random_state=0), COUNTS),
    "MultinomialMixture": (em.MultinomialMixture(2, random_state=0), np.c_[TRIALS, 10 - TRIALS]),
    "ExponentialMixture": (em.ExponentialMixture(2, random_state=0, max_iter=20_000, acceleration="auto"), POSITIVE),
    "GammaMixture": (em.GammaMixture(2, random_state=0), POSITIVE),
    "WeibullMixture": (em.WeibullMixture(2, random_state=0), POSITIVE),
    "LogNormalMixture": (em.LogNormalMixture(2, random_state=0), POSITIVE),
    "InverseGaussianMixture": (em.InverseGaussianMixture(2, random_state=0), POSITIVE),
    "BetaMixture": (em.BetaMixture(2, random_state=0), (TRIALS + RNG.random((150, 1))) / 11),
    "VonMisesFisherMixture": (em.VonMisesFisherMixture(2, random_state=0), ANGLES),
    "GaussianHMM": (em.GaussianHMM(2, **RUNS), REAL),
    "GMMHMM": (em.GMMHMM(2, 1, **RUNS), REAL),
    "StudentTHMM": (em.StudentTHMM(2, dof=5.0, **RUNS), REAL),
    "HiddenMarkovModel": (em.HiddenMarkovModel("poisson", 2, **RUNS), COUNTS),
    "PoissonHMM": (em.PoissonHMM(2, **RUNS), COUNTS),
    "CategoricalHMM": (em.CategoricalHMM(2, **RUNS), BITS[:, :1]),
    "MultinomialHMM": (em.MultinomialHMM(2, n_trials=10, **RUNS), np.c_[TRIALS, 10 - TRIALS]),
    "FactorAnalysis": (em.FactorAnalysis(1), FACTORS),
    "ProbabilisticPCA": (em.ProbabilisticPCA(1), FACTORS),
    "LinearGaussianStateSpace": (em.LinearGaussianStateSpace.local_level(), WALK),
}


def test_every_estimator_is_asked():
    assert set(CASES) == set(estimators.__all__) - NO_FITS


@pytest.mark.parametrize("name", CASES)
def test_the_end_is_a_maximum_or_says_why_not(name):
    estimator, data = CASES[name]
    result = estimator.set_params(certify=True).fit(data).result_
    certificate = result.certificate
    assert certificate.is_maximum or (certificate.verdict is Verdict.UNDECIDED and certificate.reasons), certificate
    climbs = np.diff([objective for _, objective in result.history])
    assert climbs.min() >= -2 * result.expectation.rounding
    assert result.n_iter == len(result.history) - 1


@pytest.mark.parametrize("name", ["GaussianMixture", "GaussianHMM", "FactorAnalysis"])
def test_without_it_nothing_is_asked(name):
    estimator, data = CASES[name]
    assert estimator.set_params(certify=False).fit(data).result_.certificate is None


def alike(k: int = 2) -> dict[str, Any]:
    """Starting values with components that are all the same: EM stands still there."""
    precision = np.linalg.inv(np.cov(REAL.T, bias=True))
    return {
        "weights_init": np.full(k, 1 / k),
        "means_init": np.tile(REAL.mean(axis=0), (k, 1)),
        "precisions_init": np.tile(precision, (k, 1, 1)),
    }


@pytest.mark.parametrize("order", [None, "mean"])
def test_a_mixture_leaves_the_saddle_of_equal_components(order):
    options = {"order": order, "max_iter": 2000, "reg_covar": 0.0, **alike()}
    stood = em.GaussianMixture(2, **options).fit(REAL)
    assert np.ptp(stood.means_, axis=0).max() < 1e-9
    left = em.GaussianMixture(2, certify=True, **options).fit(REAL)
    assert left.result_.objective > stood.result_.objective + 5 and np.ptp(left.means_, axis=0).min() > 2
    assert any(finding.code == "saddle-left" for finding in left.result_.findings)
    assert left.result_.certificate.verdict is Verdict.MAXIMUM, str(left.result_.certificate)
    assert left.result_.certificate.eigenvalues == pytest.approx(left.result_.certify().eigenvalues)
    assert left.lower_bound_ == pytest.approx(left.result_.objective / len(REAL))


def test_a_chain_leaves_the_saddle_of_equal_states():
    def at_the_saddle(**options: Any) -> Any:
        chain = em.GaussianHMM(2, "full", init_params="", covars_prior=0.0, **options, **RUNS)
        chain.startprob_, chain.transmat_ = np.full(2, 0.5), np.full((2, 2), 0.5)
        chain.means_ = np.tile(REAL.mean(axis=0), (2, 1))
        chain.covars_ = np.tile(np.cov(REAL.T, bias=True), (2, 1, 1))
        return chain.fit(np.sort(REAL, axis=0))

    stood, left = at_the_saddle(), at_the_saddle(certify=True)
    assert np.ptp(stood.means_, axis=0).max() < 1e-6
    assert left.result_.objective > stood.result_.objective + 5
    assert left.result_.certificate.is_maximum, str(left.result_.certificate)
    assert left.monitor_.history[-1] == left.result_.objective and left.converged_


def test_murrays_data_are_left_for_a_maximum():
    data, kinds = murray(0.0).source, ("gaussian",)
    values = np.concatenate([batch.values for batch in data])
    start = {"means": np.zeros((1, 2)), "covariances": np.eye(2)[None]}
    model = em.MixtureModel(*kinds, 1, weights_init=[1.0], parameters_init=start, tol=1e-9, certify=True)
    result = model.fit(values).result_
    assert result.certificate.eigenvalues[0] == pytest.approx(0.884, abs=1e-3)
    assert abs(model.covariances_[0, 0, 1]) > 0.5


def test_scores_of_a_fit_in_units_and_of_one_as_it_came_agree():
    """Factor models are fitted in the columns' own units; what is said of the end does not depend on them."""
    scaled = FACTORS * np.array([1e-4, 1, 1e5, 3, 20, 1e3])
    own = em.FactorAnalysis(1, tol=1e-8, certify=True).fit(scaled).result_.certificate
    other = em.FactorAnalysis(1, tol=1e-8, certify=True).fit(FACTORS).result_.certificate
    assert own.verdict is other.verdict is Verdict.MAXIMUM
    np.testing.assert_allclose(own.eigenvalues, other.eigenvalues, atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_way_can_be_gone_again_from_its_start(name):
    """Those that rescale columns inside tell their start in the user's units."""
    estimator, data = CASES[name]
    result = estimator.set_params(certify=False).fit(data).result_
    first = next(iterate(result.model, result.source, result.start, executor=Serial()))
    assert first.objective == pytest.approx(result.history[0][1], rel=1e-9)
