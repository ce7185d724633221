"""Laws of what the page shows: the bound is nowhere above ℓ, touches it at θₜ, and ℓ = Q + H + KL."""

from __future__ import annotations

import numpy as np
import pytest

import latentem as em
from latentem.execution import Serial
from latentem.inference.bounds import objective_at
from latentem.report.identity import residuals
from latentem.report.lines import ALONG, curvature
from latentem.report.numbers import curve, embedded, number, said
from latentem.report.pagedata import steps_data
from latentem.report.trail import go_again, missing_way

WITH_BOUND = ["mixture", "chain", "factors", "declared", "heavy tails"]


@pytest.mark.parametrize("kind", WITH_BOUND)
def test_the_bound_is_nowhere_above_the_objective(trails, kind):
    trail, explored = trails(kind)
    assert explored.lines
    for line in explored.lines:
        known = ~np.isnan(line.gap)
        assert known.any()
        assert np.all(line.gap[known] >= -line.rounding)
        if line.old_gap is not None:
            assert np.all(line.old_gap[known] >= -line.rounding)
    for plane in explored.planes:
        assert np.nanmin(plane.gap) >= -2 * trail.end.rounding


@pytest.mark.parametrize("kind", WITH_BOUND)
def test_the_bound_touches_the_objective_where_it_was_made_and_has_its_slope(trails, kind):
    trail, explored = trails(kind)
    for line in explored.lines:
        assert line.gap[line.touches] == 0.0
        assert line.rise[line.touches] == 0.0
    step = trail.steps[1]
    here = step.parameters.flatten()
    score = trail.model.objective_score(step.iteration.expectation.statistics, step.parameters)
    scale = 1e-4 / np.sqrt(curvature(trail))
    for i in range(len(here)):
        move = np.eye(len(here))[i] * scale[i]
        sides = [objective_at(trail.problem, step.parameters.unflatten(here + sign * move)) for sign in (-1, 1)]
        assert (sides[1] - sides[0]) / 2 == pytest.approx(score[i] * scale[i], rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("kind", ["mixture", "chain", "declared"])
def test_the_m_step_is_where_the_bound_is_highest_along_its_line(trails, kind):
    _, explored = trails(kind)
    assert explored.off_top <= 1e-6


def test_an_m_step_that_expands_parameters_is_told(trails):
    assert trails("factors")[1].off_top > 1e-3


@pytest.mark.parametrize("kind", ["mixture", "declared"])
def test_the_terms_of_the_identity_computed_one_by_one_add_up(trails, kind):
    trail, _ = trails(kind)
    found = residuals(trail)
    assert len(found) == len(trail.steps)
    for one in found:
        assert abs(one.value) <= 4 * one.rounding
        assert one.terms.entropy >= 0
        assert one.terms.kl >= -one.rounding


def test_the_table_of_states_is_not_taken_where_q_is_an_expectation_over_more(trails):
    assert residuals(trails("heavy tails")[0]) == ()
    assert residuals(trails("chain")[0]) == ()


@pytest.mark.parametrize("kind", WITH_BOUND)
def test_numbers_shown_satisfy_the_identity(trails, kind):
    trail, _ = trails(kind)
    for step in steps_data(trail):
        assert step["q"] + step["h"] == pytest.approx(step["l"], abs=1e-9)
        assert step["qNext"] + step["h"] + step["kl"] == pytest.approx(step["lNext"], abs=1e-9)
        assert step["lNext"] - step["l"] >= -1e-9


def test_gains_of_the_passages_are_those_of_q_and_kl(trails):
    trail, _ = trails("mixture")
    gains = np.diff([one.objective for one in trail.passages])
    parts = np.array([one.q_gain for one in trail.passages[1:]])
    rounding = 2 * trail.end.rounding
    assert np.all(parts >= -rounding) and np.all(gains - parts >= -rounding)


def test_a_quadratic_of_q_is_told_from_a_bound(trails):
    trail, explored = trails("local")
    assert trail.local
    assert all(line.old_gap is None for line in explored.lines)
    first = explored.along[0]
    near = np.abs(ALONG) <= 0.15
    assert np.abs(first.gap[near]).max() < 0.1 * np.ptp(first.rise)


def test_shown_iterations_are_all_of_the_first_and_ever_fewer_later(trails):
    numbers = [step.number for step in trails("heavy tails")[0].steps]
    assert numbers[:8] == list(range(8))
    assert len(numbers) < 20 and numbers[-1] == 60
    assert np.all(np.diff(np.diff(numbers[7:-1])) >= 0)


def test_the_way_begins_where_the_fit_began(results, trails):
    trail, _ = trails("mixture")
    assert np.allclose(trail.steps[0].parameters.flatten(), results("mixture").start.flatten())
    assert trail.passages[-1].objective == pytest.approx(results("mixture").objective, abs=1e-5)


def test_why_there_is_no_way_is_told(results):
    import pickle

    bare = pickle.loads(pickle.dumps(results("mixture")))
    assert "no data" in missing_way(bare)
    assert missing_way(results("mixture")) is None


def test_a_fit_without_a_start_is_shown_from_its_end(results):
    from dataclasses import replace

    trail = go_again(replace(results("mixture"), start=None), Serial(), most=3)
    assert not trail.begun
    assert np.array_equal(trail.steps[0].parameters.flatten(), results("mixture").parameters.flatten())


def test_json_cannot_leave_its_element():
    text = embedded({"</script><!--": "\u2028&"})
    assert not set("<>&\u2028") & set(text)
    with pytest.raises(ValueError, match="JSON"):
        embedded([float("nan")])


def test_curves_keep_their_digits():
    rng = np.random.default_rng(0)
    values = rng.normal(size=50) * 10.0 ** rng.integers(-9, 2, size=50)
    short = np.array(curve(values))
    assert np.all(np.abs(short - values) <= 1e-2 * np.abs(values))
    assert np.all(np.abs(short - values) <= 1e-3 * np.abs(values).max())
    assert curve([np.nan, 0.0, 2.0]) == [None, 0, 2]
    assert number(np.inf) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1130.26396, "−1,130"), (0.0123456, "0.01235"), (3.14e-9, "3.14 × 10⁻⁹"), (np.nan, "–")],
)
def test_numbers_are_said_for_people(value, text):
    assert said(value) == text


def test_a_fit_of_one_step_has_a_page(tmp_path):
    model = em.LatentVariableModel(em.Categorical(1), em.families.Poisson())
    result = em.fit(model, np.random.default_rng(0).poisson(3.0, size=(50, 1)))
    assert result.report(tmp_path / "one.html", seconds=5, compare=False).stat().st_size < 300_000
