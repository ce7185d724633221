"""Item curves cross one half at the difficulty; information adds up; profiles are the fitted probabilities."""

import numpy as np
import pytest
from jax.nn import log_sigmoid
from jax.scipy.stats import norm

import latentem as em
from latentem.errors import ParameterError
from latentem.plots import ItemDisplay, ItemProfileDisplay, draw_item_curves, draw_item_profile, draw_test_information

B, A = np.array([-1.0, 0.0, 2.5]), np.array([0.7, 1.5, -1.0])


def test_curves_are_at_one_half_at_the_difficulty_with_a_slope_of_a_quarter_of_the_discrimination():
    z = np.array([[b - 1e-4, b, b + 1e-4] for b in B]).ravel()
    p = ItemDisplay.from_parameters(B, A, abilities=z).probabilities.reshape(3, 3, 3)
    own = p[np.arange(3), np.arange(3)]
    np.testing.assert_allclose(own[:, 1], 0.5)
    np.testing.assert_allclose((own[:, 2] - own[:, 0]) / 2e-4, A / 4, rtol=1e-6)


def test_information_is_the_expected_square_of_the_score():
    display = ItemDisplay.from_parameters(B, A)
    p, h = display.probabilities, 1e-5
    up = ItemDisplay.from_parameters(B, A, abilities=display.abilities + h).probabilities
    down = ItemDisplay.from_parameters(B, A, abilities=display.abilities - h).probabilities
    right, wrong = (np.log(up) - np.log(down)) / (2 * h), (np.log1p(-up) - np.log1p(-down)) / (2 * h)
    np.testing.assert_allclose(display.information, p * right**2 + (1 - p) * wrong**2, rtol=1e-5, atol=1e-9)


def test_the_test_is_the_sum_of_its_items(ax):
    assert draw_test_information(B, A, ax, names="abc") is ax
    ax.figure.canvas.draw()
    total, *items = [line.get_ydata() for line in ax.lines[:4]]
    np.testing.assert_allclose(total, np.sum(items, axis=0))
    assert [text.get_text() for text in ax.get_legend().get_texts()][:4] == ["the test", "a", "b", "c"]


def test_curves_are_drawn_with_a_look_of_their_own(ax):
    assert draw_item_curves(B, 1.0, ax) is ax
    ax.figure.canvas.draw()
    looks = {(line.get_linestyle(), line.get_marker()) for line in ax.lines[:3]}
    assert len(looks) == 3 and ax.get_xlim() == (-4, 4)


def test_a_fitted_declared_model_knows_its_items():
    @em.latent_variable_model(latent=em.Normal(), parameters={"easiness": em.Real(3), "slope": em.Real()})
    def rasch(x, z, theta):
        return norm.logpdf(z) + log_sigmoid((2 * x - 1) * (theta.easiness + theta.slope * z)).sum()

    answers = (np.random.default_rng(0).random((60, 3)) < [0.3, 0.5, 0.9]).astype(float)
    result = em.fit(rasch, answers, parameters={"easiness": np.zeros(3), "slope": 1.0}, max_iter=3)
    display = ItemDisplay.from_result(result)
    easiness, slope = result.parameters.easiness, result.parameters.slope
    np.testing.assert_allclose(-display.difficulty * display.discrimination, easiness)
    np.testing.assert_allclose(display.discrimination, slope)
    with pytest.raises(ParameterError, match="no parameter 'a'"):
        ItemDisplay.from_result(result, "a")


def test_items_that_are_none_are_refused(ax):
    for b, a in ((np.nan, 1.0), (B, 0.0), (np.eye(2), 1.0)):
        with pytest.raises(ParameterError, match="for each item"):
            draw_item_curves(b, a, ax)
    with pytest.raises(ParameterError, match="a name for each of 3"):
        draw_item_curves(B, A, ax, names=["a"])


def test_a_profile_is_the_fitted_probabilities(classes, ax):
    display = ItemProfileDisplay.from_estimator(classes)
    np.testing.assert_allclose(display.probabilities, np.array(classes.probabilities_)[:, :, 1].T)
    assert display.answers[0] == "x0 = 1"
    assert draw_item_profile(classes, ax, names=["a", "b", "c", "d", "e"]) is ax
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{name} = 1" for name in "abcde"]


def test_items_with_more_categories_show_all_and_bernoulli_columns_their_ones():
    rng = np.random.default_rng(0)
    table = np.stack([rng.choice(["a", "b", "c"], 90), rng.choice(["no", "yes"], 90)], axis=1)
    fitted = em.LatentClassAnalysis(2, n_init=1, random_state=0, max_iter=5000).fit(table)
    display = ItemProfileDisplay.from_estimator(fitted)
    assert display.answers == ("x0 = a", "x0 = b", "x0 = c", "x1 = yes")
    np.testing.assert_allclose(display.probabilities[:, :3].sum(axis=1), 1)
    ones = em.fit(
        em.LatentVariableModel(em.Categorical(2), em.families.Bernoulli()), (table == "yes").astype(float), max_iter=3
    )  # fmt: skip
    shown = ItemProfileDisplay.from_estimator(ones)
    np.testing.assert_array_equal(shown.probabilities, ones.parameters.emission.probabilities)


def test_other_models_have_no_profile(mixture, classes, ax):
    with pytest.raises(ParameterError, match="no categorical or Bernoulli columns"):
        draw_item_profile(mixture, ax)
    waits = em.fit(em.LatentVariableModel(em.Categorical(2), em.families.Geometric()), np.arange(9.0)[:, None])
    with pytest.raises(ParameterError, match="no categorical or Bernoulli columns"):
        draw_item_profile(waits, ax)
    with pytest.raises(ParameterError, match="a name for each of 5"):
        draw_item_profile(classes, ax, names=["a"])
