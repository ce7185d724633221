"""Accelerations of EM: vectors in, vectors out; none knows a model."""

from ..em import Acceleration
from .anderson import Anderson
from .auto import Auto
from .lbfgs import Lbfgs
from .parabolic import Parabolic
from .quasi_newton import QuasiNewton
from .squarem import Squarem
from .subspace_newton import SubspaceNewton

SCHEMES: dict[str, type[Acceleration]] = {
    "auto": Auto,
    "squarem": Squarem,
    "anderson": Anderson,
    "parabolic": Parabolic,
    "quasi-newton": QuasiNewton,
    "subspace-newton": SubspaceNewton,
    "lbfgs": Lbfgs,
}

__all__ = ["Anderson", "Auto", "Lbfgs", "Parabolic", "QuasiNewton", "Squarem", "SubspaceNewton"]
