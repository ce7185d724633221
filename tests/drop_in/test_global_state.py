"""Fits at the same time leave what belongs to the whole process as they found it; estimators with workers travel."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from latentem import GaussianMixture, LatentClassAnalysis, PoissonMixture, StudentTMixture
from latentem.execution import Processes, Threads

WORKERS = 4
MIXTURES: list[Callable[[], Any]] = [
    lambda: GaussianMixture(3, max_iter=2, tol=1e9, random_state=0),
    lambda: GaussianMixture(2, covariance_type="diag", reg_covar="auto", max_iter=2, tol=1e9, random_state=0),
    lambda: StudentTMixture(2, init_params="kmeans", max_iter=2, tol=1e9, random_state=0),
    lambda: PoissonMixture(2, init_params="kmeans", max_iter=2, tol=1e9, random_state=0),
    lambda: LatentClassAnalysis(2, n_init=1, max_iter=2, tol=1e9, random_state=0),
]


def at_once(task: Callable[[int], Any]) -> list[Any]:
    """What a task returns in each of several threads that begin together."""
    barrier = Barrier(WORKERS)

    def run(number: int) -> Any:
        barrier.wait()
        return task(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(run, range(WORKERS)))
    finally:
        sys.setswitchinterval(interval)


def blas_threads() -> list[tuple[str, int]]:
    return sorted((info["filepath"], info["num_threads"]) for info in threadpool_info() if info["user_api"] == "blas")


def some_fits(number: int, table: Any) -> None:
    for turn in range(10):
        MIXTURES[(number + turn) % len(MIXTURES)]().fit(table).predict(table)


@pytest.fixture
def counts(rng: np.random.Generator) -> Any:
    return rng.poisson(np.where(np.arange(200)[:, None] < 80, 1.0, 9.0), (200, 3)).astype(float)


@pytest.mark.filterwarnings("ignore:component", "ignore:The best start")
def test_fits_at_once_leave_warning_filters_and_blas_threads_as_found(counts: Any) -> None:
    filters = list(warnings.filters)
    with threadpool_limits(2, user_api="blas"):
        found = blas_threads()
        at_once(lambda number: some_fits(number, counts))
        assert blas_threads() == found
    assert list(warnings.filters) == filters


@pytest.mark.filterwarnings("ignore:component", "ignore:The best start")
def test_fits_at_once_give_the_bits_of_fits_alone(counts: Any) -> None:
    def fitted(number: int) -> Any:
        return MIXTURES[number]().fit(counts).predict_proba(counts)

    for number, together in enumerate(at_once(fitted)):
        assert np.array_equal(together, fitted(number))


def test_an_estimator_with_processes_is_cloned_and_pickled_after_a_fit(counts: Any) -> None:
    with Processes(1) as workers:
        mixture = PoissonMixture(2, executor=workers, random_state=0).fit(counts)
        again = pickle.loads(pickle.dumps(mixture))
        copy = clone(mixture)
        assert np.array_equal(again.predict(counts), mixture.predict(counts))
        assert copy.executor == again.executor == workers and hash(copy.executor) == hash(workers)
        assert copy.executor is not workers and copy.executor._pool is None
        assert workers._pool is not None


@pytest.mark.parametrize("kind", [Threads, Processes])
def test_executors_are_equal_by_their_number_of_workers(kind: Any) -> None:
    assert kind(2) == kind(2) and hash(kind(2)) == hash(kind(2))
    assert kind(2) != kind(3) and kind(2) != kind()
