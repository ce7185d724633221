"""Fits of every kind at a few steps of EM, for the pictures: what a trail is to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import zoo
from jax.scipy.stats import norm

import latentem as em
from latentem.data import ArraySource, Batch, Source
from latentem.families import Components, LinearGaussian
from latentem.fitting import fit
from latentem.model import LatentVariableModel, ModelParameters
from latentem.testing.drawing import draw

K, STEPS = 2, 3


@dataclass(frozen=True)
class Step:
    number: int
    parameters: Any


@dataclass(frozen=True)
class Trail:
    """The part of a trail that pictures look at."""

    model: Any
    source: Source
    names: tuple[str, ...]
    steps: tuple[Step, ...]


def trail(model: Any, source: Source, start: Any, n_steps: int = STEPS) -> Trail:
    """A few steps of plain EM."""
    steps = [start]
    while len(steps) < n_steps:
        batches = list(source)
        expectation = sum((model.e_step(steps[-1], one) for one in batches[1:]), model.e_step(steps[-1], batches[0]))
        fold = _fold(batches)
        steps.append(model.m_step(expectation.statistics, steps[-1], fold))
    return Trail(model, source, tuple(source.names), tuple(map(Step, range(n_steps), steps)))


def _fold(batches: list[Batch]) -> Any:
    return lambda f: sum((f(one) for one in batches[1:]), f(batches[0]))


def source_of(batch: Batch) -> ArraySource:
    lengths = None if batch.offsets is None else np.diff(batch.offsets)
    return ArraySource(batch.values, lengths=lengths, covariates=batch.covariates)


def pair(latent_name: str, family_name: str, n: int = 120, n_steps: int = STEPS) -> Trail:
    """A latent and a family of the zoo, on rows that the family drew."""
    rng = np.random.default_rng(1)
    latent, family = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}[latent_name], {**zoo.FAMILIES, **zoo.VARIANTS}[family_name]
    emission, own = family.of(K), family.parameters(K)
    n_units, n_covariates = n // 4 if emission.per_group else n, max(family.n_covariates, latent.n_covariates)
    batch, _ = draw(emission, own, K, rng, n_units, n_covariates)
    if latent.latent(K).per_group and not emission.per_group:
        batch = replace(batch, offsets=np.array([0, 70, n]))
    model = LatentVariableModel(latent.latent(K), emission)
    start = model.conform(ModelParameters(latent.parameters(K), own))
    return trail(model, source_of(batch), start, n_steps)


def factor_model(q: int = 2) -> Trail:
    family = zoo.LINEAR_FAMILIES["LinearGaussian"]
    model = LatentVariableModel(zoo.NORMAL_LATENTS["Normal"].latent(q), family.of(q))
    params = ModelParameters(zoo.NORMAL_LATENTS["Normal"].parameters(q), family.parameters(q))
    values = model.sample(params, np.zeros(150, int), np.random.default_rng(2))
    return trail(model, ArraySource(values), params)


def state_space(n: int = 90, q: int = 2) -> Trail:
    family = zoo.LINEAR_FAMILIES["LinearGaussian"]
    latent = zoo.NORMAL_CHAINS["NormalChain"]
    model = LatentVariableModel(latent.latent(q), family.of(q))
    params = ModelParameters(latent.parameters(q), family.parameters(q))
    values = np.cumsum(np.random.default_rng(3).normal(size=(n, 3)), axis=0)
    values[10:14] = np.nan
    return trail(model, ArraySource(values), params)


def mixture_of_factor_models() -> Trail:
    one = LatentVariableModel(em.Normal(1), LinearGaussian())
    model = LatentVariableModel(em.Categorical(2), Components((one, one)))
    rng = np.random.default_rng(4)
    values = rng.normal(size=(160, 4)) + 3 * (np.arange(160) % 2)[:, None] + rng.normal(size=(160, 1))
    start = model.start(Batch(values))
    return trail(model, ArraySource(values), start)


@cache
def two_normals() -> Trail:
    """A declared mixture."""

    def log_joint(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])

    domains = {"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}
    model = em.latent_variable_model(log_joint, latent=em.Categorical(2), parameters=domains)
    rng = np.random.default_rng(5)
    x = np.where(rng.random(200) < 0.4, rng.normal(-2, 1, 200), rng.normal(3, 1.5, 200))
    result = fit(model, x, parameters=model.parameters(weights=[0.5, 0.5], means=[-1.0, 1.0], scales=[1.0, 1.0]))
    return trail(result.model, result.source, result.start if result.start is not None else result.parameters)
