"""`LinearGaussianStateSpace`: what it is told and tells, and what comes of awkward series."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import latentem as em
from latentem.estimators import FindingWarning
from latentem.models.structural import local_level, seasonal
from latentem.plots import draw_forecast


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.cumsum(rng.normal(size=80)) + rng.normal(size=80)


@pytest.fixture(scope="module")
def level(walk: np.ndarray) -> em.LinearGaussianStateSpace:
    return em.LinearGaussianStateSpace.local_level().fit(walk)


def test_series_may_be_given_in_four_ways(walk: np.ndarray) -> None:
    options = {"max_iter": 3, "acceleration": None}
    order = np.argsort(np.arange(80) % 2, kind="stable")
    frame = pd.DataFrame({"x": walk[order]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        listed = em.LinearGaussianStateSpace.local_level(**options).fit([walk[::2], walk[1::2]])
        for found in (
            em.LinearGaussianStateSpace.local_level(**options).fit(walk[order], lengths=[40, 40]),
            em.LinearGaussianStateSpace.local_level(**options).fit(frame, lengths=[40, 40]),
            em.LinearGaussianStateSpace.local_level(**options).fit(walk, groups=np.arange(80) % 2),
        ):
            assert found.log_likelihood_ == listed.log_likelihood_
    by_row = found.smooth(walk, groups=np.arange(80) % 2).mean
    np.testing.assert_array_equal(by_row[order], listed.smooth([walk[::2], walk[1::2]]).mean)
    assert len(listed.forecast(2)) == 2


def test_a_weight_of_two_is_the_series_twice(walk: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        make = em.LinearGaussianStateSpace.local_level
        start = {"state_noise": [1.0], "noise": [1.0]}
        options = {"max_iter": 4, "acceleration": None, "start": start}
        weighted = make(**options).fit([walk[:30], walk[30:]], sample_weight=[2, 1])
        copied = make(**options).fit([walk[:30], walk[:30], walk[30:]])
    assert weighted.log_likelihood_ == pytest.approx(copied.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(weighted.state_noise_, copied.state_noise_, rtol=1e-12)


def test_draws_given_the_data_have_the_smoothed_moments(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    gaps = np.where(np.arange(80) // 10 == 3, np.nan, walk)
    smoothed, draws = level.smooth(gaps), level.simulate(gaps, 4000, random_state=0)
    error = np.sqrt(smoothed.covariance[:, 0, 0] / 4000)
    assert np.all(np.abs(draws.mean(axis=0)[:, 0] - smoothed.mean[:, 0]) < 5 * error)
    np.testing.assert_allclose(draws.var(axis=0)[:, 0], smoothed.covariance[:, 0, 0], rtol=0.15)
    ahead = np.mean((draws - draws.mean(axis=0))[:, 1:, 0] * (draws - draws.mean(axis=0))[:, :-1, 0], axis=0)
    np.testing.assert_allclose(ahead, smoothed.lagged[1:, 0, 0], rtol=0.2)


def test_a_forecast_is_the_filter_over_missing_rows(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    ahead, filtered = level.forecast(5, walk), level.filter(np.append(walk, np.full(5, np.nan)))
    np.testing.assert_allclose(ahead.state_mean, filtered.mean[-5:], rtol=1e-10)
    np.testing.assert_allclose(ahead.state_covariance, filtered.covariance[-5:], rtol=1e-10)
    np.testing.assert_allclose(level.forecast(5).mean, ahead.mean)
    wider = level.forecast(5, level=0.99)
    assert np.all(wider.upper > ahead.upper) and np.all(wider.lower < ahead.lower)


def test_residuals_of_the_right_model_are_standard_normal() -> None:
    rng = np.random.default_rng(2)
    seen = {"loadings": [[1.0], [0.5]], "offset": [1.0, -1.0], "noise": [[1.0, 0.4], [0.4, 0.9]]}
    moves = {"transition": [[0.8]], "state_noise": [1.0], "initial": "stationary"}
    model = em.LinearGaussianStateSpace(1, **moves, **seen, max_iter=0)
    y, _ = model.fit(np.eye(2)).sample(3000, random_state=rng)
    errors = model.residuals(y)
    np.testing.assert_allclose(errors.T @ errors / 3000, np.eye(2), atol=0.1)
    assert np.abs(errors[1:].T @ errors[:-1] / 3000).max() < 0.08
    y[5, 0], y[6] = np.nan, np.nan
    assert np.array_equal(np.isnan(model.residuals(y)), np.isnan(y))


def test_fit_measures_count_the_diffuse_start(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    assert level.n_parameters_ == 3
    assert level.aic() == pytest.approx(-2 * level.log_likelihood_ + 6)
    assert level.bic() == pytest.approx(-2 * level.log_likelihood_ + 3 * np.log(80))
    assert level.aic(walk) == pytest.approx(level.aic()) and level.score(walk) == pytest.approx(level.log_likelihood_)


def test_inputs_move_observations_and_states(walk: np.ndarray) -> None:
    u = (np.arange(80) >= 40).astype(float)
    model = em.LinearGaussianStateSpace.local_level(inputs=[[None]], tol=1e-3).fit(walk + 50 * u, inputs=u)
    assert model.inputs_[0, 0] == pytest.approx(50, abs=5)
    assert model.forecast(3, inputs=np.ones((3, 1))).mean.mean() > 40
    pushed = em.LinearGaussianStateSpace.local_level(state_inputs=[[None]], tol=1e-3)
    pushed.fit(walk + 2 * np.cumsum(u), inputs=u)
    assert pushed.state_inputs_[0, 0] == pytest.approx(2, abs=0.5)
    with pytest.raises(em.ParameterError, match="inputs must have shape"):
        model.forecast(3)
    with pytest.raises(em.DataError, match="none came with the data"):
        em.LinearGaussianStateSpace.local_level(inputs=[[None]]).fit(walk)
    with pytest.raises(em.DataError, match="the model has none"):
        em.LinearGaussianStateSpace.local_level().fit(walk, inputs=u)


@pytest.mark.parametrize("rows", [slice(10, 40), slice(0, 30), slice(50, 80)])
def test_blocks_of_missing_rows_are_bridged(walk: np.ndarray, rows: slice) -> None:
    gaps = walk.copy()
    gaps[rows] = np.nan
    model = em.LinearGaussianStateSpace.local_level().fit(gaps)
    smoothed = model.smooth(gaps)
    assert model.converged_ and np.all(np.isfinite(smoothed.mean)) and np.all(smoothed.covariance > 0)


def test_awkward_series_are_told_and_give_numbers() -> None:
    rng = np.random.default_rng(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        constant = em.LinearGaussianStateSpace.local_level(max_iter=100).fit(np.full(30, 5.0))
        empty = em.LinearGaussianStateSpace(1, initial="known", max_iter=20).fit(
            np.column_stack([rng.normal(size=30), np.full(30, np.nan)])
        )
        free = em.LinearGaussianStateSpace(2, initial="known", max_iter=20).fit(rng.normal(size=(40, 3)))
        exact = em.LinearGaussianStateSpace.local_level(max_iter=50, noise=[0.0]).fit(np.cumsum(rng.normal(size=40)))
        tiny = em.LinearGaussianStateSpace.local_level(max_iter=50).fit(1e-9 * np.cumsum(rng.normal(size=40)))
        short = em.LinearGaussianStateSpace.local_level(max_iter=20).fit([[1.0], [2.0, 3.0]])
    assert {warning.category for warning in told} <= {FindingWarning, ConvergenceWarning}
    for text in ("'x0' is constant", "'x1' has no observed entry", "are all free"):
        assert any(text in str(warning.message) for warning in told)
    for model in (constant, empty, free, exact, tiny, short):
        shown = {name: value for name, value in vars(model).items() if name.endswith("_")}
        assert all(np.all(np.isfinite(v)) for v in shown.values() if isinstance(v, np.ndarray | float))
        falls = np.diff([objective for _, objective in model.result_.history])
        assert np.all(falls >= -1e-6 * (1 + abs(model.log_likelihood_)))
    assert exact.state_noise_[0, 0] > 0.3


def test_what_cannot_be_fitted_is_an_error_that_says_why(walk: np.ndarray) -> None:
    level = em.LinearGaussianStateSpace.local_level
    with pytest.raises(em.DataError, match="needs more rows"):
        em.LinearGaussianStateSpace.structural(local_level(), seasonal(12)).fit(walk[:8])
    with pytest.raises(em.DataError, match="does not tell all"):
        level().fit([[np.nan], [1.0, 2.0]])
    with pytest.raises(em.DataError, match="add up to 79"):
        level().fit(walk, lengths=[40, 39])
    with pytest.raises(em.DataError, match="infinite"):
        level().fit(np.append(walk, np.inf))
    with pytest.raises(em.DataError, match="same columns"):
        level().fit([np.zeros((3, 1)), np.zeros((3, 2))])
    with pytest.raises(em.DataError, match="one entry for each of the 1 series"):
        level().fit(walk, sample_weight=np.ones(80))
    with pytest.raises(em.ParameterError, match="start takes arrays by the names"):
        level(start={"sigma": 1.0}).fit(walk)
    with pytest.raises(em.ParameterError, match="must have shape"):
        level(start={"state_noise": [1.0, 2.0]}).fit(walk)
    with pytest.raises(em.ParameterError, match="at least one"):
        em.LinearGaussianStateSpace.structural()
    with pytest.raises(em.ParameterError, match="from 1 to 2 factors"):
        em.LinearGaussianStateSpace.dynamic_factor(2, 3)
    with pytest.raises(NotFittedError):
        level().smooth(walk)
    with pytest.raises(em.ParameterError, match="stationary start"):
        em.LinearGaussianStateSpace(1, transition=[[1.1]], initial="stationary").fit(walk)


def test_what_is_asked_of_a_fitted_model_is_checked(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    with pytest.raises(em.DataError, match="the fit had 1 columns"):
        level.smooth(np.zeros((5, 2)))
    with pytest.raises(em.ParameterError, match="between 0 and 1"):
        level.forecast(3, level=1.0)
    with pytest.raises(em.ParameterError, match="at least 1"):
        level.forecast(0)
    assert clone(level).get_params() == level.get_params()


@pytest.mark.parametrize("options", [{}, {"state_noise": np.ones((80, 1, 1)), "max_iter": 0}])
def test_a_model_file_holds_it(walk: np.ndarray, tmp_path: Path, options: dict[str, Any]) -> None:
    fitted = em.LinearGaussianStateSpace.local_level(**options).fit(walk)
    em.save(fitted, tmp_path / "level.zip")
    loaded = em.load(tmp_path / "level.zip")
    assert loaded.score(walk) == fitted.score(walk)
    np.testing.assert_array_equal(loaded.smooth(walk).mean, fitted.smooth(walk).mean)


def test_a_known_series_of_matrices_is_used_row_by_row(walk: np.ndarray) -> None:
    """Twice the time between rows is twice the variance of a random walk, held so."""
    steps = np.where(np.arange(40) % 3 == 0, 2.0, 1.0)
    times = np.cumsum(steps).astype(int) - 1
    y = walk[times[times < 80]]
    n = len(y)
    spread = np.full(80, np.nan)
    spread[times[:n]] = y
    noises = (0.7 * steps[:n])[:, None, None]
    start = {"noise": [1.0]}
    uneven = em.LinearGaussianStateSpace.local_level(state_noise=noises, max_iter=0, start=start).fit(y)
    even = em.LinearGaussianStateSpace.local_level(state_noise=[0.7], max_iter=0, start=start).fit(spread)
    assert uneven.log_likelihood_ == pytest.approx(even.log_likelihood_, rel=1e-12)
    with pytest.raises(em.ParameterError, match="nothing of the rows to come"):
        uneven.forecast(2)


def test_the_picture_has_observations_signal_and_forecast(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    ax = draw_forecast(level, walk, 6, times=np.arange(1900, 1980))
    observed, signal, ahead = (line.get_xydata() for line in ax.lines)
    np.testing.assert_array_equal(observed[:, 1], walk)
    np.testing.assert_allclose(signal[:, 1], level.smooth(walk).mean[:, 0])
    np.testing.assert_allclose(ahead[:, 1], level.forecast(6).mean[:, 0])
    assert ahead[0, 0] == 1980 and len(ax.collections) == 2
    with pytest.raises(em.ParameterError, match="column must be one of"):
        draw_forecast(level, walk, column=1)
    with pytest.raises(em.ParameterError, match="times must have"):
        draw_forecast(level, walk, times=[1.0])


def test_a_column_that_names_the_groups_is_none_of_the_data(walk: np.ndarray) -> None:
    keys = np.array(["a", "b"])[np.arange(80) % 2]
    options = {"max_iter": 3, "acceleration": None}
    frame = pd.DataFrame({"x": walk, "id": keys})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        named = em.LinearGaussianStateSpace.local_level(**options).fit(frame, groups="id")
        given = em.LinearGaussianStateSpace.local_level(**options).fit(walk, groups=keys)
    assert named.n_features_in_ == 1
    assert named.log_likelihood_ == given.log_likelihood_ == pytest.approx(named.score(frame, groups="id"), rel=1e-12)
    assert named.bic(frame, groups="id") == pytest.approx(given.bic(), rel=1e-12)
    for method in ("smooth", "filter"):
        found, wanted = getattr(named, method)(frame, groups="id"), getattr(given, method)(walk, groups=keys)
        np.testing.assert_array_equal(found.mean, wanted.mean)
    np.testing.assert_array_equal(named.residuals(frame, groups="id"), given.residuals(walk, groups=keys))
    draws = named.simulate(frame, groups="id", random_state=0), given.simulate(walk, groups=keys, random_state=0)
    np.testing.assert_array_equal(*draws)
    for found, wanted in zip(named.forecast(2, frame, groups="id"), given.forecast(2), strict=True):
        np.testing.assert_array_equal(found.mean, wanted.mean)
    with pytest.raises(em.DataError, match="array without names"):
        named.smooth(walk, groups="id")
    with pytest.raises(em.DataError, match="holds text"):
        named.smooth(frame.assign(other=keys), groups="id")


@pytest.mark.parametrize("matrix", [[[1.0, 0.5], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
def test_noise_known_for_each_row_must_be_a_covariance(walk: np.ndarray, matrix: list[list[float]]) -> None:
    noises = np.tile(np.eye(2), (80, 1, 1))
    noises[7] = matrix
    form = em.LinearGaussianStateSpace.local_linear_trend
    with pytest.raises(em.ParameterError, match=r"covariance matrix in each row.* row 7 has"):
        form(state_noise=noises).fit(walk)
    noises[7] = [[1.0, 1.0], [1.0, 1.0]]
    form(state_noise=noises, max_iter=0).fit(walk)


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, {"noise": [-1.0]}),
        ({}, {"noise": [0.0]}),
        ({}, {"noise": [np.nan]}),
        ({"noise": "full"}, {"noise": [[0.0]]}),
        ({}, {"state_noise": [0.0]}),
        ({"state_noise": "full"}, {"state_noise": [[0.0]]}),
        ({"initial": "free"}, {"initial_covariance": [[0.0]]}),
    ],
)
def test_free_variances_start_above_zero(walk: np.ndarray, options: dict[str, Any], start: dict[str, Any]) -> None:
    with pytest.raises(em.ParameterError, match=f"start of {next(iter(start))} must be above zero"):
        em.LinearGaussianStateSpace.local_level(start=start, **options).fit(walk)


def test_a_free_start_has_a_variance(walk: np.ndarray) -> None:
    with pytest.raises(em.ParameterError, match="initial_covariance must be above zero"):
        em.LinearGaussianStateSpace.local_level(initial="free", initial_covariance=[[0.0]]).fit(walk)
    em.LinearGaussianStateSpace.local_level(initial="known", initial_covariance=[[0.0]], max_iter=0).fit(walk)


def test_a_fit_goes_on_from_where_another_ended(walk: np.ndarray) -> None:
    """Its variance of z₁ has all but vanished, since one series has one z₁."""
    form = em.LinearGaussianStateSpace.local_linear_trend
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = form(initial="free", max_iter=300).fit(walk)
    names = ("noise", "state_noise", "initial_mean", "initial_covariance")
    start = {name: getattr(first, f"{name}_") for name in names}
    start["state_noise"], start["noise"] = np.diag(first.state_noise_), np.diag(first.noise_)
    again = form(initial="free", max_iter=0, start=start).fit(walk)
    assert again.log_likelihood_ == pytest.approx(first.log_likelihood_, rel=1e-9)


def test_held_variances_of_zero_may_stand_in_a_start(walk: np.ndarray) -> None:
    form = em.LinearGaussianStateSpace.local_linear_trend
    start = {"state_noise": [1.0, 0.0]}
    fitted = form(state_noise=[None, 0.0], start=start, max_iter=0).fit(walk)
    np.testing.assert_array_equal(fitted.state_noise_, np.diag([1.0, 0.0]))


@pytest.mark.parametrize("initial", ["free", "mean"])
def test_the_start_is_in_the_units_of_the_data(walk: np.ndarray, initial: str) -> None:
    """x -> a + c x adds n log c to the log-likelihood, at every iteration."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        options = {"initial": initial, "max_iter": 4, "acceleration": None}
        plain, moved = (em.LinearGaussianStateSpace.local_level(**options).fit(x) for x in (walk, 5e4 + 1e3 * walk))
    assert plain.log_likelihood_ - moved.log_likelihood_ == pytest.approx(80 * np.log(1e3), rel=1e-9)
    first = em.LinearGaussianStateSpace.local_level(initial=initial, max_iter=0).fit(np.append(np.nan, walk))
    assert first.initial_mean_ == pytest.approx(walk[0])
    given = {"initial_mean": [3.0], "initial_covariance": [[2.0]]}
    kept = em.LinearGaussianStateSpace.local_level(initial=initial, max_iter=0, **given).fit(walk)
    assert (kept.initial_mean_, kept.initial_covariance_) == (3.0, 2.0)


def test_inputs_to_come_are_known() -> None:
    rng = np.random.default_rng(3)
    u = rng.normal(size=60)
    form = em.LinearGaussianStateSpace.local_level(inputs=[[None]])
    fitted = form.fit(2 * u + np.cumsum(rng.normal(size=60)) + rng.normal(size=60), inputs=u)
    np.testing.assert_array_equal(
        fitted.forecast(3, inputs=[1.0, 2.0, 3.0]).mean, fitted.forecast(3, inputs=[[1.0], [2.0], [3.0]]).mean
    )
    with pytest.raises(em.DataError, match="row 1, column 0 has nan"):
        fitted.forecast(3, inputs=[1.0, np.nan, 2.0])
    with pytest.raises(em.ParameterError, match="must have shape"):
        fitted.forecast(3, inputs=[1.0, 2.0])


def test_what_is_no_number_of_things_is_refused(level: em.LinearGaussianStateSpace, walk: np.ndarray) -> None:
    form = em.LinearGaussianStateSpace
    with pytest.raises(em.ParameterError, match="start takes arrays"):
        form.local_level(start=[1]).fit(walk)
    with pytest.raises(em.ParameterError, match="n_states must be a whole number"):
        form(1.0).fit(walk)
    with pytest.raises(em.ParameterError, match="are whole"):
        form.dynamic_factor(3.0, 1)
    with pytest.raises(em.ParameterError, match="sum of components"):
        form.structural("level")
    for number in (0, -1, 2.5):
        with pytest.raises(em.ParameterError, match="n_draws must be a whole number"):
            level.simulate(walk, number)
        with pytest.raises(em.ParameterError, match="n_steps must be a whole number"):
            level.sample(number)


def test_how_series_are_divided_is_said_once(walk: np.ndarray) -> None:
    form = em.LinearGaussianStateSpace.local_level
    with pytest.raises(em.ParameterError, match=r"one series \(one column\), but the data have 2 columns"):
        form().fit(np.column_stack([walk, walk]))
    with pytest.raises(em.ParameterError, match="list of series says where each ends"):
        form().fit([walk, walk], lengths=[80, 80])
    with pytest.raises(em.DataError, match=r"expected \[40, 40\] rows, got \[30, 50\]"):
        form(inputs=[[None]]).fit([walk[:40], walk[40:]], inputs=[walk[:30], walk[30:]])
    with pytest.raises(em.DataError, match="one row for each of the 80 rows, got 79"):
        form(inputs=[[None]]).fit(walk, inputs=walk[:-1])


def test_bic_counts_rows_by_their_weights(walk: np.ndarray) -> None:
    start = {"state_noise": [1.0], "noise": [1.0]}
    weighted = em.LinearGaussianStateSpace.local_level(max_iter=0, start=start).fit(walk, sample_weight=[2.0])
    copied = em.LinearGaussianStateSpace.local_level(max_iter=0, start=start).fit([walk, walk])
    assert weighted.bic() == pytest.approx(copied.bic(), rel=1e-12)


def test_an_impossible_series_gets_no_advice_about_transitions(walk: np.ndarray) -> None:
    options = {"noise": [0.0], "state_noise": [0.0], "initial": "known", "max_iter": 0}
    with pytest.raises(em.DataError, match=r"the group of row 0 \(40 rows\) has .* larger variances") as caught:
        em.LinearGaussianStateSpace.local_level(**options).fit(walk, groups=np.arange(80) % 2)
    assert "transitions" not in str(caught.value)
