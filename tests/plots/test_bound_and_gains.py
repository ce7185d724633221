"""The bound never exceeds the objective and touches it where it is made; gains are those of the fit."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import latentem as em
from latentem.datasets import load_faithful
from latentem.errors import ParameterError
from latentem.families.gamma import Gamma
from latentem.latents import Categorical
from latentem.plots import BoundDisplay, GainsDisplay, draw_bound, draw_gains

FAITHFUL = load_faithful().values


@pytest.mark.parametrize("iteration", [0, 1, 5])
@pytest.mark.parametrize("name", ["mixture", "overlapping", "chain"])
def test_the_bound_touches_the_objective_at_its_parameters_and_is_never_above(name, iteration, request):
    fitted = request.getfixturevalue(name)
    display = BoundDisplay.from_result(fitted, iteration, reach=(-1.0, 3.0))
    rounding = 1e-9 * abs(display.here)
    assert np.nanmax(display.bound - display.objective) <= rounding
    assert display.bound[display.steps == 0] == pytest.approx(display.objective[display.steps == 0], abs=rounding)
    assert np.nanargmax(display.bound) == np.flatnonzero(display.steps == 1)
    assert display.q > 0 and display.kl > -rounding


def test_the_first_step_of_the_bound_is_that_of_the_fit(mixture):
    display, objectives = BoundDisplay.from_result(mixture), [value for _, value in mixture.result_.history]
    assert display.here == pytest.approx(objectives[0], rel=1e-12)
    assert display.q + display.kl == pytest.approx(objectives[1] - objectives[0], rel=1e-9)


def test_a_log_prior_belongs_to_the_bound():
    model = em.LatentVariableModel(
        Categorical(2), em.families.DiagonalGaussian(), em.Prior(rows=FAITHFUL[:4], concentration=3.0)
    )
    display = BoundDisplay.from_result(em.fit(model, FAITHFUL, random_state=0), 1)
    assert np.nanmax(display.bound - display.objective) <= 1e-9 * abs(display.here)


def test_a_declared_model_has_its_bound_too():
    @em.latent_variable_model(latent=em.Categorical(2), parameters={"w": em.Simplex(2), "m": em.Real(2)})
    def two(x, z, theta):
        return jnp.log(theta.w[z]) + norm.logpdf(x, theta.m[z], 6.0)

    result = em.fit(two, FAITHFUL[:, 1], random_state=0)
    display = BoundDisplay.from_result(result, 1)
    assert np.nanmax(display.bound - display.objective) <= 1e-7


def test_the_bound_is_drawn_where_it_is_asked(ax, mixture):
    assert draw_bound(mixture, ax, iteration=1) is ax
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["log-likelihood", "lower bound"]
    np.testing.assert_allclose(ax.lines[0].get_ydata()[ax.lines[0].get_xdata() == 0], 0, atol=1e-9)


def test_what_has_no_bound_is_refused(mixture, ax):
    with pytest.raises(ParameterError, match="expected a fitted estimator"):
        draw_bound(FAITHFUL, ax)
    with pytest.raises(ParameterError, match="iteration ≥ 0"):
        draw_bound(mixture, ax, iteration=-1)
    with pytest.raises(ParameterError, match="gains nothing in iteration 1001"):
        draw_bound(mixture, ax, iteration=1000)
    with pytest.raises(ParameterError, match="no data with it"):
        draw_bound(replace(mixture.result_, source=None), ax)
    with pytest.raises(ParameterError, match="no start with it"):
        draw_gains(replace(mixture.result_, start=None), ax)
    local = em.fit(em.LatentVariableModel(Categorical(2), em.families.Weibull()), FAITHFUL, random_state=0)
    with pytest.raises(ParameterError, match="second order"):
        draw_bound(local, ax)
    with pytest.raises(ParameterError, match="second order"):
        draw_gains(local, ax)


def test_parts_of_the_gains_add_to_those_of_the_objective_and_their_ratio_is_the_rate(overlapping):
    display = GainsDisplay.from_result(overlapping)
    objectives = np.array([value for _, value in overlapping.result_.history])
    np.testing.assert_allclose(display.q + display.kl, np.diff(objectives), atol=1e-8)
    assert np.all(display.q > -display.rounding) and np.all(display.kl > -display.rounding)
    late = slice(-10, -5)
    np.testing.assert_allclose(display.kl[late] / display.q[late], overlapping.result_.rate, rtol=0.02)


def test_a_recorded_ascent_is_drawn_as_it_was(ax):
    model = em.LatentVariableModel(Categorical(2), Gamma())
    result = em.fit(model, FAITHFUL, random_state=0, certify=True, acceleration="squarem")
    display = GainsDisplay.from_result(result)
    known = [one.q for one in result.ascent if one.q == one.q]
    np.testing.assert_array_equal(display.q, known)
    assert display.plot(ax).ax_ is ax and display.figure_ is ax.figure
    assert ax.get_yscale() == "log"
