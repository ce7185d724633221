"""The concentration of directions from their mean length, and random directions."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from .bessel import bessel_ratio

_STEPS = 20
# Beyond it the exact slope of A cancels, and the slope of its bound is right to 1/κ.
_EXACT_SLOPE = 1e4
_ROUNDING = 4 * float(np.finfo(float).eps)


def concentration(mean_length: FloatArray, dimension: int, largest: float) -> FloatArray:
    """The κ with A(κ) = I_D/2(κ) / I_D/2-1(κ) = R̄, at most `largest`.

    Newton's method on logit A as a function of log κ, whose slope is 1 at both ends and nearly so between, from
    R̄ (D - R̄²) / (1 - R̄²) (Banerjee, Dhillon, Ghosh and Sra 2005, equation 4.4), within Amos' bounds (1974):
    κ / (s + √(κ² + (s+1)²)) ≤ A(κ) ≤ κ / (s + √(κ² + s²)) with s = (D-1)/2.  It ends where the rounding of A leads the
    steps.
    """
    length = np.clip(mean_length, 0.0, 1.0)
    half = 0.5 * (dimension - 1)
    gap = (1 - length) * (1 + length)
    safe = np.maximum(gap, 1e-300)
    low = np.minimum(2 * half * length / safe, largest)
    high = np.minimum(length * (half + np.sqrt(half**2 + dimension * gap)) / safe, largest)
    kappa = np.clip(length * (dimension - length**2) / safe, low, high)
    for _ in range(_STEPS):
        step, rounding = _newton_step(kappa, length, dimension)
        moved = np.clip(kappa * np.exp(step), low, high)
        done = np.all((np.abs(step) <= rounding) | (moved == kappa))
        kappa = moved
        if done:
            break
    return kappa


def _newton_step(kappa: FloatArray, length: FloatArray, dimension: int) -> tuple[FloatArray, FloatArray]:
    """The step of log κ, and what the rounding of A makes of it: A' = 1 - A² - (D-1) A/κ."""
    half = 0.5 * (dimension - 1)
    ratio = bessel_ratio(half - 0.5, kappa)
    positive = np.maximum(kappa, 1e-300)
    exact = 1 - ratio**2 - (dimension - 1) * ratio / positive
    root = np.hypot(kappa, half + 1)
    bound = (half + (half + 1) * ((half + 1) / root)) / (half + root) ** 2
    near = (kappa > 1e-3) & (kappa < _EXACT_SLOPE)
    slope = positive * np.where(near, np.maximum(exact, 0.5 * bound), bound)
    # The difference of the logits; at the ends, R̄ = 0 or 1, the bounds hold κ.
    inner = np.maximum(ratio * (1 - length), 1e-300)
    step = np.log1p(np.maximum((length - ratio) / inner, -0.9)) * ratio * (1 - ratio) / slope
    return step, _ROUNDING * (1 + ratio / slope)


def sample_directions(directions: FloatArray, kappa: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One draw for each mean direction (n, D) and concentration (n,): Ulrich (1984) as corrected by Wood (1994).

    1 - cosine to the mean direction by rejection, and a uniform direction around it.
    """
    n, d = directions.shape
    deficit = np.empty(n)
    waiting = np.arange(n)
    while len(waiting):
        proposed, accepted = _propose(kappa[waiting], d, rng)
        deficit[waiting[accepted]] = proposed[accepted]
        waiting = waiting[~accepted]
    around = rng.standard_normal((n, d))
    around -= np.sum(around * directions, axis=1, keepdims=True) * directions
    around /= np.sqrt(np.sum(around**2, axis=1, keepdims=True))
    sine = np.sqrt(deficit * (2 - deficit))
    draws = (1 - deficit)[:, None] * directions + sine[:, None] * around
    return np.asarray(draws / np.sqrt(np.sum(draws**2, axis=1, keepdims=True)))


def _propose(kappa: FloatArray, d: int, rng: np.random.Generator) -> tuple[FloatArray, Array]:
    """Proposed 1 - cosine, and whether it is accepted."""
    b = (d - 1) / (2 * kappa + np.sqrt(4 * kappa**2 + (d - 1) ** 2))
    z = rng.beta(0.5 * (d - 1), 0.5 * (d - 1), len(kappa))
    deficit = 2 * b * z / (1 - (1 - b) * z)
    # With x₀ = (1-b)/(1+b): κ(w - x₀) + (d-1) log (1 - x₀w)/(1 - x₀²), written by the deficits of w and x₀.
    missing = 2 * b / (1 + b)
    ratio = (missing + deficit - missing * deficit) / (missing * (2 - missing))
    log_accept = kappa * (missing - deficit) + (d - 1) * np.log(ratio)
    return deficit, log_accept >= np.log1p(-rng.random(len(kappa)))
