"""The laws of a model: its E-step is the enumeration of all paths of the latent."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Batch
from ..kernels.derivatives import gradient
from ..model import LatentVariableModel, ModelParameters, ModelStatistics
from ..statistics import Expectation, is_local
from .comparing import added, close, magnitudes_of, require, same
from .drawing import fresh, one_hot, take
from .latents import log_path


def check_model(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> None:
    """A model's E-step against the enumeration of every path of the latent, on a few rows; and Fisher's identity.

    Marginal log-likelihood, posterior probabilities and expected statistics equal those of the complete data averaged
    over all paths; the score equals the gradient of the log-likelihood; an EM step does not lower the objective.

    Parameters
    ----------
    model : LatentVariableModel
    params : ModelParameters
    batch : Batch
        At most some six rows in all, with `offsets`; weights and labels are taken into account.

    Raises
    ------
    AssertionError
    """
    name = f"{type(model.latent).__name__} x {type(model.family).__name__}"
    expectation = model.e_step(params, fresh(batch))
    posterior, _ = model.infer(params, fresh(batch))
    groups = [_enumerated_group(model, params, take(batch, g, g + 1, True)) for g in range(batch.n_groups)]
    weights = batch.unit_weights(True)
    log_likelihood = float(sum(w * group[0] for w, group in zip(weights, groups, strict=True)))
    bound = 1e-11 * (1 + expectation.magnitude)
    close(expectation.log_likelihood, log_likelihood, bound, f"{name}: log-likelihood by enumeration")
    close(posterior.probabilities, np.hstack([g[1] for g in groups]), 1e-9, f"{name}: posterior by enumeration")
    expected, magnitudes = added([group[2] for group in groups]), [group[3] for group in groups]
    total = [np.sum(parts, axis=0) for parts in zip(*magnitudes, strict=True)]
    same(expectation.statistics, expected, total, 1e-9, f"{name}: expected statistics by enumeration")
    _law_model_fisher(model, params, batch, expectation, name)
    _law_em_step_rises(model, params, batch, expectation, name)


def _enumerated_group(
    model: LatentVariableModel, params: ModelParameters, batch: Batch
) -> tuple[float, FloatArray, Any, list[FloatArray]]:
    """Log-likelihood, posterior, weighted expected statistics and their magnitudes, over all paths of one group."""
    log_density = model.family.log_density(batch.without_labels(), params.emission)
    k, n = log_density.shape
    known = np.full(n, -1) if batch.labels is None else batch.labels[:n]
    weights = None if batch.weights is None else batch.unit_weights(model.family.per_group)
    logs, posteriors, statistics = [], [], []
    for path in map(np.array, product(range(k), repeat=n)):
        posterior, log = log_path(model.latent, params.latent, path, batch)
        if np.any((known >= 0) & (path != known)) or log == -np.inf:
            continue
        complete = replace(posterior, weights=weights)
        logs.append(log + log_density[path, np.arange(n)].sum())
        posteriors.append(one_hot(path, k))
        latent = model.latent.statistics(complete, batch)
        emission = model.family.statistics(batch.without_labels(), complete, params.emission)
        statistics.append(ModelStatistics(latent, emission))
    total = float(np.logaddexp.reduce(logs))
    shares = np.exp(np.array(logs) - total)
    parts = [s * float(share) for s, share in zip(statistics, shares, strict=True)]
    return total, np.tensordot(shares, np.array(posteriors), 1), added(parts), magnitudes_of(parts)


def _law_model_fisher(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    def log_likelihood(vector: FloatArray) -> float:
        return model.e_step(params.unflatten(vector), fresh(batch)).log_likelihood

    numeric = gradient(log_likelihood, params.flatten())
    score = model.score(expectation.statistics, params)
    bound = 1e-6 * (1 + expectation.magnitude)
    close(score, numeric, bound, f"{name}: the score of Q is the gradient of the log-likelihood (Fisher's identity)")


def _law_em_step_rises(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    if is_local(expectation.statistics):
        return
    updated = model.m_step(expectation.statistics, params)
    after = model.e_step(updated, fresh(batch)).log_likelihood + model.log_prior(updated)
    before = expectation.log_likelihood + model.log_prior(params)
    slack = 1e-11 * (1 + expectation.magnitude)
    require(after >= before - slack, f"{name}: the objective falls at an EM step, from {before!r} to {after!r}")
