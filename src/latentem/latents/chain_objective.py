"""Q of a chain of normal vectors at fixed statistics: its parts, where they are largest, and its slope.

`kinds` says of each coordinate how it starts, see `chain_start.STARTS`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._typing import FloatArray
from ..kernels.cholesky import in_log_cholesky
from ..kernels.gaussian import keep_definite
from ..kernels.linear_regression import Freedom, expected_log_normal, is_plain, maximize, precision
from ..patterns import sums_of
from .chain_parameters import NormalChainParameters, NormalChainStatistics
from .chain_start import Start, stationary_slopes

SMALLEST = float(np.finfo(float).tiny)


def moved_transitions(statistics: NormalChainStatistics, params: NormalChainParameters) -> NormalChainParameters:
    """A, b, B and Q from the transitions alone."""
    groups, (about, _) = params.groups, statistics.about()
    moments, change = statistics.moments(params.noise.ndim == 1), params.coefficients - about
    rows = groups.moving if groups.noise is None else np.arange(len(params.shift))
    coefficients, noise, block = groups.coefficients[rows], params.noise, np.ix_(rows, rows)
    square = moments.square if noise.ndim == 1 else moments.square[block]
    moments = replace(moments, cross=moments.cross[rows], square=square)
    freedom = Freedom(coefficients, groups.noise, np.full(len(rows), SMALLEST), is_plain(coefficients))
    change[rows], moved = maximize(moments, change[rows], noise if noise.ndim == 1 else noise[block], freedom)
    updated = np.where(groups.coefficients >= 0, about + change, params.coefficients)
    if noise.ndim == 2:
        whole = noise.copy()
        whole[block] = moved
        moved = whole
    return replace(params.with_coefficients(updated), noise=moved)


def moved_start(statistics: NormalChainStatistics, params: NormalChainParameters) -> NormalChainParameters:
    """m and V from the first rows, what is free of them."""
    mean, free = params.initial_mean, params.groups.initial
    if "mean" in free:
        mean = statistics.about()[1] + statistics.first / statistics.first_count
    if "covariance" not in free:
        return replace(params, initial_mean=mean)
    scatter = statistics.start_scatter(mean) / statistics.first_count
    return replace(params, initial_mean=mean, initial_covariance=keep_definite(scatter[None])[0])


def density_of_transitions(statistics: NormalChainStatistics, params: NormalChainParameters) -> float:
    """E log p(z₂, z₃, … | z₁) of the coordinates that have noise."""
    scatter = statistics.moments(params.noise.ndim == 1).scatter(params.coefficients - statistics.about()[0])
    noise, moving = params.noise, params.groups.moving
    if noise.ndim == 2:
        scatter, noise = scatter[np.ix_(moving, moving)], noise[np.ix_(moving, moving)]
    return expected_log_normal(scatter, float(statistics.count), noise) if len(moving) else 0.0


def density_of_start(kinds: tuple[str, ...], statistics: NormalChainStatistics, params: NormalChainParameters) -> float:
    """E log p(z₁) of the coordinates that are not diffuse; 0 where all are known."""
    proper = np.flatnonzero([kind != "diffuse" for kind in kinds])
    if set(kinds) == {"known"} or not len(proper):
        return 0.0
    start, block = Start.of(kinds, params), np.ix_(proper, proper)
    scatter = statistics.start_scatter(start.mean)[block]
    return expected_log_normal(scatter, float(statistics.first_count), start.covariance[block])


def score(kinds: tuple[str, ...], statistics: NormalChainStatistics, params: NormalChainParameters) -> FloatArray:
    """∇Q in the free coordinates."""
    groups, moving, q = params.groups, params.groups.moving, len(params.shift)
    moved = statistics.shift(params.reference)
    slope, by_noise = np.zeros_like(moved.cross), np.zeros((q, q))
    block = np.ix_(moving, moving)
    if len(moving):
        inverse = precision(params.noise_matrix[block])[0]
        slope[moving] = inverse @ moved.cross[moving]
        by_noise[block] = _by_covariance(inverse, moved.square[block], moved.count)
    if "stationary" in kinds:
        by_transition, by_shift, by_start = _by_stationary_start(kinds, moved, params)
        slope[:, -q:] += by_transition
        slope[:, 0] += by_shift
        by_noise += by_start
    parts = [sums_of(groups.coefficients, slope)]
    if groups.noise is None:
        parts.append(in_log_cholesky(params.noise[block], by_noise[block]))
    elif params.noise.ndim == 1:
        parts.append(sums_of(groups.noise, np.diagonal(by_noise) * params.noise))
    if groups.initial:
        inverse = precision(params.initial_covariance)[0]
    if "mean" in groups.initial:
        parts.append(inverse @ moved.first)
    if "covariance" in groups.initial:
        by_start = _by_covariance(inverse, moved.second, moved.first_count)
        parts.append(in_log_cholesky(params.initial_covariance, by_start))
    return np.concatenate(parts)


def _by_covariance(inverse: FloatArray, scatter: FloatArray, count: FloatArray) -> FloatArray:
    """The derivative of -½ [n log|V| + tr(V⁻¹ S)] by V."""
    return np.asarray(0.5 * (inverse @ scatter @ inverse - count * inverse))


def _by_stationary_start(
    kinds: tuple[str, ...], statistics: NormalChainStatistics, params: NormalChainParameters
) -> tuple[FloatArray, FloatArray, FloatArray]:
    settled = np.array([kind == "stationary" for kind in kinds])
    start, count = Start.of(kinds, params), float(statistics.first_count)
    first = statistics.first + count * (params.initial_mean - start.mean)
    return stationary_slopes(params, settled, first, statistics.start_scatter(start.mean), count)
