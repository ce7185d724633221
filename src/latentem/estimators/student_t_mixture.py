"""Clusters with heavy tails, on which outliers pull little."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from ..data import Source
from ..model import Family
from .family_mixture import FamilyMixture
from .gaussian_mixture import lift, variance_floor
from .registry import family_named

FAMILIES = {"full": "student-t", "diag": "diagonal-student-t"}


class StudentTMixture(FamilyMixture):
    """A mixture of multivariate Student's t distributions.

    Parameters
    ----------
    n_components : int
    covariance_type : {"full", "diag"}
        A scale matrix for each component, full or diagonal.
    dof : "free", "tied" or a positive number
        Degrees of freedom estimated for each component, one estimate for all, or fixed.
    reg_covar : float or "auto"
        A floor under the eigenvalues of the scale matrices, in squared units of the data; "auto" is 1e-6 of each
        column's variance."""

    _name = "student-t"
    _options = {"covariance_type": "full", "dof": "free", "reg_covar": 1e-6}
    _estimates_variances = True
    _parameter_constraints: dict[str, Any] = {
        **FamilyMixture._parameter_constraints,
        "covariance_type": [StrOptions(set(FAMILIES))],
        "dof": [StrOptions({"free", "tied"}), Interval(Real, 0.0, None, closed="neither")],
        "reg_covar": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
    }
    covariance_type: str
    dof: float | str
    reg_covar: float | str

    def _family(self, source: Source) -> Family[Any, Any]:
        floor = variance_floor(self.reg_covar, source)
        return family_named(FAMILIES[self.covariance_type], dof=self.dof, floor=floor)

    def _lifted(self, family: Any, emission: Any) -> Any:
        return replace(emission, scales=lift(emission.scales, self.covariance_type, family))
