"""Stepwise EM: steps and averages by hand, the limit it shares with EM, and streams that are read once."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.data import ArraySource
from latentem.errors import DataError, ParameterError
from latentem.families import FullGaussian, LinearGaussian, Poisson, Weibull
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.online import OnlineState, StepSize, additive, stepped
from latentem.result import Status, Step
from latentem.statistics import arrays_of
from latentem.testing import draw

K = 2
FAMILIES = {**zoo.FAMILIES, **zoo.VARIANTS}
ADDITIVE = [name for name, specimen in FAMILIES.items() if specimen.of(K).additive]
EQUAL = StepSize(exponent=1.0)


def problem(family, rng, n=120):
    specimen = FAMILIES[family]
    kind = specimen.of(K)
    batch, _ = draw(kind, specimen.parameters(K), K, rng, n, specimen.n_covariates)
    lengths = batch.group_lengths if kind.per_group else None if specimen.independent else [40, 40, 40]
    model = LatentVariableModel(Categorical(K), kind)
    params = ModelParameters(zoo.LATENTS["Categorical"].parameters(K), specimen.parameters(K))
    return model, model.conform(params), ArraySource(batch.values, lengths=lengths, covariates=batch.covariates)


def counts(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.permutation(np.concatenate([rng.poisson(2.0, n), rng.poisson(9.0, n // 2)]))[:, None]


TWO = LatentVariableModel(Categorical(2), Poisson())


# -- the step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ADDITIVE)
def test_one_batch_is_one_em_step_and_the_same_batch_again_another(family, rng):
    """For with the same s at the θ of the first, S stays what it was."""
    model, start, source = problem(family, rng)
    stepping, batch = additive(model, "online EM"), next(iter(source))
    found = model.e_step(start, batch)
    state = stepped(stepping, OnlineState(start), found, len(batch), step_size=StepSize())
    once = model.m_step(found.statistics, start)
    np.testing.assert_allclose(state.parameters.flatten(), once.flatten(), rtol=1e-7, atol=1e-7)
    options = {"step_size": StepSize(), "most_weight": found.weight}
    again = stepped(stepping, replace(state, parameters=start), found, len(batch), **options)
    np.testing.assert_allclose(again.parameters.flatten(), once.flatten(), rtol=1e-7, atol=1e-7)
    assert (again.step, again.n_rows) == (2, 2 * len(batch))
    assert again.weight == pytest.approx(2 * found.weight)


@pytest.mark.parametrize("family", ADDITIVE)
def test_a_stream_of_the_same_data_is_em(family, rng):
    """γ = 1 in every batch: stepwise EM with batches of all the data is plain EM."""
    model, start, source = problem(family, rng)
    stepping, batch = additive(model, "online EM"), next(iter(source))
    state, plain = OnlineState(start), start
    for _ in range(4):
        found = model.e_step(state.parameters, batch)
        options = {"step_size": lambda t: 1.0, "most_weight": found.weight}
        state = stepped(stepping, state, found, len(batch), **options)
        plain = model.m_step(model.e_step(plain, batch).statistics, plain)
    np.testing.assert_allclose(state.parameters.flatten(), plain.flatten(), rtol=1e-6, atol=1e-6)


def test_equal_steps_weigh_all_batches_alike():
    x = counts()[:900]
    start = em.fit(TWO, x, max_iter=0, random_state=0).parameters
    stepping, state, sums = additive(TWO, "online EM"), OnlineState(start), []
    for part in np.split(x, 3):
        found = TWO.e_step(state.parameters, ArraySource(part).read((0, 300)))
        sums.append(found.statistics)
        state = stepped(stepping, state, found, 300, step_size=EQUAL)
    mean = (sums[0] + sums[1] + sums[2]) * (1 / 900)
    for mine, theirs in zip(arrays_of(state.statistics), arrays_of(mean), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_steps_fall_as_they_say():
    steps = StepSize(0.7, 3.0)
    assert steps(1) == 1
    assert steps(5) == pytest.approx(8**-0.7)
    assert [EQUAL(t) for t in (1, 2, 4)] == [1, 0.5, 0.25]
    assert all(a > b for a, b in pairwise(steps(t) for t in range(1, 50)))


@pytest.mark.parametrize("options", [{"exponent": 0.5}, {"exponent": 1.1}, {"delay": -1.0}, {"delay": np.inf}])
def test_steps_that_do_not_converge_are_refused(options):
    with pytest.raises(ParameterError):
        StepSize(**options)


def test_a_batch_without_weight_changes_nothing():
    x = counts()[:300]
    online = em.OnlineEM(TWO, random_state=0).partial_fit(x)
    before = online.state
    stepping = additive(TWO, "online EM")
    found = TWO.e_step(before.parameters, replace(ArraySource(x).read((0, 300)), weights=np.zeros(300)))
    assert stepped(stepping, before, found, 300, step_size=StepSize()) is before


def test_a_prior_is_weighed_against_all_rows_seen():
    x = counts()[:600]
    model = replace(TWO, prior=Prior(np.array([[50.0]]), np.array([100.0])))
    start = em.fit(TWO, x, random_state=0).parameters
    online = em.OnlineEM(model, parameters=start, step_size=EQUAL)
    after = [online.partial_fit(part).parameters.emission.rates.sum() for part in np.split(x, 6)]
    assert after[0] > after[1] > after[-1]


# -- streams -----------------------------------------------------------------------------------


def test_it_ends_where_em_ends_as_batches_go_on():
    x = counts(20_000)
    best = em.fit(TWO, x, random_state=0)
    found = em.online_fit(TWO, x, batch_rows=300, passes=3, average_from=30, random_state=0)
    assert best.log_likelihood - found.log_likelihood < 0.5
    assert found.status is Status.ONLINE
    assert not found.converged
    np.testing.assert_allclose(
        np.sort(found.parameters.emission.rates[:, 0]), np.sort(best.parameters.emission.rates[:, 0]), rtol=0.01
    )
    assert found.certify is not None


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (LatentVariableModel(MarkovChain(2), Poisson()), {"lengths": [50] * 4}),
        (LatentVariableModel(Categorical(2), FullGaussian()), {}),
        (LatentVariableModel(Normal(1), LinearGaussian()), {}),
    ],
)
def test_models_of_all_kinds_learn_from_streams(model, columns):
    rng = np.random.default_rng(1)
    d = 1 if columns else 3
    states = np.repeat(rng.integers(2, size=400), 25)
    x = rng.poisson(np.where(states, 2.0, 9.0)[:, None] * np.ones(d)).astype(float) + (0 if columns else 0.1) * 1.0
    x = x if columns else x + rng.normal(size=x.shape)
    options = {name: value * 50 for name, value in columns.items()}
    best = em.fit(model, x, random_state=0, **options)
    stream = (ArraySource(x[i : i + 200], **columns) for i in range(0, 10_000, 200))
    found = em.online_fit(model, stream, random_state=0, average_from=15)
    at = em.fit(model, x, parameters=found.parameters, max_iter=0, **options)
    assert best.objective - at.objective < 0.005 * abs(best.objective)
    assert found.n_rows == 10_000
    assert found.n_iter == 50


def test_a_stream_is_read_once_and_nothing_is_kept():
    alive = []

    class Told(np.ndarray):
        def __del__(self):
            alive.append(-1)

    def stream():
        for part in np.split(counts()[:1500], 15):
            alive.append(1)
            yield part.astype(float).view(Told)
            assert sum(alive) <= 4

    found = em.online_fit(TWO, stream(), random_state=0)
    assert found.source is None
    assert found.n_iter == 15
    assert [step for step, _ in found.history] == [Step.STOCHASTIC] * 15
    assert [finding.code for finding in found.findings][-1] == "online"


def test_the_mean_starts_where_it_is_asked_to():
    x = counts()[:1000]
    paths = []
    online = em.OnlineEM(TWO, random_state=0, average_from=3)
    for part in np.split(x, 5):
        online.partial_fit(part)
        paths.append(online.state.parameters.emission.rates)
        if online.state.step < 3:
            assert online.parameters is online.state.parameters
    np.testing.assert_allclose(online.parameters.emission.rates, np.mean(paths[2:], axis=0), rtol=1e-12)


def test_nothing_moves_before_the_warm_up_is_over():
    online = em.OnlineEM(TWO, random_state=0, warm_up=250)
    starts = [online.partial_fit(part).parameters for part in np.split(counts()[:400], 4)]
    assert starts[0] is starts[1]
    assert starts[2] is not starts[1]


def test_a_batch_that_cannot_be_leaves_no_trace():
    online = em.OnlineEM(TWO, random_state=0).partial_fit(counts()[:100])
    before = online.state
    with pytest.raises(DataError):
        online.partial_fit(np.array([[-1.0]]))
    assert online.state is before


def test_callbacks_stop_a_stream():
    found = em.online_fit(TWO, counts(), batch_rows=100, random_state=0, callbacks=[lambda one: one.state.step >= 3])
    assert found.n_iter == 3


def test_the_record_tells_how_well_batches_were_foreseen():
    x = counts()[:400]
    online = em.OnlineEM(TWO, random_state=0)
    foreseen = 0.0
    for part in np.split(x, 4):
        theta = None if online.state is None else online.parameters
        online.partial_fit(part)
        if theta is not None:
            foreseen += em.fit(TWO, part, parameters=theta, max_iter=0).log_likelihood
    first = online.result().history[0][1] * 100
    assert online.result().log_likelihood == pytest.approx(first + foreseen, rel=1e-12)
    assert "4 batches from 400 rows" in repr(online.result())


def test_what_cannot_be_is_refused():
    with pytest.raises(ParameterError, match="no online EM for Weibull"):
        em.OnlineEM(LatentVariableModel(Categorical(2), Weibull()))
    with pytest.raises(DataError, match="first batch has 1 rows"):
        em.OnlineEM(TWO).partial_fit([[1.0]])
    with pytest.raises(ParameterError, match="no batch"):
        em.OnlineEM(TWO).result()
    with pytest.raises(ParameterError, match="average_from"):
        em.OnlineEM(TWO, average_from=0)
    with pytest.raises(ParameterError, match="warm_up"):
        em.OnlineEM(TWO, warm_up=-1)
    with pytest.raises(ParameterError, match="passes and batch_rows"):
        em.online_fit(TWO, counts(), passes=0)
