"""Rows that stand for the moments of data give a linear Gaussian model the very same E-step."""

from functools import partial

import numpy as np
import pytest

from latentem.data import ArraySource
from latentem.execution import Serial, Threads
from latentem.families import LinearGaussian
from latentem.latents import Normal
from latentem.model import LatentVariableModel
from latentem.models.moment_rows import moment_rows, rows_with_moments
from latentem.statistics import arrays_of


@pytest.fixture
def x(rng):
    mixing = rng.normal(size=(5, 5))
    return rng.normal(size=(900, 5)) @ mixing + 1e4 * np.arange(5)


def with_patterns(x, rng):
    holes = x.copy()
    holes[:300, 1] = np.nan
    holes[300:500, [0, 4]] = np.nan
    holes[500:504, 2] = np.nan
    holes[504:506] = np.nan
    return holes


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("noise", ["diagonal", "full"])
def test_the_e_step_is_that_of_all_rows(x, rng, missing, noise):
    values = with_patterns(x, rng) if missing else x
    source = ArraySource(values, weights=rng.uniform(0.0, 2.0, size=900), chunk_rows=128)
    few = moment_rows(source, Serial())
    assert few.n_rows < 40
    model = LatentVariableModel(Normal(2), LinearGaussian(noise))
    params = model.start(next(iter(ArraySource(values))))
    whole, short = (Serial().fold(partial(model.e_step, params), rows) for rows in (source, few))
    assert short.weight == pytest.approx(whole.weight, rel=1e-13)
    assert abs(short.log_likelihood - whole.log_likelihood) < 1e-10 * whole.magnitude
    assert short.magnitude == pytest.approx(whole.magnitude, rel=0.05)
    for got, expected in zip(arrays_of(short.statistics), arrays_of(whole.statistics), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-9 * (1 + np.abs(expected).max()))


def test_rows_have_the_moments_that_were_asked_for(rng):
    root = rng.normal(size=(4, 2))
    for scatter in (root @ root.T, np.zeros((4, 4)), np.diag([1.0, 2.0, 3.0, 4.0])):
        rows, weights = rows_with_moments(7.0, np.arange(4.0), scatter)
        assert len(rows) == np.linalg.matrix_rank(scatter) + 1
        assert weights.sum() == pytest.approx(7.0)
        mean = weights @ rows / 7.0
        np.testing.assert_allclose(mean, np.arange(4.0), atol=1e-14)
        np.testing.assert_allclose(((rows - mean).T * weights) @ (rows - mean), scatter, atol=1e-13)


def test_they_do_not_depend_on_workers(x):
    source = ArraySource(x, chunk_rows=100)
    one, three = moment_rows(source, Serial()), moment_rows(source, Threads(3))
    assert np.array_equal(one.values, three.values)
    assert one.names == source.names


def test_rows_that_few_others_are_like_stay_as_they_are(x, rng):
    holes = np.where(rng.random(x.shape) < 0.5, np.nan, x)[:60]
    source = ArraySource(holes)
    assert moment_rows(source, Serial()) is source
    labelled = ArraySource(x, labels=np.zeros(900, int))
    assert moment_rows(labelled, Serial()) is labelled
