"""The stochastic approximation loop, with a model whose posterior is drawn exactly and whose maximum is known.

x = z + e with z ~ N(μ, 1 - r) and e ~ N(0, r): x ~ N(μ, 1), μ̂ is the mean of x, and EM's rate is r.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.domains import Real
from latentem.errors import ParameterError
from latentem.execution import Serial, Threads
from latentem.online import (
    Path,
    PerUnit,
    Schedule,
    Simulation,
    Simulator,
    run_stochastic_approximation,
    stochastic_approximation,
    stochastic_finding,
    time_scale,
)
from latentem.parameters import Parameters, parameter
from latentem.result import Status, Step
from latentem.statistics import Expectation, Statistics


@dataclass(frozen=True)
class Mean(Parameters):
    mean: np.ndarray = parameter(Real())


@dataclass(frozen=True)
class Sums(Statistics):
    """Σ z and the number of rows."""

    total: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class Rows(PerUnit):
    position: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Noisy(Simulator):
    """Draws z given x by a generator for each iteration."""

    rate: float
    seed: int = 0
    likelihood_variance: float = 0.0

    def begin(self, parameters, batch):
        return Rows(batch.first_row + np.arange(len(batch)), np.full(len(batch), float(parameters.mean[0])))

    def simulate(self, parameters, state, index, batch):
        here = np.searchsorted(state.position, batch.first_row)
        assert np.array_equal(state.position[here : here + len(batch)], batch.first_row + np.arange(len(batch)))
        draws = np.random.default_rng((self.seed, index)).normal(size=60)[batch.first_row :][: len(batch)]
        expected = self.rate * parameters.mean[0] + (1 - self.rate) * batch.values[:, 0]
        z = expected + np.sqrt(self.rate * (1 - self.rate)) * draws
        sums = Sums(np.asarray(z.sum()), np.asarray(float(len(z))))
        return Simulation(sums, Rows(batch.first_row + np.arange(len(batch)), z))

    def maximize(self, statistics, simulated, parameters):
        assert simulated.n == pytest.approx(statistics.n)
        return Mean(np.array([statistics.total / statistics.n]))

    def information(self, statistics, parameters):
        return np.array([[float(statistics.n) / (1 - self.rate)]])

    def e_step(self, parameters, batch: Batch):
        away = batch.values[:, 0] - parameters.mean[0]
        value = float(-0.5 * np.sum(away**2 + np.log(2 * np.pi)))
        return Expectation(Sums(np.zeros(()), np.zeros(())), value, abs(value), float(len(batch)))

    def log_prior(self, parameters):
        return 0.0

    def variance(self, expectation):
        return self.likelihood_variance

    def sharper(self, n_rows):
        return None


START = Mean(np.array([8.0]))


def source(**options):
    return ArraySource(np.random.default_rng(3).normal(2.0, size=(60, 1)), **options)


def fitted(rate=0.5, seed=0, executor=None, data=None, **options):
    data = source() if data is None else data
    return run_stochastic_approximation(
        Noisy(rate, seed), data, START, model="model", executor=executor or Serial(), **options
    )


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_it_ends_at_the_maximum_within_the_simulation_error_that_it_tells(rate):
    best = source().values.mean()
    losses, told = [], []
    for seed in range(20):
        result = fitted(rate, seed, max_iter=5000)
        assert result.status is Status.STOCHASTIC
        information = 60 / (1 - rate)
        losses.append(0.5 * information * (result.parameters.mean[0] - best) ** 2)
        told.append(result.remaining_gain)
    assert max(told) <= 0.5 * 0.1**2 * (1 + 1e-9)
    # A mean of 20 squares of normals has a standard deviation of a third.
    assert np.mean(losses) < 2 * np.mean(told)


def test_a_larger_tolerance_ends_sooner_and_errs_more():
    rough, fine = fitted(0.7, tol=0.5, max_iter=5000), fitted(0.7, max_iter=5000)
    assert rough.n_iter < fine.n_iter
    assert rough.remaining_gain > fine.remaining_gain


def test_executors_and_chunks_change_nothing():
    serial = fitted(data=source(chunk_rows=7))
    threads = fitted(data=source(chunk_rows=7), executor=Threads(2))
    assert np.array_equal(serial.parameters.mean, threads.parameters.mean)
    assert serial.history == threads.history
    assert fitted().parameters.mean == pytest.approx(serial.parameters.mean, rel=1e-10)


def test_the_same_seed_gives_the_same_fit_and_another_seed_another():
    assert fitted().parameters.mean == fitted().parameters.mean
    assert fitted().parameters.mean != fitted(seed=1).parameters.mean


def test_iterations_say_what_they_are():
    steps = stochastic_approximation(Noisy(0.5, 0, 0.25), source(), START, executor=Serial())
    first, *others = [next(steps) for _ in range(120)]
    assert first.step is Step.START
    assert first.parameters is START
    assert first.rounding == pytest.approx(2 * 0.5)
    assert [one.index for one in others] == list(range(1, 120))
    assert {one.step for one in others} == {Step.STOCHASTIC}
    looks = [one.objective for one in others]
    assert len(set(looks)) == 5
    burnt = others[-1].scheme.burnt
    assert burnt is not None
    assert 40 <= burnt < 119
    within, after = others[burnt // 2], others[-1]
    assert np.array_equal(within.parameters.flatten(), within.em_parameters.flatten())
    path = np.concatenate([one.em_parameters.flatten() for one in others])
    assert after.parameters.flatten() == pytest.approx(path[burnt:].mean())


def test_within_the_burn_in_statistics_are_not_averaged_and_afterwards_less_and_less():
    simulator, data = Noisy(0.5), source()
    steps = list(zip(range(2000), stochastic_approximation(simulator, data, START, executor=Serial()), strict=False))
    path = np.array([one.em_parameters.mean[0] for _, one in steps])
    state = simulator.begin(START, next(iter(data)))
    drawn = Serial().fold(partial(simulator.simulate, Mean(path[9:10]), state, 10), data)
    assert path[10] == pytest.approx(float(drawn.statistics.total / drawn.statistics.n))
    assert np.abs(np.diff(path[1000:])).mean() < 0.5 * np.abs(np.diff(path[10:40])).mean()


@pytest.mark.parametrize(
    ("options", "status", "index"),
    [
        ({"max_iter": 30}, Status.MAX_ITER, 30),
        ({"callbacks": [lambda iteration: iteration.index == 12]}, Status.STOPPED, 12),
        ({"max_iter": 0}, Status.MAX_ITER, 0),
    ],
)
def test_it_stops_when_it_is_told(options, status, index):
    result = fitted(**options)
    assert (result.status, result.n_iter) == (status, index)
    assert not result.converged
    assert np.isnan(result.remaining_gain)


def test_ctrl_c_returns_what_there_is():
    def interrupt(iteration):
        if iteration.index == 70:
            raise KeyboardInterrupt

    result = fitted(callbacks=[interrupt])
    assert (result.status, result.n_iter) == (Status.INTERRUPTED, 70)
    assert abs(result.parameters.mean[0] - source().values.mean()) < 1


def test_the_result_says_that_it_is_stochastic():
    (finding,) = fitted().findings
    assert finding.code == "stochastic"
    assert "simulation moves the parameters" in finding.message


def test_the_finding_shows_as_many_digits_as_the_error_has():
    assert "-12.35 ± 0.25 " in stochastic_finding(-12.3456789, 0.0625).message.replace("-12.346", "-12.35")
    assert "± 0.0012 " in stochastic_finding(-12.3456789, 1.44e-6).message
    assert "± 0 " in stochastic_finding(-12.0, 0.0).message


def test_per_unit_arrays_are_put_one_after_the_other():
    a, b = Rows(np.arange(2), np.zeros(2)), Rows(np.arange(2, 5), np.ones(3))
    assert np.array_equal((a + b).position, np.arange(5))
    assert np.array_equal((a + b).z, [0, 0, 1, 1, 1])
    with pytest.raises(TypeError):
        a + Sums(np.zeros(()), np.zeros(()))


def test_the_time_scale_is_that_of_an_autoregression():
    rng = np.random.default_rng(0)
    path = np.zeros((20_000, 2))
    for t in range(1, len(path)):
        path[t] = np.array([0.2, 0.9]) * path[t - 1] + rng.normal(size=2)
    assert time_scale(path) == pytest.approx(1 / (1 - 0.9), rel=0.25)
    assert time_scale(path[:, :1]) == pytest.approx(1 / (1 - 0.2), rel=0.25)
    assert time_scale(np.ones((30, 2))) == 1.0
    assert time_scale(np.arange(90.0)[:, None]) > 90 / 8


def test_losses_are_unknown_while_the_path_is_short():
    path = Path(np.random.default_rng(0).normal(size=(70, 1)), 45, 1.0, np.eye(1))
    assert path.losses() == (np.inf, np.inf)
    path = Path(np.random.default_rng(0).normal(size=(1045, 1)), 45, 1.0, np.eye(1))
    assert path.losses()[0] == pytest.approx(0.75 / 1000, rel=0.7)
    assert replace(path, weight=0.01).losses() == (np.inf, np.inf)


@pytest.mark.parametrize(
    "options", [{"exponent": 0.5}, {"exponent": 1.1}, {"burn_in": 0}, {"burn_in": 9, "longest": 8}]
)
def test_schedules_that_cannot_converge_are_refused(options):
    with pytest.raises(ParameterError):
        Schedule(**options)


def test_weights_fall_as_they_should():
    schedule = Schedule(exponent=0.75)
    assert schedule.weight(0, 5.0) == schedule.weight(-3, 5.0) == 1
    assert schedule.weight(600, 5.0) == pytest.approx(4**-0.75)
