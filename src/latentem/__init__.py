"""latentem fits latent variable models p(x, z; θ) by Expectation-Maximization.

Names are found when they are first used: `import latentem` loads NumPy and nothing heavier.  Type checkers read them in
`__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as _numpy  # noqa: F401 - the one dependency that every use needs

__version__ = "0.1.0"

_NAMES = {
    "acceleration": ("Anderson", "Auto", "Lbfgs", "Parabolic", "QuasiNewton", "Squarem", "SubspaceNewton"),
    "comparing": ("compare",),
    "data": ("ArraySource", "Batch", "Source"),
    "domains": (
        "Correlation",
        "Interval",
        "LowerTriangular",
        "Ordered",
        "Positive",
        "PositiveDefinite",
        "Real",
        "Simplex",
        "UnitInterval",
    ),
    "em": ("Acceleration", "Executor", "iterate", "run"),
    "errors": ("DataError", "LatentemError", "ModelFileError", "ModelSourceWarning", "ParameterError"),
    "estimators": (
        "BernoulliMixture",
        "BetaMixture",
        "CategoricalHMM",
        "ConvergenceMonitor",
        "ExponentialMixture",
        "FactorAnalysis",
        "FamilyMixture",
        "FindingWarning",
        "GMMHMM",
        "GammaMixture",
        "GaussianHMM",
        "GaussianMixture",
        "GeometricMixture",
        "HiddenMarkovModel",
        "InverseGaussianMixture",
        "LatentClassAnalysis",
        "LinearGaussianStateSpace",
        "LogNormalMixture",
        "MixtureModel",
        "MultinomialHMM",
        "MultinomialMixture",
        "NegativeBinomialMixture",
        "PoissonHMM",
        "PoissonMixture",
        "StudentTHMM",
        "ProbabilisticPCA",
        "StudentTMixture",
        "VonMisesFisherMixture",
        "WeibullMixture",
    ),
    "execution": ("Processes", "Serial", "Threads"),
    "fitting": ("fit",),
    "inference": ("Certificate", "Derived", "StandardErrors", "Verdict", "certify", "standard_errors"),
    "io": ("Checkpoint", "ParquetSource", "load", "read_table", "save", "write_table"),
    "latents": (
        "Bernoulli",
        "Categorical",
        "Continuous",
        "CovariateMarkovChain",
        "Integers",
        "MarkovChain",
        "Normal",
        "NormalChain",
        "SemiMarkovChain",
        "banded",
        "blocks",
        "left_to_right",
    ),
    "model": ("Family", "Latent", "LatentVariableModel", "ModelParameters", "Posterior", "Prior"),
    "models.declared": ("DeclaredModel", "DeclaredParameters", "latent_variable_model"),
    "online.incremental": ("Incremental",),
    "online.stepwise": ("OnlineState", "StepSize"),
    "parameters": ("Parameters", "parameter"),
    "result": ("EMResult", "Finding", "Iteration", "Status", "Step"),
    "statistics": ("Expectation", "LocalQ", "Reference", "Statistics"),
    "streaming": ("OnlineEM", "online_fit"),
    "variants": ("Annealing", "Classification", "EStep", "Stochastic"),
}
_MODULES = (
    "acceleration",
    "datasets",
    "estimators",
    "execution",
    "families",
    "inference",
    "io",
    "latents",
    "models",
    "plots",
    "report",
    "testing",
)
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted({*_HOME, *_MODULES})]  # noqa: PLE0604 - names that __getattr__ provides


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
