"""Chains of stays: durations of three kinds, what a cut-off stay counts, and what users are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zoo

from latentem.data import ArraySource, Batch
from latentem.errors import ParameterError
from latentem.execution import Serial
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.fitting import fit
from latentem.kernels.derivatives import gradient
from latentem.latents import SemiMarkovChain
from latentem.latents.durations import (
    KINDS,
    FreeDurations,
    NegativeBinomialDurations,
    PoissonDurations,
)
from latentem.latents.semi_markov_chain import SemiMarkovParameters
from latentem.model import LatentVariableModel, ModelParameters

LONGEST = 25
EXAMPLES: dict[str, Any] = {
    "free": FreeDurations(zoo.shares(2, LONGEST)),
    "poisson": PoissonDurations(np.array([3.0, 8.0])),
    "negative-binomial": NegativeBinomialDurations(np.array([3.0, 6.0]), np.array([1.5, 4.0])),
}


def counts(kind: str, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Stays drawn from the example's durations; a third of them cut off at random."""
    rng = np.random.default_rng(0)
    table = KINDS[kind].table(EXAMPLES[kind], LONGEST)
    ended, censored = np.zeros((2, LONGEST)), np.zeros((2, LONGEST))
    for k in range(2):
        durations = 1 + rng.choice(LONGEST, n, p=table[k])
        seen = np.where(rng.random(n) < 1 / 3, rng.integers(1, LONGEST + 1, n), LONGEST + 1)
        for duration, until in zip(durations, seen, strict=True):
            (censored if until <= duration else ended)[k, min(duration, until) - 1] += 1
    return ended, censored


@pytest.mark.parametrize("kind", KINDS)
def test_durations_are_found_again_although_a_third_is_cut_off(kind: str) -> None:
    ended, censored = counts(kind)
    found = KINDS[kind].maximize(ended, censored, KINDS[kind].start(2, LONGEST))
    found.check()
    truth = KINDS[kind].table(EXAMPLES[kind], LONGEST)
    mean = truth @ np.arange(1, LONGEST + 1)
    np.testing.assert_allclose(KINDS[kind].table(found, LONGEST) @ np.arange(1, LONGEST + 1), mean, rtol=0.03)
    score = KINDS[kind].score(ended, censored, found)
    np.testing.assert_allclose(score, 0.0, atol=1e-6 * ended.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_of_durations_is_the_gradient_of_q(kind: str) -> None:
    ended, censored = counts(kind, 50)
    law, params = KINDS[kind], EXAMPLES[kind]
    numeric = gradient(lambda v: law.expected_log_density(ended, censored, params.unflatten(v)), params.flatten())
    np.testing.assert_allclose(law.score(ended, censored, params), numeric, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_states_without_stays_keep_their_durations(kind: str) -> None:
    ended, censored = counts(kind, 50)
    ended[1], censored[1] = 0.0, 0.0
    found = KINDS[kind].maximize(ended, censored, EXAMPLES[kind])
    for name, value in found.arrays().items():
        np.testing.assert_allclose(value[1], EXAMPLES[kind].arrays()[name][1], rtol=1e-14)


def test_free_durations_are_the_product_limit_estimate() -> None:
    """Freireich's 21 patients given 6-mercaptopurine, in weeks (Kaplan and Meier 1958 by hand)."""
    ended, censored = np.zeros((1, 36)), np.zeros((1, 36))
    np.add.at(ended[0], np.array([6, 6, 6, 7, 10, 13, 16, 22, 23]) - 1, 1)
    # Cut off in a week: still in remission then, so that the duration is at least one week more.
    np.add.at(censored[0], np.array([6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]), 1)
    found = KINDS["free"].maximize(ended, censored, KINDS["free"].start(1, 36))
    survivors = 1 - np.cumsum(found.probabilities[0])
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {week: round(float(survivors[week - 1]), 3) for week in expected} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted_without_the_diagonal(kind: str) -> None:
    start = SemiMarkovChain(4, 7, kind).start()
    own = {"free": 4 * 6, "poisson": 4, "negative-binomial": 8}[kind]
    assert start.n_free == 3 + 4 * 2 + own
    assert len(start.coordinate_names()) == start.n_free
    assert np.array_equal(np.diag(start.transition), np.zeros(4))
    np.testing.assert_allclose(start.transition.sum(axis=1), 1.0)


def model(kind: str, longest: int = LONGEST) -> tuple[LatentVariableModel, ModelParameters]:
    latent = SemiMarkovChain(2, longest, kind)
    emission = DiagonalGaussianParameters(np.array([[-1.5], [1.5]]), np.ones((2, 1)))
    params = SemiMarkovParameters(np.array([0.5, 0.5]), np.ones((2, 1)), EXAMPLES[kind])
    return LatentVariableModel(latent, DiagonalGaussian()), ModelParameters(params, emission)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_rises_and_passes_the_truth(kind: str) -> None:
    joined, truth = model(kind)
    rng, lengths = np.random.default_rng(1), [200, 30, 170]
    x = np.concatenate([joined.sample(truth, np.zeros(n, int), rng) for n in lengths])
    source = ArraySource(x, lengths=lengths)
    result = fit(joined, source, executor=Serial(), random_state=0)
    assert result.converged
    objective = np.array([value for _, value in result.history])
    assert np.all(np.diff(objective) >= -1e-10 * np.abs(objective[1:]))
    (batch,) = source
    assert result.log_likelihood > joined.e_step(truth, batch).log_likelihood
    weighted = fit(joined, x, lengths=lengths, sample_weight=np.full(400, 2.0), parameters=result.parameters)
    assert weighted.log_likelihood == pytest.approx(2 * result.log_likelihood, rel=1e-6)


def test_samples_have_the_durations(rng: np.random.Generator) -> None:
    latent = SemiMarkovChain(2, LONGEST, "poisson")
    params = SemiMarkovParameters(np.array([1.0, 0.0]), np.ones((2, 1)), EXAMPLES["poisson"])
    path = latent.sample(params, np.array([60_000]), rng)
    changes = np.flatnonzero(np.diff(path)) + 1
    durations, first = np.diff(np.concatenate([[0], changes])), path[np.concatenate([[0], changes[:-1]])]
    for k, mean in enumerate(latent.duration_table(params) @ np.arange(1, LONGEST + 1)):
        own = durations[first == k]
        assert own.mean() == pytest.approx(mean, abs=5 * own.std() / np.sqrt(len(own)))


def test_decoding_finds_stays_that_are_seen(rng: np.random.Generator) -> None:
    joined, truth = model("poisson")
    path = joined.latent.sample(truth.latent, np.array([400]), rng)
    x = joined.family.sample(truth.emission, path, rng)
    density = joined.family.log_density(Batch(x), truth.emission)
    found, log = joined.latent.decode(density, Batch(x), truth.latent)
    assert np.mean(found == path) > 0.93
    assert np.all(log < joined.e_step(truth, Batch(x)).log_likelihood)


def test_stays_at_the_longest_duration_and_states_never_left_are_told() -> None:
    emission = DiagonalGaussianParameters(np.array([[-5.0], [5.0]]), np.ones((2, 1)))
    x = np.repeat([[-5.0], [5.0]] * 4, 6, axis=0)
    joined = LatentVariableModel(SemiMarkovChain(2, 6), DiagonalGaussian())
    start = ModelParameters(joined.latent.start(), emission)
    result = fit(joined, x, lengths=[48], parameters=start)
    assert any("max_duration=6 rows: raise it" in finding.message for finding in result.findings)
    stuck = np.concatenate([np.full((6, 1), -5.0), np.full((5, 1), 5.0)])
    result = fit(joined, stuck, lengths=[11], parameters=start)
    assert any(f.component == 1 and "never left" in f.message for f in result.findings)


def test_a_sequence_longer_than_its_states_can_last_is_named() -> None:
    joined, truth = model("poisson")
    with pytest.raises(Exception, match=r"rows from row 0 on .* no states can have"):
        fit(joined, np.zeros((40, 1)), labels=np.zeros(40, int), lengths=[40], parameters=truth)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((1, 5), "at least two states"),
        ((2, 0), "max_duration must be a whole number of at least 1"),
        ((2, 2.5), "max_duration must be a whole number"),
        ((2, 5, "weibull"), "durations must be one of free, poisson, negative-binomial"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SemiMarkovChain(*options)


def test_durations_of_another_length_are_refused() -> None:
    params = SemiMarkovParameters(np.array([0.5, 0.5]), np.ones((2, 1)), EXAMPLES["free"])
    with pytest.raises(ParameterError, match=r"shape \(2, 25\), expected \(2, 5\)"):
        SemiMarkovChain(2, 5).duration_table(params)
