"""Scaled forward-backward over one sequence: the NumPy reference."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray


def forward_backward(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Posterior state probabilities (K, T), Σₜ p(zₜ = j, zₜ₊₁ = k | x) (K, K), and log p(x).

    With bₜ(k) = p(xₜ | k) / maxₖ, αₜ ∝ bₜ · (αₜ₋₁ A) scaled to sum to one by cₜ, and
    βₜ = A (bₜ₊₁ βₜ₊₁) / cₜ₊₁ (Rabiner 1989, section V.A).  An impossible sequence returns -inf.
    """
    n_states, length = log_density.shape
    peak = log_density.max(axis=0)
    if not np.all(np.isfinite(peak)):
        return np.full_like(log_density, np.nan), np.full((n_states, n_states), np.nan), -np.inf
    emission = np.exp(log_density - peak).T
    forward, scales = _forward(initial, transition, emission)
    if not np.all(scales > 0):
        return np.full_like(log_density, np.nan), np.full((n_states, n_states), np.nan), -np.inf
    backward = _backward(transition, emission, scales)
    posterior = forward * backward
    ahead = emission[1:] * backward[1:] / scales[1:, None]
    pairs = transition * (forward[:-1].T @ ahead)
    return posterior.T, pairs, float(np.sum(np.log(scales)) + peak.sum())


def _forward(initial: FloatArray, transition: FloatArray, emission: FloatArray) -> tuple[FloatArray, FloatArray]:
    forward, scales = np.empty_like(emission), np.empty(len(emission))
    predicted = initial
    for t, density in enumerate(emission):
        joint = predicted * density
        scales[t] = joint.sum()
        forward[t] = joint / (scales[t] or 1.0)
        predicted = forward[t] @ transition
    return forward, scales


def _backward(transition: FloatArray, emission: FloatArray, scales: FloatArray) -> FloatArray:
    backward = np.ones_like(emission)
    for t in range(len(emission) - 1, 0, -1):
        backward[t - 1] = transition @ (emission[t] * backward[t]) / scales[t]
    return backward
