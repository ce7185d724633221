"""The loop of stochastic approximation EM, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf, nan, sqrt
from typing import Any

import numpy as np

from ..data import Source
from ..em import Executor, consume
from ..result import EMResult, Finding, Iteration, Status, Step
from ..statistics import Expectation
from .path import SMALLEST_BURN_IN, Path, Schedule, time_scale
from .simulator import Simulator

# The burn-in takes at least so many time scales of θ.
BURN_IN_SCALES = 8.0
# Simulation error, in standard errors of the complete data, below which it is of no concern.
SMALL_ERROR = 0.1
# The log-likelihood at the end is looked at with more draws as long as its standard error is larger.
SMALL_LIKELIHOOD_ERROR = 0.1
# Iterations between two looks at the log-likelihood, and at whether to stop.
EVALUATED_EVERY, JUDGED_EVERY = 25, 10


def stochastic_approximation(
    simulator: Simulator, source: Source, parameters: Any, *, executor: Executor, schedule: Schedule | None = None
) -> Iterator[Iteration]:
    """Yield iterations without end.

    Parameters
    ----------
    simulator : Simulator
    source : Source
    parameters : Parameters
        The start.
    executor : Executor
        The result is the same for all.
    schedule : Schedule, optional

    Yields
    ------
    Iteration
        `parameters` is the mean of θ since the burn-in (θ itself within it), `em_parameters` the last θ, `scheme` the
        `Path`.  Objective and log-likelihood are those of the last look, one in 25 iterations, `rounding` is twice the
        Monte Carlo standard error there; there are no gains.
    """
    schedule = Schedule() if schedule is None else schedule
    state = executor.fold(partial(simulator.begin, parameters), source)
    look = _look(simulator, source, parameters, executor)
    path = Path(np.empty((0, parameters.n_free)), None, 1.0, np.zeros((parameters.n_free,) * 2))
    yield _iteration(0, parameters, parameters, path, look, simulator)
    statistics: Any = None
    theta = parameters
    for index in count(1):
        drawn = executor.fold(partial(simulator.simulate, theta, state, index), source)
        state, weight = drawn.state, _weight(schedule, path, index)
        statistics = drawn.statistics if weight == 1 else statistics * (1 - weight) + drawn.statistics * weight
        theta = simulator.maximize(statistics, drawn.statistics, theta)
        path = _longer(simulator, schedule, replace(path, weight=weight), statistics, theta)
        mean = theta.unflatten(path.averaged.mean(axis=0))
        if index % EVALUATED_EVERY == 0:
            look = _look(simulator, source, mean, executor)
        yield _iteration(index, mean, theta, path, look, simulator)


def run_stochastic_approximation(
    simulator: Simulator,
    source: Source,
    parameters: Any,
    *,
    model: Any,
    executor: Executor,
    tol: float = 1e-6,
    max_iter: int = 1000,
    callbacks: Iterable[Callable[[Iteration], object]] = (),
    schedule: Schedule | None = None,
) -> EMResult:
    """Consume iterations until the averaged parameters stand still, the limit, a callback or the user says stop.

    The fit stops where the simulation error of the averaged parameters is expected to cost at most `tol` of the
    log-likelihood, or 0.1² / 2 for each parameter (an error of 0.1 standard errors of the complete data) if that is
    more; and where the average has moved by no more than that, or twice its error, in the second half of the path.
    """
    limit = max(tol, 0.5 * SMALL_ERROR**2 * parameters.n_free)
    if schedule is None:
        schedule = Schedule(longest=max(SMALLEST_BURN_IN, max_iter // 2))
    steps = stochastic_approximation(simulator, source, parameters, executor=executor, schedule=schedule)

    def decide(iteration: Iteration) -> Status | None:
        return Status.STOCHASTIC if _stands(iteration, limit) else None

    last, status, history = consume(steps, decide, max_iter, callbacks)
    return _result(simulator, source, executor, model, last, status, history)


def stochastic_finding(log_likelihood: float, variance: float, parameters: str = "") -> Finding:
    """That a fit is simulated, with the log-likelihood's Monte Carlo standard error."""
    error = sqrt(variance)
    digits = int(np.clip(2 - np.floor(np.log10(error)), 1, 8)) if error > 0 else 8
    return Finding(
        "stochastic",
        f"the E-step is simulated: the log-likelihood is {log_likelihood:.{digits}f} ± {error:.2g} (Monte Carlo "
        f"standard error){parameters}; another random_state gives slightly other numbers",
    )


def _look(simulator: Simulator, source: Source, parameters: Any, executor: Executor) -> Expectation:
    return executor.fold(partial(simulator.e_step, parameters), source)


def _weight(schedule: Schedule, path: Path, index: int) -> float:
    return 1.0 if path.burnt is None else schedule.weight(index - path.burnt, path.timescale)


def _longer(simulator: Simulator, schedule: Schedule, path: Path, statistics: Any, theta: Any) -> Path:
    """The path with one more θ; its burn-in is over where it is long beside the time scale of its last two thirds."""
    vectors = np.vstack([path.vectors, theta.flatten()])
    length = len(vectors)
    if length % JUDGED_EVERY and length != schedule.burn_in:
        return replace(path, vectors=vectors)
    longer = replace(path, vectors=vectors, information=simulator.information(statistics, theta))
    if path.burnt is not None or length < schedule.burn_in:
        return longer
    scale = time_scale(vectors[length // 3 :])
    over = length >= min(BURN_IN_SCALES * scale, schedule.longest)
    return replace(longer, burnt=length, timescale=scale) if over else longer


def _iteration(
    index: int, mean: Any, theta: Any, path: Path, look: Expectation, simulator: Simulator
) -> Iteration:
    return Iteration(
        index=index,
        parameters=mean,
        em_parameters=theta,
        objective=look.log_likelihood + simulator.log_prior(mean),
        log_likelihood=look.log_likelihood,
        rounding=2 * sqrt(simulator.variance(look)),
        step=Step.STOCHASTIC if index else Step.START,
        gain=nan,
        gains=(),
        expectation=look,
        scheme=path,
    )


def _stands(iteration: Iteration, limit: float) -> bool:
    if iteration.index % JUDGED_EVERY:
        return False
    noise, moved = iteration.scheme.losses()
    return bool(noise <= limit and moved <= max(limit, 4 * noise))


def _result(
    simulator: Simulator,
    source: Source,
    executor: Executor,
    model: Any,
    last: Iteration,
    status: Status,
    history: tuple[tuple[Step, float], ...],
) -> EMResult:
    while True:
        look = _look(simulator, source, last.parameters, executor)
        finer = simulator.sharper(source.n_rows) if sqrt(simulator.variance(look)) > SMALL_LIKELIHOOD_ERROR else None
        if finer is None:
            break
        simulator = finer
    noise, _ = last.scheme.losses()
    error = sqrt(2 * noise / max(1, last.parameters.n_free))
    told = f", and simulation moves the parameters by about {error:.2g} of their standard errors" if noise < inf else ""
    return EMResult(
        model=model,
        parameters=last.parameters,
        status=status,
        log_likelihood=look.log_likelihood,
        objective=look.log_likelihood + simulator.log_prior(last.parameters),
        n_iter=last.index,
        remaining_gain=noise if noise < inf else nan,
        rate=nan,
        history=history,
        findings=(stochastic_finding(look.log_likelihood, simulator.variance(look), told),),
        expectation=look,
        n_rows=source.n_rows,
        source=source,
    )
