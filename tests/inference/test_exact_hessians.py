"""Standard errors against the Hessian of the marginal log-likelihood by automatic differentiation, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest

import latentem as em
from latentem.data import ArraySource
from latentem.domains import PositiveDefinite, Simplex
from latentem.execution import Serial
from latentem.families import Bernoulli, DiagonalGaussian, FullGaussian, NegativeBinomial, Poisson, Weibull
from latentem.families.linear_gaussian import LinearGaussian
from latentem.families.student_t_diagonal import DiagonalStudentT
from latentem.inference.examined import examined
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.model import LatentVariableModel

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
stats = pytest.importorskip("jax.scipy.stats")
special = pytest.importorskip("jax.scipy.special")

RNG = np.random.default_rng(8)
TWO = Categorical(2)
HALVES = np.repeat([0, 1], [160, 240])
REALS = (np.array([-2.0, 2.0])[HALVES] + RNG.normal(size=400))[:, None]
COUNTS = RNG.poisson(np.array([2.0, 11.0])[HALVES]).astype(float)[:, None]
OVER = RNG.negative_binomial(4, 4 / (4 + np.array([3.0, 30.0]))[HALVES]).astype(float)[:, None]
TIMES = (np.array([1.0, 6.0])[HALVES] * RNG.weibull(2.5, 400) + 0.01)[:, None]
ITEMS = (RNG.random((400, 4)) < np.array([[0.8, 0.75, 0.85, 0.7], [0.2, 0.3, 0.25, 0.15]])[HALVES]).astype(float)
PLANE = RNG.multivariate_normal([1, -1, 0], np.eye(3) + 0.6, size=150)
PLANE[::3, 1] = np.nan
FACTORS = RNG.normal(size=(300, 1)) @ np.array([[1.0, 0.8, -0.9, 0.7]]) + 0.7 * RNG.normal(size=(300, 4))
TAILS = RNG.standard_t(4, size=(400, 1))
CHAIN = RNG.poisson(np.array([1.0, 7.0])[np.arange(240) // 8 % 2]).astype(float)[:, None]


def mixed(weights, densities):
    """Σₙ log Σₖ πₖ p(xₙ | k), from weights' coordinates and log densities (n, K)."""
    return special.logsumexp(jnp.log(Simplex().unflatten(weights, (2,), jnp)) + densities, axis=1).sum()


def gaussian_mixture(v):
    return mixed(v[:1], stats.norm.logpdf(REALS, v[1:3], jnp.exp(0.5 * v[3:5])))


def poisson_mixture(v):
    return mixed(v[:1], stats.poisson.logpmf(COUNTS, jnp.exp(v[1:3])))


def negative_binomial_mixture(v):
    mean, size = jnp.exp(v[1:3]), jnp.exp(v[3:5])
    terms = special.gammaln(OVER + size) - special.gammaln(size) - special.gammaln(OVER + 1.0)
    return mixed(v[:1], terms + size * jnp.log(size / (size + mean)) + OVER * jnp.log(mean / (size + mean)))


def weibull_mixture(v):
    shape, scale = jnp.exp(v[1:3]), jnp.exp(v[3:5])
    share = jnp.log(TIMES / scale)
    return mixed(v[:1], jnp.log(shape / scale) + (shape - 1) * share - jnp.exp(shape * share))


def latent_classes(v):
    logits = v[1:].reshape(2, 4)
    return mixed(v[:1], -jnp.logaddexp(0.0, jnp.where(ITEMS[:, None] > 0, -logits, logits)).sum(axis=2))


def student_t(v):
    mean, scale, dof = v[0], jnp.exp(v[1]), jnp.exp(v[2])
    return (stats.t.logpdf((TAILS - mean) / jnp.sqrt(scale), dof) - 0.5 * jnp.log(scale)).sum()


def missing(v):
    covariance = PositiveDefinite().unflatten(v[3:], (3, 3), jnp)
    total = 0.0
    for kept in ([0, 1, 2], [0, 2]):
        rows = PLANE[np.isnan(PLANE[:, 1]) == (len(kept) == 2)][:, kept]
        total += stats.multivariate_normal.logpdf(rows, v[np.array(kept)], covariance[np.ix_(kept, kept)]).sum()
    return total


def one_factor(v):
    offset, loadings, noise = v[:8:2], v[1:8:2], jnp.exp(v[8:])
    return stats.multivariate_normal.logpdf(FACTORS, offset, jnp.outer(loadings, loadings) + jnp.diag(noise)).sum()


def hidden_markov(v):
    moves = jnp.log(Simplex().unflatten(v[:2], (2, 2), jnp))
    densities = stats.poisson.logpmf(CHAIN, jnp.exp(v[2:])).reshape(4, 60, 2)

    def step(ahead, row):
        return special.logsumexp(ahead[:, :, None] + moves, axis=1) + row, None

    last, _ = jax.lax.scan(step, jnp.log(0.5) + densities[:, 0], jnp.swapaxes(densities[:, 1:], 0, 1))
    return special.logsumexp(last, axis=1).sum()


EVEN = {"fixed_initial": [0.5, 0.5]}
MODELS = {
    "Gaussian mixture": (LatentVariableModel(TWO, DiagonalGaussian()), REALS, gaussian_mixture),
    "Poisson mixture": (LatentVariableModel(TWO, Poisson()), COUNTS, poisson_mixture),
    "negative binomial mixture": (LatentVariableModel(TWO, NegativeBinomial()), OVER, negative_binomial_mixture),
    "Weibull mixture": (LatentVariableModel(TWO, Weibull()), TIMES, weibull_mixture),
    "latent classes": (LatentVariableModel(TWO, Bernoulli()), ITEMS, latent_classes),
    "Student t": (LatentVariableModel(Categorical(1), DiagonalStudentT()), TAILS, student_t),
    "missing entries": (LatentVariableModel(Categorical(1), FullGaussian()), PLANE, missing),
    "one factor": (LatentVariableModel(Normal(1), LinearGaussian()), FACTORS, one_factor),
    "hidden Markov": (LatentVariableModel(MarkovChain(2, **EVEN), Poisson()), CHAIN, hidden_markov),
}


@pytest.mark.parametrize("name", MODELS)
def test_errors_are_those_of_the_exact_hessian(name):
    model, data, log_likelihood = MODELS[name]
    lengths = {"lengths": [60] * 4} if name == "hidden Markov" else {}
    result = em.fit(
        model, ArraySource(data, **lengths), tol=1e-9, max_iter=5000, acceleration="squarem", random_state=1,
        executor=Serial(),
    )  # fmt: skip
    errors = result.standard_errors(executor=Serial())
    with examined(result, Serial()) as case:
        limit = case.refined().point.vector
    with jax.enable_x64(True):
        assert float(log_likelihood(jnp.asarray(result.parameters.flatten()))) == pytest.approx(
            result.log_likelihood, rel=1e-10
        )
        hessian = np.asarray(jax.hessian(log_likelihood)(jnp.asarray(limit)))
    np.testing.assert_allclose(errors.coordinate_errors, np.sqrt(np.diag(np.linalg.inv(-hessian))), rtol=1e-6)
