"""Exact forward-backward over sequences: the posterior of a Markov chain, and of its pairs of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....kernels.chain import smooth
from ....kernels.inhomogeneous_chain import smooth_inhomogeneous
from ..compiled import Compiled, Values
from .enumeration import impose
from .points import EStep, Points, known_states

# Transition probabilities whose logarithms are larger in size are not given to the recursion with plain probabilities.
LARGEST_LOG = 600.0


@dataclass(frozen=True)
class ForwardBackward(EStep):
    """p(zₜ = k | x₁ … x_T) and p(zₜ₋₁ = j, zₜ = k | x₁ … x_T) of every sequence (Baum, Petrie, Soules, Weiss 1970)."""

    @property
    def kind(self) -> str:
        return "exact forward-backward over sequences"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        u, offsets, k = np.empty((len(x), 0)), batch.group_offsets, functions.space.n_states
        values = functions.values(theta, x, u)
        density = values[:k].copy()
        impose(known_states(batch, per_group=False), density)
        transition = values[k:].reshape(k, k, -1)
        unusable = _unusable(density, transition, offsets)
        density[:, np.repeat(unusable, batch.group_lengths)] = 0.0
        if functions.declaration.sees_row("log_transition"):
            weights, log_likelihood = _row_by_row(transition, unusable, density, offsets)
        else:
            weights, log_likelihood = _by_one_matrix(transition[:, :, 0], density, offsets)
        log_likelihood[unusable] = np.nan
        weights[:, np.repeat(~np.isfinite(log_likelihood), batch.group_lengths)] = 0.0
        return Points(np.arange(len(x)), u, weights, values, log_likelihood)


def _unusable(density: FloatArray, transition: FloatArray, offsets: Array) -> Array:
    """(G,): sequences with densities that are not a number, or infinite; transitions do not count in first rows."""
    wrong: Array = np.any(~(transition < np.inf), axis=(0, 1))
    wrong[offsets[:-1]] = False
    wrong |= np.any(~(density < np.inf), axis=0)
    return np.asarray(np.logical_or.reduceat(wrong, offsets[:-1]))


def _by_one_matrix(
    log_transition: FloatArray, density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray]:
    """Weights (K + K², n) and log-likelihoods (G,) where all steps have one matrix (K, K).

    The log density of a pair then is the same in all rows, and the second row of each sequence bears the weights of all
    its pairs.
    """
    usable = log_transition < np.inf
    if not usable.all():
        log_transition = np.where(usable, log_transition, 0.0)
    if np.any(np.abs(log_transition[log_transition > -np.inf]) > LARGEST_LOG):
        every = np.broadcast_to(log_transition[:, :, None], (*log_transition.shape, density.shape[1]))
        posterior, rows, log_likelihood = smooth_inhomogeneous(every, density, offsets)
        return np.concatenate([posterior, rows.reshape(-1, rows.shape[2])]), log_likelihood
    posterior, pairs, log_likelihood = smooth(np.ones(len(density)), np.exp(log_transition), density, offsets)
    weights = np.zeros((len(density) + log_transition.size, density.shape[1]))
    weights[: len(density)] = posterior
    longer = np.flatnonzero(np.diff(offsets) > 1)
    weights[len(density) :, offsets[longer] + 1] = pairs.reshape(len(pairs), log_transition.size)[longer].T
    return weights, log_likelihood


def _row_by_row(
    log_transition: FloatArray, unusable: Array, density: FloatArray, offsets: Array
) -> tuple[FloatArray, FloatArray]:
    """Weights (K + K², n) and log-likelihoods (G,) where every row has a matrix of its own (K, K, n)."""
    if unusable.any():
        log_transition = np.where(np.repeat(unusable, np.diff(offsets)), 0.0, log_transition)
    posterior, pairs, log_likelihood = smooth_inhomogeneous(log_transition, density, offsets)
    return np.concatenate([posterior, pairs.reshape(-1, pairs.shape[2])]), log_likelihood
