"""Hidden Markov models with normal observations: a drop-in for hmmlearn's."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._typing import FloatArray
from ..data import Source
from ..errors import ParameterError
from ..families.conjugate import ConjugatePrior, NormalInverseWishart
from ..families.gaussian import (
    DiagonalGaussianParameters,
    FullGaussianParameters,
    SphericalGaussianParameters,
    TiedGaussianParameters,
)
from ..model import Family
from .gaussian_mixture import FAMILIES, FIELDS, lift, variance_floor
from .hmm import HiddenMarkov, WithFeatures, per_state
from .hmm_options import OWN, PRIORS, document, run_options
from .options import constructor

PARAMETERS = {
    "full": FullGaussianParameters,
    "tied": TiedGaussianParameters,
    "diag": DiagonalGaussianParameters,
    "spherical": SphericalGaussianParameters,
}


class GaussianHMM(WithFeatures):
    """A hidden Markov model with normal observations, xₜ | zₜ = k ~ N(μₖ, Σₖ).

    Parameters
    ----------
    n_components : int
        Number of states K.
    covariance_type : {"spherical", "diag", "full", "tied"}
        One variance for each state, one for each column of it, a full covariance for each state, or one for all.
    min_covar : float
        Added to the variances that a start finds, in squared units of the data.
    means_prior, means_weight : float or arrays (K, D), (K,)
        Normal prior of the means, worth `means_weight` observations.
    covars_prior, covars_weight : float or arrays
        Inverse gamma prior of variances, or inverse Wishart prior of covariances: Ψ, added to the scatter of each state
        (for matrices a number is added to every entry, as in the peer), and the observations that it is worth, after
        the first ("diag", "spherical") or the first D ("full", "tied").
    reg_covar : float or "auto"
        A floor under the eigenvalues of covariances, in squared units of the data; "auto" is 1e-6 of each column's
        variance."""

    _letters: ClassVar[dict[str, str]] = {"m": "means_", "c": "_covars_"}
    _estimates_variances = True
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "covariance_type": [StrOptions(set(FAMILIES))],
        "min_covar": [Interval(Real, 0.0, None, closed="left")],
        "means_prior": [Real, "array-like"],
        "means_weight": [Interval(Real, 0.0, None, closed="left"), "array-like"],
        "covars_prior": [Interval(Real, 0.0, None, closed="left"), "array-like"],
        "covars_weight": [Interval(Real, 0.0, None, closed="left"), "array-like"],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
    }
    __init__ = constructor(
        {
            "n_components": 1,
            "covariance_type": "diag",
            "min_covar": 1e-3,
            **PRIORS,
            "means_prior": 0,
            "means_weight": 0,
            "covars_prior": 1e-2,
            "covars_weight": 1,
            **run_options("stmc"),
        },
        {"reg_covar": "auto", **OWN},
    )
    n_components: int
    covariance_type: str
    min_covar: float
    reg_covar: float | str
    means_prior: Any
    means_weight: Any
    covars_prior: Any
    covars_weight: Any
    params: str
    means_: Any
    _covars_: Any

    @property
    def covars_(self) -> FloatArray:
        """Covariances of the states, (K, D, D) for every `covariance_type`; they are set in the shape of that type."""
        return filled_covariances(self._covars_, self.covariance_type, *np.shape(self.means_))

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        self._covars_ = check_covariances("covars_", covars, self.covariance_type, self.n_components)

    def _n_columns(self) -> int:
        return int(np.shape(self.means_)[1])

    def _array_name(self, letter: str) -> str:
        return "means" if letter == "m" else FIELDS[self.covariance_type]

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        return normal_family(self.covariance_type, self.reg_covar, source)

    def _first_emission(self, model: Any, source: Source, rng: Any, workers: Any) -> Any:
        emission = super()._first_emission(model, source, rng, workers)
        return widened(emission, self.covariance_type, self.min_covar)

    def _prepared(self, attributes: dict[str, Any], family: Any) -> dict[str, Any]:
        if "c" not in self.params:
            return attributes
        covars = check_covariances("covars_", attributes["_covars_"], self.covariance_type, self.n_components)
        return {**attributes, "_covars_": lift(covars, self.covariance_type, innermost(family))}

    def _pack(self, attributes: dict[str, Any]) -> Any:
        means = check_means(attributes["means_"], self.n_components)
        covars = check_covariances(
            "covars_", attributes["_covars_"], self.covariance_type, self.n_components, means.shape[1]
        )
        return PARAMETERS[self.covariance_type](means, covars)

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {
            "means_": np.array(emission.means),
            "_covars_": np.array(getattr(emission, FIELDS[self.covariance_type])),
        }

    def _prior(self, n_columns: int) -> ConjugatePrior | None:
        k, d, kind = self.n_components, n_columns, self.covariance_type
        means = per_state("means_prior", self.means_prior, (k, d))
        weights = per_state("means_weight", self.means_weight, (k,))
        worth = d if kind in ("full", "tied") else 1
        if kind == "tied":
            scatter = np.broadcast_to(covariance_prior(self.covars_prior, (d, d), matrices=True) / k, (k, d, d))
            counts = np.full(k, max(float(per_state("covars_weight", self.covars_weight, ())) - worth, 0.0) / k)
        else:
            shape = (k, d, d) if kind == "full" else (k, d)
            scatter = covariance_prior(self.covars_prior, shape, matrices=kind == "full")
            counts = np.maximum(per_state("covars_weight", self.covars_weight, (k,)) - worth, 0.0)
        return normal_prior(means, weights, scatter, counts)


document(
    GaussianHMM,
    '"s" startprob_, "t" transmat_, "m" means_, "c" covars_',
    """
    means_ : (K, D)
    covars_ : (K, D, D)
        Set it in the shape of `covariance_type`: (K,), (K, D), (K, D, D) or (D, D).""",
)


def normal_family(kind: str, reg_covar: float | str, source: Source | None) -> Any:
    """The family of a covariance type with the floor for these data; without data without one."""
    _check_type(kind)
    if source is None:
        return FAMILIES[kind](floor=0.0)
    floor = variance_floor(reg_covar, source)
    return FAMILIES[kind](floor=float(np.mean(floor)) if kind == "spherical" else floor)


def widened(emission: Any, kind: str, min_covar: float) -> Any:
    """Normals that a start found, with `min_covar` added to their variances."""
    added = min_covar * (np.eye(emission.means.shape[1]) if kind in ("full", "tied") else 1.0)
    return replace(emission, **{FIELDS[kind]: getattr(emission, FIELDS[kind]) + added})


def normal_prior(
    means: FloatArray, weights: FloatArray, scatter: FloatArray, counts: FloatArray
) -> NormalInverseWishart | None:
    """The prior, or None where it is flat; an error where it is no density's shape."""
    for name, values in (("means_weight", weights), ("covars_weight", counts)):
        if np.any(values < 0):
            raise ParameterError(f"{name} makes the prior worth {values.min():g} observations, which is below 0")
    if not (weights.any() or scatter.any() or counts.any()):
        return None
    return NormalInverseWishart(means, weights, scatter, counts)


def covariance_prior(values: Any, shape: tuple[int, ...], *, matrices: bool) -> FloatArray:
    """Ψ in a shape, or an error where it is negative, or no positive semi-definite matrix."""
    scatter = per_state("covars_prior", values, shape)
    if not matrices:
        if np.any(scatter < 0):
            raise ParameterError(f"covars_prior must not be negative, got {scatter.min():g}")
        return scatter
    symmetric = np.allclose(scatter, np.swapaxes(scatter, -1, -2))
    if not symmetric or np.linalg.eigvalsh(scatter).min() < -1e-9 * np.abs(scatter).max():
        raise ParameterError("covars_prior must be symmetric and positive semi-definite")
    return scatter


def check_means(means: Any, n_states: int) -> FloatArray:
    """Finite means (K, D)."""
    checked = np.array(means, dtype=float)
    if checked.ndim != 2 or len(checked) != n_states or not checked.shape[1]:
        raise ParameterError(f"means_ must have shape ({n_states}, number of columns), got {checked.shape}")
    if not np.all(np.isfinite(checked)):
        raise ParameterError(f"means_ must be finite, got {checked.tolist()}")
    return checked


def check_covariances(name: str, covars: Any, kind: str, n: int, d: int | None = None) -> FloatArray:
    """Variances or covariances of n components in the shape of their type, positive (definite).

    `d` is the number of columns where it is known; a spherical type takes any array with n entries.
    """
    _check_type(kind)
    checked = np.array(covars, dtype=float)
    if kind == "spherical":
        checked = checked.ravel()
    width = checked.shape[-1] if d is None and checked.ndim else d
    expected = {"spherical": (n,), "diag": (n, width), "full": (n, width, width), "tied": (width, width)}[kind]
    if checked.shape != expected or not checked.size:
        raise ParameterError(f"{name} of type {kind!r} must have shape {expected}, got {checked.shape}")
    if kind in ("spherical", "diag"):
        if not np.all(np.isfinite(checked) & (checked > 0)):
            raise ParameterError(f"{name} must be positive, got {checked.tolist()}")
        return checked
    matrices = checked if checked.ndim == 3 else checked[None]
    for k, matrix in enumerate(matrices):
        if (
            not np.all(np.isfinite(matrix))
            or not np.allclose(matrix, matrix.T)
            or np.linalg.eigvalsh(matrix).min() <= 0
        ):
            where = f"{name}[{k}]" if checked.ndim == 3 else name
            raise ParameterError(f"{where} must be symmetric and positive definite, got {matrix.tolist()}")
    return 0.5 * (checked + np.swapaxes(checked, -1, -2))


def _check_type(kind: str) -> None:
    if kind not in FAMILIES:
        raise ParameterError(f"covariance_type must be one of {', '.join(sorted(FAMILIES))}, got {kind!r}")


def filled_covariances(covars: FloatArray, kind: str, n: int, d: int) -> FloatArray:
    """(n, D, D) matrices from covariances in the shape of their type."""
    if kind == "full":
        return covars
    if kind == "tied":
        return np.tile(covars, (n, 1, 1))
    columns = covars if kind == "diag" else np.repeat(np.ravel(covars)[:, None], d, axis=1)
    return np.asarray(columns[:, :, None] * np.eye(d))


def innermost(family: Any) -> Any:
    """The family inside wrappers of one."""
    while hasattr(family, "family"):
        family = family.family
    return family
