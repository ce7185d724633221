"""Parameters and their domains: coordinates there and back, free counts, membership."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from latentem import parameters as module
from latentem.errors import ParameterError
from latentem.parameters import (
    Interval,
    Parameters,
    Positive,
    PositiveDefinite,
    Real,
    Simplex,
    UnitInterval,
    parameter,
)

RNG = np.random.default_rng(0)
ROOTS = RNG.normal(size=(3, 4, 4))
MATRICES = ROOTS @ np.swapaxes(ROOTS, 1, 2) + np.eye(4)
TINY, HUGE = np.finfo(float).tiny, 1e300

# A domain, values in it (the extremes among them), values outside of it.
CASES = {
    "real": (Real(), [np.array([[1.0, -2.5], [0.0, 1e300]]), np.array(3.0), np.empty((0, 2))], [[np.nan], [np.inf]]),
    "positive": (Positive(), [np.array([1.0, TINY, HUGE, 1.7e308])], [[0.0], [-1.0], [np.nan], [np.inf]]),
    "unit": (UnitInterval(), [np.array([0.5, 0.0, 1.0, 1e-290, 1 - 1e-16])], [[-1e-9], [1.1], [np.nan]]),
    "interval": (Interval(-2.0, 6.0), [np.array([-2.0, 6.0, 0.0, 5.9])], [[-2.1], [6.1], [np.nan]]),
    "simplex": (
        Simplex(),
        [RNG.dirichlet(np.ones(4), size=3), np.array([1.0])],
        [[0.5, 0.6], [1.5, -0.5], [np.nan, 1]],
    ),
    "positive definite": (
        PositiveDefinite(),
        [MATRICES, np.eye(1)],
        [-np.eye(2), [[1.0, 2], [2, 1]], [[1.0, 0.5], [0, 1]]],
    ),
}
VALUES = [(name, value) for name, (_, inside, _) in CASES.items() for value in inside]


def test_every_domain_is_here():
    kinds = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, module.Domain)}
    concrete = {kind for kind in kinds if not kind.__abstractmethods__ and not kind.__name__.startswith("_")}
    assert concrete == {type(domain) for domain, _, _ in CASES.values()}


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_there_and_back(name, value):
    domain = CASES[name][0]
    vector = domain.flatten(value)
    assert vector.shape == (domain.n_free(value.shape),)
    assert np.all(np.isfinite(vector))
    back = domain.unflatten(vector, value.shape)
    assert back.shape == value.shape
    np.testing.assert_allclose(back, value, rtol=1e-12, atol=0)
    assert domain.contains(value)
    assert domain.contains(back)


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_coordinates_are_free(name, value):
    """Any vector is a value, and goes back to the same vector where no end is near."""
    domain = CASES[name][0]
    shape = (domain.n_free(value.shape),)
    for vector in RNG.normal(scale=2, size=(5, *shape)):
        moved = domain.unflatten(vector, value.shape)
        assert domain.contains(moved)
        np.testing.assert_allclose(domain.flatten(moved), vector, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e300])
@pytest.mark.parametrize(("name", "value"), VALUES)
def test_far_coordinates_give_no_nan(name, value, size):
    domain = CASES[name][0]
    for sign in (1, -1):
        vector = np.full(domain.n_free(value.shape), sign * size)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = domain.unflatten(vector, value.shape)
        assert name == "positive definite" or np.all(np.isfinite(moved))
        if name in ("unit", "interval", "simplex", "positive"):
            assert domain.contains(moved)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, case in CASES.items() for value in case[2]])
def test_what_lies_outside_is_not_contained(name, value):
    assert not CASES[name][0].contains(np.array(value))


@pytest.mark.parametrize(
    "value",
    [[0.2, 0.8, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.3, 0.0, 0.7], [1e-280, 1.0, 0.0]],
)
def test_zeros_of_a_simplex_come_back_as_zeros(value):
    value = np.array([value])
    back = Simplex().unflatten(Simplex().flatten(value), value.shape)
    assert np.array_equal(back == 0, value == 0)
    np.testing.assert_allclose(back, value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_no_extrapolation_opens_a_transition_that_is_forbidden(zero):
    before, after = RNG.dirichlet(np.ones(3), size=2)
    before[zero] = after[zero] = 0
    here, there = (Simplex().flatten(p / p.sum()) for p in (before, after))
    for step in (0.5, 4.0, -3.0):
        assert Simplex().unflatten(here + step * (there - here), (3,))[zero] == 0


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e20, 1e300])
def test_covariances_of_any_scale_survive(scale):
    value = MATRICES * scale
    domain = PositiveDefinite()
    np.testing.assert_allclose(domain.unflatten(domain.flatten(value), value.shape), value, rtol=1e-10)
    assert domain.contains(value)


def test_a_matrix_that_is_not_symmetric_is_told_at_any_scale():
    assert not PositiveDefinite().contains(1e-20 * np.array([[1.0, 0.3], [0.1, 1.0]]))


def test_free_counts_are_those_of_the_textbook():
    assert Simplex().n_free((3, 4)) == 9
    assert PositiveDefinite().n_free((2, 3, 3)) == 12
    assert Positive().n_free((2, 3)) == 6
    assert Real().n_free(()) == 1


@dataclass(frozen=True)
class Inner(Parameters):
    scales: Any = parameter(Positive())


@dataclass(frozen=True)
class Outer(Parameters):
    weights: Any = parameter(Simplex())
    inner: Any = None
    several: Any = ()
    note: str = "kept"


def nested():
    several = (Inner(np.array([3.0])), Inner(np.array([4.0])))
    return Outer(np.array([0.2, 0.3, 0.5]), Inner(np.array([1.0, 2.0])), several)


def test_nested_parameters_are_one_vector_in_field_order():
    params = nested()
    vector = params.flatten()
    assert params.n_free == len(vector) == 2 + 2 + 1 + 1
    np.testing.assert_allclose(np.exp(vector[2:]), [1, 2, 3, 4])
    back = params.unflatten(vector + 1.0)
    np.testing.assert_allclose(back.several[1].scales, 4 * np.e)
    assert back.note == "kept"


def test_arrays_have_dotted_names():
    assert list(nested().arrays()) == ["weights", "inner.scales", "several.0.scales", "several.1.scales"]


def test_a_value_outside_its_domain_is_named():
    params = nested()
    wrong = Outer(params.weights, params.inner, (params.several[0], Inner(np.array([-1.0]))))
    with pytest.raises(ParameterError, match=r"several.1.scales must lie in Positive\(\), got \[-1.0\]"):
        wrong.check()


@pytest.mark.parametrize("length", [0, 5, 7])
def test_a_vector_of_another_length_is_refused(length):
    with pytest.raises(ParameterError, match="expected a vector of 6 free parameters"):
        nested().unflatten(np.zeros(length))


def test_flattening_leaves_the_parameters_as_they_were():
    params = nested()
    vector = params.flatten()
    vector[:] = 7
    assert params.inner.scales.tolist() == [1, 2]
