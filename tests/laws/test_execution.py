"""Executors: the same bits for any number of workers and, nearly, for any chunks; BLAS left as it was found."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.thread import BrokenThreadPool
from functools import partial
from itertools import pairwise
from threading import Barrier, Thread, enumerate as enumerate_threads, get_ident

import numpy as np
import pytest
import zoo
from threadpoolctl import threadpool_info, threadpool_limits

from latentem import GaussianHMM
from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.execution import Processes, Serial, Threads, pools
from latentem.execution.blas import single_threaded_blas
from latentem.execution.reduction import BLOCK, PairwiseSum, pairwise_sum
from latentem.execution.spare import each, threads_for_a_chunk
from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.kernels.viterbi import decode
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.statistics import Expectation, arrays_of
from latentem.testing import check_executor


@pytest.fixture(scope="module", params=zoo.EXECUTORS)
def executor(request):
    made = zoo.EXECUTORS[request.param]()
    yield made
    getattr(made, "close", lambda: None)()


def clusters(n):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 2)) + 3 * (rng.random((n, 1)) < 0.4)
    emission = FullGaussianParameters(np.array([[0.0, 1], [2, 3]]), np.stack([np.eye(2)] * 2))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), emission)
    return LatentVariableModel(Categorical(2), FullGaussian()), x, start


def same_bits(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays_of(a), arrays_of(b), strict=True))


def test_executor_keeps_the_laws(executor):
    check_executor(executor)


@pytest.mark.parametrize("n_chunks", [3, 33])
def test_an_e_step_has_the_same_bits(executor, n_chunks):
    model, x, start = clusters(40 * n_chunks - 7)
    source = ArraySource(x, chunk_rows=40)
    assert len(source.chunks) == n_chunks
    expected = Serial().fold(Bound(model, start), source)
    assert same_bits(executor.fold(Bound(model, start), source), expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_result_comes_in_order_and_so_does_an_error(threads):
    def halved(number):
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2

    with threads_for_a_chunk(threads):
        assert list(each(halved, range(0, 60, 2))) == list(range(30))
        found = each(halved, [0, 2, 5, 4, 7])
        assert [next(found), next(found)] == [0, 1]
        with pytest.raises(ValueError, match="5 is odd"):
            next(found)


@pytest.mark.parametrize("executor", ["serial", Threads(1), Threads(3), None])
def test_a_path_does_not_depend_on_the_threads(executor):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 2)) + np.repeat(rng.integers(3, size=(400, 1)), 100, axis=0)
    made = GaussianHMM(3, covariance_type="full", executor=executor)
    made.startprob_, made.transmat_ = np.full(3, 1 / 3), np.full((3, 3), 0.01) + 0.97 * np.eye(3)
    made.means_, made.covars_ = np.arange(3.0)[:, None] * np.ones(2), np.tile(np.eye(2), (3, 1, 1))
    model, params = made._fitted()
    log_density = model.state_densities(params, Batch(x))
    states, log_joint = decode(params.latent.initial, params.latent.transition, log_density, np.array([0, len(x)]))
    found = made.decode(x)
    assert np.array_equal(found[1], states)
    assert found[0] == log_joint[0]


class Bound:
    """An E-step at fixed parameters, picklable."""

    def __init__(self, model, params):
        self.model, self.params = model, params

    def __call__(self, batch):
        return self.model.e_step(self.params, batch)


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_any_number_of_threads_gives_the_same_bits_in_a_whole_fit(workers):
    model, x, start = clusters(700)
    source = ArraySource(x, chunk_rows=40)
    expected = run(model, source, start, executor=Serial(), max_iter=15)
    got = run(model, source, start, executor=Threads(workers), max_iter=15)
    assert same_bits(got.expectation, expected.expectation)
    assert got.history == expected.history


def test_processes_give_the_same_bits_in_a_whole_fit():
    model, x, start = clusters(700)
    source = ArraySource(x, chunk_rows=20)
    expected = run(model, source, start, executor=Serial(), max_iter=5)
    with Processes(2) as processes:
        got = run(model, source, start, executor=processes, max_iter=5)
    assert got.history == expected.history


def test_chunk_size_changes_an_e_step_by_rounding_only():
    model, x, start = clusters(1500)
    whole, *others = (
        Serial().fold(Bound(model, start), ArraySource(x, chunk_rows=rows)) for rows in (1500, 7, 64, 1499)
    )
    rows = [model.e_step(start, batch) for batch in ArraySource(x, chunk_rows=1)]
    bounds = [np.sum(np.abs(parts), axis=0) for parts in zip(*map(arrays_of, rows), strict=True)]
    for other in others:
        for a, b, bound in zip(arrays_of(other), arrays_of(whole), bounds, strict=True):
            assert np.all(np.abs(a - b) <= 1e-12 * bound)


def test_chunk_size_changes_a_fit_by_rounding_only():
    model, x, start = clusters(1500)
    ends = [
        run(model, ArraySource(x, chunk_rows=rows), start, executor=Serial(), tol=1e-6).log_likelihood
        for rows in (1500, 64, 7)
    ]
    assert ends[1:] == pytest.approx([ends[0]] * 2, rel=1e-10)


def test_chunk_size_changes_nothing_where_groups_are_sequences():
    specimen = zoo.LATENTS["MarkovChain"]
    _, x, start = clusters(90)
    model = LatentVariableModel(MarkovChain(2), FullGaussian())
    params = ModelParameters(specimen.parameters(2), start.emission)
    lengths = [1, 29, 5, 20, 3, 17, 15]
    ends = [
        Serial().fold(Bound(model, params), ArraySource(x, lengths=lengths, chunk_rows=rows)).log_likelihood
        for rows in (1, 10, 90)
    ]
    assert ends[1:] == pytest.approx([ends[0]] * 2, rel=1e-13)


# -- the tree of additions -------------------------------------------------------------------------


def number(value):
    return Expectation(None, float(value), 0.0, 0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 17, 33, 100])
def test_blocks_pushed_whole_make_the_same_tree(n):
    rng = np.random.default_rng(n)
    items = [number(value) for value in rng.normal(size=n) * 10.0 ** rng.integers(-12, 12, size=n)]
    blocks = [items[i : i + BLOCK] for i in range(0, n, BLOCK)]
    total = PairwiseSum()
    for block in blocks:
        total.push(pairwise_sum(block), len(block))
    assert total.total().log_likelihood == pairwise_sum(items).log_likelihood


def test_pairwise_error_grows_slower_than_that_of_a_running_sum():
    items, exact = [0.1] * 5000, 500.0
    running = 0.0
    for item in items:
        running += item
    assert abs(pairwise_sum(map(number, items)).log_likelihood - exact) < 0.01 * abs(running - exact)


def test_a_sum_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        pairwise_sum([])


# -- what is left behind ---------------------------------------------------------------------------


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield blas_threads()


def test_blas_is_held_to_one_thread_and_left_as_it_was(two_blas_threads):
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert blas_threads() == two_blas_threads


def test_overlapping_guards_leave_blas_as_it_was(two_blas_threads):
    """The first to come leaves first: each restoring what it found would leave one thread for good."""
    barriers = [Barrier(2, timeout=20) for _ in range(3)]

    def first():
        with single_threaded_blas():
            barriers[0].wait()
            barriers[1].wait()
        barriers[2].wait()

    thread = Thread(target=first)
    thread.start()
    barriers[0].wait()
    with single_threaded_blas():
        barriers[1].wait()
        barriers[2].wait()
        thread.join()
        assert set(blas_threads()) == {1}
    assert blas_threads() == two_blas_threads


def test_an_error_leaves_blas_as_it_was(two_blas_threads):
    with pytest.raises(KeyboardInterrupt), single_threaded_blas():
        raise KeyboardInterrupt
    assert blas_threads() == two_blas_threads


def test_threads_pass_the_callers_floating_point_errors_on():
    """NumPy's error state belongs to a thread; a worker takes that of who asked."""

    def overflow(batch):
        return number(np.exp(np.float64(1000.0) + batch.values[0, 0]))

    source = ArraySource(np.zeros((10, 1)), chunk_rows=2)
    with np.errstate(over="ignore"):
        assert Threads(2).fold(overflow, source).log_likelihood == np.inf
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        Threads(2).fold(overflow, source)


def test_threads_hold_few_results_at_a_time():
    """Memory does not grow with the data: chunks are read at most a few ahead of those added."""
    read, added = [], []

    class Watched(ArraySource):
        def read(self, chunk):
            read.append(chunk)
            return super().read(chunk)

    class Added(Expectation):
        def __add__(self, other):
            added.append(len(read))
            return Added(None, self.log_likelihood + other.log_likelihood, 0.0, 0.0)

    source = Watched(np.ones((400, 1)), chunk_rows=1)
    total = Threads(2).fold(lambda batch: Added(None, batch.values.sum(), 0.0, 0.0), source)
    assert total.log_likelihood == 400
    assert added[0] <= 2 * 4 + 2
    assert max(after - before for before, after in pairwise(added)) <= 2 * 4 + 2


def test_threads_are_kept_from_fold_to_fold_and_no_call_outlives_its_fold():
    source, seen, going = ArraySource(np.ones((40, 1)), chunk_rows=2), set(), []

    def named(last, batch):
        going.append(batch.first_row)
        seen.add(get_ident())
        time.sleep(0.002)
        going.remove(batch.first_row)
        if batch.first_row == last:
            raise ValueError("no more")
        return number(1.0)

    for _ in range(5):
        Threads(2).fold(partial(named, None), source)
        assert not going
    assert len(seen) <= 2
    assert get_ident() not in seen
    for _ in range(3):
        with pytest.raises(ValueError, match="no more"):
            Threads(2).fold(partial(named, 20), source)
        assert not going


def test_few_idle_threads_are_kept():
    source = ArraySource(np.ones((40, 1)), chunk_rows=1)
    for n in range(2, 30):
        Threads(n).fold(lambda batch: number(1.0), source)
    named = [thread for thread in enumerate_threads() if thread.name.startswith("latentem")]
    assert len(named) <= max(pools.MOST_KEPT * os.cpu_count(), 29)


def test_a_pool_that_is_broken_is_not_kept(monkeypatch):
    """As where its threads could not be made ready."""
    source = ArraySource(np.ones((6, 1)), chunk_rows=1)

    def fails():
        raise RuntimeError("not yet")

    with monkeypatch.context() as patch:
        patch.setattr(pools, "_idle", [])
        patch.setattr(pools, "hold_this_thread", fails)
        with pytest.raises(BrokenThreadPool):
            Threads(2).fold(lambda batch: number(1.0), source)
        assert not pools._idle
    assert Threads(2).fold(lambda batch: number(1.0), source).log_likelihood == 6


def test_a_fold_inside_a_fold_has_threads_of_its_own():
    source = ArraySource(np.ones((8, 1)), chunk_rows=1)

    def nested(depth, batch):
        return number(1.0) if depth == 0 else Threads(2).fold(partial(nested, depth - 1), source)

    assert Threads(2).fold(partial(nested, 2), source).log_likelihood == 8**3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_a_fork_starts_threads_of_its_own():
    script = """
import os, sys
import numpy as np
from latentem.data import ArraySource
from latentem.execution import Threads
from latentem.statistics import Expectation

source = ArraySource(np.random.default_rng(0).normal(size=(400, 3)), chunk_rows=7)
total = lambda: Threads(2).fold(lambda batch: Expectation(None, batch.values.sum(), 0.0, 0.0), source).log_likelihood
first = total()
child = os.fork()
if child == 0:
    os._exit(0 if total() == first else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=120, check=False)
    assert done.returncode == 0


def interrupted(batch):
    raise KeyboardInterrupt


def ignores_ctrl_c(batch):
    return number(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)


def test_ctrl_c_belongs_to_the_caller_and_processes_can_be_used_again():
    source = ArraySource(np.ones((10, 1)), chunk_rows=5)
    with Processes(1) as processes:
        assert processes.fold(ignores_ctrl_c, source).log_likelihood == 2
        with pytest.raises(KeyboardInterrupt):
            processes.fold(interrupted, source)
        assert processes.fold(ignores_ctrl_c, source).log_likelihood == 2
