"""Transition probabilities by multinomial logits, row by row, and the derivatives of what Q makes of them."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray

# Rows that are summed at a time, so that their tables stay in the cache.
BLOCK = 1024

Derivatives = tuple[FloatArray, ...]


def log_transitions(coefficients: FloatArray, c: FloatArray) -> FloatArray:
    """log A of each row (K, K, n), given coefficients (K, K - 1, P) and predictors (n, P)."""
    k = len(coefficients)
    eta = np.zeros((k, k, len(c)))
    eta[~np.eye(k, dtype=bool)] = coefficients.reshape(-1, c.shape[1]) @ c.T
    peak = eta.max(axis=1, keepdims=True)
    return np.asarray(eta - peak - np.log(np.exp(eta - peak).sum(axis=1, keepdims=True)))


def transition_derivatives(rows: FloatArray, c: FloatArray, coefficients: FloatArray) -> Derivatives:
    """Q = Σ ξ log A of the transitions from each state with its derivatives in their coefficients, and sums beside.

    Parameters
    ----------
    rows : (K, K, n)
        ξ, the weights of the transitions into each row.
    c : (n, P)
    coefficients : (K, K - 1, P)

    Returns
    -------
    value, gradient, curvature : (K,), (K, (K - 1) P), (K, (K - 1) P, (K - 1) P)
    counts, gram, moves : (K,), (K, P, P), (K, K)
        Σ N with N = Σₖ ξ, Σ N c cᵀ, and Σ ξ.
    """
    total = _of_block(rows[:, :, :BLOCK], c[:BLOCK], coefficients)
    for start in range(BLOCK, len(c), BLOCK):
        part = _of_block(rows[:, :, start : start + BLOCK], c[start : start + BLOCK], coefficients)
        total = tuple(a + b for a, b in zip(total, part, strict=True))
    return total


def _of_block(rows: FloatArray, c: FloatArray, coefficients: FloatArray) -> Derivatives:
    """Σ ξ log A, Σ (ξ - N A) c, and -Σ N (A δ - A Aᵀ) c cᵀ, a matrix product for the states that each one leads to."""
    k, others, p = coefficients.shape
    logs = log_transitions(coefficients, c)
    shares, totals = np.exp(logs), rows.sum(axis=1)
    value = np.where(rows > 0, rows * logs, 0.0).sum(axis=(1, 2))
    apart = ~np.eye(k, dtype=bool)
    gradient = ((rows - totals[:, None] * shares)[apart] @ c).reshape(k, others * p)
    own = shares[apart].reshape(k, others, len(c))
    products = (c[:, :, None] * c[:, None, :]).reshape(len(c), p * p)
    a, b = np.triu_indices(others)
    upper = ((totals[:, None] * own[:, a]) * ((a == b)[:, None] - own[:, b])) @ products
    blocks = np.empty((k, others, others, p, p))
    blocks[:, a, b] = blocks[:, b, a] = -upper.reshape(k, len(a), p, p)
    curvature = blocks.transpose(0, 1, 3, 2, 4).reshape(k, others * p, others * p)
    gram = (totals @ products).reshape(k, p, p)
    return value, gradient, curvature, totals.sum(axis=1), gram, rows.sum(axis=2)
