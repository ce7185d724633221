"""The laws of an acceleration, for every scheme in the zoo."""

from functools import cache

import numpy as np
import pytest
import zoo

from latentem.acceleration import SCHEMES, Anderson, Auto, Lbfgs, Parabolic, QuasiNewton, Squarem, SubspaceNewton
from latentem.data import ArraySource
from latentem.em import Acceleration, Trial, run
from latentem.errors import ParameterError
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


@cache
def three_clusters(name):
    """A fit by the scheme of that name, or by plain EM."""
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 2.0]])
    x = centres[rng.integers(3, size=900)] + rng.normal(size=(900, 2))
    emission = FullGaussianParameters(centres + 0.5, np.stack([np.eye(2)] * 3))
    start = ModelParameters(CategoricalParameters(np.full(3, 1 / 3)), emission)
    model = LatentVariableModel(Categorical(3), FullGaussian())
    scheme = None if name is None else zoo.ACCELERATIONS[name]()
    return run(model, ArraySource(x), start, executor=Serial(), acceleration=scheme, tol=1e-6, max_iter=20_000)


@pytest.mark.parametrize("name", zoo.ACCELERATIONS)
def test_it_pays_where_em_is_slow(name):
    """Three overlapping clusters in the plane, to a small tolerance: at most a third of EM's passes.

    Parabolic EM, which goes along one curve at a time and ends each with a rejection, takes half.
    """
    plain, fast = three_clusters(None), three_clusters(name)
    assert fast.converged
    assert plain.converged
    assert fast.objective >= plain.objective - 1e-5
    assert fast.n_iter < plain.n_iter / (2 if name == "Parabolic" else 3)


def trial(theta, em_theta, accepted=True):
    return Trial(np.array(theta), np.array(em_theta), 0.0, accepted, lambda: np.zeros(len(theta)))


# -- on a quadratic --------------------------------------------------------------------------------


def climb(scheme, d, rng, steps, scale=1.0):
    """Distances to the maximum of a quadratic, where every proposal is accepted that does not lower it."""
    root = rng.normal(size=(d, d))
    information = root @ root.T / d + 0.01 * np.eye(d)
    complete = information + np.diag(rng.uniform(0.1, 3, size=d))
    theta, accepted, distances = scale * rng.normal(size=d), True, []
    state = scheme.init(theta)
    for _ in range(steps):
        score, height = -information @ theta, -theta @ information @ theta / 2
        em_theta = theta + np.linalg.solve(complete, score)
        told = Trial(theta, em_theta, height, accepted, lambda score=score: score)
        proposal, state = scheme.propose(told, state)
        accepted = proposal is None or -proposal @ information @ proposal / 2 >= height
        theta = em_theta if proposal is None or not accepted else proposal
        distances.append(float(np.linalg.norm(theta)))
    return np.array(distances) / scale


EXACT = {
    "Anderson": lambda: Anderson(threshold=-1e3, memory=20),
    "QuasiNewton": lambda: QuasiNewton(reach=1e9),
    "SubspaceNewton": lambda: SubspaceNewton(reach=1e9),
}


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("name", EXACT)
def test_a_secant_scheme_ends_a_linear_map_in_as_many_steps_as_there_are_directions(name, d):
    """d moves span the space, the next proposal is the limit, and an EM step goes with each of them."""
    scheme = EXACT[name]()
    if name == "Anderson" and d > 2:
        pytest.skip("its memory is half the dimension")
    distances = climb(scheme, d, np.random.default_rng(d), d + 3)
    assert distances[d + 1] < 1e-6 * distances[0]


@pytest.mark.parametrize("name", sorted(set(zoo.ACCELERATIONS) - {"Parabolic"}))
def test_a_quadratic_is_climbed_faster_than_by_em(name):
    rng = np.random.default_rng(5)
    plain = climb(NeverProposes(), 6, np.random.default_rng(5), 60)
    fast = climb(zoo.ACCELERATIONS[name](), 6, rng, 60)
    assert fast[-1] < plain[-1] / 5


@pytest.mark.parametrize("name", zoo.ACCELERATIONS)
def test_units_do_not_overflow(name):
    for scale in (1e-150, 1e150):
        assert np.all(np.isfinite(climb(zoo.ACCELERATIONS[name](), 3, np.random.default_rng(2), 20, scale)))


class NeverProposes(Acceleration):
    """Plain EM."""

    def init(self, theta):
        return None

    def propose(self, trial, state):
        return None, state


# -- what each is made of --------------------------------------------------------------------------


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


@pytest.mark.parametrize("scheme", [1, 2, 3])
def test_the_three_step_lengths_of_squarem(scheme):
    """r = (1, 1) and v = (-0.2, -0.6): -r·v / v·v = 2, -r·r / r·v = 2.5, ‖r‖ / ‖v‖ = √5."""
    squarem = Squarem(scheme=scheme)
    _, state = squarem.propose(trial([0.0, 0.0], [1.0, 1.0]), squarem.init(np.zeros(2)))
    proposal, _ = squarem.propose(trial([1.0, 1.0], [1.8, 1.4]), state)
    step = {1: 2.0, 2: 2.5, 3: np.sqrt(5)}[scheme]
    r, v = np.ones(2), np.array([-0.2, -0.6])
    np.testing.assert_allclose(proposal, 2 * step * r + step**2 * v, rtol=1e-12)


def test_squarem_has_three_schemes():
    with pytest.raises(ParameterError, match="1, 2 and 3"):
        Squarem(scheme=4)


def test_parabolic_em_goes_along_one_parabola_while_it_rises():
    scheme = Parabolic(step=1.0, growth=2.0)

    def told(theta, em_theta, objective, accepted=True):
        return Trial(np.array([theta]), np.array([em_theta]), objective, accepted, lambda: np.zeros(1))

    _, state = scheme.propose(told(0.0, 1.0, 0.0), scheme.init(np.zeros(1)))
    at_two, state = scheme.propose(told(1.0, 1.9, 1.0), state)
    at_three, state = scheme.propose(told(3.6, 4.0, 3.0), state)
    np.testing.assert_allclose([at_two[0], at_three[0]], [4 - 0.1 * 4, 6 - 0.1 * 9])
    none, state = scheme.propose(told(3.6, 4.0, 3.0, accepted=False), state)
    assert none is None
    assert state.second is None


def test_damping_leaves_the_em_step_where_there_is_no_trust():
    timid = Anderson(threshold=1e3)
    _, state = timid.propose(trial([0.0], [1.0]), timid.init(np.zeros(1)))
    proposal, _ = timid.propose(trial([1.0], [1.5]), state)
    assert proposal == pytest.approx([1.5], abs=1e-6)


def test_lbfgs_leaves_the_start_to_em():
    scheme = Lbfgs(near=1e-3)
    far = Trial(np.zeros(1), np.ones(1), 0.0, True, lambda: np.array([10.0]))
    none, state = scheme.propose(far, scheme.init(np.zeros(1)))
    assert none is None
    assert not state.handed_over


@pytest.mark.parametrize("name", SCHEMES)
def test_a_fit_tells_its_algorithm(name):
    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=Serial(), acceleration=SCHEMES[name](), tol=1e-3, max_iter=5000)
    assert result.converged
    assert result.algorithm
    assert result.algorithm in repr(result)


def test_auto_leaves_a_fast_fit_to_em_and_helps_a_slow_one():
    model, source, start = overlapping_mixture()
    slow = run(model, source, start, executor=Serial(), acceleration=Auto(), tol=1e-6)
    assert slow.algorithm.startswith("Newton's method on the plane")
    assert "chosen by auto after" in slow.algorithm
    far = ArraySource(np.concatenate([source.values, source.values + 100]))
    apart = FullGaussianParameters(np.array([[0.0], [100.0]]), np.ones((2, 1, 1)))
    begin = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), apart)
    fast = run(LatentVariableModel(Categorical(2), FullGaussian()), far, begin, executor=Serial(), acceleration=Auto())
    assert fast.algorithm.startswith("plain EM, chosen by auto")


def test_auto_takes_anderson_where_scores_are_of_no_use():
    scheme = Auto(patience=1)
    state = scheme.init(np.zeros(1))
    for theta, em_theta in ((0.0, 1.0), (1.0, 1.9), (1.9, 2.71)):
        told = Trial(np.array([theta]), np.array([em_theta]), theta, True, lambda: np.array([np.nan]))
        _, state = scheme.propose(told, state)
    assert isinstance(state.chosen, Anderson)


def test_auto_goes_back_to_em_for_longer_and_longer_where_proposals_fail():
    scheme = Auto(patience=0)
    theta, state, proposed = np.zeros(1), scheme.init(np.zeros(1)), []
    for _ in range(60):
        told = Trial(theta, theta + 1.0, 0.0, not (proposed and proposed[-1]), lambda: np.array([np.nan]))
        proposal, state = scheme.propose(told, state)
        proposed.append(proposal is not None)
        theta = theta + 1.0
    assert sum(proposed) <= 12
