"""Posteriors and log-likelihoods of new data against closed forms, and samples against their densities."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.scipy.stats import norm, poisson
from scipy import stats

import latentem as em
from latentem.errors import DataError, ParameterError
from latentem.models.declared.using.predicting import log_likelihood, posterior
from latentem.models.declared.using.sampling_from import sample

DOMAINS = {"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}
THETA = {"weights": [0.3, 0.7], "means": [-1.0, 2.0], "scales": [1.0, 0.5]}


@em.latent_variable_model(latent=em.Categorical(2), parameters=DOMAINS)
def two_normals(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


@em.latent_variable_model(
    latent=em.Categorical(2), parameters=DOMAINS, log_latent=lambda z, theta: jnp.log(theta.weights[z]), group="subject"
)
def grouped(x, z, theta):
    return norm.logpdf(x["y"], theta.means[z], theta.scales[z])


@em.latent_variable_model(
    latent=em.MarkovChain(2),
    parameters={"initial": em.Simplex(2), "transition": em.Simplex(2, 2), "rates": em.Positive(2)},
    log_initial=lambda z, theta: jnp.log(theta.initial[z]),
    log_transition=lambda before, z, theta: jnp.log(theta.transition[before, z]),
    observed=em.Integers(0, 60),
)
def chain(x, z, theta):
    return poisson.logpmf(x, theta.rates[z])


CHAIN = {"initial": [0.9, 0.1], "transition": [[0.8, 0.2], [0.3, 0.7]], "rates": [1.0, 12.0]}


@em.latent_variable_model(
    latent=em.Normal(),
    parameters={"mean": em.Real(), "between": em.Positive(), "within": em.Positive()},
    log_latent=lambda z, theta: norm.logpdf(z, 0.0, theta.between),
)
def random_intercept(y, z, theta):
    return norm.logpdf(y, theta.mean + z, theta.within)


def joint_of_two_normals(x):
    return np.array(THETA["weights"]) * stats.norm.pdf(np.asarray(x)[:, None], THETA["means"], THETA["scales"])


# -- the posterior and the log-likelihood ------------------------------------------------------


def test_rows_are_told_in_their_order_over_several_chunks(rng):
    x = rng.normal(size=20_000)
    told, joint = posterior(two_normals, THETA, x), joint_of_two_normals(x)
    assert told.states == (0, 1) and told.mean is told.covariance is told.groups is told.conditional_means is None
    np.testing.assert_allclose(told.probabilities, joint / joint.sum(axis=1, keepdims=True), atol=1e-14)
    np.testing.assert_allclose(log_likelihood(two_normals, THETA, x), np.log(joint.sum(axis=1)), rtol=1e-12)


def test_the_log_likelihood_of_the_fitted_data_is_that_of_the_fit(rng):
    x = np.concatenate([rng.normal(size=50), 5 + rng.normal(size=50)])
    result = em.fit(two_normals, x, parameters=THETA)
    total = log_likelihood(result.model, result.parameters, x).sum()
    assert total == pytest.approx(result.log_likelihood, rel=1e-14)


def test_groups_come_in_order_of_first_appearance_with_their_keys():
    y, subject = np.array([0.1, 2.2, -0.5, 1.9, 0.3]), np.array([7, 3, 7, 3, 9])
    told = posterior(grouped, THETA, {"y": y, "subject": subject})
    assert told.groups.tolist() == [7, 3, 9]
    density = stats.norm.pdf(y[:, None], THETA["means"], THETA["scales"])
    joint = np.array([np.array(THETA["weights"]) * density[subject == key].prod(axis=0) for key in (7, 3, 9)])
    np.testing.assert_allclose(told.probabilities, joint / joint.sum(axis=1, keepdims=True), rtol=1e-12)
    found = log_likelihood(grouped, THETA, {"y": y, "subject": subject})
    np.testing.assert_allclose(found, np.log(joint.sum(axis=1)), rtol=1e-12)


def test_keys_of_groups_are_the_users_own():
    frame = pd.DataFrame({"y": [0.1, 2.2, -0.5], "subject": ["zoe", "ann", "zoe"]})
    assert posterior(grouped, THETA, frame).groups.tolist() == ["zoe", "ann"]
    y = {"y": np.array([0.1, 2.2, -0.5])}
    assert posterior(grouped, THETA, y, groups=["b", "a", "b"]).groups.tolist() == ["b", "a"]
    assert posterior(grouped, THETA, y, lengths=[1, 2]).groups.tolist() == [0, 1]


def test_a_chain_is_told_by_row_in_the_users_order(rng):
    x, groups = rng.poisson(4.0, 9), np.array([1, 0, 1, 1, 0, 0, 0, 1, 1])
    mixed = posterior(chain, CHAIN, x, groups=groups)
    assert mixed.groups.tolist() == [1, 0] and mixed.probabilities.shape == (9, 2)
    for key in (0, 1):
        alone = posterior(chain, CHAIN, x[groups == key])
        np.testing.assert_allclose(mixed.probabilities[groups == key], alone.probabilities, rtol=1e-12)
    total = log_likelihood(chain, CHAIN, x, groups=groups)
    assert total.shape == (2,)
    assert total[1] == pytest.approx(log_likelihood(chain, CHAIN, x[groups == 0])[0], rel=1e-13)


def test_a_chain_equals_the_sum_over_all_paths():
    x = np.array([0, 9, 2])
    emission = stats.poisson.pmf(x[:, None], CHAIN["rates"])
    a, initial = np.array(CHAIN["transition"]), np.array(CHAIN["initial"])
    joint = np.einsum("i,ij,jk,i,j,k->ijk", initial, a, a, *emission)
    told = posterior(chain, CHAIN, x).probabilities / (1 / joint.sum())
    np.testing.assert_allclose(told[1], joint.sum(axis=(0, 2)), rtol=1e-12)
    assert log_likelihood(chain, CHAIN, x) == pytest.approx([np.log(joint.sum())], rel=1e-12)


def test_a_normal_latent_of_groups_has_the_moments_of_the_closed_form(rng):
    theta = {"mean": 1.0, "between": 2.0, "within": 0.5}
    lengths = np.array([1, 4, 2])
    y = rng.normal(size=7)
    told = posterior(random_intercept, theta, y, lengths=lengths)
    variance = 1 / (1 / theta["between"] ** 2 + lengths / theta["within"] ** 2)
    sums = np.add.reduceat(y - theta["mean"], [0, 1, 5])
    assert told.coordinates == ("z",) and told.states == () and told.probabilities is None
    np.testing.assert_allclose(told.covariance[:, 0, 0], variance, rtol=1e-9)
    np.testing.assert_allclose(told.mean[:, 0], variance * sums / theta["within"] ** 2, rtol=1e-9)


def test_a_class_beside_a_normal_has_means_for_each_class():
    @em.latent_variable_model(
        latent={"kind": em.Bernoulli(), "u": em.Normal(2)}, parameters={"mean": em.Real(), "p": em.UnitInterval()}
    )
    def factors(x, z, theta):
        kind = jnp.where(z.kind == 1, jnp.log(theta.p), jnp.log1p(-theta.p))
        sign = 1.0 - 2.0 * z.kind
        return kind + norm.logpdf(z.u).sum() + norm.logpdf(x, theta.mean + sign * z.u).sum()

    x = np.array([[1.0, 3.0], [0.0, -2.0]])
    told = posterior(factors, {"mean": 0.0, "p": 0.25}, x)
    assert told.states == ({"kind": 0}, {"kind": 1}) and told.coordinates == ("u[0]", "u[1]")
    np.testing.assert_allclose(told.probabilities, [[0.75, 0.25]] * 2, rtol=1e-9)
    np.testing.assert_allclose(told.conditional_means, np.stack([x / 2, -x / 2], axis=1), atol=1e-9)
    np.testing.assert_allclose(told.mean, 0.5 * x / 2, atol=1e-9)
    within = 0.5 * np.eye(2) + 0.75 * x[0][:, None] * x[0] / 4
    np.testing.assert_allclose(told.covariance[0], within, atol=1e-9)


# -- columns -----------------------------------------------------------------------------------


class Visit(NamedTuple):
    y: np.ndarray
    item: np.ndarray


@pytest.fixture(scope="module")
def of_items():
    """A model fitted to named columns, of which one indexes parameters."""

    @em.latent_variable_model(latent=em.Bernoulli(), parameters={"means": em.Real(2, 3)})
    def by_item(x, z, theta):
        return jnp.log(0.5) + norm.logpdf(x["y"], theta.means[z, x["item"]])

    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=60), "item": np.arange(60) % 3}
    return em.fit(by_item, data, parameters={"means": [[-1.0] * 3, [1.0] * 3]}), data


def test_columns_may_come_in_another_order_and_whole_numbers_as_floats(of_items):
    result, data = of_items
    told = posterior(result.model, result.parameters, data).probabilities
    other = {"item": data["item"].astype(float), "y": data["y"]}
    frame = pd.DataFrame(other)
    record = Visit(data["y"], data["item"])
    for same in (other, frame, record):
        np.testing.assert_array_equal(posterior(result.model, result.parameters, same).probabilities, told)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: {"y": data["y"]}, "fitted to the columns y, item, but these data are the columns y"),
        (lambda data: {**data, "more": data["y"]}, "but these data are the columns y, item, more"),
        (lambda data: data["y"], r"but these data are an array of shape \(n,\)"),
        (lambda data: {**data, "y": np.ones((60, 2))}, r"x\['y'\] must have shape \(n,\) as at the fit, got \(n, 2\)"),
        (lambda data: {**data, "item": data["item"] + 0.5}, r"row 0, column 'item' holds 0.5, but held whole numbers"),
        (lambda data: pd.DataFrame({"y": [1.0], "item": ["a"]}), "column 'item' is text, but held numbers"),
    ],
)
def test_other_columns_than_at_the_fit_are_refused(of_items, change, message):
    result, data = of_items
    with pytest.raises(DataError, match=message):
        log_likelihood(result.model, result.parameters, change(data))


def test_an_impossible_row_is_named_and_other_parameters_are_refused():
    with pytest.raises(DataError, match=r"row 1 .*log-likelihood -inf|row 1 .*impossible"):
        posterior(two_normals, {**THETA, "weights": [0.5, 0.5], "scales": [1e-9, 1e-9]}, [0.0, 1e149])
    with pytest.raises(ParameterError, match="expected parameters of the model 'two_normals'"):
        posterior(two_normals, random_intercept.parameters(mean=0.0, between=1.0, within=1.0), [0.0])
    with pytest.raises(ParameterError, match="no value"):
        log_likelihood(two_normals, {"means": [0.0, 1.0]}, [0.0])


# -- samples -----------------------------------------------------------------------------------


def with_sampler(sampler, **options):
    return em.latent_variable_model(
        lambda x, z, theta: norm.logpdf(x, z * theta.mean),
        latent=em.Bernoulli(),
        parameters={"mean": em.Real()},
        sampler=sampler,
        **options,
    )


def test_the_users_sampler_is_asked_and_reproducible():
    def draw(theta, rng, n):
        z = rng.integers(2, size=n)
        return rng.normal(z * theta.mean), z

    model = with_sampler(draw)
    x, z = sample(model, {"mean": 5.0}, 50, 3)
    again = sample(model, {"mean": 5.0}, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(x, again[0])
    assert np.array_equal(x > 2.5, z == 1)
    assert sample(with_sampler(lambda theta, rng, n: rng.normal(size=n)), {"mean": 0.0}, 4)[1] is None


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (lambda n: np.zeros(n + 1), "asked for 3 observations, but returned 4"),
        (lambda n: (np.zeros(n),) * 3, "a tuple of 3"),
        (lambda n: ["a"] * n, "must return 3 observations"),
    ],
)
def test_what_a_sampler_must_not_return(drawn, message):
    with pytest.raises(ParameterError, match=message):
        sample(with_sampler(lambda theta, rng, n: drawn(n)), {"mean": 0.0}, 3)


def test_a_sampler_of_groups_is_asked_for_each_group():
    def draw(theta, rng, n):
        z = rng.normal()
        return {"y": np.full(n, z), "place": np.arange(n)}, z

    model = em.latent_variable_model(
        latent=em.Normal(),
        parameters={"mean": em.Real()},
        log_latent=lambda z, theta: norm.logpdf(z),
        log_emission=lambda x, z, theta: norm.logpdf(x["y"], z + theta.mean),
        sampler=draw,
    )
    x, z = sample(model, {"mean": 0.0}, random_state=0, lengths=[2, 3])
    assert x["place"].tolist() == [0, 1, 0, 1, 2] and z.shape == (2,)
    np.testing.assert_array_equal(x["y"], np.repeat(z, [2, 3]))
    assert sample(model, {"mean": 0.0}, 4)[1].shape == (1,)


@pytest.fixture(scope="module")
def of_counts():
    @em.latent_variable_model(
        latent=(em.Bernoulli(), em.Integers(1, 2)),
        parameters={"p": em.UnitInterval()},
        observed={"a": em.Integers(0, 1), "b": em.Integers(5, 7)},
    )
    def counts(x, z, theta):
        kind = jnp.log(jnp.where(z[0] == 1, theta.p, 1 - theta.p)) + jnp.log(0.5)
        a = jnp.log(jnp.where(x["a"] == z[0], 0.9, 0.1))
        return kind + a + jnp.where(z[1] == 1, jnp.log(jnp.array([0.5, 0.3, 0.2]))[x["b"] - 5], jnp.log(1 / 3))

    return counts


def test_independent_rows_are_drawn_from_the_joint(of_counts):
    x, z = sample(of_counts, {"p": 0.25}, 200_000, 0)
    assert set(x) == {"a", "b"} and x["a"].dtype.kind == "i" and len(z) == 2
    expected = 0.25 * 0.9 * 0.5 * 0.3
    cell = (x["a"] == 1) & (z[0] == 1) & (z[1] == 1) & (x["b"] == 6)
    assert np.mean(cell) == pytest.approx(expected, abs=5 * np.sqrt(expected / 200_000))
    assert set(np.unique(x["b"])) == {5, 6, 7}
    first, again = (sample(of_counts, {"p": 0.25}, 9, 4)[0]["b"] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_chain_is_drawn_along_itself():
    x, z = sample(chain, CHAIN, random_state=1, lengths=[1] * 2000 + [30_000])
    assert np.mean(z[:2000] == 0) == pytest.approx(0.9, abs=0.03)
    path, counts = z[2000:], np.zeros((2, 2))
    np.add.at(counts, (path[:-1], path[1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), CHAIN["transition"], atol=0.02)
    assert [x[z == k].mean() for k in (0, 1)] == pytest.approx(CHAIN["rates"], rel=0.03)


def test_rows_of_a_group_share_the_z_that_is_drawn():
    coins = em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "heads": em.UnitInterval(2)},
        log_latent=lambda z, theta: jnp.log(theta.weights[z]),
        log_emission=lambda x, z, theta: jnp.log(jnp.where(x == 1, theta.heads[z], 1 - theta.heads[z])),
        observed=em.Bernoulli(),
    )
    x, z = sample(coins, {"weights": [0.2, 0.8], "heads": [0.1, 0.95]}, random_state=0, lengths=[40] * 500)
    assert z.shape == (500,) and np.mean(z) == pytest.approx(0.8, abs=0.08)
    heads = x.reshape(500, 40).mean(axis=1)
    assert np.array_equal(heads > 0.5, z == 1)
    assert heads[z == 1].mean() == pytest.approx(0.95, abs=0.01)


def counting(observed, factor=1.0, **options):
    def density(x, z, theta):
        return jnp.log(factor * 0.5) + poisson.logpmf(x, theta.rates[z])

    domains = {"rates": em.Positive(2)}
    return em.latent_variable_model(density, latent=em.Bernoulli(), parameters=domains, observed=observed, **options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (counting(em.Integers(0, 90), factor=2.0), r"all \(x, z\) add up to 2 instead of 1"),
        (counting(em.Integers(0, 1)), r"add up to 0.\d+ instead of 1: .*name all values in observed="),
        (counting(None), "nothing says which values x takes: declare it with sampler="),
        (counting(em.Normal()), "observed must name finitely many values"),
        (counting(em.Integers(0, 15_000_000)), "cannot be enumerated"),
    ],
)
def test_what_cannot_be_enumerated_is_told(model, message):
    with pytest.raises(ParameterError, match=message):
        sample(model, {"rates": [1.0, 3.0]}, 5)


def test_densities_of_groups_must_be_normalized_each():
    with pytest.raises(ParameterError, match=r"exp\(log_emission\) of all x where z = 0 add up to 0.9"):
        sample(chain, {**CHAIN, "rates": [50.0, 1.0]}, 5)
    model = em.latent_variable_model(
        latent=em.Bernoulli(),
        parameters={"p": em.UnitInterval()},
        log_latent=lambda z, theta: jnp.log(theta.p),
        log_emission=lambda x, z, theta: jnp.log(0.5),
        observed=em.Bernoulli(),
    )
    with pytest.raises(ParameterError, match=r"exp\(log_latent\) of all z add up to 0.6"):
        sample(model, {"p": 0.3}, 5)


def test_a_latent_that_depends_on_covariates_or_is_continuous_needs_a_sampler():
    seeing = em.latent_variable_model(
        latent=em.Bernoulli(),
        parameters={"p": em.UnitInterval()},
        log_latent=lambda x, z, theta: jnp.log(0.5),
        log_emission=lambda x, z, theta: jnp.log(0.5),
        observed=em.Bernoulli(),
    )
    with pytest.raises(ParameterError, match="log_latent depends on the row"):
        sample(seeing, {"p": 0.3}, 5)
    with pytest.raises(ParameterError, match="z is continuous: declare it with sampler="):
        sample(random_intercept, {"mean": 0.0, "between": 1.0, "within": 1.0}, 5)


@pytest.mark.parametrize(("n", "lengths"), [(None, None), (3, [3]), (0, None), (2.5, None), (None, [])])
def test_how_many_rows_must_be_said(n, lengths):
    with pytest.raises(ParameterError, match=r"how many rows|at least 1"):
        sample(chain, CHAIN, n, lengths=lengths)


def test_lengths_belong_to_groups(of_counts):
    with pytest.raises(ParameterError, match="rows of this one are independent"):
        sample(of_counts, {"p": 0.5}, lengths=[2])


def test_text_stands_for_the_same_numbers_in_new_data_as_at_the_fit():
    @em.latent_variable_model(
        latent=em.Categorical(2), parameters={"weights": em.Simplex(2), "means": em.Real(2, 3)}
    )
    def of_kinds(x, z, theta):
        return jnp.log(theta.weights[z]) + norm.logpdf(x["y"], theta.means[z, x["kind"]])

    kinds = np.array(["b", "a", "c"])[np.arange(60) % 3]
    frame = pd.DataFrame({"y": np.random.default_rng(1).normal(size=60), "kind": kinds})
    result = em.fit(of_kinds, frame, parameters={"weights": [0.4, 0.6], "means": [[-1, 0, 1], [1, 2, 3]]}, max_iter=3)
    some = frame[frame["kind"] == "c"]
    told = log_likelihood(result.model, result.parameters, frame)
    np.testing.assert_array_equal(log_likelihood(result.model, result.parameters, some), told[frame["kind"] == "c"])
    with pytest.raises(DataError, match="category 'd', which was never seen"):
        log_likelihood(result.model, result.parameters, pd.DataFrame({"y": [0.0], "kind": ["d"]}))
