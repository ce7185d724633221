"""The smallest curvatures of many parameters: Lanczos' recursion on I_c⁻¹ I_o, two E-steps a product.

In the metric I_c the operator is symmetric, and the recursion (Arnoldi's for such operators) finds the ends of its
spectrum first, each with a residual: some eigenvalue is no further away (Parlett 1998, section 13.2).  That it is the
smallest, the residual does not say, for the first vector may have little of the smallest one's direction.  As it is
random, the odds are known (Kuczyński and Woźniakowski 1992, theorem 4.2): after k steps in n dimensions the largest
eigenvalue of I - I_c⁻¹ I_o is underestimated by more than a share ε with a probability of at most
1.648 √n exp(-√ε (2k - 1)).
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

PRODUCTS = 100
FEWEST = 10
# A curvature is known once its residual is this share of it, and surely none is below this share.
KNOWN, LEAST = 0.05, 0.5
# A curvature and residual within this are zero; and a curvature as far below zero as this would have been seen.
FLAT, DEEPEST = 1e-5, 0.05
# The probability with which "surely" may be wrong.
DOUBT = 1e-3


@dataclass(frozen=True)
class Leading:
    """The smallest curvatures.

    Attributes
    ----------
    curvatures : (k,)
        Ritz values of I_c⁻¹ I_o, smallest first.
    residual : float
        Of the smallest: some eigenvalue is no further from it.
    least : float
        Surely no curvature is below this: by the number of steps, with odds of a thousand to one.
    move : (d,)
        Its direction in coordinates, of length 1 in the metric I_c.
    distance : float
        √(sᵀ I_c⁻¹ s), the score in standard errors of the complete data.
    """

    curvatures: FloatArray
    residual: float
    least: float
    move: FloatArray
    distance: float

    @property
    def is_flat(self) -> bool:
        """Whether the smallest is zero as far as can be told, and surely none is far below zero."""
        return max(abs(float(self.curvatures[0])), self.residual) <= FLAT and self.least >= -DEEPEST

    @property
    def error(self) -> float:
        """What the smallest curvature may be off by."""
        return max(SURE, self.residual)


def leading_curvatures(surface: Surface, point: Point, complete: FloatArray, free: Free, seed: int) -> Leading:
    """At most 200 passes.

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
    values, vector, residual, least = lanczos(product, first / np.linalg.norm(first))
    own = solve_triangular(factor, free.moves.T @ point.score, lower=True)
    return Leading(values, residual, least, along(vector), float(np.linalg.norm(own)))


def lanczos(
    product: Callable[[FloatArray], FloatArray], first: FloatArray
) -> tuple[FloatArray, FloatArray, float, float]:
    """Ritz values of a matrix up to I, the vector and residual of the smallest, and what surely none is below.

    Every vector is made orthogonal to all before.
    """
    n = len(first)
    basis, diagonal = [first], []
    beside: list[float] = []
    for step in range(1, min(PRODUCTS, n) + 1):
        image = product(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        known = np.array(basis)
        for _ in range(2):
            image = image - known.T @ (known @ image)
        size = float(np.linalg.norm(image))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        smallest = float(values[0])
        residual = size * abs(float(vectors[-1, 0]))
        least = surely_above(smallest, n if size <= SURE else step, n)
        settled = residual <= KNOWN * abs(smallest) and step >= FEWEST
        decided = smallest < -SURE or least >= LEAST * smallest
        flat = max(abs(smallest), residual) <= FLAT and least >= -DEEPEST
        if (settled and decided) or flat or size <= SURE or step == min(PRODUCTS, n):
            break
        basis.append(image / size)
        beside.append(size)
    return values, np.asarray(np.array(basis[:step]).T @ vectors[:, 0]), residual, least


def surely_above(smallest: float, step: int, n: int) -> float:
    """What the smallest eigenvalue of a matrix that is at most I is above, when that of Lanczos' recursion is this."""
    if step >= n:
        return smallest
    share = (np.log(1.648 * np.sqrt(n) / DOUBT) / (2 * step - 1)) ** 2
    return float(1 - (1 - smallest) / (1 - share)) if share < 1 else -np.inf
