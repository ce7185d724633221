"""Arrows are as wide as transitions are probable."""

import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch

import latentem as em
from latentem.errors import ParameterError
from latentem.latents import CovariateMarkovChain, SemiMarkovChain
from latentem.plots import TransitionDisplay, draw_transitions


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_widths_are_the_matrix_and_every_arrow_tells_its_number(k, ax):
    matrix = np.random.default_rng(k).dirichlet(np.ones(k), k)
    display = TransitionDisplay.of(matrix, smallest=0.0).plot(ax)
    ax.figure.canvas.draw()
    np.testing.assert_allclose(display.widths, display.widths.max() / matrix.max() * matrix)
    np.testing.assert_allclose([arrow.get_linewidth() for arrow in arrows(ax)], display.widths.ravel())
    told = [text.get_text() for text in ax.texts]
    assert told[: k * k] == [f"{p:.2f}" for p in matrix.ravel()] and told[k * k :] == [str(j) for j in range(k)]


def test_small_probabilities_have_no_arrow(ax):
    display = TransitionDisplay.of([[0.999, 0.001], [0.4, 0.6]]).plot(ax)
    assert len(arrows(ax)) == 3 and display.widths[0, 1] == 0


def test_arrows_begin_and_end_at_the_rims_of_their_states(ax):
    display = TransitionDisplay.of(np.full((4, 4), 0.25)).plot(ax)
    for (j, k), arrow in zip(np.ndindex(4, 4), arrows(ax), strict=True):
        ends = arrow._path_original.vertices[[0, -1]]
        np.testing.assert_allclose(np.hypot(*(ends - display.places[[j, k]]).T), display.radius)


def test_states_lie_apart(ax):
    for k in range(2, 12):
        display = TransitionDisplay.of(np.eye(k))
        gaps = np.linalg.norm(display.places[:, None] - display.places, axis=2)[~np.eye(k, dtype=bool)]
        assert gaps.min() > 2 * display.radius


def test_fitted_chains_are_drawn(chain, ax):
    np.testing.assert_array_equal(TransitionDisplay.of(chain).matrix, chain.transmat_)
    np.testing.assert_array_equal(TransitionDisplay.of(chain.result_).matrix, chain.transmat_)
    assert draw_transitions(chain, ax, names=["long", "short"]) is ax
    assert sum(isinstance(patch, Circle) for patch in ax.patches) == 2
    rows = np.random.default_rng(0).standard_normal((60, 1)) + np.repeat([0, 5] * 3, 10)[:, None]
    semi = em.LatentVariableModel(SemiMarkovChain(2, 20), em.families.DiagonalGaussian())
    result = em.fit(semi, rows, lengths=[60], random_state=0, max_iter=5)
    np.testing.assert_array_equal(TransitionDisplay.of(result).matrix, [[0, 1], [1, 0]])


def test_what_is_no_chain_with_one_matrix_is_refused(mixture, ax):
    with pytest.raises(ParameterError, match="got Categorical"):
        draw_transitions(mixture, ax)
    model = em.LatentVariableModel(CovariateMarkovChain(2, columns=(0,)), em.families.DiagonalGaussian())
    rng = np.random.default_rng(0)
    result = em.fit(
        model, rng.standard_normal((40, 1)), covariates=rng.standard_normal((40, 1)), lengths=[40], max_iter=2
    )  # fmt: skip
    with pytest.raises(ParameterError, match="got CovariateMarkovChain"):
        draw_transitions(result, ax)
    series = em.LinearGaussianStateSpace.local_level().fit(rng.standard_normal(40).cumsum())
    with pytest.raises(ParameterError, match="got NormalChain"):
        draw_transitions(series, ax)
    with pytest.raises(ParameterError, match="rows add to 1"):
        draw_transitions([[0.5, 0.6], [0.5, 0.5]], ax)
    with pytest.raises(ParameterError, match="a name for each of 2"):
        draw_transitions(np.eye(2), ax, names=["a"])
