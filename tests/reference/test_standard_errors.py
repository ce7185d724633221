"""Published standard errors, and those of numerical Hessians of the marginal likelihood, come out."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.cases import case, fit_tightly, start

from latentem.families import Constrained, LinearRegression, PoissonRegression, ZeroInflated
from latentem.families.multinomial import Multinomial, MultinomialParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.truncated import Truncated
from latentem.families.von_mises_fisher import VonMisesFisher, VonMisesFisherParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel
from latentem.result import EMResult

pytest.importorskip("jax", reason="examples of declared models need JAX")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SAME_MATRIX = ("oakes", "louis", "sem")
TWO = Categorical(2)


@cache
def example(name: str) -> EMResult:
    """The fit of an example of the documentation."""
    result: EMResult = runpy.run_path(str(EXAMPLES / f"{name}.py"))["result"]
    return result


def agree(found: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected), rtol=tolerance)


@cache
def death_notices() -> EMResult:
    known = case("poisson_mixture_london_times")
    deaths, days = known.columns("deaths"), known.columns("days")[:, 0]
    begin = start([0.4, 0.6], PoissonParameters(np.array([[1.0], [3.0]])))
    return fit_tightly(LatentVariableModel(TWO, Poisson()), deaths, sample_weight=days, parameters=begin)


@pytest.mark.parametrize(("method", "tolerance"), [("oakes", 1e-6), ("louis", 1e-5), ("sem", 1e-5)])
def test_death_notices(method, tolerance):
    """Hasselblad (1969): the slowest direction lacks 99.6 % of its information."""
    expected = case("poisson_mixture_london_times").expected["se_observed_information"]
    errors = death_notices().standard_errors(method)
    agree(errors.errors[[0, 2, 3]], expected, tolerance)


def test_death_notices_as_other_packages_print_them():
    printed = case("poisson_mixture_london_times").record["published"]["turboEM_vignette_from_(.5,1,3)"]["stderror"]
    agree(death_notices().standard_errors().errors[[0, 2, 3]], printed, 1e-3)


@pytest.mark.parametrize("method", SAME_MATRIX)
def test_genetic_linkage(method):
    """Louis (1982): 435.3 - 57.8 = 377.5; Meng and Rubin (1991)."""
    known = case("dlr_genetic_linkage")
    errors = example("genetic_linkage").standard_errors(method)
    agree(errors["t"], known.expected["standard_error"], 1e-6)
    agree(errors["t"] ** -2, 377.5, 1e-4)


def test_blood_groups():
    expected = case("abo_peptic_ulcer").expected["se_A_B_O_observed_information"]
    agree(example("blood_groups").standard_errors().errors, expected, 1e-6)


@pytest.mark.parametrize("method", SAME_MATRIX)
def test_two_coins(method):
    known = case("two_coin_do_batzoglou")
    heads, tosses = known.columns("heads", "tosses").T
    begin = start([0.5, 0.5], MultinomialParameters(np.array([[0.6, 0.4], [0.5, 0.5]])))
    model = LatentVariableModel(Categorical(2, fixed=(0, 1)), Multinomial())
    result = fit_tightly(model, np.stack([heads, tosses - heads], axis=1), parameters=begin)
    errors = result.standard_errors(method)
    agree(errors.errors[[2, 4]], known.expected["se_observed_information"], 1e-6)
    assert np.isnan(errors.errors[:2]).all()


def test_cholera():
    known = case("truncated_poisson_mckendrick_cholera")
    cases, houses = known.columns("cases_in_household", "households").T
    model = LatentVariableModel(Categorical(1), Truncated(Poisson(), low=1))
    result = fit_tightly(model, cases[cases > 0], sample_weight=houses[cases > 0])
    agree(result.standard_errors().errors[-1], known.expected["se"], 1e-6)


def test_turtles():
    known = case("vonmises_mixture_turtles").expected["free"]
    degrees = np.radians(case("vonmises_mixture_turtles").columns("degrees")[:, 0])
    toward = np.radians(np.array([240.0, 60.0]))
    begin = start([0.5, 0.5], VonMisesFisherParameters(3 * np.stack([np.cos(toward), np.sin(toward)], axis=1)))
    x = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    errors = fit_tightly(LatentVariableModel(TWO, VonMisesFisher()), x, parameters=begin).standard_errors()

    def published(theta: Any) -> Any:
        natural = theta.emission.directions * theta.emission.concentrations[:, None]
        angles = np.arctan2(natural[:, 1], natural[:, 0])
        weight = theta.latent.weights[0]
        return np.concatenate([[np.log(weight / (1 - weight))], angles, np.log(theta.emission.concentrations)])

    agree(errors.of(published).error, known["se_(logit p,mu1,mu2 rad,log k1,log k2)"], 1e-5)


def test_articles_by_students():
    known = case("zip_biochemists")
    model = LatentVariableModel(Categorical(1), ZeroInflated(Poisson()))
    errors = fit_tightly(model, known.columns("art")).standard_errors()

    def published(theta: Any) -> Any:
        share = theta.emission.inflation[0]
        return np.array([np.log(theta.emission.base.rates[0, 0]), np.log(share / (1 - share))])

    agree(errors.of(published).error, known.expected["zip_intercepts"]["se"], 1e-6)
    agree(errors.of(published).error, known.expected["pscl"]["zip_intercepts"]["se"], 1e-5)


def of_lines(theta: Any) -> Any:
    """Coefficients, log-odds against the first component, and log σ, as the cases have them."""
    weights, emission = theta.latent.weights, theta.emission
    spread = getattr(emission, "variances", None)
    logs = np.empty(0) if spread is None else 0.5 * np.log(np.ravel(spread))
    return np.concatenate([np.ravel(emission.coefficients), [np.log(weights[1] / weights[0])], logs])


def in_the_case_s_order(theta: Any, coefficients: Any) -> bool:
    found = theta.emission.coefficients[:, 0]
    return bool(np.abs(found - coefficients).max() < np.abs(found[::-1] - coefficients).max())


def error_of_lines(result: EMResult, coefficients: Any) -> Any:
    """The errors in the case's order of components."""
    errors = np.asarray(result.standard_errors().of(of_lines).error)
    if in_the_case_s_order(result.parameters, np.array(coefficients)):
        return errors
    p = result.parameters.emission.coefficients.shape[-1]
    lines, odds, logs = errors[: 2 * p].reshape(2, p)[::-1].ravel(), errors[2 * p : 2 * p + 1], errors[2 * p + 1 :]
    return np.concatenate([lines, odds, logs[::-1]])


@pytest.mark.parametrize(
    ("name", "which", "columns", "family"),
    [
        ("mixreg_tonedata", "k2", ("tuned", "stretchratio"), LinearRegression(covariance="diagonal")),
        ("mixreg_npreg_gaussian", "gaussian_quadratic_k2", ("yn", "x"), LinearRegression(covariance="diagonal")),
        ("mixreg_npreg_gaussian", "poisson_k2", ("yp", "x"), PoissonRegression()),
    ],
)
def test_mixtures_of_regressions(name, which, columns, family):
    known = case(name)
    y, x = (known.columns(column) for column in columns)
    covariates = np.hstack([x, x**2]) if "quadratic" in which else x
    result = fit_tightly(LatentVariableModel(TWO, family), y, covariates=covariates, random_state=0)
    expected = known.expected[which]
    agree(error_of_lines(result, expected["component_coefficients"]), expected["se_all"], 1e-4)


def test_two_lines_with_one_variance():
    known = case("mixreg_tonedata")
    family = Constrained(LinearRegression(covariance="diagonal"), tied=("variances",))
    model = LatentVariableModel(TWO, family)
    result = fit_tightly(model, known.columns("tuned"), covariates=known.columns("stretchratio"), random_state=0)
    expected = known.expected["k2_equal_sigma"]
    errors = error_of_lines(result, expected["beta"])
    agree(errors[:6], expected["se_all"], 1e-4)


def test_lives_that_were_cut_short():
    known = case("censored_motorette").expected["direct"]
    errors = example("censored_normal").standard_errors()
    agree([errors["a"], errors["b"], errors["log scale"]], [*known["se_coef"], known["se_log_sigma"]], 1e-4)


def test_students_of_economics():
    expected = case("probit_spector_mazzeo").expected["se_observed_information"]
    agree(example("probit").standard_errors().errors, expected, 1e-4)


def test_questions_of_an_admission_test():
    known = case("irt_lsat6").expected["two_pl_exact_quadrature"]
    errors = example("item_response").standard_errors().errors
    agree(errors, [*known["se_intercept"], *known["se_slope"]], 1e-4)
