"""The M-step of families whose Q has no closed maximizer: ascent on the unconstrained vector, from statistics alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..kernels.newton import maximize_smooth
from ..model import Family, Latent
from ..statistics import is_local

MOST_STEPS = 50


def numeric_m_step(family: Family[Any, Any], statistics: Any, *starts: Any) -> Any:
    """argmax of E_q[log p(x | z; θ)] + log p(θ), from the best of `starts`; the first of them must be admissible.

    Where the statistics are a `LocalQ`, Q is known near θₜ only: one safeguarded step from the first start, which must
    be θₜ, ascends there, and the engine judges its length.
    """
    local = is_local(statistics)
    starts = starts[:1] if local else starts
    objectives = [_objective(family, statistics, start) for start in starts]
    values = [objective(start.flatten()) for objective, start in zip(objectives, starts, strict=True)]
    if not np.isfinite(values).any():
        raise ParameterError(
            f"{type(family).__name__}: the current parameters lie outside what the family admits (a variance below its "
            "floor), or their density is not finite; start from others or lower the floor"
        )
    best = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
    start = starts[best]
    vector = start.flatten()
    gradient = _gradient(family, statistics, start, *starts)
    moved = maximize_smooth(objectives[best], vector, gradient, max_iter=1 if local else MOST_STEPS)
    return start if moved is vector else start.unflatten(moved)


def knows_score(part: Any) -> bool:
    """Whether the score of a family, and of all that it is made of, is a formula rather than differences of Q."""
    if isinstance(part, tuple):
        return all(map(knows_score, part))
    if not isinstance(part, Family | Latent):
        return True
    inherited: Any = (Family.score, Latent.score)
    if type(part).score in inherited:
        return False
    return all(knows_score(getattr(part, name)) for name in getattr(part, "__dataclass_fields__", ()))


def _gradient(family: Family[Any, Any], statistics: Any, template: Any, *starts: Any) -> Any:
    """The score of the family if it is a formula and there is no prior beside Q; else None."""
    if not knows_score(family) or any(family.log_prior(start) != 0 for start in starts):
        return None
    return lambda vector: family.score(statistics, template.unflatten(vector))


def _objective(family: Family[Any, Any], statistics: Any, template: Any) -> Any:
    def objective(vector: FloatArray) -> float:
        params = template.unflatten(vector)
        if not family.admissible(params):
            return -np.inf
        return family.expected_log_density(statistics, params) + family.log_prior(params)

    return objective
