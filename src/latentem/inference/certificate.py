"""What a fit is: a strict local maximum, a saddle, a ridge, a point on a boundary, undecided, or not converged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from .edges import Edge


class Verdict(Enum):
    """What the point where a fit ended is."""

    MAXIMUM = "strict local maximum"
    SADDLE = "saddle: the objective rises along a direction that EM leaves too slowly to notice"
    RIDGE = "ridge: parameters can change together without any change of the objective"
    BOUNDARY = "local maximum on the boundary: some parameters are held by an end of their range"
    UNDECIDED = "undecided: curvature does not tell whether this is a maximum"
    NOT_CONVERGED = "not converged: the limit is still away"


@dataclass(frozen=True)
class Certificate:
    """What `certify` found about the point where a fit ended.

    Attributes
    ----------
    verdict : Verdict
    reasons : tuple of str
        Sentences: what the verdict rests on, what would decide it, what to do.
    distance : float
        Estimated distance from θ to the limit in standard errors, √(sᵀ I_o⁻¹ s), s being the score.
    remaining_gain : float
        Estimated gain of the objective from here to the limit, ½ sᵀ I_o⁻¹ s.
    rate : float
        λ, by what EM's steps shrink near the limit: the largest eigenvalue of the Jacobian of the EM map.
    missing_information : float
        The largest fraction of missing information; NaN where the complete data do not identify θ.
    eigenvalues : (k,)
        Eigenvalues λ of the EM map as information fractions, I - I_c⁻¹ I_o, largest first; all of them, or the leading
        ones where there are many parameters.
    error : float
        What they may be off by.
    edges : tuple of Edge
        Entries at an end of their range.
    bounds : tuple of str
        Coordinates that the model's own limits hold (a floor under variances, a largest number of degrees of freedom).
    along : tuple of str
        The coordinates that a saddle's ascent or a ridge mostly moves.
    passes : int
        Passes over the data that it took.
    way_out : Parameters or None
        Of a saddle, parameters nearby where the objective is higher.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    distance: float
    remaining_gain: float
    rate: float
    missing_information: float
    eigenvalues: FloatArray
    error: float
    edges: tuple[Edge, ...]
    bounds: tuple[str, ...]
    along: tuple[str, ...]
    passes: int
    way_out: Any = field(default=None, repr=False)

    @property
    def is_maximum(self) -> bool:
        """Whether nothing nearby is higher: a strict maximum, one on the boundary, or one along a ridge."""
        return self.verdict in (Verdict.MAXIMUM, Verdict.BOUNDARY, Verdict.RIDGE)

    def __str__(self) -> str:
        lines = [self.verdict.value, *(f"  {reason}" for reason in self.reasons)]
        lines.append(
            f"  {self.distance:.2g} standard errors and {self.remaining_gain:.2g} in log-likelihood from the limit; "
            f"EM's rate {self.rate:.4g}, missing information {self.missing_information:.2%}; {self.passes} passes"
        )
        return "\n".join(lines)


def shares(vectors: FloatArray, scale: FloatArray) -> FloatArray:
    """How much of some directions (d, m) lies in each coordinate, (d,), in units of the complete data; adds to 1."""
    parts = np.sum((vectors * scale[:, None]) ** 2, axis=1)
    total = float(parts.sum())
    return np.asarray(parts / total if total > 0 else parts)


def leading(names: list[str], parts: FloatArray, least: float = 0.05, most: int = 6) -> tuple[str, ...]:
    """The names of the largest parts, in falling order."""
    order: Array = np.argsort(-parts)[:most]
    return tuple(names[i] for i in order if parts[i] >= least * parts[order[0]] > 0)
