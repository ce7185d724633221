"""Mixtures of counts, of positive numbers, of proportions and of directions."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from ..data import Source
from ..errors import ParameterError
from .family_mixture import FamilyMixture


class PoissonMixture(FamilyMixture):
    """A mixture of Poisson counts with rates λ (K, D), columns independent given the component.

    Parameters
    ----------
    n_components : int"""

    _name = "poisson"
    _takes_sparse = True


class NegativeBinomialMixture(FamilyMixture):
    """A mixture of counts that vary more than Poisson counts: means μ and sizes r (K, D), variance μ + μ²/r.

    Parameters
    ----------
    n_components : int"""

    _name = "negative-binomial"
    _takes_sparse = True


class GeometricMixture(FamilyMixture):
    """A mixture of waiting times in whole steps, columns independent given the component.

    Parameters
    ----------
    n_components : int"""

    _name = "geometric"
    _takes_sparse = True


class MultinomialMixture(FamilyMixture):
    """A mixture of rows of counts over D categories, the total of each row given (topics of short texts).

    Parameters
    ----------
    n_components : int"""

    _name = "multinomial"
    _takes_sparse = True
    _takes_missing = False


class BernoulliMixture(FamilyMixture):
    """A mixture of zeros and ones with probabilities p (K, D), columns independent given the component.

    The best of ten random starts by default (`init_params="random"`, `n_init=10`), as in `LatentClassAnalysis`.

    Parameters
    ----------
    n_components : int
    binarize : float, optional
        Entries above it count as 1, others as 0; None expects zeros and ones."""

    _name = "bernoulli"
    _defaults = {"init_params": "random", "n_init": 10}
    _takes_sparse = True
    _options = {"binarize": None}
    _parameter_constraints: dict[str, Any] = {
        **FamilyMixture._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
    }
    binarize: float | None

    def _read(self, X: Any, *, reset: bool) -> Any:
        table = super()._read(X, reset=reset)
        if self.binarize is None:
            return table
        dense = table.toarray() if hasattr(table, "toarray") else table
        dtype = np.float32 if dense.dtype == np.float32 else np.float64
        return np.where(np.isnan(dense), dense, dense > self.binarize).astype(dtype)

    def _given(self, source: Source, *, reset: bool) -> Source:
        if self.binarize is not None:
            raise ParameterError("binarize works on tables in memory; give a source of zeros and ones without it")
        return super()._given(source, reset=reset)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.binarize is not None:
            tags.input_tags.positive_only = tags.input_tags.categorical = False
        return tags


class ExponentialMixture(FamilyMixture):
    """A mixture of waiting times with constant rates (K, D), columns independent given the component.

    Parameters
    ----------
    n_components : int"""

    _name = "exponential"


class GammaMixture(FamilyMixture):
    """A mixture of positive numbers, gamma with shapes α and rates β (K, D).

    Parameters
    ----------
    n_components : int"""

    _name = "gamma"


class WeibullMixture(FamilyMixture):
    """A mixture of lifetimes, Weibull with shapes and scales (K, D).

    Parameters
    ----------
    n_components : int"""

    _name = "weibull"


class LogNormalMixture(FamilyMixture):
    """A mixture of positive numbers whose logarithms are normal.

    Parameters
    ----------
    n_components : int"""

    _name = "log-normal"


class InverseGaussianMixture(FamilyMixture):
    """A mixture of first passage times, inverse Gaussian.

    Parameters
    ----------
    n_components : int"""

    _name = "inverse-gaussian"


class BetaMixture(FamilyMixture):
    """A mixture of proportions between 0 and 1.

    Parameters
    ----------
    n_components : int"""

    _name = "beta"


class VonMisesFisherMixture(FamilyMixture):
    """A mixture of directions: rows are unit vectors.

    Parameters
    ----------
    n_components : int"""

    _name = "von-mises-fisher"
    _takes_missing = False
