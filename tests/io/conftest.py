"""Small fitted models for the tests of files, and fresh interpreters."""

import os
import subprocess
import sys

import numpy as np
import pytest

from latentem.acceleration import Squarem
from latentem.data import ArraySource
from latentem.datasets import load_faithful
from latentem.em import run
from latentem.execution import Serial
from latentem.families import gaussian
from latentem.families.poisson import Poisson
from latentem.latents import Categorical, MarkovChain
from latentem.model import LatentVariableModel, Prior

FAMILIES = {
    "full": gaussian.FullGaussian((1e-6, 1e-3)),
    "tied": gaussian.TiedGaussian(),
    "diagonal": gaussian.DiagonalGaussian(1 / 3),
    "spherical": gaussian.SphericalGaussian(),
    "poisson": Poisson(),
    "chains inside": LatentVariableModel(Categorical(2), gaussian.FullGaussian()),
}


def source_for(name):
    values = load_faithful().values
    return ArraySource(np.round(values) if name == "poisson" else values, lengths=[100, 172])


def started(model, source, seed=0):
    """Parameters that differ between components."""
    start = model.start(source.read(source.chunks[0]))
    rng = np.random.default_rng(seed)
    return start.unflatten(start.flatten() + 0.1 * rng.standard_normal(len(start.flatten())))


def fit(name, latent="mixture", **options):
    family = FAMILIES[name]
    if name == "chains inside":
        model = LatentVariableModel(Categorical(1), family)
    else:
        model = LatentVariableModel(
            MarkovChain(2) if latent == "chain" else Categorical(2, fixed=(0,)),
            family,
            Prior(np.array([[3.0, 70.0]]), np.array([0.5]), concentration=0.25),
        )
    source = source_for(name)
    options = {"executor": Serial(), "acceleration": Squarem(), "max_iter": 8, **options}
    return run(model, source, started(model, source), **options), source


def bits_of(result, source):
    """Everything a prediction is made of."""
    parts = [result.model.infer(result.parameters, batch) for batch in source]
    return b"".join(posterior.probabilities.tobytes() + log_density.tobytes() for posterior, log_density in parts)


@pytest.fixture(params=FAMILIES)
def family(request):
    """The name of each family in turn."""
    return request.param


@pytest.fixture
def fitted():
    """A function from a family's name, and how to fit it, to a result and its source."""
    return fit


@pytest.fixture
def posterior_bits():
    return bits_of


@pytest.fixture
def run_python():
    """Run code in a fresh interpreter; what it printed."""

    def run(code, *arguments, check=True):
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        if check and process.returncode:
            raise AssertionError(process.stderr)
        return process.stdout.strip()

    return run
