"""Hidden Markov models beside hmmlearn and dynamax, in one run: speed as ratios, memory above the data.

    python benchmarks/chains.py

The peers are optional: pip install hmmlearn==0.3.3 dynamax.  What cannot be compared is told and left out.
"""

from __future__ import annotations

import logging
import platform
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Row, in_child, paired, seconds, show

import latentem as em
from latentem.families.categorical import CategoricalColumns, CategoryParameters, ColumnProbabilities
from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import ModelParameters

try:
    from hmmlearn import hmm as peer
except ImportError:
    peer = None
try:
    import jax
    from dynamax.hidden_markov_model import GaussianHMM as Dynamax
except ImportError:
    Dynamax = None

K, D = 8, 4


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # the peer's words about convergence
    print(f"latentem {em.__version__}, NumPy {np.__version__}")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print(f"compiled kernels: {compiled()}")
    rows: list[Row] = []
    start = gaussian_start()
    long, short = sampled(start, 100_000), sampled(start, 500_000)
    if peer is None:
        print("hmmlearn is not installed: no comparison with it (pip install hmmlearn==0.3.3)")
    else:
        rows += [
            gaussian_iteration("log", start, long, [100_000], asked=40.0),
            gaussian_iteration("scaling", start, long, [100_000], asked=12.0),
            gaussian_iteration("scaling", start, short, [50] * 10_000, asked=20.0, rounds=2),
            gaussian_iteration("log", start, short, [50] * 10_000, asked=20.0, rounds=1),
            categorical_iteration(asked=6.0),
            decoding(start, asked=8.0),
        ]
    if Dynamax is None:
        print("dynamax is not installed: no comparison with it (pip install dynamax)")
    else:
        rows.append(dynamax_iteration(start, long, asked=4.0))
    rows.append(memory())
    return 0 if show("Hidden Markov models, float64", rows) else 1


def compiled() -> str:
    from latentem.kernels.compiled import status

    return "yes" if status().available else f"no ({status().reason})"


def gaussian_start() -> ModelParameters:
    """Eight states that stay for ten steps on average, with means a few standard deviations apart."""
    rng = np.random.default_rng(0)
    transition = 0.9 * np.eye(K) + 0.1 * rng.dirichlet(np.ones(K), K)
    root = rng.standard_normal((K, D, D))
    covariances = np.eye(D) + 0.3 * root @ np.swapaxes(root, 1, 2)
    chain = MarkovChainParameters(np.full(K, 1 / K), transition)
    return ModelParameters(chain, FullGaussianParameters(2 * rng.standard_normal((K, D)), covariances))


def sampled(params: ModelParameters, n: int) -> Any:
    rng = np.random.default_rng(1)
    states = em.MarkovChain(K).sample(params.latent, np.array([n]), rng)
    return FullGaussian().sample(params.emission, states, rng)


def step_seconds(fit: Callable[[int], object], short: int = 2, long: int = 7) -> float:
    """Time of an iteration: the difference of a longer and a shorter fit, so that starting costs cancel."""
    times = [seconds(lambda n=n: fit(n)) for n in (short, long)]
    return (times[1] - times[0]) / (long - short)


def ours(model: Any, data: Any, start: Any, lengths: list[int]) -> Callable[[int], object]:
    return lambda n: em.fit(model, data, parameters=start, lengths=lengths, tol=0.0, max_iter=n)


def theirs(made: Any, data: Any, lengths: list[int], **arrays: Any) -> Callable[[int], object]:
    def fit(n: int) -> object:
        made.n_iter = n
        for name, value in arrays.items():
            setattr(made, name, value)
        return made.fit(data, lengths)

    return fit


def gaussian_iteration(
    implementation: str, start: ModelParameters, data: Any, lengths: list[int], asked: float, rounds: int = 3
) -> Row:
    plain = {"tol": -np.inf, "init_params": "", "min_covar": 0, "covars_prior": 0, "covars_weight": 0}
    made = peer.GaussianHMM(K, "full", implementation=implementation, **plain)
    other = theirs(made, data, lengths, **gaussian_arrays(start))
    mine = ours(em.LatentVariableModel(em.MarkovChain(K), FullGaussian()), data, start, lengths)
    mine(2)
    return row(
        f"an iteration, Gaussian, {len(lengths):,} x {lengths[0]:,} steps x {D}, {K} states; hmmlearn {implementation}",
        paired(lambda: step_seconds(mine, 2, 22), lambda: step_seconds(other, 1, 3), rounds),
        asked,
    )


def gaussian_arrays(start: ModelParameters) -> dict[str, Any]:
    chain, emission = start.latent, start.emission
    return {
        "startprob_": chain.initial,
        "transmat_": chain.transition,
        "means_": emission.means.copy(),
        "covars_": emission.covariances.copy(),
    }


def categorical_iteration(asked: float, n: int = 1_000_000, k: int = 32, symbols: int = 64) -> Row:
    rng = np.random.default_rng(2)
    transition = 0.5 * np.eye(k) + 0.5 * rng.dirichlet(np.ones(k), k)
    probabilities = rng.dirichlet(np.full(symbols, 0.3), k) * 0.99 + 0.01 / symbols
    chain = MarkovChainParameters(np.full(k, 1 / k), transition)
    start = ModelParameters(chain, CategoryParameters((ColumnProbabilities(probabilities),)))
    family = CategoricalColumns((symbols,))
    data = family.sample(start.emission, em.MarkovChain(k).sample(chain, np.array([n]), rng), rng)
    made = peer.CategoricalHMM(k, tol=-np.inf, init_params="", implementation="scaling", n_features=symbols)
    arrays = {"startprob_": chain.initial, "transmat_": transition, "emissionprob_": probabilities}
    other = theirs(made, data.astype(int), [n], **arrays)
    mine = ours(em.LatentVariableModel(em.MarkovChain(k), family), data, start, [n])
    times = paired(lambda: step_seconds(mine, 1, 5), lambda: step_seconds(other, 1, 3), 2)
    work = f"an iteration, categorical, {n:,} steps, {k} states, {symbols} symbols; hmmlearn scaling"
    return row(work, times, asked)


def decoding(start: ModelParameters, asked: float, n: int = 1_000_000) -> Row:
    data, paths = sampled(start, n), {}
    made, own = peer.GaussianHMM(K, "full"), em.GaussianHMM(K, covariance_type="full")
    for name, value in gaussian_arrays(start).items():
        setattr(made, name, value)
        setattr(own, name, value)

    def mine() -> None:
        paths["ours"] = own.predict(data)

    def other() -> None:
        paths["peer"] = made.predict(data)

    times = paired(lambda: seconds(mine), lambda: seconds(other), 3)
    same = np.mean(paths["ours"] == paths["peer"])
    work = f"predict, {n:,} steps x {D}, {K} states; hmmlearn (same states: {same:.6f})"
    return row(work, times, asked)


def dynamax_iteration(start: ModelParameters, data: Any, asked: float) -> Row:
    jax.config.update("jax_enable_x64", True)
    made = Dynamax(K, D)
    params, props = made.initialize(
        jax.random.PRNGKey(0),
        initial_probs=start.latent.initial,
        transition_matrix=start.latent.transition,
        emission_means=start.emission.means,
        emission_covariances=start.emission.covariances,
    )
    values = jax.numpy.asarray(data)[None]

    @jax.jit  # what its fit_em runs at each iteration; that itself compiles anew at every call
    def iteration(params: Any, state: Any) -> Any:
        statistics, _ = jax.vmap(lambda emissions: made.e_step(params, emissions, None))(values)
        return made.m_step(params, props, statistics, state)

    def other(n: int) -> object:
        current, state = params, made.initialize_m_step_state(params, props)
        for _ in range(n):
            current, state = iteration(current, state)
        return jax.block_until_ready(current)

    other(1)

    mine = ours(em.LatentVariableModel(em.MarkovChain(K), FullGaussian()), data, start, [len(data)])
    times = paired(lambda: step_seconds(mine, 2, 22), lambda: step_seconds(other, 1, 4), 3)
    return row(f"an iteration, Gaussian, {len(data):,} steps x {D}, {K} states; dynamax", times, asked)


def row(work: str, times: tuple[float, float, float], asked: float) -> Row:
    mine, other, ratio = times
    figures = f"{1e3 * mine:.1f} ms", f"{1e3 * other:.0f} ms", f"{ratio:.1f} times"
    return Row(work, *figures, f">= {asked:g}", ratio >= asked)


MEMORY = """
import json, sys
sys.path.insert(0, "benchmarks")
import numpy as np
import latentem as em
from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import ModelParameters

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

K, D, N = 8, 4, 10_000_000
rng = np.random.default_rng(0)
chain = MarkovChainParameters(np.full(K, 1 / K), 0.9 * np.eye(K) + 0.1 / K)
start = ModelParameters(chain, FullGaussianParameters(2 * rng.standard_normal((K, D)), np.tile(np.eye(D), (K, 1, 1))))
X = rng.standard_normal((N, D))
X += np.repeat(start.emission.means[rng.integers(K, size=N // 10)], 10, axis=0)
model = em.LatentVariableModel(em.MarkovChain(K), FullGaussian())
em.fit(model, X[:5000], parameters=start, lengths=[5000], max_iter=2)  # what is loaded once does not count
with open("/proc/self/clear_refs", "w") as references:
    references.write("5")  # forget the peak so far
before = kilobytes("VmRSS")
result = em.fit(model, X, parameters={start}, lengths=[N], max_iter=2, tol=0.0, random_state=0)
print(json.dumps({{"above": (kilobytes("VmHWM") - before) / 1024}}))
"""


def memory(asked: float = 1000.0) -> Row:
    """Peak resident memory above the data, from given parameters and from none, in processes of their own."""
    given, none = (in_child(MEMORY.format(start=start))["above"] for start in ("start", "None"))
    work = "memory above the data, Gaussian, 10,000,000 steps x 4, 8 states (start given; found)"
    figures = f"{given:.0f} MB; {none:.0f} MB"
    return Row(work, figures, "-", f"{max(given, none):.0f} MB", f"<= {asked:g} MB", max(given, none) <= asked)


if __name__ == "__main__":
    sys.exit(main())
