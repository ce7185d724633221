"""Every mixture once, with a table that suits it, and comparisons of whole estimators."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from latentem import estimators as es
from latentem.estimators.base import Mixture

N_ROWS = 40


def estimators() -> dict[str, Callable[..., Any]]:
    """Mixtures by name, the base class left out; `MixtureModel` with its default family.

    Estimators of sequences and of factors have tests of their own, in sequences/, laws/ and drop_in/.
    """
    classes = [getattr(es, name) for name in es.__all__ if name != "FamilyMixture"]
    return {cls.__name__: cls for cls in classes if issubclass(cls, Mixture)}


COUNTS = ["PoissonMixture", "NegativeBinomialMixture", "GeometricMixture", "MultinomialMixture", "BernoulliMixture"]
POSITIVE = ["ExponentialMixture", "GammaMixture", "WeibullMixture", "LogNormalMixture", "InverseGaussianMixture"]
REAL = ["GaussianMixture", "StudentTMixture", "MixtureModel"]
NUMERIC = [name for name in estimators() if name != "LatentClassAnalysis"]


def suiting(name: str) -> Any:
    """A table (N_ROWS, 2) of numbers in two clusters that the estimator takes."""
    rng = np.random.default_rng(7)
    z = np.arange(N_ROWS)[:, None] % 2
    if name in ("BernoulliMixture", "LatentClassAnalysis"):
        return (rng.random((N_ROWS, 2)) < 0.2 + 0.6 * z).astype(float)
    if name in COUNTS:
        return rng.poisson(2.0 + 8.0 * z * [1, 2], (N_ROWS, 2)).astype(float)
    if name in POSITIVE:
        return rng.gamma(3.0 + 20.0 * z, 1.0, (N_ROWS, 2))
    if name == "BetaMixture":
        return rng.beta(2.0 + 10.0 * z, 9.0 - 6.0 * z, (N_ROWS, 2))
    if name == "VonMisesFisherMixture":
        angle = rng.normal(2.0 * z[:, 0], 0.3)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return rng.normal(4.0 * z, 1.0, (N_ROWS, 2))


def built(name: str, n_components: int = 2, **options: Any) -> Any:
    return estimators()[name](n_components=n_components, **{"random_state": 0, **options})


@contextmanager
def quiet() -> Iterator[None]:
    """Without the findings and the limits of fits that are told elsewhere."""
    with warnings.catch_warnings():
        for category in (es.FindingWarning, es_convergence()):
            warnings.simplefilter("ignore", category)
        yield


def es_convergence() -> Any:
    from sklearn.exceptions import ConvergenceWarning

    return ConvergenceWarning


def fitted(name: str, X: Any, **options: Any) -> Any:
    with quiet():
        return built(name, **options).fit(X)


@contextmanager
def unchanged(estimator: Any, X: Any) -> Iterator[None]:
    """The block leaves the estimator and the data as they were: attributes, options, predictions to the bit."""
    attributes, options, data = dict(vars(estimator)), estimator.get_params(), np.array(X, copy=True)
    is_fitted = hasattr(estimator, "result_")
    scores = estimator.score_samples(suiting(type(estimator).__name__)) if is_fitted else None
    yield
    assert set(vars(estimator)) == set(attributes)
    assert all(vars(estimator)[name] is value for name, value in attributes.items())
    assert all(estimator.get_params()[name] is value for name, value in options.items())
    if is_fitted:
        assert np.array_equal(estimator.score_samples(suiting(type(estimator).__name__)), scores)
    equal_nan = data.dtype.kind == "f"
    assert np.array_equal(np.asarray(X), data, equal_nan=equal_nan)
