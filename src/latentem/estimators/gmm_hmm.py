"""Hidden Markov models whose states are mixtures of normals: a drop-in for hmmlearn's."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._typing import Array, FloatArray
from ..data import ArraySource, Source
from ..errors import ParameterError
from ..families.components import Components
from ..families.composite import CompositeParameters
from ..families.conjugate import Conjugate, NormalInverseWishart
from ..families.constrained import Constrained
from ..latents import Categorical
from ..latents.categorical import CategoricalParameters, CategoricalStatistics
from ..model import Family, LatentVariableModel, ModelParameters, Prior
from ..models.starts import initial_parameters
from .gaussian_hmm import (
    PARAMETERS,
    check_covariances,
    covariance_prior,
    innermost,
    normal_family,
    normal_prior,
    widened,
)
from .gaussian_mixture import FAMILIES, FIELDS, lift
from .hmm import HiddenMarkov, WithFeatures, dirichlet_counts, per_state, probabilities
from .hmm_options import OWN, PRIORS, document, run_options
from .options import constructor
from .sequences import in_canonical_order


class GMMHMM(WithFeatures):
    """A hidden Markov model whose observations are mixtures of normals, p(x | k) = Σₘ wₖₘ N(x; μₖₘ, Σₖₘ).

    Parameters
    ----------
    n_components, n_mix : int
        Number of states K, and of components M of the mixture of each.
    min_covar : float
        Added to the variances that a start finds, in squared units of the data.
    weights_prior : float of at least 1, or array (K, M)
        Parameters of Dirichlet priors of the weights; 1 is flat.
    means_prior, means_weight : float or arrays (K, M, D), (K, M)
        Normal prior of the means, worth `means_weight` observations.
    covars_prior, covars_weight : float or arrays, optional
        Ψ and ν of inverse Wishart priors with "full" and "tied", α and β of inverse gamma priors with "diag" and
        "spherical".  None is flat.
    covariance_type : {"spherical", "diag", "full", "tied"}
        "tied" is one covariance for all components of a state.
    reg_covar : float or "auto"
        A floor under the eigenvalues of covariances, in squared units of the data; "auto" is 1e-6 of each column's
        variance."""

    _letters: ClassVar[dict[str, str]] = {"w": "weights_", "m": "means_", "c": "covars_"}
    _estimates_variances = True
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "n_mix": [Interval(Integral, 1, None, closed="left")],
        "min_covar": [Interval(Real, 0.0, None, closed="left")],
        "weights_prior": [Interval(Real, 1, None, closed="left"), "array-like"],
        "means_prior": [Real, "array-like"],
        "means_weight": [Interval(Real, 0.0, None, closed="left"), "array-like"],
        "covars_prior": [Real, "array-like", None],
        "covars_weight": [Real, "array-like", None],
        "covariance_type": [StrOptions(set(FAMILIES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
    }
    __init__ = constructor(
        {
            "n_components": 1,
            "n_mix": 1,
            "min_covar": 1e-3,
            **PRIORS,
            "weights_prior": 1.0,
            "means_prior": 0.0,
            "means_weight": 0.0,
            "covars_prior": None,
            "covars_weight": None,
            "algorithm": "viterbi",
            "covariance_type": "diag",
            **{name: value for name, value in run_options("stmcw").items() if name != "algorithm"},
        },
        {"reg_covar": "auto", **OWN},
    )
    n_components: int
    n_mix: int
    min_covar: float
    covariance_type: str
    reg_covar: float | str
    weights_prior: Any
    means_prior: Any
    means_weight: Any
    covars_prior: Any
    covars_weight: Any
    params: str
    means_: Any

    def _n_columns(self) -> int:
        return int(np.shape(self.means_)[-1])

    # -- the family ----------------------------------------------------------------------------

    def _inner(self, source: Source | None) -> Any:
        return normal_family(self.covariance_type, self.reg_covar, source)

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        mixture = LatentVariableModel(Categorical(self.n_mix), self._inner(source))
        return Components((mixture,) * self.n_components)

    def _family(self, source: Source) -> Family[Any, Any]:
        inner, priors = self._inner(source if "c" in self.params else None), self._priors(source.n_columns)
        counts = dirichlet_counts("weights_prior", self.weights_prior, (self.n_components, self.n_mix))
        held = tuple(
            name for letter, name in (("m", "means"), ("c", FIELDS[self.covariance_type])) if letter not in self.params
        )
        latent = Categorical(self.n_mix, () if "w" in self.params else tuple(range(self.n_mix)))
        return Components(
            tuple(
                LatentVariableModel(latent, _constrained(_with_prior(inner, prior), held), _weights_prior(count))
                for prior, count in zip(priors, counts, strict=True)
            )
        )

    def _priors(self, d: int) -> list[NormalInverseWishart | None]:
        """The prior of the components of each state, as hmmlearn's numbers parametrize it."""
        k, m, kind = self.n_components, self.n_mix, self.covariance_type
        means = per_state("means_prior", self.means_prior, (k, m, d))
        weights = per_state("means_weight", self.means_weight, (k, m))
        scatter, counts = {"full": self._wishart, "tied": self._tied, "diag": self._gamma, "spherical": self._gamma}[
            kind
        ](d)
        return [normal_prior(*of_state) for of_state in zip(means, weights, scatter, counts, strict=True)]

    def _wishart(self, d: int) -> tuple[FloatArray, FloatArray]:
        k, m = self.n_components, self.n_mix
        scatter = covariance_prior(0.0 if self.covars_prior is None else self.covars_prior, (k, m, d, d), matrices=True)
        if self.covars_weight is None:
            return scatter, np.zeros((k, m))
        return scatter, per_state("covars_weight", self.covars_weight, (k, m)) + d + 2.0

    def _tied(self, d: int) -> tuple[FloatArray, FloatArray]:
        k, m = self.n_components, self.n_mix
        whole = covariance_prior(0.0 if self.covars_prior is None else self.covars_prior, (k, d, d), matrices=True)
        scatter = np.broadcast_to(whole[:, None] / m, (k, m, d, d))
        if self.covars_weight is None:
            return scatter, np.zeros((k, m))
        worth = per_state("covars_weight", self.covars_weight, (k,)) + m + d + 1.0
        return scatter, np.broadcast_to(worth[:, None] / m, (k, m))

    def _gamma(self, d: int) -> tuple[FloatArray, FloatArray]:
        k, m, kind = self.n_components, self.n_mix, self.covariance_type
        shape = (k, m, d) if kind == "diag" else (k, m)
        alpha = None if self.covars_prior is None else per_state("covars_prior", self.covars_prior, shape)
        beta = per_state("covars_weight", 0.0 if self.covars_weight is None else self.covars_weight, shape)
        if kind == "spherical":
            counts = np.zeros((k, m)) if alpha is None else 1.0 + 2.0 * (alpha + 1.0) / d
            return np.repeat(2.0 * beta[:, :, None] / d, d, axis=2), counts
        counts = np.zeros((k, m)) if alpha is None else 1.0 + 2.0 * (alpha[:, :, 0] + 1.0)
        if alpha is not None and np.any(alpha != alpha[:, :, :1]):
            raise ParameterError("covars_prior (α) must be the same for all columns of a component")
        return 2.0 * beta, counts

    # -- starting ------------------------------------------------------------------------------

    def _first_emission(self, model: Any, source: Source, rng: Any, workers: Any) -> Any:
        """Rows are divided among the states, and each state's mixture starts from its rows."""
        inner = self._inner(source)
        states = LatentVariableModel(Categorical(self.n_components), inner)
        emission = super()._first_emission(states, source, rng, workers)
        nearest = ModelParameters(states.latent.start(), emission)
        values, weights, labels = _rows(states, nearest, in_canonical_order(source))
        mixture = LatentVariableModel(Categorical(self.n_mix), inner)
        parts = [
            self._first_mixture(mixture, values, weights, labels == k, rng, workers) for k in range(self.n_components)
        ]
        return CompositeParameters(tuple(parts))

    def _first_mixture(
        self,
        mixture: LatentVariableModel,
        values: FloatArray,
        weights: FloatArray,
        chosen: Array,
        rng: Any,
        workers: Any,
    ) -> Any:
        own = values[chosen]
        if np.count_nonzero(weights[chosen]) < self.n_mix or not np.all((~np.isnan(own)).any(axis=0)):
            own, weights, chosen = values, weights, np.ones(len(values), bool)
        part = ArraySource(own, weights=weights[chosen])
        start = initial_parameters(mixture, part, init="k-means++", rng=rng, executor=workers)
        return replace(start, emission=widened(start.emission, self.covariance_type, self.min_covar))

    def _prepared(self, attributes: dict[str, Any], family: Any) -> dict[str, Any]:
        if "c" not in self.params:
            return attributes
        covars = self._checked_covars(attributes["covars_"], np.shape(attributes["means_"])[-1])
        inner = innermost(family.families[0])
        return {**attributes, "covars_": np.stack([lift(own, self.covariance_type, inner) for own in covars])}

    def _dressed(self, family: Any, emission: Any) -> Any:
        parts = []
        for own, part in zip(family.families, emission.parts, strict=True):
            inner = own.family.constrain(part.emission) if isinstance(own.family, Constrained) else part.emission
            parts.append(own.conform(ModelParameters(part.latent, inner)))
        return CompositeParameters(tuple(parts))

    # -- attributes ----------------------------------------------------------------------------

    def _pack(self, attributes: dict[str, Any]) -> Any:
        k, m = self.n_components, self.n_mix
        weights = probabilities("weights_", attributes["weights_"], (k, m))
        means = np.array(attributes["means_"], dtype=float)
        if means.ndim != 3 or means.shape[:2] != (k, m) or not np.all(np.isfinite(means)):
            raise ParameterError(f"means_ must be finite with shape ({k}, {m}, number of columns), got {means.shape}")
        covars = self._checked_covars(attributes["covars_"], means.shape[2])
        make = PARAMETERS[self.covariance_type]
        return CompositeParameters(
            tuple(
                ModelParameters(CategoricalParameters(weight), make(mean, covar))
                for weight, mean, covar in zip(weights, means, covars, strict=True)
            )
        )

    def _checked_covars(self, covars: Any, d: int) -> list[FloatArray]:
        given = np.array(covars, dtype=float)
        if given.ndim < 2 or len(given) != self.n_components:
            raise ParameterError(
                f"covars_ must have an entry for each of {self.n_components} states, got {given.shape}"
            )
        named = enumerate(given)
        return [check_covariances(f"covars_[{k}]", own, self.covariance_type, self.n_mix, d) for k, own in named]

    def _unpack(self, emission: Any) -> dict[str, Any]:
        parts = emission.parts
        inner = [getattr(part.emission, "base", part.emission) for part in parts]
        return {
            "weights_": np.stack([part.latent.weights for part in parts]),
            "means_": np.stack([own.means for own in inner]),
            "covars_": np.stack([getattr(own, FIELDS[self.covariance_type]) for own in inner]),
        }


document(
    GMMHMM,
    '"s" startprob_, "t" transmat_, "w" weights_, "m" means_, "c" covars_',
    """
    weights_, means_ : (K, M), (K, M, D)
    covars_ : (K, M), (K, M, D), (K, M, D, D) or, tied, (K, D, D)""",
)


def _with_prior(family: Any, prior: NormalInverseWishart | None) -> Any:
    return family if prior is None else Conjugate(family, prior)


def _constrained(family: Any, held: tuple[str, ...]) -> Any:
    return Constrained(family, held) if held else family


def _weights_prior(counts: FloatArray) -> Prior:
    return Prior(concentration=CategoricalStatistics(counts)) if counts.any() else Prior()


def _rows(model: LatentVariableModel, params: ModelParameters, source: Source) -> tuple[FloatArray, FloatArray, Array]:
    """All rows, their weights, and the state that each most probably belongs to."""
    values, weights, states = [], [], []
    for batch in source:
        values.append(batch.values)
        weights.append(batch.unit_weights(False))
        states.append(model.infer(params, batch)[0].probabilities.argmax(axis=0))
    return np.concatenate(values), np.concatenate(weights), np.concatenate(states)
