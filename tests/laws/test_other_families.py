"""What the families that are no columnwise exponential ones keep beyond the laws of every family."""

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import zoo

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.errors import DataError, ParameterError
from latentem.execution import Serial
from latentem.families import gaussian as g
from latentem.families.categorical import CategoricalColumns, CategoryParameters, ColumnProbabilities
from latentem.families.local import LONGEST_STEP, newton_step
from latentem.families.multinomial import Multinomial, MultinomialParameters
from latentem.families.negative_binomial import NegativeBinomial, NegativeBinomialParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.student_t import FullStudentT, FullStudentTParameters
from latentem.families.student_t_diagonal import DiagonalStudentT, DiagonalStudentTParameters
from latentem.families.weibull import Weibull, WeibullParameters
from latentem.kernels.student_t import maximize_dof
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters, Posterior
from latentem.result import Step

SPECIMENS = {
    **zoo.FAMILIES,
    "FullStudentT, one dof": zoo.FamilySpecimen(
        FullStudentT(dof="tied"),
        lambda k: FullStudentTParameters(zoo.between(-2, 3)(k), zoo.covariances(k), np.array([5.0])),
    ),
    "DiagonalStudentT, 4 dof": zoo.FamilySpecimen(
        DiagonalStudentT(dof=4.0),
        lambda k: DiagonalStudentTParameters(zoo.between(-2, 3)(k), zoo.between(0.7, 2)(k), np.empty(0)),
    ),
}
LOCAL = ["NegativeBinomial", "Weibull"]
STUDENTS = ["FullStudentT", "DiagonalStudentT", "FullStudentT, one dof", "DiagonalStudentT, 4 dof"]
OTHERS = [*LOCAL, *STUDENTS, "CategoricalColumns", "Multinomial"]


def drawn(name, rng, n=240, k=2):
    """A family, parameters of its components, and rows drawn from them in turn."""
    specimen = SPECIMENS[name]
    family, params = specimen.of(k), specimen.parameters(k)
    return family, params, family.sample(params, np.arange(n) % k, rng)


def with_holes(values, rng):
    return np.where(rng.random(values.shape) < 0.2, np.nan, values)


def fit(family, params, values, k=2, **options):
    start = ModelParameters(CategoricalParameters(np.full(k, 1 / k)), params)
    aligned = {name: options.pop(name, None) for name in ("weights", "labels")}
    source = ArraySource(values, chunk_rows=128, **aligned)
    model = LatentVariableModel(Categorical(k), family)
    return run(model, source, start, executor=Serial(), **{"tol": 1e-8, "max_iter": 100, **options})


# -- mixtures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("missing", [False, True])
def test_a_weighted_mixture_fit_is_monotone(name, missing, rng):
    family, params, values = drawn(name, rng)
    if missing and SPECIMENS[name].missing:
        values = with_holes(values, rng)
    iterations = []
    result = fit(family, params, values, weights=rng.uniform(0.5, 2, len(values)), callbacks=[iterations.append])
    falls = [a.objective - b.objective - a.rounding for a, b in pairwise(iterations)]
    assert len(falls) > 5 and max(falls) <= 0
    assert result.objective > iterations[0].objective + 0.01
    result.parameters.check()


@pytest.mark.parametrize("name", OTHERS)
def test_the_score_vanishes_where_a_fit_ends(name, rng):
    """With known components, so that EM is quick; the limit of EM-gradient steps is the maximum too."""
    family, params, values = drawn(name, rng, 300)
    result = fit(family, params, values, labels=np.arange(300) % 2, tol=0.0, max_iter=2000)
    score = result.model.score(result.expectation.statistics, result.parameters)
    assert result.status.converged
    assert np.abs(score).max() <= 1e-5 * len(values)


@pytest.mark.parametrize("name", LOCAL)
def test_one_newton_step_a_fold_reaches_the_maximum_quadratically(name, rng):
    """Without a latent, EM-gradient is Newton's method; the pooled start is within its reach."""
    family, _, values = drawn(name, rng)
    params = family.start(Batch(values), 1)
    result = fit(family, params, values, k=1, tol=0.0)
    assert result.status.converged and result.n_iter <= 25
    assert np.abs(family.score(result.expectation.statistics.emission, result.parameters.emission)).max() < 1e-6


@pytest.mark.parametrize("name", LOCAL)
def test_a_start_far_away_is_damped_and_arrives(name, rng):
    family, params, values = drawn(name, rng)
    far = params.unflatten(params.flatten() + rng.choice([-4.0, 4.0], size=params.n_free))
    near, arrived = fit(family, params, values, k=2), fit(family, far, values, k=2, max_iter=600)
    assert arrived.objective >= near.objective - 0.1 * abs(near.objective)
    falls = np.diff([objective for _, objective in arrived.history])
    assert falls.min() >= -1e-9 * abs(arrived.objective)
    assert any(step in (Step.EM, Step.DAMPED) for step, _ in arrived.history)


def test_equal_counts_are_computed_once_and_change_nothing(rng):
    """Many equal rows take the path of different entries; a batch of few rows does not."""
    family, params, values = drawn("NegativeBinomial", rng)
    values = with_holes(values, rng)
    r = rng.dirichlet(np.ones(2), size=240).T
    parts = [slice(i, i + 2) for i in range(0, 240, 2)]
    density = [family.log_density(Batch(values[part], missing=True), params) for part in parts]
    np.testing.assert_allclose(family.log_density(Batch(values, missing=True), params), np.hstack(density), rtol=1e-14)
    statistics = [family.statistics(Batch(values[p], missing=True), Posterior(r[:, p]), params) for p in parts]
    whole = family.statistics(Batch(values, missing=True), Posterior(r), params)
    for part in ("value", "gradient", "curvature"):
        total = sum(getattr(one, part) for one in statistics)
        np.testing.assert_allclose(getattr(whole, part), total, rtol=1e-11, atol=1e-11)


# -- the local Q -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCAL)
def test_the_quadratic_model_meets_q_to_second_order(name, rng):
    family, params, values = drawn(name, rng, 50)
    r = rng.dirichlet(np.ones(2), size=50).T
    statistics = family.statistics(Batch(values), Posterior(r), params)

    def q(at):
        return float(np.sum(r * family.log_density(Batch(values), at)))

    direction = rng.normal(size=params.n_free)
    assert family.expected_log_density(statistics, params) == pytest.approx(q(params), rel=1e-13)
    errors = []
    for h in (1e-2, 5e-3):
        at = params.unflatten(params.flatten() + h * direction)
        errors.append(abs(q(at) - family.expected_log_density(statistics, at)))
    assert errors[1] == pytest.approx(errors[0] / 8, rel=0.1)


@pytest.mark.parametrize("name", LOCAL)
def test_statistics_at_different_parameters_do_not_add(name, rng):
    family, params, values = drawn(name, rng, 20)
    r = Posterior(np.full((2, 20), 0.5))
    other = params.unflatten(params.flatten() + 0.1)
    with pytest.raises(ValueError, match="reference"):
        family.statistics(Batch(values), r, params) + family.statistics(Batch(values), r, other)


@pytest.mark.parametrize("name", LOCAL)
def test_missing_entries_contribute_nothing(name, rng):
    family, params, values = drawn(name, rng, 30)
    values[:10, 0] = np.nan
    r = rng.dirichlet(np.ones(2), size=30).T
    whole = family.statistics(Batch(values, missing=True), Posterior(r), params)
    rest = family.statistics(Batch(values[10:]), Posterior(r[:, 10:]), params)
    for part in ("value", "gradient", "curvature"):
        np.testing.assert_allclose(getattr(whole, part)[:, 0], getattr(rest, part)[:, 0], rtol=1e-12, atol=1e-12)
    only = family.log_density(Batch(values, missing=True), params)
    assert np.isfinite(only).all()


def test_a_newton_step_is_newtons_where_the_curvature_is_negative_and_rises_everywhere(rng):
    root = rng.normal(size=(50, 3, 3))
    definite = -(root @ np.swapaxes(root, 1, 2)) - np.eye(3)
    gradient = rng.uniform(-1, 1, size=(50, 3))
    nowhere = np.zeros((50, 3), bool)
    step = newton_step(gradient, definite, nowhere, nowhere)
    np.testing.assert_allclose(np.einsum("bij,bj->bi", definite, step), -gradient, atol=1e-10)
    indefinite = root + np.swapaxes(root, 1, 2)
    assert np.all(np.sum(newton_step(gradient, indefinite, nowhere, nowhere) * gradient, axis=1) > 0)


def test_a_newton_step_is_bounded_scale_free_and_zero_without_data(rng):
    gradient, nowhere = np.array([[1e3, 1.0]]), np.zeros((1, 2), bool)
    flat = -1e-3 * np.eye(2)[None]
    step = newton_step(gradient, flat, nowhere, nowhere)
    assert np.abs(step).max() == LONGEST_STEP and step[0, 0] == 1e3 * step[0, 1]
    tiny = newton_step(gradient * 1e-250, flat * 1e-250, nowhere, nowhere)
    np.testing.assert_allclose(tiny, step, rtol=1e-12)
    assert not newton_step(0 * gradient, 0 * flat, nowhere, nowhere).any()


def test_a_coordinate_at_its_bound_stays_while_the_gradient_leads_outwards():
    gradient, curvature = np.array([[1.0, 2.0]]), np.array([[[-2.0, 1.0], [1.0, -4.0]]])
    nowhere, first = np.zeros((1, 2), bool), np.array([[True, False]])
    np.testing.assert_allclose(newton_step(gradient, curvature, nowhere, first), [[0.0, 0.5]])
    free = newton_step(gradient, curvature, nowhere, nowhere)
    np.testing.assert_array_equal(newton_step(gradient, curvature, first, nowhere), free)


@pytest.mark.parametrize("name", LOCAL)
def test_parameters_beyond_a_bound_count_as_on_it(name, rng):
    family, params, values = drawn(name, rng, 20)
    far = params.unflatten(params.flatten() + 100.0)
    inside = family.within(far)
    assert family.within(inside) is inside
    np.testing.assert_array_equal(family.log_density(Batch(values), far), family.log_density(Batch(values), inside))


def test_equal_lifetimes_hold_the_weibull_shape_at_its_bound_and_are_told():
    family = Weibull(shape_range=(0.1, 100.0))
    values = np.full((30, 1), 5.0)
    result = fit(family, family.start(Batch(values), 1), values, k=1)
    assert result.parameters.emission.shapes == pytest.approx(100.0)
    assert result.parameters.emission.scales == pytest.approx(5.0)
    assert ["upper bound" in finding.message for finding in result.findings] == [True]
    spread = values * np.arange(1, 31)[:, None]
    assert not fit(Weibull(), WeibullParameters(np.ones((1, 1)), np.ones((1, 1))), spread, k=1).findings


def test_counts_that_vary_too_little_hold_the_size_at_its_bound_and_fit_as_poisson():
    family = NegativeBinomial(size_range=(1e-2, 1e9))
    values = np.tile([[4.0], [5.0], [6.0]], (10, 1))
    result = fit(family, family.start(Batch(values), 1), values, k=1, tol=0.0)
    assert result.parameters.emission.means == pytest.approx(5.0)
    assert ["upper bound" in finding.message for finding in result.findings] == [True]
    poisson = Poisson().log_density(Batch(values), PoissonParameters(np.array([[5.0]]))).sum()
    assert result.log_likelihood == pytest.approx(poisson, abs=1e-6)


def test_only_zeros_are_a_fit_of_a_negative_binomial_with_a_finding():
    values = np.zeros((10, 1))
    family = NegativeBinomial()
    result = fit(family, family.start(Batch(values + 1), 1), values, k=1, tol=0.0)
    assert result.log_likelihood == pytest.approx(0, abs=1e-9)
    assert any("only zeros" in finding.message for finding in result.findings)


# -- Student's t -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
def test_a_t_with_huge_degrees_of_freedom_is_a_gaussian(missing, rng):
    values = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + 5
    values = with_holes(values, rng) if missing else values
    batch, r = Batch(values, missing=missing), Posterior(rng.dirichlet(np.ones(2), size=60).T)
    means, covariances = zoo.between(3, 6, 3)(2), zoo.covariances(2, 3)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    none = np.empty(0)
    pairs = [
        (FullStudentT(dof=1e15), FullStudentTParameters(means, covariances, none),
         g.FullGaussian(), g.FullGaussianParameters(means, covariances)),
        (DiagonalStudentT(dof=1e15), DiagonalStudentTParameters(means, variances, none),
         g.DiagonalGaussian(), g.DiagonalGaussianParameters(means, variances)),
    ]  # fmt: skip
    for family, params, gaussian, normal in pairs:
        np.testing.assert_allclose(family.log_density(batch, params), gaussian.log_density(batch, normal), rtol=1e-10)
        updated = family.maximize(family.statistics(batch, r, params), params)
        expected = gaussian.maximize(gaussian.statistics(batch, r, normal), normal)
        for got, other in zip(list(updated.arrays().values())[:2], expected.arrays().values(), strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-9)


@pytest.mark.parametrize(("family", "make"), [
    (FullStudentT, lambda *a: FullStudentTParameters(*a)),
    (DiagonalStudentT, lambda m, s, v: DiagonalStudentTParameters(m, np.diagonal(s, axis1=1, axis2=2), v)),
])  # fmt: skip
def test_free_tied_and_fixed_degrees_of_freedom(family, make, rng):
    values = rng.standard_t(3, size=(200, 2)) + 6 * (np.arange(200) % 2)[:, None]
    means, scales = np.array([[0.0, 0.0], [6.0, 6.0]]), np.tile(np.eye(2), (2, 1, 1))
    n_free = make(means, scales, np.empty(0)).n_free
    fits = {}
    for dof, start in (("free", np.full(2, 8.0)), ("tied", np.full(1, 8.0)), (8.0, np.empty(0))):
        result = fit(family(dof=dof), make(means, scales, start), values)
        emission = result.parameters.emission
        assert emission.n_free == n_free + len(start)
        fits[dof] = result.log_likelihood, family(dof=dof).degrees_of_freedom(emission)
    assert fits["free"][0] > fits["tied"][0] > fits[8.0][0] + 1
    assert np.ptp(fits["tied"][1]) == 0 and np.ptp(fits["free"][1]) > 0
    np.testing.assert_array_equal(fits[8.0][1], [8.0, 8.0])


@pytest.mark.parametrize("target", [1e-9, 1e-3, 0.1, 1.0, 30.0])
def test_degrees_of_freedom_solve_their_equation(target):
    half = mp.mpf(float(maximize_dof(np.array([target]), 1e12)[0])) / 2
    assert abs((mp.log(half) - mp.digamma(half)) / target - 1) < 1e-7 * max(target, 1e-6) / target + 1e-12


def test_degrees_of_freedom_stay_in_their_range_and_beyond_it_count_as_its_end(rng):
    family = FullStudentT(dof_range=(1.0, 20.0))
    normal, heavy = rng.normal(size=(150, 2)), 100 + rng.standard_t(0.3, size=(150, 2))
    values = np.concatenate([normal, heavy])
    start = FullStudentTParameters(np.array([[0.0, 0], [100, 100]]), np.tile(np.eye(2), (2, 1, 1)), np.full(2, 5.0))
    result = fit(family, start, values, labels=np.repeat([0, 1], 150), max_iter=400)
    emission = result.parameters.emission
    assert emission.dof[0] == 20.0 and emission.dof[1] == 1.0
    assert [f.component for f in result.findings] == [1] and "lower bound" in result.findings[0].message
    beyond = FullStudentTParameters(emission.means, emission.scales, np.array([1e9, 1e-9]))
    np.testing.assert_array_equal(
        family.log_density(Batch(values), beyond), family.log_density(Batch(values), emission)
    )


def test_a_normal_component_is_told_and_a_collapsed_one_held_by_the_floor(rng):
    values = np.concatenate([rng.uniform(-1, 1, size=(200, 2)), np.full((20, 2), 9.0)])
    start = FullStudentTParameters(np.array([[0.0, 0], [9, 9]]), np.tile(np.eye(2), (2, 1, 1)), np.full(2, 500.0))
    result = fit(FullStudentT(), start, values, max_iter=30)
    told = {(finding.component, "floor" in finding.message) for finding in result.findings}
    assert (1, True) in told and (0, False) in told
    np.testing.assert_allclose(result.parameters.emission.scales[1], 1e-6 * np.eye(2), rtol=1e-5)


@pytest.mark.parametrize("name", STUDENTS)
def test_outliers_of_any_size_leave_everything_finite_and_the_mean_in_place(name, rng):
    family, params, values = drawn(name, rng, 200, k=1)
    clean = fit(family, params, values, k=1).parameters.emission.means
    values[0], values[1, 0] = 1e150, -1e150
    result = fit(family, params, values, k=1)
    assert all(np.isfinite(array).all() for array in result.parameters.arrays().values())
    assert np.abs(result.parameters.emission.means - clean).max() < 1


def test_columns_that_are_multiples_of_one_another_are_held_and_told(rng):
    """On a scale where the floor is less than rounding error beside the variance."""
    values = 1e7 * rng.standard_t(4, size=(80, 1)) * [1.0, 2.0, -3.0]
    batch = Batch(values)
    result = fit(FullStudentT(), FullStudentT().start(batch, 1), values, k=1)
    assert result.log_likelihood > FullStudentT().log_density(batch, FullStudentT().start(batch, 1)).sum() + 100
    assert any("floor" in finding.message for finding in result.findings)


def test_moments_of_t_statistics_move_to_another_centre(rng):
    for name in STUDENTS[:2]:
        family, params, values = drawn(name, rng, 40)
        statistics = family.statistics(Batch(values), Posterior(rng.dirichlet(np.ones(2), size=40).T), params)
        moved = statistics.shift(type(statistics.reference)(params.means + 3.0))
        for at in (params, params.unflatten(params.flatten() + 0.1)):
            expected = family.expected_log_density(statistics, at)
            assert family.expected_log_density(moved, at) == pytest.approx(expected, rel=1e-12)


BAD_OPTIONS = [{"dof": "both"}, {"dof": 0.0}, {"dof": np.nan}, {"dof_range": (3.0, 2.0)}, {"floor": -1.0}]


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_t_options_outside_their_domain_raise(options):
    with pytest.raises(ParameterError):
        FullStudentT(**options)
    with pytest.raises(ParameterError):
        DiagonalStudentT(**options)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (2.0, 1.0), (1.0, np.inf), (1.0, np.nan)])
def test_ranges_that_are_none_raise(bounds):
    with pytest.raises(ParameterError, match="shape_range"):
        Weibull(shape_range=bounds)
    with pytest.raises(ParameterError, match="size_range"):
        NegativeBinomial(size_range=bounds)


# -- categories ------------------------------------------------------------------------------------

TWO_COLUMNS = CategoricalColumns((2, 3))


@pytest.mark.parametrize(("value", "words"), [(3, "never seen"), (0.5, "whole numbers"), (-1, "whole numbers")])
def test_a_code_outside_is_told_with_its_place(value, words):
    values = np.zeros((4, 2))
    values[2, 1] = value
    with pytest.raises(DataError, match="row 12, column 1 holds") as caught:
        TWO_COLUMNS.check(Batch(values, first_row=10))
    assert words in str(caught.value)


def test_the_number_of_columns_of_categories_must_match():
    with pytest.raises(DataError, match="expected 2 columns"):
        TWO_COLUMNS.log_density(Batch(np.zeros((3, 1))), TWO_COLUMNS.start(Batch(np.zeros((3, 2))), 1))
    with pytest.raises(ParameterError):
        CategoricalColumns(())


def test_a_probability_of_zero_stays_and_makes_a_row_impossible_in_that_component_alone():
    p = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    params = CategoryParameters((ColumnProbabilities(np.full((2, 2), 0.5)), ColumnProbabilities(p)))
    values = np.array([[0.0, 2], [1, 1], [0, 0], [1, 2]])
    density = TWO_COLUMNS.log_density(Batch(values), params)
    np.testing.assert_array_equal(density == -np.inf, [[True, False, False, True], [False] * 4])
    result = fit(TWO_COLUMNS, params, values)
    assert result.parameters.emission.columns[1].probabilities[0, 2] == 0
    assert np.isfinite(result.log_likelihood)


def test_expected_counts_of_categories_are_weighted_frequencies(rng):
    values = rng.integers(0, (2, 3), size=(50, 2)).astype(float)
    values[3, 1] = np.nan
    r = rng.dirichlet(np.ones(2), size=50).T
    statistics = TWO_COLUMNS.statistics(Batch(values, missing=True), Posterior(r), TWO_COLUMNS.start(Batch(values), 2))
    expected = [r[:, values[:, d] == c].sum(axis=1) for d, n in ((0, 2), (1, 3)) for c in range(n)]
    np.testing.assert_allclose(statistics.counts, np.transpose(expected), rtol=1e-13)


def test_a_row_of_counts_with_some_entries_missing_is_told_and_a_whole_one_left_out():
    params = MultinomialParameters(np.array([[0.2, 0.3, 0.5]]))
    values = np.array([[1.0, 2, 3], [1, np.nan, 0]])
    with pytest.raises(DataError, match="row 11, column 1"):
        Multinomial().log_density(Batch(values, missing=True, first_row=10), params)
    values[1] = np.nan
    with_gap = Multinomial().statistics(Batch(values, missing=True), Posterior(np.ones((1, 2))), params)
    without = Multinomial().statistics(Batch(values[:1]), Posterior(np.ones((1, 1))), params)
    np.testing.assert_array_equal(with_gap.counts, without.counts)
    assert with_gap.log_base == without.log_base


def test_long_rows_of_counts_take_the_accurate_path_and_agree_with_the_product(rng):
    """A batch of short and long rows at once: each row's density is what it is alone."""
    p = np.array([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]])
    rows = np.stack([rng.multinomial(n, p[0]) for n in (3, 400, 10**6, 10**8)]).astype(float)
    together = Multinomial().log_density(Batch(rows), MultinomialParameters(p))
    alone = [Multinomial().log_density(Batch(row[None]), MultinomialParameters(p))[:, 0] for row in rows]
    np.testing.assert_allclose(together, np.transpose(alone), rtol=1e-14)


# -- samples ---------------------------------------------------------------------------------------

N_DRAWS = 40_000


def assert_mean(draws, mean):
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean) <= 5 * error)


def test_samples_have_the_moments_of_their_distribution(rng):
    states = np.zeros(N_DRAWS, int)
    weibull = WeibullParameters(np.array([[0.8, 3.0]]), np.array([[2.0, 5.0]]))
    draws = Weibull().sample(weibull, states, rng)
    assert_mean(draws, weibull.scales[0] * [float(mp.gamma(1 + 1 / s)) for s in weibull.shapes[0]])
    counts = NegativeBinomialParameters(np.array([[0.5, 20.0]]), np.array([[0.3, 4.0]]))
    draws = NegativeBinomial().sample(counts, states, rng)
    assert_mean(draws, counts.means[0])
    assert_mean((draws - counts.means[0]) ** 2, (counts.means + counts.means**2 / counts.sizes)[0])
    p = np.array([[0.1, 0.3, 0.6]])
    assert_mean(Multinomial(n_trials=9).sample(MultinomialParameters(p), states, rng), 9 * p[0])
    codes = CategoricalColumns((3,)).sample(CategoryParameters((ColumnProbabilities(p),)), states, rng)
    assert_mean(codes == np.arange(3), p[0])


def test_samples_of_a_t_have_its_covariance(rng):
    states, scale = np.zeros(N_DRAWS, int), np.array([[2.0, 0.7], [0.7, 1.0]])
    draws = FullStudentT(dof=9.0).sample(FullStudentTParameters(np.ones((1, 2)), scale[None], np.empty(0)), states, rng)
    assert_mean(draws, np.ones(2))
    assert_mean((draws[:, :, None] - 1) * (draws[:, None] - 1), scale * 9 / 7)
    axes = DiagonalStudentTParameters(np.ones((1, 2)), np.array([[2.0, 1.0]]), np.empty(0))
    draws = DiagonalStudentT(dof=9.0).sample(axes, states, rng) - 1
    assert_mean(draws**2, axes.scales[0] * 9 / 7)
    assert_mean((draws[:, 0] * draws[:, 1]) ** 2, 2.0 * 81 / (7 * 5))
