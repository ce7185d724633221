"""Laws of the columnwise families, of directions and of uniform noise, for harsh units and degenerate data.

The laws that hold for every family alike are in `latentem.testing`; here are the others.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.errors import DataError, ParameterError
from latentem.execution import Serial
from latentem.families.bernoulli import Bernoulli, BernoulliParameters
from latentem.families.beta import Beta, BetaParameters
from latentem.families.columnwise import keep_where_empty
from latentem.families.exponential import Exponential, ExponentialParameters
from latentem.families.gamma import Gamma, GammaParameters
from latentem.families.geometric import Geometric, GeometricParameters
from latentem.families.inverse_gaussian import InverseGaussian, InverseGaussianParameters
from latentem.families.log_normal import LogNormal, LogNormalParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.uniform_noise import UniformNoise, UniformNoiseParameters
from latentem.families.von_mises_fisher import VonMisesFisher, VonMisesFisherParameters
from latentem.kernels.bessel import bessel_ratio
from latentem.kernels.beta import beta_shapes
from latentem.kernels.special import digamma_step, gamma_shape
from latentem.kernels.stirling import digamma_minus_log
from latentem.kernels.von_mises_fisher import concentration
from latentem.latents import Categorical
from latentem.model import LatentVariableModel, ModelParameters, Posterior
from latentem.testing import check_family

A = np.array([[0.7, 2.0], [3.0, 0.9], [6.0, 40.0]])
B = np.array([[1.0, 0.3], [2.0, 5.0], [0.5, 8.0]])
P = np.array([[0.1, 0.5], [0.9, 0.02], [0.3, 0.7]])
NATURALS = np.array([[2.0, -1.0, 0.5], [0.0, 0.3, 0.0], [-40.0, 300.0, 90.0]])

PLAIN = {
    "Poisson": (Poisson(), PoissonParameters(A), (-1.0, 0.5, np.inf)),
    "Bernoulli": (Bernoulli(), BernoulliParameters(P), (-1.0, 0.5, 2.0)),
    "Geometric": (Geometric(), GeometricParameters(P), (-1.0, 0.5, np.inf)),
    "Exponential": (Exponential(), ExponentialParameters(A), (-1.0, np.inf)),
    "Gamma": (Gamma(), GammaParameters(A, B), (-1.0, 0.0, 1e-310, np.inf)),
    "InverseGaussian": (InverseGaussian(), InverseGaussianParameters(A, B), (-1.0, 0.0, 1e-310, np.inf)),
    "Beta": (Beta(), BetaParameters(A, B), (-1.0, 0.0, 1.0, 2.0)),
    "LogNormal": (LogNormal(), LogNormalParameters(A - 2, B), (-1.0, 0.0, np.inf)),
}
UNITS = (1e-140, 1e-9, 1e9, 1e140)
SCALED = {
    "Exponential": (Exponential(), lambda c: ExponentialParameters(A / c)),
    "Gamma": (Gamma(), lambda c: GammaParameters(A, B / c)),
    "InverseGaussian": (InverseGaussian(), lambda c: InverseGaussianParameters(A * c, B * c)),
    "LogNormal": (LogNormal(), lambda c: LogNormalParameters(A - 2 + np.log(c), B)),
}


def weighted(batch, rng, k=3):
    """Responsibilities (K, n) beside weights that reach from 1e-6 to 1e3."""
    return Posterior(rng.dirichlet(np.ones(k), len(batch)).T, 10.0 ** rng.uniform(-6, 3, len(batch)))


def draws(family, params, rng, n=300, k=3):
    return Batch(family.sample(params, np.arange(n) % k, rng))


def all_finite(params):
    return all(np.isfinite(value).all() for value in params.arrays().values())


# -- the laws of every family ----------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_columnwise_family_keeps_the_laws(name):
    family, params, outside = PLAIN[name]
    check_family(family, params, 3, missing=True, outside=outside)


def test_von_mises_fisher_keeps_the_laws():
    check_family(VonMisesFisher(), VonMisesFisherParameters(NATURALS), 3, outside=(2.0, 0.99999))


def test_uniform_noise_keeps_the_laws():
    check_family(UniformNoise((-1.0, 0.0), (2.0, 1e-9)), UniformNoiseParameters(np.empty((3, 0))), 3, missing=True)


# -- M-steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_score_vanishes_after_the_m_step_with_uneven_weights(name, rng):
    family, params, _ = PLAIN[name]
    batch = draws(family, params, rng)
    posterior = weighted(batch, rng)
    statistics = family.statistics(batch, posterior, params)
    score = family.score(statistics, family.maximize(statistics, params))
    largest = max(10.0, *(float(np.max(value)) for value in params.arrays().values()))
    assert np.max(np.abs(score)) <= 1e-12 * largest * posterior.responsibilities.sum()


@pytest.mark.parametrize("shape", [1e-2, 0.5, 30.0, 1e4, 1e7])
def test_score_vanishes_after_the_m_step_at_extreme_shapes(shape, rng):
    # The averages determine the slope in log shape to about ε · shape; nothing in the M-step may lose more.
    tolerance = 1e-13 * (10 + shape)
    cells = np.full((1, 2), shape)
    cases = [
        (Gamma(), GammaParameters(cells, cells)),
        (InverseGaussian(), InverseGaussianParameters(cells / shape, cells)),
        (Beta(), BetaParameters(cells, 3 * cells)),
    ]
    for family, params in cases:
        batch = draws(family, params, rng, 200, 1)
        statistics = family.statistics(batch, weighted(batch, rng, 1), params)
        fitted = family.maximize(statistics, params)
        score = family.score(statistics, fitted) / statistics.counts.max()
        assert np.max(np.abs(score)) <= tolerance, type(family).__name__
        for label, value in fitted.arrays().items():
            ratio = value / params.arrays()[label]
            assert shape < 0.1 or np.all((ratio > 0.4) & (ratio < 2.5)), (type(family).__name__, label)


def test_gamma_shape_inverts_its_equation_from_1e_minus_4_to_1e8(rng):
    shapes = 10 ** rng.uniform(-4, 7.9, 2000)
    np.testing.assert_allclose(gamma_shape(-digamma_minus_log(shapes), 1e8), shapes, rtol=5e-14)


def test_beta_shapes_invert_their_equations_however_far_apart_they_are(rng):
    a, b = 10 ** rng.uniform(-3, 7.5, (2, 2000))
    b[:300] *= 1e9
    found = beta_shapes(-digamma_step(a, b), -digamma_step(b, a), 1e8)
    # The mean of log x determines a and b to about ε times the smaller of them.
    tolerance = 5e-14 * (1 + np.minimum(a, b))
    for value, expected in zip(found, (a, b), strict=True):
        assert np.all(np.abs(value / expected - 1) <= tolerance)


@pytest.mark.parametrize("dimension", [2, 3, 10, 768])
def test_concentration_inverts_the_mean_length(dimension, rng):
    kappa = 10 ** rng.uniform(-8, 7.9, 500)
    found = concentration(bessel_ratio(dimension / 2 - 1, kappa), dimension, 1e8)
    assert np.all(np.abs(found / kappa - 1) <= 5e-14 * (1 + kappa / dimension))
    assert concentration(np.array([0.0, 1.0, 1 + 1e-15]), dimension, 1e8).tolist() == [0.0, 1e8, 1e8]


@pytest.mark.parametrize("dimension", [2, 3, 10, 768])
def test_concentration_takes_five_evaluations_at_most(dimension, monkeypatch):
    calls = []
    counted = lambda order, kappa: calls.append(kappa) or bessel_ratio(order, kappa)  # noqa: E731
    monkeypatch.setattr("latentem.kernels.von_mises_fisher.bessel_ratio", counted)
    for length in (1e-8, 1e-3, 0.1, 0.5, 0.9, 0.99, 0.9999, 1 - 1e-7):
        calls.clear()
        concentration(np.array([length]), dimension, 1e8)
        assert 1 <= len(calls) <= 5, length


def test_beta_shapes_of_the_smallest_and_largest_shares_are_finite(rng):
    smallest, largest = np.log(1e-300), np.log1p(-(2.0**-53))
    for log_x, log_rest in ((smallest, -1e-300), (0.5 * smallest, -1e-150), (largest, np.log(2.0**-53))):
        a, b = beta_shapes(np.array([log_x]), np.array([log_rest]), 1e8)
        assert 0 < min(a[0], b[0]) <= 1e8 and max(a[0], b[0]) <= 1.0001e300
    x = np.append(rng.beta(2, 3, size=50), 1e-300)
    a, b = beta_shapes(np.mean(np.log(x), keepdims=True), np.mean(np.log1p(-x), keepdims=True), 1e8)
    np.testing.assert_allclose(-digamma_step(a, b), np.mean(np.log(x)), rtol=1e-12)


# -- units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", SCALED)
def test_units_change_estimates_by_their_factor_and_densities_by_its_logarithm(name, unit, rng):
    family, params_in = SCALED[name]
    plain, scaled = params_in(1.0), params_in(unit)
    batch = draws(family, plain, rng)
    other = Batch(batch.values * unit)
    density = family.log_density(batch, plain) - batch.n_columns * np.log(unit)
    np.testing.assert_allclose(family.log_density(other, scaled), density, rtol=1e-10, atol=1e-10)
    posterior = weighted(batch, rng)
    fitted = family.maximize(family.statistics(other, posterior, scaled), scaled).flatten()
    expected = family.maximize(family.statistics(batch, posterior, plain), plain).flatten()
    np.testing.assert_allclose(fitted - scaled.flatten(), expected - plain.flatten(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mean", [1e-9, 1e-150, 1 - 1e-9])
def test_beta_fits_shares_near_either_end(mean, rng):
    share = min(mean, 1 - mean)
    minor = np.clip(rng.gamma(3.0, share / 3, (500, 1)), 1e-300, 0.5)
    batch = Batch(minor if mean < 0.5 else 1 - minor)
    params = Beta().start(batch, 1)
    smaller, larger = (params.a, params.b) if mean < 0.5 else (params.b, params.a)
    assert 2.3 < smaller.item() < 3.9 and abs(smaller / larger / share - 1).item() < 0.2
    assert np.isfinite(Beta().log_density(batch, params)).all()


# A Gaussian takes a total weight below 1e-12 for none.
FACTORS = [pair for pair in product(PLAIN, (1e-12, 1e-100, 1e60)) if pair != ("LogNormal", 1e-100)]


@pytest.mark.parametrize(("name", "factor"), FACTORS)
def test_the_m_step_does_not_depend_on_the_scale_of_the_weights(name, factor, rng):
    family, params, _ = PLAIN[name]
    batch = draws(family, params, rng)
    posterior = Posterior(rng.dirichlet(np.ones(3), len(batch)).T)
    tiny = Posterior(posterior.probabilities, np.full(len(batch), factor))
    expected = family.maximize(family.statistics(batch, posterior, params), params).flatten()
    found = family.maximize(family.statistics(batch, tiny, params), params).flatten()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# -- degenerate data -------------------------------------------------------------------------------

EQUAL = {
    "Gamma": (Gamma(), (1e-150, 1e-9, 0.3, 7e9, 1e149)),
    "InverseGaussian": (InverseGaussian(), (1e-150, 1e-9, 0.3, 7e9, 1e149)),
    "Beta": (Beta(), (1e-290, 1e-150, 1e-9, 0.3, 1 - 1e-9, 1 - 2.0**-53)),
    "LogNormal": (LogNormal(), (1e-150, 1e-9, 0.3, 7e9, 1e149)),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_values_hold_the_shape_at_its_bound_and_are_told(name):
    family, values = EQUAL[name]
    batch = Batch(np.tile(values, (9, 1)))
    start = family.start(batch, 2)
    statistics = family.statistics(batch, Posterior(np.full((2, 9), 0.5)), start)
    fitted = family.maximize(statistics, start).check()
    assert all_finite(fitted) and family.admissible(fitted)
    assert np.isfinite(family.log_density(batch, fitted)).all()
    assert np.isfinite(family.score(statistics, fitted)).all()
    findings = family.findings(statistics, fitted)
    assert [k for k, _ in findings] == [0, 1] and all("held" in sentence for _, sentence in findings)
    if name in ("Gamma", "InverseGaussian"):
        spread = fitted.shapes if name == "Gamma" else fitted.shapes / fitted.means
        np.testing.assert_allclose(spread, 1e8, rtol=1e-9)


@pytest.mark.parametrize("name", [*PLAIN, "UniformNoise", "VonMisesFisher"])
def test_spread_out_data_leave_no_finding(name, rng):
    others = {
        "UniformNoise": (UniformNoise((0.0,), (1.0,)), UniformNoiseParameters(np.empty((3, 0)))),
        "VonMisesFisher": (VonMisesFisher(), VonMisesFisherParameters(NATURALS)),
    }
    family, params = others[name] if name in others else PLAIN[name][:2]
    batch = draws(family, params, rng)
    statistics = family.statistics(batch, weighted(batch, rng), params)
    fitted = family.maximize(statistics, params)
    assert family.findings(statistics, fitted) == [] and family.admissible(fitted)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_bernoulli_that_saw_only_one_value_leaves_the_other_possible(value):
    batch = Batch(np.full((5, 1), value))
    params = Bernoulli().start(batch, 1)
    bound = 1e-12 if value == 0 else 1 - 1e-12
    assert params.probabilities.item() == bound
    other = Bernoulli().log_density(Batch(np.full((1, 1), 1 - value)), params).item()
    assert other == pytest.approx(np.log(1e-12), rel=1e-5)


def test_probabilities_of_exactly_zero_and_one_give_finite_densities():
    ends = np.array([[0.0, 1.0]])
    rows = Batch(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    for family, params in ((Bernoulli(), BernoulliParameters(ends)), (Geometric(), GeometricParameters(ends))):
        assert np.isfinite(family.log_density(rows, params)).all()
    assert Bernoulli().log_density(rows, BernoulliParameters(ends))[0, 0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("name", ["Poisson", "Geometric", "Exponential"])
def test_only_zeros_give_finite_parameters_and_densities(name):
    family = PLAIN[name][0]
    batch = Batch(np.zeros((4, 2)))
    params = family.start(batch, 2).check()
    assert all_finite(params)
    assert np.isfinite(family.log_density(Batch(np.array([[0.0, 0.0], [3.0, 1e9]])), params)[:, 0]).all()
    statistics = family.statistics(batch, Posterior(np.ones((2, 4))), params)
    assert all_finite(family.maximize(statistics, params))


@pytest.mark.parametrize("name", PLAIN)
def test_a_cell_without_data_keeps_its_parameters_and_the_others_move(name, rng):
    family, params, _ = PLAIN[name]
    batch = draws(family, params, rng)
    r = rng.dirichlet(np.ones(3), len(batch)).T
    r[1] = 0.0
    values = batch.values.copy()
    values[:, 1] = np.nan
    fitted = family.maximize(family.statistics(Batch(values, missing=True), Posterior(r), params), params)
    for label, value in fitted.arrays().items():
        before = params.arrays()[label]
        assert np.array_equal(value[1], before[1]) and np.array_equal(value[:, 1], before[:, 1])
        assert np.all(value[[0, 2], 0] != before[[0, 2], 0])


def test_cells_are_kept_one_by_one():
    filled = np.array([[True, False], [False, True]])
    new, old = GammaParameters(A[:2], A[:2]), GammaParameters(-B[:2], -B[:2])
    kept = keep_where_empty(new, old, filled)
    assert np.array_equal(kept.shapes, np.where(filled, A[:2], -B[:2])) and np.array_equal(kept.shapes, kept.rates)
    assert keep_where_empty(new, old, filled | True) is new


@pytest.mark.parametrize("name", PLAIN)
def test_a_start_where_a_column_was_never_seen_is_sound(name, rng):
    family, params, _ = PLAIN[name]
    values = draws(family, params, rng).values.copy()
    values[:, 0] = np.nan
    start = family.start(Batch(values, missing=True), 3).check()
    assert all_finite(start)
    whole = draws(family, params, rng, 30)
    assert np.isfinite(family.log_density(whole, start)).all()
    assert all(np.array_equal(value[0], value[2]) for value in start.arrays().values())


# -- missing entries -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_a_missing_entry_equals_leaving_its_column_out_of_that_row(name, rng):
    family, params, _ = PLAIN[name]
    batch = draws(family, params, rng, 90)
    holes = rng.random(batch.values.shape) < 0.4
    r = rng.dirichlet(np.ones(3), 90).T
    broken = Batch(np.where(holes, np.nan, batch.values), missing=True)
    density = family.log_density(broken, params)
    fitted = family.maximize(family.statistics(broken, Posterior(r), params), params)
    expected = np.zeros_like(density)
    for d in range(2):
        seen = ~holes[:, d]
        column = Batch(batch.values[seen, d : d + 1])
        here = replace(params, **{label: value[:, d : d + 1] for label, value in params.arrays().items()})
        expected[:, seen] += family.log_density(column, here)
        alone = family.maximize(family.statistics(column, Posterior(r[:, seen]), here), here)
        for label, value in alone.arrays().items():
            np.testing.assert_allclose(fitted.arrays()[label][:, d : d + 1], value, rtol=1e-9)
    np.testing.assert_allclose(density, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_errors_name_row_and_column_and_missing_entries_are_none(name, rng):
    family, params, outside = PLAIN[name]
    values = draws(family, params, rng, 30).values.copy()
    values[3, 0] = np.nan
    family.check(Batch(values, missing=True, first_row=500))
    values[7, 1] = outside[0]
    with pytest.raises(DataError, match=r"row 507, column 1 holds -1"):
        family.check(Batch(values, missing=True, first_row=500))


# -- the two paths ---------------------------------------------------------------------------------


def test_rows_take_the_direct_path_one_by_one_and_only_where_terms_cancel(rng, monkeypatch):
    seen = []
    log_pdf = Poisson.log_pdf
    monkeypatch.setattr(Poisson, "log_pdf", lambda self, x, params, k: seen.append(x) or log_pdf(self, x, params, k))
    counts = np.array([[1.0], [2.0], [1e6], [3.0], [999000.0]])
    params = PoissonParameters(np.array([[1.0], [1e6]]))
    found = Poisson().log_density(Batch(counts), params)
    assert [block.ravel().tolist() for block in seen] == [[1e6, 999000.0]]
    expected = np.stack([log_pdf(Poisson(), counts, params, k)[:, 0] for k in range(2)])
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", PLAIN)
def test_an_impossible_value_has_no_density_that_is_not_a_number(name):
    family, params, _ = PLAIN[name]
    most = 1.0 if name == "Bernoulli" else 1 - 2.0**-53 if name == "Beta" else 1e150
    least = 1e-300 if name in ("Gamma", "InverseGaussian", "Beta", "LogNormal") else 0.0
    density = family.log_density(Batch(np.array([[most, most], [least, least], [most, least]])), params)
    assert not np.isnan(density).any() and not np.any(density == np.inf)


# -- samples ---------------------------------------------------------------------------------------

ONE = np.ones((1, 1))
MOMENTS = {
    "poisson, small": (Poisson(), PoissonParameters(0.3 * ONE), 0.3, 0.3),
    "poisson, beyond integers": (Poisson(), PoissonParameters(1e20 * ONE), 1e20, 1e20),
    "bernoulli": (Bernoulli(), BernoulliParameters(0.2 * ONE), 0.2, 0.16),
    "geometric": (Geometric(), GeometricParameters(0.2 * ONE), 4.0, 20.0),
    "geometric, rare": (Geometric(), GeometricParameters(1e-25 * ONE), 1e25, 1e50),
    "exponential": (Exponential(), ExponentialParameters(4e9 * ONE), 2.5e-10, 6.25e-20),
    "gamma": (Gamma(), GammaParameters(3 * ONE, 2e-9 * ONE), 1.5e9, 0.75e18),
    "gamma, peaked": (Gamma(), GammaParameters(1e8 * ONE, 1e8 * ONE), 1.0, 1e-8),
    "inverse gaussian": (InverseGaussian(), InverseGaussianParameters(2e-9 * ONE, 3e-9 * ONE), 2e-9, 8e-18 / 3),
    "inverse gaussian, skewed": (InverseGaussian(), InverseGaussianParameters(5 * ONE, ONE), 5.0, 125.0),
    "beta": (Beta(), BetaParameters(2 * ONE, 3 * ONE), 0.4, 0.04),
    "log-normal": (LogNormal(), LogNormalParameters(0 * ONE, 0.25 * ONE), np.exp(0.125), np.exp(0.25) * np.expm1(0.25)),
    "uniform": (UniformNoise((1.0,), (3.0,)), UniformNoiseParameters(np.empty((1, 0))), 2.0, 1 / 3),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_samples_have_the_mean_and_variance_of_the_family(name, rng):
    family, params, mean, variance = MOMENTS[name]
    n = 40_000
    batch = Batch(family.sample(params, np.zeros(n, int), rng))
    family.check(batch)
    z = (batch.values[:, 0] - mean) / np.sqrt(variance)
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs((z**2).mean() - 1) < 5 * np.std(z**2) / np.sqrt(n)


@pytest.mark.parametrize("dimension", [2, 3, 20])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 10.0, 1e8])
def test_directions_have_the_mean_length_of_their_concentration(dimension, kappa, rng):
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    family, params = VonMisesFisher(), VonMisesFisherParameters(kappa * direction[None])
    n = 20_000
    rows = family.sample(params, np.zeros(n, int), rng)
    family.check(Batch(rows))
    along = rows @ direction
    expected = bessel_ratio(dimension / 2 - 1, np.array([kappa])).item()
    assert abs(along.mean() - expected) < 5 * along.std() / np.sqrt(n) + 1e-15
    across = rows - along[:, None] * direction
    assert np.all(np.abs(across.mean(axis=0)) < 5 * across.std(axis=0) / np.sqrt(n) + 1e-15)


# -- directions ------------------------------------------------------------------------------------


def test_concentrations_and_directions_are_the_two_parts_of_the_natural_vector():
    naturals = np.array([[3e-170, 4e-170], [0.0, 0.0], [-5e160, 0.0]])
    params = VonMisesFisherParameters(naturals)
    np.testing.assert_allclose(params.concentrations, [5e-170, 0.0, 5e160], rtol=1e-15)
    np.testing.assert_allclose(params.directions, [[0.6, 0.8], [1.0, 0.0], [-1.0, 0.0]], rtol=1e-15)


def test_equal_directions_hold_the_concentration_at_its_option_and_are_told():
    batch = Batch(np.tile([0.6, 0.0, 0.8], (5, 1)))
    for bound in (50.0, 1e8):
        family = VonMisesFisher(largest_concentration=bound)
        start = family.start(batch, 2)
        statistics = family.statistics(batch, Posterior(np.ones((2, 5))), start)
        fitted = family.maximize(statistics, start)
        np.testing.assert_allclose(fitted.concentrations, bound, rtol=1e-12)
        assert np.isfinite(family.log_density(batch, fitted)).all() and family.admissible(fitted)
        assert [k for k, _ in family.findings(statistics, fitted)] == [0, 1]
        assert not family.admissible(VonMisesFisherParameters(1.01 * fitted.naturals))


def test_opposite_directions_give_the_uniform_distribution():
    batch = Batch(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    fitted = VonMisesFisher().start(batch, 1)
    np.testing.assert_allclose(fitted.concentrations, 0.0, atol=1e-15)
    np.testing.assert_allclose(VonMisesFisher().log_density(batch, fitted), -np.log(4 * np.pi), rtol=1e-14)


def test_a_direction_that_is_wholly_missing_tells_nothing_and_one_partly_missing_is_an_error(rng):
    family, params = VonMisesFisher(), VonMisesFisherParameters(NATURALS)
    rows = family.sample(params, np.arange(12) % 3, rng)
    longer = np.concatenate([rows, np.full((3, 3), np.nan)])
    whole, broken = Batch(rows), Batch(longer, missing=True)
    family.check(broken)
    assert np.all(family.log_density(broken, params)[:, 12:] == 0.0)
    r = rng.dirichlet(np.ones(3), 15).T
    found = family.maximize(family.statistics(broken, Posterior(r), params), params)
    expected = family.maximize(family.statistics(whole, Posterior(r[:, :12]), params), params)
    np.testing.assert_allclose(found.naturals, expected.naturals, rtol=1e-12)
    longer[13] = [np.nan, 0.0, 1.0]
    with pytest.raises(DataError, match=r"row 113, column 0 is missing"):
        family.check(Batch(longer, missing=True, first_row=100))


def test_rows_that_are_no_directions_are_errors():
    rows = np.array([[1.0, 0.0], [0.6, 0.8], [0.6, 0.801]])
    with pytest.raises(DataError, match=r"row 2, columns 0 to 1 have length 1.0008"):
        VonMisesFisher().check(Batch(rows))
    with pytest.raises(DataError, match="at least two columns"):
        VonMisesFisher().check(Batch(np.ones((3, 1))))
    with pytest.raises(ParameterError, match="largest_concentration"):
        VonMisesFisher(largest_concentration=0.0)


def test_directions_in_single_precision_are_taken_as_rounded_unit_vectors(rng):
    params = VonMisesFisherParameters(NATURALS)
    rows = VonMisesFisher().sample(params, np.arange(60) % 3, rng).astype(np.float32).astype(float)
    VonMisesFisher().check(Batch(rows))
    exact = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found, expected = (VonMisesFisher().log_density(Batch(x), params) for x in (rows, exact))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# -- noise -----------------------------------------------------------------------------------------


def test_the_covering_box_holds_every_row_and_gives_constant_columns_a_width():
    rows = np.array([[1.0, 5.0, 0.0, 1e-200], [np.nan, 5.0, 0.0, 2e-200], [-3.0, 5.0, 0.0, 1e-200]])
    noise = UniformNoise.covering(rows)
    assert noise.low == (-3.0, 2.5, -0.5, 1e-200) and noise.high == (1.0, 7.5, 0.5, 2e-200)
    params = noise.start(Batch(rows, missing=True), 1)
    assert np.isfinite(noise.log_density(Batch(rows, missing=True), params)).all() and params.n_free == 0


def test_boxes_that_cannot_be_are_errors_that_name_the_column():
    with pytest.raises(ParameterError, match="column 1"):
        UniformNoise((0.0, 1.0), (1.0, 1.0))
    with pytest.raises(ParameterError, match="one number for each column"):
        UniformNoise((0.0, 1.0), (1.0,))
    with pytest.raises(DataError, match="column 1 holds no value"):
        UniformNoise.covering(np.array([[1.0, np.nan], [2.0, np.nan]]))
    with pytest.raises(DataError, match="2 columns, the data have 3"):
        UniformNoise((0.0, 0.0), (1.0, 1.0)).check(Batch(np.zeros((4, 3))))


# -- whole fits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PLAIN, "VonMisesFisher"])
def test_a_mixture_of_each_converges_monotonically_to_a_point_where_the_score_vanishes(name, rng):
    if name == "VonMisesFisher":
        family, params = VonMisesFisher(), VonMisesFisherParameters(np.array([[9.0, 0, 0], [0, 9.0, 1.0]]))
    else:
        family, all_params, _ = PLAIN[name]
        params = replace(all_params, **{label: value[:2] for label, value in all_params.arrays().items()})
    model = LatentVariableModel(Categorical(2), family)
    rows = family.sample(params, np.arange(1200) % 2, rng)
    start = ModelParameters(Categorical(2).start(), params)
    result = run(model, ArraySource(rows), start, executor=Serial(), tol=1e-9, max_iter=4000)
    objectives = [objective for _, objective in result.history]
    assert np.all(np.diff(objectives) >= -1e-12 * np.abs(objectives[0]))
    score = model.score(result.expectation.statistics, result.parameters)
    assert result.converged and np.max(np.abs(score)) < 0.05
