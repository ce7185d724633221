"""Standard errors keep their laws: for every family and latent, by every method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zoo
from inference.curvature import examination_at, in_units, numerical_information

import latentem as em
from latentem.data import ArraySource
from latentem.execution import Serial
from latentem.families.bernoulli import Bernoulli, BernoulliParameters
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.inference.bootstrap import aligned
from latentem.inference.covariance import spread
from latentem.inference.examined import examined
from latentem.inference.natural import entries
from latentem.inference.resampling import simulated
from latentem.inference.unit_scores import louis_information, prior_information, scores_of_units
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.models.relabelling import permute
from latentem.testing.drawing import draw

FAMILIES = zoo.FAMILIES | zoo.VARIANTS
LATENTS = zoo.LATENTS | zoo.LATENT_VARIANTS
N = 60
ALL_HELD = ("means", "variances")


def mixture(weights, emission):
    return ModelParameters(CategoricalParameters(np.array(weights, float)), emission)


def gaussian_data(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(-2, 1, 2 * n // 5), rng.normal(2.5, 1.2, 3 * n // 5)])[:, None]


GAUSSIANS = LatentVariableModel(Categorical(2), DiagonalGaussian())
BEGIN = mixture([0.4, 0.6], DiagonalGaussianParameters(np.array([[-2.0], [2.0]]), np.ones((2, 1))))


def fitted(data=None, model=GAUSSIANS, begin=BEGIN, **options):
    data = gaussian_data() if data is None else data
    return em.fit(model, data, parameters=begin, **({"tol": 0.0, "max_iter": 20_000, "executor": Serial()} | options))


@pytest.fixture(scope="module")
def gaussians():
    return fitted()


def design_of(specimen, latent_specimen, k):
    """A model of the zoo with k states, its parameters, and data drawn from it."""
    family, latent = specimen.of(k), latent_specimen.latent(k)
    model = LatentVariableModel(latent, family)
    params = model.conform(ModelParameters(latent_specimen.parameters(k), specimen.parameters(k)))
    covariates = max(specimen.n_covariates, latent_specimen.n_covariates)
    rng = np.random.default_rng(3)
    shape = draw(family, specimen.parameters(k), k, rng, 12, covariates)[0].values.shape[1]
    groups = family.per_group or latent.per_group
    given = rng.normal(size=(N, covariates)) if covariates else None
    source = ArraySource(np.zeros((N, shape)), covariates=given, lengths=[6] * (N // 6) if groups else None)
    return model, params, simulated(model, params, source, rng)


PAIRS = [(family, "Categorical") for family in FAMILIES]
PAIRS += [(family, latent) for latent in LATENTS if latent != "Categorical" for family in ("FullGaussian", "Poisson")]


@pytest.mark.parametrize(("family", "latent"), PAIRS)
def test_the_differenced_score_is_the_numerical_hessian_of_the_marginal_likelihood(family, latent):
    specimen = FAMILIES[family]
    model, params, source = design_of(specimen, LATENTS[latent], 2)
    case = examination_at(model, params, source)
    if not len(case.linear.score):
        pytest.skip("nothing is free")
    apart = in_units(case, case.linear.observed - numerical_information(case))
    assert np.abs(apart).max() < 1e-6


NORMALS = [
    (latent, family)
    for latent in zoo.NORMAL_LATENTS | zoo.NORMAL_VARIANTS | zoo.NORMAL_CHAINS
    for family in zoo.LINEAR_FAMILIES | zoo.LINEAR_VARIANTS
]


@pytest.mark.parametrize(("latent", "family"), NORMALS)
def test_so_it_is_where_z_is_a_vector(latent, family):
    one = (zoo.NORMAL_LATENTS | zoo.NORMAL_VARIANTS | zoo.NORMAL_CHAINS)[latent]
    other = (zoo.LINEAR_FAMILIES | zoo.LINEAR_VARIANTS)[family]
    model = LatentVariableModel(one.latent(2), other.of(2))
    params = model.conform(ModelParameters(one.parameters(2), other.parameters(2)))
    lengths = [6] * (N // 6) if model.per_group else None
    source = simulated(model, params, ArraySource(np.zeros((N, 3)), lengths=lengths), np.random.default_rng(3))
    case = examination_at(model, params, source)
    apart = in_units(case, case.linear.observed - numerical_information(case))
    assert np.abs(apart).max() < 1e-6
    assert np.all(np.isfinite(scores_of_units(case)))


@pytest.mark.parametrize("family", FAMILIES)
def test_louis_formula_gives_the_same_matrix(family):
    model, params, source = design_of(FAMILIES[family], LATENTS["Categorical"], 2)
    case = examination_at(model, params, source)
    apart = in_units(case, louis_information(case) + prior_information(case) - case.linear.observed)
    assert np.abs(apart).max(initial=0.0) < 1e-6


@pytest.mark.parametrize("method", ["louis", "sem"])
def test_methods_that_give_the_same_matrix_do(gaussians, method):
    np.testing.assert_allclose(
        gaussians.standard_errors(method).covariance, gaussians.standard_errors().covariance, rtol=1e-5, atol=1e-9
    )


def test_the_first_derivatives_serve_where_the_fit_is_at_its_limit(gaussians):
    rough, fine = gaussians.standard_errors(refine=False).errors, gaussians.standard_errors().errors
    np.testing.assert_allclose(rough, fine, rtol=1e-5)


@pytest.mark.parametrize("method", ["oakes", "louis", "sem", "scores", "sandwich"])
def test_a_weight_of_two_is_a_row_twice(method):
    data = gaussian_data(60)
    weights = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    weighted = fitted(data, sample_weight=weights).standard_errors(method)
    repeated = fitted(np.repeat(data, weights.astype(int), axis=0)).standard_errors(method)
    np.testing.assert_allclose(weighted.errors, repeated.errors, rtol=1e-5)


@pytest.mark.parametrize("method", ["oakes", "louis", "sem", "scores", "sandwich"])
def test_relabelling_relabels(gaussians, method):
    turned = mixture([0.6, 0.4], DiagonalGaussianParameters(np.array([[2.0], [-2.0]]), np.ones((2, 1))))
    errors, other = gaussians.standard_errors(method).errors, fitted(begin=turned).standard_errors(method).errors
    np.testing.assert_allclose(errors, other.reshape(3, 2)[:, ::-1].ravel(), rtol=1e-5)


def test_units_of_measurement_scale_the_errors(gaussians):
    scaled = fitted(
        1000 * gaussian_data(),
        begin=mixture([0.4, 0.6], DiagonalGaussianParameters(np.array([[-2e3], [2e3]]), 1e6 * np.ones((2, 1)))),
    )
    factors = np.array([1, 1, 1e3, 1e3, 1e6, 1e6])
    np.testing.assert_allclose(scaled.standard_errors().errors / factors, gaussians.standard_errors().errors, rtol=1e-5)


def test_single_rows_as_clusters_are_no_clusters(gaussians):
    alone = gaussians.standard_errors("sandwich", clusters=np.arange(200))
    np.testing.assert_allclose(alone.covariance, gaussians.standard_errors("sandwich").covariance, rtol=1e-9)


def test_rows_that_are_copies_of_each_other_tell_no_more_than_one():
    data = gaussian_data(60)
    copies = fitted(np.repeat(data, 4, axis=0)).standard_errors("sandwich", clusters=np.repeat(np.arange(60), 4))
    once = fitted(data).standard_errors("sandwich")
    np.testing.assert_allclose(copies.errors, once.errors, rtol=1e-5)


def test_groups_may_be_clusters():
    data, lengths = gaussian_data(60), [3] * 20
    errors = fitted(data, lengths=lengths).standard_errors("sandwich", clusters="groups")
    keys = fitted(data).standard_errors("sandwich", clusters=np.repeat(np.arange(20), 3))
    np.testing.assert_allclose(errors.errors, keys.errors, rtol=1e-6)


def test_the_delta_method_equals_a_reparametrization(gaussians):
    errors = gaussians.standard_errors()
    logs = errors.of(lambda theta: np.log(theta.emission.variances[:, 0]))
    np.testing.assert_allclose(logs.error, [errors[f"log emission.variances[{k},0]"] for k in (0, 1)], rtol=1e-7)
    whole = errors.of(lambda theta: theta.emission.means)
    assert whole.estimate.shape == whole.error.shape == (2, 1)
    np.testing.assert_allclose(whole.error[:, 0], errors.errors[2:4], rtol=1e-7)
    constant = errors.of(lambda theta: np.array(1.5))
    assert np.isnan(constant.error) and constant.reasons[0] == "it is held where it is"


def test_of_a_prior_the_curvature_counts():
    prior = Prior(rows=np.array([[0.0], [1.0]]), weights=np.array([2.0, 3.0]), concentration=2.0)
    result = fitted(model=LatentVariableModel(Categorical(2), DiagonalGaussian(), prior))
    with examined(result, Serial()) as first:
        case = first.refined()
        apart = in_units(case, case.linear.observed - numerical_information(case))
    assert np.abs(apart).max() < 1e-6
    np.testing.assert_allclose(result.standard_errors("louis").errors, result.standard_errors().errors, rtol=1e-5)
    with_prior, bare = (spread(one, "scores").covariance for one in (case, replace_prior(case)))
    np.testing.assert_allclose(np.linalg.inv(with_prior) - np.linalg.inv(bare), prior_information(case), atol=1e-9)


def replace_prior(case):
    """The same point, of the model without a prior."""
    problem = replace(case.surface.problem, model=GAUSSIANS)
    return replace(case, surface=replace(case.surface, problem=problem))


def test_of_a_normal_sample_errors_are_the_textbook_s():
    x = gaussian_data()
    alone = mixture([1.0], DiagonalGaussianParameters(np.zeros((1, 1)), np.ones((1, 1))))
    result = fitted(x, LatentVariableModel(Categorical(1), DiagonalGaussian()), alone)
    errors = result.standard_errors()
    n, s2 = len(x), x.var()
    np.testing.assert_allclose(errors.errors[1:], [np.sqrt(s2 / n), s2 * np.sqrt(2 / n)], rtol=1e-8)
    fourth = np.mean((x - x.mean()) ** 4)
    robust = result.standard_errors("sandwich").errors[1:]
    np.testing.assert_allclose(robust, [np.sqrt(s2 / n), np.sqrt((fourth - s2**2) / n)], rtol=1e-8)


def test_profile_of_a_normal_mean_is_known():
    """ℓ_p(μ) = -n/2 log(s² + (x̄ - μ)²): the ends are x̄ ± s √(e^{z²/n} - 1)."""
    x = gaussian_data(60)
    alone = mixture([1.0], DiagonalGaussianParameters(np.zeros((1, 1)), np.ones((1, 1))))
    errors = fitted(x, LatentVariableModel(Categorical(1), DiagonalGaussian()), alone).standard_errors()
    half = x.std() * np.sqrt(np.expm1(1.959963984540054**2 / len(x)))
    ends = errors.intervals(scale="profile", names=["emission.means[0,0]"])
    np.testing.assert_allclose(ends, [[x.mean() - half, x.mean() + half]], rtol=1e-6)


def test_profile_intervals_do_not_depend_on_the_scale_and_hold_the_estimate(gaussians):
    errors = gaussians.standard_errors()
    ends = errors.intervals(scale="profile")
    assert np.all((ends[:, 0] < errors.estimates) & (errors.estimates < ends[:, 1]))
    np.testing.assert_allclose(ends[0], 1 - ends[1, ::-1], atol=1e-6)
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * 1.96 * errors.errors, rtol=0.1)


def test_wald_intervals_stay_inside_the_range(gaussians):
    errors = gaussians.standard_errors()
    wide = errors.intervals(0.9999999, scale="unconstrained")
    np.testing.assert_array_equal(errors.intervals(0.9999999, names=errors.names[::-1]), wide[::-1])
    assert np.all(wide[:2] > 0) and np.all(wide[:2] < 1) and np.all(wide[4:] > 0)
    natural = errors.intervals(scale="natural")
    np.testing.assert_allclose(natural.mean(axis=1), errors.estimates)


@pytest.mark.parametrize("method", ["parametric", "nonparametric"])
def test_a_bootstrap_agrees_where_there_are_many_rows(method):
    result = fitted(gaussian_data(600), tol=1e-6)
    drawn = result.standard_errors(method, replicates=120, random_state=1, executor=Serial())
    np.testing.assert_allclose(drawn.errors, result.standard_errors().errors, rtol=0.35)
    again = result.standard_errors(method, replicates=120, random_state=1, executor="threads")
    np.testing.assert_array_equal(drawn.covariance, again.covariance)
    difference = drawn.of(lambda theta: theta.emission.means[1, 0] - theta.emission.means[0, 0])
    assert difference.error == pytest.approx(np.sqrt(drawn.errors[2] ** 2 + drawn.errors[3] ** 2), rel=0.35)
    ends = drawn.intervals(scale="percentile")
    assert np.all((ends[:, 0] < drawn.estimates) & (drawn.estimates < ends[:, 1]))


@pytest.mark.parametrize("kind", ["mixture", "chain"])
def test_components_of_replicates_are_aligned(kind, gaussians):
    result = gaussians if kind == "mixture" else chain_result()
    turned = permute(result.model, result.parameters, result.source, np.array([1, 0]))
    back = aligned(result, turned, result.source, Serial())
    np.testing.assert_array_equal(entries(back), entries(result.parameters))
    assert not np.array_equal(entries(turned), entries(back))


def test_an_entry_at_its_end_has_no_number_and_a_reason():
    rng = np.random.default_rng(1)
    state = np.repeat([0, 1], 150)
    x = (rng.random((300, 4)) < np.array([[1.0, 0.8, 0.7, 0.6], [0.3, 0.2, 0.3, 0.1]])[state]).astype(float)
    begin = mixture([0.5, 0.5], BernoulliParameters(np.array([[0.95, 0.8, 0.7, 0.6], [0.3, 0.2, 0.3, 0.1]])))
    result = fitted(x, LatentVariableModel(Categorical(2), Bernoulli()), begin)
    errors = result.standard_errors()
    name = "emission.probabilities[0,0]"
    assert next(iter(errors.reasons)) in (name, "logit emission.probabilities[0,0]")
    assert "1, and the slope of the objective keeps it there" in errors.reasons[name]
    assert np.isnan(errors[name]) and np.isfinite(errors.errors).sum() == 9
    assert np.isnan(errors.intervals(names=[name])).all()
    assert np.isnan(errors.intervals(scale="profile", names=[name])).all()
    assert "no number for" in str(errors)


def test_a_flat_direction_has_no_number_and_a_reason():
    """Two binary items do not identify two classes: 5 parameters, 3 free cells."""
    rng = np.random.default_rng(1)
    x = (rng.random((300, 2)) < [0.4, 0.7]).astype(float)
    begin = mixture([0.5, 0.5], BernoulliParameters(np.array([[0.5, 0.4], [0.3, 0.8]])))
    errors = fitted(x, LatentVariableModel(Categorical(2), Bernoulli()), begin, tol=1e-10).standard_errors()
    assert np.isnan(errors.errors).sum() >= 2
    assert any("flat along" in reason for reason in errors.reasons.values())
    seen = errors.of(lambda theta: theta.latent.weights @ theta.emission.probabilities)
    np.testing.assert_allclose(seen.error, np.sqrt(x.mean(0) * (1 - x.mean(0)) / 300), rtol=1e-3)


def test_of_a_saddle_there_is_no_number():
    x = gaussian_data()
    same = mixture([0.5, 0.5], DiagonalGaussianParameters(np.full((2, 1), x.mean()), np.full((2, 1), x.var())))
    errors = fitted(x, begin=same).standard_errors()
    assert np.isnan(errors.errors).any()
    assert any("rises along" in reason or "flat along" in reason for reason in errors.reasons.values())


def test_what_is_fixed_has_no_number():
    model = LatentVariableModel(Categorical(2, fixed=(0, 1)), DiagonalGaussian())
    errors = fitted(model=model).standard_errors()
    assert errors.reasons["latent.weights[0]"] == "it is held where it is"
    assert np.isfinite(errors.errors[2:]).all()


@pytest.mark.parametrize("method", ["oakes", "louis", "sem", "scores", "sandwich"])
def test_nothing_free_is_no_error(method):
    family = zoo.co.Constrained(DiagonalGaussian(), fixed=ALL_HELD)
    model, begin = LatentVariableModel(Categorical(2, fixed=(0, 1)), family), family.constrain(BEGIN.emission)
    errors = fitted(model=model, begin=mixture([0.4, 0.6], begin), max_iter=5).standard_errors(method)
    assert np.isnan(errors.errors).all() and len(errors.coordinates) == 0


def chain_result():
    rng = np.random.default_rng(5)
    latent = MarkovChain(2, fixed_initial=[0.5, 0.5])
    chain = latent.conform(MarkovChainParameters(np.full(2, 0.5), np.array([[0.9, 0.1], [0.2, 0.8]])))
    model = LatentVariableModel(latent, Poisson())
    params = ModelParameters(chain, PoissonParameters(np.array([[1.0], [6.0]])))
    data = simulated(model, params, ArraySource(np.zeros((300, 1)), lengths=[30] * 10), rng)
    return em.fit(model, data, parameters=params, tol=1e-10, executor=Serial())


def test_sequences_are_units():
    result = chain_result()
    oakes, sem = result.standard_errors(), result.standard_errors("sem")
    np.testing.assert_allclose(sem.errors, oakes.errors, rtol=1e-5)
    sandwich = result.standard_errors("sandwich", clusters="groups")
    np.testing.assert_allclose(sandwich.errors, result.standard_errors("sandwich").errors, rtol=1e-8)
    with pytest.raises(em.ParameterError, match="another cluster than its group"):
        result.standard_errors("sandwich", clusters=np.arange(300))
    with pytest.raises(em.ParameterError, match="'oakes'"):
        result.standard_errors("louis")
    for kind in ("parametric", "nonparametric"):
        drawn = result.standard_errors(kind, replicates=20, random_state=0)
        np.testing.assert_allclose(drawn.errors[2:], oakes.errors[2:], rtol=0.8)


def test_clusters_are_drawn_whole():
    """Copies of a row in one cluster tell no more than the row, whatever the resampling."""
    copies = fitted(np.repeat(gaussian_data(60), 4, axis=0), tol=1e-6)
    keys = np.repeat(np.arange(60), 4)
    whole, apart = (
        copies.standard_errors("nonparametric", clusters=one, replicates=40, random_state=0).errors
        for one in (keys, None)
    )
    assert np.median(whole / apart) == pytest.approx(2, rel=0.35)


def test_missing_entries_and_rows_that_stand_for_others():
    """Moments alone are fitted, and the units' scores are still those of the rows."""
    rng = np.random.default_rng(2)
    x = rng.multivariate_normal([0, 0, 0], np.eye(3) + 0.5, size=150)
    x[::4, 1] = np.nan
    result = em.fit(LatentVariableModel(em.Normal(1), zoo.lgn.LinearGaussian()), x, tol=1e-10, random_state=0)
    assert result.source.n_rows == 150
    robust, plain = result.standard_errors("sandwich").errors, result.standard_errors().errors
    free = np.isfinite(plain)
    assert free.sum() >= 9
    np.testing.assert_allclose(robust[free], plain[free], rtol=0.4)


def test_an_examination_serves_certificate_and_errors(gaussians):
    with examined(gaussians, Serial()) as one, examined(gaussians, Serial()) as two:
        assert one.whole is two.whole
        assert one.refined().whole is two.refined().whole


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "bayes"}, "method must be one of"),
        ({"clusters": "groups"}, "clusters are for"),
        ({"method": "sandwich", "clusters": "groups"}, "without groups"),
        ({"method": "sandwich", "clusters": [1, 2]}, "one key for each of the 200 rows"),
        ({"method": "parametric", "replicates": 2}, "at least 10"),
    ],
)
def test_what_cannot_be_asked_is_refused(gaussians, options, match):
    with pytest.raises(em.ParameterError, match=match):
        gaussians.standard_errors(**options)


def test_intervals_refuse_what_they_do_not_know(gaussians):
    errors = gaussians.standard_errors()
    with pytest.raises(em.ParameterError, match="scale must be one of"):
        errors.intervals(scale="percentile")
    with pytest.raises(em.ParameterError, match="between 0 and 1"):
        errors.intervals(95)
    with pytest.raises(em.ParameterError, match="no entry"):
        errors.intervals(names=["means"])


def test_a_fit_far_from_its_limit_is_told():
    begin = mixture([0.3, 0.7], DiagonalGaussianParameters(np.array([[-1.0], [1.0]]), np.ones((2, 1))))
    errors = fitted(tol=1e-3, max_iter=2, begin=begin).standard_errors()
    assert "standard errors from its limit" in errors.told[0]
