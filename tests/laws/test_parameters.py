"""Parameters: one vector of coordinates there and back, names, membership."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import zoo

from latentem import domains, parameters as module
from latentem.errors import ParameterError
from latentem.parameters import Interval, Parameters, Positive, PositiveDefinite, Real, Simplex, parameter


def test_families_find_the_domains_beside_parameter():
    public = {name for name, value in vars(domains).items() if _is_domain(value)} | {"UnitInterval"}
    assert public - {"Fixed", "Tied"} == {name for name in vars(module) if name in public}
    assert all(getattr(module, name) is getattr(domains, name) for name in public - {"Fixed", "Tied"})


def _is_domain(value):
    return isinstance(value, type) and issubclass(value, domains.Domain) and value.__name__[0] != "_"


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


def test_coordinates_have_dotted_names():
    assert nested().coordinate_names() == [
        "log weights[0]/weights[2]",
        "log weights[1]/weights[2]",
        "log inner.scales[0]",
        "log inner.scales[1]",
        "log several.0.scales[0]",
        "log several.1.scales[0]",
    ]


@dataclass(frozen=True)
class Declared(Parameters):
    """Domains with shapes, of which some entries are held or equal."""

    means: Any = parameter(Real(2, 2).tied(axis=0))
    scales: Any = parameter(Positive(3).fixed([np.nan, 1.0, np.nan]))
    spread: Any = parameter(PositiveDefinite(2))
    share: Any = parameter(Interval(-1.0, 1.0))


def declared():
    return Declared(np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([2.0, 1.0, 3.0]), np.eye(2), np.array(0.5))


def test_what_is_held_or_equal_stays_so_wherever_the_vector_goes():
    params = declared()
    assert params.check() is params
    assert params.n_free == len(params.flatten()) == len(params.coordinate_names()) == 2 + 2 + 3 + 1
    moved = params.unflatten(params.flatten() + np.linspace(-1, 1, 8)).check()
    assert moved.scales[1] == 1.0 and moved.scales[0] != 2.0
    assert np.array_equal(moved.means[0], moved.means[1]) and not np.array_equal(moved.means, params.means)


def test_a_value_that_is_not_the_fixed_one_is_named():
    params = declared()
    wrong = Declared(params.means, np.array([2.0, 1.5, 3.0]), params.spread, params.share)
    with pytest.raises(ParameterError, match=r"scales must lie in Positive\(3\)\.fixed\(\[nan, 1\.0, nan\]\), got"):
        wrong.check()


@dataclass(frozen=True)
class Halved(Inner):
    """A record that flattens in a way of its own."""

    @property
    def n_free(self):
        return 1


def test_coordinates_of_a_record_that_flattens_in_a_way_of_its_own_are_numbered():
    assert Halved(np.ones(2)).coordinate_names() == ["Halved (coordinate 0)"]
    assert Outer(np.ones(1), Halved(np.ones(2))).coordinate_names() == ["inner (coordinate 0)"]


def test_parameters_survive_pickling():
    back = pickle.loads(pickle.dumps(declared()))
    np.testing.assert_array_equal(back.flatten(), declared().flatten())


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_blend_lies_between_and_in_the_domains(name):
    params = zoo.FAMILIES[name].parameters(2)
    other = params.unflatten(params.flatten() + 0.3)  # elsewhere in the domains
    mixed = params.blend(other, 0.25).check()
    for label, value in mixed.arrays().items():
        expected = 0.75 * np.asarray(params.arrays()[label]) + 0.25 * np.asarray(other.arrays()[label])
        np.testing.assert_allclose(value, expected, rtol=1e-12)
