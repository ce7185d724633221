"""What pictures of mixtures need of models: supports, bins, and the ellipses that hold a share of a component."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Batch
from ..errors import DataError


def passes(model: Any, point: FloatArray) -> bool:
    """Whether a row (D,) lies in the support of a model or family."""
    try:
        model.check(Batch(point[None, :]))
    except DataError:
        return False
    return True


def n_bins(x: FloatArray) -> int:
    """Twice as many as for a single normal distribution (Scott 1979), since a mixture's parts are narrower."""
    width = 3.49 * float(np.std(x)) * len(x) ** (-1 / 3)
    return int(np.clip(2 * np.ptp(x) / width, 10, 100)) if width > 0 else 10


def has_ellipses(emission: Any) -> bool:
    """Normal and Student-t components: a mean and a spread in every direction."""
    spread = any(hasattr(emission, name) for name in ("covariances", "variances")) or hasattr(emission, "dof")
    return hasattr(emission, "means") and spread


def spreads(emission: Any) -> FloatArray:
    """(K, D, D) covariances, or scale matrices of Student's t."""
    found = next(getattr(emission, name) for name in ("covariances", "variances", "scales") if hasattr(emission, name))
    k, d = emission.means.shape
    if np.ndim(found) == 3:
        return np.asarray(found)
    axes = np.broadcast_to(found if np.ndim(found) == 2 else np.reshape(found, (k, 1)), (k, d))
    return np.asarray(axes[:, :, None] * np.eye(d))


def degrees_of_freedom(family: Any, emission: Any) -> FloatArray:
    """(K,): those of Student's t, infinite for normal components."""
    if hasattr(family, "degrees_of_freedom"):
        return np.asarray(family.degrees_of_freedom(emission))
    return np.full(len(emission.means), np.inf)


def squared_radius(share: float, degrees: float) -> float:
    """Of the ellipse that holds this share of a bivariate t distribution; normal for infinite degrees of freedom.

    Half the squared distance is F(2, ν), whose distribution function is 1 - (1 + r²/ν)^{-ν/2}.
    """
    if np.isinf(degrees):
        return float(-2 * np.log1p(-share))
    return float(degrees * np.expm1(-2 / degrees * np.log1p(-share)))
