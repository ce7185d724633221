"""Bad input to hidden Markov models: a clear error, or a finding and an honest status; never a number that is none."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from latentem import DataError, ParameterError
from latentem.estimators import (
    GMMHMM,
    CategoricalHMM,
    FindingWarning,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
    StudentTHMM,
)
from latentem.result import Status

quietly = pytest.mark.filterwarnings("ignore::UserWarning")
EVERY: list[Any] = [GaussianHMM, GMMHMM, StudentTHMM, PoissonHMM, CategoricalHMM, MultinomialHMM]


def found(fitted: Any) -> set[str]:
    """Codes of the findings of a fit."""
    return {finding.code for finding in fitted.result_.findings}


def finite(fitted: Any) -> None:
    """No NaN and no infinity among the parameters."""
    for name, value in vars(fitted).items():
        if name.endswith("_") and isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), name


def started(transmat: Any = ((0.9, 0.1), (0.2, 0.8)), means: Any = ((0.0,), (3.0,)), **options: Any) -> GaussianHMM:
    """Two normal states at given parameters."""
    hmm = GaussianHMM(2, "diag", init_params="", **options)
    hmm.startprob_, hmm.transmat_ = np.array([0.5, 0.5]), np.array(transmat, float)
    hmm.means_, hmm.covars_ = np.array(means, float), np.ones((2, 1))
    return hmm


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([4, 5], "add up to 9 and there are 10 rows"),
        ([10, 0], "sequence 1 has length 0"),
        ([12, -2], "sequence 1 has length -2"),
        ([2.5, 7.5], "whole numbers"),
        ([[5], [5]], "whole numbers, one for each"),
        ("ten", "whole numbers"),
    ],
)
def test_lengths_that_are_none(lengths: Any, said: str, rng: np.random.Generator) -> None:
    X = rng.normal(size=(10, 1))
    with pytest.raises(DataError, match=said):
        GaussianHMM(2).fit(X, lengths)
    with pytest.raises(DataError, match=said):
        started().score(X, lengths)


def test_other_ways_to_say_where_sequences_end_that_contradict(rng: np.random.Generator) -> None:
    X = rng.normal(size=(10, 1))
    with pytest.raises(ParameterError, match="groups and lengths"):
        GaussianHMM(2).fit(X, [10], groups=np.zeros(10))
    with pytest.raises(ParameterError, match="list of sequences says"):
        GaussianHMM(2).fit([X, X], [10, 10])
    with pytest.raises(DataError, match=r"sequence 0 has 1 and sequence 1 2"):
        GaussianHMM(2).fit([X, np.zeros((3, 2))])
    with pytest.raises(DataError, match="row 3 belongs to no group"):
        GaussianHMM(2).fit(X, groups=np.where(np.arange(10) == 3, np.nan, 0.0))
    with pytest.raises(DataError, match="array without names"):
        GaussianHMM(2).fit(X, groups="subject")
    with pytest.raises(DataError, match="one weight for each of the 2 sequences"):
        GaussianHMM(2).fit(X, [5, 5], sample_weight=np.ones(10))
    with pytest.raises(DataError, match="row 2 has 7"):
        GaussianHMM(2).fit(X, labels=[-1, 0, 7, *[-1] * 7])


@pytest.mark.parametrize(
    ("transmat", "said"),
    [
        (((1.0, 0.0), (0.0, 0.0)), "row 1 of transmat_ .* all zeros"),
        (((0.9, 0.2), (0.5, 0.5)), "row 0 of transmat_ .* adds up to 1.1"),
        (((1.5, -0.5), (0.5, 0.5)), "row 0 of transmat_"),
        (((np.nan, 0.5), (0.5, 0.5)), "row 0 of transmat_"),
        (((1.0,), (1.0,)), "must have shape"),
    ],
)
def test_transition_rows_that_are_no_probabilities(transmat: Any, said: str, rng: np.random.Generator) -> None:
    for use in (lambda hmm: hmm.fit(rng.normal(size=(10, 1))), lambda hmm: hmm.predict(np.zeros((3, 1)))):
        with pytest.raises(ParameterError, match=said):
            use(started(transmat))


def test_impossible_sequences_are_named(rng: np.random.Generator) -> None:
    hmm = CategoricalHMM(2, init_params="", params="ste")
    hmm.startprob_, hmm.transmat_ = np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    hmm.emissionprob_ = np.eye(2)
    possible, impossible = np.array([0, 1, 0, 1])[:, None], np.array([0, 0, 1])[:, None]
    assert hmm.score(possible) == pytest.approx(0.0)
    calls = [
        lambda X, n: hmm.fit(X, n),
        lambda X, n: hmm.score(X, n),
        lambda X, n: hmm.predict(X, n),
        lambda X, n: hmm.predict_proba(X, n),
        lambda X, n: hmm.filter_proba(X, n),
        lambda X, n: hmm.k_best(X, 2, n),
        lambda X, n: hmm.sample_states(X, 2, n),
        lambda X, n: hmm.forecast(X, 1, n),
        lambda X, n: hmm.pseudo_residuals(X, n),
    ]
    for call in calls:
        with pytest.raises(DataError, match=r"3 rows from row 4 on .* no states can have produced them"):
            call(np.concatenate([possible, impossible]), [4, 3])


def test_a_failed_fit_leaves_the_last_one_in_place(rng: np.random.Generator) -> None:
    X = rng.normal(size=(30, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = GaussianHMM(2, random_state=0).fit(X)
    before = fitted.score(X)
    with pytest.raises(DataError):
        fitted.fit(X, [3])
    assert fitted.score(X) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"covariance_type": "round"}, "covariance_type"),
        ({"n_components": 0}, "n_components"),
        ({"startprob_prior": 0.5}, "startprob_prior"),
        ({"transmat_prior": np.ones(3)}, "transmat_prior must be a number or have shape"),
        ({"covars_prior": -np.eye(2), "covariance_type": "full"}, "positive semi-definite"),
        ({"means_prior": np.ones(5)}, "means_prior must be a number, one for each state"),
        ({"transmat_fixed": [[0.5, 0.7], [np.nan, np.nan]]}, "transition|fixed"),
        ({"params": "st"}, None),
        ({"algorithm": "guess"}, "algorithm"),
    ],
)
@quietly
def test_options_that_are_none(options: dict[str, Any], said: str | None, rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 2))
    if said is None:
        finite(GaussianHMM(**{"n_components": 2, **options}).fit(X))
        return
    with pytest.raises(ValueError, match=said):
        GaussianHMM(**{"n_components": 2, **options}).fit(X)


def test_methods_before_a_fit_and_arguments_out_of_range(rng: np.random.Generator) -> None:
    X = rng.normal(size=(5, 1))
    for call in (GaussianHMM(2).predict, GaussianHMM(2).score, GaussianHMM(2).forecast):
        with pytest.raises(NotFittedError):
            call(X)
    hmm = started()
    for call, said in [
        (lambda: hmm.k_best(X, 0), "k must be"),
        (lambda: hmm.forecast(X, 0), "h must be"),
        (lambda: hmm.sample_states(X, 0), "size"),
        (lambda: hmm.sample(0), "n_samples"),
        (lambda: hmm.sample(2, currstate=2), "currstate"),
        (lambda: hmm.decode(X, algorithm="guess"), "algorithm"),
        (lambda: hmm.pseudo_residuals(X, kind="deviance"), "kind"),
        (lambda: hmm.score(np.zeros((5, 3))), "3 columns, but the model has 1"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()


def test_values_outside_the_support_are_named() -> None:
    with pytest.raises(DataError, match="row 1"):
        CategoricalHMM(2).fit([[0], [-1], [2]])
    with pytest.raises(DataError, match="row 2"):
        PoissonHMM(2).fit([[0.0], [1.0], [1.5]])
    with pytest.raises(DataError, match="one column of codes"):
        CategoricalHMM(2).fit([[0, 1, 2]])
    with pytest.raises(DataError, match="row 1 adds up to 4, but n_trials says 3"):
        MultinomialHMM(2, n_trials=3).fit([[1, 2], [2, 2]])
    with pytest.raises(DataError, match="no observed entry"):
        GaussianHMM(2).fit([[0.0, np.nan], [1.0, np.nan]])


# -- findings and statuses ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY)
def test_the_iteration_limit_is_no_convergence(kind: Any, rng: np.random.Generator) -> None:
    X = rng.poisson(2.0, (60, 1 if kind is CategoricalHMM else 2))
    with pytest.warns(ConvergenceWarning, match="iteration limit"):
        fitted = kind(2, n_iter=2, tol=0, random_state=0).fit(X)
    assert not fitted.converged_ and not fitted.monitor_.converged
    assert fitted.result_.status is Status.MAX_ITER


@quietly
@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("case", ["one row", "one step each", "constant", "two values", "few rows"])
def test_degenerate_series_are_fitted_and_told(kind: Any, case: str, rng: np.random.Generator) -> None:
    d = 1 if kind is CategoricalHMM else 2
    X = {
        "one row": np.full((1, d), 2),
        "one step each": rng.poisson(2.0, (12, d)),
        "constant": np.full((30, d), 2),
        "two values": np.repeat([[0], [3]], 20, axis=0) * np.ones((1, d), int),
        "few rows": rng.poisson(3.0, (4, d)),
    }[case]
    lengths = [1] * 12 if case == "one step each" else None
    fitted = kind(3, n_iter=20, random_state=0).fit(X, lengths)
    finite(fitted)
    assert np.isfinite(fitted.predict_proba(X, lengths)).all()
    assert np.all(np.diff(fitted.monitor_.history) >= -1e-7 * (1 + np.abs(fitted.monitor_.history[0])))
    if case == "one step each":
        assert "no-transitions" in found(fitted)
    if case in ("one row", "few rows"):
        assert "few-numbers" in found(fitted)
    if case == "constant" and kind in (GaussianHMM, GMMHMM, StudentTHMM):
        assert "constant-column" in found(fitted)


def test_an_empty_state_is_named_and_keeps_its_parameters(rng: np.random.Generator) -> None:
    hmm = started(((1.0, 0.0), (0.5, 0.5)), ((0.0,), (1e4,)), n_iter=50)
    hmm.startprob_ = np.array([1.0, 0.0])
    with pytest.warns(FindingWarning, match="state 1 is visited 0 times"):
        hmm.fit(rng.normal(size=(50, 1)))
    finite(hmm)
    assert hmm.means_[1, 0] == 1e4 and "empty-state" in found(hmm)


def test_states_that_start_alike_are_told(rng: np.random.Generator) -> None:
    hmm = started(((0.5, 0.5), (0.5, 0.5)), ((1.0,), (1.0,)), n_iter=100)
    with pytest.warns(FindingWarning, match="states 0 and 1 are alike"):
        hmm.fit(rng.normal(size=(50, 1)))
    finite(hmm)


def test_an_attribute_that_will_be_overwritten_is_told(rng: np.random.Generator) -> None:
    X = np.concatenate([rng.normal(size=(30, 1)), rng.normal(9, 1, size=(30, 1))])
    hmm = GaussianHMM(2, n_iter=100, random_state=0)
    hmm.startprob_ = np.array([0.5, 0.5])
    with pytest.warns(FindingWarning, match="startprob_ was set, but will be overwritten"):
        hmm.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hmm.fit(X)  # attributes of a fit are no news


@quietly
def test_outliers_and_huge_scales_leave_no_nan(rng: np.random.Generator) -> None:
    X = rng.normal(size=(60, 2)) * [1e-9, 1e9] + [1e3, -1e12]
    X[30] = [1e6, 1e14]
    for kind in ("diag", "full", "spherical", "tied"):
        fitted = GaussianHMM(3, kind, n_iter=40, covars_prior=0, random_state=0).fit(X, [25, 35])
        finite(fitted)
        assert np.all(np.diff(fitted.monitor_.history) >= -1e-6)


@quietly
def test_a_sequence_of_missing_steps_alone_adds_nothing(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 2))
    blank = np.full((10, 2), np.nan)
    fitted = GaussianHMM(2, random_state=0).fit(X)
    assert fitted.score(np.vstack([X, blank]), [40, 10]) == pytest.approx(fitted.score(X))
    np.testing.assert_allclose(
        fitted.predict_proba(blank),
        [fitted.startprob_ @ np.linalg.matrix_power(fitted.transmat_, t) for t in range(10)],
    )


# -- what contradicts itself, and what is no count ----------------------------------------------


def test_a_stationary_start_is_neither_held_nor_set() -> None:
    X = np.random.default_rng(0).normal(size=(30, 1)) + np.repeat([[0.0], [3.0]], 15, axis=0)
    with pytest.raises(ParameterError, match="startprob_fixed and stationary=True contradict"):
        GaussianHMM(2, startprob_fixed=[1.0, 0.0], stationary=True).fit(X)
    hmm = started(stationary=True, n_iter=500)
    with pytest.warns(FindingWarning, match="stationary=True puts the stationary distribution"):
        hmm.fit(X)
    hmm = started(stationary=True, n_iter=500)
    hmm.startprob_ = hmm.get_stationary_distribution()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FindingWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        hmm.fit(X)
        hmm.fit(X)


@pytest.mark.parametrize("transmat", [[[0.9, 0.2], [0.2, 0.8]], [[np.nan, 0.1], [0.2, 0.8]], [[1.5, -0.5], [0.2, 0.8]]])
def test_a_matrix_that_is_none_has_no_stationary_distribution(transmat: Any) -> None:
    with pytest.raises(ParameterError, match="row 0 of transmat_"):
        started(transmat).get_stationary_distribution()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["a", None, "a", "b"], "row 1 belongs to no group"),
        ([1.0, 2.0, None, 2.0], "row 2 belongs to no group"),
        ([1.0, 2.0, 1.0, np.nan], "row 3 belongs to no group"),
        (np.array(["a", "b", np.nan, "b"], dtype=object), "row 2 belongs to no group"),
        (np.array(["2020-01-01", "NaT", "2020-01-01", "NaT"], dtype="datetime64[D]"), "row 1 belongs to no group"),
        (pd.array(["a", "b", pd.NA, "b"]), "row 2 belongs to no group"),
        (np.array(["a", 1, "a", 1], dtype=object), "row 0 has 'a' and row 1 has 1"),
    ],
)
def test_keys_of_groups_that_are_missing_or_mixed_are_named(keys: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        GaussianHMM(1, "diag").fit(np.arange(4.0)[:, None], groups=keys)


def test_a_huge_code_is_no_number_of_symbols() -> None:
    codes = np.array([[0], [1], [10**9], [1]])
    with pytest.raises(DataError, match=r"largest code is 1e\+09 in 4 rows"):
        CategoricalHMM(2).fit(codes)
    few = CategoricalHMM(2, n_features=20_000, n_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        few.fit(np.array([[0], [1], [19_999], [1]]))
    assert few.emissionprob_.shape == (2, 20_000)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda hmm, X: hmm.forecast(X, 1.5), "h"),
        (lambda hmm, X: hmm.k_best(X, 2.7), "k"),
        (lambda hmm, X: hmm.sample(2.5), "n_samples"),
        (lambda hmm, X: hmm.sample(2, currstate=0.5), "currstate"),
        (lambda hmm, X: hmm.sample_states(X, np.nan), "size"),
        (lambda hmm, X: hmm.forecast(X, "2"), "h"),
    ],
)
def test_counts_are_whole_numbers(call: Any, name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name} must be a whole number, got"):
        call(started(), np.zeros((5, 1)))


def test_forecasts_are_asked_of_points_of_the_right_width() -> None:
    forecast = started().forecast(np.zeros((5, 1)), 2.0)
    assert forecast.log_density(np.zeros(3)).shape == forecast.log_density(np.zeros((3, 1))).shape == (1, 2, 3)
    for ask in (forecast.log_density, forecast.cdf):
        with pytest.raises(DataError, match="x has 2 columns, but the model has 1"):
            ask(np.zeros((3, 2)))
