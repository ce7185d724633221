"""Log densities of independent columns and of directions agree with 50-digit arithmetic to 1e-13 · max(1, |log p|)."""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
import pytest

from latentem.data import Batch
from latentem.families.bernoulli import Bernoulli, BernoulliParameters
from latentem.families.beta import Beta, BetaParameters
from latentem.families.exponential import Exponential, ExponentialParameters
from latentem.families.gamma import Gamma, GammaParameters
from latentem.families.geometric import Geometric, GeometricParameters
from latentem.families.inverse_gaussian import InverseGaussian, InverseGaussianParameters
from latentem.families.log_normal import LogNormal, LogNormalParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.uniform_noise import UniformNoise, UniformNoiseParameters
from latentem.families.von_mises_fisher import VonMisesFisher, VonMisesFisherParameters
from latentem.kernels.bessel import bessel_ratio, log_bessel
from latentem.kernels.special import digamma_step, exact_product, log_beta, reciprocal_trigamma_excess

DIGITS = 1e-13
COUNTS = (0.0, 1.0, 2.0, 5.0, 16.0, 149.0, 1e3, 12345.0, 1e6, 999999937.0, 1e12)
SHAPES = (1e-3, 0.3, 1.0, 2.5, 14.0, 200.0, 1e4, 1e6, 1e8)
SPREADS = (-6.0, -2.0, -0.3, 0.0, 0.1, 1.0, 5.0)


def poisson(x, rate):
    return x * mp.log(rate) - rate - mp.loggamma(x + 1)


def bernoulli(x, p):
    return mp.log(p) if x == 1 else mp.log(1 - p)


def geometric(x, p):
    return mp.log(p) + x * mp.log(1 - p)


def exponential(x, rate):
    return mp.log(rate) - rate * x


def gamma(x, a, b):
    return a * mp.log(b) - mp.loggamma(a) + (a - 1) * mp.log(x) - b * x


def beta(x, a, b):
    return (a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b)


def inverse_gaussian(x, mean, shape):
    return mp.log(shape / (2 * mp.pi * x**3)) / 2 - shape * (x - mean) ** 2 / (2 * mean**2 * x)


def near(mean, spread):
    """Values about a mean by steps of the spread, and far from it."""
    values = [mean + step * spread for step in SPREADS] + [mean * factor for factor in (1e-3, 0.5, 2.0, 30.0)]
    return sorted({float(value) for value in values if value > 0})


def poisson_points():
    rates = (1e-12, 1e-3, 0.7, 3.0, 150.0, 1234.5, 1e6, 1e9, 1e12)
    around = [(np.floor(x), rate) for rate in rates for x in near(rate, np.sqrt(rate))]
    return [*product(COUNTS, rates), *around]


def geometric_points():
    return list(product(COUNTS, (1e-12, 1e-9, 0.001, 0.3, 0.9, 1 - 1e-12)))


def bernoulli_points():
    return list(product((0.0, 1.0), (1e-12, 1e-6, 0.3, 0.5, 0.999, 1 - 1e-12)))


def exponential_points():
    return [(x, 1 / m) for m in (1e-150, 1e-9, 0.3, 1e9, 1e149) for x in (0.0, *near(m, m))]


def gamma_points():
    scales = (1e-150, 1e-9, 1.0, 137.0, 1e9)
    return [(x, a, a / m) for a, m in product(SHAPES, scales) for x in near(m, m / np.sqrt(a)) if x >= 1e-300]


def beta_points():
    points = []
    for a, b in product(SHAPES, (*SHAPES, 1e10)):
        mean = a / (a + b)
        values = near(mean, np.sqrt(mean * (1 - mean) / (a + b + 1)))
        points += [(x, a, b) for x in (*values, 1e-150, 1 - 1e-15) if 0 < x < 1]
    return points


def inverse_gaussian_points():
    scales = (1e-140, 1e-9, 1.0, 1e9, 1e140)
    return [(x, m, m * a) for a, m in product((1e-3, 0.5, 3.0, 300.0, 1e8), scales) for x in near(m, m / np.sqrt(a))]


COLUMNWISE = {
    "poisson": (Poisson(), PoissonParameters, poisson, poisson_points),
    "bernoulli": (Bernoulli(), BernoulliParameters, bernoulli, bernoulli_points),
    "geometric": (Geometric(), GeometricParameters, geometric, geometric_points),
    "exponential": (Exponential(), ExponentialParameters, exponential, exponential_points),
    "gamma": (Gamma(), GammaParameters, gamma, gamma_points),
    "beta": (Beta(), BetaParameters, beta, beta_points),
    "inverse_gaussian": (InverseGaussian(), InverseGaussianParameters, inverse_gaussian, inverse_gaussian_points),
}


def assert_digits(found, expected, digits=DIGITS):
    for value, reference in zip(found, expected, strict=True):
        assert abs(mp.mpf(float(value)) - reference) <= digits * max(1, abs(reference)), (value, float(reference))


@pytest.mark.parametrize("name", COLUMNWISE)
def test_log_density_agrees_with_fifty_digits_directly_and_by_the_fast_path(name):
    family, record, formula, points = COLUMNWISE[name]
    for x, *params in points():
        with mp.workdps(50):
            expected = formula(mp.mpf(x), *map(mp.mpf, params))
            here = record(*(np.full((1, 1), value) for value in params))
            fast = family.log_density(Batch(np.full((1, 1), x)), here)[0, 0]
            direct = family.log_pdf(np.full((1, 1), x), here, 0)[0, 0]
            for value in (fast, direct):
                assert abs(mp.mpf(float(value)) - expected) <= DIGITS * max(1, abs(expected)), (x, params, value)


@pytest.mark.parametrize("name", COLUMNWISE)
def test_log_density_of_a_table_is_the_sum_of_its_columns_whatever_path_each_row_takes(name):
    family, record, formula, points = COLUMNWISE[name]
    rng = np.random.default_rng(7)
    table = np.array(points())[rng.integers(len(points()), size=(60, 3))]
    params = record(*(table[:2, :, j] for j in range(1, table.shape[2])))
    found = family.log_density(Batch(table[:, :, 0]), params)
    with mp.workdps(50):
        for n, k in product(range(0, 60, 4), range(2)):
            terms = [formula(*map(mp.mpf, (table[n, d, 0], *table[k, d, 1:]))) for d in range(3)]
            size = max(1, sum(map(abs, terms)))
            assert abs(mp.mpf(float(found[k, n])) - sum(terms)) <= DIGITS * size


@pytest.mark.parametrize("location", [0.0, 3.0, 21.0, -340.0])
@pytest.mark.parametrize("variance", [1e-8, 1e-4, 0.5, 9.0])
def test_log_normal_agrees_with_fifty_digits_up_to_the_rounding_of_log_x(location, variance):
    x = np.exp(location + np.sqrt(variance) * np.array([-4.0, -1.0, -0.01, 0.3, 3.0]))
    params = LogNormalParameters(np.full((1, 1), location), np.full((1, 1), variance))
    found = LogNormal().log_density(Batch(x[:, None]), params)[0]
    with mp.workdps(50):
        for value, here in zip(found, map(mp.mpf, x), strict=True):
            z = (mp.log(here) - location) / mp.sqrt(variance)
            expected = -z * z / 2 - mp.log(2 * mp.pi * variance) / 2 - mp.log(here)
            rounding = np.finfo(float).eps * abs(location) * abs(z) / np.sqrt(variance)
            assert abs(mp.mpf(float(value)) - expected) <= DIGITS * max(1, abs(expected)) + rounding


def scaled_bessel(order, kappa):
    """I_ν(κ) e^{-κ}; Hankel's expansion where the power series would be long."""
    order, kappa = mp.mpf(order), mp.mpf(kappa)
    if kappa < 2000:
        return mp.besseli(order, kappa) * mp.exp(-kappa)
    total = term = mp.mpf(1)
    for j in range(1, 200):
        term *= -(4 * order**2 - (2 * j - 1) ** 2) / (8 * kappa * j)
        total += term
        if abs(term) < mp.mpf(10) ** -45:
            break
    return total / mp.sqrt(2 * mp.pi * kappa)


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 20.0, 59.5, 60.0, 149.0, 511.0])
@pytest.mark.parametrize("kappa", [1e-300, 1e-8, 0.5, 1.0, 9.99, 10.01, 100.0, 1500.0, 1e8, 1e12])
def test_bessel_functions_agree_with_fifty_digits_for_tiny_and_for_large_arguments(order, kappa):
    with mp.workdps(50):
        value = scaled_bessel(order, kappa)
        expected = mp.log(value) + order * mp.log(mp.mpf(max(kappa, 1.0)) / mp.mpf(kappa))
        found = float(log_bessel(order, np.array([kappa]))[0])
        assert abs(found - expected) <= 1e-14 * max(1, abs(expected))
        ratio = scaled_bessel(order + 1, kappa) / value
        assert abs(float(bessel_ratio(order, np.array([kappa]))[0]) / ratio - 1) <= 1e-14


@pytest.mark.parametrize("dimension", [2, 3, 10, 130, 768])
@pytest.mark.parametrize("kappa", [0.0, 1e-200, 1e-5, 0.8, 40.0, 99.0, 101.0, 1500.0, 1e8])
def test_von_mises_fisher_agrees_with_fifty_digits_up_to_the_rounding_of_directions(dimension, kappa):
    rng = np.random.default_rng(dimension)
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    params = VonMisesFisherParameters(kappa * direction[None, :])
    x = direction + rng.standard_normal((4, dimension)) / np.sqrt(max(kappa, 1.0))
    x[3] = -direction
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = VonMisesFisher().log_density(Batch(x), params)[0]
    with mp.workdps(60):
        natural = [mp.mpf(float(value)) for value in params.naturals[0]]
        size = mp.sqrt(sum(value**2 for value in natural))
        order = mp.mpf(dimension) / 2 - 1
        if size > 0:
            constant = order * mp.log(size) - mp.log(scaled_bessel(order, size)) - size
        else:
            constant = order * mp.log(2) + mp.loggamma(order + 1)
        for row, value in zip(x, found, strict=True):
            exact = [mp.mpf(float(entry)) for entry in row]
            length = mp.sqrt(sum(entry**2 for entry in exact))
            cosine = sum(a * b for a, b in zip(natural, exact, strict=True)) / length
            expected = constant + cosine - (order + 1) * mp.log(2 * mp.pi)
            rounding = 4 * np.finfo(float).eps * np.sqrt(max(kappa, 1.0) * abs(float(size - cosine)))
            assert abs(mp.mpf(float(value)) - expected) <= DIGITS * max(1, abs(expected)) + rounding


def test_uniform_noise_has_minus_the_log_volume_inside_its_box_ends_included_and_minus_infinity_outside():
    family = UniformNoise((0.0, -1e9), (1e-9, 1e9))
    rows = np.array([[0.0, 1e9], [5e-10, 0.0], [2e-9, 0.0], [5e-10, -2e9], [np.nan, 3.0], [np.nan, np.nan]])
    found = family.log_density(Batch(rows, missing=True), UniformNoiseParameters(np.empty((2, 0))))
    widths = np.log([1e-9, 2e9])
    np.testing.assert_allclose(found[0, :2], -widths.sum(), rtol=1e-15)
    assert np.all(found[:, 2:4] == -np.inf)
    np.testing.assert_allclose(found[1, 4:], [-widths[1], 0.0], rtol=1e-15)


@pytest.mark.parametrize("x", [1e-200, 1e-8, 0.4, 3.0, 14.9, 15.1, 2e3, 1e9])
@pytest.mark.parametrize("h", [1e-200, 1e-12, 0.3, 7.0, 1e8, 1e150])
def test_differences_of_gamma_functions_keep_their_digits(x, h):
    with mp.workdps(450):
        step = mp.digamma(mp.mpf(x) + mp.mpf(h)) - mp.digamma(mp.mpf(x))
        assert abs(float(digamma_step(np.array([x]), np.array([h]))[0]) / step - 1) < 1e-14
        expected = mp.loggamma(x) + mp.loggamma(h) - mp.loggamma(mp.mpf(x) + mp.mpf(h))
        assert abs(float(log_beta(np.array([x]), np.array([h]))[0]) - expected) < 2e-14 * max(1, abs(expected))


@pytest.mark.parametrize("x", [1e-8, 0.4, 3.0, 14.9, 15.1, 2e3, 1e9])
def test_reciprocal_trigamma_less_its_argument_keeps_its_digits(x):
    with mp.workdps(60):
        expected = 1 / mp.polygamma(1, mp.mpf(x)) - mp.mpf(x)
        assert abs(float(reciprocal_trigamma_excess(np.array([x]))[0]) / expected - 1) < 1e-13


def test_products_are_exact_in_two_pieces():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 50)) * 10.0 ** rng.integers(-60, 60, (2, 50))
    high, low = exact_product(a, b)
    with mp.workdps(60):
        assert all(mp.mpf(p) + mp.mpf(e) == mp.mpf(x) * mp.mpf(y) for x, y, p, e in zip(a, b, high, low, strict=True))
