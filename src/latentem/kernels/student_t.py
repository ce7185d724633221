"""The multivariate t as a normal with a gamma-distributed precision factor: x | u ~ N(μ, Σ/u), u ~ Gamma(ν/2, ν/2).

Given x with squared Mahalanobis distance δ in D dimensions, u ~ Gamma((ν + D)/2, (ν + δ)/2) (Liu and Rubin 1995).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._typing import Array, FloatArray
from .gaussian import LOG_2PI, inverse_factors, pack, patterns
from .special import gamma_shape
from .stirling import digamma_minus_log, log_minus_excess, log_peak, xlogx_minus_excess

# Distances beyond are taken for this one: the squares that lead to them may overflow.
LARGEST_DISTANCE = 1e280


@dataclass(frozen=True, eq=False)
class ScalePlan:
    """What a pass over the data needs of scale matrices, prepared once for all chunks.

    Attributes
    ----------
    scales : (K, D, D), or (K, D) for diagonal ones
    whiten : like `scales`
        L⁻¹ with Σ = L Lᵀ.
    log_root : (K,)
        log |L|.
    """

    scales: FloatArray
    whiten: FloatArray
    log_root: FloatArray


@dataclass(frozen=True)
class Geometry:
    """How rows lie to the components, over what is observed of them.

    Attributes
    ----------
    distance : (K, n)
        Squared Mahalanobis distances δ.
    log_root : (K, n) or (K, 1)
        log |L| of the observed part of the scale matrix.
    dimension : (n,) or (1,)
        Number of observed columns.
    """

    distance: FloatArray
    log_root: FloatArray
    dimension: FloatArray


def plan_scales(scales: FloatArray) -> ScalePlan:
    """Prepare a pass for full scale matrices (K, D, D)."""
    whiten = inverse_factors(scales)
    return ScalePlan(scales, whiten, -np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(axis=1))


def plan_axes(scales: FloatArray) -> ScalePlan:
    """Prepare a pass for diagonal ones (K, D)."""
    return ScalePlan(scales, 1 / np.sqrt(scales), 0.5 * np.log(scales).sum(axis=1))


def full_geometry(x: FloatArray, observed: Array | None, means: FloatArray, plan: ScalePlan) -> Geometry:
    """δ = |L⁻¹(x - μ)|² for full scale matrices, one factorization a component and pattern of missingness."""
    k, units = len(means), 1 if observed is None else len(x)
    distance, log_root, dimension = np.empty((k, len(x))), np.empty((k, units)), np.empty(units)
    for rows, seen in _patterns(x, observed):
        dimension[rows] = len(seen)
        for j, mean in enumerate(means):
            whiten = _observed_whiten(plan, j, seen)
            log_root[j, rows] = -np.log(np.diag(whiten)).sum()
            distance[j, rows] = _squared_length(_deviations(x, rows, seen, mean), whiten)
    return Geometry(_bounded(distance), log_root, dimension)


def axes_geometry(x: FloatArray, observed: Array | None, means: FloatArray, plan: ScalePlan) -> Geometry:
    """δ = Σ (x - μ)² / s over observed columns for diagonal scale matrices."""
    distance = np.empty((len(means), len(x)))
    for k, (mean, whiten) in enumerate(zip(means, plan.whiten, strict=True)):
        with np.errstate(over="ignore"):
            z = (x - mean) * whiten
            z = z if observed is None else np.where(observed, z, 0.0)
            distance[k] = np.einsum("ni,ni->n", z, z)
    if observed is None:
        return Geometry(_bounded(distance), plan.log_root[:, None], np.full(1, float(x.shape[1])))
    log_root = -np.log(plan.whiten) @ observed.T
    return Geometry(_bounded(distance), log_root, observed.sum(axis=1).astype(float))


def log_density(geometry: Geometry, dof: FloatArray) -> FloatArray:
    """log t for degrees of freedom (K,), shape (K, n):

    log Γ((ν+D)/2) - log Γ(ν/2) - ½ D log πν - log |L| - ½ (ν+D) log(1 + δ/ν), arranged so that nothing cancels as ν
    grows and it becomes the normal density.
    """
    nu, d = dof[:, None], geometry.dimension
    tail = 0.5 * (nu + d) * np.log1p(geometry.distance / nu)
    return np.asarray(_log_constant(0.5 * d, 0.5 * nu) - 0.5 * d * LOG_2PI - geometry.log_root - tail)


def precision_factor(geometry: Geometry, dof: FloatArray) -> tuple[FloatArray, FloatArray]:
    """E[u | x] = (ν + D)/(ν + δ), and E[log u - u + 1 | x] < 0, which is small where u is surely near 1; (K, n)."""
    nu, d = dof[:, None], geometry.dimension
    ratio = (nu + d) / (nu + geometry.distance)
    excess = (d - geometry.distance) / (nu + geometry.distance)
    return ratio, log_minus_excess(ratio, excess) + digamma_minus_log(0.5 * (nu + d))


def expected_log_gamma(counts: FloatArray, log_excess: FloatArray, dof: FloatArray) -> FloatArray:
    """Σ r (a log a - log Γ(a) - a) + a Σ r E[log u - u + 1] with a = ν/2: what ν touches of Σ r E[log p(u)]."""
    half = 0.5 * dof
    return np.asarray(counts * (log_peak(half) + np.log(half)) + half * log_excess)


def expected_log_gamma_slope(counts: FloatArray, log_excess: FloatArray, dof: FloatArray) -> FloatArray:
    """The derivative of `expected_log_gamma` in log ν: a (Σ r (log a - ψ(a)) + Σ r E[log u - u + 1])."""
    half = 0.5 * dof
    return np.asarray(half * (log_excess - counts * digamma_minus_log(half)))


def maximize_dof(target: FloatArray, largest: float) -> FloatArray:
    """The root ν ≤ largest of log(ν/2) - ψ(ν/2) = c, where c = -Σ r E[log u - u + 1] / Σ r (Liu and Rubin 1995)."""
    return 2 * gamma_shape(np.minimum(target, 1e300), 0.5 * largest)


def full_moments(
    x: FloatArray,
    observed: Array | None,
    responsibilities: FloatArray,
    u: FloatArray,
    means: FloatArray,
    plan: ScalePlan,
) -> tuple[FloatArray, FloatArray]:
    """Σ r E[u y] (K, D) and packed Σ r E[u y yᵀ], y = x - μ.

    Given u, missing entries are normal about their regression on the others with covariance C/u: what they add to the
    second moment is Σ r C, whatever u is.
    """
    k, d = means.shape
    first, second = np.zeros((k, d)), np.zeros((k, d, d))
    for rows, seen in _patterns(x, observed):
        for j, mean in enumerate(means):
            r = responsibilities[j, rows]
            y, extra = _completed(_deviations(x, rows, seen, mean), plan.scales[j], seen)
            weighted = y * (r * u[j, rows])[:, None]
            first[j] += weighted.sum(axis=0)
            second[j] += weighted.T @ y + r.sum() * extra
    return first, pack(second)


def axes_moments(
    x: FloatArray, observed: Array | None, weights: FloatArray, means: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Σ w y and Σ w y² over observed entries, (K, D) each, y = x - μ."""
    first, second = np.empty(means.shape), np.empty(means.shape)
    for k, (mean, w) in enumerate(zip(means, weights, strict=True)):
        y = x - mean if observed is None else np.where(observed, x - mean, 0.0)
        weighted = y * w[:, None]
        first[k], second[k] = weighted.sum(axis=0), np.einsum("nd,nd->d", weighted, y)
    return first, second


def _log_constant(b: FloatArray, a: FloatArray) -> FloatArray:
    """log Γ(a + b) - log Γ(a) - b log a."""
    share = b / a
    return np.asarray(a * xlogx_minus_excess(1 + share, share) - np.log1p(share) + log_peak(a) - log_peak(a + b))


def _squared_length(deviations: FloatArray, whiten: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        z = deviations @ whiten.T
        return np.asarray(np.einsum("ni,ni->n", z, z))


def _bounded(distance: FloatArray) -> FloatArray:
    return np.where(distance <= LARGEST_DISTANCE, distance, LARGEST_DISTANCE)


def _patterns(x: FloatArray, observed: Array | None) -> Iterator[tuple[Array | slice, Array]]:
    if observed is None:
        yield slice(None), np.arange(x.shape[1])
    else:
        yield from patterns(observed)


def _deviations(x: FloatArray, rows: Array | slice, seen: Array, mean: FloatArray) -> FloatArray:
    block = x[rows] if len(seen) == len(mean) else x[rows][:, seen]
    return np.asarray(block - mean[seen])


def _observed_whiten(plan: ScalePlan, k: int, seen: Array) -> FloatArray:
    if len(seen) == len(plan.scales[k]):
        return np.asarray(plan.whiten[k])
    if not len(seen):
        return np.empty((0, 0))
    return np.asarray(inverse_factors(plan.scales[k][np.ix_(seen, seen)][None])[0])


def _completed(deviations: FloatArray, scale: FloatArray, seen: Array) -> tuple[FloatArray, FloatArray]:
    """Deviations of all columns, missing ones by regression, and their conditional scale C (D, D), zero where seen."""
    extra = np.zeros_like(scale)
    if len(seen) == len(scale):
        return deviations, extra
    unseen = np.setdiff1d(np.arange(len(scale)), seen)
    y = np.zeros((len(deviations), len(scale)))
    y[:, seen] = deviations
    cross = scale[np.ix_(unseen, seen)]
    regression = np.linalg.solve(scale[np.ix_(seen, seen)], cross.T).T if len(seen) else cross
    y[:, unseen] = deviations @ regression.T
    extra[np.ix_(unseen, unseen)] = scale[np.ix_(unseen, unseen)] - regression @ cross.T
    return y, extra
