"""The posterior of a chain of normal vectors, and the statistics that are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..kernels.linear_regression import cross_with_one, gram_with_one
from ..model import Posterior
from .chain_parameters import NormalChainStatistics


@dataclass(frozen=True)
class ChainPosterior(Posterior):
    """Moments of zₜ, and those of the disturbances beside them; `covariance` is None, see `moments`.

    Attributes
    ----------
    smoothed : Smoothed
    params : NormalChainParameters
        At which they ran.
    """

    smoothed: Any = None
    params: Any = None

    @property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """E[zₜ | x] (n, q) and Cov(zₜ | x) (n, q, q): one matrix for many rows is copied to each only here."""
        assert self.mean is not None
        return self.mean, self._covariances

    @cached_property
    def _covariances(self) -> FloatArray:
        smoothed = self.smoothed
        n, q, _ = smoothed.covariance.shape
        return smoothed.covariance.reshape(n, q * q).take(smoothed.kept, axis=0).reshape(n, q, q)

    def covariance_sum(self, weights: FloatArray) -> FloatArray:
        smoothed = self.smoothed
        return _total(smoothed.covariance, *_counted(smoothed.kept, weights))


def statistics_of(
    posterior: ChainPosterior, batch: Batch, scale: FloatArray | None = None
) -> NormalChainStatistics:
    """Moments of z₁ and of all transitions; `scale` (n,) multiplies the noise on arrival at each row."""
    smoothed, params = posterior.smoothed, posterior.params
    weights, n_inputs = batch.unit_weights(per_group=False), params.inputs.shape[1]
    first, ahead, behind = _steps(batch)
    w, mean = weights[ahead], smoothed.mean[behind]
    g = mean if not n_inputs else np.concatenate([batch.covariates[ahead], mean], axis=1)  # type: ignore[index]
    k, disturbance, kept = 1 + n_inputs, smoothed.disturbance[ahead], smoothed.kept[behind]
    count, is_even = w.sum(), batch.weights is None and scale is None
    if scale is not None:
        s = scale[ahead]
        count, w = w[s > 0].sum(), np.divide(w, s, out=np.zeros_like(w), where=s > 0)
    gram, cross = gram_with_one(w, g, is_even), cross_with_one(w, disturbance, g, is_even)
    square = disturbance.T @ (disturbance if is_even else disturbance * w[:, None])
    used, counts = _counted(kept, None if is_even else w)
    gram[k:, k:] += _total(smoothed.covariance, used, counts)
    cross[:, k:] += _total(smoothed.cross, used, counts)
    square += _total(smoothed.noise_covariance, used, counts)
    by_group, error = weights[first], smoothed.mean[first] - params.initial_mean
    second = (error.T * by_group) @ error + np.tensordot(by_group, smoothed.covariance[smoothed.kept[first]], 1)
    return NormalChainStatistics(
        count, gram, cross, square, by_group.sum(), by_group @ error, second, params.reference
    )


def _steps(batch: Batch) -> tuple[Array, Any, Any]:
    """The first rows of the groups, the rows that a transition leads to, and those it comes from."""
    n, offsets = len(batch), np.asarray(batch.group_offsets)
    if len(offsets) == 2:
        return offsets[:1], slice(1, n), slice(0, n - 1)
    ahead = np.delete(np.arange(n), offsets[:-1])
    return offsets[:-1], ahead, ahead - 1


def _counted(kept: Array, weights: FloatArray | None) -> tuple[Array, FloatArray]:
    """The rows of the tables that are named, and the sums of the weights with which they are; None stands for ones."""
    counts = np.bincount(kept, weights)
    used = np.flatnonzero(counts != 0)
    return used, counts[used].astype(float)


def _total(table: FloatArray, used: Array, counts: FloatArray) -> FloatArray:
    """Σ of the matrices, each as often as it is counted."""
    return np.asarray(np.tensordot(counts, table[used], 1))
