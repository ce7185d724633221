"""From the same start, the same number of iterations leads where hmmlearn's lead: log-likelihoods and parameters.

Where hmmlearn's M-step is another (see docs/differences.md), its limit is compared instead, or our own formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hmmlearn import hmm as peer

from latentem import estimators
from latentem.result import Iteration

STEPS = 8
CLOSE = {"rtol": 1e-9, "atol": 1e-10}
COVARIANCE_TYPES = ("diag", "full", "spherical", "tied")
CHAIN = {"startprob_": np.array([0.6, 0.4]), "transmat_": np.array([[0.7, 0.3], [0.2, 0.8]])}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def no_global_random_state() -> Iterator[None]:
    """hmmlearn draws from NumPy's global generator."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture
def series(rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Three sequences of two states, (240, 2)."""
    states = np.repeat([0, 1, 0, 1], 60)
    return rng.standard_normal((240, 2)) * (1 + 0.5 * states[:, None]) + 2.0 * states[:, None], [100, 139, 1]


def covariances(kind: str, k: int = 2, d: int = 2) -> np.ndarray:
    return {
        "diag": np.full((k, d), 1.5),
        "spherical": np.full(k, 1.5),
        "full": np.tile(np.eye(d) + 0.2, (k, 1, 1)),
        "tied": np.eye(d) + 0.2,
    }[kind]


def both(
    name: str, values: dict[str, Any], letters: str, X: Any, lengths: Any, **options: Any
) -> tuple[Any, Any, list]:
    """hmmlearn's model and ours after the same iterations from the same values, and our log-likelihoods."""
    theirs = getattr(peer, name)(2, n_iter=STEPS, tol=-np.inf, init_params="", params=letters, **options)
    ours = getattr(estimators, name)(2, n_iter=STEPS, tol=0, init_params="", params=letters, **options)
    path: list[float] = []

    def note(iteration: Iteration) -> None:
        path.append(iteration.log_likelihood)

    for model in (theirs, ours):
        for attribute, value in {**CHAIN, **values}.items():
            setattr(model, attribute, np.array(value))
    theirs.fit(X, lengths)
    ours.fit(X, lengths, callbacks=[note])
    return theirs, ours, path


def agree(theirs: Any, ours: Any, path: list[float], names: tuple[str, ...], X: Any, lengths: Any) -> None:
    np.testing.assert_allclose(path[:STEPS], list(theirs.monitor_.history), **CLOSE)
    for name in ("startprob_", "transmat_", *names):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), err_msg=name, **CLOSE)
    np.testing.assert_allclose(ours.score(X, lengths), theirs.score(X, lengths), **CLOSE)
    np.testing.assert_allclose(ours.predict_proba(X, lengths), theirs.predict_proba(X, lengths), rtol=1e-7, atol=1e-10)
    log_joint, path_found = ours.decode(X, lengths)
    np.testing.assert_allclose(log_joint, theirs.decode(X, lengths)[0], **CLOSE)
    np.testing.assert_array_equal(path_found, theirs.predict(X, lengths))
    np.testing.assert_allclose(ours.decode(X, lengths, "map")[0], theirs.decode(X, lengths, "map")[0], **CLOSE)


PRIORS: dict[str, dict[str, Any]] = {
    "default priors": {},
    "flat": {"covars_prior": 0.0},
    "strong": {
        "startprob_prior": 2.0,
        "transmat_prior": np.array([[3.0, 1.0], [1.0, 2.0]]),
        "means_prior": np.array([[0.5, -1.0], [2.0, 4.0]]),
        "means_weight": 3.0,
        "covars_prior": 2.0,
        "covars_weight": 5.0,
    },
}


@pytest.mark.parametrize("priors", PRIORS.values(), ids=list(PRIORS))
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_gaussian(kind: str, priors: dict[str, Any], series: Any) -> None:
    X, lengths = series
    values = {"means_": [[0.0, 1.0], [1.5, 2.0]], "covars_": covariances(kind)}
    theirs, ours, path = both("GaussianHMM", values, "stmc", X, lengths, covariance_type=kind, **priors)
    if kind == "spherical":  # their covars_ has a matrix for each state and column
        theirs._covars_ = theirs._covars_[:, 0]
        agree(theirs, ours, path, ("means_", "_covars_"), X, lengths)
    else:
        agree(theirs, ours, path, ("means_", "covars_"), X, lengths)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_covariances_that_are_left_out_stay(kind: str, series: Any) -> None:
    X, lengths = series
    values = {"means_": [[0.0, 1.0], [1.5, 2.0]], "covars_": covariances(kind)}
    theirs, ours, path = both("GaussianHMM", values, "stm", X, lengths, covariance_type=kind, means_weight=1.0)
    agree(theirs, ours, path, ("means_", "_covars_"), X, lengths)
    np.testing.assert_array_equal(ours._covars_, covariances(kind))


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_means_that_are_left_out_stay_and_the_objective_rises(kind: str, series: Any) -> None:
    """hmmlearn leaves out sums that its covariances then lack, and its log-likelihood falls."""
    X, lengths = series
    ours = estimators.GaussianHMM(2, kind, n_iter=STEPS, tol=0, init_params="", params="stc", means_weight=1.0)
    means = np.array([[0.0, 1.0], [1.5, 2.0]])
    for name, value in {**CHAIN, "means_": means, "covars_": covariances(kind)}.items():
        setattr(ours, name, value)
    ours.fit(X, lengths)
    np.testing.assert_array_equal(ours.means_, means)
    assert np.all(np.diff(ours.monitor_.history) >= -1e-9)


@pytest.mark.parametrize("letters", ["t", "s", ""])
def test_chains_that_are_left_out_stay(letters: str, series: Any) -> None:
    X, lengths = series
    values = {"means_": [[0.0, 1.0], [1.5, 2.0]], "covars_": covariances("diag")}
    theirs, ours, path = both(
        "GaussianHMM", values, "mc" + letters, X, lengths, transmat_prior=2.0, startprob_prior=3.0
    )
    agree(theirs, ours, path, ("means_", "covars_"), X, lengths)


@pytest.mark.parametrize("prior", [1.0, 2.5])
def test_categorical(prior: float, rng: np.random.Generator) -> None:
    X, lengths = rng.integers(0, 4, (200, 1)), [80, 120]
    values = {"emissionprob_": [[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.2, 0.6]]}
    options = {"emissionprob_prior": prior, "transmat_prior": prior}
    agree(*both("CategoricalHMM", values, "ste", X, lengths, **options), ("emissionprob_",), X, lengths)


def test_poisson(rng: np.random.Generator) -> None:
    X, lengths = rng.poisson(np.repeat([[1.0, 4.0], [5.0, 2.0]], 100, axis=0)), [150, 50]
    values = {"lambdas_": [[2.0, 3.0], [3.0, 2.0]]}
    agree(*both("PoissonHMM", values, "stl", X, lengths), ("lambdas_",), X, lengths)


def test_multinomial(rng: np.random.Generator) -> None:
    X, lengths = rng.multinomial(6, [0.2, 0.3, 0.5], 150), [100, 50]
    values = {"emissionprob_": [[0.3, 0.4, 0.3], [0.2, 0.2, 0.6]]}
    agree(*both("MultinomialHMM", values, "ste", X, lengths, n_trials=6), ("emissionprob_",), X, lengths)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_mixtures_have_the_same_densities(kind: str, series: Any) -> None:
    """Where theirs starts (it steps another way, see the page of differences)."""
    X, lengths = series
    start = mixture_start(kind)
    ours, theirs = estimators.GMMHMM(2, 2, covariance_type=kind), peer.GMMHMM(2, 2, covariance_type=kind)
    for model in (ours, theirs):
        for name, value in start.items():
            setattr(model, name, value.copy())
        model.n_features = 2
    np.testing.assert_allclose(ours.score(X, lengths), theirs.score(X, lengths), **CLOSE)
    np.testing.assert_allclose(ours.predict_proba(X, lengths), theirs.predict_proba(X, lengths), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["diag", "full", "tied"])
def test_our_limit_of_mixtures_is_a_fixed_point_of_theirs(kind: str, series: Any) -> None:
    X, lengths = series
    options: dict[str, Any] = {"covariance_type": kind, "init_params": "", "weights_prior": 2.0, "means_weight": 0.5}
    if kind in ("full", "tied"):
        options |= {"covars_prior": np.eye(2), "covars_weight": 2.0}
    else:
        options |= {"covars_prior": 1.0, "covars_weight": 0.5}
    ours = estimators.GMMHMM(2, 2, n_iter=5000, tol=1e-9, acceleration="squarem", **options)
    for name, value in mixture_start(kind).items():
        setattr(ours, name, value.copy())
    ours.fit(X, lengths)
    assert ours.converged_
    theirs = peer.GMMHMM(2, 2, n_iter=1, random_state=0, **options)
    names = ("startprob_", "transmat_", "weights_", "means_", "covars_")
    for name in names:
        setattr(theirs, name, getattr(ours, name).copy())
    theirs.fit(X, lengths)
    for name in names:
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-4, atol=1e-4, err_msg=name)


def mixture_start(kind: str) -> dict[str, np.ndarray]:
    of_state = covariances(kind)
    return {
        **CHAIN,
        "weights_": np.array([[0.5, 0.5], [0.3, 0.7]]),
        "means_": np.array([[[0.0, 1.0], [0.5, -1.0]], [[2.0, 2.5], [1.0, 1.5]]]),
        "covars_": np.stack([of_state, of_state]),
    }


def test_gamma_priors_of_rates_count_the_visits_of_their_own_state(rng: np.random.Generator) -> None:
    X = rng.poisson(np.repeat([1.0, 9.0], 60))[:, None]
    ours = estimators.PoissonHMM(2, lambdas_prior=3.0, lambdas_weight=2.0, n_iter=2000, tol=0).fit(X)
    visits = ours.predict_proba(X)
    np.testing.assert_allclose(ours.lambdas_, (3.0 + visits.T @ X) / (2.0 + visits.sum(axis=0)[:, None]), rtol=1e-6)


@pytest.mark.parametrize("name", ["GaussianHMM", "PoissonHMM", "GMMHMM"])
def test_both_implementations_are_the_same_to_the_bit(name: str, rng: np.random.Generator) -> None:
    X = rng.poisson(3.0, (80, 2))
    fits = [getattr(estimators, name)(2, implementation=how, random_state=3).fit(X) for how in ("log", "scaling")]
    assert fits[0].score(X) == fits[1].score(X)
    np.testing.assert_array_equal(fits[0].transmat_, fits[1].transmat_)


@pytest.mark.parametrize("name", ["CategoricalHMM", "GMMHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM"])
def test_the_constructor_takes_what_theirs_takes_in_that_order(name: str) -> None:
    import inspect

    theirs = inspect.signature(getattr(peer, name)).parameters
    ours = inspect.signature(getattr(estimators, name)).parameters
    common = [(option.name, option.default, option.kind) for option in theirs.values()]
    own = [(option.name, option.default, option.kind) for option in ours.values()]
    assert own[: len(common)] == common
    assert all(option.kind is inspect.Parameter.KEYWORD_ONLY for option in list(ours.values())[len(common) :])
