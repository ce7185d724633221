"""The stationary distribution of a transition matrix, and how it answers to changes of the matrix."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError

# A product of K transition probabilities, or ratios to them, is surely a number while none is below its K-th root.
SMALLEST_PRODUCT = 1e-200


def stationary_distribution(transition: FloatArray) -> FloatArray:
    """δ with δ A = δ, by state reduction without subtractions (Grassmann, Taksar and Heyman 1985), shape (K,).

    Raises
    ------
    ParameterError
        There are several, because the chain has several classes of states that it cannot leave.
    """
    states = np.flatnonzero(_recurrent(transition))
    result = np.zeros(len(transition))
    matrix = np.array(transition[np.ix_(states, states)], float)
    rare = matrix[matrix > 0].min(initial=1.0) < SMALLEST_PRODUCT ** (1 / len(matrix))
    result[states] = _reduced_in_logarithms(matrix) if rare else _reduced(matrix)
    return result


def stationary_slopes(transition: FloatArray, stationary: FloatArray, weights: FloatArray) -> FloatArray:
    """∂ Σₖ wₖ log δₖ / ∂Aⱼₗ along changes that keep the rows' sums: δⱼ (Z w/δ)ₗ with Z = (I - A + 1 δ)⁻¹, (K, K).

    Schweitzer (1968).
    """
    share = _per_probability(weights, stationary)
    fundamental = np.eye(len(stationary)) - transition + stationary
    return np.asarray(stationary[:, None] * np.linalg.solve(fundamental, share))


def stationary_curvature(
    transition: FloatArray, stationary: FloatArray, weights: FloatArray, group: Array, n_groups: int
) -> FloatArray:
    """∂² Σₖ wₖ log δₖ along ∂log A for groups of entries, by those changes of A that keep its rows' sums, (G, G).

    With Z as for `stationary_slopes`, u = Z w/δ and dδ = δ dA Z it is the form -Σ w dδ dδ'/δ² + dδ dA' u + dδ' dA u;
    what the second derivative of A adds is the slopes' part.

    Parameters
    ----------
    group : (K, K) int
        The group that an entry belongs to, -1 where it is held.
    """
    share = _per_probability(weights, stationary)
    fundamental = np.linalg.inv(np.eye(len(stationary)) - transition + stationary)
    onward = fundamental @ share
    j, k = np.nonzero(group >= 0)
    moved, gained = np.zeros((2, n_groups, len(stationary)))
    np.add.at(moved, group[j, k], (stationary[j] * transition[j, k])[:, None] * fundamental[k])
    np.add.at(gained, (group[j, k], j), transition[j, k] * onward[k])
    mixed = moved @ gained.T
    return np.asarray(mixed + mixed.T - (moved * _per_probability(share, stationary)) @ moved.T)


def _per_probability(weights: FloatArray, stationary: FloatArray) -> FloatArray:
    return np.where(weights > 0, weights / np.where(stationary > 0, stationary, 1.0), 0.0)


def _recurrent(transition: FloatArray) -> Array:
    """(K,) bool: the states of the one class that the chain cannot leave."""
    reaches = (transition > 0) | np.eye(len(transition), dtype=bool)
    for _ in range(len(transition).bit_length()):
        reaches = reaches @ reaches
    recurrent = np.all(reaches.T | ~reaches, axis=1)
    apart = recurrent & ~reaches[np.flatnonzero(recurrent)[0]]
    if apart.any():
        one, other = np.flatnonzero(recurrent)[0], np.flatnonzero(apart)[0]
        raise ParameterError(
            f"the stationary distribution of the transition matrix is not unique: states {one} and {other} cannot be "
            "left for each other; allow transitions between them or use stationary=False"
        )
    return recurrent


def _reduced(matrix: FloatArray) -> FloatArray:
    """Of an irreducible matrix, which is overwritten."""
    size = len(matrix)
    for last in range(size - 1, 0, -1):
        matrix[:last, last] /= matrix[last, :last].sum()
        matrix[:last, :last] += np.outer(matrix[:last, last], matrix[last, :last])
    odds = np.ones(size)
    for state in range(1, size):
        odds[state] = odds[:state] @ matrix[:state, state]
    return odds / odds.sum()


def _reduced_in_logarithms(matrix: FloatArray) -> FloatArray:
    """The same where products of rare transitions, or ratios to them, could not be represented."""
    with np.errstate(divide="ignore"):
        logs = np.log(matrix)
    size = len(logs)
    for last in range(size - 1, 0, -1):
        logs[:last, last] -= np.logaddexp.reduce(logs[last, :last])
        logs[:last, :last] = np.logaddexp(logs[:last, :last], logs[:last, last, None] + logs[last, :last])
    odds = np.zeros(size)
    for state in range(1, size):
        odds[state] = np.logaddexp.reduce(odds[:state] + logs[:state, state])
    return np.asarray(np.exp(odds - np.logaddexp.reduce(odds)))
