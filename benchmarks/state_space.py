"""Linear-Gaussian state space models beside pykalman, dynamax and statsmodels, in one run: speed as ratios.

    python benchmarks/state_space.py

The peers are optional (pip install pykalman dynamax statsmodels): what is not there is told and left out.
"""

from __future__ import annotations

import importlib
import platform
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Row, paired, seconds, show

import latentem as em

Q, P, N = 4, 8, 10_000


def main() -> int:
    warnings.simplefilter("ignore")
    from latentem.kernels.compiled import status

    print(f"latentem {em.__version__}, NumPy {np.__version__}, Python {platform.python_version()}")
    print(f"{platform.machine()}, compiled kernels: {'yes' if status().available else 'no'}")
    data, truth = simulated()
    step, log_likelihood = ours(data, truth)
    peers: list[tuple[str, str, float, int, Callable[..., tuple[Callable[[], Any], float]]]] = [
        ("pykalman", "EM iteration", 200.0, 1, pykalman_iteration),
        ("dynamax", "EM iteration", 10.0, 5, dynamax_iteration),
        ("statsmodels", "its smoother alone", 15.0, 5, statsmodels_smoother),
    ]
    rows = []
    for name, work, asked, rounds, build in peers:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{name} is not installed; its line is left out")
            continue
        theirs, found = build(data, truth)
        rows.append(beside(f"{name}, {work}", step, theirs, asked, rounds, abs(found / log_likelihood - 1)))
    print(f"an EM iteration, of {Q} states, {P} series, {N:,} steps, nothing missing")
    return 0 if show("State space models, float64", rows) else 1


def beside(work: str, step: Callable[[], Any], theirs: Callable[[], Any], asked: float, rounds: int, off: float) -> Row:
    """Our EM iteration and their work in turn, of each the fastest of some; the log-likelihoods must be the same."""
    if off > 1e-6:
        raise SystemExit(f"{work}: the log-likelihoods differ by {off:.1e} of themselves; the models are not the same")
    fastest = [lambda: min(seconds(step) for _ in range(20)), lambda: min(seconds(theirs) for _ in range(rounds))]
    mine, peer, ratio = paired(*fastest, rounds)
    met = ratio >= asked
    return Row(work, f"{1e3 * mine:.2f} ms", f"{1e3 * peer:.1f} ms", f"{ratio:.0f} x", f">= {asked:g} x", met)


def simulated() -> tuple[Any, dict[str, Any]]:
    """A stationary chain of four states, seen through eight series."""
    rng = np.random.default_rng(0)
    turn = np.array([[0.9, 0.1], [-0.1, 0.8]])
    transition = np.block([[turn, np.zeros((2, 2))], [np.zeros((2, 2)), 0.8 * turn]])
    loadings = rng.standard_normal((P, Q))
    states = np.zeros((N, Q))
    for t in range(1, N):
        states[t] = transition @ states[t - 1] + rng.standard_normal(Q)
    data = states @ loadings.T + rng.standard_normal((N, P))
    return data, {"transition": transition, "loadings": loadings, "state_noise": np.eye(Q), "noise": np.eye(P)}


def ours(data: Any, truth: dict[str, Any]) -> tuple[Callable[[], Any], float]:
    """An E-step and an M-step, all matrices free but the offset."""
    from latentem.data import ArraySource
    from latentem.execution import Serial
    from latentem.execution.blas import single_threaded_blas
    from latentem.families.linear_gaussian import LinearGaussian
    from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
    from latentem.latents.chain_parameters import NormalChainParameters

    model = em.LatentVariableModel(em.NormalChain(Q), LinearGaussian(noise="full", offset=np.zeros(P)))
    latent = NormalChainParameters(
        truth["transition"], np.zeros(Q), truth["state_noise"], np.empty((Q, 0)), np.zeros(Q), np.eye(Q)
    )
    emission = LinearGaussianParameters.of(np.zeros(P), truth["loadings"], truth["noise"])
    params = model.conform(em.ModelParameters(latent, emission))
    source, executor = ArraySource(data, lengths=[N]), Serial()

    def step() -> Any:
        with single_threaded_blas():
            expectation = executor.fold(lambda batch: model.e_step(params, batch), source)
            return model.m_step(expectation.statistics, params)

    return step, executor.fold(lambda batch: model.e_step(params, batch), source).log_likelihood


def pykalman_iteration(data: Any, truth: dict[str, Any]) -> tuple[Callable[[], Any], float]:
    from pykalman import KalmanFilter

    def model() -> Any:
        return KalmanFilter(
            transition_matrices=truth["transition"],
            observation_matrices=truth["loadings"],
            transition_covariance=truth["state_noise"],
            observation_covariance=truth["noise"],
            initial_state_mean=np.zeros(Q),
            initial_state_covariance=np.eye(Q),
            em_vars=[
                "transition_matrices", "observation_matrices", "transition_covariance", "observation_covariance",
                "initial_state_mean", "initial_state_covariance",
            ],
        )  # fmt: skip

    return lambda: model().em(data, n_iter=1), float(model().loglikelihood(data))


def dynamax_iteration(data: Any, truth: dict[str, Any]) -> tuple[Callable[[], Any], float]:
    import jax
    from dynamax.linear_gaussian_ssm import LinearGaussianSSM

    jax.config.update("jax_enable_x64", True)
    model = LinearGaussianSSM(Q, P, has_dynamics_bias=False, has_emissions_bias=False)
    params, props = model.initialize(
        jax.random.PRNGKey(0),
        initial_mean=np.zeros(Q),
        initial_covariance=np.eye(Q),
        dynamics_weights=truth["transition"],
        dynamics_covariance=truth["state_noise"],
        emission_weights=truth["loadings"],
        emission_covariance=truth["noise"],
    )
    emissions, no_inputs = jax.numpy.asarray(data)[None], jax.numpy.zeros((1, N, 0))

    def iteration(params: Any) -> Any:
        statistics, log_likelihoods = jax.vmap(lambda x, u: model.e_step(params, x, u))(emissions, no_inputs)
        state = model.initialize_m_step_state(params, props)
        return model.m_step(params, props, statistics, state)[0], log_likelihoods.sum()

    compiled = jax.jit(iteration)
    found = float(jax.block_until_ready(compiled(params))[1])
    return lambda: jax.block_until_ready(compiled(params)), found


def statsmodels_smoother(data: Any, truth: dict[str, Any]) -> tuple[Callable[[], Any], float]:
    from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

    smoother = KalmanSmoother(k_endog=P, k_states=Q)
    smoother.bind(np.ascontiguousarray(data))
    smoother["design"], smoother["obs_cov"] = truth["loadings"], truth["noise"]
    smoother["transition"], smoother["state_cov"] = truth["transition"], truth["state_noise"]
    smoother["selection"] = np.eye(Q)
    smoother.initialize_known(np.zeros(Q), np.eye(Q))
    return smoother.smooth, float(smoother.smooth().llf)


if __name__ == "__main__":
    sys.exit(main())
