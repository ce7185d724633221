"""The estimators of hidden Markov models on three classical series, against published and recomputed values.

Earthquakes: Zucchini, MacDonald and Langrock (2016), tables 3.1 and 4.1.  The dishonest casino: Durbin, Eddy, Krogh and
Mitchison (1998), section 3.2.  Speed and accuracy: the vignette and the tests of depmixS4.
"""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import Case, case, near, within

from latentem.estimators import CategoricalHMM, GaussianHMM, HiddenMarkovModel, PoissonHMM
from latentem.families import Bernoulli, DiagonalGaussian, Product
from latentem.result import Iteration

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
LONG = {"n_iter": 20_000, "tol": 1e-9}


# -- earthquakes -------------------------------------------------------------------------------


@pytest.fixture
def earthquakes() -> Case:
    return case("hmm_earthquakes_poisson")


def fitted(counts: np.ndarray, k: int, **options: object) -> PoissonHMM:
    """From spread rates and persistent states, as the book starts."""
    hmm = PoissonHMM(k, init_params="", acceleration="squarem", **LONG, **options)
    hmm.lambdas_ = np.quantile(counts, (np.arange(k) + 0.5) / k)[:, None]
    hmm.startprob_ = np.full(k, 1 / k)
    hmm.transmat_ = np.full((k, k), 0.2 / max(k - 1, 1)) + np.eye(k) * (0.8 - 0.2 / max(k - 1, 1))
    hmm.transmat_ /= hmm.transmat_.sum(axis=1, keepdims=True)
    return hmm.fit(counts)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_earthquakes_with_free_and_with_stationary_start(k: int, earthquakes: Case) -> None:
    counts, close = earthquakes.columns("count"), within(earthquakes.tolerance["lambda"])
    free, expected = fitted(counts, k), earthquakes.expected[f"EM_free_initial_m{k}"]
    assert free.converged_
    assert -free.score(counts) == near(expected["neg_loglik"], 1e-6)
    close(free.lambdas_[:, 0], expected["lambda"])
    close(free.transmat_, expected["Gamma"])
    close(free.startprob_, expected["delta"])
    stationary, expected = fitted(counts, k, stationary=True), earthquakes.expected[f"stationary_m{k}"]
    assert -stationary.score(counts) == near(expected["neg_loglik"], earthquakes.tolerance["neg_loglik"])
    close(stationary.lambdas_[:, 0], expected["lambda"])
    assert stationary.aic(counts) == near(expected["AIC"], 2e-4)
    assert stationary.bic(counts) == near(expected["BIC"], 2e-4)
    if k > 1:
        close(stationary.transmat_, expected["Gamma"])
        close(stationary.startprob_, expected["delta"])


def test_earthquakes_with_four_states(earthquakes: Case) -> None:
    """There are many local maxima: the best one known, from a start in its basin."""
    counts, expected = earthquakes.columns("count"), earthquakes.expected["EM_free_initial_m4"]
    hmm = PoissonHMM(4, init_params="", acceleration="squarem", **LONG)
    hmm.lambdas_, hmm.startprob_ = np.round(expected["lambda"])[:, None], np.full(4, 0.25)
    hmm.transmat_ = np.array(expected["Gamma"]) + 0.03
    hmm.transmat_ /= hmm.transmat_.sum(axis=1, keepdims=True)
    hmm.fit(counts)
    assert hmm.converged_
    assert -hmm.score(counts) == near(expected["neg_loglik"], earthquakes.tolerance["neg_loglik"])
    within(earthquakes.tolerance["lambda"])(hmm.lambdas_[:, 0], expected["lambda"])


def test_earthquakes_iteration_by_iteration(earthquakes: Case) -> None:
    trace = earthquakes.expected["EM_loglik_trace_m3_from_lambda_10_20_30_diag0.8_delta_1/3"]
    hmm = PoissonHMM(3, init_params="", n_iter=len(trace) - 1, tol=0)
    hmm.lambdas_, hmm.startprob_ = np.array([[10.0], [20.0], [30.0]]), np.full(3, 1 / 3)
    hmm.transmat_ = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    path: list[float] = []

    def note(iteration: Iteration) -> None:
        path.append(iteration.log_likelihood)

    hmm.fit(earthquakes.columns("count"), callbacks=[note])
    within(1e-9, relative=True)(path, trace[: len(path)])


# -- the casino --------------------------------------------------------------------------------


@pytest.fixture
def rolls() -> np.ndarray:
    return case("hmm_dishonest_casino").columns("roll") - 1


def true_casino(**options: object) -> CategoricalHMM:
    hmm = CategoricalHMM(2, init_params="", **options)
    hmm.startprob_, hmm.transmat_ = np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.1, 0.9]])
    hmm.emissionprob_ = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])
    return hmm


def test_casino_at_the_true_parameters(rolls: np.ndarray) -> None:
    record, hmm = case("hmm_dishonest_casino"), true_casino()
    expected = record.expected
    assert hmm.score(rolls) == near(expected["loglik_at_true_parameters_initial_half"], 1e-8)
    log_joint, path = hmm.decode(rolls)
    assert log_joint == near(expected["viterbi_log_probability_initial_half"], 1e-8)
    assert "".join("FL"[k] for k in path) == expected["viterbi_path"]
    fair = hmm.predict_proba(rolls)[:, 0]
    within(1e-8)(fair[:20], expected["posterior_fair_first_20"])
    within(1e-8)(fair[::25], expected["posterior_fair_every_25th"])
    hmm.startprob_ = hmm.get_stationary_distribution()
    assert hmm.score(rolls) == near(expected["loglik_at_true_parameters_initial_(2/3,1/3)"], 1e-8)


def test_casino_by_baum_welch(rolls: np.ndarray) -> None:
    expected = case("hmm_dishonest_casino").expected
    trace = expected["baum_welch_trace_from_true_first_51"]
    hmm = true_casino(n_iter=len(trace) - 1, tol=0).fit(rolls)
    within(1e-7)(hmm.monitor_.history, trace[: len(hmm.monitor_.history)])
    limit = expected["baum_welch_limit_from_true"]
    within(1e-4)(hmm.transmat_, limit["A"])
    within(1e-4)(hmm.emissionprob_, limit["E"])


# -- speed and accuracy ------------------------------------------------------------------------


@pytest.fixture
def speed() -> Case:
    return case("hmm_speed_accuracy")


@pytest.mark.parametrize(
    ("key", "k"), [("rt_2states_3series", 2), ("rt_3states_3series", 3), ("rt_2states_one_series", 2)]
)
def test_response_times(key: str, k: int, speed: Case) -> None:
    series, times = speed.columns("series")[:, 0], speed.columns("rt")
    groups = None if key.endswith("one_series") else series
    hmm = GaussianHMM(
        k, covars_prior=0, n_init=12, init="random_from_data", random_state=2, acceleration="squarem", **LONG
    )
    hmm.fit(times, groups=groups)
    expected = speed.expected[key]
    assert hmm.score(times, groups=groups) == near(expected["loglik"], speed.tolerance["loglik"])
    ours, theirs = np.argsort(hmm.means_[:, 0]), np.argsort(expected["mean"])
    close = within(speed.tolerance["parameters"])
    close(hmm.means_[ours, 0], np.array(expected["mean"])[theirs])
    close(np.sqrt(hmm.covars_[ours, 0, 0]), np.array(expected["sd"])[theirs])
    close(hmm.transmat_[np.ix_(ours, ours)], np.array(expected["A"])[np.ix_(theirs, theirs)])


def test_response_times_and_answers_together(speed: Case) -> None:
    columns = Product(((DiagonalGaussian(), (0,)), (Bernoulli(), (1,))))
    series, both = speed.columns("series")[:, 0], speed.columns("rt", "corr")
    hmm = HiddenMarkovModel(columns, 2, acceleration="squarem", random_state=0, **LONG)
    hmm.fit(both, groups=series)
    expected = speed.expected["rt_corr_2states_3series"]
    assert hmm.score(both, groups=series) == near(expected["loglik"], speed.tolerance["loglik"])
    assert hmm.result_.n_parameters == speed.expected["depmixS4"]["rt_corr_2states_3series"]["df"]
