"""What a picture says that it takes, it takes: every family, and every latent with states."""

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.errors import ParameterError
from latentem.families.gaussian import DiagonalGaussian
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.plots import BoundDisplay, GainsDisplay, RootogramDisplay, UncertaintyDisplay, draw_ascent
from latentem.statistics import is_local
from latentem.testing import draw


def fitted(name, rng):
    specimen = zoo.FAMILIES[name]
    family, params = specimen.of(2), specimen.parameters(2)
    batch, _ = draw(family, params, 2, rng, 60, specimen.n_covariates)
    lengths = batch.group_lengths if family.per_group else None if specimen.independent else [20, 40]
    source = em.ArraySource(batch.values, lengths=lengths, covariates=batch.covariates)
    start = ModelParameters(CategoricalParameters(np.array([0.3, 0.7])), params)
    return em.fit(LatentVariableModel(Categorical(2), family), source, parameters=start, max_iter=3)


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_mixture_of_any_family_is_drawn(name, rng, ax):
    result = fitted(name, rng)
    display = RootogramDisplay.from_estimator(result).plot(ax.figure.add_subplot())
    np.testing.assert_allclose(display.counts.sum(axis=1) + display.left_out, result.expectation.weight)
    assert len(UncertaintyDisplay.from_estimator(result).plot(ax).uncertainty) == result.expectation.weight
    draw_ascent(result, ax.figure.add_subplot())
    if is_local(result.expectation.statistics):
        with pytest.raises(ParameterError, match="second order"):
            BoundDisplay.from_result(result)
        return
    if result.history[1][1] - result.history[0][1] < 1e-9:  # equal boxes: nothing to gain
        with pytest.raises(ParameterError, match="gains nothing"):
            BoundDisplay.from_result(result)
        return
    bound = BoundDisplay.from_result(result).plot(ax.figure.add_subplot())
    assert np.nanmax(bound.bound - bound.objective) <= 1e-9 * abs(bound.here)
    gains = GainsDisplay.from_result(result)
    assert np.all(gains.q >= -gains.rounding) and np.all(gains.kl >= -gains.rounding)


@pytest.mark.parametrize("name", zoo.LATENTS)
def test_a_model_with_any_latent_is_drawn(name, rng, ax):
    specimen, family = zoo.LATENTS[name], zoo.FAMILIES["DiagonalGaussian"]
    model = LatentVariableModel(specimen.latent(2), DiagonalGaussian())
    batch, _ = draw(family.of(2), family.parameters(2), 2, rng, 60, specimen.n_covariates)
    source = em.ArraySource(batch.values, lengths=[30, 30], covariates=batch.covariates)
    start = ModelParameters(specimen.parameters(2), family.parameters(2))
    result = em.fit(model, source, parameters=start, max_iter=3)
    display = RootogramDisplay.from_estimator(result).plot(ax)
    np.testing.assert_allclose(display.counts.sum(axis=1) + display.left_out, 60)
    uncertainty = UncertaintyDisplay.from_estimator(result).uncertainty
    assert len(uncertainty) == 60 and np.all((uncertainty > -1e-12) & (uncertainty < 0.5 + 1e-12))
    if not is_local(result.expectation.statistics):
        assert GainsDisplay.from_result(result).q.min() > 0
