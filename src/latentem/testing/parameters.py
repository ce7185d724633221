"""The laws of parameters."""

from __future__ import annotations

import numpy as np

from ..parameters import Parameters
from .comparing import close, require


def check_parameters(params: Parameters) -> None:
    """Flattening is a bijection; `n_free` is the vector's length; neighbours lie in the domain."""
    name = type(params).__name__
    vector = params.flatten()
    require(vector.shape == (params.n_free,), f"{name}: n_free is {params.n_free}, the vector is {vector.shape}")
    params.check()
    back = params.unflatten(vector)
    for (label, value), other in zip(params.arrays().items(), back.arrays().values(), strict=True):
        close(other, value, 1e-11 * np.abs(value), f"{name}.{label}: unflatten(flatten(θ)) = θ")
    moved = vector + np.random.default_rng(1).normal(scale=0.3, size=vector.shape)
    neighbour = params.unflatten(moved).check()
    close(neighbour.flatten(), moved, 1e-7 * (1 + np.abs(moved)), f"{name}: flatten(unflatten(v)) = v")
