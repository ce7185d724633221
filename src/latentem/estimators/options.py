"""Constructors from tables of options: each default is told once, and scikit-learn reads the signature as usual."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from .certified import DOC, OPTION

COMMON: dict[str, Any] = {
    "tol": 1e-6,
    "max_iter": 1000,
    "n_init": 1,
    "init_params": "k-means++",
    "weights_init": None,
    "parameters_init": None,
    "prior": None,
    "fixed": None,
    "tied": None,
    "order": None,
    "restart_collapsed": 0,
    "acceleration": None,
    "executor": None,
    "random_state": None,
    "warm_start": False,
    "verbose": 0,
    "verbose_interval": 10,
    **OPTION,
}

COMMON_DOC = f"""
    tol : float
        Stop when the estimated gain that remains, in mean log-likelihood, is at most this.
    max_iter : int
        Passes over the data, at most, for each start.
    n_init : int
        Number of starts; the best is kept.
    init_params : {{"k-means++", "kmeans", "random", "random_from_data", "small-em"}} or array (n, K)
        How a start finds its first responsibilities (an array gives them).
    weights_init : (K,), optional
        Starting weights.
    parameters_init : mapping from names to arrays, optional
        Starting values of the components' parameters, by the names of `parameters_.arrays()`.
    prior : Prior, optional
        Pseudo-observations; the estimate is then that of the largest posterior density.
    fixed : sequence of names, or mapping from names to masks (K,), optional
        Parameters ("weights" too) that stay at their starting values, in all components or where the mask is True.
    tied : sequence of names, optional
        Parameters that are equal in all components.
    order : {{"weight", "mean"}}, optional
        Components by falling weight, or by rising mean; None leaves them as the start put them.
    restart_collapsed : int
        How many more starts to try while a component has collapsed.
    acceleration : name in `acceleration.SCHEMES`, Acceleration or None
    executor : {{"serial", "threads", "processes"}}, Executor or None
        None: threads where the data have several chunks.  The bits do not depend on it.
    random_state : int, RandomState, Generator or None
    warm_start : bool
        Go on from the last fit's parameters.
    verbose, verbose_interval : int
        1 prints starts and every `verbose_interval`-th pass, 2 also log-likelihoods and times.
    {DOC}

    Attributes
    ----------
    weights_ : (K,)
    parameters_ : Parameters
        All parameters of the components; each of its arrays is an attribute too, its name with an underscore.
    converged_, n_iter_, lower_bound_, lower_bounds_, result_, n_features_in_, feature_names_in_
        See `GaussianMixture`.
    """


def constructor(leading: dict[str, Any], keywords: dict[str, Any]) -> Callable[..., None]:
    """An `__init__` that stores its arguments untouched.

    Parameters
    ----------
    leading : dict
        Options that may be given by position, with their defaults.
    keywords : dict
        Options by keyword only, with their defaults.
    """
    parameters = [
        Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
        *(Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=v) for n, v in leading.items()),
        *(Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in keywords.items()),
    ]
    signature = Signature(parameters)

    def store(self: Any, *args: Any, **options: Any) -> None:
        given = signature.bind(self, *args, **options)
        given.apply_defaults()
        for name, value in list(given.arguments.items())[1:]:
            setattr(self, name, value)

    store.__signature__ = signature  # type: ignore[attr-defined]
    store.__name__ = "__init__"
    return store
