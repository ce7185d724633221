"""Exact enumeration: p(z = k | x) ∝ p(x, z = k) over all states of z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....kernels.normalize import normalize_states
from ..compiled import Compiled, Values
from .points import EStep, Points, known_states


@dataclass(frozen=True)
class Enumeration(EStep):
    """Every state of z is tried; the rows of a group share theirs."""

    @property
    def kind(self) -> str:
        return "exact enumeration of z"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        per_group = functions.declaration.per_group
        values, joint = log_joint(functions, theta, x, batch)
        log_likelihood = normalize_states(joint)
        joint[:, ~np.isfinite(log_likelihood)] = 0.0
        weights = np.repeat(joint, batch.group_lengths, axis=1) if per_group else joint
        return Points(np.arange(len(x)), np.empty((len(x), 0)), weights, values, log_likelihood)


def log_joint(functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> tuple[FloatArray, FloatArray]:
    """log p(x, z = k) of the rows (K, n), and of the units (K, units) with every state but a known one impossible."""
    per_group = functions.declaration.per_group
    values = functions.values(theta, x, np.empty((len(x), 0)))
    joint = np.add.reduceat(values, batch.group_offsets[:-1], axis=1) if per_group else values.copy()
    impose(known_states(batch, per_group), joint)
    return values, joint


def impose(known: Array | None, joint: FloatArray) -> None:
    """Make every state but the known one impossible, in log joints (K, units)."""
    if known is None:
        return
    units = np.flatnonzero(known >= 0)
    kept = joint[known[units], units]
    joint[:, units] = -np.inf
    joint[known[units], units] = kept
