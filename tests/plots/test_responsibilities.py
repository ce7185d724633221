"""Rootograms count every row once for each component; uncertainty is what no component is responsible for."""

import numpy as np
import pytest

import latentem as em
from latentem.datasets import load_faithful
from latentem.errors import ParameterError
from latentem.families.poisson import Poisson
from latentem.latents import Categorical
from latentem.plots import RootogramDisplay, UncertaintyDisplay, draw_rootogram, draw_uncertainty

FAITHFUL = load_faithful().values


def texts(ax):
    ax.figure.canvas.draw()
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("bins", [1, 7, 20])
@pytest.mark.parametrize("smallest", [0.0, 1e-4, 0.3])
def test_each_component_of_a_rootogram_counts_all_rows(overlapping, bins, smallest):
    display = RootogramDisplay.from_estimator(overlapping, FAITHFUL, bins=bins, smallest=smallest)
    np.testing.assert_allclose(display.counts.sum(axis=1) + display.left_out, len(FAITHFUL))
    np.testing.assert_allclose(display.heights**2, display.counts)
    assert display.shares.sum() == pytest.approx(1)


def test_the_data_of_the_fit_and_weights_count_alike(overlapping, chain):
    for fitted, rows in ((overlapping, FAITHFUL), (chain, FAITHFUL[:, 1:])):
        own, given = RootogramDisplay.from_estimator(fitted), RootogramDisplay.from_estimator(fitted, rows)
        np.testing.assert_allclose(own.counts, given.counts)
        np.testing.assert_allclose(own.left_out, given.left_out)
    weights = np.arange(272.0) % 3
    model = em.LatentVariableModel(Categorical(2), em.families.FullGaussian())
    result = em.fit(model, FAITHFUL, sample_weight=weights, random_state=0)
    display = RootogramDisplay.from_estimator(result)
    np.testing.assert_allclose(display.counts.sum(axis=1) + display.left_out, weights.sum())
    rows = np.repeat(FAITHFUL, weights.astype(int), axis=0)
    np.testing.assert_allclose(display.counts, RootogramDisplay.from_estimator(result, rows).counts)


def test_bars_of_a_rootogram_are_square_roots(overlapping, ax):
    display = RootogramDisplay.from_estimator(overlapping).plot(ax)
    assert display.ax_ is ax
    ax.figure.canvas.draw()
    heights = [patch.get_height() for patch in ax.patches]
    np.testing.assert_allclose(np.square(heights).reshape(3, -1), display.counts)
    assert len({patch.get_hatch() for patch in ax.patches}) == 3


def test_sequences_are_told_apart_by_their_lengths(chain):
    rows, lengths = FAITHFUL[:, 1:], [100, 172]
    display = UncertaintyDisplay.from_estimator(chain, rows, lengths=lengths)
    np.testing.assert_allclose(display.uncertainty, 1 - chain.predict_proba(rows, lengths).max(axis=1))
    result = UncertaintyDisplay.from_estimator(chain.result_, rows, lengths=lengths)
    np.testing.assert_allclose(display.uncertainty, result.uncertainty)


def test_uncertainty_is_drawn_over_two_columns_over_one_and_sorted(overlapping, chain, ax):
    display = UncertaintyDisplay.from_estimator(overlapping, FAITHFUL)
    expected = 1 - overlapping.predict_proba(FAITHFUL).max(axis=1)
    np.testing.assert_allclose(display.uncertainty, expected)
    np.testing.assert_array_equal(display.assigned, overlapping.predict(FAITHFUL))
    assert draw_uncertainty(overlapping, FAITHFUL, ax) is ax
    assert texts(ax)[:3] == ["component 0", "component 1", "component 2"]
    assert sum(len(item.get_offsets()) for item in ax.collections[:3]) == len(FAITHFUL)
    other = UncertaintyDisplay.from_estimator(chain, FAITHFUL[:, 1:]).plot(ax.figure.add_subplot())
    assert other.points.shape == (272, 1) and other.ax_.get_ylim()[1] > 0.5


def test_sorted_uncertainty_rises_over_all_rows(overlapping, ax):
    draw_uncertainty(overlapping, None, ax)
    x, y = ax.lines[0].get_data()
    assert np.all(np.diff(y) >= 0) and x[-1] == 272
    other = draw_uncertainty(overlapping, FAITHFUL, ax.figure.add_subplot(), columns=())
    np.testing.assert_allclose(np.interp(x, *other.lines[0].get_data()), y, atol=1e-9)


@pytest.mark.parametrize("columns", [(), (0,), (1, 0)])
def test_a_single_component_has_all_rows(columns, ax):
    one = em.GaussianMixture(1).fit(FAITHFUL)
    assert not UncertaintyDisplay.from_estimator(one, FAITHFUL, columns=columns).plot(ax).uncertainty.any()
    ax.figure.canvas.draw()
    display = RootogramDisplay.from_estimator(one).plot(ax.figure.add_subplot())
    assert display.counts[0, -1] == 272 and display.left_out == 0


def test_plates_are_drawn_sorted(ax):
    counts = np.random.default_rng(0).poisson([[3]] * 30 + [[9]] * 30).astype(float)
    model = em.LatentVariableModel(Categorical(2), em.families.Plate(Poisson()))
    result = em.fit(model, counts, lengths=[3] * 20, random_state=0)
    assert len(UncertaintyDisplay.from_estimator(result).uncertainty) == 20
    assert RootogramDisplay.from_estimator(result).counts.sum() <= 40
    with pytest.raises(ParameterError, match=r"columns=\(\)"):
        UncertaintyDisplay.from_estimator(result, em.ArraySource(counts, lengths=[3] * 20))


def test_what_has_no_components_is_refused(ax):
    rows = np.random.default_rng(0).standard_normal((50, 3))
    with pytest.raises(ParameterError, match="no components or states"):
        draw_rootogram(em.FactorAnalysis(1).fit(rows), None, ax)
    with pytest.raises(ParameterError, match="expected a fitted estimator"):
        draw_uncertainty("mixture", rows, ax)
    fit = em.GaussianMixture(2, random_state=0).fit(FAITHFUL)
    with pytest.raises(ParameterError, match="none, one or two of 0 … 1"):
        draw_uncertainty(fit, FAITHFUL, ax, columns=(0, 1, 1))
    with pytest.raises(ParameterError, match="give X"):
        draw_uncertainty(fit, None, ax, columns=(0,))
    with pytest.raises(ParameterError, match="at least one bin"):
        RootogramDisplay.from_estimator(fit, bins=0)
