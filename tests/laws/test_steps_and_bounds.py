"""M-steps without closed form: how far they lead, where they end, and bounds that proposals must respect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zoo

from latentem.data import Batch
from latentem.families.negative_binomial import NegativeBinomial
from latentem.families.student_t import FullStudentT, FullStudentTParameters
from latentem.families.student_t_diagonal import DiagonalStudentT, DiagonalStudentTParameters
from latentem.families.weibull import Weibull
from latentem.model import Posterior

# -- the M-step from afar --------------------------------------------------------------------------


def far_apart(name, rng):
    """Two groups of rows whose parameters differ by powers of ten, and the start that both share."""
    shape, level = np.exp(rng.uniform(-0.7, 3.5, 2)), np.exp(rng.normal(0, 2, 2))
    if name == "Weibull":
        family, rows = Weibull(), [level[k] * rng.weibull(shape[k], size=100) + 1e-12 for k in range(2)]
    else:
        family = NegativeBinomial()
        rates = [rng.standard_gamma(shape[k], size=100) * 10 * level[k] / shape[k] for k in range(2)]
        rows = [rng.poisson(rate).astype(float) for rate in rates]
    batch = Batch(np.concatenate(rows)[:, None])
    return family, batch, family.start(batch, 2)


@pytest.mark.parametrize("name", ["Weibull", "NegativeBinomial"])
def test_a_few_steps_lead_from_the_pooled_rows_to_the_maximum(name):
    """Newton's steps overshoot where a group's scale is not that of all rows, and then take dozens to come back."""
    r = np.repeat([[1.0, 0.0], [0.0, 1.0]], 100, axis=1)
    for seed in range(60):
        family, batch, params = far_apart(name, np.random.default_rng(seed))
        reached = []
        for _ in range(10):
            params = family.maximize(family.statistics(batch, Posterior(r), params), params)
            reached.append(np.sum(r * family.log_density(batch, params), axis=1))
        assert np.all(np.diff(reached, axis=0) >= -1e-9 * np.abs(reached[-1])), seed
        np.testing.assert_allclose(reached[5], reached[-1], rtol=1e-5)
        inside = params.sizes < 1e6 if name == "NegativeBinomial" else params.shapes > 0
        score = family.score(family.statistics(batch, Posterior(r), params), params).reshape(2, 2)
        np.testing.assert_allclose(score * inside.T, 0.0, atol=1e-7)


def test_a_shape_on_its_bound_leaves_the_best_scale_beside_it():
    family = Weibull(shape_range=(0.5, 2.0))
    batch, r = Batch(np.random.default_rng(0).weibull(8.0, size=(200, 1)) * 5), Posterior(np.ones((1, 200)))
    params = family.start(batch, 1)
    for _ in range(8):
        params = family.maximize(family.statistics(batch, r, params), params)
    np.testing.assert_allclose(params.shapes, 2.0, rtol=1e-12)
    np.testing.assert_allclose(params.scales, np.sqrt(np.mean(batch.values**2)), rtol=1e-9)


# -- bounds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "params"),
    [
        (FullStudentT(), FullStudentTParameters(np.zeros((1, 2)), np.eye(2)[None], np.array([5.0]))),
        (DiagonalStudentT(), DiagonalStudentTParameters(np.zeros((1, 2)), np.ones((1, 2)), np.array([5.0]))),
        (FullStudentT(dof=3.0), FullStudentTParameters(np.zeros((1, 2)), np.eye(2)[None], np.empty(0))),
    ],
)
def test_student_t_refuses_degrees_of_freedom_and_scales_beyond_their_bounds(family, params):
    assert family.admissible(params)
    assert not family.admissible(replace(params, scales=params.scales * 1e-9))
    for dof in (0.05, 2e3):
        assert len(params.dof) == 0 or not family.admissible(replace(params, dof=np.array([dof])))
    for dof in family.dof_range:
        assert len(params.dof) == 0 or family.admissible(replace(params, dof=np.array([dof])))


@pytest.mark.parametrize("name", ["NegativeBinomial", "Weibull"])
def test_parameters_beyond_a_bound_are_refused_and_those_on_it_are_not(name):
    family, params = zoo.FAMILIES[name].of(2), zoo.FAMILIES[name].parameters(2)
    assert family.admissible(params)
    for index, (low, high) in enumerate(family.bounds):
        for bound, beyond in ((low, -1e-3), (high, 1e-3)):
            block = family._block(params.flatten(), params).copy()
            block[..., index] = bound
            assert family.admissible(family._parameters(block, params))
            block[0, 0, index] += beyond
            assert not family.admissible(family._parameters(block, params))
