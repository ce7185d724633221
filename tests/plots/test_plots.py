"""Pictures show the numbers they are of, and tell series apart without colour."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from latentem.datasets import load_faithful
from latentem.errors import ParameterError
from latentem.families.gamma import Gamma
from latentem.families.gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from latentem.families.poisson import Poisson
from latentem.families.student_t import FullStudentT
from latentem.fitting import fit
from latentem.latents import Categorical, MarkovChain
from latentem.model import LatentVariableModel
from latentem.plots import AscentDisplay, draw_ascent, draw_bic, draw_mixture, draw_sequence
from latentem.plots.shapes import squared_radius
from latentem.plots.style import LINES, MARKERS, Series

FAITHFUL = load_faithful()


def fitted(family, values, k=2, latent=Categorical, **options):
    return fit(LatentVariableModel(latent(k), family), values, random_state=0, **{"max_iter": 200, **options})


def rendered(ax):
    """Draw everything, as a file would; the texts of the legend."""
    ax.figure.canvas.draw()
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    return next(item for item in ax.lines if item.get_label().startswith(label))


def test_component_densities_add_to_the_mixture_and_integrate_to_their_weights(ax):
    result = fitted(FullGaussian(), FAITHFUL.values[:, 1:])
    draw_mixture(result, FAITHFUL.values[:, 1:], ax)
    labels = rendered(ax)
    parts = [line(ax, f"component {k}").get_ydata() for k in range(2)]
    x = line(ax, "mixture").get_xdata()
    np.testing.assert_allclose(line(ax, "mixture").get_ydata(), np.sum(parts, axis=0))
    np.testing.assert_allclose(np.trapezoid(parts, x), result.parameters.latent.weights, atol=0.02)
    assert {"data", "mixture"} < set(labels) and len(labels) == 4
    heights = [patch.get_height() * patch.get_width() for patch in ax.patches]
    assert sum(heights) == pytest.approx(1)


def test_counts_get_bars_and_probabilities_at_whole_numbers(ax):
    rng = np.random.default_rng(0)
    counts = np.concatenate([rng.poisson(2, 100), rng.poisson(15, 100)])[:, None].astype(float)
    draw_mixture(fitted(Poisson(), counts), counts, ax)
    rendered(ax)
    x, y = line(ax, "mixture").get_data()
    np.testing.assert_array_equal(x, np.arange(counts.min(), counts.max() + 1))
    assert y.sum() == pytest.approx(1, abs=0.01)
    assert sum(patch.get_height() for patch in ax.patches) == pytest.approx(1)


@pytest.mark.parametrize(
    "family", [FullGaussian(), TiedGaussian(), DiagonalGaussian(), SphericalGaussian(), FullStudentT(dof=5.0)]
)
def test_ellipses_hold_the_share_of_each_component_that_they_say(ax, family):
    result = fitted(family, FAITHFUL.values)
    draw_mixture(result, FAITHFUL.values, ax)
    rendered(ax)
    outlines = [item.get_xydata() for item in ax.lines if len(item.get_xydata()) == 200]
    rng = np.random.default_rng(1)
    assert len(outlines) == 4
    for number, outline in enumerate(outlines):
        draws = family.sample(result.parameters.emission, np.full(4000, number // 2), rng)
        share = mpl.path.Path(outline).contains_points(draws).mean()
        assert share == pytest.approx((0.5, 0.95)[number % 2], abs=0.03)


def test_regions_of_other_families_hold_the_share_that_they_say(ax):
    result = fitted(Gamma(), FAITHFUL.values)
    draw_mixture(result, FAITHFUL.values, ax)
    rendered(ax)
    assert len([item for item in ax.collections if hasattr(item, "levels")]) == 2
    contour = next(item for item in ax.collections if hasattr(item, "levels"))
    outer = max(contour.get_paths()[0].to_polygons(), key=len)
    draws = result.model.family.sample(result.parameters.emission, np.zeros(4000, int), np.random.default_rng(1))
    assert mpl.path.Path(outer).contains_points(draws).mean() == pytest.approx(0.95, abs=0.03)


def test_the_radius_of_a_bivariate_t_tends_to_the_normal_one():
    assert squared_radius(0.95, 1e9) == pytest.approx(squared_radius(0.95, np.inf), rel=1e-6)
    assert squared_radius(0.5, np.inf) == pytest.approx(2 * np.log(2))


def test_of_many_columns_any_two_can_be_drawn(ax):
    values = np.random.default_rng(0).standard_normal((100, 4)) * [1, 10, 100, 1000]
    result = fitted(FullGaussian(), values)
    draw_mixture(result, values, ax, columns=(3, 1), names=["a", "b", "c", "d"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("d", "b")
    assert ax.get_xlim()[1] > 1000 and ax.get_ylim()[1] < 100
    with pytest.raises(ParameterError, match="one or two of 0 … 3"):
        draw_mixture(result, values, ax, columns=(0, 4))
    with pytest.raises(ParameterError, match="two can be drawn"):
        draw_mixture(result, values, ax, columns=(0,))


def test_missing_entries_and_chains_are_drawn_too(ax):
    values = FAITHFUL.values.copy()
    values[::7, 0] = np.nan
    draw_mixture(fitted(FullGaussian(), values), values, ax)
    rendered(ax)
    chain = fitted(FullGaussian(), FAITHFUL.values, latent=MarkovChain, lengths=[272])
    assert len(rendered(draw_mixture(chain, FAITHFUL, Figure().add_subplot()))) == 4


def test_every_component_is_in_the_legend_and_none_has_the_look_of_another(ax):
    values = np.random.default_rng(0).standard_normal((400, 2))
    draw_mixture(fitted(DiagonalGaussian(), values, k=12, max_iter=3), values, ax)
    assert sum(text.startswith("component") for text in rendered(ax)) == 12
    looks = {(Series(k).colour, Series(k).line, Series(k).marker) for k in range(30)}
    assert len(looks) == 30
    without_colour = {(Series(k).line, Series(k).marker) for k in range(len(LINES) * len(MARKERS))}
    assert len(without_colour) == len(LINES) * len(MARKERS)


def test_names_come_from_the_frame(ax):
    draw_mixture(fitted(FullGaussian(), FAITHFUL.values), FAITHFUL, ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == FAITHFUL.names


def test_what_is_no_fit_is_refused(ax):
    with pytest.raises(ParameterError, match="expected a fitted estimator"):
        draw_mixture(object(), FAITHFUL.values, ax)


def test_ascent_ends_at_the_remaining_gain_and_never_rises(ax):
    result = fitted(FullGaussian(), FAITHFUL.values, k=3, acceleration="squarem", tol=1e-6)
    draw_ascent(result, ax)
    labels = rendered(ax)
    gaps = ax.lines[0].get_ydata()
    assert gaps[-1] == pytest.approx(result.remaining_gain, rel=1e-3)
    assert np.all(np.diff(gaps) < 1e-9) and ax.get_yscale() == "log"
    assert {"start", "EM step", "accelerated step"} <= set(labels)
    marks = [item for item in ax.lines[1:] if item.get_label() != "at EM's rate λ"]
    assert sum(len(item.get_xdata()) for item in marks) == len(result.history)


def test_the_line_of_the_rate_falls_by_its_square_and_ends_with_the_fit(ax, overlapping):
    display = AscentDisplay.from_result(overlapping).plot(ax)
    (begin, end), (high, low) = display.fitted_line
    assert low == display.gaps[-1] and end == len(display.gaps) - 1
    assert low / high == pytest.approx(overlapping.result_.rate ** (2 * (end - begin)))
    late = display.gaps[-5:]
    np.testing.assert_allclose(late[1:] / late[:-1], overlapping.result_.rate**2, rtol=0.05)


def test_ascent_of_a_fit_without_steps_is_drawn_without_a_scale_that_does_not_exist(ax):
    draw_ascent(fitted(FullGaussian(), FAITHFUL.values, max_iter=0), ax)
    ax.figure.canvas.draw()


def candidates():
    return [
        SimpleNamespace(label=label, n_components=k, bic=100.0 + shift + (k - 2) ** 2, converged=k != 3)
        for shift, label in ((0, "full"), (5, "tied"))
        for k in (3, 1, 2)
    ]


def test_bic_is_a_line_for_each_label_with_the_smallest_ringed_and_the_doubtful_hollow(ax):
    draw_bic(candidates(), ax)
    labels = rendered(ax)
    assert labels == ["full", "tied", "not converged", "smallest"]
    np.testing.assert_array_equal(line(ax, "full").get_data(), [[1, 2, 3], [101, 100, 101]])
    assert line(ax, "smallest").get_xydata().tolist() == [[2, 100]]
    hollow = [item.get_xydata().tolist() for item in ax.lines if item.get_markerfacecolor() == "white"]
    assert [[3.0, 101.0]] in hollow and [[3.0, 106.0]] in hollow
    with pytest.raises(ParameterError, match="no model"):
        draw_bic([], ax)


def test_without_axes_a_new_figure_is_made():
    from matplotlib import pyplot

    mpl.use("agg")
    ax = draw_bic(candidates())
    assert ax.figure.number in pyplot.get_fignums()
    pyplot.close(ax.figure)


def test_a_sequence_is_marked_by_its_states_and_rows_in_doubt_have_rings(ax):
    values, states = np.array([1.0, 5.0, np.nan, 1.5]), np.array([0, 1, 1, 0])
    sure = np.array([[1.0, 0.0], [0.2, 0.8], [0.5, 0.5], [0.95, 0.05]])
    draw_sequence(values, states, ax, probabilities=sure, means=[1.2, 5.0], name="minutes")
    assert rendered(ax) == ["state 0", "state 1", "probability below 0.9"]
    np.testing.assert_array_equal(line(ax, "state 0").get_ydata(), [1.0, np.nan, np.nan, 1.5])
    np.testing.assert_array_equal(line(ax, "probability").get_xdata(), [1, 2])
    assert ax.get_ylabel() == "minutes"
    assert line(ax, "state 0").get_marker() != line(ax, "state 1").get_marker()


def test_a_sequence_needs_a_state_for_each_row(ax):
    with pytest.raises(ParameterError, match="one state for each row"):
        draw_sequence([1.0, 2.0], [0], ax)
