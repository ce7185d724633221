"""Densities and derivatives of families that are no columnwise exponential ones, against 50 digits."""

from itertools import product

import mpmath as mp
import numpy as np
import pytest

from latentem.data import Batch
from latentem.families.categorical import CategoricalColumns, CategoryParameters, ColumnProbabilities
from latentem.families.multinomial import Multinomial, MultinomialParameters
from latentem.families.negative_binomial import NegativeBinomial, NegativeBinomialParameters
from latentem.families.student_t import FullStudentT, FullStudentTParameters
from latentem.families.student_t_diagonal import DiagonalStudentT, DiagonalStudentTParameters
from latentem.families.weibull import Weibull, WeibullParameters

ACCURACY = 1e-13


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def assert_accurate(got, exact, share=ACCURACY, label=()):
    error = float(abs(mp.mpf(float(got)) - exact) / max(1, abs(exact)))
    assert error <= share, (label, float(got), float(exact), error)


def negative_binomial(x, mean, size):
    log = mp.loggamma(x + size) - mp.loggamma(size) - mp.loggamma(x + 1)
    return log + size * mp.log(size / (size + mean)) + x * mp.log(mean / (size + mean))


def weibull(x, shape, scale):
    return mp.log(shape) - mp.log(scale) + (shape - 1) * mp.log(x / scale) - (x / scale) ** shape


def student_t(x, mean, scale, dof):
    d = len(mean)
    deviation, matrix = mp.matrix(x) - mp.matrix(mean), mp.matrix(scale)
    distance = (deviation.T * mp.inverse(matrix) * deviation)[0]
    log = mp.loggamma((dof + d) / 2) - mp.loggamma(dof / 2) - mp.mpf(d) / 2 * mp.log(mp.pi * dof)
    return log - mp.log(mp.det(matrix)) / 2 - (dof + d) / 2 * mp.log1p(distance / dof)


COUNTS = np.array([0, 1, 2, 7, 14, 15, 16, 100, 12345, 1e6, 1e9])


@pytest.mark.parametrize("size", [1e-4, 1e-2, 0.5, 1.0, 14.5, 15.0, 200.0, 1e5, 1e8])
def test_negative_binomial_density(size):
    family = NegativeBinomial()
    for mean in (1e-12, 1e-3, 0.5, 3.7, 14.9, 100.0, 9.99e5, 1e9):
        params = NegativeBinomialParameters(np.array([[mean]]), np.array([[size]]))
        density = family.log_density(Batch(COUNTS[:, None]), params)[0]
        for x, got in zip(COUNTS, density, strict=True):
            assert_accurate(got, negative_binomial(mp.mpf(x), mp.mpf(mean), mp.mpf(size)), label=(mean, size, x))


def test_negative_binomial_of_a_huge_size_is_poisson():
    x, mean = np.arange(30.0), 7.3
    family = NegativeBinomial(size_range=(1.0, 1e20))
    density = family.log_density(Batch(x[:, None]), NegativeBinomialParameters(np.array([[mean]]), np.array([[1e20]])))
    for value, got in zip(x, density[0], strict=True):
        value = mp.mpf(value)
        assert_accurate(got, value * mp.log(mp.mpf(mean)) - mean - mp.loggamma(value + 1), label=value)


@pytest.mark.parametrize("shape", [0.01, 0.3, 1.0, 2.5, 30.0, 300.0, 1e4])
def test_weibull_density(shape):
    family = Weibull()
    ratios = np.array([1e-20, 1e-3, 0.5, 0.9, 0.999999, 1, 1 + 1e-9, 1.01, 1.5, 2.9, 100])
    for scale in (1e-60, 1e-3, 0.7, 1.0, 1234.5, 1e60):
        x = scale * ratios
        params = WeibullParameters(np.array([[shape]]), np.array([[scale]]))
        for value, got in zip(x, family.log_density(Batch(x[:, None]), params)[0], strict=True):
            exact = weibull(mp.mpf(value), mp.mpf(shape), mp.mpf(scale))
            if exact > -1e130:
                assert_accurate(got, exact, label=(shape, scale, value))
            else:
                assert np.isfinite(got) and got < -1e130


def derivatives(density, point):
    """Gradient and Hessian in log coordinates, by differences with 50 digits."""

    def function(a, b):
        return density(mp.exp(a), mp.exp(b))

    at = tuple(mp.log(mp.mpf(value)) for value in point)
    return [mp.diff(function, at, order) for order in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))]


def assert_local(family, params, x, density, share=1e-10):
    value, gradient, curvature = family.local(np.array([[x]]), params, 0)
    point = [array[0, 0] for array in params.arrays().values()]
    exact = derivatives(lambda a, b: density(mp.mpf(x), a, b), point)
    assert_accurate(value[0, 0], density(mp.mpf(x), *map(mp.mpf, point)))
    got = [*gradient[0, 0], curvature[0, 0, 0, 0], curvature[0, 0, 0, 1], curvature[0, 0, 1, 1]]
    for one, other in zip(got, exact, strict=True):
        assert abs(one - other) <= share * (1 + abs(other)), (x, point, one, float(other))
    assert curvature[0, 0, 1, 0] == curvature[0, 0, 0, 1]


@pytest.mark.parametrize(("mean", "size"), list(product([1e-6, 3.7, 1000.0], [1e-4, 0.5, 14.5, 200.0, 1e8])))
def test_negative_binomial_derivatives(mean, size):
    params = NegativeBinomialParameters(np.array([[mean]]), np.array([[size]]))
    for x in (0.0, 1.0, 15.0, 100.0, 12345.0):
        assert_local(NegativeBinomial(), params, x, negative_binomial)


@pytest.mark.parametrize(("shape", "scale"), list(product([0.3, 1.0, 2.5, 30.0], [1e-3, 1.0, 1234.5])))
def test_weibull_derivatives(shape, scale):
    params = WeibullParameters(np.array([[shape]]), np.array([[scale]]))
    for ratio in (1e-9, 0.5, 0.999, 1.0, 1.3, 2.0):
        assert_local(Weibull(), params, scale * ratio, weibull)


def test_weibull_derivatives_are_finite_where_the_density_is_beyond_the_floats():
    params = WeibullParameters(np.array([[1e5]]), np.array([[1.0]]))
    assert all(np.isfinite(part).all() for part in Weibull().local(np.array([[1e150], [1e-150]]), params, 0))


# Entries are such that inversion in double precision loses nothing: the density is what is tested.
ROWS = np.array([[0.5, -1.0], [0.5, 0.75], [40.0, 3.0], [-1e4, 1e8]])
MEAN, SCALE = np.array([0.5, -1.0]), np.array([[4.0, 1.0], [1.0, 0.5]])


@pytest.mark.parametrize("dof", [0.1, 0.5, 1.0, 3.0, 29.0, 31.0, 1e3, 1e6, 1e12])
def test_full_student_t_density(dof):
    params = FullStudentTParameters(MEAN[None], SCALE[None], np.empty(0))
    for x, got in zip(ROWS, FullStudentT(dof=dof).log_density(Batch(ROWS), params)[0], strict=True):
        assert_accurate(got, student_t(x, MEAN, SCALE, mp.mpf(dof)), label=(dof, x))


@pytest.mark.parametrize("dof", [0.1, 1.0, 3.0, 31.0, 1e6])
@pytest.mark.parametrize("column", [0, 1])
def test_student_t_density_of_what_is_observed(dof, column):
    rows = np.where(np.arange(2) == column, ROWS, np.nan)
    one = (slice(column, column + 1),)
    full = FullStudentT(dof=dof), FullStudentTParameters(MEAN[None], SCALE[None], np.empty(0))
    axes = DiagonalStudentT(dof=dof), DiagonalStudentTParameters(MEAN[None], np.diag(SCALE)[None], np.empty(0))
    for family, params in (full, axes):
        density = family.log_density(Batch(rows, missing=True), params)[0]
        for x, got in zip(ROWS, density, strict=True):
            assert_accurate(got, student_t(x[one], MEAN[one], SCALE[one * 2], mp.mpf(dof)), label=(dof, x))


@pytest.mark.parametrize("dof", [0.1, 1.0, 3.0, 31.0, 1e6])
def test_diagonal_student_t_density(dof):
    params = DiagonalStudentTParameters(MEAN[None], np.array([[1e-6, 250.0]]), np.empty(0))
    for x, got in zip(ROWS, DiagonalStudentT(dof=dof).log_density(Batch(ROWS), params)[0], strict=True):
        assert_accurate(got, student_t(x, MEAN, np.diag(params.scales[0]), mp.mpf(dof)), label=(dof, x))


def test_a_row_without_any_entry_has_density_one():
    batch = Batch(np.full((1, 2), np.nan), missing=True)
    full = FullStudentTParameters(MEAN[None], SCALE[None], np.array([3.0]))
    axes = DiagonalStudentTParameters(MEAN[None], np.diag(SCALE)[None], np.array([3.0]))
    p = np.array([[0.25, 0.75]])
    codes = CategoryParameters((ColumnProbabilities(p), ColumnProbabilities(p)))
    assert FullStudentT().log_density(batch, full) == 0
    assert DiagonalStudentT().log_density(batch, axes) == 0
    assert CategoricalColumns((2, 2)).log_density(batch, codes) == 0
    assert Multinomial().log_density(batch, MultinomialParameters(p)) == 0


def multinomial(x, p):
    total, one = sum(map(mp.mpf, x)), sum(map(mp.mpf, p))
    log = mp.loggamma(total + 1) - sum(mp.loggamma(mp.mpf(v) + 1) for v in x)
    return log + sum(mp.mpf(v) * mp.log(mp.mpf(q) / one) for v, q in zip(x, p, strict=True) if v > 0)


@pytest.mark.parametrize("total", [0, 1, 5, 300, 10_000, 10**6, 10**9])
def test_multinomial_density(total, rng):
    for shares in ((0.1, 0.2, 0.3, 0.4), (1e-9, 1e-3, 0.3, 0.699 - 1e-9), (0.0, 0.5, 0.5, 0.0)):
        p = np.array(shares)
        likely = rng.multinomial(total, p / p.sum()).astype(float)
        batch = Batch(np.stack([likely, np.array([0.0, total, 0.0, 0.0]), likely[::-1]]))
        density = Multinomial().log_density(batch, MultinomialParameters(p[None]))[0]
        for x, got in zip(batch.values, density, strict=True):
            if np.any(x[p == 0] > 0):
                assert got == -np.inf
            else:
                assert_accurate(got, multinomial(x, p), label=(x, p))


def test_categorical_density():
    first, second = np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[1e-300, 0.5, 0.5], [0.1, 0.2, 0.7]])
    params = CategoryParameters((ColumnProbabilities(first), ColumnProbabilities(second)))
    rows = np.array([[a, b] for a in (0, 1, np.nan) for b in (0, 1, 2, np.nan)])
    density = CategoricalColumns((2, 3)).log_density(Batch(rows, missing=True), params)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        for (x, y), got in zip(rows, density[k], strict=True):
            p = (mp.mpf(1) if np.isnan(x) else mp.mpf(a[int(x)])) * (mp.mpf(1) if np.isnan(y) else mp.mpf(b[int(y)]))
            if p == 0:
                assert got == -np.inf
            else:
                assert_accurate(got, mp.log(p))
