"""The E-step for one continuous coordinate of z: likelihoods in closed form, Fisher's identity, maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln
from jax.scipy.stats import gamma, norm
from reference.cases import case
from scipy import optimize, special, stats

import latentem as em
from latentem.errors import DataError
from latentem.execution import Serial
from latentem.sources import as_source


@dataclass(frozen=True)
class At:
    """A declared model at parameters, with data as one batch."""

    model: Any
    params: Any
    batch: Any

    @classmethod
    def of(cls, model, x, labels=None, sample_weight=None, **theta):
        source = as_source(x, grouping=model.declaration.grouping, labels=labels, sample_weight=sample_weight)
        return cls(model, model.parameters(**theta), next(iter(source)))

    @property
    def points(self):
        rows, functions = self.model.rows(self.batch), self.model._functions(self.batch)
        return self.model.estep.points(functions, self.params.values, rows, self.batch)

    @property
    def log_likelihood(self):
        return self.points.log_likelihood

    def moved(self, vector):
        return At(self.model, self.params.unflatten(vector), self.batch)


def assert_likelihoods(at, expected, tolerance=1e-10):
    """Each unit's likelihood has that relative error, and the weights of each unit's rows add to one."""
    points = at.points
    np.testing.assert_allclose(points.log_likelihood, expected, rtol=0, atol=tolerance)
    rows = np.bincount(points.rows, points.weights.sum(axis=0), minlength=len(at.batch))
    np.testing.assert_allclose(rows, 1.0, atol=1e-12)
    assert np.all(points.weights >= 0) and np.isfinite(points.values[points.weights > 0]).all()


def assert_fisher(at, tolerance=1e-6):
    """The score of Q at θ is that of the log-likelihood."""
    vector = at.params.flatten()
    score = at.model._q_share(at.params, vector, at.batch).gradient
    for j, unit in enumerate(np.eye(len(vector)) * 1e-4):
        ahead, behind = (at.moved(vector + sign * unit).log_likelihood.sum() for sign in (1, -1))
        assert score[j] == pytest.approx((ahead - behind) / 2e-4, rel=tolerance, abs=tolerance * len(at.batch))


def assert_rises(result):
    objective = np.array([value for _, value in result.history])
    assert result.converged, result.status.value
    assert np.diff(objective).min() > -1e-8 * len(objective)


# -- models ------------------------------------------------------------------------------------


@em.latent_variable_model(latent=em.Continuous(0.0, np.inf), parameters={"rate": em.Positive()})
def censored_exponential(x, z, theta):
    """A lifetime z; where it was not seen to end, it ended later than x.time, else z is free."""
    lived = jnp.where(z < x["time"], -jnp.inf, jnp.log(theta.rate) - theta.rate * z)
    return jnp.where(x["event"] == 1, jnp.log(theta.rate) - theta.rate * x["time"] - z, lived)


@em.latent_variable_model(latent=em.Continuous(), parameters={"mean": em.Real(), "scale": em.Positive()})
def tobit(x, z, theta):
    """z beyond x.limit, where it is not seen."""
    seen = norm.logpdf(x["value"], theta.mean, theta.scale) + norm.logpdf(z)
    return jnp.where(
        x["seen"] == 1, seen, jnp.where(z < x["value"], -jnp.inf, norm.logpdf(z, theta.mean, theta.scale))
    )


@em.latent_variable_model(
    latent=em.Continuous(0.0, np.inf),
    parameters={"location": em.Real(), "scale": em.Positive(), "dof": em.Positive()},
)
def student(x, z, theta):
    half = theta.dof / 2
    log_gamma = half * jnp.log(half) - gammaln(half) + (half - 1) * jnp.log(z) - half * z
    return norm.logpdf(x, theta.location, theta.scale / jnp.sqrt(z)) + log_gamma


@em.latent_variable_model(latent=em.Continuous(0.0, 1.0), parameters={"a": em.Positive(), "b": em.Positive()})
def beta_binomial(x, z, theta):
    n, k, a, b = x["n"], x["k"], theta.a, theta.b
    log_binomial = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    log_beta = gammaln(a) + gammaln(b) - gammaln(a + b)
    return log_binomial - log_beta + (k + a - 1) * jnp.log(z) + (n - k + b - 1) * jnp.log1p(-z)


@em.latent_variable_model(
    latent=em.Continuous(0.0, np.inf),
    parameters={"rate": em.Positive(), "shape": em.Positive()},
    group="cluster",
    log_latent=lambda z, theta: gamma.logpdf(z * theta.shape, theta.shape) + jnp.log(theta.shape),
)
def frailty(x, z, theta):
    return x["event"] * jnp.log(theta.rate * z) - theta.rate * z * x["time"]


@em.latent_variable_model(
    latent={"kind": em.Categorical(2), "life": em.Continuous(0.0, np.inf)},
    parameters={"weights": em.Simplex(2), "rates": em.Positive(2)},
)
def censored_mixture(x, z, theta):
    rate = theta.rates[z.kind]
    after = jnp.where(z.life < x["time"], -jnp.inf, jnp.log(rate) - rate * z.life)
    seen = jnp.log(rate) - rate * x["time"] - z.life
    return jnp.log(theta.weights[z.kind]) + jnp.where(x["event"] == 1, seen, after)


def frailty_data(rng, n_clusters=40):
    cluster = np.repeat(np.arange(n_clusters), rng.integers(1, 8, n_clusters))
    time = rng.exponential(size=len(cluster)) / rng.gamma(2.0, 0.5, n_clusters)[cluster]
    event = (time < 2.0).astype(int)
    order = rng.permutation(len(cluster))
    return {"cluster": cluster[order], "time": np.minimum(time, 2.0)[order], "event": event[order]}


def frailty_log_likelihood(x, rate, shape):
    """Of each cluster, in the order in which they first appear."""
    _, first = np.unique(x["cluster"], return_index=True)
    events, times = np.bincount(x["cluster"], x["event"]), np.bincount(x["cluster"], x["time"])
    value = shape * np.log(shape) - special.gammaln(shape) + special.gammaln(shape + events)
    value = value - (shape + events) * np.log(shape + rate * times) + events * np.log(rate)
    return value[np.argsort(first)]


# -- likelihoods -------------------------------------------------------------------------------


def test_right_censored_exponential():
    time = np.exp(np.linspace(-8, 8, 81))
    event = np.arange(81) % 3 == 0
    at = At.of(censored_exponential, {"time": time, "event": event.astype(int)}, rate=0.7)
    assert_likelihoods(at, -0.7 * time + event * np.log(0.7))


@pytest.mark.parametrize(("mean", "scale"), [(1.0, 1.0), (-5.0, 100.0), (1e4, 3.0)])
def test_right_censored_normal(mean, scale):
    value = mean + scale * np.linspace(-30, 30, 61)
    at = At.of(tobit, {"value": value, "seen": np.zeros(61, int)}, mean=mean, scale=scale)
    assert_likelihoods(at, stats.norm.logsf(value, mean, scale))


@pytest.mark.parametrize("dof", [0.2, 0.5, 1.0, 4.0, 200.0])
def test_student_by_its_gamma_scale(dof):
    x = np.concatenate([np.linspace(-9, 9, 30), [1e3, -1e6, 1e6, 0.3, 1e-6]])
    at = At.of(student, x, location=0.3, scale=1.5, dof=dof)
    assert_likelihoods(at, stats.t.logpdf(x, dof, 0.3, 1.5))


@pytest.mark.parametrize("a", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("b", [0.3, 1.0, 50.0])
def test_beta_binomial(a, b):
    n = np.repeat([1, 5, 60], [2, 6, 61])
    k = np.concatenate([np.arange(2), np.arange(6), np.arange(61)])
    assert_likelihoods(At.of(beta_binomial, {"n": n, "k": k}, a=a, b=b), stats.betabinom.logpmf(k, n, a, b))


def test_an_error_that_cannot_be_avoided_is_told():
    """Of a beta density with shape 0.02 half of the mass is nearer to 1 than the last number below it."""
    at = At.of(beta_binomial, {"n": np.full(3, 4), "k": np.array([0, 2, 4])}, a=2.0, b=0.02)
    points = at.points
    error = np.abs(points.log_likelihood - stats.betabinom.logpmf([0, 2, 4], 4, 2.0, 0.02)).sum()
    assert error <= points.noise < 1e-4


@pytest.mark.parametrize("shape", [0.2, 1.0, 30.0])
def test_gamma_frailty_of_unsorted_groups(rng, shape):
    x = frailty_data(rng)
    assert_likelihoods(At.of(frailty, x, rate=1.3, shape=shape), frailty_log_likelihood(x, 1.3, shape))


def test_a_narrow_posterior_far_from_the_origin():
    model = em.latent_variable_model(
        lambda x, z, theta: norm.logpdf(x, z, theta.scale) + norm.logpdf(z, 1e6, 1.0),
        latent=em.Continuous(0.0, np.inf),
        parameters={"scale": em.Positive()},
    )
    x = 1e6 + np.linspace(-3, 3, 13)
    assert_likelihoods(At.of(model, x, scale=1e-3), stats.norm.logpdf(x, 1e6, np.sqrt(1 + 1e-6)))


def test_interval_censored_however_short_the_interval():
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.where((z > x["low"]) & (z < x["high"]), -jnp.abs(z) / theta.scale, -jnp.inf)
        - jnp.log(2 * theta.scale),
        latent=em.Continuous(),
        parameters={"scale": em.Positive()},
    )
    low, length = np.linspace(0.123, 30, 40), np.geomspace(1e-6, 5, 40)
    at = At.of(model, {"low": low, "high": low + length}, scale=2.0)
    width = (low + length) - low
    assert_likelihoods(at, -low / 2 - np.log(2) + np.log(-np.expm1(-width / 2)))


def test_singular_where_the_support_begins():
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.where(z > x, gamma.logpdf(jnp.where(z > x, z - x, 1.0), theta.shape), -jnp.inf),
        latent=em.Continuous(),
        parameters={"shape": em.Positive()},
    )
    for shape in (0.3, 0.5, 1.0, 3.0):
        assert_likelihoods(At.of(model, np.array([-2.0, 0.0, 1.0, 3.14, 1000.3]), shape=shape), np.zeros(5))


def test_a_jump_and_a_kink_within_the_support():
    def log_joint(x, z, theta):
        return norm.logpdf(z, x["at"], 1.0) + jnp.where(z > x["jump"], theta.above, 0.0)

    jump = em.latent_variable_model(log_joint, latent=em.Continuous(), parameters={"above": em.Real()})
    at, where = np.linspace(-5, 5, 41), 1 / 3
    expected = np.log(stats.norm.cdf(where, at) + np.exp(-0.8) * stats.norm.sf(where, at))
    assert_likelihoods(At.of(jump, {"at": at, "jump": np.full(41, where)}, above=-0.8), expected)
    kink = em.latent_variable_model(
        lambda x, z, theta: norm.logpdf(x, z) - jnp.abs(z) / theta.scale - jnp.log(2 * theta.scale),
        latent=em.Continuous(),
        parameters={"scale": em.Positive()},
    )
    k = 1 / 0.7
    sides = np.logaddexp(k * at + stats.norm.logcdf(-at - k), -k * at + stats.norm.logcdf(at - k))
    assert_likelihoods(At.of(kink, at, scale=0.7), 0.5 * k**2 + np.log(k / 2) + sides)


def test_several_modes():
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.logaddexp(norm.logpdf(z, -x, theta.scale), norm.logpdf(z, x, theta.scale)),
        latent=em.Continuous(),
        parameters={"scale": em.Positive()},
    )
    for scale in (0.01, 0.3, 2.0):
        assert_likelihoods(At.of(model, np.linspace(0, 40, 9), scale=scale), np.full(9, np.log(2)))


def test_truncated_normal_below_above_and_between():
    for low, high in ((0.0, np.inf), (-np.inf, 1.0), (-1.0, 2.5)):
        model = em.latent_variable_model(
            lambda x, z, theta: norm.logpdf(x, z, 0.5) + norm.logpdf(z, theta.mean, 2.0),
            latent=em.Continuous(low, high),
            parameters={"mean": em.Real()},
        )
        x, mean = np.linspace(-6, 6, 25), 0.4
        precision = 1 / 0.25 + 1 / 4
        centre, spread = (x / 0.25 + mean / 4) / precision, precision**-0.5
        below, above = (low - centre) / spread, (high - centre) / spread
        share = np.where(
            above < 0, stats.norm.cdf(above) - stats.norm.cdf(below), stats.norm.sf(below) - stats.norm.sf(above)
        )
        expected = stats.norm.logpdf(x, mean, np.sqrt(4.25)) + np.log(share)
        assert_likelihoods(At.of(model, x, mean=mean), expected)


# -- beside discrete parts, and known states ---------------------------------------------------


def mixture_parts(x, weights, rates):
    log_rates = np.log(rates)[:, None]
    return np.log(weights)[:, None] + x["event"] * log_rates - np.array(rates)[:, None] * x["time"]


def test_categorical_beside_continuous(rng):
    x = {"time": rng.exponential(size=50), "event": rng.integers(0, 2, 50)}
    parts = mixture_parts(x, [0.3, 0.7], [0.5, 4.0])
    at = At.of(censored_mixture, x, weights=[0.3, 0.7], rates=[0.5, 4.0])
    assert_likelihoods(at, np.logaddexp(*parts))
    points = at.points
    first = np.bincount(points.rows, points.weights[0], minlength=50)
    np.testing.assert_allclose(first, special.expit(parts[0] - parts[1]), rtol=1e-10)
    assert_fisher(at)


def test_known_states(rng):
    x = {"time": rng.exponential(size=20), "event": rng.integers(0, 2, 20)}
    labels = np.resize([0, 1, -1], 20)
    parts = mixture_parts(x, [0.3, 0.7], [0.5, 4.0])
    at = At.of(censored_mixture, x, labels=labels, weights=[0.3, 0.7], rates=[0.5, 4.0])
    assert_likelihoods(at, np.where(labels < 0, np.logaddexp(*parts), parts[labels, np.arange(20)]))
    points = at.points
    assert not points.weights[1, labels[points.rows] == 0].any()


# -- the score ---------------------------------------------------------------------------------


def test_fisher_identity(rng):
    time = {"time": rng.exponential(size=12), "event": np.resize([0, 1], 12)}
    assert_fisher(At.of(censored_exponential, time, rate=0.7))
    assert_fisher(At.of(tobit, {"value": rng.normal(size=12), "seen": np.resize([0, 1], 12)}, mean=0.3, scale=1.4))
    assert_fisher(At.of(student, np.array([-1e3, -1.0, 0.2, 0.3, 5.0]), location=0.3, scale=1.5, dof=0.7))
    counts = {"n": np.full(5, 4), "k": np.arange(5)}
    assert_fisher(At.of(beta_binomial, counts, a=0.3, b=0.3))
    assert_fisher(At.of(frailty, frailty_data(rng), rate=1.3, shape=0.4))


# -- fits --------------------------------------------------------------------------------------


def test_fit_of_the_exponential_is_events_by_time(rng):
    lives = rng.exponential(2.0, size=60)
    x = {"time": np.minimum(lives, 1.5), "event": (lives < 1.5).astype(int)}
    result = em.fit(censored_exponential, x, parameters={"rate": 3.0}, tol=1e-12, executor=Serial())
    assert_rises(result)
    assert result.parameters.rate == pytest.approx(x["event"].sum() / x["time"].sum(), rel=1e-6)


def test_fit_of_the_tobit_is_the_maximum(rng):
    values = rng.normal(1.0, 2.0, size=60)
    x = {"value": np.minimum(values, 2.0), "seen": (values < 2.0).astype(int)}

    def minus_log_likelihood(vector):
        mean, scale = vector[0], np.exp(vector[1])
        seen, beyond = stats.norm.logpdf(x["value"], mean, scale), stats.norm.logsf(x["value"], mean, scale)
        return -np.where(x["seen"] == 1, seen, beyond).sum()

    best = optimize.minimize(minus_log_likelihood, [0.0, 0.0], tol=1e-10)
    result = em.fit(tobit, x, parameters={"mean": -3.0, "scale": 9.0}, tol=1e-10, executor=Serial())
    assert_rises(result)
    assert result.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    np.testing.assert_allclose([result.parameters.mean, result.parameters.scale], [best.x[0], np.exp(best.x[1])], 1e-4)


def test_motorettes():
    known = case("censored_motorette")
    temperature, time, failed = known.columns("temp", "time", "cens").T
    x = {"inverse": 1000 / (temperature + 273.2), "value": np.log10(time), "failed": failed.astype(int)}

    def log_joint(x, z, theta):
        mean = theta.line[0] + theta.line[1] * x["inverse"]
        after = jnp.where(z < x["value"], -jnp.inf, norm.logpdf(z, mean, theta.scale))
        return jnp.where(x["failed"] == 1, norm.logpdf(x["value"], mean, theta.scale) + norm.logpdf(z), after)

    model = em.latent_variable_model(
        log_joint, latent=em.Continuous(), parameters={"line": em.Real(2), "scale": em.Positive()}
    )
    result = em.fit(
        model, x, parameters={"line": [-5.0, 4.0], "scale": 0.3}, tol=1e-11, acceleration="squarem", executor=Serial()
    )
    assert_rises(result)
    assert result.log_likelihood == pytest.approx(known.expected["direct"]["loglik"], abs=1e-6)
    np.testing.assert_allclose(result.parameters.line, known.expected["direct"]["coef"], atol=1e-4)
    assert result.parameters.scale == pytest.approx(known.expected["direct"]["sigma"], abs=1e-5)


def test_fit_of_the_frailty_is_the_maximum(rng):
    x = frailty_data(rng)
    best = optimize.minimize(lambda v: -frailty_log_likelihood(x, *np.exp(v)).sum(), [0.0, 0.0], tol=1e-10)
    result = em.fit(
        frailty, x, parameters={"rate": 1.0, "shape": 1.0}, tol=1e-8, acceleration="squarem", executor=Serial()
    )
    assert_rises(result)
    assert result.log_likelihood == pytest.approx(-best.fun, abs=1e-6)


# -- units that cannot be integrated -----------------------------------------------------------


def log_joint_that_fails(x, z, theta):
    whole = norm.logpdf(z, theta.mean)
    return jnp.where(x == 0, -jnp.inf, jnp.where(x == 1, jnp.nan, jnp.where((x == 2) & (z < 0), jnp.nan, whole)))


def test_impossible_and_not_a_number():
    model = em.latent_variable_model(log_joint_that_fails, latent=em.Continuous(), parameters={"mean": em.Real()})
    points = At.of(model, np.arange(4.0), mean=0.5).points
    np.testing.assert_allclose(points.log_likelihood, [-np.inf, np.nan, np.nan, 0.0], atol=1e-12)
    assert set(points.rows) == {3}
    assert np.isfinite(points.noise)
    assert At.of(model, np.zeros(2), mean=0.5).points.weights.shape == (1, 0)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_an_integral_that_diverges_names_the_row(power):
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.where(x > 0, -theta.power * jnp.log(z), -z),
        latent=em.Continuous(0.0, np.inf),
        parameters={"power": em.Positive()},
    )
    with pytest.raises(DataError, match=r"row 1.*infinite"):
        _ = At.of(model, np.array([0.0, 1.0]), power=power).points
    weightless = At.of(model, np.array([0.0, 1.0]), sample_weight=np.array([1.0, 0.0]), power=power)
    assert weightless.log_likelihood[0] == pytest.approx(0.0, abs=1e-12)


def test_no_data_shape_is_special(rng):
    """Units in one batch or apart, and groups of one row, have the same likelihoods."""
    x = {"time": rng.exponential(size=30), "event": np.resize([0, 1], 30)}
    together = At.of(censored_exponential, x, rate=0.7).log_likelihood
    apart = [At.of(censored_exponential, {k: v[i : i + 1] for k, v in x.items()}, rate=0.7) for i in range(30)]
    np.testing.assert_array_equal(together, np.concatenate([one.log_likelihood for one in apart]))
    single = x | {"cluster": np.arange(30)}
    expected = frailty_log_likelihood(single, 1.3, 2.0)
    assert_likelihoods(At.of(frailty, single, rate=1.3, shape=2.0), expected)
