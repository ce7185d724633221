"""Directions of 76 turtles: two von Mises components, as von Mises-Fisher on the circle; densities are per radian."""

from __future__ import annotations

import numpy as np
import pytest
from reference.cases import case, fit_tightly, near, start, within

from latentem.families.von_mises_fisher import VonMisesFisher, VonMisesFisherParameters
from latentem.latents import Categorical
from latentem.model import LatentVariableModel

KNOWN = case("vonmises_mixture_turtles")
FREE = KNOWN.expected["free"]
MODEL = LatentVariableModel(Categorical(2), VonMisesFisher())


def unit_vectors(degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


X = unit_vectors(KNOWN.columns("degrees")[:, 0])


def begin_at(degrees, concentration: float):
    return start([0.5, 0.5], VonMisesFisherParameters(concentration * unit_vectors(np.array(degrees, float))))


def test_from_a_rounded_start_em_reaches_the_maximum():
    result = fit_tightly(MODEL, X, parameters=begin_at([240, 60], 3.0))
    found = result.parameters.emission
    assert result.log_likelihood == near(FREE["loglik_radians"], KNOWN.tolerance["loglik"])
    assert result.parameters.latent.weights[0] == pytest.approx(FREE["p"], abs=1e-4)
    angles = np.degrees(np.arctan2(found.directions[:, 1], found.directions[:, 0])) % 360
    within(KNOWN.tolerance["degrees"])(angles, FREE["mu_degrees"])
    within(KNOWN.tolerance["kappa"])(found.concentrations, FREE["kappa"])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("init", ["k-means++", "random-rows"])
def test_free_starts_reach_at_least_the_maximum(init, seed):
    result = fit_tightly(MODEL, X, init=init, n_init=2, random_state=seed)
    assert result.log_likelihood >= FREE["loglik_radians"] - KNOWN.tolerance["loglik"]
    assert result.log_likelihood > KNOWN.expected["antipodal_equal_kappa"]["loglik_radians"]
