"""Where a chain of normal vectors starts: known, free, diffuse, or as it would be after very long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize

from .._typing import Array, FloatArray
from ..errors import ParameterError
from ..kernels.linear_regression import precision
from .chain_parameters import NormalChainParameters

STARTS = ("free", "mean", "known", "stationary", "diffuse")
MOST_STEPS = 200


@dataclass(frozen=True)
class Start:
    """z₁ ~ N(mean, covariance), with nothing known along `flat` (q, k); `root` is lower triangular."""

    mean: FloatArray
    covariance: FloatArray
    root: FloatArray
    flat: FloatArray

    @classmethod
    def of(cls, kinds: tuple[str, ...], params: NormalChainParameters) -> Start:
        """The start of a chain whose coordinates are of these kinds.

        Raises
        ------
        ParameterError
            A stationary start of a chain that is not stationary.
        """
        q = len(kinds)
        mean, covariance = params.initial_mean.astype(float), np.array(params.initial_covariance, float)
        open_ends = np.array([kind == "diffuse" for kind in kinds])
        settled = np.array([kind == "stationary" for kind in kinds])
        mean[open_ends], covariance[open_ends], covariance[:, open_ends] = 0.0, 0.0, 0.0
        if settled.any():
            covariance[settled], covariance[:, settled] = 0.0, 0.0
            mean[settled], covariance[np.ix_(settled, settled)] = _stationary(params, settled)
        return cls(mean, covariance, root_of(covariance), np.eye(q)[:, open_ends])


def _stationary(params: NormalChainParameters, settled: Array) -> tuple[FloatArray, FloatArray]:
    """Mean (I - A)⁻¹ b, and the covariance V = A V Aᵀ + Q, of the coordinates that are stationary."""
    A = params.transition[np.ix_(settled, settled)]
    if np.any(params.transition[np.ix_(settled, ~settled)]):
        raise ParameterError("coordinates with a stationary start must not depend on the others")
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    if not radius < 1 - 1e-10:
        raise ParameterError(
            f"the transition has an eigenvalue of modulus {radius:.6g}; a stationary start needs all below 1: use "
            "a diffuse, known or free one"
        )
    V = solve_discrete_lyapunov(A, params.noise_matrix[np.ix_(settled, settled)])
    return np.asarray(np.linalg.solve(np.eye(len(A)) - A, params.shift[settled])), 0.5 * (V + V.T)


def root_of(covariance: FloatArray) -> FloatArray:
    """The lower triangular S with a diagonal of at least zero, S Sᵀ the covariance, which may be singular."""
    if not covariance.any():
        return np.zeros_like(covariance)
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        scale = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        units = np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(covariance / np.outer(units, units))
        kept = np.where(values > 1e-14 * len(values), values, 0.0)
        upper = np.linalg.qr((units[:, None] * vectors * np.sqrt(kept)).T)[1]
        signs = np.where(np.diagonal(upper) < 0, -1.0, 1.0)
        return np.asarray((signs[:, None] * upper).T)


def stationary_slopes(
    params: NormalChainParameters, settled: Array, first: FloatArray, scatter: FloatArray, count: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Derivatives of -½ [n log|V| + tr(V⁻¹ S)], the density of a stationary z₁, by A (q, q), b (q,) and Q (q, q).

    With G = ½ (V⁻¹ S V⁻¹ - n V⁻¹) and Λ = Aᵀ Λ A + G they are 2 Λ A V + μ mᵀ, μ and Λ, where μ = (I - A)⁻ᵀ V⁻¹ Σ E[z₁
    - m].

    Parameters
    ----------
    settled : (q,) bool
        The coordinates that are stationary.
    first, scatter : (q,), (q, q)
        Σ E[z₁ - m] and S.
    """
    block, q = np.ix_(settled, settled), len(settled)
    A = params.transition[block]
    m, V = _stationary(params, settled)
    inverse = precision(V)[0]
    G = 0.5 * (inverse @ scatter[block] @ inverse - count * inverse)
    by_noise = solve_discrete_lyapunov(A.T, G)
    by_shift = np.linalg.solve((np.eye(len(A)) - A).T, inverse @ first[settled])
    slopes = np.zeros((q, q)), np.zeros(q), np.zeros((q, q))
    slopes[0][block] = 2 * by_noise @ A @ V + np.outer(by_shift, m)
    slopes[1][settled], slopes[2][block] = by_shift, 0.5 * (by_noise + by_noise.T)
    return slopes


def ascend(
    objective: Callable[[NormalChainParameters], float],
    slope: Callable[[NormalChainParameters], FloatArray],
    params: NormalChainParameters,
    guess: NormalChainParameters,
) -> NormalChainParameters:
    """Parameters with a higher objective than both, where its maximum has no closed form: quasi-Newton steps (BFGS).

    It is minus infinity where the chain is not stationary; what is returned is never worse than `params`.
    """

    def value(candidate: NormalChainParameters) -> float:
        try:
            with np.errstate(all="ignore"):
                found = objective(candidate)
        except (ParameterError, np.linalg.LinAlgError):
            return -np.inf
        return found if np.isfinite(found) else -np.inf

    begin = max(params, guess, key=value)
    size = 1 + abs(value(begin))

    def loss(vector: FloatArray) -> tuple[float, FloatArray]:
        candidate = params.unflatten(vector) if np.all(np.isfinite(vector)) else params
        found = value(candidate) if np.all(np.isfinite(vector)) else -np.inf
        return -found / size, -slope(candidate) / size if np.isfinite(found) else np.zeros_like(vector)

    with np.errstate(invalid="ignore", over="ignore"):
        found = minimize(loss, begin.flatten(), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": MOST_STEPS})
    return max(begin, params.unflatten(found.x), key=value) if np.all(np.isfinite(found.x)) else begin
