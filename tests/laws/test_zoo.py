"""The zoo is complete: whatever the library offers meets the laws."""

import importlib
import inspect
import pkgutil

import pytest
import zoo

import latentem.acceleration
import latentem.execution
import latentem.families
import latentem.latents
from latentem.em import Acceleration, Executor
from latentem.model import Family, Latent


def offered(package, base):
    """Public concrete subclasses of `base` that the package's modules define."""
    found = set()
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__:
                if not inspect.isabstract(value) and not name.startswith("_"):
                    found.add(value)
    return found


KINDS = {
    "families": (latentem.families, Family, [specimen.of(2) for specimen in zoo.FAMILIES.values()]),
    "latents": (latentem.latents, Latent, [specimen.latent(2) for specimen in zoo.LATENTS.values()]),
    "accelerations": (latentem.acceleration, Acceleration, [make() for make in zoo.ACCELERATIONS.values()]),
    "executors": (latentem.execution, Executor, [make() for make in zoo.EXECUTORS.values()]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_in_the_zoo_exactly_once(kind):
    package, base, specimens = KINDS[kind]
    kinds = [type(specimen) for specimen in specimens]
    assert len(kinds) == len(set(kinds))
    assert {kind.__name__ for kind in kinds} == {kind.__name__ for kind in offered(package, base)}


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_names_are_those_of_the_classes(name):
    assert type(zoo.FAMILIES[name].of(2)).__name__ == name
