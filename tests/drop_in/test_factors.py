"""Factor analysis beyond the peer: weights, missing entries, covariances, scores, rotations, and harsh data."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from latentem.data import ArraySource
from latentem.errors import DataError, ParameterError
from latentem.estimators import FactorAnalysis, FindingWarning, ProbabilisticPCA
from latentem.execution import Serial
from latentem.families import LinearGaussian
from latentem.latents import Normal
from latentem.model import LatentVariableModel
from latentem.statistics import arrays_of


@pytest.fixture
def x(rng):
    loadings = rng.normal(size=(2, 6))
    return rng.normal(size=(250, 2)) @ loadings + 0.7 * rng.normal(size=(250, 6)) + 10 * np.arange(6)


def codes(fit):
    return {finding.code for finding in fit.result_.findings}


def quiet(estimator, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return estimator.fit(*args, **options)


def test_a_weight_is_a_repetition(x):
    weights = np.arange(250) % 3
    weighted = FactorAnalysis(2, tol=1e-8).fit(x, sample_weight=weights)
    repeated = FactorAnalysis(2, tol=1e-8).fit(np.repeat(x, weights, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, atol=1e-3)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-10)
    assert weighted.bic() == pytest.approx(repeated.bic(), rel=1e-10)


def test_a_covariance_says_as_much_as_the_data(x):
    data = FactorAnalysis(2, tol=1e-8).fit(x)
    moments = FactorAnalysis(2, tol=1e-8).fit_covariance(np.cov(x, rowvar=False, bias=True), 250, x.mean(axis=0))
    np.testing.assert_allclose(moments.components_, data.components_, atol=1e-6)
    np.testing.assert_allclose(moments.mean_, data.mean_, rtol=1e-12)
    assert moments.log_likelihood_ == pytest.approx(data.log_likelihood_, rel=1e-12)
    assert moments.result_.n_rows == 250
    np.testing.assert_allclose(moments.transform(x), data.transform(x), atol=1e-5)


@pytest.mark.parametrize("kind", [FactorAnalysis, ProbabilisticPCA])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_the_result_has_the_e_step_of_the_rows_as_they_came(x, rng, kind, share):
    """Though the fit was one in other units."""
    holes = np.where(rng.random(x.shape) < share, np.nan, x) * 10.0 ** rng.integers(-5, 5, size=6)
    weights = rng.uniform(0.5, 2.0, size=len(x))
    result = quiet(kind(2), holes, sample_weight=weights).result_
    whole = Serial().fold(partial(result.model.e_step, result.parameters), ArraySource(holes, weights=weights))
    found = result.expectation
    assert abs(found.log_likelihood - whole.log_likelihood) < whole.rounding + found.rounding
    assert found.weight == pytest.approx(whole.weight)
    assert found.magnitude >= 0.5 * whole.magnitude
    close = partial(np.testing.assert_allclose, atol=1e-8 * whole.weight)
    for got, expected in zip(arrays_of(found.statistics.latent), arrays_of(whole.statistics.latent), strict=True):
        close(got, expected)
    own, other = found.statistics.emission, whole.statistics.emission
    scale = np.sqrt(other.square / whole.weight)
    close(own.gram, other.gram)
    close(own.cross / scale[:, None], other.cross / scale[:, None])
    close(own.square / scale**2, other.square / scale**2)


@pytest.mark.parametrize("far", [1e6, 1e10, -1e12])
def test_a_mean_far_from_zero_costs_the_log_likelihood_no_digits(x, far):
    """Beyond those that the data themselves lose there."""
    rounded = x.copy()
    rounded[:, 3] = (x[:, 3] + far) - far
    moved = rounded.copy()
    moved[:, 3] += far
    near, there = (FactorAnalysis(2, tol=1e-9).fit(rows).result_ for rows in (rounded, moved))
    assert there.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-8)


@pytest.mark.parametrize(("mean", "size"), [(1e160, 1.0), (0.0, 1e302)])
def test_a_covariance_out_of_range_is_refused(x, mean, size):
    covariance = np.cov(x, rowvar=False) * size
    with pytest.raises(DataError, match="x0"):
        FactorAnalysis(1).fit_covariance(covariance, 100, np.full(6, mean))


@pytest.mark.parametrize("row", [0, 3, 4000])
def test_complete_data_are_read_once_and_faults_are_named_all_the_same(x, rng, row):
    many = np.tile(x, (20, 1)) + 0.01 * rng.normal(size=(5000, 6))
    for value in (np.inf, -np.inf, 1e151, -1e300):
        wrong = many.copy()
        wrong[row, 2] = value
        with pytest.raises(DataError, match=f"row {row}, column 'x2'"):
            FactorAnalysis(1).fit(wrong)
    many[row, 2] = np.nan
    fit = FactorAnalysis(1).fit(many)
    assert fit.log_likelihood_ == pytest.approx(fit.score_samples(many).sum(), rel=1e-10)


def test_a_column_of_one_huge_number_is_refused(x):
    x[:, 1] = 1e200
    with pytest.raises(DataError, match="row 0, column 'x1'"):
        FactorAnalysis(1).fit(x)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_missing_entries_are_integrated_out(x, rng, share):
    holes = np.where(rng.random(x.shape) < share, np.nan, x)
    fit = FactorAnalysis(2, tol=1e-7).fit(holes)
    assert fit.converged_
    assert fit.log_likelihood_ == pytest.approx(fit.score_samples(holes).sum(), rel=1e-10)
    score = fit.result_.model.score(fit.result_.expectation.statistics, fit.result_.parameters)
    assert np.abs(score).max() < 0.05
    np.testing.assert_allclose(fit.get_covariance(), FactorAnalysis(2).fit(x).get_covariance(), atol=0.5)
    measures = fit.fit_measures(holes)
    assert 0 <= measures.p_value <= 1
    assert measures.chi_square >= 0
    assert np.all(np.isfinite(fit.transform(holes)))


@pytest.mark.parametrize("rotation", [None, "varimax", "quartimax", "promax", "oblimin"])
def test_rotations_change_factors_and_nothing_else(x, rotation):
    plain, rotated = FactorAnalysis(2, tol=1e-8).fit(x), FactorAnalysis(2, tol=1e-8, rotation=rotation).fit(x)
    np.testing.assert_allclose(rotated.get_covariance(), plain.get_covariance(), atol=1e-9)
    np.testing.assert_allclose(rotated.get_precision() @ rotated.get_covariance(), np.eye(6), atol=1e-9)
    np.testing.assert_allclose(rotated.score_samples(x), plain.score_samples(x), atol=1e-9)
    np.testing.assert_allclose(rotated.communalities_ + rotated.uniquenesses_, 1.0)
    fitted = x - rotated.mean_
    f = rotated.transform(x)
    expected = fitted @ rotated.get_precision() @ rotated.loadings_ @ rotated.factor_correlations_
    np.testing.assert_allclose(f, expected, atol=1e-8)
    assert np.all(rotated.components_.sum(axis=1) >= 0)


def test_bartlett_scores_are_weighted_least_squares_row_by_row(x, rng):
    fit = FactorAnalysis(2, tol=1e-8, rotation="oblimin").fit(x)
    holes = np.where(rng.random(x.shape) < 0.2, np.nan, x)[:30]
    scores = fit.transform(holes, method="bartlett")
    for row, score in zip(holes, scores, strict=True):
        seen = ~np.isnan(row)
        root = 1 / np.sqrt(fit.noise_variance_[seen])
        expected = np.linalg.lstsq(fit.loadings_[seen] * root[:, None], (row - fit.mean_)[seen] * root, rcond=None)[0]
        np.testing.assert_allclose(score, expected, atol=1e-8)
    with pytest.raises(ValueError, match="row 1: too few columns"):
        fit.transform(np.array([x[0], [1.0, *[np.nan] * 5]]), method="bartlett")
    with pytest.raises(ValueError, match="regression"):
        fit.transform(x, method="anderson")


def test_free_parameters_are_net_of_rotations(x):
    fit = FactorAnalysis(2).fit(x)
    assert fit.n_parameters_ == 6 + 6 * 2 - 1 + 6
    assert fit.fit_measures().df == ((6 - 2) ** 2 - 6 - 2) // 2
    assert fit.aic() == pytest.approx(-2 * fit.log_likelihood_ + 46)
    assert ProbabilisticPCA(2).fit(x).n_parameters_ == 6 + 6 * 2 - 1 + 1


def test_measures_of_a_right_and_of_a_wrong_number_of_factors(rng):
    x = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(2000, 8))
    right, wrong = (FactorAnalysis(q, tol=1e-6).fit(x).fit_measures() for q in (2, 1))
    assert right.p_value > 0.01 > wrong.p_value
    assert right.rmsea < 0.03 < wrong.rmsea
    assert right.cfi > 0.99 > wrong.cfi
    assert right.srmr < wrong.srmr
    assert wrong.rmsea_low < wrong.rmsea < wrong.rmsea_high


def test_a_heywood_case_is_told_with_its_column():
    iris = load_iris(as_frame=True).data
    with pytest.warns(FindingWarning, match="column 'petal length .cm.' is at its floor .a Heywood case"):
        fit = FactorAnalysis(1, tol=1e-6).fit(iris)
    assert codes(fit) == {"heywood"}
    assert fit.uniquenesses_[2] == pytest.approx(1e-6, rel=1e-2)
    assert fit.converged_
    assert fit.n_iter_ < 200
    emission = fit.result_.parameters.emission
    score = fit.result_.model.score(fit.result_.expectation.statistics, fit.result_.parameters)
    by_noise = score[-len(emission.noise) :]
    assert by_noise[2] < 0
    assert np.abs(np.delete(by_noise, 2)).max() < 1e-2


def test_more_factors_than_moments_can_tell_are_told(x):
    with pytest.warns(FindingWarning, match=r"df = -3"):
        fit = FactorAnalysis(4, max_iter=3000).fit(x)
    assert "not-identified" in codes(fit)
    assert np.isnan(fit.fit_measures().rmsea)
    assert np.isnan(fit.fit_measures().cfi)


def test_harsh_data_are_told_and_give_finite_numbers(x):
    constant, double = x.copy(), np.column_stack([x, x[:, 0]])
    constant[:, 2] = 3.0
    for data, code in ((constant, "constant-column"), (double, "duplicated-column"), (x[:5], "few-rows")):
        fit = quiet(FactorAnalysis(1), data)
        assert code in codes(fit)
        for array in (fit.components_, fit.noise_variance_, fit.mean_, fit.transform(data), fit.score_samples(data)):
            assert np.all(np.isfinite(array))


def test_errors_say_where_and_what_to_do(x):
    with pytest.raises(ValueError, match="n_components=7 factors for 6 columns"):
        FactorAnalysis(7).fit(x)
    empty = x.copy()
    empty[:, 1] = np.nan
    with pytest.raises(ValueError, match="column 'x1' has no observed entry"):
        FactorAnalysis(1).fit(empty)
    with pytest.raises(ValueError, match="6 positive numbers"):
        FactorAnalysis(1, noise_variance_init=[1.0, 2.0]).fit(x)
    with pytest.raises(ValueError, match="square matrix"):
        FactorAnalysis(1).fit_covariance(np.ones((2, 3)), 10)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        FactorAnalysis(1).fit_covariance(np.array([[1.0, 2.0], [2.0, 1.0]]), 10)
    with pytest.raises(ValueError, match="n_samples must be a positive number"):
        FactorAnalysis(1).fit_covariance(np.eye(3), 0)


def test_no_factors_are_independent_columns(x):
    fit = FactorAnalysis(0).fit(x)
    assert fit.components_.shape == (0, 6)
    np.testing.assert_allclose(fit.noise_variance_, x.var(axis=0), rtol=1e-9)
    assert fit.transform(x).shape == (250, 0)


def test_several_starts_are_no_worse_and_the_same_again(x):
    one, many = FactorAnalysis(2, tol=1e-4), FactorAnalysis(2, tol=1e-4, n_init=4)
    first, again = quiet(many, x).components_, quiet(many, x).components_
    assert many.log_likelihood_ >= quiet(one, x).log_likelihood_ - 1e-6
    np.testing.assert_array_equal(first, again)


def test_samples_have_the_covariance_that_was_fitted(x):
    fit = FactorAnalysis(2, random_state=1).fit(x)
    drawn = fit.sample(40_000)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), fit.get_covariance(), atol=0.12)


def test_it_is_saved_and_loaded(x, tmp_path):
    import latentem as em

    fit = FactorAnalysis(2, rotation="oblimin").fit(x)
    em.save(fit, tmp_path / "fit.latentem")
    back = em.load(tmp_path / "fit.latentem")
    np.testing.assert_array_equal(back.transform(x), fit.transform(x))
    assert back.fit_measures() == fit.fit_measures()
    bound = LatentVariableModel(Normal(2), LinearGaussian(["a", "a", None, None, 1.0, None]))
    result = em.fit(bound, x, acceleration="anderson", tol=1e-3)
    em.save(result, tmp_path / "result.latentem")
    again = em.load(tmp_path / "result.latentem")
    assert again.model == bound
    assert again.n_parameters == result.n_parameters
    np.testing.assert_array_equal(again.parameters.flatten(), result.parameters.flatten())


def test_data_without_moments_are_asked_for_again(x, rng):
    holes = np.where(rng.random(x.shape) < 0.5, np.nan, x)
    fit = quiet(FactorAnalysis(1), holes)
    with pytest.raises(ValueError, match="give X again"):
        fit.fit_measures()
    assert fit.fit_measures(holes).chi_square >= 0


def test_the_model_is_the_one_that_em_fit_takes(x):
    import latentem as em

    fit = FactorAnalysis(2, tol=1e-8).fit(x)
    result = em.fit(LatentVariableModel(Normal(2), LinearGaussian()), x, acceleration="anderson", tol=1e-8)
    assert result.log_likelihood == pytest.approx(fit.log_likelihood_, abs=1e-6)
    assert result.n_rows == 250


UNITS = np.array([1e4, 1.0, 1e-2, 50.0, 1e6, 0.3])


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@pytest.mark.parametrize(
    ("kind", "units"),
    [(FactorAnalysis, 1e3), (FactorAnalysis, 1e8), (FactorAnalysis, UNITS), (ProbabilisticPCA, 1e3)],
)
def test_units_of_columns_change_units_and_nothing_else(x, kind, units, tol):
    plain, moved = kind(2, tol=tol).fit(x), kind(2, tol=tol).fit(x * units)
    assert moved.result_.status is plain.result_.status
    assert abs(moved.result_.n_iter - plain.result_.n_iter) <= 2
    scale = np.broadcast_to(units, 6)
    covariance = plain.get_covariance() * np.outer(scale, scale)
    np.testing.assert_allclose(moved.get_covariance(), covariance, rtol=1e-6)
    np.testing.assert_allclose(np.abs(moved.components_), np.abs(plain.components_) * units, rtol=1e-5)
    np.testing.assert_allclose(moved.noise_variance_, plain.noise_variance_ * np.square(units), rtol=1e-6)
    jacobian = len(x) * np.log(scale).sum()
    assert moved.log_likelihood_ == pytest.approx(plain.log_likelihood_ - jacobian, abs=1e-6)
    assert moved.log_likelihood_ == pytest.approx(moved.score_samples(x * units).sum(), rel=1e-12)
    assert moved.loglike_[-1] == moved.log_likelihood_ == moved.result_.objective


def test_units_change_nothing_where_entries_are_missing(x, rng):
    holes = np.where(rng.random(x.shape) < 0.3, np.nan, x)
    for rows in (holes[:60], holes):
        plain, moved = quiet(FactorAnalysis(2), rows), quiet(FactorAnalysis(2), rows * UNITS)
        assert abs(moved.result_.n_iter - plain.result_.n_iter) <= 2
        np.testing.assert_allclose(moved.noise_variance_, plain.noise_variance_ * UNITS**2, rtol=1e-5)
        assert moved.log_likelihood_ == pytest.approx(moved.score_samples(rows * UNITS).sum(), rel=1e-12)


def test_a_start_is_given_in_the_units_of_the_data(x):
    start = np.full(6, 0.4)
    plain = FactorAnalysis(2, noise_variance_init=start).fit(x)
    moved = FactorAnalysis(2, noise_variance_init=start * UNITS**2).fit(x * UNITS)
    np.testing.assert_allclose(np.diff(moved.loglike_), np.diff(plain.loglike_), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 3.7, 1e8])
def test_a_constant_column_is_told_as_constant(x, value):
    fit = quiet(FactorAnalysis(1), np.column_stack([x, np.full(len(x), value)]))
    assert "constant-column" in codes(fit)
    with pytest.warns(FindingWarning, match="covariance of the columns is singular"):
        measures = fit.fit_measures()
    assert np.isnan([measures.chi_square, measures.rmsea, measures.cfi, measures.tli, measures.srmr]).all()


def test_measures_of_a_singular_covariance_are_unknown(x, rng):
    holes = np.where(rng.random(x.shape) < 0.1, np.nan, x)
    for data in (np.column_stack([x, x[:, 0]]), x[:5], np.column_stack([holes, holes[:, 0]])):
        fit = quiet(FactorAnalysis(1), data)
        with pytest.warns(FindingWarning, match="covariance of the columns is singular"):
            measures = fit.fit_measures()
        assert np.isnan([measures.chi_square, measures.p_value, measures.rmsea, measures.cfi, measures.tli]).all()
        assert np.isfinite(measures.srmr)


def test_bartletts_statistic_needs_rows(rng):
    few = rng.normal(size=(9, 6)) + rng.normal(size=(9, 1))
    measures = quiet(FactorAnalysis(3), few).fit_measures()
    assert np.isfinite(measures.bartlett_chi_square)
    wide = rng.normal(size=(11, 10)) + rng.normal(size=(11, 1))
    measures = quiet(FactorAnalysis(9), wide).fit_measures()
    assert np.isnan(measures.bartlett_chi_square)
    assert np.isnan(measures.bartlett_p_value)


def test_measures_are_those_of_the_moments_in_any_units(x, rng):
    fit = FactorAnalysis(1, tol=1e-8).fit(x)
    covariance, implied = np.cov(x, rowvar=False, bias=True), fit.get_covariance()
    discrepancy = np.trace(np.linalg.solve(implied, covariance)) - 6
    discrepancy += np.linalg.slogdet(implied)[1] - np.linalg.slogdet(covariance)[1]
    assert fit.fit_measures().chi_square == pytest.approx(250 * discrepancy, rel=1e-8)
    moved = FactorAnalysis(1, tol=1e-8).fit(x * UNITS).fit_measures()
    assert moved.chi_square == pytest.approx(fit.fit_measures().chi_square, rel=1e-6)
    assert moved.srmr == pytest.approx(fit.fit_measures().srmr, rel=1e-5)


def test_a_yardstick_that_did_not_converge_is_told(x, rng, monkeypatch):
    import latentem.estimators.factor_model as module

    holes = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    fit = FactorAnalysis(2).fit(holes)
    whole = module.run
    monkeypatch.setattr(module, "run", lambda *args, **options: whole(*args, **{**options, "max_iter": 2}))
    with pytest.warns(ConvergenceWarning, match="unrestricted normal"):
        fit.fit_measures(holes)


def test_moments_are_checked_and_names_of_earlier_columns_go(x):
    import pandas as pd

    fit = FactorAnalysis(1).fit(pd.DataFrame(x, columns=list("abcdef")))
    for mean, told in (([np.nan, 0, 0], "entry 0 is nan"), ([0, np.inf, 0], "entry 1 is inf"), ([0, 0], "shape")):
        with pytest.raises(ParameterError, match=told):
            fit.fit_covariance(0.5 * np.eye(3) + 0.5, 10, mean=mean)
    for count in ("a", None, np.nan, -1):
        with pytest.raises(ParameterError, match="n_samples must be a positive number"):
            fit.fit_covariance(np.eye(4), count)
    assert list(fit.feature_names_in_) == list("abcdef")
    fit.fit_covariance(0.5 * np.eye(3) + 0.5, 10)
    assert not hasattr(fit, "feature_names_in_")
    for count in (-1, 1.5):
        with pytest.raises(ParameterError, match="whole number"):
            fit.sample(count)
    assert fit.sample(0).shape == (0, 3)


def test_a_floor_is_a_heywood_case_only_where_the_likelihood_falls_from_it(x):
    family = LinearGaussian(floor=1e-9)
    model = LatentVariableModel(Normal(1), family)
    batch = next(iter(ArraySource(x)))
    start = model.start(batch, 1)
    low = replace(start, emission=replace(start.emission, noise=np.full(6, 1e-9)))
    statistics = model.e_step(low, batch).statistics
    told = dict(family.findings(statistics.emission, low.emission))
    slopes = family.score(statistics.emission, low.emission)[-6:]
    assert np.any(slopes > 0)
    for j, slope in enumerate(slopes):
        assert ("the fit started" in told[j]) == (slope > 0)
        assert ("towards zero" in told[j]) == (slope <= 0)
