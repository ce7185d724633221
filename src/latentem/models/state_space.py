"""What is asked of a state space model at given parameters: states, forecasts, draws of the states, residuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtri

from .._typing import Array, FloatArray
from ..data import Batch, Source
from ..densities import LinearGaussianDensity
from ..errors import DataError, ParameterError
from ..kernels.kalman import Path
from ..latents.chain_posterior import ChainPosterior
from ..latents.chain_start import root_of
from ..latents.normal_chain import NormalChain
from ..model import LatentVariableModel, ModelParameters


@dataclass(frozen=True)
class FilteredStates:
    """States given the rows up to now.

    Attributes
    ----------
    mean, covariance : (n, q), (n, q, q)
        Of zₜ given x₁ … xₜ.
    predicted_mean, predicted_covariance : (n, q), (n, q, q)
        Of zₜ given x₁ … xₜ₋₁.
    is_diffuse : (n, 2) bool
        Whether the rows before t, and those up to t, leave some coordinate of a diffuse start open: means and
        covariances
        of these steps are those along the other directions.
    """

    mean: FloatArray
    covariance: FloatArray
    predicted_mean: FloatArray
    predicted_covariance: FloatArray
    is_diffuse: Array


@dataclass(frozen=True)
class SmoothedStates:
    """States given all rows of their series.

    Attributes
    ----------
    mean, covariance : (n, q), (n, q, q)
    lagged : (n, q, q)
        Cov(zₜ, zₜ₋₁); zero in the first row of a series.
    """

    mean: FloatArray
    covariance: FloatArray
    lagged: FloatArray


@dataclass(frozen=True)
class Forecast:
    """What is expected of the steps after a series.

    Attributes
    ----------
    mean, covariance : (h, p), (h, p, p)
        Of the observations.
    lower, upper : (h, p)
        Ends of the interval that holds each of them with probability `level`.
    state_mean, state_covariance : (h, q), (h, q, q)
    level : float
    """

    mean: FloatArray
    covariance: FloatArray
    lower: FloatArray
    upper: FloatArray
    state_mean: FloatArray
    state_covariance: FloatArray
    level: float


def filter_states(model: LatentVariableModel, params: ModelParameters, source: Source) -> FilteredStates:
    """Filtered and predicted states of all rows, in the order of the source."""
    parts = [_filtered(_run(model, params, batch)[0]) for batch in source]
    return FilteredStates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def smooth_states(model: LatentVariableModel, params: ModelParameters, source: Source) -> SmoothedStates:
    """Smoothed states of all rows."""
    chain, parts = chain_of(model), []
    for batch in source:
        posterior, _ = model.infer(params, batch)
        assert isinstance(posterior, ChainPosterior)
        parts.append((*posterior.moments, chain.lagged(posterior, batch)))
    return SmoothedStates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def smoothed_signals(
    model: LatentVariableModel, params: ModelParameters, source: Source
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (n, p) of d + Λ zₜ + D uₜ given all rows: what was seen, without the noise of the rows."""
    parts = []
    for batch in source:
        mean, covariance = model.infer(params, batch)[0].moments
        density = _density(model, params, batch)
        variance = np.einsum("...pi,...ij,...pj->...p", density.loadings, covariance, density.loadings)
        parts.append((density.offset + density.signal(mean), variance))
    signal, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
    return signal, variance


def forecast(
    model: LatentVariableModel,
    params: ModelParameters,
    mean: FloatArray,
    covariance: FloatArray,
    steps: int,
    inputs: FloatArray | None = None,
    level: float = 0.95,
) -> Forecast:
    """The steps after a series whose last state has this mean (q,) and covariance (q, q).

    Parameters
    ----------
    inputs : (h, m), or (h,) where m is 1, optional
        Covariates of the steps to come, where the model has inputs.

    Raises
    ------
    DataError
        Covariates that are missing or infinite.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level must lie between 0 and 1, got {level!r}")
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise ParameterError(f"the number of steps must be a whole number of at least 1, got {steps!r}")
    chain, latent, emission = chain_of(model), params.latent, params.emission
    if chain.is_series:
        raise ParameterError("matrices that are known for each row say nothing of the rows to come")
    u = known_inputs(inputs, steps, latent.inputs.shape[1])
    # Behind a row that stands for the last that was seen.
    batch = blank_series(np.concatenate([u[:1], u]), len(emission.offset))
    dynamics, density = chain.dynamics(latent, batch), _density(model, params, batch)
    states = [(mean, covariance)]
    for t in range(1, steps + 1):
        A, S, shift = dynamics.leading_to(t)
        mean = A @ mean + shift
        covariance = A @ covariance @ A.T + S @ S.T
        covariance = 0.5 * (covariance + covariance.T)
        states.append((mean, covariance))
    z, V = (np.array(part) for part in zip(*states, strict=True))
    x, F = density.offset + density.signal(z), _spread(density, V)
    z, V, x, F = z[1:], V[1:], x[1:], F[1:]
    half = ndtri(0.5 + 0.5 * level) * np.sqrt(np.einsum("tii->ti", F))
    return Forecast(x, F, x - half, x + half, z, V, float(level))


def blank_series(u: FloatArray, n_columns: int) -> Batch:
    """Rows of one series of which the inputs (n, m) are known and nothing is observed."""
    values, covariates = np.full((len(u), n_columns), np.nan), u if u.shape[1] else None
    return Batch(values, offsets=np.array([0, len(u)]), missing=True, covariates=covariates)


def _spread(density: LinearGaussianDensity, covariance: FloatArray) -> FloatArray:
    """(n, p, p): the covariance of rows whose states have covariances (n, q, q)."""
    loadings = density.loadings
    return np.asarray(loadings @ covariance @ np.swapaxes(loadings, -1, -2) + density.noise_matrices)


def known_inputs(inputs: Any, steps: int, n_inputs: int) -> FloatArray:
    """Covariates (h, m) of steps to come or to be drawn, all known; (h,) where there is one."""
    u = np.zeros((steps, 0)) if inputs is None else np.asarray(inputs, float)
    u = u[:, None] if u.ndim == 1 and n_inputs == 1 else u
    if u.shape != (steps, n_inputs):
        raise ParameterError(f"inputs must have shape {(steps, n_inputs)}, got {u.shape}")
    wrong = np.argwhere(~np.isfinite(u))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"inputs of the steps to come must be known and finite; row {row}, column {column} has {u[row, column]}"
        )
    return u


def simulate_states(
    model: LatentVariableModel, params: ModelParameters, source: Source, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draws (n_draws, n, q) of all states given all rows (Durbin and Koopman 2002).

    A draw of the model has the same missing entries as the data; its own smoothed states are taken from it, and those
    of
    the data added: what is left is a draw given the data, since covariances do not depend on values.
    """
    return np.concatenate([_draws(model, params, batch, n_draws, rng) for batch in source], axis=1)


def residuals(model: LatentVariableModel, params: ModelParameters, source: Source) -> FloatArray:
    """Standardized one-step errors (n, p): independent N(0, 1) if the model is right.

    L⁻¹ (xₜ - E[xₜ | x₁ … xₜ₋₁]) with L Lᵀ the covariance of what is observed of the row; NaN where nothing is, and
    where
    a diffuse start leaves the prediction open.
    """
    return np.concatenate([_residuals(model, params, batch) for batch in source])


def last_states(filtered: FilteredStates, lengths: Array) -> tuple[FloatArray, FloatArray]:
    """Mean (G, q) and covariance (G, q, q) of the last state of each series."""
    ends = np.cumsum(lengths) - 1
    return filtered.mean[ends], filtered.covariance[ends]


def chain_of(model: LatentVariableModel) -> NormalChain:
    """The chain of a state space model."""
    assert isinstance(model.latent, NormalChain)
    return model.latent


def _density(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> LinearGaussianDensity:
    density: LinearGaussianDensity = model.family.log_density(batch, params.emission)
    return density


def _run(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> tuple[Path, FloatArray]:
    return chain_of(model).filter(_density(model, params, batch), batch, params.latent)


def _filtered(path: Path) -> tuple[Any, ...]:
    roots = path.filtered_root[path.record], path.predicted_root[path.record]
    filtered, predicted = (root @ np.swapaxes(root, 1, 2) for root in roots)
    return path.filtered, filtered, path.predicted, predicted, path.n_flat[path.record] > 0


def _residuals(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> FloatArray:
    density = _density(model, params, batch)
    _, _, mean, covariance, is_diffuse = _filtered(_run(model, params, batch)[0])
    errors = batch.values - density.offset - density.signal(mean)
    F = _spread(density, covariance)
    found = np.full(batch.values.shape, np.nan)
    for t, seen in enumerate(density.observed):
        if seen.any() and not is_diffuse[t, 0]:
            root = root_of(F[t][np.ix_(seen, seen)])
            found[t, seen] = np.linalg.lstsq(root, errors[t, seen], rcond=None)[0]
    return found


def _draws(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    chain, n = chain_of(model), len(batch)
    dynamics, density = chain.dynamics(params.latent, batch), _density(model, params, batch)
    start = chain.start_of(params.latent)
    starts = set(np.asarray(batch.group_offsets[:-1]).tolist())
    path = np.empty((n, n_draws, chain.size))
    for t in range(n):
        noise = rng.standard_normal((n_draws, chain.size))
        if t in starts:
            path[t] = start.mean + noise @ start.root.T
            continue
        A, root, shift = dynamics.leading_to(t)
        path[t] = shift + path[t - 1] @ A.T + noise @ root.T
    draws = np.swapaxes(path, 0, 1)
    noise = rng.standard_normal((n_draws, *batch.values.shape)) @ root_of(density.noise_matrix).T
    noise = noise if density.scale is None else noise * np.sqrt(density.scale)
    values = density.signal(draws) + density.offset + noise
    values = np.where(density.observed, values, np.nan)
    smoothed = [_smoothed_means(chain, params, batch, replace(density, values=one)) for one in (batch.values, *values)]
    return draws + (smoothed[0] - np.array(smoothed[1:]))


def _smoothed_means(
    chain: NormalChain, params: ModelParameters, batch: Batch, density: LinearGaussianDensity
) -> FloatArray:
    mean = chain.posterior(density, batch, params.latent)[0].mean
    assert mean is not None
    return mean


def group_slices(lengths: Array) -> list[slice]:
    """The rows of each series."""
    return [slice(a, b) for a, b in pairwise([0, *np.cumsum(lengths).tolist()])]
