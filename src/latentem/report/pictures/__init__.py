"""The picture of a fit: data and components at every step, as numbers that a script of the page draws.

Every class of models has one; a new latent or a new family is a line in a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...latents import Categorical, CovariateMarkovChain, MarkovChain, Normal, NormalChain, SemiMarkovChain
from ...model import LatentVariableModel
from .components import mixture
from .declared import declared
from .loadings import loadings
from .parameters import parameters
from .smoothed import smoothed
from .states import states
from .subject import Subject

__all__ = ["picture_of"]

# By the latent of a model; what is not here has its estimates drawn.
PAINTERS: dict[type, Callable[[Subject], dict[str, Any] | None]] = {
    Categorical: mixture,
    MarkovChain: states,
    CovariateMarkovChain: states,
    SemiMarkovChain: states,
    Normal: loadings,
    NormalChain: smoothed,
}


def picture_of(trail: Any, rng: np.random.Generator) -> dict[str, Any] | None:
    """What is drawn of a fit, step by step.

    Parameters
    ----------
    trail : Trail
        With `model`, `source`, `names` and `steps`, each of which has `parameters`.
    rng : Generator
        Draws the rows that are shown.

    Returns
    -------
    dict or None
        Numbers and lists that JSON takes, with "kind", "title" and "description"; `pictures.js` draws it.  None where
        there is nothing to draw: no step, or no parameter.
    """
    if not trail.steps:
        return None
    subject = Subject.of(trail, rng)
    found = _painter(subject.model)(subject) or parameters(subject)
    return None if found.get("names") == [] else found


def _painter(model: Any) -> Callable[[Subject], dict[str, Any] | None]:
    if hasattr(model, "declaration"):
        return declared
    if isinstance(model, LatentVariableModel):
        return PAINTERS.get(type(model.latent), parameters)
    return parameters
