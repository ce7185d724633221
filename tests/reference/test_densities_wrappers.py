"""Densities of wrapped families against 50 digits and more."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from latentem.data import Batch
from latentem.families.beta import Beta, BetaParameters
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
)
from latentem.families.negative_binomial import NegativeBinomial, NegativeBinomialParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.truncated import Truncated, TruncatedParameters
from latentem.families.weibull import Weibull, WeibullParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def poisson(x: float, rate: float) -> mpmath.mpf:
    return mpmath.exp(x * mpmath.log(mpmath.mpf(rate)) - mpmath.mpf(rate)) / mpmath.factorial(x)


def assert_log_density(family, params, rows: list[float], expected) -> None:
    """To 1e-13 of its own size, or of the log density before truncation where that is larger: it is subtracted from."""
    size = np.abs(family.family.log_density(Batch(np.array(rows)[:, None]), params.base)[0])
    got = family.log_density(Batch(np.array(rows)[:, None]), params)[0]
    with mpmath.workdps(50):
        for x, value, before in zip(rows, got, size, strict=True):
            exact = mpmath.log(expected(x))
            assert abs(value - exact) <= 1e-13 * max(1, abs(exact), before), (x, value, exact)


@pytest.mark.parametrize("rate", [1e-9, 0.02, 0.9, 7.0, 60.0])
def test_zero_inflated_poisson_density(rate: float) -> None:
    params = ZeroInflatedParameters(np.array([0.3]), rates(rate))
    share = mpmath.mpf(0.3)
    assert_log_density(
        ZeroInflated(Poisson()), params, [0, 1, 3, 20], lambda x: share * (x == 0) + (1 - share) * poisson(x, rate)
    )


@pytest.mark.parametrize("rate", [1e-9, 0.02, 0.9, 7.0, 60.0])
@pytest.mark.parametrize("low", [1, 2, 5])
def test_left_truncated_poisson_density(rate: float, low: int) -> None:
    def expected(x: float) -> mpmath.mpf:
        with mpmath.workdps(120):
            return poisson(x, rate) / (1 - sum(poisson(j, rate) for j in range(low)))

    assert_log_density(Truncated(Poisson(), low=low), TruncatedParameters(rates(rate)), [low, low + 1, 30], expected)


@pytest.mark.parametrize("rate", [1e-3, 0.9, 7.0, 60.0])
def test_poisson_density_between_bounds(rate: float) -> None:
    inside = lambda: sum(poisson(j, rate) for j in range(2, 10))  # noqa: E731
    params = TruncatedParameters(rates(rate))
    assert_log_density(Truncated(Poisson(), 1.5, 9), params, [2, 5, 9], lambda x: poisson(x, rate) / inside())


def test_truncation_at_the_ends_of_the_support_changes_nothing() -> None:
    grid = Batch(np.arange(6.0)[:, None])
    for family in (Truncated(Poisson(), low=0), Truncated(Poisson(), low=-3)):
        np.testing.assert_array_equal(
            family.log_density(grid, TruncatedParameters(rates(3))), Poisson().log_density(grid, rates(3))
        )


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, None), (None, 0.5), (-0.5, 2.0), (9.0, None), (40.0, 41.0), (-1e6, None), (3.0, 3.001)]
)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_truncated_normal_density(low: float | None, high: float | None, scale: float) -> None:
    bounds = [None if bound is None else bound * scale for bound in (low, high)]
    x = scale * (0.5 * (low + high) if low is not None and high is not None else high if low is None else low + 0.3)
    mean, variance = 0.2 * scale, 1.3 * scale**2
    family = Truncated(DiagonalGaussian(0.0), *bounds)

    def expected(x: float) -> mpmath.mpf:
        root = mpmath.sqrt(mpmath.mpf(variance))
        tail = lambda t: mpmath.ncdf((mpmath.mpf(t) - mean) / root)  # noqa: E731
        with mpmath.workdps(1200):
            inside = (tail(bounds[1]) if high is not None else 1) - (tail(bounds[0]) if low is not None else 0)
            return mpmath.npdf(mpmath.mpf(x), mean, root) / inside

    assert_log_density(family, TruncatedParameters(normals([mean], [variance])), [x], expected)


@pytest.mark.parametrize("bounds", [(0.5, None), (None, 2.0), (0.1, 0.2), (2.1, 100.0), (-1.0, 3.0)])
@pytest.mark.parametrize("shape", [0.15, 1.0, 30.0])
def test_truncated_weibull_density(bounds: tuple[float | None, float | None], shape: float) -> None:
    low, high = bounds
    x = 0.5 * (low + high) if low is not None and high is not None else high if low is None else low + 0.01
    params = WeibullParameters(np.array([[shape]]), np.array([[1.5]]))

    def survival(t: float) -> mpmath.mpf:
        return mpmath.exp(-((mpmath.mpf(max(t, 0.0)) / 1.5) ** mpmath.mpf(shape)))

    def expected(x: float) -> mpmath.mpf:
        z = mpmath.mpf(x) / 1.5
        density = shape / mpmath.mpf(1.5) * z ** (mpmath.mpf(shape) - 1) * survival(x)
        return density / ((survival(low) if low is not None else 1) - (survival(high) if high is not None else 0))

    assert_log_density(Truncated(Weibull(), low, high), TruncatedParameters(params), [x], expected)


@pytest.mark.parametrize(("low", "high"), [(0.3, None), (None, 0.6), (0.9999, None), (0.2, 0.7)])
def test_truncated_beta_density(low: float | None, high: float | None) -> None:
    a, b = 0.4, 0.7
    params = BetaParameters(np.array([[a]]), np.array([[b]]))
    x = high if low is None else low + 1e-5

    def expected(x: float) -> mpmath.mpf:
        whole = mpmath.betainc(a, b, low or 0, 1 if high is None else high)
        return mpmath.mpf(x) ** (mpmath.mpf(a) - 1) * (1 - mpmath.mpf(x)) ** (mpmath.mpf(b) - 1) / whole

    if low == 0.9999:
        got = Truncated(Beta(), low, high).log_density(Batch(np.array([[x]])), TruncatedParameters(params))[0, 0]
        assert abs(got - mpmath.log(expected(x))) < 1e-7
    else:
        assert_log_density(Truncated(Beta(), low, high), TruncatedParameters(params), [x], expected)


def test_a_negative_binomial_is_truncated_as_counts() -> None:
    params = NegativeBinomialParameters(np.array([[3.0]]), np.array([[1.5]]))

    def mass(x: float) -> mpmath.mpf:
        size, share = mpmath.mpf(1.5), mpmath.mpf(1.5) / mpmath.mpf(4.5)
        gammas = mpmath.gamma(x + size) / mpmath.gamma(size) / mpmath.factorial(x)
        return gammas * share**size * (1 - share) ** x

    family = Truncated(NegativeBinomial(), low=1)
    assert_log_density(family, TruncatedParameters(params), [1, 4, 50], lambda x: mass(x) / (1 - mass(0)))
