"""Forward-backward over one sequence: the NumPy reference, scaled where that is safe, else in logarithms."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from .normalize import log_sum_exp

# Below these a product may have lost digits to underflow.
SMALLEST_SCALE = 1e-140
SMALLEST_MASS = 1e-290

Smoothed = tuple[FloatArray, FloatArray, float]


def forward_backward(initial: FloatArray, transition: FloatArray, log_density: FloatArray) -> Smoothed:
    """Posterior state probabilities (K, T), Σₜ p(zₜ = j, zₜ₊₁ = k | x) (K, K), and log p(x).

    By the scaled recursion, or in logarithms where a state that the model allows has a mass too small to be
    represented: with forbidden transitions its descendants may be all that the rest of the sequence allows.  An
    impossible sequence returns -inf and NaN.
    """
    if np.all(np.isfinite(log_density.max(axis=0))):
        smoothed = _scaled(initial, transition, log_density) or _in_logarithms(initial, transition, log_density)
        if np.isfinite(smoothed[2]):
            return smoothed
    n_states = len(initial)
    return np.full_like(log_density, np.nan), np.full((n_states, n_states), np.nan), -np.inf


def _scaled(initial: FloatArray, transition: FloatArray, log_density: FloatArray) -> Smoothed | None:
    """With bₜ(k) = p(xₜ | k) / maxₖ, αₜ ∝ bₜ · (αₜ₋₁ A) scaled to sum to one by cₜ, and βₜ = A (bₜ₊₁ βₜ₊₁) / cₜ₊₁.

    Rabiner (1989), section V.A.  None where underflow could decide a posterior.
    """
    peak = log_density.max(axis=0)
    emission = np.exp(log_density - peak).T
    forward, scales = _forward(initial, transition, emission)
    if not np.all(scales >= SMALLEST_SCALE):
        return None
    if transition.min() < SMALLEST_SCALE and _loses_mass(initial, transition, log_density, forward, scales):
        return None
    backward = _backward(transition, emission * (forward > 0), scales)
    posterior = forward * backward
    ahead = np.where(forward[1:] > 0, emission[1:] * backward[1:] / scales[1:, None], 0.0)
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


def _loses_mass(
    initial: FloatArray, transition: FloatArray, log_density: FloatArray, forward: FloatArray, scales: FloatArray
) -> bool:
    """Whether a state that can be reached at some time has a mass too small to be represented."""
    reached = np.vstack([initial > 0, (forward[:-1] > 0).astype(float) @ (transition > 0) > 0])
    small = forward * scales[:, None] < SMALLEST_MASS
    return bool(np.any(reached & small & (-np.inf < log_density.T)))


def _backward(transition: FloatArray, emission: FloatArray, scales: FloatArray) -> FloatArray:
    """β; `emission` is zero for states that cannot have been reached, however well they would have gone on."""
    backward = np.ones_like(emission)
    for t in range(len(emission) - 1, 0, -1):
        backward[t - 1] = transition @ (emission[t] * backward[t]) / scales[t]
    return backward


def _in_logarithms(initial: FloatArray, transition: FloatArray, log_density: FloatArray) -> Smoothed:
    """The same recursions in logarithms: log αₜ adding to one, log βₜ with its largest at zero.

    Densities count from the largest of their row, and every row's posterior is divided by its own sum: no rounding of
    the log-likelihood, which may be huge, gets into probabilities.
    """
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    peak = log_density.max(axis=0)
    emission = (log_density - peak).T
    forward, backward, scales = np.empty_like(emission), np.zeros_like(emission), np.empty(len(emission))
    ahead = log_initial
    for t, density in enumerate(emission):
        forward[t], scales[t] = _normalized(ahead + density)
        if not np.isfinite(scales[t]):
            return log_density, np.zeros_like(transition), -np.inf
        ahead = log_sum_exp(forward[t][:, None] + log_transition, axis=0)
    pairs = np.zeros_like(transition)
    for t in range(len(emission) - 1, 0, -1):
        onward = log_transition + (emission[t] + backward[t])
        pairs += np.exp(_normalized(forward[t - 1][:, None] + onward)[0])
        back = log_sum_exp(onward, axis=1)
        backward[t - 1] = back - back.max()
    joint = forward + backward
    posterior = np.exp(joint - log_sum_exp(joint, axis=1)[:, None])
    return posterior.T, pairs, float(np.sum(scales) + peak.sum())


def _normalized(log_joint: FloatArray) -> tuple[FloatArray, float]:
    """Logarithms of probabilities from those of what is proportional to them, and the log of their sum."""
    peak = log_joint.max()
    if not np.isfinite(peak):
        return log_joint, -np.inf
    shifted = log_joint - peak
    total = np.log(np.exp(shifted).sum())
    return shifted - total, float(peak + total)
