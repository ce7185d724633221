"""The range of each entry, which unconstrained intervals stay within: no less, and no more, than its domain allows."""

from __future__ import annotations

import numpy as np
import pytest

from latentem import domains
from latentem.domains.matrices import Noise
from latentem.inference.natural import _limits

SHAPES = {
    "Correlation": [(3, 3)],
    "Interval": [(2,)],
    "LowerTriangular": [(3, 3)],
    "Noise": [(3,), (3, 3)],
    "Ordered": [(3,)],
    "Positive": [(), (2, 3)],
    "PositiveDefinite": [(3, 3), (2, 2, 2)],
    "Real": [(2, 2)],
    "Simplex": [(3,), (2, 3)],
    "UnitInterval": [(2,)],
}
ARGUMENTS = {"Interval": (-1.0, 2.5)}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def test_every_domain_is_tried():
    assert {name for name in domains.__all__ if name not in ("Domain", "Fixed", "Tied")} <= SHAPES.keys()


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_limits_are_met_and_come_near(name, shape, rng):
    domain = {**vars(domains), "Noise": Noise}[name](*ARGUMENTS.get(name, ()))
    limits = _limits(domain, shape)
    n = domain.n_free(shape)
    seen = np.array([domain.unflatten(vector, shape) for vector in rng.normal(scale=6.0, size=(4000, n))])
    assert np.all(limits[..., 0] <= seen.min(axis=0))
    assert np.all(seen.max(axis=0) <= limits[..., 1])
    free = np.ptp(seen, axis=0) > 0
    for end, extreme in ((limits[..., 0], seen.min(axis=0)), (limits[..., 1], seen.max(axis=0))):
        near = np.isfinite(end) & free
        assert np.all(np.abs(extreme - end)[near] < 1e-2)
        assert np.all(np.abs(extreme)[~np.isfinite(end) & free] > 5.0)
