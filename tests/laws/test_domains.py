"""Domains: coordinates there and back, membership, the same map with its derivatives in JAX, what is fixed and tied."""

import pickle
from dataclasses import dataclass, replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from latentem import domains as module
from latentem.domains import (
    Correlation,
    Domain,
    Fixed,
    Interval,
    LowerTriangular,
    Ordered,
    Positive,
    PositiveDefinite,
    Real,
    Simplex,
    Tied,
    UnitInterval,
)
from latentem.domains.matrices import Noise
from latentem.errors import ParameterError
from latentem.kernels.derivatives import gradient

NAN, INF = np.nan, np.inf
TINY = np.finfo(float).tiny
FIXED_ROOTS = [[1.0, NAN, NAN], [NAN, 1.0, NAN], [NAN, NAN, 1.0]]
ROOTS = np.random.default_rng(0).normal(size=(3, 4, 4))
MATRICES = ROOTS @ np.swapaxes(ROOTS, 1, 2) + np.eye(4)
TRANSITIONS = np.random.default_rng(1).dirichlet(np.ones(4), size=3)


@dataclass(frozen=True)
class Case:
    """A domain with its shape, its free count, and arrays of that shape outside of it."""

    domain: Domain
    n_free: int
    outside: tuple = ()

    def __str__(self):
        return repr(self.domain)


CASES = [
    Case(Real(), 1, (NAN, INF)),
    Case(Real(2, 3), 6, ([[0, 1, 2], [3, 4, NAN]], [0, 1, 2])),
    Case(Positive(2, 3), 6, (np.zeros((2, 3)), -np.ones((2, 3)), np.full((2, 3), INF))),
    Case(UnitInterval(3), 3, ([0, 0.5, 1.1], [-1e-9, 0, 0], [NAN, 0, 0])),
    Case(Interval(-2.0, 6.0, 2), 2, ([-2.1, 0], [0, 6.1])),
    Case(Interval(-1.0, 0.0, 2), 2, ([-0.5, 1e-9],)),
    Case(Interval(1.5, INF, 2), 2, ([1.4, 2], [INF, 2], [NAN, 2])),
    Case(Interval(-INF, -1.0, 2), 2, ([-0.9, -2], [-INF, -2])),
    Case(Simplex(4), 3, ([0.5, 0.6, 0, 0], [1.5, -0.5, 0, 0], [NAN, 1, 0, 0])),
    Case(Simplex(3, 4), 9, (np.ones((3, 4)), [0.25] * 4)),
    Case(Simplex(1), 0, ([0.5],)),
    Case(Ordered(1), 1, ([INF],)),
    Case(Ordered(2, 3), 6, ([[1, 2, 3], [1, 1, 2]], [[1, 2, INF], [1, 2, 3]])),
    Case(PositiveDefinite(3), 6, (-np.eye(3), np.ones((3, 3)), np.eye(2), [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]])),
    Case(PositiveDefinite(2, 3, 3), 12, (np.eye(3),)),
    Case(Correlation(1), 0, ([[2.0]],)),
    Case(Correlation(2), 1, (2 * np.eye(2), [[1, 1.1], [1.1, 1]], [[1, NAN], [NAN, 1]])),
    Case(Correlation(2, 4, 4), 12, (np.ones((2, 4, 4)),)),
    Case(LowerTriangular(3), 6, (np.ones((3, 3)), np.diag([1, 1, NAN]))),
    Case(LowerTriangular(2, 2, 2), 6, (np.eye(2),)),
    Case(Positive(2).tied(), 1, ([1.0, 2.0], [-1.0, -1.0])),
    Case(Real().tied(), 1, (NAN,)),
    Case(Real(2, 3).tied(axis=0), 3, ([[1, 2, 3], [1, 2, 4]],)),
    Case(UnitInterval(2, 3).tied(-1), 2, ([[0.1, 0.1, 0.1], [0.1, 0.2, 0.1]],)),
    Case(Real(2, 3, 2).tied((0, 2)), 3, (np.arange(12).reshape(2, 3, 2),)),
    Case(Simplex(3, 4).tied(0), 3, (TRANSITIONS,)),
    Case(PositiveDefinite(2, 3, 3).tied(0), 6, ([np.eye(3), 2 * np.eye(3)],)),
    Case(Real(3).fixed([NAN, 1.0, NAN]), 2, ([0, 1.1, 0], [NAN, 1, 0])),
    Case(Real(2, 2).fixed([NAN, 0.0]), 2, (np.ones((2, 2)),)),
    Case(Positive(2).fixed(1.0), 0, ([1, 2],)),
    Case(UnitInterval(2).fixed([0.0, NAN]), 1, ([0.1, 0.1],)),
    Case(LowerTriangular(3).fixed(FIXED_ROOTS), 3, (np.eye(3) * 2, np.ones((3, 3)))),
    Case(Ordered(3).fixed([1, 2, 3]), 0, ([1, 2, 4],)),
    Case(Simplex(2).fixed([0.25, 0.75]), 0, ([0.5, 0.5],)),
    Case(PositiveDefinite(2).fixed(np.eye(2)), 0, (2 * np.eye(2),)),
    Case(Correlation(2).fixed(np.eye(2)), 0, ([[1, 0.5], [0.5, 1]],)),
    Case(Ordered(2).fixed([NAN, NAN]), 2, ([2, 1],)),
    Case(Real(2, 3).tied(0).fixed([0.0, NAN, NAN]), 2, ([[1, 2, 3], [1, 2, 3]], [[0, 2, 3], [0, 2, 4]])),
]
every_domain = pytest.mark.parametrize("case", CASES, ids=str)


def vectors(size, largest=2.0):
    return arrays(float, size, elements=st.floats(-largest, largest))


def value_of(domain, vector):
    return domain.unflatten(np.asarray(vector, float), domain.shape)


def test_every_domain_is_here():
    kinds = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Domain)}
    concrete = {kind for kind in kinds if not kind.__abstractmethods__ and not kind.__name__.startswith("_")}
    assert concrete == {type(case.domain) for case in CASES}


# There and back


@every_domain
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_vector_is_a_value_and_comes_back(case, data):
    vector = data.draw(vectors(case.n_free))
    value = value_of(case.domain, vector)
    assert value.shape == case.domain.shape and case.domain.contains(value)
    assert case.domain.n_free(value.shape) == case.n_free
    np.testing.assert_allclose(case.domain.flatten(value), vector, rtol=1e-8, atol=1e-8)


@every_domain
def test_values_come_back_from_their_vectors(case):
    value = value_of(case.domain, np.random.default_rng(3).normal(size=case.n_free))
    back = value_of(case.domain, case.domain.flatten(value))
    np.testing.assert_allclose(back, value, rtol=1e-12, atol=1e-14)


@every_domain
def test_the_shape_may_be_left_to_the_array(case):
    free = without_shape(case.domain)
    vector = np.linspace(-1, 1, case.n_free)
    value = free.unflatten(vector, case.domain.shape)
    np.testing.assert_array_equal(value, value_of(case.domain, vector))
    assert free.contains(value) and free.n_free(value.shape) == case.n_free


def without_shape(domain):
    if isinstance(domain, Fixed | Tied):
        return replace(domain, base=without_shape(domain.base))
    return replace(domain, shape=())


@every_domain
def test_what_lies_outside_is_not_contained(case):
    assert case.outside
    for value in case.outside:
        assert not case.domain.contains(np.asarray(value, float))


@every_domain
@pytest.mark.parametrize("size", [1e2, 1e4, 1e300])
def test_far_coordinates_give_finite_values(case, size):
    for sign in (1, -1):
        value = value_of(case.domain, np.full(case.n_free, sign * size))
        assert np.all(np.isfinite(value))
        if not isinstance(_innermost(case.domain), Ordered | PositiveDefinite | Correlation):
            assert case.domain.contains(value)


def _innermost(domain):
    return _innermost(domain.base) if isinstance(domain, Fixed | Tied) else domain


EXTREMES = [
    (Real(), [[1.0, -2.5], [0.0, 1e300]]),
    (Real(), np.empty((0, 2))),
    (Positive(), [1.0, TINY, 1e300, 1.7e308]),
    (UnitInterval(), [0.5, 0.0, 1.0, 1e-290, 1 - 1e-16]),
    (Interval(-2.0, 6.0), [-2.0, 6.0, 0.0, 5.9]),
    (Interval(0.1, 0.3), [0.1, 0.3, 0.2]),
    (Interval(-1.0, 0.0), [-1.0, 0.0, -1e-12]),
    (Interval(2.0, INF), [2.0, 1e300, 2.5]),
    (Interval(0.0, INF), [0.0, 1e-280, 1e300]),
    (Interval(-INF, 2.0), [2.0, -1e300, 1.5]),
    (Simplex(), TRANSITIONS),
    (Simplex(), [[0.2, 0.8, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1e-280, 1.0, 0.0]]),
    (Ordered(), [[-3.0, 0.5, 0.501], [1.0, 1.5, 1e6]]),
    (PositiveDefinite(), MATRICES),
    (PositiveDefinite(), MATRICES * 1e-300),
    (PositiveDefinite(), MATRICES * 1e300),
    (Correlation(), [[1.0, -0.999999], [-0.999999, 1.0]]),
    (LowerTriangular(), np.tril(MATRICES)),
]


@pytest.mark.parametrize(("domain", "value"), EXTREMES)
def test_extremes_come_back(domain, value):
    value = np.asarray(value, float)
    vector = domain.flatten(value)
    assert vector.shape == (domain.n_free(value.shape),) and np.all(np.isfinite(vector))
    back = domain.unflatten(vector, value.shape)
    np.testing.assert_allclose(back, value, rtol=1e-10, atol=0)
    assert domain.contains(value) and domain.contains(back)
    ends = np.isin(value, [getattr(domain, "low", 0.0), getattr(domain, "high", 0.0)])
    assert np.array_equal(back[ends], value[ends])


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), vectors(7, largest=800.0))
def test_intervals_are_never_left(low, width, vector):
    domain = Interval(low, low + width)
    assert domain.contains(domain.unflatten(vector, (7,)))


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_no_extrapolation_opens_a_transition_that_is_forbidden(zero):
    before, after = np.random.default_rng(4).dirichlet(np.ones(3), size=2)
    before[zero] = after[zero] = 0
    here, there = (Simplex().flatten(p / p.sum()) for p in (before, after))
    for step in (0.5, 4.0, -3.0):
        assert Simplex().unflatten(here + step * (there - here), (3,))[zero] == 0


@pytest.mark.parametrize(("value", "same"), [(np.array([0.5, 2, 3]), Positive()), (MATRICES[0], PositiveDefinite())])
def test_noise_has_the_coordinates_of_variances_or_of_a_matrix(value, same):
    noise, shape = Noise(), value.shape
    vector = noise.flatten(value)
    np.testing.assert_array_equal(vector, same.flatten(value))
    np.testing.assert_array_equal(noise.unflatten(vector, shape), same.unflatten(vector, shape))
    assert noise.coordinate_names("x", shape) == same.coordinate_names("x", shape)
    assert noise.n_free(shape) == same.n_free(shape) == len(vector)


def test_noise_may_be_singular_but_not_negative_and_has_one_shape_or_its_square():
    for inside in ([0, 1, 2], np.zeros((2, 2)), np.ones((2, 2)), np.eye(3)):
        assert Noise().contains(np.asarray(inside, float))
    wrong_values = ([-1, 1], [NAN, 1], [[1, 2], [2, 1]], [[1, 0.5], [0, 1]], [[INF, 0], [0, 1]])
    for outside in (*wrong_values, 1, np.ones((2, 3)), np.ones((2, 2, 2))):
        assert not Noise().contains(np.asarray(outside, float))
    assert Noise(2).contains(np.ones(2)) and not Noise(2).contains(np.ones(3))


def test_a_matrix_that_is_not_symmetric_is_told_at_any_scale():
    assert not PositiveDefinite().contains(1e-20 * np.array([[1.0, 0.3], [0.1, 1.0]]))


def test_coordinates_of_correlations_are_those_of_partial_correlations():
    value = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, -0.2], [0.3, -0.2, 1.0]])
    partial = (-0.2 - 0.5 * 0.3) / np.sqrt((1 - 0.5**2) * (1 - 0.3**2))
    np.testing.assert_allclose(np.tanh(Correlation(3).flatten(value)), [0.5, 0.3, partial], rtol=1e-14)


# The same map in JAX


@cache
def in_jax(domain):
    """The map, and the gradient and the Hessian of a linear function of the array."""

    def total(vector):
        return jnp.sum(_weights(domain) * domain.unflatten(vector, domain.shape, jnp))

    def place(vector):
        return domain.unflatten(vector, domain.shape, jnp)

    return jax.jit(lambda vector: (place(vector), jax.grad(total)(vector), jax.hessian(total)(vector)))


def _weights(domain):
    """Small, so that sums of numbers near the largest are finite."""
    return np.random.default_rng(6).normal(size=domain.shape) / 100


def evaluate(domain, vector):
    with jax.enable_x64(True):
        return tuple(np.asarray(part) for part in in_jax(domain)(jnp.asarray(vector)))


def points(n_free):
    mixed = np.random.default_rng(7).normal(size=n_free)
    mixed[::2] = 0.0
    return [np.zeros(n_free), np.random.default_rng(8).normal(size=n_free), mixed, np.full(n_free, -1.0)]


@every_domain
def test_jax_finds_the_same_values(case):
    for vector in points(case.n_free):
        value, expected = evaluate(case.domain, vector)[0], value_of(case.domain, vector)
        assert value.dtype == np.float64 and value.shape == case.domain.shape
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-14 * np.max(np.abs(expected)))


@every_domain
def test_gradients_are_those_of_differences(case):
    def total(vector):
        return float(np.sum(_weights(case.domain) * value_of(case.domain, vector)))

    for vector in points(case.n_free):
        slope = evaluate(case.domain, vector)[1]
        np.testing.assert_allclose(slope, gradient(total, vector, np.full(case.n_free, 1e-3)), rtol=1e-8, atol=1e-11)


@every_domain
def test_second_derivatives_are_those_of_differences(case):
    step = 1e-3
    for vector in points(case.n_free):
        curvature = evaluate(case.domain, vector)[2]
        moves = [np.eye(case.n_free)[i] * step for i in range(case.n_free)]
        slopes = [[evaluate(case.domain, vector + far * move)[1] for far in (1, -1, 2, -2)] for move in moves]
        numeric = [(8 * (a - b) - (c - d)) / (12 * step) for a, b, c, d in slopes]
        np.testing.assert_allclose(curvature, np.reshape(numeric, curvature.shape), rtol=1e-7, atol=1e-10)


@every_domain
@pytest.mark.parametrize("size", [36.0, 1e2, 690.0, 1e4, 1e300])
def test_no_derivative_is_nan_far_out(case, size):
    for sign in (1, -1):
        for part in evaluate(case.domain, np.full(case.n_free, sign * size)):
            assert np.all(np.isfinite(part))


@pytest.mark.parametrize("domain", [UnitInterval(3), Simplex(4), Interval(0.0, INF, 3), Positive(3)], ids=repr)
def test_no_derivative_is_nan_at_the_boundary(domain):
    at_the_end = np.zeros(domain.shape)
    at_the_end[0] = 1.0
    for part in evaluate(domain, domain.flatten(at_the_end)):
        assert np.all(np.isfinite(part))


# Domains as values


@every_domain
def test_domains_are_equal_by_value_and_survive_pickling_and_replace(case):
    for copy in (pickle.loads(pickle.dumps(case.domain)), replace(case.domain), eval(repr(case.domain), _NAMES)):
        assert copy == case.domain and hash(copy) == hash(case.domain) and repr(copy) == repr(case.domain)
        zeros = np.zeros(case.n_free)
        np.testing.assert_array_equal(value_of(copy, zeros), value_of(case.domain, zeros))


_NAMES = {"nan": NAN, "inf": INF, **vars(module)}


def test_different_domains_are_different():
    assert len({case.domain for case in CASES}) == len(CASES)
    assert len({repr(case.domain) for case in CASES}) == len(CASES)


def test_domains_cannot_be_changed():
    for domain in (Real(2), Interval(0, 2), Positive(2).tied()):
        with pytest.raises(AttributeError):
            domain.shape = (3,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PositiveDefinite(4), PositiveDefinite(4, 4)),
        (UnitInterval(2), Interval(0, 1, 2)),
        (Real(np.int64(2)), Real(2)),
        (Real(shape=(2, 3)), Real(2, 3)),
        (Positive(2).tied(), Positive(2).tied(0)),
        (Positive(2, 3).tied(), Positive(2, 3).tied((-1, 0))),
        (Positive(2, 3).tied(1).tied(0), Positive(2, 3).tied()),
        (Positive(2, 3).tied().tied(0), Positive(2, 3).tied()),
        (Positive().tied().tied(0), Positive().tied()),
        (Positive(2).fixed(1.0), Positive(2).fixed([1, 1])),
        (Real(2).fixed([0, NAN]).fixed([NAN, 1]), Real(2).fixed([0, 1])),
        (Real(2).fixed([0, NAN]).fixed([0, 1]), Real(2).fixed([0, 1])),
        (Real(2, 2).fixed([0, NAN]).tied(0), Real(2, 2).tied(0).fixed([0, NAN])),
    ],
    ids=repr,
)
def test_two_ways_to_write_one_domain(one, other):
    assert one == other and hash(one) == hash(other) and one.shape == other.shape


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (Real(), "Real()"),
        (Positive(2), "Positive(2)"),
        (Simplex(3, 4), "Simplex(3, 4)"),
        (PositiveDefinite(4), "PositiveDefinite(4)"),
        (PositiveDefinite(2, 4, 4), "PositiveDefinite(2, 4, 4)"),
        (UnitInterval(), "UnitInterval()"),
        (Interval(-1, 2, 3), "Interval(-1.0, 2.0, 3)"),
        (Interval(-INF, 2), "Interval(-inf, 2.0)"),
        (Positive().tied(), "Positive().tied()"),
        (Real(2, 3).tied(0), "Real(2, 3).tied(axis=0)"),
        (Real(2, 3, 4).tied((2, 0)), "Real(2, 3, 4).tied(axis=(0, 2))"),
        (Real(2).fixed([NAN, 1]), "Real(2).fixed([nan, 1.0])"),
    ],
)
def test_domains_are_shown_as_they_are_written(domain, text):
    assert repr(domain) == text


# What is fixed and tied


@every_domain
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_fixed_entries_never_move_and_tied_ones_stay_equal(case, data):
    value = value_of(case.domain, data.draw(vectors(case.n_free, largest=1e3)))
    if isinstance(case.domain, Fixed):
        held = np.broadcast_to(np.array(case.domain.values, float), value.shape)
        assert np.array_equal(value[~np.isnan(held)], held[~np.isnan(held)])
    tied = case.domain.base if isinstance(case.domain, Fixed) else case.domain
    for axis in tied.along or () if isinstance(tied, Tied) else ():
        assert np.array_equal(value, np.broadcast_to(np.take(value, [0], axis), value.shape))


def test_arrays_are_free_of_each_other_where_entries_are_tied():
    value = value_of(Positive(2).tied(), [0.0])
    value[0] = 7.0
    assert value.tolist() == [7.0, 1.0]


def test_a_number_fixes_all_entries_of_an_array_of_any_shape():
    domain = Positive().fixed(2.0)
    assert domain.n_free((2, 3)) == 0
    np.testing.assert_array_equal(domain.unflatten(np.empty(0), (2, 3)), np.full((2, 3), 2.0))
    assert not domain.contains(np.ones((2, 3)))


# Refusals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real(0), r"shape of Real is given by whole numbers of at least 1, as in Real\(2\); got 0"),
        (lambda: Real(2.0), "got 2.0"),
        (lambda: Real(True), "got True"),
        (lambda: Simplex((3, 4)), r"as in Simplex\(2, 3\); got \(3, 4\)"),
        (lambda: Simplex(-1), "got -1"),
        (lambda: PositiveDefinite(2, 3), r"PositiveDefinite is square along its last two axes, got the shape \(2, 3\)"),
        (lambda: Correlation(3, 3, 2), "Correlation is square"),
        (lambda: Interval(1, 1), "needs low < high, got 1 and 1"),
        (lambda: Interval(2, 1, 3), "needs low < high, got 2 and 1"),
        (lambda: Interval(NAN, 1), "needs low < high"),
        (lambda: Interval("a", 1), "ends of an Interval must be numbers, got 'a' and 1"),
        (lambda: Interval(-INF, INF), "needs a finite end; for any number take Real"),
        (lambda: Interval(-1.7e308, 1.7e308), "take Real"),
        (lambda: Interval(0, 1, 0), "whole numbers of at least 1"),
        (lambda: Positive(2).fixed([1, -1]), r"values of fixed\(...\) must lie in Positive\(2\), got \[1.0, -1.0\]"),
        (lambda: Positive(2).fixed([1, 2, 3]), r"numbers that broadcast to shape \(2,\)"),
        (lambda: Positive(2).fixed("one"), "can be fixed at numbers"),
        (lambda: Simplex(3).fixed([0.5, NAN, NAN]), r"Simplex\(3\) can only be fixed as a whole"),
        (lambda: Ordered(2).fixed([0.5, NAN]), "only be fixed as a whole"),
        (lambda: PositiveDefinite(2).fixed([[1, NAN], [NAN, 1]]), "only be fixed as a whole"),
        (lambda: Correlation(2).fixed([[1, NAN], [NAN, 1]]), "only be fixed as a whole"),
        (lambda: LowerTriangular(2).fixed([[NAN, 1], [NAN, NAN]]), "must lie in LowerTriangular"),
        (lambda: Simplex().fixed(1.0), r"Simplex\(\) cannot be fixed at values of shape \(\)"),
        (lambda: Real(2).fixed([0, NAN]).fixed([1, NAN]), "fixed already, at other values"),
        (lambda: Simplex(3).tied(), r"not all entries of Simplex\(3\) can be equal"),
        (lambda: PositiveDefinite(2).tied(0), "has 0 axes to tie, the last two being a matrix's"),
        (lambda: Real(2).tied(1), r"Real\(2\) of shape \(2,\) has 1 axes to tie; got axis \(1,\)"),
        (lambda: Real(2).tied(-2), "has 1 axes to tie"),
        (lambda: Real(2).tied("rows"), "axis to tie must be a whole number or a tuple of such, got 'rows'"),
        (lambda: Real(2).tied(()), "axis to tie must be a whole number"),
        (lambda: Real().tied(0).n_free(()), "has 0 axes to tie"),
        (lambda: Real(2).tied().fixed([0, NAN]), "must all be fixed, or all be NaN"),
        (lambda: Real(2).tied().fixed([0, 1]), r"must lie in Real\(2\).tied\(\)"),
        (lambda: Real(2).fixed([0, NAN]).tied(), "must all be fixed, or all be NaN"),
        (lambda: Fixed(Real(2).fixed([0, NAN]), [0, 1]), "instead of Fixed"),
        (lambda: Tied(Real(2).tied()), "instead of Tied"),
    ],
)
def test_what_has_no_meaning_is_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


# Names of coordinates


@every_domain
def test_every_coordinate_has_a_name_of_its_own(case):
    names = case.domain.coordinate_names("theta", case.domain.shape)
    assert len(names) == len(set(names)) == case.n_free
    assert all("theta" in name for name in names)


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        (Real(), ["x"]),
        (Real(2), ["x[0]", "x[1]"]),
        (Positive(1, 2), ["log x[0,0]", "log x[0,1]"]),
        (UnitInterval(1), ["logit x[0]"]),
        (Interval(-1, 1), ["logit x (-1 to 1)"]),
        (Interval(2, INF), ["log(x - 2)"]),
        (Interval(-2, INF), ["log(x + 2)"]),
        (Interval(-INF, 2), ["log(2 - x)"]),
        (Simplex(3), ["log x[0]/x[2]", "log x[1]/x[2]"]),
        (Simplex(2, 2), ["log x[0,0]/x[0,1]", "log x[1,0]/x[1,1]"]),
        (Ordered(3), ["x[0]", "log(x[1] - x[0])", "log(x[2] - x[1])"]),
        (PositiveDefinite(2), ["log x[0,0] (Cholesky)", "x[1,0] (Cholesky)", "log x[1,1] (Cholesky)"]),
        (Correlation(2), ["artanh x[1,0] (partial)"]),
        (LowerTriangular(2), ["x[0,0]", "x[1,0]", "x[1,1]"]),
        (Positive(2).tied(), ["log x[:]"]),
        (Real(2, 2).tied(0), ["x[:,0]", "x[:,1]"]),
        (Real(3).fixed([NAN, 1, NAN]), ["x[0]", "x[2]"]),
        (Real(2, 2).tied(0).fixed([0, NAN]), ["x[:,1]"]),
    ],
    ids=repr,
)
def test_names_say_what_coordinates_are(domain, names):
    assert domain.coordinate_names("x", domain.shape) == names


@pytest.mark.parametrize("case", [case for case in CASES if not case.domain.axes and case.domain.shape], ids=str)
def test_each_coordinate_moves_the_entries_in_its_name(case):
    here = np.full(case.n_free, 0.3)
    for i, name in enumerate(case.domain.coordinate_names("x", case.domain.shape)):
        moved = value_of(case.domain, here + np.eye(case.n_free)[i]) != value_of(case.domain, here)
        inside = name[name.index("[") + 1 : name.index("]")].split(",")
        expected = np.zeros(case.domain.shape, bool)
        expected[tuple(slice(None) if one == ":" else int(one) for one in inside)] = True
        np.testing.assert_array_equal(moved, expected)
