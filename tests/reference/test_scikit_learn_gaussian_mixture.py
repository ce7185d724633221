"""From the same start scikit-learn's GaussianMixture and ours take the same steps to the same maximum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from reference.cases import case, em_steps, fit_tightly, one_hot, within
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from latentem.execution import Serial
from latentem.families.gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

FAMILIES = {"full": FullGaussian, "tied": TiedGaussian, "diag": DiagonalGaussian, "spherical": SphericalGaussian}
N_STATES = 3
MANY_STEPS = 400


def iris() -> tuple[np.ndarray, np.ndarray]:
    known = case("gmm_iris")
    names = ("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
    return known.columns(*names), known.columns(file="init_class.csv")[:, 0] - 1


def generated() -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters of unequal sizes and shapes, and a partition that is wrong for a third of the rows."""
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(N_STATES), (700, 500, 300))
    centres, roots = 2.0 * rng.normal(size=(N_STATES, 5)), rng.normal(size=(N_STATES, 5, 5))
    x = centres[labels] + np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(len(labels), 5)))
    wrong = rng.random(len(labels)) < 1 / 3
    return x, np.where(wrong, rng.integers(0, N_STATES, len(labels)), labels)


DATA = {"iris": iris(), "generated": generated()}


def model_of(kind: str) -> LatentVariableModel:
    return LatentVariableModel(Categorical(N_STATES), FAMILIES[kind](floor=0.0))


def covariance_of(emission: Any, kind: str) -> np.ndarray:
    """In scikit-learn's shape."""
    names = {"full": "covariances", "tied": "covariance", "diag": "variances", "spherical": "variances"}
    return np.asarray(getattr(emission, names[kind]))


def begin_at(kind: str, x: np.ndarray, labels: np.ndarray) -> Any:
    result = fit(model_of(kind), x, init=one_hot(labels, N_STATES), max_iter=0, executor=Serial())
    return result.parameters


def peer_after(kind: str, x: np.ndarray, begin: Any, n: int) -> GaussianMixture:
    """scikit-learn's estimates after n EM steps, without what it adds to covariances by default."""
    covariance = covariance_of(begin.emission, kind)
    peer = GaussianMixture(
        N_STATES,
        covariance_type=kind,
        reg_covar=0.0,
        tol=0.0,
        max_iter=n,
        weights_init=begin.latent.weights,
        means_init=begin.emission.means,
        precisions_init=np.linalg.inv(covariance) if kind in ("full", "tied") else 1 / covariance,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return peer.fit(x)


def check_same(peer: GaussianMixture, parameters: Any, log_likelihood: float, kind: str, x: np.ndarray) -> None:
    same = within(1e-6)
    assert log_likelihood == pytest.approx(peer.score(x) * len(x), rel=1e-9)
    same(parameters.latent.weights, peer.weights_)
    same(parameters.emission.means, peer.means_)
    same(covariance_of(parameters.emission, kind), peer.covariances_)


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("data", DATA)
def test_the_steps_are_the_same(data, kind, n):
    x, labels = DATA[data]
    begin = begin_at(kind, x, labels)
    last = em_steps(model_of(kind), x, begin, n)[-1]
    check_same(peer_after(kind, x, begin, n), last.parameters, last.log_likelihood, kind, x)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("data", DATA)
def test_the_maximum_is_the_same(data, kind):
    x, labels = DATA[data]
    begin = begin_at(kind, x, labels)
    peer = peer_after(kind, x, begin, MANY_STEPS)
    last = em_steps(model_of(kind), x, begin, MANY_STEPS)[-1]
    check_same(peer, last.parameters, last.log_likelihood, kind, x)
    result = fit_tightly(model_of(kind), x, parameters=begin)
    assert result.log_likelihood == pytest.approx(peer.score(x) * len(x), rel=1e-9)
    assert result.bic == pytest.approx(peer.bic(x), rel=1e-9)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("data", DATA)
def test_densities_and_responsibilities_at_the_same_parameters_are_the_same(data, kind):
    from latentem.data import Batch

    x, labels = DATA[data]
    begin = begin_at(kind, x, labels)
    peer = peer_after(kind, x, begin, 5)
    last = em_steps(model_of(kind), x, begin, 5)[-1].parameters
    posterior, log_densities = model_of(kind).infer(last, Batch(x))
    within(1e-7)(log_densities, peer.score_samples(x))
    within(1e-7)(posterior.probabilities.T, peer.predict_proba(x))
