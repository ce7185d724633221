"""Laws of hidden Markov models: priors, ways to hand over sequences, missing steps, known states, residuals."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import binom, kstest, norm, poisson

from latentem import estimators
from latentem.data import Batch
from latentem.estimators import (
    GMMHMM,
    CategoricalHMM,
    GaussianHMM,
    HiddenMarkovModel,
    MultinomialHMM,
    PoissonHMM,
    StudentTHMM,
)
from latentem.families import CategoricalColumns, Gamma, Poisson
from latentem.families.columnwise import ColumnStatistics
from latentem.families.conjugate import Conjugate, NormalInverseWishart, PseudoCounts
from latentem.families.gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from latentem.io.tables import Table
from latentem.kernels.derivatives import gradient
from latentem.latents import MarkovChain, left_to_right
from latentem.latents.markov_chain import MarkovChainStatistics
from latentem.model import LatentVariableModel, ModelParameters, Posterior, Prior

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


# -- priors ------------------------------------------------------------------------------------


def wishart(rng: np.random.Generator, matrices: bool) -> NormalInverseWishart:
    scatter = np.stack([np.eye(2) * 3 + 0.5, np.eye(2) + 0.1]) if matrices else rng.uniform(1, 3, (2, 2))
    return NormalInverseWishart(rng.normal(size=(2, 2)), np.array([2.0, 0.5]), scatter, np.array([3.0, 1.0]))


def with_prior(family: Any, rng: np.random.Generator) -> Any:
    if isinstance(family, Poisson):
        return Conjugate(
            family, PseudoCounts(ColumnStatistics(np.full((2, 1, 2), 3.0), np.full((2, 2), 2.0), np.zeros(2)))
        )
    return Conjugate(family, wishart(rng, isinstance(family, FullGaussian | TiedGaussian)))


FAMILIES = [FullGaussian(), TiedGaussian(), DiagonalGaussian(), SphericalGaussian(), Poisson()]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_the_m_step_maximizes_q_plus_the_log_prior(family: Any, rng: np.random.Generator) -> None:
    batch = Batch(rng.poisson(4.0, (30, 2)).astype(float))
    r = rng.dirichlet([1.0, 1.0], 30).T
    penalized = with_prior(family, rng)
    start = family.start(batch, 2)
    statistics = penalized.statistics(batch, Posterior(r), start)
    best = penalized.maximize(statistics, start)

    def objective(v: np.ndarray) -> float:
        point = best.unflatten(v)
        return penalized.expected_log_density(statistics, point) + penalized.log_prior(point)

    there = best.flatten()
    np.testing.assert_allclose(gradient(objective, there), 0.0, atol=2e-4)
    for _ in range(20):
        assert objective(there + 0.3 * rng.standard_normal(len(there))) < objective(there)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_held_parameters_stay_and_the_others_maximize(family: Any, rng: np.random.Generator) -> None:
    if isinstance(family, Poisson):
        pytest.skip("it has one array only")
    batch = Batch(rng.normal(size=(30, 2)))
    penalized, start = with_prior(family, rng), family.start(batch, 2)
    statistics = penalized.statistics(batch, Posterior(rng.dirichlet([1.0, 1.0], 30).T), start)
    spread = next(name for name in start.arrays() if name != "means")
    for held in ("means", spread):
        best = penalized.maximize_constrained(statistics, start, {held: None}, ())
        np.testing.assert_array_equal(getattr(best, held), getattr(start, held))
        value = penalized.expected_log_density(statistics, best) + penalized.log_prior(best)
        for _ in range(20):
            other = best.unflatten(best.flatten() + 0.1 * rng.standard_normal(best.n_free))
            other = type(best)(**{**other.arrays(), held: getattr(best, held)})
            assert penalized.expected_log_density(statistics, other) + penalized.log_prior(other) <= value + 1e-10


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_the_score_is_the_gradient_of_log_likelihood_and_priors(family: Any, rng: np.random.Generator) -> None:
    batch = Batch(rng.poisson(4.0, (12, 2)).astype(float))
    counts = MarkovChainStatistics(np.array([1.0, 2.0]), np.array([[1.0, 0.5], [2.0, 3.0]]))
    model = LatentVariableModel(MarkovChain(2), with_prior(family, rng), Prior(concentration=counts))
    start = family.start(batch, 2)
    emission = start.unflatten(start.flatten() + 0.2 * rng.standard_normal(start.n_free))
    params = ModelParameters(model.latent.start(), emission)

    def objective(v: np.ndarray) -> float:
        point = params.unflatten(v)
        return model.e_step(point, Batch(batch.values)).log_likelihood + model.log_prior(point)

    found = model.objective_score(model.e_step(params, batch).statistics, params)
    np.testing.assert_allclose(found, gradient(objective, params.flatten()), rtol=1e-5, atol=1e-5)


# -- sequences ---------------------------------------------------------------------------------


@pytest.fixture
def sequences(rng: np.random.Generator) -> list[np.ndarray]:
    """Five sequences of two states, of unequal lengths, one of a single step."""
    return [rng.standard_normal((n, 2)) + 3.0 * (np.arange(n)[:, None] // 5 % 2) for n in (12, 1, 30, 17, 9)]


def model(**options: Any) -> GaussianHMM:
    return GaussianHMM(2, n_iter=30, random_state=0, **options)


def same(one: Any, other: Any) -> None:
    for name in ("startprob_", "transmat_", "means_", "covars_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-12)


def test_sequences_may_come_in_any_form(sequences: list[np.ndarray], rng: np.random.Generator) -> None:
    X, lengths = np.concatenate(sequences), [len(s) for s in sequences]
    keys = np.repeat(["b", "a", "e", "d", "c"], lengths)
    reference = model().fit(X, lengths)
    frame = pd.DataFrame(X, columns=["u", "v"])
    same(model().fit(sequences), reference)
    same(model().fit([pd.DataFrame(s, columns=["u", "v"]) for s in sequences]), reference)
    same(model().fit(X, groups=keys), reference)
    same(model().fit(frame.assign(subject=keys), groups="subject"), reference)
    codes = np.repeat(np.arange(5.0), lengths)
    same(model().fit(Table(("u", "v", "subject"), np.column_stack([X, codes])), groups="subject"), reference)
    np.testing.assert_array_equal(reference.predict(sequences), reference.predict(X, lengths))


def test_rows_of_a_group_need_not_be_adjacent_and_answers_come_in_the_order_of_the_rows(
    sequences: list[np.ndarray], rng: np.random.Generator
) -> None:
    X, lengths = np.concatenate(sequences), [len(s) for s in sequences]
    keys, time = np.repeat(np.arange(5), lengths), np.concatenate([np.arange(n) for n in lengths])
    mixed = np.lexsort([keys, time])
    fitted = model().fit(X, lengths)
    same(model().fit(X[mixed], groups=keys[mixed]), fitted)
    for method in ("predict", "predict_proba", "filter_proba", "pseudo_residuals"):
        found = getattr(fitted, method)(X[mixed], groups=keys[mixed])
        np.testing.assert_allclose(found, getattr(fitted, method)(X, lengths)[mixed], atol=1e-12)
    assert fitted.score(X[mixed], groups=keys[mixed]) == pytest.approx(fitted.score(X, lengths))


def test_weight_two_is_the_sequence_twice_and_weight_zero_is_none(sequences: list[np.ndarray]) -> None:
    weighted = model().fit(sequences, sample_weight=[2, 1, 1, 0, 1])
    repeated = model().fit([sequences[i] for i in (0, 0, 1, 2, 4)])
    same(weighted, repeated)
    assert weighted.bic(sequences, sample_weight=[2, 1, 1, 0, 1]) == pytest.approx(
        repeated.bic([sequences[i] for i in (0, 0, 1, 2, 4)])
    )


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_the_bits_do_not_depend_on_the_executor(executor: str, sequences: list[np.ndarray]) -> None:
    fitted = model(executor=executor).fit(sequences * 30)
    reference = model(executor="serial").fit(sequences * 30)
    np.testing.assert_array_equal(fitted.means_, reference.means_)
    np.testing.assert_array_equal(fitted.transmat_, reference.transmat_)


def test_known_states_are_kept_and_steer_the_fit(sequences: list[np.ndarray]) -> None:
    labels = [np.full(len(s), -1) for s in sequences]
    for given, s in zip(labels, sequences, strict=True):
        given[:3] = 1 - (np.arange(len(s))[:3] // 5 % 2)  # the low state is called 1
    fitted = model().fit(sequences, labels=labels)
    assert fitted.means_[1, 0] < fitted.means_[0, 0]
    all_known = [1 - (np.arange(len(s)) // 5 % 2) for s in sequences]
    known = model(params="stmc", covars_prior=0.0).fit(sequences, labels=all_known)
    X, z = np.concatenate(sequences), np.concatenate(all_known)
    np.testing.assert_allclose(known.means_, [X[z == k].mean(axis=0) for k in (0, 1)], rtol=1e-8)


def test_missing_steps_are_integrated_out(rng: np.random.Generator) -> None:
    fitted = model().fit(rng.standard_normal((60, 2)) + 3 * (np.arange(60)[:, None] // 10 % 2))
    X = rng.standard_normal((4, 2))
    X[1], X[2, 0] = np.nan, np.nan
    own = [norm.logpdf(X, m, np.sqrt(np.diagonal(c))) for m, c in zip(fitted.means_, fitted.covars_, strict=True)]
    densities = np.nan_to_num(np.array(own)).sum(axis=2)
    assert fitted.score(X) == pytest.approx(
        logsumexp([joint(fitted, densities, path) for path in product((0, 1), repeat=4)])
    )


def joint(fitted: Any, densities: np.ndarray, path: tuple[int, ...]) -> float:
    """log p(x, z) of one path by its definition."""
    steps = sum(np.log(fitted.transmat_[a, b]) for a, b in pairwise(path))
    return float(np.log(fitted.startprob_[path[0]]) + steps + sum(densities[k, t] for t, k in enumerate(path)))


@pytest.mark.parametrize(
    "estimator",
    [GaussianHMM(2, "full"), GMMHMM(2, 2), GMMHMM(2, 2, covariance_type="tied"), StudentTHMM(2, n_iter=20)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_fits_with_blocks_of_missing_rows_are_finite_and_monotone(estimator: Any, rng: np.random.Generator) -> None:
    X = rng.standard_normal((80, 2)) + 4 * (np.arange(80)[:, None] // 20 % 2)
    X[10:20], X[50:55, 1] = np.nan, np.nan
    fitted = estimator.fit(X, [40, 40])
    assert np.all(np.diff(fitted.monitor_.history) >= -1e-8)
    assert np.all(np.isfinite(fitted.predict_proba(X, [40, 40])))
    assert np.isfinite(fitted.means_).all()


def test_given_responsibilities_and_labels_follow_the_rows_of_scattered_groups(rng: np.random.Generator) -> None:
    X = np.concatenate([rng.normal(0, 1, (30, 1)), rng.normal(6, 1, (30, 1))])
    mixed = rng.permutation(60)
    given = np.eye(2)[(mixed < 30).astype(int)]
    fitted = GaussianHMM(2, init=given, n_iter=5).fit(X[mixed], groups=mixed % 3)
    assert fitted.means_[0, 0] > fitted.means_[1, 0]
    labels = np.where(mixed % 2, mixed < 30, -1)
    fitted = GaussianHMM(2, n_iter=5, random_state=0).fit(X[mixed], groups=mixed % 3, labels=labels)
    assert fitted.means_[0, 0] > fitted.means_[1, 0]
    several = HiddenMarkovModel([DiagonalGaussian(), DiagonalGaussian()], 2, n_iter=5, random_state=0)
    assert np.isfinite(several.fit(X[mixed], groups=mixed % 3, labels=labels).score(X[mixed], groups=mixed % 3))


# -- chains ------------------------------------------------------------------------------------


def test_held_tied_and_stationary_transitions(sequences: list[np.ndarray]) -> None:
    forward = GaussianHMM(3, transmat_fixed=left_to_right(3), startprob_fixed=[1, 0, 0], random_state=0).fit(sequences)
    assert np.all(np.tril(forward.transmat_, -1) == 0)
    np.testing.assert_array_equal(forward.startprob_, [1, 0, 0])
    assert forward.result_.n_parameters == 3 + 12
    tied = GaussianHMM(2, transmat_tied=[[0, 1], [1, 0]], random_state=0).fit(sequences)
    assert tied.transmat_[0, 1] == pytest.approx(tied.transmat_[1, 0])
    assert tied.result_.n_parameters == 1 + 1 + 8
    stationary = GaussianHMM(2, stationary=True, random_state=0).fit(sequences)
    np.testing.assert_allclose(stationary.startprob_ @ stationary.transmat_, stationary.startprob_)
    np.testing.assert_allclose(stationary.get_stationary_distribution(), stationary.startprob_)
    assert stationary.result_.n_parameters == 2 + 8
    assert stationary.result_.bic == pytest.approx(stationary.bic(sequences))


def test_several_starts_keep_the_best(rng: np.random.Generator) -> None:
    X = rng.integers(0, 3, (120, 1))
    several = CategoricalHMM(3, n_init=6, n_iter=50, random_state=1).fit(X)
    one = CategoricalHMM(3, n_iter=50, random_state=1).fit(X)
    assert several.monitor_.history[-1] >= one.monitor_.history[-1] - 1e-9
    assert several.monitor_.history[-1] == pytest.approx(several.result_.objective)


def test_a_fit_goes_on_from_its_attributes_and_from_a_checkpoint(sequences: list[np.ndarray], tmp_path: Any) -> None:
    whole = GaussianHMM(2, n_iter=6, tol=0, random_state=0).fit(sequences)
    parts = GaussianHMM(2, n_iter=3, tol=0, random_state=0).fit(sequences)
    parts.init_params = ""
    same(parts.fit(sequences), whole)
    kept = tmp_path / "fit.checkpoint"
    GaussianHMM(2, n_iter=3, tol=0, random_state=0).fit(sequences, checkpoint=kept)
    same(GaussianHMM(2, n_iter=6, tol=0, random_state=0).fit(sequences, checkpoint=kept), whole)


def test_callbacks_stop_a_fit_and_acceleration_reaches_the_same_limit(sequences: list[np.ndarray]) -> None:
    stopped = model(tol=0).fit(sequences, callbacks=[lambda iteration: iteration.index == 2])
    assert stopped.n_iter_ == 2 and not stopped.converged_
    plain = GaussianHMM(2, n_iter=2000, tol=1e-8, random_state=0).fit(sequences)
    fast = GaussianHMM(2, n_iter=2000, tol=1e-8, acceleration="squarem", random_state=0).fit(sequences)
    assert fast.result_.objective == pytest.approx(plain.result_.objective, abs=1e-6)


# -- predictions -------------------------------------------------------------------------------


@pytest.fixture
def casino() -> CategoricalHMM:
    hmm = CategoricalHMM(2)
    hmm.startprob_ = np.array([0.5, 0.5])
    hmm.transmat_ = np.array([[0.95, 0.05], [0.1, 0.9]])
    hmm.emissionprob_ = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])
    return hmm


def test_paths_by_enumeration(casino: CategoricalHMM) -> None:
    X = np.array([5, 0, 5, 5, 2])[:, None]
    densities = np.log(casino.emissionprob_[:, X[:, 0]])
    paths = list(product((0, 1), repeat=5))
    joints = np.array([joint(casino, densities, path) for path in paths])
    order = np.argsort(-joints)
    found, values = casino.k_best(X, 7)[0]
    np.testing.assert_allclose(values, joints[order[:7]])
    np.testing.assert_array_equal(found[0], paths[order[0]])
    assert casino.score(X) == pytest.approx(logsumexp(joints))
    draws = casino.sample_states(X, 4000, random_state=0)
    shares = np.array([np.mean((draws == path).all(axis=1)) for path in paths])
    np.testing.assert_allclose(shares, np.exp(joints - logsumexp(joints)), atol=0.03)
    smoothed = np.exp(joints - logsumexp(joints)) @ np.array(paths)
    np.testing.assert_allclose(casino.predict_proba(X)[:, 1], smoothed)
    np.testing.assert_allclose(casino.filter_proba(X)[-1], casino.predict_proba(X)[-1])


def test_forecasts_are_what_the_next_rows_would_add(casino: CategoricalHMM) -> None:
    X = np.array([5, 0, 5, 5, 2])[:, None]
    forecast = casino.forecast(X, 3)
    assert forecast.probabilities.shape == (1, 3, 2)
    symbols = np.arange(6.0)[:, None]
    added = [casino.score(np.vstack([X, [[c]]])) - casino.score(X) for c in range(6)]
    np.testing.assert_allclose(forecast.log_density(symbols)[0, 0], added)
    np.testing.assert_allclose(np.exp(forecast.log_density(symbols)).sum(axis=2), 1.0)
    gap = np.array([5, 0, 5, 5, 2, np.nan, np.nan, 4.0])[:, None]
    np.testing.assert_allclose(forecast.log_density([4.0])[0, 2, 0], casino.score(gap) - casino.score(X))


def test_forecasts_of_several_sequences_have_means_and_distribution_functions(sequences: list[np.ndarray]) -> None:
    fitted = model().fit(sequences)
    forecast = fitted.forecast(sequences, 2)
    assert forecast.mean.shape == (5, 2, 2) and forecast.cdf([[0.0, 0.0]]).shape == (5, 2, 1, 2)
    alone = fitted.forecast(sequences[2], 2)
    np.testing.assert_allclose(alone.mean[0], forecast.mean[2])
    np.testing.assert_allclose(forecast.mean[:, 0], forecast.probabilities[:, 0] @ fitted.means_)


@pytest.mark.parametrize("kind", ["ordinary", "forecast"])
@pytest.mark.parametrize("name", ["GaussianHMM", "StudentTHMM", "GMMHMM"])
def test_pseudo_residuals_are_standard_normal_under_the_model(name: str, kind: str, rng: np.random.Generator) -> None:
    X = rng.standard_normal((400, 1)) + 4 * (np.arange(400)[:, None] // 20 % 2)
    fitted = getattr(estimators, name)(2, random_state=0, n_iter=20).fit(X)
    drawn = fitted.sample(1500, random_state=4)[0]
    residuals = fitted.pseudo_residuals(drawn, kind=kind)
    assert kstest(residuals[:, 0], "norm").pvalue > 1e-3


def test_pseudo_residuals_by_their_definition(casino: CategoricalHMM) -> None:
    X = np.array([5, 0, 3, 5, 2])[:, None].astype(float)
    residuals = casino.pseudo_residuals(X)[:, 0]
    for t in range(5):
        chances = np.array([np.exp(casino.score(np.vstack([X[:t], [[c]], X[t + 1 :]]))) for c in range(6)])
        chances /= chances.sum()
        x = int(X[t, 0])
        assert residuals[t] == pytest.approx(norm.ppf(chances[:x].sum() + 0.5 * chances[x]))


def test_forecast_residuals_of_counts_by_their_definition(rng: np.random.Generator) -> None:
    hmm = PoissonHMM(2)
    hmm.startprob_, hmm.transmat_ = np.array([0.3, 0.7]), np.array([[0.8, 0.2], [0.4, 0.6]])
    hmm.lambdas_ = np.array([[1.0], [6.0]])
    X = np.array([0, 3, 12, 40])[:, None]
    found = hmm.pseudo_residuals(X, kind="forecast")[:, 0]
    for t in range(1, 4):
        weights = hmm.forecast(X[:t]).probabilities[0, 0]
        above = weights @ (poisson.sf(X[t, 0], [1.0, 6.0]) + 0.5 * poisson.pmf(X[t, 0], [1.0, 6.0]))
        assert found[t] == pytest.approx(norm.isf(above))


def test_residuals_of_rows_of_counts_are_binomial() -> None:
    hmm = MultinomialHMM(1)
    hmm.startprob_, hmm.transmat_, hmm.emissionprob_ = np.ones(1), np.ones((1, 1)), np.array([[0.2, 0.8]])
    X = np.array([[0, 7], [3, 4], [7, 0]])
    chances = binom.cdf(X[:, 0] - 1, 7, 0.2) + 0.5 * binom.pmf(X[:, 0], 7, 0.2)
    np.testing.assert_allclose(hmm.pseudo_residuals(X)[:, 0], norm.ppf(chances))
    np.testing.assert_allclose(hmm.pseudo_residuals(X)[:, 1], -norm.ppf(chances))


def test_an_outlier_far_from_all_states_has_a_large_finite_residual() -> None:
    hmm = GaussianHMM(2, "diag")
    hmm.startprob_, hmm.transmat_ = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]])
    hmm.means_, hmm.covars_ = np.array([[0.0], [100.0]]), np.array([[1.0], [1.0]])
    residuals = hmm.pseudo_residuals(np.array([[0.0], [np.nan], [1000.0], [100.0]]))
    assert np.isnan(residuals[1, 0]) and 30 < residuals[2, 0] < 40
    assert np.isfinite(residuals[[0, 2, 3]]).all()


def test_samples_have_the_moments_of_the_model(casino: CategoricalHMM) -> None:
    X, states = casino.sample(20_000, random_state=0)
    assert X.dtype.kind == "i" and X.shape == (20_000, 1)
    np.testing.assert_allclose(np.bincount(states) / len(states), casino.get_stationary_distribution(), atol=0.03)
    assert casino.sample(5, random_state=0, currstate=1)[1][0] == 1


@pytest.mark.parametrize(
    ("family", "positive"),
    [(CategoricalColumns((3, 2)), False), (Gamma(), True), ([Poisson(), Poisson()], False), ("poisson", False)],
    ids=["two columns of categories", "gamma", "a list", "a name"],
)
def test_the_general_model_takes_any_family(family: Any, positive: bool, rng: np.random.Generator) -> None:
    X = rng.integers(0, 2, (80, 2)) + (0.5 if positive else 0)
    fitted = HiddenMarkovModel(family, 2, random_state=0, n_iter=20).fit(X, [50, 30])
    assert np.all(np.diff(fitted.monitor_.history) >= -1e-8)
    assert fitted.sample(5)[0].shape == (5, 2)
    held = HiddenMarkovModel(family, 2, params="st", init_params="st", n_iter=3)
    held.parameters_, held.n_features_in_ = fitted.parameters_, 2
    for (name, value), other in zip(
        fitted.parameters_.arrays().items(), held.fit(X, [50, 30]).parameters_.arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(value, other, err_msg=name)


def test_models_are_saved_and_loaded(sequences: list[np.ndarray], tmp_path: Any) -> None:
    from latentem import load, save

    fitted = model().fit(sequences)
    save(fitted, tmp_path / "model.zip")
    again = load(tmp_path / "model.zip")
    np.testing.assert_array_equal(again.predict_proba(sequences), fitted.predict_proba(sequences))
    assert again.monitor_.history == fitted.monitor_.history


def test_parameters_are_counted_alike_whether_attributes_are_of_the_fit_or_set(sequences: list[np.ndarray]) -> None:
    """What is held, tied, stationary or left out of `params` stays so when an attribute is replaced."""
    options: list[dict[str, Any]] = [
        {"transmat_fixed": left_to_right(2), "startprob_fixed": [1, 0]},
        {"transmat_tied": [[0, 1], [1, 0]]},
        {"stationary": True},
        {"params": "tc"},
        {"params": "sm", "init_params": "smc"},
    ]
    for given in options:
        fitted = GaussianHMM(2, random_state=0, n_iter=3)
        fitted.transmat_, fitted.startprob_ = np.array([[0.8, 0.2], [0.2, 0.8]]), np.array([0.5, 0.5])
        fitted.set_params(**given).fit(sequences)
        before = fitted.bic(sequences)
        fitted.means_ = np.array(fitted.means_)
        assert fitted._n_parameters() == fitted.result_.n_parameters, given
        assert fitted.bic(sequences) == pytest.approx(before, rel=1e-12)


def test_states_that_differ_where_they_were_seen_are_not_told_to_be_alike() -> None:
    values = np.concatenate([np.full((600, 2), np.nan), np.random.default_rng(0).normal(size=(60, 2)) * [1, 3]])
    values[600:640, 1] = np.nan
    apart = GaussianHMM(2, init_params="", params="", n_iter=1)
    apart.startprob_, apart.transmat_ = np.full(2, 0.5), np.full((2, 2), 0.5)
    apart.means_, apart.covars_ = np.array([[0.0, -3.0], [0.0, 3.0]]), np.ones((2, 2))
    apart.fit(values)
    assert "equal-states" not in {finding.code for finding in apart.result_.findings}
    apart.means_ = np.zeros((2, 2))
    apart.fit(values)
    assert "equal-states" in {finding.code for finding in apart.result_.findings}
