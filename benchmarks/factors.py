"""Factor analysis beside scikit-learn, in one run: speed as ratios, to the same log-likelihood.

python benchmarks/factors.py
"""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn
from common import Row, paired, seconds, show
from sklearn.decomposition import FactorAnalysis as Peer
from threadpoolctl import threadpool_limits

import latentem as em

N, P, Q = 20_000, 100, 10
CLOSE = 1e-8
# From which on the peer's iterations are few: strong factors; and weak ones, where it needs more.
STRENGTHS = {"strong": 1.0, "weak": 0.12}


def main() -> int:
    warnings.simplefilter("ignore")
    print(f"latentem {em.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    rows = []
    for name, strength in STRENGTHS.items():
        data = factors(strength)
        rows += [fit(name, data, "lapack", asked=100.0), fit(name, data, "randomized", asked=30.0)]
    met = show(f"Factor analysis, {N:,} x {P}, {Q} factors, float64", rows)
    for name, strength in STRENGTHS.items():
        for method in ("lapack", "randomized"):
            processor_time(name, factors(strength), method)
    more_iterations(factors(1.0))
    return 0 if met else 1


def factors(strength: float) -> Any:
    """Rows of Q factors with normal loadings of this size, and unequal noise."""
    rng = np.random.default_rng(0)
    loadings = strength * rng.normal(size=(P, Q))
    noise = np.sqrt(rng.uniform(0.5, 3.0, size=P))
    return rng.normal(size=(N, Q)) @ loadings.T + noise * rng.normal(size=(N, P)) + rng.normal(size=P)


def fit(name: str, data: Any, method: str, asked: float) -> Row:
    """The whole fit; the peer with as many iterations as it takes to come as near."""
    ours = em.FactorAnalysis(Q)
    reached = ours.fit(data).score(data)
    peer = Peer(Q, svd_method=method, tol=0.0, max_iter=iterations(data, method, reached), random_state=0)
    own, other, ratio = paired(lambda: seconds(lambda: ours.fit(data)), lambda: seconds(lambda: peer.fit(data)), 3)
    gap = (peer.score(data) - reached) / abs(reached)
    return Row(
        f"{name} factors, {method}: {ours.n_iter_} passes, {peer.n_iter_} iterations, gap {gap:.0e}",
        f"{own:.3f} s",
        f"{other:.3f} s",
        f"{ratio:.0f} x",
        f"{asked:.0f} x",
        ratio >= asked and ours.converged_,
    )


def processor_time(name: str, data: Any, method: str) -> None:
    """The same in processor time, the peer's BLAS on one thread: what does not depend on who else uses the machine."""
    ours = em.FactorAnalysis(Q)
    reached = ours.fit(data).score(data)
    with threadpool_limits(1):
        peer = Peer(Q, svd_method=method, tol=0.0, max_iter=iterations(data, method, reached), random_state=0)
        fits = [partial(processor, lambda model=model: model.fit(data)) for model in (ours, peer)]
        own, other, ratio = paired(*fits, 5)
    print(f"{name} factors, {method}, processor time: {own:.4f} s beside {other:.3f} s, {ratio:.0f} times")


def processor(work: Callable[[], object]) -> float:
    """Seconds of processor time that it takes, all threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def iterations(data: Any, method: str, reached: float) -> int:
    """The iterations after which the peer's log-likelihood is as high, up to 1e-8 of it; at most 40."""
    peer = Peer(Q, svd_method=method, tol=0.0, max_iter=40, random_state=0).fit(data)
    # Its log-likelihoods leave out a constant that its score has.
    course = np.array(peer.loglike_) / N
    enough = np.flatnonzero(course >= reached - CLOSE * abs(reached))
    return int(enough[0]) + 1 if len(enough) else 40


def more_iterations(data: Any) -> None:
    """One pass over the data, whatever the number of iterations: what another hundred cost."""
    for passes in (1, 101):
        model = em.FactorAnalysis(Q, tol=0.0, max_iter=passes, acceleration=None)
        start = time.process_time()
        model.fit(data)
        print(f"{model.n_iter_} passes over the moments: {time.process_time() - start:.3f} s of processor time")


if __name__ == "__main__":
    sys.exit(main())
