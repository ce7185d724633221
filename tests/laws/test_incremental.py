"""Incremental EM: the free energy never falls, lies below the objective, and meets it where EM stands still."""

from functools import partial, reduce
from itertools import islice, pairwise
from operator import add

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.data import ArraySource
from latentem.em import iterate
from latentem.errors import ParameterError
from latentem.execution import Serial
from latentem.families.linear_gaussian import LinearGaussian
from latentem.families.poisson import Poisson
from latentem.families.weibull import Weibull
from latentem.latents import Categorical, CovariateMarkovChain, Normal, NormalChain
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.online import Incremental, additive, in_parts, incremental
from latentem.statistics import arrays_of, is_local, moved_like
from latentem.testing import draw

SERIAL, K = Serial(), 2
FAMILIES = {**zoo.FAMILIES, **zoo.VARIANTS}
LATENTS = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}
PAIRS = [("Categorical", family) for family in FAMILIES]
PAIRS += [(latent, family) for latent in list(LATENTS)[1:] for family in ("Poisson", "FullGaussian")]


def problem(latent, family, rng):
    """A model of the zoo, a start, and some 150 rows from its family."""
    specimen, own = FAMILIES[family], LATENTS[latent]
    kind = specimen.of(K)
    batch, _ = draw(kind, specimen.parameters(K), K, rng, 150, max(specimen.n_covariates, own.n_covariates))
    lengths = batch.group_lengths if kind.per_group else [40, 20, 30, 10, 50]
    source = ArraySource(batch.values, lengths=lengths, covariates=batch.covariates, chunk_rows=60)
    model = LatentVariableModel(own.latent(K), kind)
    return model, ModelParameters(own.parameters(K), specimen.parameters(K)), source


def with_vectors(latent, rng):
    """Factor analysis, or a state space model, and data."""
    values = rng.normal(size=(120, 2)) @ rng.normal(size=(2, 3)) + rng.normal(scale=0.5, size=(120, 3))
    source = ArraySource(values, lengths=[30, 30, 20, 40], chunk_rows=60)
    model = LatentVariableModel(latent(2), LinearGaussian())
    family = zoo.LINEAR_FAMILIES["LinearGaussian"]
    return model, model.conform(ModelParameters(model.latent.start(), family.parameters(2))), source


def passes(model, source, start, rows=15, n=5):
    whole = additive(model, "incremental EM")
    return list(islice(incremental(whole, in_parts(whole, source, rows), start), n))


def objective(model, source, parameters):
    return next(iterate(model, source, parameters, executor=SERIAL)).objective


@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_a_model_is_additive_where_no_statistics_are_local(latent, family, rng):
    model, start, source = problem(latent, family, rng)
    assert model.additive == (not is_local(model.e_step(start, next(iter(source))).statistics))


@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_the_free_energy_never_falls_and_is_at_most_the_objective(latent, family, rng):
    model, start, source = problem(latent, family, rng)
    if not model.additive:
        with pytest.raises(ParameterError, match="no incremental EM for"):
            passes(model, source, start)
        return
    found = passes(model, source, start)
    for before, after in pairwise(found):
        assert after.objective >= before.objective - before.rounding
    assert found[0].objective == pytest.approx(objective(model, source, start), rel=1e-12)
    assert found[-1].objective > found[0].objective - found[0].rounding
    last = objective(model, source, found[-1].parameters)
    assert found[-1].objective <= last + found[-1].rounding


@pytest.mark.parametrize("latent", [Normal, partial(Normal, free=("mean", "covariance")), NormalChain])
def test_so_it_is_with_vectors(latent, rng):
    model, start, source = with_vectors(latent, rng)
    found = passes(model, source, start)
    for before, after in pairwise(found):
        assert after.objective >= before.objective - before.rounding
    assert found[-1].objective <= objective(model, source, found[-1].parameters) + found[-1].rounding


def test_under_a_prior_the_free_energy_has_it(rng):
    _, start, source = problem("Categorical", "Poisson", rng)
    model = LatentVariableModel(Categorical(2), Poisson(), Prior(np.array([[1.0, 2.0]]), np.array([3.0]), 2.0))
    found = passes(model, source, start, n=200)
    assert all(b.objective >= a.objective - a.rounding for a, b in pairwise(found))
    assert found[-1].objective == pytest.approx(objective(model, source, found[-1].parameters), abs=1e-8)


ENDS = ["FullGaussian", "DiagonalGaussian", "Bernoulli", "Gamma", "Truncated", "Conjugate"]


@pytest.mark.parametrize(("latent", "family"), [*(("Categorical", f) for f in ENDS), ("MarkovChain", "FullGaussian")])
def test_it_ends_where_em_ends(latent, family, rng):
    model, start, source = problem(latent, family, rng)
    options = {"parameters": start, "tol": 1e-8, "max_iter": 3000}
    plain = em.fit(model, source, **options)
    found = em.fit(model, source, e_step=Incremental(8), **options)
    assert found.converged
    assert found.objective == pytest.approx(plain.objective, abs=1e-5)
    for name, value in found.parameters.latent.arrays().items():
        np.testing.assert_allclose(value, plain.parameters.latent.arrays()[name], atol=2e-2)


def test_its_fixed_point_is_that_of_em(rng):
    """From EM's limit no partial step leads away."""
    model, start, source = problem("Categorical", "FullGaussian", rng)
    limit = em.fit(model, source, parameters=start, tol=0.0, max_iter=3000).parameters
    after = passes(model, source, limit, n=4)[-1].parameters
    np.testing.assert_allclose(after.flatten(), limit.flatten(), atol=1e-5)


def test_one_part_is_plain_em(rng):
    model, start, source = problem("MarkovChain", "Poisson", rng)
    whole = ArraySource(source.values, lengths=[40, 20, 30, 10, 50])
    plain = list(islice(iterate(model, whole, start, executor=SERIAL), 6))
    parts = additive(model, "incremental EM")
    one = in_parts(parts, whole, 150)
    assert len(one.chunks) == 1
    # The first pass takes an M-step before its E-step, too.
    ours = list(islice(incremental(parts, one, start), 5))[1:]
    for mine, theirs in zip(ours, plain[2:], strict=True):
        np.testing.assert_allclose(mine.parameters.flatten(), theirs.parameters.flatten(), rtol=1e-9, atol=1e-12)


def test_more_parts_take_fewer_passes():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.poisson(2.0, 2000), rng.poisson(6.0, 1000)])[rng.permutation(3000), None]
    model = LatentVariableModel(Categorical(2), Poisson())
    start = em.fit(model, x, random_state=0, max_iter=0).parameters
    plain = em.fit(model, x, parameters=start)
    found = em.fit(model, x, parameters=start, e_step=Incremental(20))
    assert found.converged
    assert found.n_iter < plain.n_iter


@pytest.mark.parametrize("rows", [1, 7, 40, 1000])
@pytest.mark.parametrize(("latent", "family"), [("Categorical", "Poisson"), ("MarkovChain", "Poisson")])
def test_parts_hold_every_row_once_and_add_up(latent, family, rows, rng):
    model, start, source = problem(latent, family, rng)
    parts = in_parts(model, source, rows)
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in parts]), source.values)
    assert [batch.first_row for batch in parts] == list(np.cumsum([0, *map(len, parts)])[:-1])
    whole, pieces = (reduce(add, (model.e_step(start, b) for b in some)) for some in (source, parts))
    assert pieces.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    for a, b in zip(arrays_of(pieces.statistics), arrays_of(whole.statistics), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_moved_statistics_add_and_leave_q_as_it_is(rng):
    model, start, source = problem("Categorical", "FullGaussian", rng)
    batch = next(iter(source))
    old = model.e_step(start, batch).statistics
    theta = model.m_step(old, start)
    new = model.e_step(theta, batch).statistics
    moved = moved_like(old, new)
    with pytest.raises(ValueError, match="different references"):
        old + new
    assert (moved + new).emission.reference.same_as(new.emission.reference)
    assert model.q_function(theta, moved) == pytest.approx(model.q_function(theta, old), rel=1e-12)


def test_what_is_in_the_way_is_named(rng):
    x = np.abs(rng.normal(size=(30, 1)))
    with pytest.raises(ParameterError, match="for Weibull"):
        em.fit(LatentVariableModel(Categorical(2), Weibull()), x, e_step=Incremental())
    chain = LatentVariableModel(CovariateMarkovChain(2, columns=(0,)), Poisson())
    with pytest.raises(ParameterError, match="for CovariateMarkovChain"):
        em.fit(chain, np.ones((30, 1)), covariates=x, lengths=[30], e_step=Incremental())
    with pytest.raises(ParameterError, match="parts must be"):
        Incremental(0)
