"""Mixtures of regressions: tone perception (Cohen 1980; De Veaux 1989), and the data NPreg of flexmix (Leisch 2004)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.cases import Case, case, fit_tightly, near, within

from latentem.families import Constrained, LinearRegression, PoissonRegression, ZeroInflated
from latentem.latents import Categorical
from latentem.model import LatentVariableModel
from latentem.result import EMResult

TONES, NPREG = case("mixreg_tonedata"), case("mixreg_npreg_gaussian")
TWO = Categorical(2)


def best(family: Any, y: np.ndarray, covariates: np.ndarray, *, seed: int = 0) -> EMResult:
    """From the default start."""
    model = LatentVariableModel(TWO, family)
    return fit_tightly(model, y, covariates=covariates, random_state=seed)


def assert_is(result: EMResult, known: Case, expected: Any) -> None:
    """The log-likelihood, and the coefficients in either order of the components."""
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    found = result.parameters.emission.coefficients[:, 0]
    wanted = np.array(expected.get("component_coefficients", expected.get("beta")))
    order = [0, 1] if np.abs(found - wanted).max() < np.abs(found[::-1] - wanted).max() else [1, 0]
    within(known.tolerance["coefficients"])(found[order], wanted)
    if "weights" in expected:
        within(known.tolerance["coefficients"])(result.parameters.latent.weights[order], expected["weights"])
    if "sigma" in expected:
        variances = getattr(result.parameters.emission, "variances", None)
        variances = result.parameters.emission.covariances[:, 0] if variances is None else variances
        within(known.tolerance["coefficients"])(np.sqrt(variances[order, 0]), expected["sigma"])


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_two_lines_in_tone_perception(covariance: str) -> None:
    result = best(LinearRegression(covariance=covariance), TONES.columns("tuned"), TONES.columns("stretchratio"))
    assert_is(result, TONES, TONES.expected["k2"])


def test_two_lines_with_one_variance() -> None:
    family = Constrained(LinearRegression(covariance="diagonal"), tied=("variances",))
    result = best(family, TONES.columns("tuned"), TONES.columns("stretchratio"))
    assert_is(result, TONES, TONES.expected["k2_equal_sigma"])


def test_a_line_and_a_parabola() -> None:
    x = NPREG.columns("x")
    result = best(LinearRegression(), NPREG.columns("yn"), np.hstack([x, x**2]))
    assert_is(result, NPREG, NPREG.expected["gaussian_quadratic_k2"])


def test_two_log_linear_rates() -> None:
    result = best(PoissonRegression(), NPREG.columns("yp"), NPREG.columns("x"))
    assert_is(result, NPREG, NPREG.expected["poisson_k2"])


def test_a_zero_inflated_poisson_regression() -> None:
    """Articles by 915 biochemistry students (Long 1990), with constant inflation (R pscl)."""
    known = case("zip_biochemists")
    expected = known.expected["zip_constant_inflation"]
    text = {"fem": "Women", "mar": "Married"}
    c = np.column_stack([indicator(known, name, level) for name, level in text.items()])
    c = np.hstack([c, known.columns("kid5", "phd", "ment")])
    model = LatentVariableModel(Categorical(1), ZeroInflated(PoissonRegression()))
    result = fit_tightly(model, known.columns("art"), covariates=c)
    found = result.parameters.emission
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    within(known.tolerance["coef"])(found.base.coefficients[0, 0], expected["count"])
    within(known.tolerance["coef"])(np.log(found.inflation / (1 - found.inflation)), expected["zero"])


def indicator(known: Case, column: str, level: str) -> np.ndarray:
    """1 where a column of text or numbers has this level."""
    import csv

    with (known.folder / "data.csv").open(newline="", encoding="utf-8") as stream:
        return np.array([float(row[column] in (level, "1")) for row in csv.DictReader(stream)])
