"""Gaussian mixtures beside scikit-learn, in one run: speed as ratios, memory above the data, the same log-likelihood.

    python benchmarks/mixtures.py
"""

from __future__ import annotations

import platform
import sys
import warnings
from typing import Any

import numpy as np
import sklearn
from common import Row, in_child, paired, seconds, show
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture as Peer

import latentem as em

K = D = 16
CLOSE = 1e-8


def main() -> int:
    warnings.simplefilter("ignore")
    print(f"latentem {em.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}")
    print(f"Python {platform.python_version()}, {platform.machine()}, compiled kernels: {compiled()}")
    data = separated(200_000)
    rows = [
        iteration("full", data, asked=15.0),
        iteration("diag", data, asked=6.0),
        whole_fit(asked=40.0),
        iris(),
        memory(),
        import_time(),
    ]
    met = show("Gaussian mixtures, float64", rows)
    matrix_share(data)
    return 0 if met else 1


def compiled() -> str:
    from latentem.kernels.compiled import status

    return "yes" if status().available else f"no ({status().reason})"


def separated(n: int) -> Any:
    """n rows from K Gaussians with correlated columns, three standard deviations apart in each column."""
    rng = np.random.default_rng(0)
    means = 3.0 * rng.standard_normal((K, D))
    mixing = np.eye(D) + 0.2 * rng.standard_normal((D, D))
    return means[rng.integers(K, size=n)] + rng.standard_normal((n, D)) @ mixing


def common_start(data: Any, covariance_type: str) -> dict[str, Any]:
    """The same starting values for both."""
    precision = 1.0 / data.var(axis=0)
    precisions = {"full": np.tile(np.diag(precision), (K, 1, 1)), "diag": np.tile(precision, (K, 1))}
    return {
        "n_components": K,
        "covariance_type": covariance_type,
        "weights_init": np.full(K, 1 / K),
        "means_init": data[:K],
        "precisions_init": precisions[covariance_type],
    }


def iteration(covariance_type: str, data: Any, asked: float, short: int = 2, long: int = 12, rounds: int = 5) -> Row:
    """Time an iteration: the difference of a longer and a shorter fit, so that starting costs cancel."""
    start = common_start(data, covariance_type)

    def of(kind: Any) -> float:
        times = [seconds(lambda n=n: kind(**start, tol=0.0, max_iter=n).fit(data)) for n in (short, long)]
        return (times[1] - times[0]) / (long - short)

    of(em.GaussianMixture), of(Peer)
    ours, peer, ratio = paired(lambda: of(em.GaussianMixture), lambda: of(Peer), rounds)
    work = f"an iteration, {covariance_type}, {len(data):,} x {D}, {K} components"
    return Row(work, f"{ours:.4f} s", f"{peer:.4f} s", f"{ratio:.1f} times", f">= {asked:g} times", ratio >= asked)


def whole_fit(asked: float, n: int = 100_000, k: int = 12, rounds: int = 2) -> Row:
    """From the same start to the same log-likelihood: both until they are within 1e-8 of the limit.

    The start is the truth that the data were drawn from, so that both climb to the same maximum.
    """
    data, start = overlapping(n, k)
    limit = em.GaussianMixture(**start, tol=1e-13, max_iter=20_000, acceleration="squarem").fit(data).lower_bound_
    target = limit - CLOSE * abs(limit)
    needed = peer_iterations(data, start, target)
    gaps = []

    def ours() -> float:
        model = em.GaussianMixture(**start, tol=CLOSE * abs(limit), max_iter=20_000, acceleration="squarem")
        time = seconds(lambda: model.fit(data))
        gaps.append((limit - model.lower_bound_) / abs(limit))
        return time

    def peer() -> float:
        return seconds(lambda: Peer(**start, tol=0.0, reg_covar=0.0, max_iter=needed).fit(data))

    mine, theirs, ratio = paired(ours, peer, rounds)
    work = f"whole fit, {n:,} x {D}, {k} overlapping components (short by {max(gaps):.0e}, relative)"
    note = f"{theirs:.1f} s ({needed} iterations)"
    met = ratio >= asked and max(gaps) <= CLOSE
    return Row(work, f"{mine:.2f} s", note, f"{ratio:.1f} times", f">= {asked:g} times", met)


def peer_iterations(data: Any, start: dict[str, Any], target: float, limit: int = 6400) -> int:
    """How many iterations the peer needs to reach a mean log-likelihood."""
    length = 100
    while length <= limit:
        trace = Peer(**start, tol=0.0, reg_covar=0.0, max_iter=length).fit(data).lower_bounds_
        reached = [i + 1 for i, value in enumerate(trace) if value >= target]
        if reached:
            return reached[0]
        length *= 2
    raise RuntimeError(f"the peer did not reach {target} within {limit} iterations")


def overlapping(n: int, k: int, spread: float = 0.6) -> tuple[Any, dict[str, Any]]:
    """n rows from k Gaussians with means 0.6 standard deviations apart in each column; the truth as a start."""
    rng = np.random.default_rng(0)
    means, mixing = spread * rng.standard_normal((k, D)), np.eye(D) + 0.2 * rng.standard_normal((D, D))
    data = means[rng.integers(k, size=n)] + rng.standard_normal((n, D)) @ mixing
    precisions = np.tile(np.linalg.inv(mixing.T @ mixing), (k, 1, 1))
    start = {"n_components": k, "weights_init": np.full(k, 1 / k), "means_init": means, "precisions_init": precisions}
    return data, start


def iris(rounds: int = 15) -> Row:
    """The whole of a small fit, overheads and all."""
    data = load_iris().data

    def of(kind: Any) -> float:
        return seconds(lambda: kind(n_components=3, random_state=0).fit(data))

    of(em.GaussianMixture), of(Peer)
    ours, peer, ratio = paired(lambda: of(em.GaussianMixture), lambda: of(Peer), rounds)
    times = f"{1e3 * ours:.1f} ms", f"{1e3 * peer:.1f} ms"
    return Row("whole fit, iris, 3 components", *times, f"{ratio:.1f} times", ">= 1", ratio >= 1)


MEMORY = """
import json, numpy as np
import {module}

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

rng = np.random.default_rng(0)
X = rng.standard_normal((1_000_000, 16))
X[:500_000] += 2.0
{kind}(n_components=2, max_iter=2).fit(X[:5000])  # what is loaded once does not count
with open("/proc/self/clear_refs", "w") as references:
    references.write("5")  # forget the peak so far
before = kilobytes("VmRSS")
{kind}(n_components=16, max_iter=3, random_state=0).fit(X)
print(json.dumps({{"above": (kilobytes("VmHWM") - before) / 1024}}))
"""


def memory(asked: float = 100.0) -> Row:
    """Peak resident memory above the data, the initialization included, each in a process of its own."""
    ours = in_child(MEMORY.format(module="latentem", kind="latentem.GaussianMixture"))["above"]
    peer = in_child(MEMORY.format(module="sklearn.mixture", kind="sklearn.mixture.GaussianMixture"))["above"]
    work = "memory above the data, full, 1,000,000 x 16"
    return Row(work, f"{ours:.0f} MB", f"{peer:.0f} MB", f"{ours:.0f} MB", f"<= {asked:g} MB", ours <= asked)


IMPORT = """
import json, sys, time
start = time.perf_counter()
import {module}
print(json.dumps({{"seconds": time.perf_counter() - start}}))
"""


def import_time(asked: float = 0.3) -> Row:
    """`import latentem` in a fresh interpreter."""
    ours = min(in_child(IMPORT.format(module="latentem"))["seconds"] for _ in range(5))
    peer = min(in_child(IMPORT.format(module="sklearn.mixture"))["seconds"] for _ in range(5))
    return Row("import", f"{ours:.2f} s", f"{peer:.2f} s", f"{ours:.2f} s", f"<= {asked:g} s", ours <= asked)


def matrix_share(data: Any) -> None:
    """What share of the machine's own matrix products the E-step reaches, counting its two products alone."""
    a = np.random.default_rng(0).standard_normal((2000, 2000))
    product = min(seconds(lambda: a @ a) for _ in range(5))
    start = common_start(data, "full")
    times = [
        seconds(lambda n=n: em.GaussianMixture(**start, tol=0.0, max_iter=n).fit(data)) for n in (2, 12, 2, 12)
    ]
    step = min(times[1] - times[0], times[3] - times[2]) / 10
    features = D * (D + 1) // 2 + D + 1
    rate, machine = 4 * K * features * len(data) / step, 2 * 2000**3 / product
    share = f"{rate / 1e9:.0f} GFLOP/s in an iteration, {machine / 1e9:.0f} in dgemm: {rate / machine:.0%}"
    print(f"\nmatrix products: {share}")


if __name__ == "__main__":
    sys.exit(main())
