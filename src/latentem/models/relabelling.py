"""Components in another order."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._typing import Array
from ..data import Source
from ..errors import ParameterError
from ..families.components import Components
from ..latents.categorical import CategoricalParameters
from ..latents.markov_chain import MarkovChainParameters
from ..model import LatentVariableModel, ModelParameters
from ..parameters import Parameters
from .starts import draw_pool


def permute(model: LatentVariableModel, params: ModelParameters, source: Source, permutation: Array) -> ModelParameters:
    """Parameters with the components rearranged.

    Which arrays have an axis of components is seen by comparing rough parameters for K and for K + 1 of them.

    Raises
    ------
    ParameterError
        The components are of different families, or the latent is one whose states cannot be rearranged here.
    """
    k = model.latent.n_states
    if isinstance(model.family, Components):
        raise ParameterError("components of different families keep the order of their list; use order=None")
    pool = draw_pool(source, np.random.default_rng(0), 100)
    emission = _permuted(params.emission, model.family.start(pool, k), model.family.start(pool, k + 1), k, permutation)
    return ModelParameters(_permuted_latent(params.latent, permutation), emission)


def _permuted_latent(params: Any, permutation: Array) -> Any:
    if isinstance(params, CategoricalParameters):
        return replace(params, weights=params.weights[permutation])
    if isinstance(params, MarkovChainParameters):
        transition = params.transition[np.ix_(permutation, permutation)]
        return replace(params, initial=params.initial[permutation], transition=transition)
    raise ParameterError(f"states with {type(params).__name__} cannot be rearranged")


def _permuted(value: Any, fewer: Any, more: Any, k: int, permutation: Array) -> Any:
    if isinstance(value, Parameters):
        changes = {
            name: _permuted(getattr(value, name), getattr(fewer, name), getattr(more, name), k, permutation)
            for name in (field.name for field in fields(value))
        }
        return replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(_permuted(v, f, m, k, permutation) for v, f, m in zip(value, fewer, more, strict=True))
    before, after = np.shape(fewer), np.shape(more)
    by_component = before[:1] == (k,) and after[:1] == (k + 1,)
    return np.asarray(value)[permutation] if by_component else value
