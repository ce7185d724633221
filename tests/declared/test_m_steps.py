"""Q of a model without sufficient statistics is known to second order, as its score is to first."""

from __future__ import annotations

import numpy as np
from jax.nn import log_sigmoid
from jax.scipy.stats import norm

import latentem as em
from latentem.kernels.derivatives import moved


def test_q_without_pivots_is_the_quadratic_whose_slope_is_the_score(rng):
    @em.latent_variable_model(latent=em.Normal(), parameters={"easiness": em.Real(3), "slope": em.Real(3)})
    def items(x, z, theta):
        return norm.logpdf(z) + log_sigmoid((2 * x - 1) * (theta.easiness + theta.slope * z)).sum()

    answers = (rng.random((80, 3)) < 0.6).astype(float)
    start = {"easiness": np.zeros(3), "slope": np.ones(3)}
    result = em.fit(items, answers, parameters=start, max_iter=1)
    model, here = result.model, result.parameters
    statistics = result.expectation.statistics
    assert statistics.local is not None
    assert np.isclose(model.q_function(here, statistics), statistics.complete, rtol=1e-12)
    score, vector = model.complete_score(statistics, here), here.flatten()
    there = here.unflatten(vector + 0.1 * rng.normal(size=len(vector)))
    for i in range(len(vector)):
        sides = [
            model.q_function(there.unflatten(moved(there.flatten(), i, step)), statistics) for step in (1e-4, -1e-4)
        ]
        assert np.isclose((sides[0] - sides[1]) / 2e-4, score(there)[i], rtol=1e-7, atol=1e-6)
