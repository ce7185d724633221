"""Statistics that add between different θ: which models have them, and models whose M-step takes z as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .._typing import FloatArray
from ..data import Batch
from ..errors import ParameterError
from ..model import LatentVariableModel, Posterior
from ..model.contracts import families_in
from ..variants import Around


@dataclass(frozen=True)
class Unexpanded(Around):
    """A latent without parameter expansion in its M-step, which would rescale z, though older statistics stay."""

    def __post_init__(self) -> None:
        """All latents are taken."""

    def posterior(self, log_density: Any, batch: Batch, params: Any) -> tuple[Posterior, FloatArray]:
        return self.latent.posterior(log_density, batch, params)


def additive(model: Any, what: str) -> LatentVariableModel:
    """The model for statistics that are added between different θ; a `ParameterError` names what has none."""
    if not isinstance(model, LatentVariableModel):
        raise ParameterError(
            f"there is no {what} for {type(model).__name__}: its statistics refer to pivots that are found in all the "
            'data; a model declared with e_step="saem" averages statistics over iterations'
        )
    if not model.additive:
        raise ParameterError(
            f"there is no {what} for {_culprit(model)}: its statistics are gradient and curvature of Q at the current "
            "parameters, which do not add between different ones; use fit"
        )
    return replace(model, latent=Unexpanded(model.latent))


def _culprit(model: LatentVariableModel) -> str:
    """The innermost part whose statistics do not add."""
    if not model.latent.additive:
        return type(model.latent).__name__
    part: Any = model.family
    while inner := [one for one in families_in(part) if not one.additive]:
        part = inner[0]
    return type(part).__name__
