"""Declared Markov chains that are tested, with the same densities in NumPy, and their data."""

from __future__ import annotations

from typing import Any

import jax.nn
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm, poisson
from kernels.all_paths import Tables
from scipy.special import log_expit
from scipy.stats import norm as normal

import latentem as em
from latentem.sources import Grouping, as_source


def chain_of(k: int, log_emission: Any, **domains: Any) -> Any:
    """A chain with free initial probabilities and a free transition matrix."""
    return em.latent_variable_model(
        latent=em.MarkovChain(k),
        parameters={"initial": em.Simplex(k), "transition": em.Simplex(k, k), **domains},
        log_initial=lambda z, theta: jnp.log(theta.initial[z]),
        log_transition=lambda previous, z, theta: jnp.log(theta.transition[previous, z]),
        log_emission=log_emission,
    )


def gaussian_chain(k: int) -> Any:
    return chain_of(
        k,
        lambda x, z, theta: norm.logpdf(x, theta.means[z], theta.scales[z]),
        means=em.Real(k),
        scales=em.Positive(k),
    )


GAUSSIAN = gaussian_chain(2)
POISSON = chain_of(3, lambda x, z, theta: poisson.logpmf(x, theta.rates[z]), rates=em.Positive(3))
DICE = chain_of(2, lambda x, z, theta: jnp.log(theta.faces[z, x - 1]), faces=em.Simplex(2, 6))


def driven_transition(x: Any, previous: Any, z: Any, theta: Any) -> Any:
    """A logit that depends on a covariate of the row that the step leads to."""
    logit = theta.intercepts[previous] + theta.slopes[previous] * x["c"]
    return jax.nn.log_sigmoid(jnp.where(z == 1, logit, -logit))


DRIVEN = em.latent_variable_model(
    latent=em.MarkovChain(2),
    parameters={"intercepts": em.Real(2), "slopes": em.Real(2), "means": em.Real(2)},
    log_initial=lambda z, theta: jnp.log(0.5),
    log_transition=driven_transition,
    log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.means[z], 1.0),
)

LEFT_TO_RIGHT = em.latent_variable_model(
    latent=em.MarkovChain(3),
    parameters={"stay": em.UnitInterval(2), "means": em.Real(3)},
    log_initial=lambda z, theta: jnp.where(z == 0, 0.0, -jnp.inf),
    log_transition=lambda previous, z, theta: jnp.where(
        z == previous,
        jnp.log(jnp.append(theta.stay, 1.0)[previous]),
        jnp.where(z == previous + 1, jnp.log1p(-jnp.append(theta.stay, 1.0)[previous]), -jnp.inf),
    ),
    log_emission=lambda x, z, theta: norm.logpdf(x, theta.means[z], 1.0),
)


def gaussian_tables(parameters: Any, x: np.ndarray) -> Tables:
    with np.errstate(divide="ignore"):
        initial, transition = np.log(parameters.initial), np.log(parameters.transition)
    emission = normal.logpdf(x[:, None], parameters.means, parameters.scales)
    return Tables(initial, np.broadcast_to(transition, (len(x), *transition.shape)), emission)


def driven_tables(parameters: Any, x: dict[str, np.ndarray]) -> Tables:
    logit = parameters.intercepts + parameters.slopes * x["c"][:, None]
    steps = np.stack([log_expit(-logit), log_expit(logit)], axis=2)
    return Tables(np.log([0.5, 0.5]), steps, normal.logpdf(x["y"][:, None], parameters.means))


def left_to_right_tables(parameters: Any, x: np.ndarray) -> Tables:
    a, b = parameters.stay
    with np.errstate(divide="ignore"):
        transition = np.log([[a, 1 - a, 0], [0, b, 1 - b], [0, 0, 1]])
        initial = np.log([1.0, 0.0, 0.0])
    steps = np.broadcast_to(transition, (len(x), 3, 3))
    return Tables(initial, steps, normal.logpdf(x[:, None], parameters.means))


LENGTHS = [4, 1, 5, 2]
N = sum(LENGTHS)


def numbers(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=2.0, size=N)


SPECIMENS = {
    "one matrix": (
        GAUSSIAN,
        {"initial": [0.3, 0.7], "transition": [[0.8, 0.2], [0.35, 0.65]], "means": [-1, 2], "scales": [1.5, 0.7]},
        numbers(),
        gaussian_tables,
    ),
    "covariates": (
        DRIVEN,
        {"intercepts": [-1.0, 0.5], "slopes": [2.0, -1.5], "means": [-1, 1.5]},
        {"y": numbers(1), "c": numbers(2)},
        driven_tables,
    ),
    "left to right": (LEFT_TO_RIGHT, {"stay": [0.4, 0.7], "means": [-1, 0, 2]}, numbers(3), left_to_right_tables),
}


def source_of(x: Any, lengths: Any = None, **columns: Any) -> Any:
    return as_source(x, lengths=lengths, grouping=Grouping(None, whole=True), **columns)


def batch_of(x: Any, lengths: Any = None, **columns: Any) -> Any:
    (batch,) = source_of(x, lengths, **columns)
    return batch


def pair_sums(weights: np.ndarray, k: int, lengths: Any) -> np.ndarray:
    """(G, K, K) from the weights of the labels (K + K², n)."""
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    return np.add.reduceat(weights[k:], starts, axis=1).T.reshape(-1, k, k)


def switching(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """States that stay where they are nine times out of ten."""
    return np.cumsum(rng.random(n) < 0.1) % k
