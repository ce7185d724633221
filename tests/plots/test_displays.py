"""Displays of the pictures that are as old as the package: their numbers, and what they are drawn from."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

import latentem as em
from latentem import plots
from latentem.datasets import load_faithful, load_nile, load_okun
from latentem.errors import DataError, ParameterError
from latentem.families.gaussian import DiagonalGaussian
from latentem.plots import (
    BICDisplay,
    ComparisonDisplay,
    ForecastDisplay,
    LoadingsDisplay,
    MixtureDisplay,
    SequenceDisplay,
    draw_comparison,
    draw_forecast,
    draw_loadings,
    draw_mixture,
)

FAITHFUL, NILE = load_faithful(), load_nile().values


@pytest.fixture(scope="module")
def level():
    return em.LinearGaussianStateSpace.local_level(tol=1e-4).fit(NILE[:, 1])


@pytest.fixture(scope="module")
def regression():
    okun = load_okun().values
    change, growth = np.diff(okun[:, 3]), 100 * np.diff(np.log(okun[:, 2]))
    model = em.LinearGaussianStateSpace.dynamic_regression(1, tol=1e-2, max_iter=2000)
    return model.fit(change, inputs=growth), change, growth


def test_every_picture_with_numbers_has_a_display():
    displays = [value for name, value in vars(plots).items() if name.endswith("Display")]
    assert all(issubclass(one, plots.Display) for one in displays) and len(displays) == 17


def test_the_signal_of_a_level_is_its_state_with_its_variance(level, ax):
    display = ForecastDisplay.from_estimator(level, NILE[:, 1], 10, level=0.9, times=NILE[:, 0])
    smoothed, ahead = level.smooth(NILE[:, 1]), level.forecast(10, NILE[:, 1], level=0.9)
    np.testing.assert_allclose(display.signal, smoothed.mean[:, 0])
    np.testing.assert_allclose(display.signal_half, 1.6448536 * np.sqrt(smoothed.covariance[:, 0, 0]), rtol=1e-6)
    np.testing.assert_allclose(display.mean - display.half, ahead.lower[:, 0])
    np.testing.assert_allclose(display.mean + display.half, ahead.upper[:, 0])
    np.testing.assert_array_equal(display.later, np.arange(1971, 1981))
    assert draw_forecast(level, NILE[:, 1], 10, ax, times=NILE[:, 0]) is ax
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "95% interval"


def test_the_signal_of_a_model_with_inputs_is_that_of_the_inputs(regression, ax):
    fitted, change, growth = regression
    display = ForecastDisplay.from_estimator(fitted, change, 2, inputs=growth, future_inputs=[0.0, 1.0])
    states = fitted.smooth(change, inputs=growth)
    u = np.stack([np.ones_like(growth), growth], axis=1)
    np.testing.assert_allclose(display.signal, np.sum(states.mean * u, axis=1), atol=1e-9)
    variance = np.einsum("ti,tij,tj->t", u, states.covariance, u)
    np.testing.assert_allclose(display.signal_half, 1.959964 * np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(display.mean[1] - display.mean[0], states.mean[-1, 1], rtol=1e-6)
    assert display.plot(ax).ax_ is ax
    with pytest.raises(DataError, match="has 1 inputs, but 0"):
        draw_forecast(fitted, change, 2, ax)
    with pytest.raises(ParameterError, match="inputs must have shape"):
        draw_forecast(fitted, change, 2, ax, inputs=growth)


def test_fixed_effects_of_inputs_belong_to_the_signal():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((80, 1))
    y = np.cumsum(0.3 * rng.standard_normal(80)) + 2 * u[:, 0] + 0.3 * rng.standard_normal(80)
    fitted = em.LinearGaussianStateSpace.local_level(inputs=[[None]], tol=1e-3).fit(y, inputs=u)
    display = ForecastDisplay.from_estimator(fitted, y, inputs=u)
    states = fitted.smooth(y, inputs=u).mean
    expected = fitted.offset_ + states @ fitted.loadings_.T + u @ fitted.inputs_.T
    np.testing.assert_allclose(display.signal, expected[:, 0])
    assert not len(display.later)


def test_a_forecast_of_what_is_no_series_is_refused(mixture, chain, level, ax):
    for fitted in (mixture, chain):
        with pytest.raises(ParameterError, match="expected a fitted LinearGaussianStateSpace"):
            draw_forecast(fitted, NILE[:, 1], ax=ax)
    with pytest.raises(ParameterError, match="one of 0 … 0"):
        draw_forecast(level, NILE[:, 1], ax=ax, column=1)
    with pytest.raises(ParameterError, match="one entry for each"):
        draw_forecast(level, NILE[:, 1], ax=ax, times=[1.0])


def test_numbers_of_a_mixture_are_drawn_again_and_again(mixture, ax):
    display = MixtureDisplay.from_estimator(mixture, FAITHFUL.values, names=FAITHFUL.names)
    np.testing.assert_array_equal(display.assigned, mixture.predict(FAITHFUL.values))
    for columns in ((0, 1), (1, 0)):
        drawn = display.plot(ax.figure.add_subplot(), columns=columns).ax_
        assert drawn.get_xlabel() == FAITHFUL.names[columns[0]]
    factors = em.FactorAnalysis(1).fit(np.random.default_rng(0).standard_normal((40, 3)))
    with pytest.raises(ParameterError, match="no components to draw"):
        draw_mixture(factors, np.ones((4, 3)), ax)


def test_loadings_are_kept_in_the_order_drawn(ax):
    display = LoadingsDisplay.from_estimator(np.array([[0.1, 0.9], [0.8, -0.2], [0.95, 0.0]]), "abc")
    assert display.names == ("c", "b", "a") and display.table[0, 0] == 0.95
    assert draw_loadings(display.table, display.names, ax) is ax


def test_bic_of_estimators_is_theirs(mixture, overlapping, ax):
    display = BICDisplay.from_estimators({"full": [overlapping, mixture]})
    assert [one.n_components for one in display.candidates] == [2, 3]
    assert display.best.bic == pytest.approx(min(one.bic(FAITHFUL.values) for one in (mixture, overlapping)))
    assert display.plot(ax).ax_ is ax
    factors = em.FactorAnalysis(1).fit(np.random.default_rng(0).standard_normal((40, 3)))
    with pytest.raises(ParameterError, match="no components or states"):
        BICDisplay.from_estimators([factors])


def test_a_sequence_is_decoded_for_its_picture(chain, mixture, ax):
    rows = FAITHFUL.values[:60, 1:]
    display = SequenceDisplay.from_estimator(chain, rows)
    np.testing.assert_array_equal(display.states, chain.predict(rows))
    np.testing.assert_allclose(display.certainty, chain.predict_proba(rows).max(axis=1))
    np.testing.assert_array_equal(display.levels, chain.means_[:, 0])
    assert display.plot(ax).ax_ is ax
    part = SequenceDisplay.from_estimator(chain, rows, start=20, stop=30).plot(ax.figure.add_subplot())
    np.testing.assert_array_equal(part.states, display.states[20:30])
    np.testing.assert_array_equal(part.ax_.lines[0].get_xdata(), np.arange(20, 30))
    with pytest.raises(ParameterError, match="no rows from 70"):
        SequenceDisplay.from_estimator(chain, rows, start=70)
    with pytest.raises(ParameterError, match="expected a fitted hidden Markov model"):
        SequenceDisplay.from_estimator(mixture, rows)
    with pytest.raises(ParameterError, match="one of 0 … 0"):
        SequenceDisplay.from_estimator(chain, rows, column=1)


def test_a_comparison_never_rises_and_methods_differ_without_colour(ax):
    model = em.LatentVariableModel(em.Categorical(2), DiagonalGaussian())
    found = em.compare(model, FAITHFUL.values[::3], n_starts=1, random_state=0, max_iter=50)
    display = ComparisonDisplay.from_comparison(found).plot(ax)
    assert all(np.all(np.diff(way.gaps) <= 0) for way in display.ways)
    lines = [line for line in ax.lines if line.get_label() in found.methods]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == len(found.methods)
    with pytest.raises(ParameterError, match="expected what latentem"):
        draw_comparison([found], ax)
    with pytest.raises(ParameterError, match="against must be"):
        draw_comparison(found, ax, against="steps")


def test_without_axes_a_display_makes_a_figure_of_its_own(mixture):
    mpl.use("agg")
    display = plots.AscentDisplay.from_result(mixture)
    first, second = display.plot().figure_, display.plot().figure_
    assert first is not second and {first.number, second.number} <= set(pyplot.get_fignums())
    pyplot.close(first)
    pyplot.close(second)
