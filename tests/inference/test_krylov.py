"""What Lanczos' recursion says of the smallest curvature, where all are known."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.inference.krylov import DOUBT, lanczos
from latentem.inference.spectrum import SURE

TRIALS = 400


def spectra(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Eigenvalues up to 1 among which the smallest hides."""
    return {
        "one zero below a cluster": np.concatenate([[0.0], np.linspace(0.0025, 1.0, 39)]),
        "one zero below small ones": np.concatenate([[0.0], rng.uniform(0.002, 0.01, 59), rng.uniform(0.1, 1.0, 20)]),
        "small and dense": np.sort(10.0 ** rng.uniform(-4, 0, 60)),
        "one below zero": np.concatenate([[-0.01], np.linspace(0.01, 1.0, 79)]),
        "far apart": np.array([0.3, *rng.uniform(0.5, 1.0, 99)]),
        "all equal": np.full(50, 0.4),
    }


@pytest.mark.parametrize("name", list(spectra(np.random.default_rng(0))))
def test_the_smallest_is_never_below_what_it_is_surely_above(name):
    rng = np.random.default_rng(1)
    values = spectra(rng)[name]
    wrong, decided = 0, 0
    for _ in range(TRIALS):
        first = rng.normal(size=len(values))
        found, vector, residual, least = lanczos(lambda v: values * v, first / np.linalg.norm(first))
        assert found[0] >= values[0] - 1e-12
        assert np.abs(values - found[0]).min() <= residual + 1e-12
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-10)
        wrong += least > values[0] + 1e-12
        decided += least > SURE
    # The bound holds for every spectrum, so for most by far.
    assert wrong <= max(1, 2 * DOUBT * TRIALS)
    if values[0] >= 0.3:
        assert decided == TRIALS
    if values[0] <= 0:
        assert decided <= max(1, 2 * DOUBT * TRIALS)


def test_in_as_many_steps_as_dimensions_nothing_is_left_to_chance(rng):
    values = np.sort(rng.uniform(0.001, 1.0, size=12))
    found, _, _, least = lanczos(lambda v: values * v, np.ones(12) / np.sqrt(12))
    assert least == pytest.approx(values[0], rel=1e-6)
    assert found[0] == pytest.approx(values[0], rel=1e-6)
