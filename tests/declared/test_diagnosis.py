"""What is wrong with the end of a fit is found and said; healthy fits are left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import laplace, multivariate_normal, norm, poisson, t

import latentem as em
from latentem.models.declared.diagnosing.diagnosis import diagnose
from latentem.models.starts import draw_pool
from latentem.result import Status
from latentem.sources import Grouping, as_source

ERUPTIONS = em.datasets.load_faithful().values[:, 0]
START = {"weights": [0.4, 0.6], "means": [2.0, 4.0], "scales": [0.5, 0.5]}
NORMALS: dict[str, Any] = {"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)}


def two_normals(x: Any, z: Any, theta: Any) -> Any:
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


def fitted(model: Any, x: Any, start: dict[str, Any], limit: int = 10_000, **options: Any) -> tuple[Any, Any]:
    """The result of a fit, and what is told of it."""
    begin = model.parameters(**start)
    result = em.fit(model, x, parameters=begin, **options)
    columns = {name: options[name] for name in ("groups", "sample_weight") if name in options}
    source = as_source(x, grouping=model.declaration.grouping, **columns)
    pool = draw_pool(source, np.random.default_rng(0), limit)
    told = diagnose(
        result.model,
        result.parameters,
        result.expectation,
        pool,
        begin,
        converged=result.converged or result.status is Status.SLOPE,
        remaining=result.remaining_gain,
    )
    return result, told


def codes(told: Any) -> list[str]:
    return [code for _, code, _ in told]


def mixture(density: Any, parameters: dict[str, Any], **options: Any) -> Any:
    return em.latent_variable_model(density, latent=em.Categorical(2), parameters=parameters, **options)


# -- healthy fits --------------------------------------------------------------------------------


def test_two_normals_on_old_faithful_are_healthy() -> None:
    assert fitted(mixture(two_normals, NORMALS), ERUPTIONS, START)[1] == []


def test_a_poisson_mixture_is_healthy_at_any_size_of_the_pool() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + poisson.logpmf(x, theta.rates[z])

    rng = np.random.default_rng(1)
    x = np.concatenate([rng.poisson(2.0, 400), rng.poisson(9.0, 200)])
    model = mixture(density, {"weights": em.Simplex(2), "rates": em.Positive(2)})
    start = {"weights": [0.5, 0.5], "rates": [1.0, 5.0]}
    assert fitted(model, x, start)[1] == []
    assert fitted(model, x, start, limit=100)[1] == []


def test_a_small_scale_that_the_data_ask_for_is_no_collapse() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=100), 5.0 + 1e-6 * rng.normal(size=60)])
    start = {"weights": [0.5, 0.5], "means": [0.0, 5.0], "scales": [1.0, 1.0]}
    result, told = fitted(mixture(two_normals, NORMALS), x, start)
    assert result.parameters.scales[1] < 2e-6
    assert told == []


# -- unbounded -----------------------------------------------------------------------------------


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_a_scale_that_goes_to_zero_is_told(acceleration: str | None) -> None:
    x = np.concatenate([np.random.default_rng(0).normal(size=100), np.full(10, 2.3)])
    start = {"weights": [0.9, 0.1], "means": [0.0, 2.29], "scales": [1.0, 0.05]}
    result, told = fitted(mixture(two_normals, NORMALS), x, start, acceleration=acceleration)
    assert np.isfinite(result.objective)
    assert all(np.isfinite(value).all() for value in result.parameters.values)
    assert codes(told) == ["unbounded"]
    sentence = told[0][2]
    assert "scales[1] goes to zero" in sentence
    assert "log_prior=" in sentence
    assert "em.Interval(1e-3, float('inf'))" in sentence


def test_its_remedies_work() -> None:
    x = np.concatenate([np.random.default_rng(0).normal(size=100), np.full(10, 2.3)])
    start = {"weights": [0.9, 0.1], "means": [0.0, 2.29], "scales": [1.0, 0.05]}
    prior = mixture(two_normals, NORMALS, log_prior=lambda theta: -jnp.sum(0.01 / theta.scales))
    assert fitted(prior, x, start)[1] == []
    bounded = mixture(two_normals, {**NORMALS, "scales": em.Interval(1e-3, float("inf"), 2)})
    result, told = fitted(bounded, x, start)
    assert result.parameters.scales[1] == pytest.approx(1e-3, abs=1e-9)
    assert "unbounded" not in codes(told)


def test_a_matrix_that_becomes_singular_is_told_at_its_end() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + multivariate_normal.logpdf(x, theta.means[z], theta.covariances[z])

    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(80, 2)), 4.0 + np.array([1.0, 2.0]) * rng.normal(size=(8, 1))])
    parameters = {"weights": em.Simplex(2), "means": em.Real(2, 2), "covariances": em.PositiveDefinite(2, 2, 2)}
    model = mixture(density, parameters)
    start = {"weights": [0.9, 0.1], "means": [[0, 0], [4, 4]], "covariances": np.stack([np.eye(2), np.eye(2)])}
    along = np.array([[1.0, 2.0], [2.0, 4.0]])
    begin = model.parameters(**start)
    source = as_source(x, grouping=Grouping())
    pool = next(iter(source))
    mean = x[80:].mean(axis=0)
    end = model.parameters(
        weights=[0.9, 0.1], means=[[0, 0], mean], covariances=np.stack([np.eye(2), along + 1e-12 * np.eye(2)])
    )
    told = diagnose(model, end, model.e_step(end, pool), pool, begin)
    assert codes(told) == ["unbounded"]
    assert "covariances becomes singular (covariances[1,1,1] (Cholesky))" in told[0][2]


def test_a_variance_component_that_goes_to_zero_is_not_unbounded() -> None:
    x = np.random.default_rng(4).normal(size=200)

    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(0.5) + norm.logpdf(x, (2 * z - 1) * theta.shift, theta.scale)

    model = mixture(density, {"shift": em.Positive(), "scale": em.Positive()})
    end = model.parameters(shift=1e-30, scale=1.0)
    pool = next(iter(as_source(x, grouping=Grouping())))
    told = diagnose(model, end, model.e_step(end, pool), pool, model.parameters(shift=1.0, scale=1.0))
    assert codes(told) == ["boundary", "same-states"]
    assert told[0][2].startswith("shift lies at an end of its domain")


# -- flat ----------------------------------------------------------------------------------------

REDUNDANT = {"weights": em.Simplex(2), "a": em.Real(), "b": em.Real(), "mean": em.Real(), "scales": em.Positive(2)}
REDUNDANT_START = {"weights": [0.4, 0.6], "a": 1.0, "b": 1.0, "mean": 4.0, "scales": [0.3, 0.3]}


def combined(combine: Any) -> Any:
    def density(x: Any, z: Any, theta: Any) -> Any:
        mean = jnp.where(z == 0, combine(theta.a, theta.b), theta.mean)
        return jnp.log(theta.weights[z]) + norm.logpdf(x, mean, theta.scales[z])

    return density


def test_a_sum_of_parameters_is_flat_in_their_difference() -> None:
    told = fitted(mixture(combined(jnp.add), REDUNDANT), ERUPTIONS, REDUNDANT_START)[1]
    assert codes(told) == ["flat"]
    assert "does not change along +0.71 a -0.71 b: " in told[0][2]


def test_it_is_found_from_some_of_the_rows_and_before_the_fit_has_converged() -> None:
    model = mixture(combined(jnp.add), REDUNDANT)
    told = fitted(model, ERUPTIONS, REDUNDANT_START, limit=100, max_iter=3)[1]
    assert "+0.71 a -0.71 b (seen in " in told[0][2]


def test_a_product_is_flat_along_a_curve() -> None:
    told = fitted(mixture(combined(jnp.multiply), REDUNDANT), ERUPTIONS, {**REDUNDANT_START, "b": 2.0})[1]
    assert codes(told) == ["flat"]
    assert "a curve that begins as +0.89 b -0.45 a" in told[0][2]


def test_a_prior_identifies_what_the_data_do_not() -> None:
    model = mixture(combined(jnp.add), REDUNDANT, log_prior=lambda theta: norm.logpdf(theta.a, 0.0, 1.0))
    assert fitted(model, ERUPTIONS, REDUNDANT_START)[1] == []


def test_several_directions_and_parameters_without_effect_are_told_apart() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        mean = jnp.where(z == 0, theta.a + theta.b, theta.means[z] - theta.c)
        return jnp.log(theta.weights[z]) + norm.logpdf(x, mean, theta.scales[z])

    real = {name: em.Real() for name in "abc"}
    model = mixture(density, {**NORMALS, **real})
    told = fitted(model, ERUPTIONS, {**START, "a": 1.0, "b": 1.0, "c": 0.0})[1]
    along = told[0][2].split("along ")[1].split(": ")[0].split("; ")
    assert sorted(along) == ["+0.71 a -0.71 b", "+0.71 means[1] +0.71 c", "+1.00 means[0]"]


def test_models_without_sufficient_statistics_are_looked_at_too() -> None:
    def weibulls(x: Any, z: Any, theta: Any) -> Any:
        scale = jnp.where(z == 0, theta.a * theta.b, 4.5)
        k, ratio = theta.shapes[z], x / scale
        return jnp.log(theta.weights[z]) + jnp.log(k / scale) + (k - 1) * jnp.log(ratio) - ratio**k

    positive = {"a": em.Positive(), "b": em.Positive(), "shapes": em.Positive(2)}
    start = {"weights": [0.4, 0.6], "a": 1.0, "b": 2.0, "shapes": [5.0, 5.0]}
    result, told = fitted(mixture(weibulls, {"weights": em.Simplex(2), **positive}), ERUPTIONS, start)
    assert not hasattr(result.model.basis, "rank")
    assert "+0.71 log a -0.71 log b" in told[0][2]


def test_equal_components_have_weights_without_effect() -> None:
    start = {"weights": [0.4, 0.6], "means": [3.0, 3.0], "scales": [1.0, 1.0]}
    told = fitted(mixture(two_normals, NORMALS), ERUPTIONS, start)[1]
    assert codes(told) == ["same-states", "flat"]
    assert "along +1.00 log weights[0]/weights[1]: " in told[1][2]


def test_two_variances_of_one_normal_are_flat_along_a_curve() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(z) + norm.logpdf(x, theta.mean + theta.between * z, theta.within)

    domains = {"mean": em.Real(), "between": em.Positive(), "within": em.Positive()}
    model = em.latent_variable_model(density, latent=em.Normal(), parameters=domains)
    x = 1.0 + np.random.default_rng(5).normal(size=150)
    told = fitted(model, x, {"mean": 0.0, "between": 0.7, "within": 0.9})[1]
    assert codes(told) == ["flat"]
    assert "a curve that begins as " in told[0][2]
    assert "log within" in told[0][2]
    assert "log between" in told[0][2]


def test_a_random_intercept_with_groups_is_healthy() -> None:
    model = em.latent_variable_model(
        latent=em.Normal(),
        parameters={"mean": em.Real(), "between": em.Positive(), "within": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z),
        log_emission=lambda x, z, theta: norm.logpdf(x, theta.mean + theta.between * z, theta.within),
    )
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(40), 4)
    x = 1.0 + rng.normal(size=40)[groups] + 0.5 * rng.normal(size=160)
    assert fitted(model, x, {"mean": 0.0, "between": 1.0, "within": 1.0}, groups=groups)[1] == []


# -- ends of domains -----------------------------------------------------------------------------


def test_entries_that_the_fit_leads_to_an_end_are_told_those_of_the_start_not() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + jnp.log(theta.shares[z, x])

    domains = {"weights": em.Simplex(2), "shares": em.Simplex(2, 3)}
    pool = next(iter(as_source({"x": np.array([0, 1, 2, 2])}, grouping=Grouping())))
    model = mixture(lambda x, z, theta: density(x["x"], z, theta), domains)
    end = model.parameters(weights=[0.5, 0.5], shares=[[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    start = model.parameters(weights=[0.5, 0.5], shares=[[0.0, 0.5, 0.5], [0.4, 0.3, 0.3]])
    told = diagnose(model, end, model.e_step(end, pool), pool, start)
    assert next(sentence for _, code, sentence in told if code == "boundary").startswith("shares[1,1] lies")


# -- what a part of the rows tells of ------------------------------------------------------------


def rare_rows(n: int, rare: int) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    kind = np.zeros(n, int)
    kind[-rare:] = 1
    return {"y": np.where(kind == 1, 5.0 * rng.standard_t(3, n), rng.normal(size=n)), "kind": kind}


def with_a_kind_of_its_own(x: Any, z: Any, theta: Any) -> Any:
    usual = norm.logpdf(x["y"], theta.means[z], 1.0)
    return jnp.log(theta.weights[z]) + jnp.where(x["kind"] == 1, t.logpdf(x["y"], 3.0, 0.0, theta.spread), usual)


def test_what_the_pool_does_not_tell_of_is_confirmed_on_all_the_data() -> None:
    domains = {"weights": em.Simplex(2), "means": em.Real(2), "spread": em.Positive()}
    start = {"weights": [0.4, 0.6], "means": [-0.5, 0.7], "spread": 1.0}
    model = mixture(with_a_kind_of_its_own, domains)
    result = em.fit(model, rare_rows(500, 10), parameters=start, max_iter=5)
    everything = next(iter(as_source(rare_rows(500, 10), grouping=Grouping())))
    pool = replace(everything, values=everything.values[:300])

    def told(batch: Any) -> Any:
        def whole(vector: Any) -> Any:
            return result.model.e_step(result.parameters.unflatten(vector), batch)

        here = whole(result.parameters.flatten())
        begin = model.parameters(**start)
        return diagnose(result.model, result.parameters, here, pool, begin, whole=whole, converged=False)

    assert told(everything) == []
    silent = replace(everything, values=everything.values[:490])
    assert codes(told(silent)) == ["flat"]
    assert "+1.00 log spread: " in told(silent)[0][2]


@pytest.mark.parametrize("latent", [em.Normal(), em.Continuous(-jnp.inf, jnp.inf)])
def test_a_forgotten_density_of_z_leaves_all_parameters_flat(latent: Any) -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return norm.logpdf(x, theta.mean + z, theta.scale)

    model = em.latent_variable_model(density, latent=latent, parameters={"mean": em.Real(), "scale": em.Positive()})
    result, told = fitted(model, np.random.default_rng(8).normal(2.0, 1.0, 50), {"mean": 0.5, "scale": 1.2})
    assert result.log_likelihood == pytest.approx(0.0, abs=1e-8)
    assert codes(told) == ["flat"]
    assert "+1.00 mean; +1.00 log scale: " in told[0][2]


def test_probabilities_at_their_ends_are_not_flat() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], 1.0)

    model = mixture(density, {"weights": em.Simplex(2), "means": em.Real(2)})
    pool = next(iter(as_source(np.random.default_rng(9).normal(size=60), grouping=Grouping())))
    end = model.parameters(weights=[1.0 - 1e-11, 1e-11], means=[float(np.mean(pool.values)), 9.0])
    told = diagnose(model, end, model.e_step(end, pool), pool, model.parameters(weights=[0.5, 0.5], means=[0.0, 9.0]))
    assert "boundary" in codes(told)
    assert all("weights" not in sentence for _, code, sentence in told if code == "flat")


# -- slopes where a fit has stopped --------------------------------------------------------------


def laplaces(x: Any, z: Any, theta: Any) -> Any:
    return jnp.log(theta.weights[z]) + laplace.logpdf(x, theta.means[z], theta.scales[z])


def two_laplaces() -> Any:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.laplace(0.0, 1.0, 300), rng.laplace(6.0, 2.0, 200)])


def test_a_kink_where_the_likelihood_still_rises_is_told() -> None:
    start = {"weights": [0.5, 0.5], "means": [-1.0, 5.0], "scales": [1.0, 1.0]}
    told = fitted(mixture(laplaces, NORMALS), two_laplaces(), start)[1]
    assert codes(told) == ["slope"]
    assert "the likelihood still rises with" in told[0][2]
    assert "not differentiable in means[0], means[1] (" in told[0][2]
    assert "domain.fixed" in told[0][2]


def test_the_maximum_of_a_density_with_kinks_is_left_alone() -> None:
    x = np.sort(two_laplaces())
    weights, means, scales = np.array([0.5, 0.5]), np.array([0.0, 6.0]), np.array([1.0, 2.0])
    for _ in range(300):  # EM by weighted medians
        logs = np.log(weights) - np.log(2 * scales) - np.abs(x[:, None] - means) / scales
        shares = np.exp(logs - np.logaddexp(*logs.T)[:, None])
        weights = shares.mean(axis=0)
        summed = np.cumsum(shares, axis=0)
        means = np.array([x[np.searchsorted(summed[:, k], summed[-1, k] / 2)] for k in range(2)])
        scales = np.sum(shares * np.abs(x[:, None] - means), axis=0) / summed[-1]
    model = mixture(laplaces, NORMALS)
    end = model.parameters(weights=weights, means=means, scales=scales)
    pool = next(iter(as_source(x, grouping=Grouping())))
    ready = model.prepared(end, pool, True, np.random.default_rng(0))
    assert diagnose(ready, end, ready.e_step(end, pool), pool, end) == []


@pytest.mark.parametrize(
    "location",
    [
        lambda x, theta: jnp.where(x > theta.c, 1.0, 0.0),
        lambda x, theta: jnp.round(theta.c),
    ],
)
def test_a_parameter_within_a_step_is_told(location: Any) -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        return jnp.log(theta.weights[z]) + norm.logpdf(x, location(x, theta) + 3.0 * z, 1.0)

    rng = np.random.default_rng(10)
    x = np.concatenate([rng.normal(2.0, 1.0, 100), rng.normal(5.0, 1.0, 100)])
    model = mixture(density, {"weights": em.Simplex(2), "c": em.Real()})
    told = fitted(model, x, {"weights": [0.5, 0.5], "c": 0.1})[1]
    assert codes(told) == ["slope"]
    assert "along +1.00 c, " in told[0][2]


def test_a_step_beside_a_slope_is_told_from_differences() -> None:
    def density(x: Any, z: Any, theta: Any) -> Any:
        shift = jnp.where(x > theta.c, 0.5, 0.0)
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.c + shift + 3.0 * z, 1.0)

    rng = np.random.default_rng(11)
    x = np.concatenate([rng.normal(0.0, 1.0, 150), rng.normal(3.0, 1.0, 150)])
    told = fitted(mixture(density, {"weights": em.Simplex(2), "c": em.Real()}), x, {"weights": [0.5, 0.5], "c": 0.3})[1]
    assert codes(told) == ["slope"]


def test_fits_that_claim_no_maximum_are_not_looked_at_for_slopes() -> None:
    start = {"weights": [0.5, 0.5], "means": [-1.0, 5.0], "scales": [1.0, 1.0]}
    assert fitted(mixture(laplaces, NORMALS), two_laplaces(), start, max_iter=3)[1] == []
    assert fitted(mixture(two_normals, NORMALS), ERUPTIONS, START, tol=0.1)[1] == []
