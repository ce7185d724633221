"""Matrices that vary with the inputs: dense algebra, EM's laws, constant multipliers, uneven times, bad input."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

import latentem as em
from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.execution import Processes, Serial
from latentem.families.linear_gaussian import LinearGaussian
from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
from latentem.kernels.derivatives import gradient
from latentem.latents import Normal, NormalChain
from latentem.model import LatentVariableModel, ModelParameters
from latentem.models.structural import local_level, regression, seasonal
from latentem.statistics import Reference, arrays_of

LENGTHS = [7, 1, 12, 9]
N, P, M = sum(LENGTHS), 2, 5
Model = tuple[LatentVariableModel, ModelParameters, ArraySource]

# Columns 0 and 1 of the inputs are of any sign, columns 2 to 4 above zero.
EMISSIONS: dict[str, dict[str, Any]] = {
    "known loadings": {"loadings": np.ones((P, 2)), "loadings_by": [[0, 1], [1, None]]},
    "scaled loadings": {"loadings_by": [[0, 1], [1, 0]]},
    "some scaled": {"loadings": [["l", 0.5], [None, "l"]], "loadings_by": [[0, None], [0, 1]]},
    "scaled loadings, full noise": {"noise": "full", "loadings_by": [[0, 1], [None, 1]]},
    "noise of one scale": {"noise_by": 2},
    "full noise of one scale": {"noise": "full", "noise_by": 2},
    "noise with a scale for each": {"noise_by": [2, 3]},
    "one has a scale, tied": {"noise": ["r", "r"], "noise_by": [None, 3], "loadings": [["l", 0.0], ["l", None]]},
    "held noise with scales": {"noise": [1.0, 0.5], "noise_by": [2, 3], "loadings_by": [[0, 1], [1, 0]]},
    "inputs beside": {"inputs": [[None, 0.0, 0.0, 0.0, 0.0]] * P, "loadings_by": [[1, None], [1, None]], "noise_by": 4},
}
CHAINS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scaled": {"noise_by": 4},
    "scaled, some held": {"transition": [[None, 0.0], [0.2, None]], "noise": "diagonal", "noise_by": 4},
    "scaled, inputs": {"noise_by": 4, "inputs": [[None, 0, 0, 0, 0], [0, 0, 0, 0, 0]]},
    "scaled walk": {"transition": np.eye(2), "noise": "diagonal", "noise_by": 4, "initial": "diffuse"},
}
PAIRS = [(name, "plain") for name in EMISSIONS] + [
    ("known loadings", name) for name in CHAINS if name not in ("plain", "scaled walk")
] + [("noise with a scale for each", "scaled"), ("inputs beside", "scaled, inputs"), ("scaled loadings", "scaled")]


def case(emission: str, chain: str = "plain", missing: bool = True) -> Model:
    """A model, parameters that do not maximize, and four sequences."""
    rng = np.random.default_rng(3)
    latent_model, family = NormalChain(2, **CHAINS[chain]), LinearGaussian(**EMISSIONS[emission])
    latent = replace(
        latent_model.start(),
        transition=np.array([[0.7, 0.2], [-0.1, 0.5]]),
        noise=np.array([[0.8, 0.1], [0.1, 0.5]]),
        initial_mean=np.array([0.3, -0.2]),
    )
    rows = LinearGaussianParameters.of(
        [0.1, -0.2], rng.normal(size=(P, 2)), [0.5, 0.9], np.zeros((P, family.n_inputs))
    )
    model = LatentVariableModel(latent_model, family)
    values = np.cumsum(rng.normal(size=(N, P)), axis=0) * 0.4
    if missing:
        values[rng.random((N, P)) < 0.25] = np.nan
        values[9] = np.nan
    u = np.concatenate([rng.normal(size=(N, 2)), rng.uniform(0.3, 3.0, size=(N, M - 2))], axis=1)
    weights = np.repeat([1.0, 2.0, 0.5, 1.5], LENGTHS)
    source = ArraySource(values, lengths=LENGTHS, weights=weights, covariates=u)
    return model, model.conform(ModelParameters(latent, rows)), source


def one_batch(source: ArraySource) -> Batch:
    (batch,) = list(source)
    return batch


def matrices(model: LatentVariableModel, params: ModelParameters, u: np.ndarray) -> tuple[np.ndarray, ...]:
    """Λₜ, d + D uₜ, Rₜ, b + B uₜ and Qₜ of each row, written out."""
    family, chain, (n, _) = model.family, model.latent, u.shape
    loadings = np.array([params.emission.loadings] * n)
    if family.loadings_by is not None:
        for t, i, j in np.ndindex(loadings.shape):
            c = family.loadings_by.columns[i][j]
            loadings[t, i, j] *= u[t, c] if c >= 0 else 1.0
    noise = np.array([params.emission.noise_matrix] * n)
    if family.noise_by is not None:
        for t in range(n):
            s = [u[t, c] if c >= 0 else 1.0 for c in family.noise_by.columns]
            root = np.diag(np.sqrt(np.broadcast_to(s, P)))
            noise[t] = root @ noise[t] @ root
    offset = params.emission.offset + (u @ params.emission.inputs.T if family.n_inputs else np.zeros((n, 1)))
    shift = params.latent.shift + (u @ params.latent.inputs.T if chain.n_inputs else np.zeros((n, 1)))
    scale = np.ones(n) if chain.noise_by is None else u[:, chain.noise_by.columns[0]]
    return loadings, offset, noise, shift, scale[:, None, None] * params.latent.noise_matrix


def dense(model: LatentVariableModel, params: ModelParameters, x: np.ndarray, u: np.ndarray) -> tuple[Any, ...]:
    """Log-likelihood of one sequence, and mean and covariance of its states, as one normal vector of all rows."""
    loadings, offset, noise, shift, state_noise = matrices(model, params, u)
    n, q, A = len(x), 2, params.latent.transition
    mean, V = [params.latent.initial_mean], np.zeros((n * q, n * q))
    V[:q, :q] = params.latent.initial_covariance
    for t in range(1, n):
        now, past = slice(t * q, (t + 1) * q), slice((t - 1) * q, t * q)
        mean.append(A @ mean[-1] + shift[t])
        V[now, : t * q] = A @ V[past, : t * q]
        V[: t * q, now] = V[now, : t * q].T
        V[now, now] = A @ V[past, past] @ A.T + state_noise[t]
    centre, L = np.concatenate(mean), block_diag(*loadings)
    F, y = L @ V @ L.T + block_diag(*noise), x.ravel() - offset.ravel() - L @ centre
    seen = ~np.isnan(y)
    if not seen.any():
        return 0.0, centre, V
    gain = V @ L[seen].T @ np.linalg.inv(F[np.ix_(seen, seen)])
    log = multivariate_normal(np.zeros(seen.sum()), F[np.ix_(seen, seen)]).logpdf(y[seen])
    return log, centre + gain @ y[seen], V - gain @ L[seen] @ V


@pytest.mark.parametrize(("emission", "chain"), PAIRS)
def test_e_step_is_dense_gaussian_algebra(emission: str, chain: str) -> None:
    model, params, source = case(emission, chain)
    batch = one_batch(source)
    posterior, found = model.infer(params, batch)
    mean, covariance = posterior.moments
    for g, (start, stop) in enumerate(zip(batch.group_offsets, batch.group_offsets[1:], strict=False)):
        rows = slice(start, stop)
        log, about, spread = dense(model, params, batch.values[rows], batch.covariates[rows])
        assert found[g] == pytest.approx(log, abs=1e-9)
        np.testing.assert_allclose(mean[rows].ravel(), about, atol=1e-9)
        blocks = spread.reshape(stop - start, 2, stop - start, 2)
        np.testing.assert_allclose(covariance[rows], np.einsum("tatb->tab", blocks), atol=1e-9)
        lagged = model.latent.lagged(posterior, batch)[rows]
        np.testing.assert_allclose(lagged[1:], np.einsum("tatb->tab", blocks[1:, :, :-1]), atol=1e-9)


@pytest.mark.parametrize(("emission", "chain"), PAIRS)
def test_score_is_the_gradient_of_the_log_likelihood(emission: str, chain: str) -> None:
    model, params, source = case(emission, chain)
    batch = one_batch(source)
    expectation = model.e_step(params, batch)
    score = model.score(expectation.statistics, params)
    numeric = gradient(lambda v: model.e_step(params.unflatten(v), batch).log_likelihood, params.flatten())
    np.testing.assert_allclose(score, numeric, atol=5e-6)
    of_q = gradient(lambda v: model.q_function(params.unflatten(v), expectation.statistics), params.flatten())
    np.testing.assert_allclose(score, of_q, atol=5e-6)


@pytest.mark.parametrize(("emission", "chain"), [*PAIRS, ("known loadings", "scaled walk")])
def test_m_step_maximizes_q_and_em_never_falls(emission: str, chain: str) -> None:
    model, params, source = case(emission, chain)
    if chain == "scaled walk":
        source = ArraySource(source.values, lengths=[8, N - 8], covariates=source.covariates)
    statistics = model.e_step(params, one_batch(source)).statistics
    updated = model.m_step(statistics, params)
    assert model.q_function(updated, statistics) >= model.q_function(params, statistics)
    np.testing.assert_allclose(model.score(statistics, updated), 0, atol=1e-6)
    result = run(model, source, params, executor=Serial(), max_iter=20)
    assert np.all(np.diff([objective for _, objective in result.history]) >= -1e-9)


@pytest.mark.parametrize("emission", ["some scaled", "noise with a scale for each", "full noise of one scale"])
def test_statistics_add_and_move(emission: str) -> None:
    model, params, source = case(emission, "scaled")
    whole = model.e_step(params, one_batch(source))
    chunks = ArraySource(
        source.values, lengths=LENGTHS, weights=source.weights, covariates=source.covariates, chunk_rows=1
    )
    parts = [model.e_step(params, batch) for batch in chunks]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    for a, b in zip(arrays_of(total.statistics), arrays_of(whole.statistics), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11 * (1 + np.abs(b).max()))
    here = whole.statistics.emission
    there = here.shift(Reference(params.emission.offset + 1.0))
    for statistics in (here, there):
        moved = model.family.maximize(statistics, params.emission)
        np.testing.assert_allclose(moved.flatten(), model.family.maximize(here, params.emission).flatten(), atol=1e-9)
    results = [run(model, chunks, params, executor=e, max_iter=3) for e in (Serial(), Processes(2))]
    np.testing.assert_array_equal(results[0].parameters.flatten(), results[1].parameters.flatten())


def test_constant_multipliers_are_none() -> None:
    """Ones change nothing; twos are twice the loadings and the variances, by EM too."""
    _, params, source = case("scaled loadings")
    fixed = LatentVariableModel(NormalChain(2), LinearGaussian())
    varying = LatentVariableModel(
        NormalChain(2, noise_by=1), LinearGaussian(loadings_by=[[0, 0], [0, 0]], noise_by=[1, 1])
    )
    for factor in (1.0, 2.0):
        u = np.full((N, 2), factor)
        mine = ArraySource(source.values, lengths=LENGTHS, weights=source.weights, covariates=u)
        plain = ArraySource(source.values, lengths=LENGTHS, weights=source.weights)
        latent, emission = params.latent, params.emission
        scaled = ModelParameters(
            replace(latent, noise=factor * latent.noise_matrix),
            replace(emission, loadings=factor * emission.loadings, noise=factor * emission.noise),
        )
        got = run(varying, mine, varying.conform(params), executor=Serial(), max_iter=5)
        wanted = run(fixed, plain, fixed.conform(scaled), executor=Serial(), max_iter=5)
        objectives = [[objective for _, objective in result.history] for result in (got, wanted)]
        np.testing.assert_allclose(*objectives, rtol=1e-11)
        found, expected = got.parameters, wanted.parameters
        np.testing.assert_allclose(factor * found.emission.loadings, expected.emission.loadings, rtol=1e-8)
        np.testing.assert_allclose(factor * found.emission.noise, expected.emission.noise, rtol=1e-8)
        np.testing.assert_allclose(factor * found.latent.noise, expected.latent.noise, rtol=1e-8)


# -- the estimator -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """A response whose dependence on two regressors drifts, with a gap."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    beta = np.array([1.0, -2.0]) + np.cumsum(0.1 * rng.normal(size=(120, 2)), axis=0)
    y = np.sum(X * beta, axis=1) + np.cumsum(0.1 * rng.normal(size=120)) + 0.5 * rng.normal(size=120)
    y[20:30] = np.nan
    return y, X


@pytest.fixture(scope="module")
def fitted(data: tuple[np.ndarray, np.ndarray]) -> em.LinearGaussianStateSpace:
    y, X = data
    return em.LinearGaussianStateSpace.dynamic_regression(2, tol=1e-6).fit(y, inputs=X)


def test_uneven_times_are_missing_rows_of_even_ones() -> None:
    """A random walk seen at uneven times has the variance of the time between, in a fit as in a forecast."""
    rng = np.random.default_rng(1)
    gaps = rng.integers(1, 4, size=60)
    times = np.cumsum(gaps) - gaps[0]
    y = np.cumsum(np.sqrt(gaps) * rng.normal(size=60)) + rng.normal(size=60)
    even = np.full(times[-1] + 1, np.nan)
    even[times] = y
    form = em.LinearGaussianStateSpace.local_level
    start = {"state_noise": [0.7], "noise": [1.2]}
    options = {"start": start, "max_iter": 0}
    uneven = form(state_noise_by=0, **options).fit(y, inputs=np.append(0, gaps[1:]))
    full = form(**options).fit(even)
    assert uneven.log_likelihood_ == pytest.approx(full.log_likelihood_, rel=1e-12)
    smoothed, wanted = uneven.smooth(y, inputs=gaps), full.smooth(even)
    np.testing.assert_allclose(smoothed.mean, wanted.mean[times], rtol=1e-10)
    np.testing.assert_allclose(smoothed.covariance, wanted.covariance[times], rtol=1e-10)
    ahead, later = uneven.forecast(2, inputs=[3, 2]), full.forecast(5)
    np.testing.assert_allclose(ahead.covariance, later.covariance[[2, 4]], rtol=1e-10)
    free = form(state_noise_by=0, tol=1e-10).fit(y, inputs=gaps), form(tol=1e-10).fit(even)
    assert free[0].log_likelihood_ == pytest.approx(free[1].log_likelihood_, abs=1e-6)
    assert free[0].state_noise_[0, 0] == pytest.approx(free[1].state_noise_[0, 0], rel=1e-2)


def test_no_time_between_rows_is_one_row_of_both() -> None:
    rng = np.random.default_rng(2)
    y = np.cumsum(rng.normal(size=30))[:, None] + rng.normal(size=(30, 2))
    both = {"loadings": [[1.0], [1.0]], "offset": [0.0, 0.0], "noise": ["r", "r"]}
    chain = {"transition": [[1.0]], "initial": "diffuse", "state_noise": [None], "tol": 1e-9}
    wide = em.LinearGaussianStateSpace(1, **both, **chain).fit(y)
    gaps = np.tile([1.0, 0.0], 30)
    long = em.LinearGaussianStateSpace.local_level(state_noise_by=0, tol=1e-9).fit(y.ravel(), inputs=gaps)
    assert long.log_likelihood_ == pytest.approx(wide.log_likelihood_, abs=1e-6)
    np.testing.assert_allclose(long.noise_[0, 0], wide.noise_[0, 0], rtol=1e-3)


def test_known_variances_of_observations_weigh_them() -> None:
    """Means of n numbers have the variance r / n: as n columns of one level each."""
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 4, size=50)
    y = np.cumsum(rng.normal(size=50))[:, None] + 2 * rng.normal(size=(50, 3))
    y[np.arange(3) >= counts[:, None]] = np.nan
    start = {"state_noise": [1.0], "noise": [4.0]}
    mean = em.LinearGaussianStateSpace.local_level(noise_by=0, max_iter=0, start=start)
    mean.fit(np.nanmean(y, axis=1), inputs=1 / counts)
    whole = em.LinearGaussianStateSpace(
        1, transition=[[1.0]], initial="diffuse", loadings=np.ones((3, 1)), offset=np.zeros(3), max_iter=0,
        start={"state_noise": [[1.0]], "noise": [4.0] * 3},
    ).fit(y)  # fmt: skip
    smoothed = mean.smooth(np.nanmean(y, axis=1), inputs=1 / counts)
    np.testing.assert_allclose(smoothed.mean, whole.smooth(y).mean, rtol=1e-10)


def test_series_of_a_regression_in_any_arrangement(data: tuple[np.ndarray, np.ndarray]) -> None:
    y, X = data
    half = [slice(0, 50), slice(50, 120)]
    make = em.LinearGaussianStateSpace.dynamic_regression
    options = {"max_iter": 3, "acceleration": None}
    order = np.argsort(np.arange(120) % 2, kind="stable")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        listed = make(2, **options).fit([y[r] for r in half], inputs=[X[r] for r in half])
        lengths = make(2, **options).fit(y, lengths=[50, 70], inputs=pd.DataFrame(X))
        grouped = make(2, **options).fit(y, groups=np.arange(120) % 2, inputs=X)
        sorted_ = make(2, **options).fit(y[order], lengths=[60, 60], inputs=X[order])
    assert listed.log_likelihood_ == lengths.log_likelihood_
    assert grouped.log_likelihood_ == sorted_.log_likelihood_
    by_row = grouped.smooth(y, groups=np.arange(120) % 2, inputs=X).mean
    np.testing.assert_array_equal(by_row[order], sorted_.smooth(y[order], lengths=[60, 60], inputs=X[order]).mean)
    assert len(listed.forecast(2, inputs=X[:2])) == 2


def test_a_forecast_is_the_filter_over_missing_rows(
    fitted: em.LinearGaussianStateSpace, data: tuple[np.ndarray, np.ndarray]
) -> None:
    (y, X), ahead = data, np.arange(8.0).reshape(4, 2)
    found = fitted.forecast(4, inputs=ahead)
    longer, inputs = np.append(y, np.full(4, np.nan)), np.concatenate([X, ahead])
    filtered = fitted.filter(longer, inputs=inputs)
    np.testing.assert_allclose(found.state_mean, filtered.mean[-4:], rtol=1e-10)
    row = np.column_stack([np.ones(4), ahead])
    np.testing.assert_allclose(found.mean[:, 0], np.sum(row * found.state_mean, axis=1), rtol=1e-12)
    wanted = np.einsum("ti,tij,tj->t", row, found.state_covariance, row) + fitted.noise_[0, 0]
    np.testing.assert_allclose(found.covariance[:, 0, 0], wanted, rtol=1e-12)
    again = fitted.forecast(4, y, inputs=ahead, past_inputs=X)
    np.testing.assert_allclose(again.mean, found.mean, rtol=1e-12)


def test_draws_given_the_data_have_the_smoothed_moments(
    fitted: em.LinearGaussianStateSpace, data: tuple[np.ndarray, np.ndarray]
) -> None:
    y, X = data
    smoothed, draws = fitted.smooth(y, inputs=X), fitted.simulate(y, 2000, inputs=X, random_state=0)
    spread = np.einsum("tii->ti", smoothed.covariance)
    assert np.all(np.abs(draws.mean(axis=0) - smoothed.mean) < 5 * np.sqrt(spread / 2000))
    np.testing.assert_allclose(draws.var(axis=0), spread, rtol=0.2)
    residuals = fitted.residuals(y, inputs=X)
    assert np.array_equal(np.isnan(residuals[3:, 0]), np.isnan(y[3:]))
    assert np.nanstd(residuals) == pytest.approx(1, abs=0.15)


def test_fixed_coefficients_are_those_of_least_squares(data: tuple[np.ndarray, np.ndarray]) -> None:
    y, X = data
    fixed = em.LinearGaussianStateSpace.dynamic_regression(2, level=False, fixed=True, tol=1e-9).fit(y, inputs=X)
    seen = ~np.isnan(y)
    wanted, rest, *_ = np.linalg.lstsq(X[seen], y[seen], rcond=None)
    np.testing.assert_allclose(fixed.smooth(y, inputs=X).mean[-1], wanted, rtol=1e-9)
    assert fixed.noise_[0, 0] == pytest.approx(rest[0] / (seen.sum() - 2), rel=1e-4)


def test_regressions_take_columns_one_after_the_other() -> None:
    total = regression(2) + local_level() + regression(1, fixed=True) + seasonal(3)
    assert total.columns == (0, 1, None, 2, None, None)
    assert (local_level() + seasonal(3)).n_columns == 0
    with pytest.raises(em.ParameterError, match="number of regressors"):
        regression(0)


def test_loadings_that_are_scaled_start_in_the_units_of_both(data: tuple[np.ndarray, np.ndarray]) -> None:
    y, X = data
    options = {"loadings_by": [[0]], "transition": [[0.9]], "state_noise": [1.0], "initial": "stationary"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [
            em.LinearGaussianStateSpace(1, max_iter=5, acceleration=None, **options).fit(c * y, inputs=X[:, :1] / d)
            for c, d in ((1.0, 1.0), (10.0, 1e3))
        ]
    assert found[1].loadings_[0, 0] == pytest.approx(1e4 * found[0].loadings_[0, 0], rel=1e-9)


def test_a_model_file_holds_what_multiplies(
    fitted: em.LinearGaussianStateSpace, data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    y, X = data
    em.save(fitted, tmp_path / "regression.zip")
    loaded = em.load(tmp_path / "regression.zip")
    assert loaded.score(y, inputs=X) == fitted.score(y, inputs=X)
    np.testing.assert_array_equal(loaded.forecast(1, inputs=X[:1]).mean, fitted.forecast(1, inputs=X[:1]).mean)


def test_draws_of_a_model_that_varies_are_standardized_by_it() -> None:
    """One-step errors of own draws are independent standard normal numbers."""
    rng = np.random.default_rng(5)
    u = np.column_stack([rng.normal(size=(3000, 2)), rng.uniform(0.2, 4.0, size=(3000, 2))])
    model = em.LinearGaussianStateSpace(
        1, transition=[[0.8]], state_noise=[1.0], initial="stationary", loadings=[[1.0], [0.5]], offset=[1.0, -1.0],
        noise=[1.0, 0.5], loadings_by=[[0], [1]], noise_by=[2, None], state_noise_by=3, max_iter=0,
    ).fit(np.zeros((3000, 2)) + np.eye(2)[np.arange(3000) % 2], inputs=u)  # fmt: skip
    y, states = model.sample(3000, random_state=0, inputs=u)
    errors = model.residuals(y, inputs=u)
    np.testing.assert_allclose(errors.T @ errors / 3000, np.eye(2), atol=0.1)
    assert np.abs(errors[1:].T @ errors[:-1] / 3000).max() < 0.08
    steps = (states[1:] - 0.8 * states[:-1])[:, 0]
    assert np.mean(steps**2 / u[1:, 3]) == pytest.approx(1, abs=0.1)


def test_bad_input_is_told(fitted: em.LinearGaussianStateSpace, data: tuple[np.ndarray, np.ndarray]) -> None:
    (y, X), form = data, em.LinearGaussianStateSpace
    holes = X.copy()
    holes[7, 1] = np.nan
    for call in (form.dynamic_regression(2).fit, fitted.smooth, fitted.score):
        with pytest.raises(em.DataError, match="row 7, column 1 has nan"):
            call(y, inputs=holes)
        with pytest.raises(em.DataError, match="one row for each of the 120 rows, got 119"):
            call(y, inputs=X[:-1])
    with pytest.raises(em.DataError, match="none came with the data"):
        form.dynamic_regression(2).fit(y)
    with pytest.raises(em.DataError, match="2 inputs, but 0 came with the data"):
        fitted.smooth(y)
    with pytest.raises(em.DataError, match="column 2 of the inputs, counted from 0, but there are 2"):
        form.dynamic_regression(3).fit(y, inputs=X)
    with pytest.raises(em.DataError, match="column 1 of the inputs is used by nothing"):
        form.dynamic_regression(1).fit(y, inputs=X)
    with pytest.raises(em.ParameterError, match="inputs must have shape"):
        fitted.forecast(3)
    with pytest.raises(em.DataError, match="row 1, column 0 has nan"):
        fitted.forecast(2, inputs=[[1.0, 2.0], [np.nan, 1.0]])
    with pytest.raises(em.ParameterError, match="inputs must have shape"):
        fitted.sample(3)
    with pytest.raises(em.ParameterError, match="cannot be drawn without its rows"):
        NormalChain(1, noise_by=0).sample(NormalChain(1).start(), np.array([3]), np.random.default_rng(0))


@pytest.mark.parametrize("option", ["noise_by", "state_noise_by"])
def test_multipliers_of_variances_are_above_zero(option: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    y, _ = data
    s = np.ones(120)
    s[5] = -1.0
    form = em.LinearGaussianStateSpace
    with pytest.raises(em.DataError, match="row 5 has -1"):
        form.local_level(**{option: 0}).fit(y, inputs=s)
    s[5] = 0.0
    with pytest.raises(em.DataError, match="must be above 0, but row 5 has 0"):
        form(1, **{option: 0}).fit(y, inputs=s)
    fit = form.local_level(**{option: 0}, max_iter=0).fit(y, inputs=np.ones(120))
    with pytest.raises(em.DataError, match="has -2"):
        fit.forecast(2, inputs=[1.0, -2.0])


def test_options_that_do_not_fit_are_told(data: tuple[np.ndarray, np.ndarray]) -> None:
    y, X = data
    form = em.LinearGaussianStateSpace
    with pytest.raises(em.ParameterError, match=r"loadings_by has shape \(1, 1\), but the loadings have \(1, 2\)"):
        form(2, loadings_by=[[0]]).fit(y, inputs=X[:, 0])
    with pytest.raises(em.ParameterError, match="whole numbers from 0, or None; got 'x'"):
        form(1, loadings_by=[["x"]]).fit(y, inputs=X)
    with pytest.raises(em.ParameterError, match=r"shape \(p, q\)"):
        form(1, loadings_by=[0]).fit(y, inputs=X)
    with pytest.raises(em.ParameterError, match="one column of the inputs"):
        form(1, state_noise_by=[0, 1]).fit(y, inputs=X)
    with pytest.raises(em.ParameterError, match="must be one column of the inputs, or 1; got 2"):
        form(1, noise_by=[0, 1]).fit(y, inputs=np.abs(X))
    with pytest.raises(em.ParameterError, match="goes with a diagonal noise"):
        form(1, noise="full", noise_by=[0, 1]).fit(X, inputs=np.abs(X))
    with pytest.raises(em.ParameterError, match="has nothing to multiply"):
        form.local_level(state_noise=np.ones((120, 1, 1)), state_noise_by=0).fit(y, inputs=np.ones(120))
    with pytest.raises(em.ParameterError, match="the same in all rows"):
        em.fit(LatentVariableModel(Normal(1), LinearGaussian(noise_by=0)), X, covariates=np.abs(X))
