"""Gaussian log densities and moments: two matrix products where they are accurate, centred factors where not.

Products of raw moments cancel.  With s² = Σᵢᵢ + (c - μ)²ᵢ the terms of the quadratic form of component k,
expanded about a common centre c, add up to about Bₖ = sᵀ|Σₖ⁻¹|s in magnitude, so its error is about ε Bₖ.
A component over `LARGEST_TERMS` is computed from its own mean with a triangular factor instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtrtri

from .._typing import Array, FloatArray
from .products import expected_products, expected_sums, weighted_products, weighted_sums

LARGEST_TERMS = 2e4
LOG_2PI = float(np.log(2 * np.pi))
# Below this, correlations cannot be told from singular ones in float64.
SMALLEST_CORRELATION = 1e-13
# A floor this far below a variance is no floor.
NEGLIGIBLE = 1e-100


@dataclass(frozen=True, eq=False)
class GaussianPlan:
    """What a pass over the data needs of full-covariance parameters, prepared once for all chunks.

    Attributes
    ----------
    centre : (D,)
        Common centre c of the expanded form (`common_centre`).
    references : (K, D)
        Centre that each component's moments are relative to: c, or its own mean.
    weights : (K, P)
        Coefficients of the features in the log densities.
    whiten : (K, D, D)
        Inverse Cholesky factors L⁻¹, Σ = L Lᵀ.
    log_scale : (K,)
        -½ D log 2π - log |L|.
    centred : (C,) int
        Components that take the centred path.
    """

    means: FloatArray
    covariances: FloatArray
    centre: FloatArray
    references: FloatArray
    weights: FloatArray
    whiten: FloatArray
    log_scale: FloatArray
    centred: Array


def plan_gaussian(means: FloatArray, covariances: FloatArray) -> GaussianPlan:
    """Prepare a pass for means (K, D) and covariances (K, D, D)."""
    k, d = means.shape
    whiten = inverse_factors(covariances)
    precisions = np.swapaxes(whiten, 1, 2) @ whiten
    log_scale = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(axis=1) - 0.5 * d * LOG_2PI
    variances, sizes = np.diagonal(covariances, axis1=1, axis2=2), np.abs(precisions)

    def terms(offset: FloatArray) -> FloatArray:
        spread = np.sqrt(variances + offset**2)
        return np.einsum("ki,kij,kj->k", spread, sizes, spread)

    centre, centred = common_centre(means, terms)
    offset = means - centre
    references = np.where(np.isin(np.arange(k), centred)[:, None], means, centre)
    linear = np.einsum("kij,kj->ki", precisions, offset)
    i, j = upper_triangle(d)
    quadratic = np.where(i == j, -0.5, -1.0) * precisions[:, i, j]
    constant = log_scale - 0.5 * np.einsum("ki,ki->k", linear, offset)
    weights = np.concatenate([quadratic, linear, constant[:, None]], axis=1)
    return GaussianPlan(means, covariances, centre, references, weights, whiten, log_scale, centred)


def common_centre(means: FloatArray, terms: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, Array]:
    """A centre (D,) for the expanded form, and the components whose terms (K,) about it are too large for that.

    The mean of the means; where some are far from it in units of their spread and so computed from their own, it is the
    mean of the others, whose terms, and rounding errors with them, are then smaller; where all are, the mean of that
    which is least so.
    """
    centre = means.mean(axis=0)
    sizes = terms(means - centre)
    apart = ~(sizes <= LARGEST_TERMS)
    if apart.any():
        near = np.arange(len(means)) == np.argmin(sizes) if apart.all() else ~apart
        centre = means[near].mean(axis=0)
        apart = ~(terms(means - centre) <= LARGEST_TERMS)
    return centre, np.flatnonzero(apart)


def inverse_factors(covariances: FloatArray) -> FloatArray:
    """L⁻¹ for each Σ = L Lᵀ; raises `numpy.linalg.LinAlgError` where Σ is not positive definite."""
    return np.stack([dtrtri(factor, lower=1)[0] for factor in np.linalg.cholesky(covariances)])


def log_density(x: FloatArray, plan: GaussianPlan, features: FloatArray | None = None) -> FloatArray:
    """log N(xₙ; μₖ, Σₖ), shape (K, n), for complete rows; with their `product_features` if these are there."""
    if features is None:
        result = weighted_products(plan.weights, x, plan.centre)
    else:
        result = weighted_sums(plan.weights, features)
    for k in plan.centred:
        result[k] = _centred_log_density(x, plan, k)
    return result


def moments(
    x: FloatArray, responsibilities: FloatArray, plan: GaussianPlan, features: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Σ r (K,), Σ r y (K, D) and packed Σ r y yᵀ (K, D(D+1)/2), where y = x - reference of the component."""
    d = x.shape[1]
    pairs = d * (d + 1) // 2
    if features is None:
        totals = expected_products(responsibilities, x, plan.centre)
    else:
        totals = expected_sums(responsibilities, features)
    for k in plan.centred:
        y = x - plan.references[k]
        weighted = responsibilities[k] @ y
        totals[k, :pairs] = pack((y.T * responsibilities[k]) @ y)
        totals[k, pairs:-1] = weighted
    return totals[:, -1], totals[:, pairs:-1], totals[:, :pairs]


def log_density_observed(x: FloatArray, observed: Array, plan: GaussianPlan) -> FloatArray:
    """log density of what is observed of each row: log N(x_o; μ_o, Σ_oo), one factorization a pattern."""
    result = np.empty((len(plan.means), len(x)))
    for rows, seen in patterns(observed):
        block = x[rows][:, seen]
        for k, (mean, covariance) in enumerate(zip(plan.means, plan.covariances, strict=True)):
            result[k, rows] = _log_normal(block - mean[seen], covariance[np.ix_(seen, seen)])
    return result


def moments_observed(
    x: FloatArray, observed: Array, responsibilities: FloatArray, plan: GaussianPlan
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Expected moments given what is observed: the missing entries have mean and covariance given the rest.

    E[x_m | x_o] = μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o) and Cov = Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om (Little and Rubin, section 11.2).
    """
    k, d = plan.means.shape
    first, second = np.zeros((k, d)), np.zeros((k, d, d))
    for rows, seen in patterns(observed):
        for j in range(k):
            r = responsibilities[j, rows]
            filled, extra = _complete(x[rows], seen, plan.means[j], plan.covariances[j])
            y = filled - plan.references[j]
            first[j] += r @ y
            second[j] += (y.T * r) @ y + r.sum() * extra
    return responsibilities.sum(axis=1), first, pack(second)


def patterns(observed: Array) -> Iterator[tuple[Array, Array]]:
    """(row numbers, observed columns) for each distinct pattern of missingness."""
    codes = np.packbits(observed, axis=1)
    _, inverse = np.unique(codes, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    for code in range(inverse.max() + 1):
        rows = np.flatnonzero(inverse == code)
        yield rows, np.flatnonzero(observed[rows[0]])


@cache
def upper_triangle(d: int) -> tuple[Array, Array]:
    """Rows and columns of the upper triangle of a (D, D) matrix, in packed order."""
    return np.triu_indices(d)


def pack(matrices: FloatArray) -> FloatArray:
    """The upper triangle of symmetric matrices (..., D, D) as (..., D(D+1)/2)."""
    i, j = upper_triangle(matrices.shape[-1])
    return matrices[..., i, j]


def unpack(packed: FloatArray, d: int) -> FloatArray:
    """Symmetric matrices from their packed upper triangles."""
    i, j = upper_triangle(d)
    matrices = np.empty((*packed.shape[:-1], d, d))
    matrices[..., i, j] = packed
    matrices[..., j, i] = packed
    return matrices


def floor_eigenvalues(scatter: FloatArray, floor: FloatArray) -> FloatArray:
    """argmax over Σ ⪰ diag(floor) of -log|Σ| - tr(Σ⁻¹ S), for each S (K, D, D).

    In coordinates scaled by the floor's roots the constraint is Σ ⪰ I, and the maximizer keeps the eigenvectors of S
    and lifts its eigenvalues to at least 1.
    """
    scaled, outer = _in_floor_units(_consistent(scatter), floor)
    values, vectors = np.linalg.eigh(scaled)
    # Beside eigenvalues beyond 1e16 a variance of zero may come out as any number: the diagonal tells it.
    held = (values[:, 0] < 1.0) | (np.diagonal(scaled, axis1=1, axis2=2) < 1.0).any(axis=1)
    if not held.any():
        return scatter
    lifted = (vectors * np.maximum(values, 1.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    lifted = _with_least_diagonal(0.5 * (lifted + np.swapaxes(lifted, 1, 2)), 1.0) * outer
    return np.where(held[:, None, None], lifted, scatter)


def on_floor(covariances: FloatArray, floor: FloatArray) -> Array:
    """(K,) bool: whether the smallest eigenvalue in units of the floor is 1, as far as rounding tells."""
    scaled, _ = _in_floor_units(covariances, floor)
    smallest = np.minimum(np.linalg.eigvalsh(scaled)[:, 0], np.diagonal(scaled, axis1=1, axis2=2).min(axis=1))
    return np.asarray(smallest <= 1 + 1e-6)


def above_floor(covariances: FloatArray, floor: FloatArray) -> bool:
    """Whether Σ ⪰ diag(floor) holds for all, as far as rounding tells."""
    return bool(np.all(np.linalg.eigvalsh(_in_floor_units(covariances, floor)[0])[:, 0] >= 1 - 1e-6))


def _consistent(scatter: FloatArray) -> FloatArray:
    """Scatter with variances of at least 0 and |Sᵢⱼ| ≤ √(Sᵢᵢ Sⱼⱼ), which cancellation may have cost it."""
    variances = np.maximum(np.diagonal(scatter, axis1=1, axis2=2), 0.0)
    most = np.sqrt(variances[:, :, None]) * np.sqrt(variances[:, None, :])
    i = np.arange(scatter.shape[-1])
    most[:, i, i] = variances
    return np.clip(scatter, np.where(np.eye(len(i), dtype=bool), most, -most), most)


def _in_floor_units(matrices: FloatArray, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The matrices over √fᵢ √fⱼ, and those products.  A floor far below rounding is raised to what cannot overflow."""
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    root = np.sqrt(np.maximum(floor, NEGLIGIBLE * np.maximum(diagonal, 0.0)))
    outer = root[:, :, None] * root[:, None, :]
    return matrices / outer, outer


def _with_least_diagonal(matrices: FloatArray, least: float) -> FloatArray:
    i = np.arange(matrices.shape[-1])
    matrices[:, i, i] = np.maximum(matrices[:, i, i], least)
    return matrices


def keep_definite(scales: FloatArray) -> FloatArray:
    """Positive definite also in floating point: where the floor is lost beside the largest eigenvalue (columns that are
    multiples of one another), the eigenvalues of the correlations are lifted to `SMALLEST_CORRELATION`."""
    root = np.sqrt(np.diagonal(scales, axis1=1, axis2=2))
    outer = root[:, :, None] * root[:, None, :]
    values, vectors = np.linalg.eigh(scales / outer)
    singular = values[:, 0] < SMALLEST_CORRELATION
    if not singular.any():
        return scales
    lifted = (vectors * np.maximum(values, SMALLEST_CORRELATION)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    lifted = 0.5 * (lifted + np.swapaxes(lifted, 1, 2)) * outer
    return np.where(singular[:, None, None], lifted, scales)


def smallest_correlation(scales: FloatArray) -> FloatArray:
    """The smallest eigenvalue of each correlation matrix, (K,)."""
    root = np.sqrt(np.diagonal(scales, axis1=1, axis2=2))
    return np.asarray(np.linalg.eigvalsh(scales / (root[:, :, None] * root[:, None, :]))[:, 0])


def _centred_log_density(x: FloatArray, plan: GaussianPlan, k: int) -> FloatArray:
    z = (x - plan.means[k]) @ plan.whiten[k].T
    return np.asarray(plan.log_scale[k] - 0.5 * np.einsum("ni,ni->n", z, z))


def _log_normal(deviations: FloatArray, covariance: FloatArray) -> FloatArray:
    if deviations.shape[1] == 0:
        return np.zeros(len(deviations))
    factor = np.linalg.cholesky(covariance)
    z = solve_triangular(factor, deviations.T, lower=True, check_finite=False)
    scale = np.log(np.diag(factor)).sum() + 0.5 * len(factor) * LOG_2PI
    return np.asarray(-0.5 * np.einsum("in,in->n", z, z) - scale)


def _complete(
    x: FloatArray, seen: Array, mean: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rows with missing entries at their conditional means, and the conditional covariance (D, D), zero where seen."""
    unseen = np.setdiff1d(np.arange(len(mean)), seen)
    filled, extra = x.copy(), np.zeros_like(covariance)
    if len(unseen):
        cross = covariance[np.ix_(unseen, seen)]
        regression = np.linalg.solve(covariance[np.ix_(seen, seen)], cross.T).T if len(seen) else cross
        filled[:, unseen] = mean[unseen] + (x[:, seen] - mean[seen]) @ regression.T
        extra[np.ix_(unseen, unseen)] = covariance[np.ix_(unseen, unseen)] - regression @ cross.T
    return filled, extra
