"""What a reviewer's models showed: nothing that a fit cannot do is passed over in silence."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import gamma, norm

import latentem as em
from latentem.errors import DataError, ParameterError
from latentem.models.declared import prepare
from latentem.models.declared.preparing import diagnosed, pool_of
from latentem.models.declared.starts import initial_parameters
from latentem.result import Status
from latentem.sources import Grouping, as_source

TWO = {"weights": em.Simplex(2), "means": em.Real(2)}
START = {"weights": [0.4, 0.6], "means": [-1.0, 2.0]}


def declared(function, parameters=TWO, **options):
    return em.latent_variable_model(function, latent=em.Categorical(2), parameters=parameters, **options)


def two_means(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z])


@pytest.fixture
def x(rng):
    return np.concatenate([rng.normal(-2, 1, 30), rng.normal(3, 1, 40)])


# -- derivatives -------------------------------------------------------------------------------


def left_out(x, z, theta):
    return jnp.log(theta.weights[z]) + jnp.where(jnp.isnan(x), 0.0, norm.logpdf(x, theta.means[z]))


def left_out_inside_too(x, z, theta):
    seen = ~jnp.isnan(x)
    return jnp.log(theta.weights[z]) + jnp.where(seen, norm.logpdf(jnp.where(seen, x, 0.0), theta.means[z]), 0.0)


def test_a_branch_without_derivative_is_told_with_its_row_and_parameter(x):
    x[7] = np.nan
    told = r"derivative of log_joint \(left_out\) .*means\[0\].* no number in row 7 .*jnp.where\(ok, f"
    with pytest.raises(DataError, match=told):
        em.fit(declared(left_out, name="left_out"), x, parameters=START)


def test_left_out_inside_as_well_it_is_the_fit_of_the_other_rows(x):
    model = declared(left_out_inside_too)
    without = em.fit(model, np.delete(x, 7), parameters=START, tol=1e-10)
    x[7] = np.nan
    with_it = em.fit(model, x, parameters=START, tol=1e-10)
    assert with_it.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(with_it.parameters.means, without.parameters.means, atol=1e-6)


def test_a_dead_branch_of_a_hurdle_is_told():
    def hurdle(x, z, theta):
        return jnp.log(theta.weights[z]) + jnp.where(x == 0, -1.0, gamma.logpdf(x, theta.shapes[z]))

    parameters = {"weights": em.Simplex(2), "shapes": em.Positive(2)}
    with pytest.raises(DataError, match=r"derivative of log_joint \(hurdle\) .*shapes"):
        em.fit(declared(hurdle, parameters), [0.0, 1.0, 2.0, 5.0], parameters={"weights": 0.5, "shapes": [1.0, 2.0]})


def test_a_row_beyond_the_pool_without_derivative_is_told_as_well(rng):
    """A Weibull mixture has no pivots: its M-step goes over all the data."""

    def weibull(x, z, theta):
        seen = jnp.where(x == 0, -1.0, jnp.log(x) * theta.shapes[z] - (x / theta.scales[z]) ** theta.shapes[z])
        return jnp.log(theta.weights[z]) + jnp.log(theta.shapes[z]) - theta.shapes[z] * jnp.log(theta.scales[z]) + seen

    x = np.append(rng.weibull(2.0, 5000), 0.0)
    model = declared(weibull, {"weights": em.Simplex(2), "shapes": em.Positive(2), "scales": em.Positive(2)})
    source = as_source(x, grouping=Grouping())
    assert 0.0 not in pool_of(source).values
    start = {"weights": 0.5, "shapes": [1.0, 2.0], "scales": [1.0, 2.0]}
    result = em.fit(model, source, parameters=start)
    assert not result.status.converged
    told = [finding.message for finding in result.findings if finding.code == "slope"]
    assert len(told) == 1 and "derivative of log_joint (weibull)" in told[0] and "row 5000 (x = 0)" in told[0]


def test_a_prior_without_derivative_is_told(x):
    def prior(theta):
        return jnp.where(theta.means[0] < 0, 0.0, jnp.sqrt(theta.means[0]))
    with pytest.raises(ParameterError, match=r"derivative of log_prior .*means\[0\]"):
        em.fit(declared(two_means, log_prior=prior), x, parameters=START)


# -- starts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"weights": [0.5, 0.6]}, r"weights must lie in Simplex\(2\)"),
        ({"means": [np.nan, 1.0]}, r"means must lie in Real\(2\)"),
        ({"means": [1.0, 2.0, 3.0]}, r"'means' must have shape \(2,\), got \(3,\)"),
        (3.0, "parameters must map names to values"),
    ],
)
def test_a_partial_start_is_checked_as_a_whole_one_is(x, start, message):
    with pytest.raises(ParameterError, match=message):
        em.fit(declared(two_means), x, parameters=start)


def test_random_starts_that_all_fail_tell_why(x):
    x[3] = np.nan
    with pytest.raises(ParameterError, match=r"none of 60 random starts .* row 3 \(x = nan\)"):
        em.fit(declared(two_means), x)


@pytest.mark.parametrize("domain", [em.Real(2), em.Ordered(2), em.Real(2).fixed([np.nan, 1010.0])], ids=repr)
def test_starts_of_what_lies_on_the_line_come_from_the_data(domain, rng):
    x = np.concatenate([rng.normal(1000, 1, 60), rng.normal(1010, 1, 60)])
    model = declared(two_means, {"weights": em.Simplex(2), "means": domain})
    for seed in range(4):
        result = em.fit(model, x, random_state=seed)
        np.testing.assert_allclose(np.sort(result.parameters.means), [1000, 1010], atol=0.5)


def test_a_start_is_checked_before_anything_is_drawn(x):
    model, source = declared(two_means), as_source(x, grouping=Grouping())
    with pytest.raises(ParameterError, match="no parameter 'mean'"):
        initial_parameters(model, source, given={"mean": 1.0}, rng=np.random.default_rng(0), executor=em.Serial())


# -- declarations ------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [lambda value: (value,), lambda value: [value]], ids=["tuple", "list"])
def test_a_number_in_a_container_is_no_number(x, wrong):
    with pytest.raises(ParameterError, match="must return one number, but returned a"):
        em.fit(declared(lambda x, z, theta: wrong(two_means(x, z, theta))), x, parameters=START)


def test_theta_goes_through_compiled_functions_of_the_user(x):
    inner = jax.jit(lambda theta, z: theta.means[z])

    def through(x, z, theta):
        return jnp.log(theta.weights[z]) + norm.logpdf(x, inner(theta, z))

    same = [em.fit(declared(f), x, parameters=START).log_likelihood for f in (through, jax.jit(two_means), two_means)]
    assert same == pytest.approx([same[0]] * 3, abs=1e-9)


@pytest.mark.parametrize("e_step", ["saem", "monte-carlo"])
def test_nothing_is_simulated_that_is_enumerated(e_step):
    with pytest.raises(ParameterError, match="z is enumerated here, which is exact"):
        declared(two_means, e_step=e_step)


def test_transitions_that_add_to_one_at_an_even_start_only_are_told(x):
    model = em.latent_variable_model(
        latent=em.MarkovChain(2),
        parameters={"swap": em.Simplex(2, 2), "means": em.Real(2)},
        log_initial=lambda z, theta: jnp.log(0.5),
        log_transition=lambda before, z, theta: jnp.log(theta.swap[z, before]),
        log_emission=lambda x, z, theta: norm.logpdf(x, theta.means[z]),
    )
    even = {"swap": [[0.9, 0.1], [0.1, 0.9]], "means": [-1.0, 2.0]}
    with pytest.raises(ParameterError, match=r"log_transition .*away from the start they add to"):
        em.fit(model, x, parameters=even)


@pytest.mark.parametrize(("data", "message"), [([], "at least one observation"), ([[1.0], [1.0, 2.0]], "lengths=")])
def test_no_data_and_ragged_data_are_told(data, message):
    with pytest.raises(DataError, match=message):
        em.fit(declared(two_means), data, parameters=START)


def test_short_runs_that_come_near_a_limit_have_a_score():
    """Before a model is prepared it has no pivots; the simulated E-step stands still within few iterations."""

    def kinked(x, z, theta):
        return norm.logpdf(z).sum() + norm.logpdf(x, theta.scale * jnp.abs(z).sum(), 0.3)

    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(12, 2))).sum(axis=1)
    model = em.latent_variable_model(kinked, latent=em.Normal(2), parameters={"scale": em.Positive()})
    source = as_source(x, grouping=Grouping())
    assert initial_parameters(model, source, given={}, rng=rng, executor=em.Serial())["scale"] > 0


# -- results -----------------------------------------------------------------------------------


def test_a_convergence_within_a_coarse_error_is_none(x):
    source = as_source(x, grouping=Grouping())
    result = em.fit(declared(two_means), x, parameters=START)
    coarse = replace(result, expectation=replace(result.expectation, noise=0.5))
    assert result.status.converged
    assert diagnosed(coarse, source, result.parameters, pool_of(source)).status is Status.COARSE


def test_a_model_whose_pivots_failed_says_so(x):
    source = as_source(x, grouping=Grouping())
    model = declared(two_means)
    start = model.parameters(**START)
    ready = prepare(model, source, start)
    lame = replace(ready, basis=replace(ready.basis, inverse=1.01 * ready.basis.inverse))
    result = em.run(lame, source, start, executor=em.Serial())
    good = em.run(ready, source, start, executor=em.Serial())
    assert result.log_likelihood == pytest.approx(good.log_likelihood, abs=1e-5)
    assert "do not reproduce Q over all the data" in str(diagnosed(result, source, start, pool_of(source)).explain())


def test_a_result_shows_itself_in_a_few_lines(x):
    shown = repr(em.fit(declared(two_means), x, parameters=START))
    assert shown.startswith("EMResult(converged") and "70 rows; 3 free parameters" in shown and len(shown) < 300
