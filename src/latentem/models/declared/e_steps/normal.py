"""The posterior of a normal z: which method serves is decided from the data."""

from __future__ import annotations

from dataclasses import dataclass

from ...._typing import FloatArray
from ....data import Batch
from ..compiled import Compiled, Values
from .gaussian import Gaussian, is_quadratic, otherwise
from .points import EStep, Points


@dataclass(frozen=True)
class NormalPosterior(EStep):
    """Exact where the log joint is quadratic in z, else numerical.

    In one dimension that is quadrature with nodes about the modes, or, where the density is too rough for it, with
    nodes that adapt to each unit; in two and three quadrature, or simulation; in more simulation.
    """

    @property
    def kind(self) -> str:
        return "exact where the log joint is quadratic in z, else numerical; decided once there are data"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """The posterior before it is known which method serves: that is seen on the way."""
        return Gaussian().points(functions, theta, x, batch)

    def prepared(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep:
        if is_quadratic(functions, theta, x):
            return Gaussian()
        return otherwise(functions.space.dimension).prepared(functions, theta, x, batch)
