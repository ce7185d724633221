"""scikit-learn's `GaussianMixture`: the same names and meanings, and more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._typing import FloatArray
from ..data import Batch, Source
from ..errors import DataError
from ..families.gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from ..kernels.gaussian import floor_eigenvalues
from ..kernels.seeding import standardize
from ..latents import Categorical
from ..latents.categorical import CategoricalParameters
from ..model import Family, LatentVariableModel, ModelParameters
from ..result import EMResult
from .base import Mixture
from .starting_values import check_means, check_precisions

FAMILIES: dict[str, Callable[..., Family[Any, Any]]] = {
    "full": FullGaussian,
    "tied": TiedGaussian,
    "diag": DiagonalGaussian,
    "spherical": SphericalGaussian,
}
# The field of a family's parameters that holds its covariances.
FIELDS = {"full": "covariances", "tied": "covariance", "diag": "variances", "spherical": "variances"}
RELATIVE_FLOOR = 1e-6
# Below this share of a column's variance a covariance is singular in double precision.
SINGULAR = 1e-12
SCALE_ROWS = 100_000


class GaussianMixture(Mixture):
    """A mixture of Gaussians, p(x) = Σₖ πₖ N(x; μₖ, Σₖ): a drop-in for `sklearn.mixture.GaussianMixture`.

    Parameters
    ----------
    n_components : int
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}
        A covariance for each component, one for all, independent columns, or one variance for all columns.
    tol : float
        Stop when the estimated gain that remains, in mean log-likelihood, is at most this.
    reg_covar : float or "auto"
        A floor under the eigenvalues of the covariances, in squared units of the data; EM stays monotone under it.
        "auto": 1e-6 of each column's variance, and k-means starts work on standardized columns.
    max_iter : int
        Passes over the data, at most, for each start.
    n_init : int
        Number of starts; the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "small-em"} or array (n, K)
        How a start finds its first responsibilities (an array gives them).
    weights_init, means_init, precisions_init : arrays, optional
        Starting values of π (K,), μ (K, D) and Σ⁻¹ (shaped as `covariances_`) in place of those that `init_params`
        finds; all three leave nothing to find.
    random_state : int, RandomState, Generator or None
        For starts and `sample`.
    warm_start : bool
        Go on from the last fit's parameters.
    verbose, verbose_interval : int
        1 prints starts and every `verbose_interval`-th pass, 2 also log-likelihoods and times.
    prior : Prior, optional
        Pseudo-observations; the estimate is then that of the largest posterior density.
    fixed : sequence of names, or mapping from names to masks (K,), optional
        "weights", "means", "covariances" (the name as in `result_.parameters`) that stay at their starting values, in
        all components or where the mask is True.
    tied : sequence of names, optional
        Parameters that are equal in all components.
    order : {"weight", "mean"}, optional
        Components by falling weight, or by rising mean; None leaves them as the start put them.
    restart_collapsed : int
        How many more starts to try while a component lies on the floor.
    acceleration : name in `acceleration.SCHEMES`, Acceleration or None
    executor : {"serial", "threads", "processes"}, Executor or None
        None: threads where the data have several chunks.  The bits do not depend on it.
    certify : bool
        Whether the end is certified (`result_.certificate`) and saddles are left, see `latentem.fit`.

    Attributes
    ----------
    weights_ : (K,)
    means_ : (K, D)
    covariances_, precisions_, precisions_cholesky_ : arrays
        (K, D, D) full, (D, D) tied, (K, D) diagonal, (K,) spherical.
    converged_ : bool
    n_iter_ : int
        Passes over the data of the best start.
    lower_bound_ : float
        Mean log-likelihood of the training data (plus log prior) at these very parameters.
    lower_bounds_ : list of float
        Its course.
    result_ : EMResult
        Status, remaining gain, rate, findings and all else that the fit knows.
    n_features_in_ : int
    feature_names_in_ : (D,)
        Where X had names.

    Notes
    -----
    What differs from scikit-learn on purpose, and why, is listed in `docs/differences.md`.
    """

    _parameter_constraints: dict[str, Any] = {
        **Mixture._parameter_constraints,
        "covariance_type": [StrOptions(set(FAMILIES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }
    _estimates_variances = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | str = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        prior: Any = None,
        fixed: Any = None,
        tied: Any = None,
        order: str | None = None,
        restart_collapsed: int = 0,
        acceleration: Any = None,
        executor: Any = None,
        certify: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.prior = prior
        self.fixed = fixed
        self.tied = tied
        self.order = order
        self.restart_collapsed = restart_collapsed
        self.acceleration = acceleration
        self.executor = executor
        self.certify = certify

    def _family(self, source: Source) -> Family[Any, Any]:
        floor = variance_floor(self.reg_covar, source)
        if self.covariance_type == "spherical":
            floor = float(np.mean(floor))
        return FAMILIES[self.covariance_type](floor=floor)

    # -- starting values -----------------------------------------------------------------------

    def _start_values(self, family: Family[Any, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.means_init is not None:
            values["means"] = check_means(self.means_init, self._n_states, self.n_features_in_)
        if self.precisions_init is not None:
            bare = getattr(family, "family", family)
            values[FIELDS[self.covariance_type]] = lift(self._start_covariances(), self.covariance_type, bare)
        return values

    def _start_covariances(self) -> FloatArray:
        precisions = check_precisions(self.precisions_init, self.covariance_type, self._n_states, self.n_features_in_)
        matrices = self.covariance_type in ("full", "tied")
        return np.asarray(np.linalg.inv(precisions) if matrices else 1.0 / precisions)

    def _lifted(self, family: Any, emission: Any) -> Any:
        name = FIELDS[self.covariance_type]
        return replace(emission, **{name: lift(getattr(emission, name), self.covariance_type, family)})

    # -- results -------------------------------------------------------------------------------

    def _judge(self, result: EMResult) -> None:
        held = [finding for finding in result.findings if finding.code == "floor"]
        if self.reg_covar == 0 and held:
            raise DataError(
                f"{held[0].message}; with reg_covar=0 nothing holds it and the likelihood has no maximum: use a "
                "positive reg_covar (or 'auto'), fewer components, or drop constant and duplicated columns"
            )

    def _attributes(self, params: ModelParameters) -> dict[str, Any]:
        covariances = getattr(params.emission, FIELDS[self.covariance_type])
        cholesky = precision_factor(covariances, self.covariance_type)
        matrices = self.covariance_type in ("full", "tied")
        precisions = cholesky @ np.swapaxes(cholesky, -1, -2) if matrices else cholesky**2
        return {
            "weights_": self._show(params.latent.weights),
            "means_": self._show(params.emission.means),
            "covariances_": self._show(covariances),
            "precisions_cholesky_": self._show(cholesky),
            "precisions_": self._show(precisions),
        }

    def _current(self) -> tuple[LatentVariableModel, ModelParameters]:
        """The fitted model; or, where someone has set `weights_`, `means_` or `precisions_cholesky_`, theirs."""
        check_is_fitted(self, "means_")
        shown = (self.weights_, self.means_, self.precisions_cholesky_)
        if hasattr(self, "_parameters"):
            fitted = self._attributes(self._parameters)
            own = (fitted["weights_"], fitted["means_"], fitted["precisions_cholesky_"])
            if all(np.array_equal(a, b) for a, b in zip(shown, own, strict=True)):
                return self._model, self._parameters
        return self._from_attributes(*(np.asarray(array, float) for array in shown))

    def _from_attributes(
        self, weights: FloatArray, means: FloatArray, cholesky: FloatArray
    ) -> tuple[LatentVariableModel, ModelParameters]:
        if self.covariance_type in ("full", "tied"):
            factor = np.linalg.inv(cholesky)
            covariances = np.swapaxes(factor, -1, -2) @ factor
        else:
            covariances = 1.0 / cholesky**2
        family = FAMILIES[self.covariance_type](floor=0.0)
        start = family.start(Batch(means), len(means))
        emission = replace(start, **{"means": means, FIELDS[self.covariance_type]: covariances})
        model = LatentVariableModel(Categorical(len(weights)), family)
        return model, ModelParameters(CategoricalParameters(weights), emission)


def variance_floor(reg_covar: float | str, source: Source) -> float | tuple[float, ...]:
    """The floor under the eigenvalues that `reg_covar` asks for, in squared units of the columns.

    "auto" is 1e-6 of each column's variance; 0 is 1e-12 of it, where estimates stop being numbers (see `_judge`).
    """
    if reg_covar not in ("auto", 0):
        return float(reg_covar)
    share = RELATIVE_FLOOR if reg_covar == "auto" else SINGULAR
    return tuple(float(floor) for floor in share * column_scales(source) ** 2)


def column_scales(source: Source) -> FloatArray:
    """Standard deviation (D,) of each column's observed entries; of a constant column 1e-8 of its size."""
    return centres_and_scales(source)[1]


def centres_and_scales(source: Source) -> tuple[FloatArray, FloatArray]:
    """Means (D,) of each column's observed entries, and the `column_scales`."""
    values, weights = every_row(source, max(1, source.n_rows // SCALE_ROWS))
    centre, scale = standardize(values, weights)
    return centre, scale_or_size(np.nanmax(np.abs(values - centre), axis=0, initial=0.0), centre, scale)


def scale_or_size(spread: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """The scale (D,), or 1e-8 of the size of columns whose spread is no more than the rounding error of their mean."""
    flat = (spread <= 1e-14 * np.abs(centre)) | (spread == 0)
    return np.where(flat, np.maximum(np.abs(centre), 1e-130) * 1e-8, scale)


def every_row(source: Source, step: int) -> tuple[FloatArray, FloatArray]:
    """Rows 0, step, 2 step, … of the data, those of weight zero left out; and their weights."""
    rows = [(batch.values[s], batch.unit_weights(False)[s]) for batch in source for s in [_every(batch, step)]]
    values, weights = (np.concatenate(part) for part in zip(*rows, strict=True))
    if not weights.any():
        return every_row(source, 1)
    return values[weights > 0], weights[weights > 0]


def _every(batch: Batch, step: int) -> slice:
    return slice(-batch.first_row % step, None, step)


def precision_factor(covariances: FloatArray, covariance_type: str) -> FloatArray:
    """Upper triangular U with Σ⁻¹ = U Uᵀ, or 1/σ where columns are independent."""
    if covariance_type not in ("full", "tied"):
        return np.asarray(1.0 / np.sqrt(covariances))
    lower = np.linalg.cholesky(covariances)
    return np.triu(np.swapaxes(np.linalg.inv(lower), -1, -2))


def lift(covariances: FloatArray, covariance_type: str, family: Any) -> FloatArray:
    """Starting covariances with eigenvalues at least at the floor: EM is monotone within that set."""
    shape = covariances.shape
    if covariance_type == "spherical":
        return np.maximum(covariances, family._floors(1).max())
    floors = family._floors(shape[-1])
    if covariance_type == "diag":
        return np.maximum(covariances, floors)
    lifted = floor_eigenvalues(covariances.reshape(-1, *shape[-2:]), floors)
    return np.asarray(lifted).reshape(shape)
