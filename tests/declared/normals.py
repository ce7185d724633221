"""What tests of declared normal latents share: batches, prepared models, laws of points and fits, QUADPACK."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from scipy import stats
from scipy.integrate import quad

import latentem as em
from latentem.data import Batch
from latentem.models.declared import DeclaredModel
from latentem.models.declared.e_steps.points import Points
from latentem.sources import as_source


def batch_of(model: DeclaredModel, data: Any, **columns: Any) -> Batch:
    (batch,) = as_source(data, grouping=model.declaration.grouping, **columns)
    return batch


def ready(model: DeclaredModel, params: Any, batch: Batch) -> DeclaredModel:
    """The model with the E-step that serves for this batch at these parameters, and no statistics."""
    return DeclaredModel(
        model.declaration,
        model.estep.prepared(model._functions(batch), params.values, model.rows(batch), batch),
        batch.layout,
    )


def log_likelihood(model: DeclaredModel, params: Any, batch: Batch) -> np.ndarray:
    return ready(model, params, batch).infer(params, batch).log_likelihood


def check_fisher(model: DeclaredModel, params: Any, batch: Batch, tolerance: float = 1e-6) -> None:
    """The gradient of Q at θ, from the points, is that of the log-likelihood by central differences."""
    model = ready(model, params, batch)
    vector, step = params.flatten(), 1e-5

    def total(at: np.ndarray) -> float:
        return float(np.sum(model.infer(params.unflatten(at), batch).log_likelihood))

    slopes = [
        (total(vector + by) - total(vector - by)) / (2 * step) for by in step * np.eye(len(vector))
    ]
    score = model._q_share(params, vector, batch).gradient
    np.testing.assert_allclose(score, slopes, rtol=tolerance, atol=tolerance * (1 + np.abs(score).max()))


def check_points(points: Points, batch: Batch, per_group: bool = False) -> None:
    """The weights of a row's points add to one; the points of a group's rows are the same."""
    by_row = np.bincount(points.rows, points.weights.sum(axis=0), len(batch))
    np.testing.assert_allclose(by_row, 1.0, atol=1e-12)
    if per_group:
        for start, stop in pairwise(batch.group_offsets):
            nodes = [points.u[points.rows == row] for row in range(start, stop)]
            assert all(np.array_equal(nodes[0], other) for other in nodes)


def check_fit(result: em.EMResult, data: Any, score: float = 1e-2) -> None:
    """The objective rose throughout, and its gradient vanishes at the end."""
    objectives = np.array([objective for _, objective in result.history])
    assert np.all(np.diff(objectives) >= -1e-9 * np.abs(objectives[:-1]))
    assert objectives[-1] > objectives[0]
    assert result.converged
    params = result.parameters
    gradient = result.model._q_share(params, params.flatten(), batch_of(result.model, data)).gradient
    assert np.abs(gradient).max() < score


def log_bernoulli(y: Any, eta: Any) -> Any:
    return -jnp.logaddexp(0.0, jnp.where(y > 0, -eta, eta))


def normal_average(log_function: Any, breaks: list[float]) -> float:
    """log ∫ φ(z) exp(g(z)) dz by QUADPACK."""
    edges = sorted({-12.0, 12.0, *(b for b in breaks if -12 < b < 12)})
    parts = [
        quad(lambda z: stats.norm.pdf(z) * np.exp(log_function(z)), low, high, epsabs=0, epsrel=1e-12, limit=500)[0]
        for low, high in pairwise(edges)
    ]
    return float(np.log(sum(parts)))


def random_intercept(e_step: str) -> DeclaredModel:
    """Rows of a subject about a level of its own, which is simulated as `e_step` says."""
    return em.latent_variable_model(
        latent=em.Normal(),
        parameters={"mean": em.Real(), "between": em.Positive(), "within": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z, theta.mean, theta.between),
        log_emission=lambda x, z, theta: norm.logpdf(x["y"], z, theta.within),
        group="subject",
        e_step=e_step,
    )


def intercept_log_likelihood(data: dict[str, np.ndarray], mean: float, between: float, within: float) -> np.ndarray:
    """Of each subject, in the order of their numbers, in closed form."""
    groups = [data["y"][data["subject"] == subject] for subject in np.unique(data["subject"])]
    return np.array(
        [
            stats.multivariate_normal.logpdf(y, np.full(len(y), mean), within**2 * np.eye(len(y)) + between**2)
            for y in groups
        ]
    )
