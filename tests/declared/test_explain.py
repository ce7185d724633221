"""`explain` tells the E-step, the rank, the M-step and the blocks that there are."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm, poisson

import latentem as em
from latentem.errors import ParameterError
from latentem.models.declared.using.explaining import BEFORE_DATA, explain


def mixture(scales, **options):
    def two_normals(x, z, theta):
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])

    domains = {"weights": em.Simplex(2), "means": em.Real(2), "scales": scales}
    return em.latent_variable_model(two_normals, latent=em.Categorical(2), parameters=domains, **options)


def weibulls():
    def two_weibulls(x, z, theta):
        shape, scale = theta.shapes[z], theta.scales[z]
        density = jnp.log(shape / scale) + (shape - 1) * jnp.log(x / scale) - (x / scale) ** shape
        return jnp.log(theta.weights[z]) + density

    domains = {"weights": em.Simplex(2), "shapes": em.Positive(2), "scales": em.Positive(2)}
    return em.latent_variable_model(two_weibulls, latent=em.Categorical(2), parameters=domains)


@pytest.fixture
def x(rng):
    return np.concatenate([rng.normal(size=60), 5 + rng.normal(size=40)])


START = {"weights": [0.5, 0.5], "means": [0.0, 5.0], "scales": 1.0}
OF_TWO_NORMALS = {
    frozenset({"log weights[0]/weights[1]"}),
    frozenset({"means[0]", "log scales[0]"}),
    frozenset({"means[1]", "log scales[1]"}),
}


def as_sets(blocks):
    return {frozenset(block) for block in blocks}


def test_before_data_it_says_what_is_known_and_what_is_not():
    told = explain(mixture(em.Positive(2)))
    assert (told.e_step, told.approximate) == ("exact enumeration of z", None)
    assert told.rank is told.rank_error is told.blocks is None
    assert told.reason == told.m_step == BEFORE_DATA
    assert "model.explain(x)" in str(told) and told.n_free == 5


def test_an_exponential_family_has_its_rank_and_blocks_also_at_the_maximum(x):
    model = mixture(em.Positive(2))
    result = em.fit(model, x, parameters=START)
    for told in (explain(model, x, START), explain(result.model), explain(result.model, x, result.parameters)):
        assert (told.rank, told.patterns, told.reason) == (3, 1, None)
        assert told.rank_error < 1e-12
        assert told.m_step == "Newton on 3 pivot observations, whatever the number of rows"
        assert as_sets(told.blocks) == OF_TWO_NORMALS


def test_without_parameters_a_start_is_drawn(x):
    assert explain(mixture(em.Positive(2)), x).rank == 3
    assert explain(mixture(em.Positive(2)), x, {"means": [0.0, 5.0]}).rank == 3


def test_a_tied_scale_links_the_components(x):
    told = explain(mixture(em.Positive(2).tied()), x, START)
    assert as_sets(told.blocks) == {
        frozenset({"log weights[0]/weights[1]"}),
        frozenset({"means[0]", "means[1]", "log scales[:]"}),
    }
    assert told.held == ("scales tied: Positive(2).tied()",)


def test_a_prior_that_links_parameters_links_their_blocks(x):
    told = explain(mixture(em.Positive(2), log_prior=lambda theta: -((theta.means[0] - theta.means[1]) ** 2)), x, START)
    together = frozenset({"means[0]", "means[1]", "log scales[0]", "log scales[1]"})
    assert as_sets(told.blocks) == {frozenset({"log weights[0]/weights[1]"}), together}
    assert told.prior and "log_prior" in str(told)


def test_fixed_parameters_are_named_and_have_no_coordinates(x):
    told = explain(mixture(em.Positive(2).fixed([1.0, np.nan])), x, START)
    assert told.n_free == 4 and told.held[0].startswith("scales partly fixed: Positive(2).fixed([1.0, nan])")
    assert frozenset({"means[0]"}) in as_sets(told.blocks)
    assert not any("scales[0]" in name for block in told.blocks for name in block)


def test_where_all_is_fixed_there_is_no_m_step(x):
    def density(x, z, theta):
        return jnp.log(0.5) + norm.logpdf(x, theta.mean + 5 * z)

    model = em.latent_variable_model(density, latent=em.Bernoulli(), parameters={"mean": em.Real().fixed(0.0)})
    told = explain(model, x, {"mean": 0.0})
    assert (told.m_step, told.blocks, told.n_free) == ("none: all parameters are fixed", (), 0)


def test_no_exponential_family_says_why_and_that_the_m_step_needs_the_data(rng):
    told = explain(weibulls(), rng.weibull(2.0, 80), {"weights": 0.5, "shapes": [1.0, 3.0], "scales": [1.0, 2.0]})
    assert told.rank is None and "no exponential family" in told.reason
    assert told.m_step.startswith("Newton over the data")
    assert as_sets(told.blocks) == {
        frozenset({"log weights[0]/weights[1]"}),
        frozenset({"log shapes[0]", "log scales[0]"}),
        frozenset({"log shapes[1]", "log scales[1]"}),
    }


def test_sets_of_possible_states_are_counted(rng):
    def zero_inflated(x, z, theta):
        zero = jnp.where(x == 0, jnp.log(theta.p), -jnp.inf)
        return jnp.where(z == 0, zero, jnp.log1p(-theta.p) + poisson.logpmf(x, theta.rate))

    domains = {"p": em.UnitInterval(), "rate": em.Positive()}
    model = em.latent_variable_model(zero_inflated, latent=em.Bernoulli(), parameters=domains)
    counts = np.where(rng.random(200) < 0.3, 0, rng.poisson(2.0, 200))
    told = explain(model, counts, {"p": 0.3, "rate": 2.0})
    assert told.patterns == 2 and "2 sets of possible states" in str(told)


def test_the_text_is_aligned_and_names_are_not_broken(x):
    lines = str(explain(mixture(em.Positive(2)), x, START)).splitlines()
    assert max(map(len, lines)) <= 100
    assert {line[12] for line in lines} == {" "} and not any(line[13] == " " for line in lines)
    text = str(explain(mixture(em.Positive(2)), x, START))
    assert "z is Categorical(2), one for each row" in text
    assert "means[0], log scales[0] | means[1], log scales[1]" in " ".join(text.split())
    assert all(line.rstrip()[-3:] != "log" for line in lines)


def test_parameters_of_another_model_are_refused(x):
    other = weibulls().parameters(weights=[0.5, 0.5], shapes=1.0, scales=1.0)
    with pytest.raises(ParameterError, match="expected parameters of the model 'two_normals'"):
        explain(mixture(em.Positive(2)), x, other)
