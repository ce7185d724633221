"""`partial_fit` as scikit-learn has it: from scratch, on and on, after `fit`, and missing where it cannot be."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

import latentem as em
from latentem.errors import DataError, ParameterError
from latentem.estimators import FactorAnalysis, LinearGaussianStateSpace, ProbabilisticPCA
from latentem.result import Status

RNG = np.random.default_rng(0)
N = 1200
STATES = RNG.integers(2, size=N)
NORMAL = RNG.normal(np.where(STATES, 4.0, 0.0)[:, None], 1.0, size=(N, 2))
COUNTS = RNG.poisson(np.where(STATES, 9.0, 2.0)[:, None], size=(N, 2))
POSITIVE = RNG.gamma(np.where(STATES, 12.0, 2.0)[:, None], size=(N, 2))
SHARES = RNG.beta(np.where(STATES, 8.0, 2.0)[:, None], 4.0, size=(N, 2))
DIRECTIONS = NORMAL / np.linalg.norm(NORMAL, axis=1, keepdims=True)
FACTORS = RNG.normal(size=(N, 1)) * np.array([[2.0, 1.0, 1.5, 1.0]]) + RNG.normal(size=(N, 4))
BITS = (RNG.random((N, 6)) < np.where(STATES, 0.9, 0.2)[:, None]).astype(int)
LEVELS = np.digitize(NORMAL, [0.0, 2.0]) + 0

TWO = {"n_components": 2, "random_state": 0}
ROWS = [
    (em.GaussianMixture(**TWO), NORMAL),
    (em.GaussianMixture(covariance_type="diag", reg_covar="auto", order="mean", **TWO), NORMAL),
    (em.GaussianMixture(covariance_type="tied", fixed=("weights",), weights_init=[0.5, 0.5], **TWO), NORMAL),
    (em.StudentTMixture(**TWO), NORMAL),
    (em.PoissonMixture(**TWO), COUNTS),
    (em.GeometricMixture(**TWO), COUNTS),
    (em.MultinomialMixture(**TWO), COUNTS + 1),
    (em.ExponentialMixture(**TWO), POSITIVE),
    (em.GammaMixture(**TWO), POSITIVE),
    (em.LogNormalMixture(**TWO), POSITIVE),
    (em.InverseGaussianMixture(**TWO), POSITIVE),
    (em.BetaMixture(**TWO), SHARES),
    (em.VonMisesFisherMixture(**TWO), DIRECTIONS),
    (em.BernoulliMixture(**TWO), BITS),
    (em.LatentClassAnalysis(**TWO), BITS),
    (em.MixtureModel("diagonal-student-t", **TWO), NORMAL),
    (em.MixtureModel(["gamma", "exponential"], random_state=0), POSITIVE),
    (FactorAnalysis(n_components=1), FACTORS),
    (FactorAnalysis(n_components=2, rotation="promax"), FACTORS),
    (ProbabilisticPCA(n_components=1), FACTORS),
]
CHAINS = [
    (em.GaussianHMM(n_iter=100, **TWO), NORMAL),
    (em.StudentTHMM(n_iter=100, **TWO), NORMAL),
    (em.PoissonHMM(n_iter=100, **TWO), COUNTS),
    (em.CategoricalHMM(n_iter=100, n_features=3, **TWO), LEVELS[:, :1]),
    (em.MultinomialHMM(n_iter=100, **TWO), COUNTS + 1),
    (em.GMMHMM(n_iter=100, n_mix=2, **TWO), NORMAL),
    (em.HiddenMarkovModel("gamma", n_iter=100, **TWO), POSITIVE),
]
WITHOUT = [
    em.NegativeBinomialMixture(),
    em.WeibullMixture(),
    em.MixtureModel("weibull"),
    em.MixtureModel(["gamma", "negative-binomial"]),
    em.HiddenMarkovModel("weibull"),
    em.HiddenMarkovModel(["poisson", "negative-binomial"], n_components=2),
]
quiet = pytest.mark.filterwarnings("ignore::latentem.FindingWarning", "ignore::sklearn.exceptions.ConvergenceWarning")


def name(case):
    return type(case).__name__ if not isinstance(case, np.ndarray) else ""


def learnt(estimator, x, batch=150, options=None):
    """The estimator after all batches."""
    fresh = clone(estimator)
    for start in range(0, len(x), batch):
        fresh.partial_fit(x[start : start + batch], **(options or {}))
    return fresh


@quiet
@pytest.mark.parametrize(("estimator", "x"), ROWS, ids=name)
def test_it_learns_rows_batch_by_batch_nearly_what_fit_learns_from_all(estimator, x):
    best, batches = clone(estimator).fit(x).score(x), learnt(estimator, x)
    assert np.isfinite(batches.score(x))
    assert batches.score(x) > best - 0.05
    assert batches.n_iter_ == 8
    assert not batches.converged_
    assert batches.result_.status is Status.ONLINE
    assert batches.result_.n_rows == N
    again = learnt(estimator, x)
    np.testing.assert_array_equal(again.result_.parameters.flatten(), batches.result_.parameters.flatten())


@quiet
@pytest.mark.parametrize(("estimator", "x"), CHAINS, ids=name)
def test_it_learns_sequences_batch_by_batch(estimator, x):
    lengths = [50] * (N // 50)
    best = clone(estimator).fit(x, lengths).score(x, lengths) / N
    batches = learnt(estimator, x, 200, {"lengths": [50] * 4})
    assert batches.score(x, lengths) / N > best - 0.05
    assert batches.n_iter_ == 6
    assert not batches.converged_
    assert batches.predict(x, lengths).shape == (N,)


@quiet
@pytest.mark.parametrize(("estimator", "x"), [*ROWS, *CHAINS], ids=name)
def test_one_batch_of_all_rows_raises_the_likelihood_of_a_fit_hardly(estimator, x):
    """After `fit`, which stands still, all its data once more are no news."""
    fitted = clone(estimator).set_params(tol=1e-6).fit(x)
    before = fitted.score(x)
    fitted.partial_fit(x)
    size = N if hasattr(fitted, "transmat_") else 1
    assert abs(fitted.score(x) - before) / size < 1e-3
    assert not fitted.converged_


@pytest.mark.parametrize("estimator", WITHOUT, ids=name)
def test_it_is_missing_where_statistics_do_not_add(estimator):
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        estimator.partial_fit(np.ones((5, 1)))


def test_it_is_fitted_after_the_first_batch():
    model = em.GaussianMixture(2, random_state=0)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    assert model.partial_fit(NORMAL[:50]) is model
    check_is_fitted(model)
    assert model.n_features_in_ == 2
    assert model.predict(NORMAL).shape == (N,)
    assert model.lower_bounds_ == [model.lower_bound_]


@pytest.mark.parametrize("make", [lambda: em.GaussianMixture(2), lambda: FactorAnalysis(1), lambda: em.GaussianHMM(2)])
def test_columns_stay_the_same_and_a_bad_batch_leaves_no_trace(make):
    model = make().partial_fit(NORMAL[:100])
    before = model.result_.parameters.flatten()
    with pytest.raises(ValueError, match="2"):
        model.partial_fit(NORMAL[:100, :1])
    bad = NORMAL[:5].copy()
    bad[3, 1] = np.inf
    with pytest.raises(DataError, match="row 3"):
        model.partial_fit(bad)
    np.testing.assert_array_equal(model.result_.parameters.flatten(), before)
    assert model.n_iter_ == 1


def test_the_first_batch_has_a_row_for_each_component_and_later_ones_any_number():
    model = em.GaussianMixture(3, random_state=0)
    with pytest.raises(DataError, match="n_samples >= n_components"):
        model.partial_fit(NORMAL[:2])
    assert not hasattr(model, "n_features_in_")
    model.partial_fit(NORMAL[:60])
    model.partial_fit(NORMAL[60:61])
    assert model.n_iter_ == 2


def test_a_row_of_weight_two_is_the_row_twice():
    weighted = em.GaussianMixture(2, random_state=0, means_init=[[0, 0], [4, 4]])
    twice = clone(weighted)
    weighted.partial_fit(NORMAL[:100], sample_weight=np.full(100, 2.0))
    twice.partial_fit(np.repeat(NORMAL[:100], 2, axis=0))
    np.testing.assert_allclose(weighted.means_, twice.means_, rtol=1e-10)


def test_fit_forgets_the_batches_and_steps_are_the_users_to_choose():
    model = learnt(em.GaussianMixture(2, random_state=0), NORMAL).fit(NORMAL)
    whole = em.GaussianMixture(2, random_state=0).fit(NORMAL)
    np.testing.assert_array_equal(model.means_, whole.means_)
    model.partial_fit(NORMAL[:100], step_size=em.StepSize(1.0))
    slow = np.abs(model.means_ - whole.means_).max()
    whole.partial_fit(NORMAL[:100], step_size=em.StepSize(0.51))
    assert slow < np.abs(whole.means_ - model.fit(NORMAL).means_).max()
    with pytest.raises(ParameterError, match="step_size"):
        model.partial_fit(NORMAL, step_size=0.1)


def test_a_stream_goes_on_after_pickling():
    model = learnt(em.GaussianHMM(2, random_state=0), NORMAL[:600], 200)
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        one.partial_fit(NORMAL[600:800])
    np.testing.assert_array_equal(model.means_, other.means_)


def test_categories_are_those_of_the_first_batch():
    model = em.LatentClassAnalysis(2, random_state=0).partial_fit(np.array([["a"], ["b"]] * 10))
    with pytest.raises(DataError, match="not seen"):
        model.partial_fit(np.array([["c"]]))


def test_parameters_set_by_hand_want_a_fit_first():
    model = em.GaussianHMM(2, random_state=0).partial_fit(NORMAL[:200])
    model.means_ = model.means_ + 1
    with pytest.raises(ParameterError, match="set by hand"):
        model.partial_fit(NORMAL[:200])


def local_levels(n_series, rows, seed=0):
    """Random walks with noise, one after the other, and their lengths."""
    rng = np.random.default_rng(seed)
    walks = np.cumsum(rng.normal(scale=0.7, size=(n_series, rows)), axis=1)
    return (walks + rng.normal(size=walks.shape)).ravel(), [rows] * n_series


def test_the_first_batch_of_series_is_an_em_step_from_the_start_of_fit():
    x, lengths = local_levels(8, 40)
    with pytest.warns(ConvergenceWarning):
        one = LinearGaussianStateSpace.local_level(max_iter=1).fit(x, lengths)
    learnt = LinearGaussianStateSpace.local_level().partial_fit(x, lengths)
    np.testing.assert_allclose(learnt.noise_, one.noise_, rtol=1e-10)
    np.testing.assert_allclose(learnt.state_noise_, one.state_noise_, rtol=1e-10)


def test_it_learns_series_batch_by_batch_nearly_what_fit_learns_from_all():
    x, lengths = local_levels(60, 50)
    whole = LinearGaussianStateSpace.local_level().fit(x, lengths)
    learnt = LinearGaussianStateSpace.local_level()
    for start in [*range(0, 60, 4)] * 4:
        learnt.partial_fit(x[50 * start : 50 * (start + 4)], [50] * 4)
    assert not learnt.converged_
    np.testing.assert_allclose(learnt.noise_, whole.noise_, rtol=0.1)
    np.testing.assert_allclose(learnt.state_noise_, whole.state_noise_, rtol=0.15)
    assert len(learnt.forecast(3)) == 4  # of the last batch's series


def test_a_batch_of_series_with_other_columns_leaves_no_trace():
    x, lengths = local_levels(6, 30)
    learnt = LinearGaussianStateSpace.local_level().fit(x, lengths)
    before = learnt.noise_.copy()
    with pytest.raises(DataError, match="columns"):
        learnt.partial_fit(np.stack([x, x], axis=1), lengths)
    np.testing.assert_array_equal(learnt.noise_, before)
    assert learnt.result_.status.converged
