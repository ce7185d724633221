"""How the posterior of z is found, one file each: all of them end in weighted points."""

from ..declaration import Declaration
from .enumeration import Enumeration
from .points import EStep, Points

__all__ = ["EStep", "Enumeration", "Points", "choose"]


def choose(declaration: Declaration) -> EStep:
    """The E-step for what z is declared to be."""
    space = declaration.space
    if declaration.is_chain:
        from .chain import ForwardBackward

        return ForwardBackward()
    if not space.dimension:
        return Enumeration()
    if declaration.e_step == "auto" and space.dimension == 1 and space.bounds is not None:
        from .continuous import AdaptiveQuadrature

        return AdaptiveQuadrature()
    if declaration.e_step == "auto" and space.bounds is None:
        from .normal import NormalPosterior

        return NormalPosterior()
    from .monte_carlo import MonteCarlo

    return MonteCarlo()
