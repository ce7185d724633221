"""Hidden Markov models of any family, and of Student's t."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ..data import Source
from ..errors import ParameterError
from ..families.components import Components
from ..families.constrained import Constrained
from ..families.student_t import FullStudentTParameters
from ..families.student_t_diagonal import DiagonalStudentTParameters
from ..model import Family
from .gaussian_hmm import check_covariances, check_means, innermost
from .gaussian_mixture import lift, variance_floor
from .hmm import HiddenMarkov, WithFeatures
from .hmm_options import OWN, PRIORS, document, run_options
from .mixture_model import resolved
from .options import constructor
from .partial import adds
from .registry import entry_of, family_named
from .student_t_mixture import FAMILIES

LONG_RUN = {"n_iter": 1000, "tol": 1e-4}


class StudentTHMM(WithFeatures):
    """A hidden Markov model with observations from Student's t, on which outliers pull little.

    Parameters
    ----------
    n_components : int
        Number of states K.
    covariance_type : {"diag", "full"}
        A scale matrix for each state, diagonal or full.
    dof : "free", "tied" or a positive number
        Degrees of freedom estimated for each state, one estimate for all, or fixed.
    reg_covar : float or "auto"
        A floor under the eigenvalues of scale matrices, in squared units of the data; "auto" is 1e-6 of each column's
        variance."""

    _letters: ClassVar[dict[str, str]] = {"m": "means_", "c": "scales_", "d": "dof_"}
    _held_names: ClassVar[dict[str, str]] = {"m": "means", "c": "scales", "d": "dof"}
    _estimates_variances = True
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "covariance_type": [StrOptions(set(FAMILIES))],
        "dof": [StrOptions({"free", "tied"}), Interval(Real, 0.0, None, closed="neither")],
        "reg_covar": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
    }
    __init__ = constructor(
        {"n_components": 1, "covariance_type": "diag"},
        {"dof": "free", "reg_covar": "auto", **PRIORS, **run_options("stmcd"), **LONG_RUN, **OWN},
    )
    n_components: int
    covariance_type: str
    dof: float | str
    reg_covar: float | str
    params: str
    means_: Any

    def _n_columns(self) -> int:
        return int(np.shape(self.means_)[1])

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        floor: Any = 0.0
        if source is not None:
            floor = variance_floor(self.reg_covar, source)
        return family_named(FAMILIES[self.covariance_type], dof=self.dof, floor=floor)

    def _prepared(self, attributes: dict[str, Any], family: Any) -> dict[str, Any]:
        if "c" not in self.params:
            return attributes
        scales = check_covariances("scales_", attributes["scales_"], self.covariance_type, self.n_components)
        return {**attributes, "scales_": lift(scales, self.covariance_type, innermost(family))}

    def _pack(self, attributes: dict[str, Any]) -> Any:
        means = check_means(attributes["means_"], self.n_components)
        scales = check_covariances(
            "scales_", attributes["scales_"], self.covariance_type, self.n_components, means.shape[1]
        )
        n_dof = {"free": self.n_components, "tied": 1}.get(str(self.dof), 0)
        dof = np.array(attributes["dof_"], dtype=float)
        if dof.shape != (n_dof,) or not np.all(np.isfinite(dof) & (dof > 0)):
            raise ParameterError(f"dof_ must be {n_dof} positive numbers with dof={self.dof!r}, got {dof.tolist()}")
        kind = FullStudentTParameters if self.covariance_type == "full" else DiagonalStudentTParameters
        return kind(means, scales, dof)

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {
            "means_": np.array(emission.means),
            "scales_": np.array(emission.scales),
            "dof_": np.array(emission.dof),
        }


document(
    StudentTHMM,
    '"s" startprob_, "t" transmat_, "m" means_, "c" scales_, "d" dof_',
    """
    means_, scales_ : (K, D), and (K, D) or (K, D, D)
        The covariance of a state is ν/(ν - 2) times its scale matrix where ν > 2.
    dof_ : (K,), (1,) where it is tied, (0,) where it is fixed""",
)


class HiddenMarkovModel(HiddenMarkov):
    """A hidden Markov model with observations from any family of rows.

    Parameters
    ----------
    family : str, Family, or list of those
        "gamma" and the like, a family with its options, or one family for each state.
    n_components : int
        Number of states K; that of a list is its length."""

    _letters: ClassVar[dict[str, str]] = {"e": "parameters_"}
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "family": [str, Family, list, tuple],
    }
    __init__ = constructor(
        {"family": "gaussian", "n_components": 1}, {**PRIORS, **run_options("ste"), **LONG_RUN, **OWN}
    )
    family: Any
    n_components: int
    params: str
    parameters_: Any
    n_features_in_: int

    def _n_columns(self) -> int:
        return int(self.n_features_in_)

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        if isinstance(self.family, list | tuple):
            if len(self.family) != self.n_components:
                raise ParameterError(
                    f"n_components={self.n_components}, but the list has {len(self.family)} families: it needs one for "
                    "each "
                    "state"
                )
            return Components(tuple(resolved(family) for family in self.family))
        return resolved(self.family)

    def _family(self, source: Source) -> Family[Any, Any]:
        family = self._bare_family(source)
        if "e" in self.params:
            return family
        if not hasattr(self, "parameters_"):
            raise ParameterError("params leaves 'e' out, but there are no parameters_ to hold: set them")
        return Constrained(family, tuple(self.parameters_.arrays()))

    def _adds(self) -> bool:
        several = self.family if isinstance(self.family, list | tuple) else [self.family]
        return adds(lambda: [resolved(family) for family in several])

    def _pack(self, attributes: dict[str, Any]) -> Any:
        return attributes["parameters_"].check()

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {"parameters_": emission}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        families = self.family if isinstance(self.family, list | tuple) else [self.family]
        entries = [entry_of(family) for family in families]
        tags.input_tags.positive_only = any(entry is not None and not entry.negative for entry in entries)
        tags.input_tags.categorical = all(entry is not None and entry.counts for entry in entries)
        return tags


document(
    HiddenMarkovModel,
    '"s" startprob_, "t" transmat_, "e" parameters_',
    """
    parameters_ : Parameters
        Those of the family, one component for each state; set them by the family's own record.""",
)
