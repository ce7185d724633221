"""The stationary distribution of a transition matrix, and how it answers to changes of the matrix."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError


def stationary_distribution(transition: FloatArray) -> FloatArray:
    """δ with δ A = δ, by state reduction without subtractions (Grassmann, Taksar and Heyman 1985), shape (K,).

    Raises
    ------
    ParameterError
        There are several, because the chain has several classes of states that it cannot leave.
    """
    states = np.flatnonzero(_recurrent(transition))
    result = np.zeros(len(transition))
    result[states] = _reduced(np.array(transition[np.ix_(states, states)], float))
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
