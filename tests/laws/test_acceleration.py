"""The laws of an acceleration, for every scheme in the zoo."""

import numpy as np
import pytest
import zoo

from latentem.acceleration import Squarem
from latentem.data import ArraySource
from latentem.em import Trial, run
from latentem.execution import Serial
from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.testing import check_acceleration, overlapping_mixture


@pytest.mark.parametrize("name", zoo.ACCELERATIONS)
def test_acceleration_keeps_the_laws(name):
    check_acceleration(zoo.ACCELERATIONS[name]())


@pytest.mark.parametrize("name", zoo.ACCELERATIONS)
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_the_estimate_of_the_gain_left_holds_when_accelerated(name, tol):
    model, source, start = overlapping_mixture()
    options = {"executor": Serial(), "acceleration": zoo.ACCELERATIONS[name]()}
    limit = run(model, source, start, tol=1e-12, max_iter=20_000, **options).objective
    result = run(model, source, start, tol=tol, max_iter=20_000, **options)
    assert result.converged
    assert limit - result.objective <= max(2 * tol, 1e-10 * abs(limit))


@pytest.mark.parametrize("name", zoo.ACCELERATIONS)
def test_it_pays_where_em_is_slow(name):
    """Three overlapping clusters in the plane, to a small tolerance: at most a third of EM's passes."""
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 2.0]])
    x = centres[rng.integers(3, size=900)] + rng.normal(size=(900, 2))
    emission = FullGaussianParameters(centres + 0.5, np.stack([np.eye(2)] * 3))
    start = ModelParameters(CategoricalParameters(np.full(3, 1 / 3)), emission)
    model = LatentVariableModel(Categorical(3), FullGaussian())
    options = {"executor": Serial(), "tol": 1e-6, "max_iter": 20_000}
    plain = run(model, ArraySource(x), start, **options)
    fast = run(model, ArraySource(x), start, acceleration=zoo.ACCELERATIONS[name](), **options)
    assert fast.converged
    assert plain.converged
    assert fast.objective >= plain.objective - 1e-5
    assert fast.n_iter < plain.n_iter / 3


def trial(theta, em_theta, accepted=True):
    return Trial(np.array(theta), np.array(em_theta), 0.0, accepted, lambda: np.zeros(len(theta)))


def test_squarem_finds_the_fixed_point_of_one_linear_direction():
    """θ ↦ ½θ + 1 from 0: after θ₀ = 0 and θ₁ = 1 the proposal is the limit 2 and the EM step from it."""
    scheme = Squarem()
    none, state = scheme.propose(trial([0.0], [1.0]), scheme.init(np.zeros(1)))
    proposal, _ = scheme.propose(trial([1.0], [1.5]), state)
    assert none is None
    assert proposal == pytest.approx([2.0])


def test_squarem_starts_a_new_cycle_where_its_point_was_not_taken():
    scheme = Squarem()
    _, state = scheme.propose(trial([0.0], [1.0]), scheme.init(np.zeros(1)))
    none, state = scheme.propose(trial([1.4], [1.7]), state)
    assert none is None
    assert np.array_equal(state.origin, [1.4])


def test_squarem_trusts_its_bound_less_after_a_rejection_and_more_after_success():
    scheme = Squarem(step_max=4.0)
    far = [(trial([0.0], [1.0]), trial([1.0], [1.99]))]
    _, state = scheme.propose(far[0][0], scheme.init(np.zeros(1)))
    proposal, state = scheme.propose(far[0][1], state)
    assert proposal == pytest.approx([4 * 2 - 16 * 0.01])
    grown = scheme.propose(trial([7.0], [7.5], accepted=True), state)[1]
    kept = scheme.propose(trial([1.99], [2.9], accepted=False), state)[1]
    assert grown.step_max == 16
    assert kept.step_max == 4
