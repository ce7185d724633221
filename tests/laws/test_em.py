"""The loop: monotone, honest about why it stopped, resumable to the bit, safe against any acceleration."""

import pickle
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise

import numpy as np
import pytest
import zoo

from latentem.acceleration import Squarem
from latentem.data import ArraySource
from latentem.em import Acceleration, iterate, run
from latentem.errors import DataError
from latentem.execution import Serial, Threads
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
)
from latentem.kernels.derivatives import gradient
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters, Prior
from latentem.result import Status, Step
from latentem.testing import draw, overlapping_mixture

SERIAL = Serial()


def objectives(iterations):
    return [iteration.objective for iteration in iterations]


def bits(parameters):
    return b"".join(np.asarray(value).tobytes() for value in parameters.arrays().values())


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_objective_never_falls(name, accelerated, rng):
    specimen = zoo.FAMILIES[name]
    family, params = specimen.of(2), specimen.parameters(2)
    batch, _ = draw(family, params, 2, rng, 150, specimen.n_covariates)
    model = LatentVariableModel(Categorical(2), family)
    lengths = batch.group_lengths if family.per_group else None if specimen.independent else [60, 40, 50]
    start = ModelParameters(CategoricalParameters(np.array([0.3, 0.7])), params)
    steps = iterate(
        model,
        ArraySource(batch.values, lengths=lengths, covariates=batch.covariates, chunk_rows=60),
        start,
        executor=SERIAL,
        acceleration=Squarem() if accelerated else None,
    )
    iterations = list(islice(steps, 25))
    for before, after in pairwise(iterations):
        assert after.objective >= before.objective - before.rounding
        assert after.step is not Step.NONE or after.gain == 0
    assert iterations[-1].objective > iterations[0].objective or not params.n_free
    assert all(np.isfinite(value).all() for value in iterations[-1].parameters.arrays().values())


def test_weights_count_as_repeated_rows_in_a_whole_fit(rng):
    model, source, start = overlapping_mixture(150)
    times = rng.integers(1, 4, size=150)
    weighted = run(model, ArraySource(source.values, weights=times), start, executor=SERIAL, max_iter=50)
    repeated = run(model, ArraySource(np.repeat(source.values, times, axis=0)), start, executor=SERIAL, max_iter=50)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-12)
    assert weighted.bic == pytest.approx(repeated.bic, rel=1e-12)


# -- why it stopped --------------------------------------------------------------------------------


def test_converged_means_that_the_gain_left_is_about_the_estimate():
    """On a slow mixture the last gain is far smaller than what is left, and the estimate tells so."""
    model, source, start = overlapping_mixture()
    limit = run(model, source, start, executor=SERIAL, tol=1e-10, max_iter=20_000).objective
    for tol in (1e-2, 1e-4, 1e-6):
        result = run(model, source, start, executor=SERIAL, tol=tol, max_iter=20_000)
        left = limit - result.objective
        last = result.history[-1][1] - result.history[-2][1]
        assert result.status is Status.CONVERGED
        assert left < 2 * tol
        assert left / 2 < result.remaining_gain < 2 * left
        assert left > 20 * last


def test_rate_is_the_square_root_of_the_gains_ratio():
    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=SERIAL, tol=1e-7, max_iter=20_000)
    gains = np.diff([objective for _, objective in result.history])[-3:]
    assert result.rate == pytest.approx(np.sqrt(gains[2] / gains[1]), rel=1e-2)
    assert 0.9 < result.rate < 1


def test_max_iter_is_no_convergence():
    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=SERIAL, max_iter=7)
    assert result.status is Status.MAX_ITER
    assert not result.converged
    assert result.n_iter == 7
    assert len(result.history) == 8


def test_no_iterations_still_evaluate_the_start():
    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=SERIAL, max_iter=0)
    assert result.status is Status.MAX_ITER
    assert result.n_iter == 0
    assert bits(result.parameters) == bits(start)


def test_rounding_is_the_end_where_the_tolerance_asks_for_more():
    model, source, start = overlapping_mixture(200)
    result = run(model, source, start, executor=SERIAL, tol=0.0, max_iter=20_000)
    assert result.status is Status.ROUNDING
    assert result.converged
    assert result.remaining_gain <= 1e-9


def test_a_fixed_point_is_left_at_once():
    model, source, start = overlapping_mixture(200)
    end = run(model, source, start, executor=SERIAL, tol=0.0, max_iter=20_000).parameters
    again = run(model, source, end, executor=SERIAL, tol=0.0)
    assert again.converged
    assert again.n_iter <= 3


def test_a_callback_that_returns_true_stops():
    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=SERIAL, callbacks=[lambda iteration: iteration.index == 4])
    assert result.status is Status.STOPPED
    assert result.n_iter == 4


def test_every_callback_sees_every_iteration():
    model, source, start = overlapping_mixture()
    first, second = [], []
    stops = [lambda i: first.append(i.index) or i.index == 3, lambda i: second.append(i.index)]
    run(model, source, start, executor=SERIAL, callbacks=stops)
    assert first == second == [0, 1, 2, 3]


def test_ctrl_c_in_a_callback_returns_the_best_so_far():
    def interrupt(iteration):
        if iteration.index == 5:
            raise KeyboardInterrupt

    model, source, start = overlapping_mixture()
    result = run(model, source, start, executor=SERIAL, callbacks=[interrupt])
    assert result.status is Status.INTERRUPTED
    assert result.n_iter == 5
    assert result.objective == max(objective for _, objective in result.history)


class InterruptedSource(ArraySource):
    """Ctrl-C when a chunk is read for the n-th time."""

    def __init__(self, values, after, **options):
        super().__init__(values, **options)
        self.left = after

    def read(self, chunk):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().read(chunk)


@pytest.mark.parametrize("executor", [Serial(), Threads(2)])
def test_ctrl_c_in_the_middle_of_an_e_step_returns_the_best_so_far(executor):
    model, source, start = overlapping_mixture()
    interrupted = InterruptedSource(source.values, 3 * 4 + 2, chunk_rows=400)
    result = run(model, interrupted, start, executor=executor)
    assert result.status is Status.INTERRUPTED
    plain = list(islice(iterate(model, source, start, executor=SERIAL), 5))
    assert bits(result.parameters) in [bits(iteration.parameters) for iteration in plain[2:]]


def test_ctrl_c_before_there_is_anything_to_return_is_ctrl_c():
    model, source, start = overlapping_mixture()
    with pytest.raises(KeyboardInterrupt):
        run(model, InterruptedSource(source.values, 2, chunk_rows=400), start, executor=SERIAL)


def test_an_error_in_a_callback_comes_out():
    def fails(iteration):
        raise RuntimeError("mine")

    model, source, start = overlapping_mixture()
    with pytest.raises(RuntimeError, match="mine"):
        run(model, source, start, executor=SERIAL, callbacks=[fails])


# -- going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("acceleration", [None, Squarem()])
def test_resuming_from_any_iteration_ends_at_the_same_bits(acceleration):
    model, source, start = overlapping_mixture(400)
    kept = []
    options = {"executor": SERIAL, "acceleration": acceleration, "tol": 1e-4, "max_iter": 400}
    whole = run(model, source, start, callbacks=[kept.append], **options)
    for iteration in [*kept[:12:3], *kept[12:-1:23], kept[-2]]:
        copied = pickle.loads(pickle.dumps(iteration))
        resumed = run(model, source, start, resume=copied, **options)
        assert bits(resumed.parameters) == bits(whole.parameters)
        assert resumed.objective == whole.objective
        assert (resumed.status, resumed.n_iter) == (whole.status, whole.n_iter)


# -- the safeguard ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposes(Acceleration):
    """Whatever a function of the trial returns."""

    function: object

    def init(self, theta):
        return 0

    def propose(self, trial, state):
        return self.function(trial, state), state + 1


def scribble(trial, state):
    trial.theta[:] = np.nan
    trial.em_theta[:] = 1e9
    return trial.theta


NOISE = np.random.default_rng(3).normal(size=(1000, 5))
GARBAGE = {
    "NaN": lambda trial, state: np.full_like(trial.theta, np.nan),
    "infinity": lambda trial, state: np.full_like(trial.theta, np.inf),
    "huge": lambda trial, state: np.full_like(trial.theta, 1e300),
    "minus huge": lambda trial, state: np.full_like(trial.theta, -1e300),
    "large": lambda trial, state: trial.theta + 700 * NOISE[state],
    "random": lambda trial, state: trial.theta + NOISE[state],
    "back": lambda trial, state: 2 * trial.theta - trial.em_theta,
    "the same": lambda trial, state: trial.theta,
    "its arguments overwritten": scribble,
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("executor", [Serial(), Threads(2)])
def test_garbage_never_lowers_the_objective_and_em_goes_on(name, executor):
    model, source, start = overlapping_mixture(300)
    steps = iterate(model, source, start, executor=executor, acceleration=Proposes(GARBAGE[name]))
    plain = list(islice(iterate(model, source, start, executor=SERIAL), 25))
    iterations = list(islice(steps, 40))
    for before, after in pairwise(iterations):
        assert after.objective >= before.objective - before.rounding
    taken = {iteration.step for iteration in iterations}
    assert taken <= {Step.START, Step.EM, Step.REJECTED, Step.ACCELERATED}
    if name != "the same":
        assert Step.REJECTED in taken
        assert iterations[-1].objective >= plain[15].objective


def test_a_proposal_of_another_length_is_an_error_and_no_rejection():
    model, source, start = overlapping_mixture(300)
    wrong = Proposes(lambda trial, state: np.zeros(3))
    with pytest.raises(ValueError, match="expected a vector of 5 free parameters"):
        run(model, source, start, executor=SERIAL, acceleration=wrong)


def test_passes_are_counted_with_those_of_rejected_proposals():
    model, source, start = overlapping_mixture(300)
    back = iterate(model, source, start, executor=SERIAL, acceleration=Proposes(GARBAGE["back"]))
    assert [iteration.index for iteration in islice(back, 4)] == [0, 2, 4, 6]
    nan = iterate(model, source, start, executor=SERIAL, acceleration=Proposes(GARBAGE["NaN"]))
    assert [iteration.index for iteration in islice(nan, 4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(4))
def test_an_acceleration_respects_the_floor_and_does_not_stall_on_it(seed):
    """Two rows far away that coincide: their component runs onto the floor."""
    rng = np.random.default_rng(seed)
    x = np.vstack([rng.normal(size=(120, 2)), [[8.0, 8.0]] * 2, rng.normal(2, 1, size=(60, 2))])
    emission = FullGaussianParameters(np.array([[0.0, 0], [8, 8], [1.5, 2]]), np.stack([np.eye(2)] * 3))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.1, 0.4])), emission)
    model = LatentVariableModel(Categorical(3), FullGaussian(floor=1e-4))
    plain = run(model, ArraySource(x), start, executor=SERIAL, tol=1e-8, max_iter=3000)
    fast = run(model, ArraySource(x), start, executor=SERIAL, tol=1e-8, max_iter=3000, acceleration=Squarem())
    assert plain.converged
    assert fast.converged
    assert fast.objective == pytest.approx(plain.objective, abs=1e-6)
    assert np.linalg.eigvalsh(fast.parameters.emission.covariances).min() >= 1e-4 * (1 - 1e-9)
    assert [finding.component for finding in fast.findings] == [1]


def test_a_proposal_beyond_the_floor_is_not_taken():
    """The likelihood is unbounded there: it would be accepted, and the next M-step would fall."""
    x = np.concatenate([np.zeros(5), np.linspace(-3, 3, 40)])[:, None]
    model = LatentVariableModel(Categorical(2), DiagonalGaussian(floor=1e-2))
    emission = DiagonalGaussianParameters(np.array([[0.0], [0.5]]), np.array([[0.02], [3.0]]))
    start = ModelParameters(CategoricalParameters(np.array([0.2, 0.8])), emission)

    def narrower(trial, state):
        proposal = trial.em_theta.copy()
        proposal[3] = np.log(1e-6)
        return proposal

    steps = iterate(model, ArraySource(x), start, executor=SERIAL, acceleration=Proposes(narrower))
    iterations = list(islice(steps, 20))
    assert all(iteration.step is Step.REJECTED for iteration in iterations[1:])
    assert min(i.parameters.emission.variances.min() for i in iterations) >= 1e-2 * (1 - 1e-12)


@pytest.mark.parametrize("acceleration", [None, Squarem()])
def test_a_fixed_weight_stays_to_the_bit_and_is_no_free_parameter(acceleration):
    model, source, start = overlapping_mixture()
    model = replace(model, latent=Categorical(2, fixed=(1,)))
    start = replace(start, latent=CategoricalParameters(np.array([0.6, 0.4])))
    result = run(model, source, start, executor=SERIAL, acceleration=acceleration)
    assert result.converged
    assert result.parameters.latent.weights[1] == 0.4
    assert result.parameters.latent.weights[0] == pytest.approx(0.6, rel=1e-15)
    assert result.n_parameters == 4


@pytest.mark.parametrize("acceleration", [None, Squarem()])
def test_a_forbidden_transition_stays_forbidden_in_a_whole_fit(acceleration, rng):
    """Left to right: what an acceleration extrapolates must not open what is exactly zero."""
    transition = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
    states = zoo.mc.MarkovChainParameters(np.array([1.0, 0.0, 0.0]), transition)
    emission = DiagonalGaussianParameters(np.array([[0.0], [1.5], [3.0]]), np.ones((3, 1)))
    model = LatentVariableModel(zoo.mc.MarkovChain(3), DiagonalGaussian())
    x = np.concatenate([model.sample(ModelParameters(states, emission), np.zeros(30), rng) for _ in range(10)])
    start = ModelParameters(states, DiagonalGaussianParameters(np.array([[0.5], [1.0], [2.0]]), np.ones((3, 1))))
    source = ArraySource(x, lengths=[30] * 10, chunk_rows=90)
    result = run(model, source, start, executor=SERIAL, acceleration=acceleration, max_iter=3000)
    assert result.converged
    assert np.array_equal(result.parameters.latent.transition == 0, transition == 0)
    assert np.array_equal(result.parameters.latent.initial, [1, 0, 0])


def test_an_impossible_row_is_named_from_inside_the_loop():
    certain = zoo.ca.CategoryParameters((zoo.ca.ColumnProbabilities(np.array([[1.0, 0.0], [1.0, 0.0]])),))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), certain)
    model = LatentVariableModel(Categorical(2), zoo.ca.CategoricalColumns((2,)))
    source = ArraySource(np.append(np.zeros(30), 1.0)[:, None], chunk_rows=7)
    for executor in (Serial(), Threads(2)):
        with pytest.raises(DataError, match=r"row 30 \(\[1.0\]\)"):
            run(model, source, start, executor=executor)


# -- what an acceleration is told ------------------------------------------------------------------


class Scores(Acceleration):
    """Proposes nothing; keeps the vectors and scores that it is told."""

    def __init__(self):
        self.told = []

    def init(self, theta):
        return None

    def propose(self, trial, state):
        self.told.append((trial.theta, trial.score()))
        return None, state


@pytest.mark.parametrize("prior", [Prior(), Prior(rows=np.array([[0.0, 1.0], [2.0, 0.0]]), concentration=3.0)])
def test_the_score_of_a_trial_is_the_gradient_of_the_objective(prior):
    """Fisher's identity, the prior's pseudo-observations counted in."""
    model, source, start = overlapping_mixture()
    model = replace(model, prior=prior if source.n_columns == 2 else replace(prior, rows=flat_rows(prior, source)))
    scores = Scores()
    run(model, source, start, executor=SERIAL, acceleration=scores, max_iter=2, tol=0.0)

    def objective(vector):
        params = start.unflatten(vector)
        return SERIAL.fold(partial(model.e_step, params), source).log_likelihood + model.log_prior(params)

    for theta, score in scores.told:
        np.testing.assert_allclose(score, gradient(objective, theta), rtol=1e-5, atol=1e-5)


def flat_rows(prior, source):
    return None if prior.rows is None else prior.rows[:, : source.n_columns]


def test_a_fit_goes_on_with_another_acceleration_than_it_began_with():
    model, source, start = overlapping_mixture()
    *_, plain = zip(range(4), iterate(model, source, start, executor=SERIAL), strict=False)
    result = run(model, source, start, executor=SERIAL, acceleration=Squarem(), resume=plain[1], max_iter=5000)
    assert result.converged
