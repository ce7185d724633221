"""The laws of accelerations and executors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .._typing import FloatArray
from ..data import ArraySource, Batch
from ..em import Acceleration, Executor, run
from ..errors import DataError
from ..execution.serial import Serial
from ..families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from ..latents.categorical import Categorical, CategoricalParameters
from ..model import LatentVariableModel, ModelParameters
from ..result import EMResult, Iteration, Status
from ..statistics import Statistics, arrays_of
from .comparing import require


def overlapping_mixture(n: int = 1200) -> tuple[LatentVariableModel, ArraySource, ModelParameters]:
    """Two normals a standard deviation and a half apart, on which EM is slow; and where to start."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 1)) + 2.2 * (rng.random((n, 1)) < 0.35)
    emission = DiagonalGaussianParameters(np.array([[-0.5], [1.5]]), np.ones((2, 1)))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), emission)
    return LatentVariableModel(Categorical(2), DiagonalGaussian()), ArraySource(x, chunk_rows=400), start


def check_acceleration(acceleration: Acceleration) -> None:
    """An acceleration reaches EM's limit on an overlapping mixture in fewer passes, and its proposals are pure.

    Raises
    ------
    AssertionError
    """
    model, source, start = overlapping_mixture()
    name = type(acceleration).__name__
    plain = _fit(model, source, start, None)
    iterations: list[Iteration] = []
    fast = _fit(model, source, start, acceleration, [iterations.append])
    require(fast.status.converged, f"{name}: ends with {fast.status}")
    gap = abs(fast.objective - plain.objective)
    require(gap <= 1e-6, f"{name}: its limit differs from EM's by {gap:g}")
    require(fast.n_iter < plain.n_iter, f"{name}: takes {fast.n_iter} passes, EM takes {plain.n_iter}")
    _law_objective_is_monotone(iterations, name)
    again: list[Iteration] = []
    _fit(model, source, start, acceleration, [again.append])
    same = [a.objective == b.objective for a, b in zip(iterations, again, strict=True)]
    require(all(same), f"{name}: a second fit takes another path; proposals must depend on trial and state alone")


def _law_objective_is_monotone(iterations: list[Iteration], name: str) -> None:
    for before, after in pairwise(iterations):
        falls = before.objective - after.objective
        require(falls <= before.rounding, f"{name}: the objective falls by {falls:g} at iteration {after.index}")


def _fit(
    model: LatentVariableModel,
    source: ArraySource,
    start: ModelParameters,
    acceleration: Acceleration | None,
    callbacks: Sequence[Callable[[Iteration], object]] = (),
) -> EMResult:
    result = run(
        model,
        source,
        start,
        executor=Serial(),
        acceleration=acceleration,
        tol=1e-7,
        max_iter=5000,
        callbacks=callbacks,
    )
    require(result.status is not Status.MAX_ITER, f"{acceleration}: no convergence in {result.n_iter} passes")
    return result


@dataclass(frozen=True)
class _Moments(Statistics):
    first: FloatArray
    second: FloatArray


def _moments(batch: Batch) -> _Moments:
    return _Moments(batch.values.sum(axis=0), batch.values.T @ batch.values)


def _fails_at_the_third_chunk(batch: Batch) -> _Moments:
    if batch.first_row >= 10:
        raise DataError(f"row {batch.first_row} is bad")
    return _moments(batch)


def check_executor(executor: Executor) -> None:
    """An executor adds the same bits as `Serial`, for any number of chunks, and passes errors on.

    Raises
    ------
    AssertionError
    """
    name, rng = type(executor).__name__, np.random.default_rng(7)
    for n_chunks in (1, 2, 3, 17, 33):
        source = ArraySource(rng.normal(size=(5 * n_chunks - 2, 3)), chunk_rows=5)
        expected, got = Serial().fold(_moments, source), executor.fold(_moments, source)
        same = all(np.array_equal(a, b) for a, b in zip(arrays_of(expected), arrays_of(got), strict=True))
        require(same, f"{name}: the sum over {n_chunks} chunks differs from Serial's bits")
    try:
        executor.fold(_fails_at_the_third_chunk, source)
    except DataError as error:
        require(str(error) == "row 10 is bad", f"{name}: the first error in chunk order must come out, got: {error}")
    else:
        raise AssertionError(f"{name}: an error in a chunk must come out")
    require(np.array_equal(executor.fold(_moments, source).second, expected.second), f"{name}: unusable after an error")
