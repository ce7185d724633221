"""The picture of loadings shows each number where it belongs."""

import numpy as np
import pytest

from latentem.errors import ParameterError
from latentem.estimators import FactorAnalysis
from latentem.plots import draw_loadings


def test_rows_are_sorted_into_blocks_with_their_numbers(ax):
    table = np.array([[0.1, 0.9], [0.8, -0.2], [0.95, 0.0], [0.0, -0.5]])
    draw_loadings(table, ["a", "b", "c", "d"], ax)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "b", "a", "d"]
    assert [text.get_text() for text in ax.texts][:4] == ["0.95", "0.00", "0.80", "-0.20"]
    np.testing.assert_array_equal(ax.images[0].get_array(), table[[2, 1, 0, 3]])


def test_an_estimator_is_drawn_in_standard_deviations(ax, rng):
    x = (rng.normal(size=(300, 1)) + 0.5 * rng.normal(size=(300, 4))) * [1.0, 10.0, 100.0, 1000.0]
    fit = FactorAnalysis(1).fit(x)
    draw_loadings(fit, ax=ax)
    np.testing.assert_allclose(np.sort(ax.images[0].get_array().ravel() ** 2), np.sort(fit.communalities_), rtol=1e-9)


def test_names_must_be_as_many_as_columns(ax):
    with pytest.raises(ParameterError, match="3 names"):
        draw_loadings(np.ones((2, 1)), ["a", "b", "c"], ax)
