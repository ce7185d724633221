"""Five anaesthetists classify 45 patients, one of them three times (Dawid and Skene 1979): a mixture over groups."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from reference.cases import Case, case, em_steps, fit_tightly, log_likelihoods, near, within

from latentem.data import ArraySource, Batch
from latentem.execution import Serial
from latentem.families.categorical import CategoricalColumns
from latentem.families.plate import Plate
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.model import LatentVariableModel, ModelParameters, ModelStatistics, Posterior

N_CLASSES, N_OBSERVERS, N_RATINGS = 4, 5, 7
MODEL = LatentVariableModel(Categorical(N_CLASSES), Plate(CategoricalColumns((N_CLASSES,) * N_OBSERVERS)))


@cache
def ratings() -> tuple[Case, ArraySource, np.ndarray]:
    """The case; a group of rows for each patient, a column for each observer, NaN beside the repeats of the first; and
    the shares (K, patients) of the ratings that a patient got."""
    known = case("dawid_skene_anaesthesia")
    long = known.columns("item", "rater", "rating").astype(int) - 1
    repeats = max(Counter(map(tuple, long[:, :2].tolist())).values())
    n_patients = int(long[:, 0].max()) + 1
    values = np.full((n_patients, repeats, N_OBSERVERS), np.nan)
    shares = np.zeros((N_CLASSES, n_patients))
    seen: Counter[tuple[int, int]] = Counter()
    for patient, observer, rating in long.tolist():
        values[patient, seen[patient, observer], observer] = rating
        shares[rating, patient] += 1 / N_RATINGS
        seen[patient, observer] += 1
    return known, ArraySource(values.reshape(-1, N_OBSERVERS), lengths=[repeats] * n_patients), shares


def whole(source: ArraySource) -> Batch:
    (batch,) = source
    return batch


def majority_start() -> ModelParameters:
    """The M-step from the shares of each patient's ratings, as the paper starts."""
    _, source, shares = ratings()
    batch, posterior = whole(source), Posterior(shares)
    rough = ModelParameters(MODEL.latent.start(), MODEL.family.start(batch, N_CLASSES))
    statistics = ModelStatistics(
        MODEL.latent.statistics(posterior, batch), MODEL.family.statistics(batch, posterior, rough.emission)
    )
    return MODEL.m_step(statistics, rough)


def test_em_takes_the_same_steps():
    known, source, _ = ratings()
    expected = known.expected["from_majority_start"]["loglik_trace_first_15"]
    within(1e-10)(log_likelihoods(em_steps(MODEL, source, majority_start(), len(expected) - 1)), expected)


def test_em_reaches_the_published_maximum():
    known, source, _ = ratings()
    expected = known.expected["from_majority_start"]
    result = fit_tightly(MODEL, source, parameters=majority_start())
    same = within(known.tolerance["marginals"])
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    same(result.parameters.latent.weights, expected["class_marginals"])
    within(0.005)(result.parameters.latent.weights, known.record["published"]["marginals"])
    for observer, rates in enumerate(expected["error_rates_rater_true_given"]):
        same(result.parameters.emission.columns[observer].probabilities, rates)
    same(MODEL.infer(result.parameters, whole(source))[0].probabilities.T, expected["posterior"])


@pytest.mark.parametrize("seed", [0, 1])
def test_free_starts_reach_at_least_the_published_maximum(seed):
    known, source, _ = ratings()
    options = {"init": "random", "n_init": 20, "tol": 1e-7, "executor": Serial()}
    result = fit(MODEL, source, random_state=seed, **options)
    assert result.converged
    assert result.log_likelihood >= known.expected["from_majority_start"]["loglik"] - known.tolerance["loglik"]


def test_the_published_maximum_is_not_the_highest():
    """The case knows higher ones from random starts."""
    known, source, _ = ratings()
    published = known.expected["from_majority_start"]["loglik"]
    highest = known.expected["random_starts_best_logliks"][0]["loglik"]
    result = fit(MODEL, source, init="random", n_init=20, tol=1e-7, random_state=2, executor=Serial())
    assert result.log_likelihood > published + 0.01
    assert highest > published
