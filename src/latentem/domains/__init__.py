"""Domains: sets of arrays with a smooth map onto them from unconstrained vectors.

A domain knows how many free coordinates an array has, how to find them, and the array that belongs to any vector of
them.  That last map, `unflatten`, is written once for NumPy and for JAX: it takes the module of array functions,
assigns nothing in place, and has derivatives that are finite everywhere.
"""

from .base import Domain
from .constraints import Fixed, Tied
from .elementwise import Interval, Positive, Real, UnitInterval
from .matrices import Correlation, LowerTriangular, PositiveDefinite
from .vectors import Ordered, Simplex

__all__ = [
    "Correlation",
    "Domain",
    "Fixed",
    "Interval",
    "LowerTriangular",
    "Ordered",
    "Positive",
    "PositiveDefinite",
    "Real",
    "Simplex",
    "Tied",
    "UnitInterval",
]
