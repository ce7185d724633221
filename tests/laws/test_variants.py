"""Other E-steps: their posteriors by enumeration, what each of them ascends, and where the fits end."""

from dataclasses import replace
from functools import partial
from itertools import islice, pairwise, product

import numpy as np
import pytest
import zoo

import latentem as em
from latentem.data import ArraySource, Batch
from latentem.em import iterate
from latentem.errors import ParameterError
from latentem.execution import Serial, Threads
from latentem.families.gaussian import FullGaussian, SphericalGaussian, SphericalGaussianParameters
from latentem.families.poisson import Poisson
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.model import LatentVariableModel, ModelParameters
from latentem.result import Status, Step
from latentem.testing import draw
from latentem.testing.drawing import design, one_hot, take
from latentem.testing.latents import log_path
from latentem.variants import Annealing, Classification, Decoded, Drawn, EStep, Stochastic, Tempered

K, SERIAL = 2, Serial()
SPECIMENS = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}
DECODED = list(SPECIMENS)
SMOOTHED = [name for name in SPECIMENS if not name.startswith("SemiMarkov")]
CHAINS = [name for name in SMOOTHED if name != "Categorical, one fixed"]


def rows_of_states(name, seed=0):
    """A latent, its parameters, log densities of six rows, and the batch: groups of two and of four rows."""
    specimen, rng = SPECIMENS[name], np.random.default_rng(seed)
    latent, params = specimen.latent(K), specimen.parameters(K)
    batch = replace(design(6, rng, specimen.n_covariates), offsets=np.array([0, 2, 6]))
    return latent, params, rng.normal(size=(K, 6)), batch


def joints(name):
    """All paths of the six rows (m, 6), and log p(x, z) of each."""
    latent, params, log_density, batch = rows_of_states(name)
    paths = np.array(list(product(range(K), repeat=6)))

    def log_joint(path):
        parts = [(0, 2), (2, 6)]
        priors = [log_path(latent, params, path[a:b], take(batch, g, g + 1, True))[1] for g, (a, b) in enumerate(parts)]
        return sum(priors) + log_density[path, np.arange(6)].sum()

    return paths, np.array([log_joint(path) for path in paths])


@pytest.mark.parametrize("beta", [0.2, 1.0, 1.7])
@pytest.mark.parametrize("name", SMOOTHED)
def test_a_tempered_posterior_is_the_power_of_the_joint_by_enumeration(name, beta):
    latent, params, log_density, batch = rows_of_states(name)
    paths, logs = joints(name)
    posterior, total = latent.tempered(log_density.copy(), batch, params, beta)
    shares = np.exp(beta * logs - np.logaddexp.reduce(beta * logs))
    assert np.sum(total) == pytest.approx(np.logaddexp.reduce(beta * logs), abs=1e-12)
    expected = sum(share * one_hot(path, K) for share, path in zip(shares, paths, strict=True))
    np.testing.assert_allclose(posterior.probabilities, expected, atol=1e-12)


@pytest.mark.parametrize("name", DECODED)
def test_decoded_states_are_the_best_of_all_paths(name):
    latent, params, log_density, batch = rows_of_states(name)
    paths, logs = joints(name)
    states, best = latent.decode(log_density.copy(), batch, params)
    assert np.sum(best) == pytest.approx(logs.max(), abs=1e-12)
    np.testing.assert_array_equal(states, paths[logs.argmax()])


@pytest.mark.parametrize("name", SMOOTHED)
def test_paths_are_drawn_by_their_probabilities(name):
    latent, params, log_density, batch = rows_of_states(name)
    paths, logs = joints(name)
    shares, rng, n = np.exp(logs - np.logaddexp.reduce(logs)), np.random.default_rng(3), 4000
    drawn = np.array([latent.draw(log_density.copy(), batch, params, rng) for _ in range(n)])
    counts = np.array([np.sum(np.all(drawn == path, axis=1)) for path in paths])
    assert counts.sum() == n
    assert np.all(np.abs(counts - n * shares) <= 5 * np.sqrt(n * shares * (1 - shares)) + 1e-9)


@pytest.mark.parametrize("name", SMOOTHED)
def test_impossible_units_have_no_states_and_the_others_theirs(name):
    latent, params, log_density, batch = rows_of_states(name)
    log_density[:, 0] = -np.inf
    with np.errstate(all="ignore"):
        states, best = latent.decode(log_density.copy(), batch, params)
        drawn = latent.draw(log_density.copy(), batch, params, np.random.default_rng(0))
    assert states[0] == drawn[0] == -1
    assert best[0] == -np.inf
    assert np.all(states[2:] >= 0)
    assert np.all(drawn[2:] >= 0)


def problem(latent, family, rng):
    """A model of the zoo, a start, and some 150 rows from its family."""
    specimen, own = zoo.FAMILIES[family], SPECIMENS[latent]
    kind = specimen.of(K)
    batch, _ = draw(kind, specimen.parameters(K), K, rng, 150, max(specimen.n_covariates, own.n_covariates))
    lengths = batch.group_lengths if kind.per_group else [60, 40, 50]
    source = ArraySource(batch.values, lengths=lengths, covariates=batch.covariates, chunk_rows=60)
    model = LatentVariableModel(own.latent(K), kind)
    return model, ModelParameters(own.parameters(K), specimen.parameters(K)), source


PAIRS = [("Categorical", family) for family in zoo.FAMILIES]
PAIRS += [(latent, family) for latent in CHAINS[1:] for family in ("Poisson", "FullGaussian", "Gamma")]


@pytest.mark.parametrize("around", [partial(Tempered, beta=0.3), partial(Tempered, beta=0.8), Decoded])
@pytest.mark.parametrize(("latent", "family"), PAIRS)
def test_each_e_step_ascends_what_it_says(latent, family, around, rng):
    model, start, source = problem(latent, family, rng)
    steps = iterate(replace(model, latent=around(model.latent)), source, start, executor=SERIAL)
    for before, after in pairwise(islice(steps, 12)):
        assert after.objective >= before.objective - before.rounding
        assert after.step is not Step.NONE or after.gain == 0


def test_the_free_energy_falls_with_beta_to_the_log_likelihood_at_one(rng):
    model, start, source = problem("MarkovChain", "Poisson", rng)

    def value(latent):
        return next(iterate(replace(model, latent=latent), source, start, executor=SERIAL)).objective

    energies = [value(Tempered(model.latent, beta)) for beta in (0.2, 0.5, 1.0, 2.0, 200.0)]
    assert all(a > b for a, b in pairwise(energies))
    assert energies[2] == pytest.approx(value(model.latent), rel=1e-14)
    assert energies[-1] == pytest.approx(value(Decoded(model.latent)), rel=1e-2)


# -- fits --------------------------------------------------------------------------------------


def grid(n=80, seed=0):
    """Nine round clusters on a grid, three apart from the next."""
    rng = np.random.default_rng(seed)
    centres = np.array([(3.0 * i, 3.0 * j) for i in range(3) for j in range(3)])
    return np.vstack([centre + 0.6 * rng.normal(size=(n, 2)) for centre in centres]), centres


def test_annealing_forgets_a_bad_start_in_which_em_stays():
    x, _ = grid()
    model = LatentVariableModel(Categorical(9), SphericalGaussian())
    best = max(em.fit(model, x, random_state=seed).objective for seed in range(3))
    found = []
    for seed in range(4):
        means = 0.1 * np.random.default_rng(seed).normal(size=(9, 2))
        start = ModelParameters(model.latent.start(), SphericalGaussianParameters(means, np.full(9, 0.1)))
        plain = em.fit(model, x, parameters=start)
        annealed = em.fit(model, x, parameters=start, random_state=seed, e_step=Annealing())
        assert plain.objective < best - 50
        assert annealed.objective > plain.objective
        assert annealed.converged
        found.append(annealed.objective)
    assert np.median(found) == pytest.approx(best, abs=1e-4)


def test_annealing_ends_where_em_stands_still():
    x, _ = grid(30)
    model = LatentVariableModel(Categorical(3), FullGaussian())
    result = em.fit(model, x, random_state=0, e_step=Annealing(passes=5), tol=1e-9)
    again = em.fit(model, x, parameters=result.parameters, tol=1e-9)
    assert result.status is Status.CONVERGED
    assert again.objective == pytest.approx(result.objective, abs=1e-7)
    assert result.n_iter > len(Annealing().betas)
    assert result.model == model
    assert result.algorithm == "annealing, then plain EM"


def test_classification_ends_at_a_partition_that_no_step_changes():
    x, _ = grid()
    model = LatentVariableModel(Categorical(9), SphericalGaussian())
    result = em.fit(model, x, random_state=2, e_step=Classification())
    assert result.converged
    hard = replace(model, latent=Decoded(model.latent))
    source = ArraySource(x)
    expectation = SERIAL.fold(partial(hard.e_step, result.parameters), source)
    counts = expectation.statistics.latent.counts
    np.testing.assert_array_equal(counts, np.round(counts))
    np.testing.assert_allclose(counts / len(x), result.parameters.latent.weights, rtol=1e-12)
    assert expectation.log_likelihood == pytest.approx(result.objective, rel=1e-13)
    assert result.objective < result.log_likelihood
    assert [finding.code for finding in result.findings if finding.code == "classification"]


def test_em_goes_on_from_a_classification_where_that_is_asked():
    x, _ = grid()
    model = LatentVariableModel(Categorical(9), FullGaussian())
    hard = em.fit(model, x, random_state=2, e_step=Classification())
    soft = em.fit(model, x, random_state=2, e_step=Classification(then_em=True))
    assert soft.log_likelihood > hard.log_likelihood
    assert soft.objective == soft.log_likelihood
    assert soft.converged


def test_in_a_chain_classification_is_viterbi_training():
    rng = np.random.default_rng(0)
    states = np.repeat([0, 1, 0, 1], 60)
    x = rng.poisson(np.where(states, 2.0, 9.0))[:, None]
    model = LatentVariableModel(MarkovChain(2), Poisson())
    result = em.fit(model, x, lengths=[240], random_state=0, e_step=Classification())
    rates = np.sort(result.parameters.emission.rates[:, 0])
    np.testing.assert_allclose(rates, [2.0, 9.0], rtol=0.15)


def test_the_mean_of_stochastic_em_is_near_the_maximum():
    x, _ = grid(200)
    model = LatentVariableModel(Categorical(9), SphericalGaussian())
    best = em.fit(model, x, random_state=1)
    mean = em.fit(model, x, parameters=best.parameters, random_state=0, e_step=Stochastic(20, 100))
    assert mean.status is Status.DRAWN
    assert not mean.converged
    assert mean.n_iter == 120
    assert best.objective - mean.objective == pytest.approx(0, abs=0.01 * best.n_parameters)
    after = em.fit(model, x, parameters=best.parameters, random_state=0, e_step=Stochastic(20, 100, then_em=True))
    assert after.converged
    assert after.objective >= mean.objective


@pytest.mark.parametrize("e_step", [Annealing(passes=3), Classification(), Stochastic(5, 5)])
def test_a_fit_is_the_same_for_every_executor_and_again(e_step, rng):
    model, start, source = problem("MarkovChain", "FullGaussian", rng)

    def fitted(executor):
        return em.fit(model, source, parameters=start, e_step=e_step, executor=executor, random_state=3, max_iter=80)

    one, other, again = fitted("serial"), fitted(Threads(3)), fitted("serial")
    np.testing.assert_array_equal(one.parameters.flatten(), other.parameters.flatten())
    np.testing.assert_array_equal(one.parameters.flatten(), again.parameters.flatten())


@pytest.mark.parametrize("e_step", [Annealing(), Classification(then_em=True), Stochastic()])
def test_callbacks_stop_a_fit_and_limits_hold(e_step, rng):
    model, start, source = problem("Categorical", "Poisson", rng)
    options = {"parameters": start, "e_step": e_step, "random_state": 0}
    stopped = em.fit(model, source, callbacks=[lambda iteration: iteration.index >= 2], **options)
    assert stopped.status is Status.STOPPED
    assert stopped.n_iter <= 3
    limited = em.fit(model, source, max_iter=7, **options)
    assert limited.status is Status.MAX_ITER
    assert limited.n_iter == 7


@pytest.mark.parametrize("latent", ["SemiMarkovChain"])
@pytest.mark.parametrize("e_step", [Annealing(), Stochastic()])
def test_a_latent_without_the_posterior_says_so(latent, e_step, rng):
    model, start, source = problem(latent, "Poisson", rng)
    with pytest.raises(ParameterError, match="SemiMarkovChain has no"):
        em.fit(model, source, parameters=start, e_step=e_step)


def test_vectors_are_no_states():
    with pytest.raises(ParameterError, match="Normal has no states"):
        Decoded(Normal(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Annealing(start=0.0),
        lambda: Annealing(start=1.0),
        lambda: Annealing(growth=1.0),
        lambda: Annealing(shake=1.0),
        lambda: Annealing(passes=0),
        lambda: Stochastic(burn_in=-1),
        lambda: Stochastic(draws=0),
    ],
)
def test_options_outside_their_range_are_refused(make):
    with pytest.raises(ParameterError):
        make()


def test_what_cannot_go_together_is_refused(tmp_path):
    model = LatentVariableModel(Categorical(2), Poisson())
    x = np.arange(10)[:, None]
    with pytest.raises(ParameterError, match="checkpoint"):
        em.fit(model, x, e_step=Classification(), checkpoint=tmp_path / "state")
    with pytest.raises(ParameterError, match="e_step must be"):
        em.fit(model, x, e_step="annealing")
    assert issubclass(Classification, EStep)


def test_draws_differ_between_iterations_and_chunks_not_between_calls():
    latent, params, log_density, _ = rows_of_states("Categorical")
    wide = Batch(np.zeros((60, 1)))
    density = np.tile(log_density, 10)
    draws = [
        Drawn(latent, seed, index).posterior(density.copy(), replace(wide, first_row=first), params)[0].probabilities
        for seed, index, first in ((0, 0, 0), (0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 60))
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert all(not np.array_equal(draws[0], other) for other in draws[2:])
