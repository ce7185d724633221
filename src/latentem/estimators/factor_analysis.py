"""scikit-learn's `FactorAnalysis`: the same names and meanings, and more; and probabilistic PCA."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._typing import FloatArray
from ..model import ModelParameters
from .factor_model import FactorModel


class FactorAnalysis(FactorModel):
    """Factor analysis, x = μ + Λ z + e with e ~ N(0, diag ψ): a drop-in for `sklearn.decomposition.FactorAnalysis`.

    Parameters
    ----------
    n_components : int, optional
        Number of factors q; None: as many as columns.
    tol : float
        Stop when the estimated gain that remains, in log-likelihood, is at most this.
    copy : bool
        Taken for the peer's sake: X is never changed.
    max_iter : int
        Passes over the moments, at most.
    noise_variance_init : (p,), optional
        Where the noise variances start; None: at those of Jöreskog (1967), after a few EM steps on the covariance.
    svd_method, iterated_power
        Taken for the peer's sake: EM on the moments needs no singular value decomposition of the data.
    rotation : {"varimax", "quartimax", "promax", "oblimin"}, optional
        The last two let factors correlate, see `factor_correlations_`.
    random_state : int, RandomState, Generator or None
        For further starts and `sample`.
    kaiser : bool
        Whether columns count equally in the rotation, whatever their communality (Kaiser 1958).
    n_init : int
        Number of starts: the first from `noise_variance_init`, the others from random noise variances.
    floor : float
        Least uniqueness, as a share of the column's variance.  A column that reaches it (a Heywood case) is told.
    acceleration : name in `acceleration.SCHEMES`, Acceleration or None
    executor : {"serial", "threads", "processes"}, Executor or None
    certify : bool
        Whether the end is certified (`result_.certificate`) and saddles are left, see `latentem.fit`.

    Attributes
    ----------
    components_ : (q, p)
        Λᵀ; without a rotation Λᵀ Ψ⁻¹ Λ is diagonal, largest first, and each factor's loadings have a positive sum.
    noise_variance_ : (p,)
        ψ.
    mean_ : (p,)
    loglike_ : list of float
        The course of the log-likelihood, an entry for each iteration that changed it; the last is that of these very
        parameters.  Where noise variances ran to their floors, the course of the last climb.
    n_iter_ : int
    converged_ : bool
    rotation_matrix_ : (q, q)
        T: the factors shown are Tᵀ z, z those of `result_`.
    factor_correlations_ : (q, q)
        Φ = TᵀT, the identity unless the rotation is oblique.
    result_ : EMResult
        Status, remaining gain, findings and all else that the fit knows; its count of parameters is that before
        rotations, see `n_parameters_`.
    n_features_in_, feature_names_in_

    Notes
    -----
    What differs from scikit-learn on purpose, and why, is listed in `docs/differences.md`.
    """

    _parameter_constraints: dict[str, Any] = {
        **FactorModel._parameter_constraints,
        "copy": ["boolean"],
        "noise_variance_init": ["array-like", None],
        "svd_method": [StrOptions({"randomized", "lapack"})],
        "iterated_power": [Interval(Integral, 0, None, closed="left")],
    }
    _noise: ClassVar[str] = "diagonal"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        tol: float = 1e-2,
        copy: bool = True,
        max_iter: int = 1000,
        noise_variance_init: Any = None,
        svd_method: str = "randomized",
        iterated_power: int = 3,
        rotation: str | None = None,
        random_state: Any = 0,
        kaiser: bool = False,
        n_init: int = 1,
        floor: float = 1e-6,
        acceleration: Any = "anderson",
        executor: Any = None,
        certify: bool = False,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.copy = copy
        self.max_iter = max_iter
        self.noise_variance_init = noise_variance_init
        self.svd_method = svd_method
        self.iterated_power = iterated_power
        self.rotation = rotation
        self.random_state = random_state
        self.kaiser = kaiser
        self.n_init = n_init
        self.floor = floor
        self.acceleration = acceleration
        self.executor = executor
        self.certify = certify


class ProbabilisticPCA(FactorModel):
    """Probabilistic PCA, x = μ + W z + e with e ~ N(0, σ² I) (Tipping and Bishop 1999).

    The maximum is at W = U (L - σ² I)^½ with the leading eigenvectors and eigenvalues of the covariance and σ² the mean
    of the others; EM starts there, and stays where nothing is missing.

    Parameters
    ----------
    n_components : int, optional
        q; None: as many as columns but one.
    tol, max_iter, rotation, random_state, kaiser, n_init, floor, acceleration, executor, certify
        See `FactorAnalysis`.

    Attributes
    ----------
    components_ : (q, p)
        Wᵀ.
    noise_variance_ : float
        σ².
    mean_, loglike_, n_iter_, converged_, rotation_matrix_, factor_correlations_, result_, n_features_in_
        See `FactorAnalysis`.
    """

    _noise: ClassVar[str] = "isotropic"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        tol: float = 1e-2,
        max_iter: int = 1000,
        rotation: str | None = None,
        random_state: Any = 0,
        kaiser: bool = False,
        n_init: int = 1,
        floor: float = 1e-9,
        acceleration: Any = "anderson",
        executor: Any = None,
        certify: bool = False,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.rotation = rotation
        self.random_state = random_state
        self.kaiser = kaiser
        self.n_init = n_init
        self.floor = floor
        self.acceleration = acceleration
        self.executor = executor
        self.certify = certify

    def _factors(self, p: int) -> int:
        return max(p - 1, 1) if self.n_components is None else super()._factors(p)

    def _show(self, parameters: ModelParameters, q: int) -> None:
        super()._show(parameters, q)
        self.noise_variance_ = float(np.mean(self.noise_variance_))

    @property
    def explained_variance_(self) -> FloatArray:
        """(q,): the variance along each axis, that of the noise included, where the loadings are not rotated."""
        return np.asarray(np.sum(self.components_**2, axis=1) + self.noise_variance_)
