"""Sequences and factors: what cannot be fitted is refused, the place is named, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bad_input.specimens import quiet

from latentem import estimators as es
from latentem.errors import LatentemError

RNG = np.random.default_rng(3)
N = 40
STATES = np.repeat([0, 1, 0, 1], 10)
REALS = RNG.normal(size=(N, 2)) + 4.0 * STATES[:, None]
COUNTS = RNG.poisson(3.0 + 9.0 * STATES[:, None], (N, 2)).astype(float)
SYMBOLS = ((STATES + (RNG.random(N) < 0.2)) % 2)[:, None]
FACTORS = RNG.normal(size=(N, 1)) @ np.ones((1, 4)) + RNG.normal(size=(N, 4))
# How each is made, and a table that suits it.
ESTIMATORS: dict[str, tuple[Callable[[], Any], Any]] = {
    "GaussianHMM": (lambda: es.GaussianHMM(2, random_state=0), REALS),
    "GMMHMM": (lambda: es.GMMHMM(2, 2, random_state=0), REALS),
    "StudentTHMM": (lambda: es.StudentTHMM(2, random_state=0), REALS),
    "PoissonHMM": (lambda: es.PoissonHMM(2, random_state=0), COUNTS),
    "MultinomialHMM": (lambda: es.MultinomialHMM(2, random_state=0), COUNTS),
    "CategoricalHMM": (lambda: es.CategoricalHMM(2, random_state=0), SYMBOLS),
    "HiddenMarkovModel": (lambda: es.HiddenMarkovModel("poisson", 2, random_state=0), COUNTS),
    "FactorAnalysis": (lambda: es.FactorAnalysis(1), FACTORS),
    "ProbabilisticPCA": (lambda: es.ProbabilisticPCA(1), FACTORS),
    "LinearGaussianStateSpace": (lambda: es.LinearGaussianStateSpace(1, max_iter=30), REALS),
}
EVERY = list(ESTIMATORS)


def made(name: str) -> Any:
    return ESTIMATORS[name][0]()


def refused(name: str, X: Any, told: str, **options: Any) -> None:
    """Refused with an error of ours before and after a fit, which leaves everything as it was."""
    with quiet():
        fitted = made(name).fit(ESTIMATORS[name][1])
    for estimator in (made(name), fitted):
        before = dict(vars(estimator))
        with pytest.raises(LatentemError, match=told):
            estimator.fit(X, **options)
        assert set(vars(estimator)) == set(before)
        assert all(vars(estimator)[key] is value for key, value in before.items())


def test_every_estimator_is_tested_here_or_among_the_mixtures():
    others = {
        name
        for name in es.__all__
        if hasattr(getattr(es, name), "fit") and not name.endswith(("Mixture", "MixtureModel", "ClassAnalysis"))
    }
    assert others == set(ESTIMATORS)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(0, 2), (5, 0), (0, 0)])
def test_empty_data_are_refused(name, shape):
    refused(name, np.empty(shape), r"0 (sample|feature|row)|minimum of 1|at least one|one row|empty|x 0|0 x")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_entry_is_refused_by_its_row(name, value):
    X = ESTIMATORS[name][1].astype(float)
    X[7, 0] = value
    refused(name, X, r"row 7\b|infinity|negative|Negative")


@pytest.mark.parametrize("name", EVERY)
def test_text_is_refused_by_its_place(name):
    X = pd.DataFrame(ESTIMATORS[name][1], columns=[f"c{j}" for j in range(ESTIMATORS[name][1].shape[1])])
    X["c0"] = X["c0"].astype(object)
    X.loc[5, "c0"] = "five"
    refused(name, X, r"row 5, column 'c0' holds 'five'|column 'c0' holds the text 'five'|'five'")


@pytest.mark.parametrize("name", EVERY)
def test_data_with_too_many_axes_are_refused(name):
    refused(name, np.ones((3, 2, 2)), r"dim|2D|shape|axes|array")


@pytest.mark.parametrize("name", EVERY)
def test_complex_numbers_are_refused(name):
    refused(name, ESTIMATORS[name][1] + 1j, r"[Cc]omplex")


@pytest.mark.parametrize("name", [name for name in EVERY if "HMM" in name or "Markov" in name])
@pytest.mark.parametrize(
    ("lengths", "told"),
    [
        ([10, 10], "add up to 20"),
        ([40, 0], "at least one row"),
        ([20.5, 19.5], "whole"),
        ([-1, 41], "at least one row"),
    ],
)
def test_lengths_that_are_none_are_refused(name, lengths, told):
    refused(name, ESTIMATORS[name][1], told, lengths=lengths)


@pytest.mark.parametrize("name", EVERY)
def test_new_data_of_another_width_are_refused(name):
    with quiet():
        fitted = made(name).fit(ESTIMATORS[name][1])
    wide = np.hstack([ESTIMATORS[name][1]] * 3)
    with pytest.raises(ValueError, match=r"feature|column|shape"):
        fitted.score(wide)
