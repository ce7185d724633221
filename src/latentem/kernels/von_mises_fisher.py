"""The concentration of directions from their mean length, and random directions."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from .bessel import bessel_ratio

_STEPS = 50
# Beyond it the exact slope of A cancels, and the slope of its bound is right to 1/κ.
_EXACT_SLOPE = 1e4


def concentration(mean_length: FloatArray, dimension: int, largest: float) -> FloatArray:
    """The κ with A(κ) = I_D/2(κ) / I_D/2-1(κ) = R̄, at most `largest`.

    Amos (1974): κ / (s + √(κ² + (s+1)²)) ≤ A(κ) ≤ κ / (s + √(κ² + s²)) with s = (D-1)/2; inverted, the two bracket κ
    ever more tightly towards R̄ = 0 and R̄ = 1.
    """
    length = np.clip(mean_length, 0.0, 1.0)
    half = 0.5 * (dimension - 1)
    gap = (1 - length) * (1 + length)
    safe = np.maximum(gap, 1e-300)
    low = np.minimum(2 * half * length / safe, largest)
    high = np.minimum(length * (half + np.sqrt(half**2 + dimension * gap)) / safe, largest)
    kappa = high
    for _ in range(_STEPS):
        moved = np.clip(kappa - _newton_step(kappa, length, dimension), low, high)
        done = np.all(np.abs(moved - kappa) <= 4e-16 * kappa)
        kappa = moved
        if done:
            break
    return kappa


def _newton_step(kappa: FloatArray, length: FloatArray, dimension: int) -> FloatArray:
    """(A(κ) - R̄) / A'(κ), with A' = 1 - A² - (D-1) A/κ."""
    half = 0.5 * (dimension - 1)
    ratio = bessel_ratio(half - 0.5, kappa)
    exact = 1 - ratio**2 - (dimension - 1) * ratio / np.maximum(kappa, 1e-300)
    root = np.hypot(kappa, half + 1)
    bound = (half + (half + 1) * ((half + 1) / root)) / (half + root) ** 2
    near = (kappa > 1e-3) & (kappa < _EXACT_SLOPE)
    return np.asarray((ratio - length) / np.where(near, np.maximum(exact, 0.5 * bound), bound))


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
