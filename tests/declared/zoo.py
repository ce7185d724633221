"""Declared models over every kind of z, once, each with a few dozen rows: what the laws are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jax.scipy.stats import expon, gamma, multivariate_normal, norm, poisson

import latentem as em

declare = em.latent_variable_model


@dataclass(frozen=True)
class Specimen:
    """A declared model, data, and θ at which the laws are tested."""

    model: Any
    data: Any
    parameters: Any


class Exposed(NamedTuple):
    """Counts, and how long they were counted."""

    count: Any
    time: Any


RNG = np.random.default_rng(11)
N = 48
SUBJECT = np.repeat(np.arange(16), RNG.integers(1, 6, 16))  # ragged
M = len(SUBJECT)
U = RNG.normal(size=16)[SUBJECT]
AGE = RNG.random(M)
Y = 0.5 + AGE + U + 0.5 * RNG.normal(size=M)
SWITCHES = 2.0 * (np.arange(M) // 6 % 2)
COUNTS = RNG.poisson(3.0, N)
REALS = RNG.normal(size=N) + 3.0 * (RNG.random(N) < 0.4)


def bernoulli(x: Any, logit: Any) -> Any:
    return -jnp.logaddexp(0.0, jnp.where(x > 0, -logit, logit))


def log_factorial(n: Any) -> Any:
    return gammaln(n + 1.0)


# -- discrete z --------------------------------------------------------------------------------

NORMALS = {"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}
AT = {"weights": [0.4, 0.6], "means": [-0.5, 2.0], "scales": [0.8, 1.3]}


def two_normals(x: Any, z: Any, theta: Any) -> Any:
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


NORMAL_MIXTURE = declare(two_normals, latent=em.Categorical(2), parameters=NORMALS)
POISSON_MIXTURE = declare(
    lambda x, z, theta: jnp.log(theta.weights[z]) + poisson.logpmf(x, theta.rates[z]),
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "rates": em.Positive(2)},
    name="two_poissons",
)
WITH_PRIOR = declare(
    two_normals,
    latent=em.Categorical(2),
    parameters=NORMALS,
    log_prior=lambda theta: 2 * jnp.log(theta.weights).sum() - (2 * jnp.log(theta.scales) + 1 / theta.scales).sum(),
    name="with_a_prior",
)
FIXED_AND_TIED = declare(
    two_normals,
    latent=em.Categorical(2),
    parameters={
        "weights": em.Simplex(2),
        "means": em.Real(2).fixed([0.0, np.nan]),
        "scales": em.Positive(2).tied(),
    },
    name="fixed_and_tied",
)
@declare(
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "shapes": em.Positive(2), "scales": em.Positive(2)},
)
def weibulls(x: Any, z: Any, theta: Any) -> Any:
    share = x / theta.scales[z]
    shape = theta.shapes[z]
    return jnp.log(theta.weights[z] * shape / theta.scales[z]) + (shape - 1) * jnp.log(share) - share**shape


FOUR_DIMENSIONS = declare(
    lambda x, z, theta: jnp.log(theta.weights[z])
    + multivariate_normal.logpdf(x, theta.means[z], theta.covariances[z]),
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "means": em.Real(2, 4), "covariances": em.PositiveDefinite(2, 4, 4)},
    log_prior=lambda theta: -jnp.sum(jnp.linalg.inv(jnp.linalg.cholesky(theta.covariances)) ** 2),  # -Σ tr Σₖ⁻¹
    name="full_gaussians",
)
REGRESSIONS = declare(
    lambda x, z, theta: jnp.log(theta.weights[z])
    + norm.logpdf(x["y"], theta.intercepts[z] + theta.slopes[z] * x["age"], theta.scale),
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "intercepts": em.Real(2), "slopes": em.Real(2), "scale": em.Positive()},
    name="two_regressions",
)
EXPOSURES = declare(
    lambda x, z, theta: jnp.log(theta.weights[z]) + poisson.logpmf(x.count, x.time * theta.rates[z]),
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "rates": em.Positive(2)},
    name="counts_by_time",
)
ZERO_INFLATED = declare(
    lambda x, z, theta: jnp.where(
        z == 1,
        jnp.where(x == 0, jnp.log(theta.never), -jnp.inf),
        jnp.log1p(-theta.never) + poisson.logpmf(x, theta.rate),
    ),
    latent=em.Bernoulli(),
    parameters={"never": em.UnitInterval(), "rate": em.Positive()},
    name="zero_inflated",
)
THINNED = declare(
    lambda x, z, theta: poisson.logpmf(z, theta.rate)
    + jnp.where(
        x <= z,
        log_factorial(z) - log_factorial(x) - log_factorial(jnp.maximum(z - x, 0))
        + x * jnp.log(theta.seen) + (z - x) * jnp.log1p(-theta.seen),
        -jnp.inf,
    ),
    latent=em.Integers(0, 12),
    parameters={"rate": em.Positive(), "seen": em.UnitInterval().fixed(0.7)},
    name="thinned_counts",
)
TWO_PARTS = declare(
    lambda x, z, theta: jnp.log(theta.rows[z[0]]) + jnp.log(theta.columns[z[0], z[1]])
    + norm.logpdf(x[0], theta.means[z[0]]) + norm.logpdf(x[1], theta.others[z[1]], 0.5),
    latent=(em.Categorical(2), em.Categorical(3)),
    parameters={"rows": em.Simplex(2), "columns": em.Simplex(2, 3), "means": em.Real(2), "others": em.Ordered(3)},
    name="two_discrete_parts",
)
CLASSES = declare(
    log_emission=lambda x, z, theta: bernoulli(x["answer"], theta.easiness[z, x["item"]]),
    log_latent=lambda z, theta: jnp.log(theta.weights[z]),
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "easiness": em.Real(2, 3)},
    group="person",
    name="classes_of_persons",
)

# -- chains ------------------------------------------------------------------------------------

HMM = declare(
    log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.means[z], theta.scales[z]),
    log_initial=lambda z, theta: jnp.log(theta.initial[z]),
    log_transition=lambda before, z, theta: jnp.log(theta.transition[before, z]),
    latent=em.MarkovChain(2),
    parameters={
        "initial": em.Simplex(2), "transition": em.Simplex(2, 2), "means": em.Real(2), "scales": em.Positive(2).tied()
    },
    group="sequence",
    name="hidden_markov_model",
)
WITH_COVARIATES = declare(
    log_emission=lambda x, z, theta: norm.logpdf(x["y"], theta.means[z] + theta.slope * x["age"], theta.scale),
    log_initial=lambda z, theta: jnp.log(0.5),
    log_transition=lambda x, before, z, theta: bernoulli(z == before, theta.stay[before] + theta.effect * x["age"]),
    latent=em.MarkovChain(2),
    parameters={
        "stay": em.Real(2), "effect": em.Real(), "means": em.Real(2), "slope": em.Real(), "scale": em.Positive()
    },
    group="sequence",
    name="chain_with_covariates",
)

# -- continuous z ------------------------------------------------------------------------------

FACTOR = declare(
    lambda x, z, theta: norm.logpdf(z) + norm.logpdf(x, theta.means + theta.loadings * z, theta.scales).sum(),
    latent=em.Normal(),
    parameters={"means": em.Real(3), "loadings": em.Real(3), "scales": em.Positive(3)},
    name="one_factor",
)
LOG_NORMAL_RATES = declare(
    lambda x, z, theta: norm.logpdf(z) + poisson.logpmf(x, jnp.exp(theta.level + theta.spread * z)),
    latent=em.Normal(),
    parameters={"level": em.Real(), "spread": em.Positive()},
    name="log_normal_rates",
)
RANDOM_LINES = declare(
    log_emission=lambda x, z, theta: norm.logpdf(
        x["y"], theta.means[0] + z[0] + (theta.means[1] + z[1]) * x["age"], theta.within
    ),
    log_latent=lambda z, theta: multivariate_normal.logpdf(z, jnp.zeros(2), theta.between),
    latent=em.Normal(2),
    parameters={"means": em.Real(2), "between": em.PositiveDefinite(2), "within": em.Positive()},
    group="subject",
    name="random_lines",
)
ANSWERS = declare(
    log_emission=lambda x, z, theta: bernoulli(x["answer"], theta.slopes[x["item"]] * z + theta.easiness[x["item"]]),
    log_latent=lambda z, theta: norm.logpdf(z),
    latent=em.Normal(),
    parameters={"slopes": em.Positive(3), "easiness": em.Real(3)},
    group="person",
    name="item_response",
)
CENSORED = declare(
    lambda x, z, theta: expon.logpdf(z, scale=theta.scale) + jnp.where(z > x, 0.0, -jnp.inf),
    latent=em.Continuous(0.0, np.inf),
    parameters={"scale": em.Positive()},
    name="all_censored",
)
FRAILTY = declare(
    log_emission=lambda x, z, theta: jnp.log(theta.rate * z) - theta.rate * z * x["time"],
    log_latent=lambda z, theta: gamma.logpdf(z, theta.shape, scale=1 / theta.shape),
    latent=em.Continuous(0.0, np.inf),
    parameters={"rate": em.Positive(), "shape": em.Positive()},
    group="family",
    name="frailty",
)
MIXED = declare(
    log_emission=lambda x, z, theta: norm.logpdf(
        x["y"], theta.means[z["class"]] + z["u"] + theta.slope * x["age"], theta.within
    ),
    log_latent=lambda z, theta: jnp.log(theta.weights[z["class"]]) + norm.logpdf(z["u"], 0.0, theta.between),
    latent={"class": em.Categorical(2), "u": em.Normal()},
    parameters={
        "weights": em.Simplex(2), "means": em.Real(2), "slope": em.Real(),
        "between": em.Positive(), "within": em.Positive(),
    },
    group="subject",
    name="classes_of_intercepts",
)

# -- all of them, a line each ------------------------------------------------------------------

LINES = {"y": Y, "age": AGE, "subject": SUBJECT}
SEQUENCES = {"y": RNG.normal(size=M) + SWITCHES, "age": AGE, "sequence": SUBJECT}
TEST = {"answer": (U + RNG.normal(size=M) > 0).astype(int), "item": np.arange(M) % 3, "person": SUBJECT}
FACTORS = RNG.normal(size=(N, 1)) * [1.0, 0.7, -0.5] + 0.6 * RNG.normal(size=(N, 3))
CLOUDS = RNG.normal(size=(70, 4)) + 2.0 * (RNG.random((70, 1)) < 0.5)
TIMES = RNG.exponential(size=M) / np.exp(0.7 * U)
EXPOSED = Exposed(RNG.poisson(2.0, N), 0.5 + RNG.random(N))
INFLATED = COUNTS * (RNG.random(N) < 0.7)
PAIRS = np.column_stack([REALS, RNG.integers(0, 3, N) + 0.5 * RNG.normal(size=N)])
COVARIANCES = np.stack([np.eye(4), np.eye(4) + 0.4])
STATES = {"initial": [0.6, 0.4], "transition": [[0.8, 0.2], [0.3, 0.7]], "means": [0.0, 2.0], "scales": 1.1}
BY_AGE = {"stay": [0.5, 1.0], "effect": 0.3, "means": [0.0, 2.0], "slope": -0.3, "scale": 1.1}
TABLE = {"rows": [0.6, 0.4], "columns": [[0.3, 0.3, 0.4], [0.2, 0.5, 0.3]], "means": [0.0, 3.0], "others": [0.0, 1, 2]}
SHARED = {"weights": [0.3, 0.7], "means": [0.0, 1.5], "slope": 0.8, "between": 0.6, "within": 0.7}
EASINESS = [[0.5, -0.3, 0.1], [-0.6, 0.4, 0.9]]

ZOO: dict[str, Specimen] = {
    "Categorical": Specimen(NORMAL_MIXTURE, REALS, AT),
    "Categorical, counts": Specimen(POISSON_MIXTURE, COUNTS, {"weights": [0.4, 0.6], "rates": [1.5, 4.0]}),
    "log_prior": Specimen(WITH_PRIOR, REALS, AT),
    "fixed and tied": Specimen(FIXED_AND_TIED, REALS, {"weights": [0.4, 0.6], "means": [0.0, 2.0], "scales": 1.2}),
    "no basis": Specimen(weibulls, TIMES, {"weights": [0.4, 0.6], "shapes": [0.8, 1.7], "scales": [0.7, 1.5]}),
    "four dimensions": Specimen(
        FOUR_DIMENSIONS, CLOUDS, {"weights": 0.5, "means": [[0.1] * 4, [1.9] * 4], "covariances": COVARIANCES}
    ),
    "x a dict": Specimen(
        REGRESSIONS, LINES, {"weights": 0.5, "intercepts": [0.0, 1.0], "slopes": [0.5, 1.5], "scale": 0.9}
    ),
    "x a named tuple": Specimen(EXPOSURES, EXPOSED, {"weights": [0.3, 0.7], "rates": [1.2, 3.0]}),
    "Bernoulli, impossible states": Specimen(ZERO_INFLATED, INFLATED, {"never": 0.2, "rate": 2.5}),
    "Integers": Specimen(THINNED, np.minimum(COUNTS, 9), {"rate": 4.0, "seen": 0.7}),
    "two discrete parts": Specimen(TWO_PARTS, PAIRS, TABLE),
    "Categorical, groups": Specimen(CLASSES, TEST, {"weights": [0.45, 0.55], "easiness": EASINESS}),
    "MarkovChain": Specimen(HMM, SEQUENCES, STATES),
    "MarkovChain, covariates": Specimen(WITH_COVARIATES, SEQUENCES, BY_AGE),
    "Normal, exact": Specimen(
        FACTOR, FACTORS, {"means": [0.1, 0.0, -0.1], "loadings": [0.9, 0.6, -0.4], "scales": [0.6, 0.7, 0.8]}
    ),
    "Normal, quadrature": Specimen(LOG_NORMAL_RATES, COUNTS, {"level": 1.0, "spread": 0.5}),
    "Normal(2), groups": Specimen(
        RANDOM_LINES, LINES, {"means": [0.4, 0.9], "between": [[0.8, 0.1], [0.1, 0.5]], "within": 0.6}
    ),
    "Normal, groups, quadrature": Specimen(ANSWERS, TEST, {"slopes": [0.8, 1.2, 1.0], "easiness": [0.1, -0.2, 0.3]}),
    "Continuous": Specimen(CENSORED, TIMES, {"scale": 1.4}),
    "Continuous, groups": Specimen(FRAILTY, {"time": TIMES, "family": SUBJECT}, {"rate": 1.2, "shape": 2.0}),
    "Categorical x Normal, groups": Specimen(MIXED, LINES, SHARED),
}
