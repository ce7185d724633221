"""Linear-Gaussian chains as one large normal distribution: what the recursions are checked against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from latentem.kernels.kalman import Dynamics, Numbers


def random_system(rng: np.random.Generator, q: int, m: int, n: int, **options: Any) -> tuple[Dynamics, Numbers]:
    """A chain of q states and n steps with m numbers a step.

    Options: `flat` (number of flat directions), `patterns` (different ways to observe, some numbers missing),
    `arrivals` (different transitions), `noise_rank`, `exact` (numbers without noise), `known` (z₁ known).
    """
    arrivals, patterns = options.get("arrivals", 1), options.get("patterns", 1)
    transition = 0.9 * np.eye(q) + 0.2 * rng.normal(size=(arrivals, q, q))
    noise = np.tril(rng.normal(size=(arrivals, q, q)))
    noise[:, :, options.get("noise_rank", q) :] = 0.0
    root = np.zeros((q, q)) if options.get("known") else np.tril(rng.normal(size=(q, q)))
    flat = rng.normal(size=(q, options.get("flat", 0)))
    deviations = rng.uniform(0.3, 2.0, size=(patterns, m))
    deviations[:, : options.get("exact", 0)] = 0.0
    counts = np.full(patterns, m) if patterns == 1 else rng.integers(0, m + 1, size=patterns)
    dynamics = Dynamics(
        transition,
        noise,
        rng.normal(size=(n, q)),
        rng.normal(size=q),
        root,
        flat,
        None if arrivals == 1 else rng.integers(0, arrivals, size=n),
    )
    numbers = Numbers(
        np.zeros((n, m)),
        rng.normal(size=(patterns, m, q)),
        deviations,
        counts,
        None if patterns == 1 else rng.integers(0, patterns, size=n),
    )
    return dynamics, replace(numbers, values=draw(dynamics, numbers, rng))


def draw(dynamics: Dynamics, numbers: Numbers, rng: np.random.Generator) -> np.ndarray:
    """Values of the numbers, from a path that begins anywhere along the flat directions."""
    q, k = dynamics.start_flat.shape
    z = dynamics.start + dynamics.start_root @ rng.normal(size=q) + 3 * dynamics.start_flat @ rng.normal(size=k)
    values = np.zeros_like(numbers.values)
    for t in range(len(values)):
        if t:
            a = 0 if dynamics.arrival is None else dynamics.arrival[t]
            z = dynamics.transition[a] @ z + dynamics.shift[t] + dynamics.noise_root[a] @ rng.normal(size=q)
        p = 0 if numbers.pattern is None else numbers.pattern[t]
        values[t] = numbers.rows[p] @ z + numbers.deviations[p] * rng.normal(size=values.shape[1])
    return values


def joint(dynamics: Dynamics, numbers: Numbers, n: int) -> tuple[np.ndarray, ...]:
    """Mean, flat directions and covariance of (z₁ … zₙ, y), and the y as they were seen."""
    q = dynamics.n_states
    mean, flat = [dynamics.start], [dynamics.start_flat]
    noise = [np.hstack([dynamics.start_root, np.zeros((q, q * (n - 1)))])]
    for t in range(1, n):
        a = 0 if dynamics.arrival is None else dynamics.arrival[t]
        A = dynamics.transition[a]
        mean.append(A @ mean[-1] + dynamics.shift[t if len(dynamics.shift) > 1 else 0])
        flat.append(A @ flat[-1])
        noise.append(A @ noise[-1])
        noise[-1][:, q * t : q * (t + 1)] = dynamics.noise_root[a]
    H, deviations, seen = [], [], []
    for t in range(n):
        p = 0 if numbers.pattern is None else numbers.pattern[t]
        for i in range(numbers.counts[p]):
            row = np.zeros(q * n)
            row[q * t : q * (t + 1)] = numbers.rows[p, i]
            H.append(row)
            deviations.append(numbers.deviations[p, i])
            seen.append(numbers.values[t, i])
    H, mean, flat, noise = np.array(H).reshape(-1, q * n), np.concatenate(mean), np.vstack(flat), np.vstack(noise)
    covariance = noise @ noise.T
    return mean, flat, covariance, H, np.array(deviations) ** 2, np.array(seen)


def conditioned(dynamics: Dynamics, numbers: Numbers, n: int | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (n, q) and covariance (n, q, n, q) of all states given all numbers, and the log-likelihood."""
    n, q = len(numbers.values) if n is None else n, dynamics.n_states
    mean, flat, P, H, R, seen = joint(dynamics, numbers, n)
    k = flat.shape[1]
    F, error, X = H @ P @ H.T + np.diag(R), seen - H @ mean, H @ flat
    inverse = np.linalg.inv(F)
    gain = P @ H.T @ inverse
    mean, covariance = mean + gain @ error, P - gain @ H @ P
    log_likelihood = -0.5 * (np.linalg.slogdet(F)[1] + error @ inverse @ error + (len(seen) - k) * np.log(2 * np.pi))
    if k:
        information = X.T @ inverse @ X
        d = np.linalg.solve(information, X.T @ inverse @ error)
        rest = flat - gain @ X
        mean, covariance = mean + rest @ d, covariance + rest @ np.linalg.inv(information) @ rest.T
        log_likelihood += 0.5 * d @ information @ d - 0.5 * np.linalg.slogdet(information)[1]
    return mean.reshape(n, q), covariance.reshape(n, q, n, q), float(log_likelihood)
