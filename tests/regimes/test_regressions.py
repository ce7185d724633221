"""Emissions that regress on covariates: against least squares and IRLS by hand, bad input, starts, weights."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.optimize import minimize

from latentem.data import ArraySource, Batch
from latentem.errors import DataError, ParameterError
from latentem.execution import Serial
from latentem.families import (
    Constrained,
    FullGaussian,
    LinearRegression,
    LogisticRegression,
    PerColumn,
    Plate,
    Poisson,
    PoissonRegression,
    Product,
    ZeroInflated,
)
from latentem.families.gaussian_regression import DiagonalRegressionParameters
from latentem.fitting import fit
from latentem.kernels.linear_predictor import solve_normal
from latentem.latents import Categorical, MarkovChain
from latentem.model import LatentVariableModel, Posterior
from latentem.result import EMResult
from latentem.sources import as_source

ONE = Categorical(1)


def alone(family: Any, y: Any, c: Any, **options: Any) -> EMResult:
    """The fit of one component: plain regression."""
    return fit(LatentVariableModel(ONE, family), y, covariates=c, executor=Serial(), tol=1e-12, **options)


def table(n: int = 200, p: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


def with_ones(c: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(c)), c])


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_one_component_is_weighted_least_squares(covariance: str) -> None:
    rng, c = np.random.default_rng(1), table()
    y = with_ones(c) @ rng.normal(size=(3, 2)) + rng.normal(size=(200, 2)) @ np.array([[1.0, 0.7], [0, 0.5]])
    w = rng.uniform(0.2, 2, 200)
    found = alone(LinearRegression(covariance=covariance), y, c, sample_weight=w).parameters.emission
    root = np.sqrt(w)[:, None]
    beta = np.linalg.lstsq(root * with_ones(c), root * y, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients[0], beta.T, rtol=1e-9)
    residuals = y - with_ones(c) @ beta
    expected = (residuals * w[:, None]).T @ residuals / w.sum()
    if covariance == "full":
        np.testing.assert_allclose(found.covariances[0], expected, rtol=1e-9)
    else:
        np.testing.assert_allclose(found.variances[0], np.diag(expected), rtol=1e-9)


def test_intercept_only_is_the_gaussian_itself() -> None:
    x = table(150, 3) @ np.random.default_rng(2).normal(size=(3, 3))
    found = alone(LinearRegression(columns=()), x, None)
    plain = fit(LatentVariableModel(ONE, FullGaussian()), x, executor=Serial())
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(found.parameters.emission.covariances, plain.parameters.emission.covariances, rtol=1e-9)


def test_missing_responses_leave_the_observed_ones_their_own_fit() -> None:
    c, y = table(), table(seed=3)
    y[::3, 1] = np.nan
    found = alone(LinearRegression(covariance="diagonal"), y, c).parameters.emission
    seen = ~np.isnan(y[:, 1])
    beta = np.linalg.lstsq(with_ones(c)[seen], y[seen, 1], rcond=None)[0]
    np.testing.assert_allclose(found.coefficients[0, 1], beta, rtol=1e-8)
    y[4] = np.nan
    with pytest.raises(DataError, match="row 0 misses some of its responses"):
        alone(LinearRegression(), y, c)
    y[::3] = np.nan
    assert alone(LinearRegression(), y, c).converged


def test_a_far_away_covariate_costs_no_digits() -> None:
    """Years and a trend: moments about the fit do not cancel."""
    rng = np.random.default_rng(4)
    years = np.arange(1900.0, 2000.0)
    y = 5 + 1e-3 * (years - 1950) + 1e-4 * rng.normal(size=100)
    found = alone(LinearRegression(floor=0.0), y, years).parameters.emission
    centred = np.polyfit(years - 1950, y, 1)
    assert found.coefficients[0, 0, 1] == pytest.approx(centred[0], rel=1e-8)
    assert found.covariances[0, 0, 0] == pytest.approx(np.var(y - np.polyval(centred, years - 1950)), rel=1e-6)


@pytest.mark.parametrize(
    ("family", "mean", "log_mass"),
    [
        (PoissonRegression(), np.exp, lambda y, eta: y * eta - np.exp(eta)),
        (LogisticRegression(), lambda e: 1 / (1 + np.exp(-e)), lambda y, e: y * e - np.logaddexp(0, e)),
        (
            LogisticRegression(n_trials=5),
            lambda e: 1 / (1 + np.exp(-e)),
            lambda y, e: y * e - 5 * np.logaddexp(0, e),
        ),
    ],
    ids=["poisson", "logistic", "binomial"],
)
def test_one_component_is_the_generalized_linear_model(family: Any, mean: Any, log_mass: Any) -> None:
    rng, c = np.random.default_rng(5), table(300)
    eta = with_ones(c) @ np.array([0.3, 0.8, -0.5])
    draws = {"PoissonRegression": lambda: rng.poisson(np.exp(eta))}
    trials = getattr(family, "n_trials", 1)
    y = draws.get(type(family).__name__, lambda: rng.binomial(trials, mean(eta)))().astype(float)
    best = minimize(lambda b: -log_mass(y, with_ones(c) @ b).sum(), np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    result = alone(family, y, c)
    assert result.converged
    np.testing.assert_allclose(result.parameters.emission.coefficients[0, 0], best.x, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_a_covariate_do_not_matter(scale: float) -> None:
    rng, c = np.random.default_rng(6), table(300, 1)
    y = rng.poisson(np.exp(0.5 + 0.7 * c[:, 0])).astype(float)
    plain, other = alone(PoissonRegression(), y, c), alone(PoissonRegression(), y, scale * c)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)
    assert other.n_iter == pytest.approx(plain.n_iter, abs=2)


@pytest.mark.parametrize(
    ("family", "draw"),
    [
        (LinearRegression(), lambda rng, mean: rng.normal(mean)),
        (PoissonRegression(), lambda rng, mean: rng.poisson(np.exp(0.3 * mean)).astype(float)),
        (LogisticRegression(), lambda rng, mean: (rng.random(len(mean)) < 1 / (1 + np.exp(-mean))).astype(float)),
    ],
    ids=["linear", "poisson", "logistic"],
)
def test_collinear_covariates_are_told_and_change_no_likelihood(family: Any, draw: Any) -> None:
    rng, c = np.random.default_rng(7), table(200, 1)
    y = draw(rng, 1 + 2 * c[:, 0])
    plain = alone(family, y, c)
    both = alone(family, y, np.hstack([c, 3 - 2 * c]))
    assert both.converged
    assert both.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    assert any("collinear" in finding.message for finding in both.findings)
    assert not any("collinear" in finding.message for finding in plain.findings)


def test_separated_successes_end_at_a_finite_place_and_are_told() -> None:
    c = np.linspace(-2, 2, 60)
    result = alone(LogisticRegression(), (c > 0.1).astype(float), c, max_iter=200)
    assert np.isfinite(result.parameters.emission.coefficients).all()
    assert any("separate" in finding.message for finding in result.findings)
    zeros = alone(PoissonRegression(), np.zeros(60), c, max_iter=200)
    assert np.isfinite(zeros.parameters.emission.coefficients).all()
    assert any("all its counts are zeros" in finding.message for finding in zeros.findings)


def test_regressions_and_plain_columns_stand_side_by_side() -> None:
    rng, c = np.random.default_rng(8), table(300, 2)
    z = np.arange(300) // 50 % 2
    y = np.where(z, 3 + 2 * c[:, 0], -3 - c[:, 0]) + 0.3 * rng.normal(size=300)
    counts = rng.poisson(np.where(z, 1.0, 6.0))
    family = Product(((LinearRegression(columns=(0,)), (0,)), (Poisson(), (1,))))
    model = LatentVariableModel(MarkovChain(2), family)
    x = np.column_stack([y, counts])
    result = fit(model, x, covariates=c, lengths=[300], random_state=0, executor=Serial())
    order = np.argsort(result.parameters.emission.parts[0].coefficients[:, 0, 0])
    found = result.parameters.emission.parts[0].coefficients[order, 0]
    np.testing.assert_allclose(found, [[-3, -1], [3, 2]], atol=0.1)
    given = Batch(np.zeros((300, 1)), covariates=c)
    assert model.sample_given(result.parameters, np.zeros(300, int), given, rng).shape == (300, 2)


@pytest.mark.parametrize(
    "family",
    [ZeroInflated(PoissonRegression()), PerColumn(PoissonRegression()), Plate(PoissonRegression())],
    ids=["zero-inflated", "per column", "plate"],
)
def test_wrappers_hand_the_covariates_on(family: Any) -> None:
    rng, c = np.random.default_rng(9), table(120, 1)
    y = rng.poisson(np.exp(1 + 0.5 * c)).astype(float)
    lengths = [4] * 30 if family.per_group else None
    result = alone(family, y, c, lengths=lengths)
    assert result.converged
    given = next(iter(ArraySource(y, covariates=c)))
    drawn = family.sample_given(result.parameters.emission, np.zeros(120, int), given, rng)
    assert drawn.shape == (120, 1)


def test_tied_variances_are_pooled_in_closed_form() -> None:
    rng, c = np.random.default_rng(10), table(200, 1)
    family = Constrained(LinearRegression(covariance="diagonal"), tied=("variances",))
    start = family.constrain(
        DiagonalRegressionParameters(np.array([[[2.0, 1.0]], [[-2.0, 1.0]]]), np.array([[1.0], [2.0]]))
    )
    y = np.where(np.arange(200) % 2, 2.0, -2.0)[:, None] + c + rng.normal(size=(200, 1))
    posterior = np.eye(2)[(np.arange(200) + 1) % 2].T
    updated = family.maximize(family.statistics(Batch(y, covariates=c), Posterior(posterior), start), start)
    assert updated.variances[0] == updated.variances[1]
    residuals = [
        y[i::2] - with_ones(c[i::2]) @ updated.coefficients[k].T for k, i in ((0, 1), (1, 0))
    ]
    assert updated.variances[0, 0] == pytest.approx(np.mean(np.square(residuals)), rel=1e-12)


def test_frames_name_their_covariates() -> None:
    pandas = pytest.importorskip("pandas")
    c, rng = table(80, 2), np.random.default_rng(11)
    y = 1 + c @ np.array([2.0, -1.0]) + 0.1 * rng.normal(size=80)
    frame = pandas.DataFrame({"a": c[:, 0], "y": y, "b": c[:, 1]})
    by_name = alone(LinearRegression(), frame, ["a", "b"])
    apart = alone(LinearRegression(), y, c)
    assert by_name.log_likelihood == pytest.approx(apart.log_likelihood, rel=1e-12)
    assert as_source(frame, covariates="a").names == ("y", "b")
    mapping = alone(LinearRegression(), {"y": y, "a": c[:, 0], "b": c[:, 1]}, ["a", "b"])
    assert mapping.log_likelihood == pytest.approx(apart.log_likelihood, rel=1e-12)
    beside = alone(LinearRegression(), y, frame[["a", "b"]])
    assert beside.log_likelihood == pytest.approx(apart.log_likelihood, rel=1e-12)
    with pytest.raises(DataError, match="there is no column 'z'; the data have 'a', 'y', 'b'"):
        alone(LinearRegression(), frame, ["z"])
    with pytest.raises(DataError, match="all columns are covariates"):
        alone(LinearRegression(), frame, ["a", "b", "y"])


def test_groups_put_together_take_their_covariates_along() -> None:
    c, keys = table(60, 1), np.tile([0, 1, 2], 20)
    y = 10.0 * keys + c[:, 0]
    batch = next(iter(as_source(y, covariates=c, groups=keys)))
    np.testing.assert_allclose(batch.values[:, 0] - batch.covariates[:, 0], np.repeat([0.0, 10, 20], 20), atol=1e-12)


def test_missing_covariates_are_asked_for() -> None:
    with pytest.raises(DataError, match=r"LinearRegression conditions on covariates.*covariates=C"):
        alone(LinearRegression(), table(10, 1), None)
    with pytest.raises(DataError, match="column 3 of the covariates"):
        alone(PoissonRegression(columns=(3,)), np.ones(10), table(10))
    with pytest.raises(DataError, match=r"row 2, column 'x0' holds 1.5"):
        alone(PoissonRegression(), np.array([1, 2, 1.5]), table(3))
    with pytest.raises(DataError, match="whole numbers from 0 to 1; row 1"):
        alone(LogisticRegression(), np.array([1, 2, 1.0]), table(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearRegression(covariance="tied"), "covariance must be one of full, diagonal"),
        (lambda: LinearRegression(floor=-1), "variance floor"),
        (lambda: LinearRegression(columns=(-1,)), "different whole numbers"),
        (lambda: PoissonRegression(columns=(), intercept=False), "neither covariates nor an intercept"),
        (lambda: LogisticRegression(n_trials=0), "n_trials must be a whole number of at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def every(y: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every response with every linear predictor."""
    return np.repeat(y[:, None], len(eta), axis=1), np.tile(eta, (len(y), 1))


@pytest.mark.parametrize("trials", [1, 7, 100_000])
def test_densities_against_fifty_digits(trials: int) -> None:
    eta = np.array([-290.0, -30.0, -3.7, -1e-3, 0.0, 0.4, 5.0, 11.5, 14.0, 20.7])
    counts = np.array([0.0, 1.0, 6.0, 7.0, 99_999.0, 100_000.0, 1e9])
    own = counts[counts <= trials]
    got = {
        "poisson": PoissonRegression().log_pdf(*every(counts, eta)),
        "binomial": LogisticRegression(n_trials=trials).log_pdf(*every(own, eta)),
    }
    with mp.workdps(50):
        for j, e in enumerate(map(mp.mpf, eta)):
            poisson = [y * e - mp.exp(e) - mp.loggamma(y + 1) for y in map(mp.mpf, counts)]
            binomial = [
                y * e - trials * mp.log1p(mp.exp(e)) + mp.log(mp.binomial(trials, y)) for y in map(mp.mpf, own)
            ]
            for name, exact in (("poisson", poisson), ("binomial", binomial)):
                for one, wanted in zip(got[name][:, j], exact, strict=True):
                    assert abs(mp.mpf(float(one)) - wanted) <= 1e-13 * max(1, abs(wanted), abs(e)), (name, e, wanted)


def test_least_norm_solutions_of_singular_systems() -> None:
    gram = np.array([[4.0, 2.0, 0], [2, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(gram @ solve_normal(gram, np.array([8.0, 4, 0])), [8, 4, 0], atol=1e-12)
