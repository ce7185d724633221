"""Constructor options of hidden Markov models, each default told once: hmmlearn's, and our own behind them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ..acceleration import SCHEMES
from .certified import CONSTRAINT, DOC, OPTION
from .starting import METHODS

PRIORS: dict[str, Any] = {"startprob_prior": 1.0, "transmat_prior": 1.0}


def run_options(letters: str) -> dict[str, Any]:
    """hmmlearn's options of a run, for a class whose parameters have these letters."""
    return {
        "algorithm": "viterbi",
        "random_state": None,
        "n_iter": 10,
        "tol": 1e-2,
        "verbose": False,
        "params": letters,
        "init_params": letters,
        "implementation": "log",
    }


OWN: dict[str, Any] = {
    "n_init": 1,
    "init": "k-means++",
    "startprob_fixed": None,
    "transmat_fixed": None,
    "transmat_tied": None,
    "stationary": False,
    "acceleration": None,
    "executor": None,
    **OPTION,
}

CONSTRAINTS: dict[str, Any] = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "startprob_prior": [Interval(Real, 1, None, closed="left"), "array-like"],
    "transmat_prior": [Interval(Real, 1, None, closed="left"), "array-like"],
    "algorithm": [StrOptions({"viterbi", "map"})],
    "random_state": ["random_state", np.random.Generator],
    "n_iter": [Interval(Integral, 0, None, closed="left")],
    "tol": [Interval(Real, 0.0, None, closed="left")],
    "verbose": ["verbose"],
    "params": [str],
    "init_params": [str],
    "implementation": [StrOptions({"log", "scaling"})],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "init": [StrOptions(set(METHODS)), "array-like"],
    "startprob_fixed": ["array-like", None],
    "transmat_fixed": ["array-like", None],
    "transmat_tied": ["array-like", None],
    "stationary": ["boolean"],
    "acceleration": [StrOptions(set(SCHEMES)), HasMethods(["init", "propose"]), None],
    "executor": [StrOptions({"serial", "threads", "processes"}), HasMethods(["fold"]), None],
    **CONSTRAINT,
}

RUN_DOC = """
    startprob_prior, transmat_prior : float of at least 1, or arrays (K,), (K, K)
        Parameters of Dirichlet priors; 1 is flat.  Where a probability starts at 0 it stays 0, and no prior counts.
    algorithm : {"viterbi", "map"}
        What `decode` and `predict` look for: the most probable path, or the most probable state at each time.
    random_state : int, RandomState, Generator or None
    n_iter : int
        EM iterations, at most, for each start; the default of 10 is the peer's, and seldom enough to converge.
    tol : float
        Stop when the estimated gain in log-likelihood that remains is at most this.
    verbose : bool
        Print the objective after each iteration to `sys.stderr`.
    params, init_params : str
        Letters of the parameters that are estimated, and of those that a fit starts anew: {letters}.
        Others stay at, or start from, the attributes as they are.
    implementation : {"log", "scaling"}
        Accepted from code written for the peer: the recursion is scaled where that is safe and in logarithms elsewhere.
    n_init : int
        Number of starts; the best is kept.
    init : {"k-means++", "kmeans", "random", "random_from_data", "small-em"} or array (n, K)
        How a start finds first responsibilities of the states for the rows (an array gives them).
    startprob_fixed, transmat_fixed : arrays (K,), (K, K), optional
        Values at which probabilities are held, NaN where they are free; a 0 forbids.  Tables for left-to-right, banded
        and block chains are made by `latents.left_to_right`, `banded` and `blocks`.
    transmat_tied : array (K, K), optional
        Transitions with the same number are equally probable, NaN where an entry is on its own; see `MarkovChain`.
    stationary : bool
        Whether the first state comes from the stationary distribution of `transmat_`, which takes the place of a
        `startprob_` that was set; not together with `startprob_fixed`.
    acceleration : name in `acceleration.SCHEMES`, Acceleration or None
    executor : {"serial", "threads", "processes"}, Executor or None
    {certify}

    Attributes
    ----------
    startprob_ : (K,)
    transmat_ : (K, K)
        p(next state is k | state is j) in row j.{attributes}
    monitor_ : ConvergenceMonitor
        The course of the last fit.
    converged_, n_iter_ : bool, int
    result_ : EMResult
        The record of the last fit, with its status and findings.
    n_features_in_, feature_names_in_
    """


def document(cls: Any, letters: str, attributes: str) -> None:
    """Put the parts of the docstring that all classes share behind a class's own."""
    own = (cls.__doc__ or "").rstrip()
    shared = RUN_DOC.replace("{certify}", DOC).replace("{letters}", letters)
    cls.__doc__ = own + shared.replace("{attributes}", attributes)
