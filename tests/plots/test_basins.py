"""Every start ends at one of the maxima, and starts at a maximum end there."""

import numpy as np
import pytest

import latentem as em
from latentem.errors import ParameterError
from latentem.families.gaussian import FullGaussian
from latentem.plots import BasinsDisplay, draw_basins

O = np.nan
MURRAY = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1], *[[2, O], [-2, O], [O, 2], [O, -2]] * 2])
NAMES = ("log emission.covariances[0,0,0] (Cholesky)", "emission.covariances[0,1,0] (Cholesky)")


@pytest.fixture(scope="module")
def result():
    """Two maxima, of positive and of negative correlation, and a saddle between them."""
    model = em.LatentVariableModel(em.Categorical(1), FullGaussian(floor=0.0))
    return em.fit(model, MURRAY, random_state=0, certify=True, tol=1e-8)


@pytest.fixture(scope="module")
def display(result):
    return BasinsDisplay.from_result(result, NAMES, size=6)


def test_each_end_is_one_of_the_maxima(display, result):
    assert display.ends.shape == (6, 6) and display.ends.min() >= 0
    np.testing.assert_allclose(display.reached, np.array(display.objectives)[display.ends], atol=1e-3)
    assert max(display.objectives) == pytest.approx(result.objective, abs=1e-4)
    assert display.shares.sum() == pytest.approx(1)


def test_the_sign_of_the_correlation_where_em_begins_is_that_where_it_ends(display):
    assert len(display.objectives) == 2
    positive = display.up > 0
    assert len(np.unique(display.ends[positive])) == len(np.unique(display.ends[~positive])) == 1
    assert display.ends[0, 0] != display.ends[-1, 0]


def test_ways_lead_from_starts_of_the_grid_to_ends_where_em_stands_still(display, result):
    pair = [result.parameters.coordinate_names().index(name) for name in NAMES]
    place = result.parameters.flatten()[pair]
    for path in display.paths:
        np.testing.assert_allclose(np.abs(display.across - path[0, 0]).min(), 0, atol=1e-9)
        np.testing.assert_allclose(np.abs(display.up - path[0, 1]).min(), 0, atol=1e-9)
        np.testing.assert_allclose(np.abs(path[-1]), np.abs(place), atol=0.01)


def test_basins_are_told_apart_by_hatches_too(display, ax):
    assert display.plot(ax).ax_ is ax
    ax.figure.canvas.draw()
    hatches = [item.get_hatch() for item in ax.collections]
    assert len(set(hatches)) == len(hatches) == 2
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0].startswith("log-likelihood -29.97") and labels[-1] == "the way of EM, and its end"


def test_where_em_comes_to_no_end_nothing_is_claimed(result, ax):
    with pytest.raises(ParameterError, match="no end from any"):
        BasinsDisplay.from_result(result, NAMES, size=2, max_iter=1)
    some = BasinsDisplay.from_result(result, NAMES, size=4, ranges=((-30.0, 0.0), (0.5, 1.0)), max_iter=60)
    assert np.all(np.isnan(some.reached) == (some.ends < 0))
    some.plot(ax)


def test_coordinates_that_are_none_are_refused(result, ax):
    with pytest.raises(ParameterError, match="expected two coordinates of emission"):
        draw_basins(result, ("emission.means[0,0]", "correlation"), ax)
    with pytest.raises(ParameterError, match="expected two coordinates"):
        draw_basins(result, ("emission.means[0,0]",) * 2, ax)
    with pytest.raises(ParameterError, match="two starts each way"):
        draw_basins(result, NAMES, ax, size=1)
