"""Latent class analysis of four tables of response patterns with their frequencies (R poLCA)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from reference.cases import Case, case, fit_tightly, near, start, within

from latentem.estimators import LatentClassAnalysis
from latentem.execution import Serial
from latentem.families.categorical import CategoricalColumns, CategoryParameters, ColumnProbabilities
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

CLASSES = [
    *(("lca_carcinoma", k) for k in (1, 2, 3, 4)),
    *(("lca_values", k) for k in (1, 2, 3)),
    *(("lca_cheating", k) for k in (1, 2)),
    *(("lca_gss82", k) for k in (1, 2, 3)),
]
# Three classes of values have as many parameters as there are patterns less two: a ridge that takes thousands of steps.
FREE_STARTS = [pair for pair in CLASSES if pair != ("lca_values", 3)]
ROUNDED = "start_to_reach_it_(rounded_solution)"


@cache
def table(name: str) -> tuple[Case, np.ndarray, np.ndarray, CategoricalColumns]:
    """The case, its patterns coded from 0, their frequencies, and the family with as many categories as there are."""
    known = case(name)
    items = tuple(known.expected["classes_1"]["probs"])
    x = known.columns(*items) - 1
    return known, x, known.columns("freq")[:, 0], CategoricalColumns(tuple(int(top) + 1 for top in x.max(axis=0)))


def begin_at(shares: Any, probabilities: Any, added: float = 0.0) -> Any:
    """A start at a published solution; printed digits are made to add to one, and `added` keeps zeros open."""
    columns = [np.asarray(column, float) + added for column in probabilities]
    shares = np.atleast_1d(np.asarray(shares, float))
    parts = (ColumnProbabilities(column / column.sum(axis=1, keepdims=True)) for column in columns)
    return start(shares / shares.sum(), CategoryParameters(tuple(parts)))


@pytest.mark.parametrize(("name", "k"), CLASSES)
def test_the_published_solution_is_a_maximum_of_the_same_height(name, k):
    known, x, freq, family = table(name)
    expected, tolerance = known.expected[f"classes_{k}"], known.tolerance
    begin = begin_at(expected["P"], expected["probs"].values())
    result = fit_tightly(LatentVariableModel(Categorical(k), family), x, sample_weight=freq, parameters=begin)
    same = within(tolerance["probabilities"])
    assert result.log_likelihood == near(expected["loglik"], tolerance["loglik"])
    assert result.n_parameters == expected["npar"]
    assert result.aic == near(expected["aic"], 2 * tolerance["loglik"])
    assert result.bic == near(expected["bic"], 2 * tolerance["loglik"])
    same(result.parameters.latent.weights, np.atleast_1d(expected["P"]))
    for column, published in zip(result.parameters.emission.columns, expected["probs"].values(), strict=True):
        same(column.probabilities, published)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "k"), FREE_STARTS)
def test_free_starts_reach_at_least_the_published_maximum(name, k, seed):
    known, x, freq, family = table(name)
    options = {"n_init": 8, "tol": 1e-7, "max_iter": 5000, "acceleration": "squarem", "executor": Serial()}
    model = LatentVariableModel(Categorical(k), family)
    result = fit(model, x, sample_weight=freq, init="random", random_state=seed, **options)
    assert result.converged
    assert result.log_likelihood >= known.expected[f"classes_{k}"]["loglik"] - known.tolerance["loglik"]


@pytest.mark.parametrize("number", range(5))
def test_each_of_the_five_maxima_is_reached_from_its_rounded_solution(number):
    known, x, freq, family = table("lca_gss82")
    expected = known.expected["classes_3"]["stationary_values_found_here"][number]
    begin = begin_at(expected[ROUNDED]["pi"], expected[ROUNDED]["probs"], added=1e-3)
    result = fit_tightly(LatentVariableModel(Categorical(3), family), x, sample_weight=freq, parameters=begin)
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    shares = np.sort(result.parameters.latent.weights)[::-1]
    within(known.tolerance["probabilities"])(shares, expected["class_shares"])
    height, _, published = known.record["published"]["classes_3_local_maxima_of_500_runs"][number]
    assert result.log_likelihood == near(height, 5.1e-4)
    within(2e-3)(shares, np.sort(published)[::-1])


@pytest.mark.parametrize("number", range(2))
def test_both_maxima_of_three_carcinoma_classes_are_reached(number):
    known, x, freq, family = table("lca_carcinoma")
    expected = known.expected["classes_3"]["stationary_values_found_here"][number]
    begin = begin_at(expected[ROUNDED]["pi"], expected[ROUNDED]["probs"])
    result = fit_tightly(LatentVariableModel(Categorical(3), family), x, sample_weight=freq, parameters=begin)
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    shares = np.sort(result.parameters.latent.weights)[::-1]
    within(known.tolerance["probabilities"])(shares, expected["class_shares"])


@pytest.mark.parametrize(("name", "k"), [pair for pair in FREE_STARTS if pair[1] > 1])
def test_the_estimator_as_it_comes_reaches_the_published_maximum(name, k):
    known, _, freq, _ = table(name)
    expected, tolerance = known.expected[f"classes_{k}"], known.tolerance["loglik"]
    answers = known.columns(*known.expected["classes_1"]["probs"])
    reached = 0
    for seed in range(3):
        fitted = LatentClassAnalysis(k, random_state=seed).fit(answers, sample_weight=freq)
        result = fitted.result_
        reached += result.log_likelihood >= expected["loglik"] - tolerance - 2 * result.remaining_gain
    assert reached >= 2
