"""What every test shares.  Warnings are errors: see `filterwarnings` in pyproject.toml."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def rng():
    """A generator with the same stream in every test."""
    return np.random.default_rng(20)


@pytest.fixture(autouse=True)
def no_global_random_state():
    """Neither the code nor a test may draw from NumPy's global generator."""
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - to see that nobody else uses it
    yield
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    assert before["pos"] == after["pos"] and np.array_equal(before["key"], after["key"])
