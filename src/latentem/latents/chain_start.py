"""Where a chain of normal vectors starts: known, free, diffuse, or as it would be after very long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize

from .._typing import FloatArray
from ..errors import ParameterError
from ..kernels.derivatives import gradient
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


def _stationary(params: NormalChainParameters, settled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (I - A)⁻¹ b, and the covariance V = A V Aᵀ + Q, of the coordinates that are stationary."""
    A = params.transition[np.ix_(settled, settled)]
    if np.any(params.transition[np.ix_(settled, ~settled)]):
        raise ParameterError("coordinates with a stationary start must not depend on the others")
    radius = float(np.abs(np.linalg.eigvals(A)).max())
    if not radius < 1 - 1e-10:
        raise ParameterError(
            f"the transition matrix has an eigenvalue of modulus {radius:.6g}; a stationary start needs all below 1: use "
            "a diffuse, known or free one"
        )
    V = solve_discrete_lyapunov(A, params.noise_matrix[np.ix_(settled, settled)])
    return np.linalg.solve(np.eye(len(A)) - A, params.shift[settled]), 0.5 * (V + V.T)


def root_of(covariance: FloatArray) -> FloatArray:
    """The lower triangular S with a diagonal of at least zero, S Sᵀ the covariance, which may be singular."""
    if not covariance.any():
        return np.zeros_like(covariance)
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        scale = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        units = np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(covariance / np.outer(units, units))
        kept = np.where(values > 1e-14 * len(values), values, 0.0)
        upper = np.linalg.qr((units[:, None] * vectors * np.sqrt(kept)).T)[1]
        signs = np.where(np.diagonal(upper) < 0, -1.0, 1.0)
        return np.asarray((signs[:, None] * upper).T)


def ascend(
    objective: Callable[[NormalChainParameters], float], params: NormalChainParameters, guess: NormalChainParameters
) -> NormalChainParameters:
    """Parameters with a higher objective than both, where its maximum has no closed form: quasi-Newton steps (BFGS).

    It is minus infinity where the chain is not stationary; never returns parameters worse than `params`.
    """

    def value(candidate: NormalChainParameters) -> float:
        try:
            found = objective(candidate)
        except (ParameterError, np.linalg.LinAlgError):
            return -np.inf
        return found if np.isfinite(found) else -np.inf

    begin = max(params, guess, key=value)
    size = 1 + abs(value(begin))

    def loss(vector: FloatArray) -> float:
        with np.errstate(over="ignore"):
            return -value(params.unflatten(vector)) / size if np.all(np.isfinite(vector)) else np.inf

    def slope(vector: FloatArray) -> FloatArray:
        found = gradient(loss, vector)
        return np.where(np.isfinite(found), found, 0.0)

    with np.errstate(invalid="ignore"):
        found = minimize(loss, begin.flatten(), jac=slope, method="BFGS", options={"gtol": 1e-9, "maxiter": MOST_STEPS})
    moved = params.unflatten(found.x) if np.all(np.isfinite(found.x)) else begin
    best = max(begin, moved, key=value)
    return replace(best, layout=params.layout)
