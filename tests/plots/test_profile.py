"""The profile peaks at the estimate and ends where the interval does."""

import numpy as np
import pytest

import latentem as em
from latentem.datasets import load_nile
from latentem.errors import ParameterError
from latentem.plots import ProfileDisplay, draw_profile


@pytest.mark.parametrize("name", ["emission.means[0,1]", "latent.weights[0]", "emission.covariances[1,0,0]"])
def test_the_profile_peaks_at_the_estimate_and_has_fallen_by_half_a_quantile_where_the_interval_ends(mixture, name):
    display = ProfileDisplay.from_result(mixture, name)
    errors = mixture.result_.standard_errors()
    top = display.values[display.profile.argmax()]
    known = errors.estimates[errors.names.index(name)]
    assert top == display.estimate == pytest.approx(known, abs=1e-3 * display.error)
    assert np.all(np.diff(display.values) > 0) and np.all(np.isfinite(display.profile))
    rising = display.values <= display.estimate
    assert np.all(np.diff(display.profile[rising]) > 0) and np.all(np.diff(display.profile[~rising]) < 0)
    np.testing.assert_allclose(np.interp(display.interval, display.values, display.profile), display.depth, atol=0.02)
    np.testing.assert_allclose(display.interval, errors.intervals(scale="profile", names=[name])[0])


def test_near_the_estimate_profile_and_parabola_are_one(mixture):
    display = ProfileDisplay.from_result(mixture, "emission.means[1,0]", level=0.1)
    np.testing.assert_allclose(display.profile, display.parabola, rtol=0.02, atol=1e-6)


def test_the_profile_is_drawn_on_the_axes_given(mixture, ax):
    assert draw_profile(mixture, "emission.means[0,1]", ax) is ax
    ax.figure.canvas.draw()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:2] == ["profile", "parabola of the standard error"] and labels[2].startswith("95% interval")
    assert ax.get_xlabel() == "emission.means[0,1]"


def test_a_profile_is_drawn_as_far_as_it_can_be_followed(ax):
    level = em.LinearGaussianStateSpace.local_level(tol=1e-4).fit(load_nile().values[:, 1])
    display = ProfileDisplay.from_result(level, "latent.noise[0]").plot(ax)
    assert np.all(np.isfinite(display.profile)) and display.values.min() > 0
    ax.figure.canvas.draw()


def test_an_entry_that_is_not_there_is_refused(mixture, ax):
    with pytest.raises(ParameterError, match="there is no such entry"):
        draw_profile(mixture, "means", ax)
