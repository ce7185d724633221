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
            own = inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
            if own and issubclass(value, base) and not inspect.isabstract(value):
                found.add(value)
    return found


def made(makers):
    return [make() for make in makers.values()]


FAMILIES = [*zoo._FAMILIES, *zoo.LINEAR_FAMILIES.values()]
LATENTS = zoo.LATENTS | zoo.NORMAL_LATENTS | zoo.NORMAL_CHAINS

KINDS = {
    "families": (latentem.families, Family, [one.of(2) for one in FAMILIES], len(zoo.FAMILIES | zoo.LINEAR_FAMILIES)),
    "latents": (latentem.latents, Latent, [one.latent(2) for one in LATENTS.values()], len(LATENTS)),
    "accelerations": (latentem.acceleration, Acceleration, made(zoo.ACCELERATIONS), len(zoo.ACCELERATIONS)),
    "executors": (latentem.execution, Executor, made(zoo.EXECUTORS), len(zoo.EXECUTORS)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_in_the_zoo_exactly_once(kind):
    package, base, specimens, size = KINDS[kind]
    kinds = [type(specimen) for specimen in specimens]
    assert len(kinds) == len(set(kinds)) == size
    assert {kind.__name__ for kind in kinds} == {kind.__name__ for kind in offered(package, base)}
