"""The smallest curvatures of many parameters: Lanczos' recursion on I_c⁻¹ I_o, two E-steps a product.

In the metric I_c the operator is symmetric, and the recursion (Arnoldi's for such operators) finds the ends of its
spectrum first, each with a residual that bounds its error (Parlett 1998, section 13.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from .._typing import FloatArray
from .edges import Free
from .spectrum import SURE
from .surface import SHARE, THOUSANDTH, Point, Surface

PRODUCTS = 40
FEWEST = 10
# A curvature is known once its residual is this share of it.
KNOWN = 0.05


@dataclass(frozen=True)
class Leading:
    """The smallest curvatures.

    Attributes
    ----------
    curvatures : (k,)
        Ritz values of I_c⁻¹ I_o, smallest first.
    residual : float
        Of the smallest: some eigenvalue is no further from it.
    move : (d,)
        Its direction in coordinates, of length 1 in the metric I_c.
    distance : float
        √(sᵀ I_c⁻¹ s), the score in standard errors of the complete data.
    """

    curvatures: FloatArray
    residual: float
    move: FloatArray
    distance: float

    @property
    def error(self) -> float:
        """What the smallest curvature may be off by."""
        return max(SURE, self.residual)


def leading_curvatures(surface: Surface, point: Point, complete: FloatArray, free: Free, seed: int) -> Leading:
    """At most 80 passes.

    Parameters
    ----------
    surface, point : Surface, Point
    complete : (d, d)
        I_c in coordinates, positive definite in the free directions.
    free : Free
    seed : int
        Of the first vector.

    Raises
    ------
    numpy.linalg.LinAlgError
        I_c is not positive definite.
    """
    factor = cholesky(free.moves.T @ complete @ free.moves, lower=True)
    length = SHARE * THOUSANDTH * np.sqrt(surface.units(point))

    def along(vector: FloatArray) -> FloatArray:
        return np.asarray(free.moves @ solve_triangular(factor, vector, lower=True, trans="T"))

    def product(vector: FloatArray) -> FloatArray:
        move = length * along(vector)
        ahead, behind = surface.look(point.vector + move)[1], surface.look(point.vector - move)[1]
        slope = free.moves.T @ (behind - ahead) / (2 * length)
        return np.asarray(solve_triangular(factor, slope, lower=True))

    first = np.random.default_rng(seed).normal(size=len(factor))
    values, vector, residual = _lanczos(product, first / np.linalg.norm(first))
    own = solve_triangular(factor, free.moves.T @ point.score, lower=True)
    return Leading(values, residual, along(vector), float(np.linalg.norm(own)))


def _lanczos(
    product: Callable[[FloatArray], FloatArray], first: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Ritz values, the vector of the smallest, and its residual; every vector is made orthogonal to all before."""
    basis, diagonal = [first], []
    beside: list[float] = []
    for step in range(1, min(PRODUCTS, len(first)) + 1):
        image = product(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        known = np.array(basis)
        for _ in range(2):
            image = image - known.T @ (known @ image)
        size = float(np.linalg.norm(image))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        residual = size * abs(float(vectors[-1, 0]))
        settled = residual <= KNOWN * abs(float(values[0])) and step >= FEWEST
        if settled or size <= SURE or step == min(PRODUCTS, len(first)):
            break
        basis.append(image / size)
        beside.append(size)
    return values, np.asarray(np.array(basis[:step]).T @ vectors[:, 0]), residual
