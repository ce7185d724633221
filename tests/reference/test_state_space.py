"""State space models: the Nile, Shumway and Stoffer's examples, two global temperatures; and statsmodels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from reference.cases import case

import latentem as em
from latentem.datasets import load_okun
from latentem.em import iterate
from latentem.execution import Serial
from latentem.models.structural import local_level, local_linear_trend, seasonal


def traced(estimator: Any, y: np.ndarray, n: int) -> list[Any]:
    """The first n iterations of plain EM."""
    from latentem.estimators.series import read_series

    series = read_series(y)
    model = estimator._model(series)
    steps = iterate(model, series.source, estimator._start(model, series), executor=Serial())
    return [next(steps) for _ in range(n)]


def before_first(y: np.ndarray) -> np.ndarray:
    """A step without observation ahead: the state of time 0, where Shumway and Stoffer start."""
    return np.concatenate([np.full((1, y.shape[1]), np.nan), y])


def test_ar1_plus_noise_by_em() -> None:
    reference = case("ss_ar1_plus_noise_shumway_stoffer")
    y, start = before_first(reference.columns("y")), reference.record["start"]
    estimator = em.LinearGaussianStateSpace(
        1,
        loadings=[[1.0]],
        offset=[0.0],
        initial_mean=[start["mu0"]],
        initial_covariance=[[start["Sigma0"]]],
        start={"transition": [[start["Phi"]]], "state_noise": [[start["Q"]]], "noise": [start["R"]]},
    )
    trace = reference.expected["EM_trace_[loglik_with_2pi,Phi,Q,R,mu0,Sigma0]_at_iterations_0..30"]
    found = traced(estimator, y, 1001)
    got = np.array([[i.objective, *_scalars(i.parameters)] for i in found])
    np.testing.assert_allclose(got[:31], trace, atol=reference.tolerance["EM_trace"])
    np.testing.assert_allclose(got[100], reference.expected["EM_after_100"], atol=1e-8)
    np.testing.assert_allclose(got[1000], reference.expected["EM_after_1000"], atol=1e-6)


def _scalars(parameters: Any) -> list[float]:
    latent, emission = parameters.latent, parameters.emission
    return [
        latent.transition[0, 0], latent.noise[0, 0], emission.noise[0], latent.initial_mean[0],
        latent.initial_covariance[0, 0],
    ]  # fmt: skip


def test_ar1_plus_noise_with_the_variance_of_the_start_at_zero() -> None:
    """The supremum, where Sigma0 goes to 0 along EM: held at zero, and the mean at its limit."""
    reference = case("ss_ar1_plus_noise_shumway_stoffer")
    limit = reference.expected["ML_with_Sigma0_to_zero"]
    fitted = em.LinearGaussianStateSpace(
        1, loadings=[[1.0]], offset=[0.0], initial="known", initial_covariance=[[0.0]], initial_mean=[limit["mu0"]],
        tol=1e-10,
    ).fit(before_first(reference.columns("y")))  # fmt: skip
    assert fitted.log_likelihood_ == pytest.approx(limit["loglik_with_2pi"], abs=1e-8)
    for name, value in (("transition_", "Phi"), ("state_noise_", "Q"), ("noise_", "R")):
        assert getattr(fitted, name)[0, 0] == pytest.approx(limit[value], abs=1e-3)


def test_nile_by_em() -> None:
    reference = case("ss_nile_local_level")
    y = before_first(reference.columns("flow"))
    estimator = em.LinearGaussianStateSpace.local_level(
        initial="known", initial_mean=[0.0], initial_covariance=[[1e7]], start={"state_noise": [1e4], "noise": [1e4]}
    )
    trace = reference.expected["EM_trace_[loglik,sigma2_eta,sigma2_eps]_first_50"]
    found = [
        [i.objective, i.parameters.latent.noise[0], i.parameters.emission.noise[0]] for i in traced(estimator, y, 50)
    ]
    np.testing.assert_allclose(found, trace, rtol=1e-9)


def test_nile_with_a_diffuse_start() -> None:
    reference = case("ss_nile_local_level")
    y, exact = reference.columns("flow"), reference.expected["exact_diffuse"]
    fitted = em.LinearGaussianStateSpace.local_level(tol=1e-10).fit(y)
    assert fitted.converged_
    assert fitted.noise_[0, 0] == pytest.approx(exact["sigma2_eps"], abs=1)
    assert fitted.state_noise_[0, 0] == pytest.approx(exact["sigma2_eta"], abs=0.5)
    assert fitted.log_likelihood_ == pytest.approx(exact["loglik_without_constant_of_first_obs(KFAS)"], abs=1e-6)
    r = reference.expected["R"]["KFAS_exact_diffuse"]
    start = {"state_noise": [r["level_variance"]], "noise": [r["epsilon_variance"]]}
    held = em.LinearGaussianStateSpace.local_level(start=start, max_iter=0).fit(y)
    smoothed = held.smooth(y)
    np.testing.assert_allclose(smoothed.mean[:, 0], r["smoothed_level"], rtol=1e-9)
    np.testing.assert_allclose(smoothed.covariance[:, 0, 0], r["smoothed_variance"], rtol=1e-9)


@pytest.mark.parametrize(("name", "variance"), [("mu0_N(0,1e7)", 1e7), ("mu0_estimated_S0_zero", 0.0)])
def test_nile_with_a_known_start(name: str, variance: float) -> None:
    reference = case("ss_nile_local_level")
    expected = reference.expected[name]
    fitted = em.LinearGaussianStateSpace.local_level(
        initial="known", initial_mean=[expected.get("mu0", 0.0)], initial_covariance=[[variance]], tol=1e-9
    ).fit(before_first(reference.columns("flow")))
    assert fitted.log_likelihood_ == pytest.approx(expected["loglik"], abs=1e-4)
    assert fitted.noise_[0, 0] == pytest.approx(expected["sigma2_eps"], abs=2)
    assert fitted.state_noise_[0, 0] == pytest.approx(expected["sigma2_eta"], abs=2)


def test_blood_markers_with_missing_values() -> None:
    reference = case("ss_blood_missing_shumway_stoffer")
    y = before_first(reference.columns())
    trace = reference.expected["EM_loglik_trace_with_2pi_(observed_values_only)_first_61"]
    start = {
        "transition": np.eye(3), "state_noise": np.diag([0.01, 0.01, 1]), "noise": [0.01, 0.01, 1],
        "initial_mean": np.zeros(3), "initial_covariance": np.diag([0.1, 0.1, 1]),
    }  # fmt: skip
    estimator = em.LinearGaussianStateSpace(3, loadings=np.eye(3), offset=np.zeros(3), start=start)
    found = traced(estimator, y, 200)
    gains = np.diff([i.objective for i in found])
    assert found[0].objective == pytest.approx(trace[0], abs=reference.tolerance["EM_loglik_trace"])
    assert np.all(gains > 0)
    assert found[-1].objective > trace[-1]
    for snapshot in reference.expected["EM_snapshots_by_iteration"].values():
        there = em.LinearGaussianStateSpace(3, loadings=np.eye(3), offset=np.zeros(3), max_iter=0, start={
            "transition": snapshot["Phi"], "state_noise": snapshot["Q"], "noise": snapshot["R_diag"],
            "initial_mean": snapshot["mu0"], "initial_covariance": snapshot["Sigma0"],
        }).fit(y)  # fmt: skip
        assert there.log_likelihood_ == pytest.approx(snapshot["loglik_with_2pi"], abs=1e-6)


def test_two_temperatures_with_a_common_level() -> None:
    reference = case("ss_globaltemp_common_level")
    y = reference.columns("HL", "Folland")
    expected = reference.expected["R"]["KFAS_exact_diffuse"]
    fitted = em.LinearGaussianStateSpace(
        1, transition=[[1.0]], loadings=[[1.0], [1.0]], offset=[0.0, 0.0], noise="full", initial="diffuse", tol=1e-9
    ).fit(y)
    assert fitted.log_likelihood_ == pytest.approx(expected["loglik"], abs=1e-4)
    np.testing.assert_allclose(fitted.noise_, expected["H"], rtol=1e-3)
    np.testing.assert_allclose(fitted.state_noise_, [[expected["Q"]]], rtol=2e-3)


def statsmodels_structural(y: np.ndarray, *options: Any, **named: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        return UnobservedComponents(y, *options, **named, use_exact_diffuse=True)


@pytest.mark.parametrize("gaps", [False, True])
def test_a_structural_model_as_in_statsmodels(gaps: bool) -> None:
    """The same log-likelihood up to the constant of the diffuse steps, filtered and smoothed states."""
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.normal(size=60)) + 2 * np.sin(np.arange(60) * np.pi / 2) + rng.normal(size=60)
    if gaps:
        y[[20, 21, 40]] = np.nan
    theirs = statsmodels_structural(y, "lltrend", seasonal=4).smooth([0.9, 0.5, 0.02, 0.1])
    ours = em.LinearGaussianStateSpace.structural(
        local_linear_trend(), seasonal(4), max_iter=0, start={"noise": [0.9], "state_noise": [0.5, 0.02, 0.1, 0.0, 0.0]}
    ).fit(y[:, None])
    d = 5
    assert ours.log_likelihood_ == pytest.approx(theirs.llf + 0.5 * d * np.log(2 * np.pi), abs=1e-7)
    smoothed, filtered = ours.smooth(y[:, None]), ours.filter(y[:, None])
    np.testing.assert_allclose(smoothed.mean, theirs.smoothed_state.T, atol=1e-7)
    np.testing.assert_allclose(smoothed.covariance, theirs.smoothed_state_cov.transpose(2, 0, 1), atol=1e-7)
    settled = ~filtered.is_diffuse[:, 1]
    assert settled.sum() == 60 - d + 1
    np.testing.assert_allclose(filtered.mean[settled], theirs.filtered_state.T[settled], atol=1e-7)
    ahead = theirs.get_forecast(8)
    np.testing.assert_allclose(ours.forecast(8).mean[:, 0], ahead.predicted_mean, atol=1e-7)
    np.testing.assert_allclose(ours.forecast(8).lower[:, 0], ahead.conf_int()[:, 0], atol=1e-7)


def test_a_dynamic_factor_as_in_statsmodels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.tsa.statespace.dynamic_factor import DynamicFactor
    rng = np.random.default_rng(1)
    y = rng.normal(size=(80, 4))
    y[rng.random(y.shape) < 0.1] = np.nan
    theirs = DynamicFactor(y, k_factors=1, factor_order=1).smooth([0.5, 1.0, -0.3, 0.8, 0.4, 0.6, 0.7, 0.9, 0.8])
    ours = em.LinearGaussianStateSpace.dynamic_factor(4, 1, offset=np.zeros(4), max_iter=0, start={
        "loadings": [[0.5], [1.0], [-0.3], [0.8]], "noise": [0.4, 0.6, 0.7, 0.9], "transition": [[0.8]],
    }).fit(y)  # fmt: skip
    assert ours.log_likelihood_ == pytest.approx(theirs.llf, abs=1e-8)
    np.testing.assert_allclose(ours.smooth(y).mean, theirs.smoothed_state.T, atol=1e-9)


def statsmodels_regression(y: np.ndarray, X: np.ndarray, **options: Any) -> Any:
    """A level and coefficients, all random walks: an `MLEModel` whose design is (1, k, n)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.tsa.statespace.initialization import Initialization
        from statsmodels.tsa.statespace.mlemodel import MLEModel

    design = np.column_stack([np.ones(len(y)), X]).T[None]
    q = design.shape[1]

    class Regression(MLEModel):  # type: ignore[misc]
        param_names = property(lambda self: ["noise", *(f"walk {i}" for i in range(q))])
        start_params = property(lambda self: np.full(1 + q, 0.05))

        def transform_params(self, unconstrained: np.ndarray) -> np.ndarray:
            return unconstrained**2

        def untransform_params(self, constrained: np.ndarray) -> np.ndarray:
            return constrained**0.5

        def update(self, params: np.ndarray, **named: Any) -> None:
            params = super().update(params, **named)
            self["obs_cov"] = options.get("scale", np.ones(1)) * params[:1, None, None]
            self["state_cov"] = np.diag(params[1:])

    model = Regression(y, k_states=q, k_posdef=q)
    model["design"], model["transition"], model["selection"] = design, np.eye(q), np.eye(q)
    model.ssm.initialize(Initialization(q, "diffuse"))
    return model


def test_a_regression_whose_coefficients_move_as_in_statsmodels() -> None:
    """Log-likelihood, filtered, smoothed and predicted at the same variances; and no maximum that theirs beats."""
    table = load_okun().values
    X, y = 100 * np.diff(np.log(table[:, 2])), np.diff(table[:, 3])
    y[[30, 31, 90]] = np.nan
    ours = em.LinearGaussianStateSpace.dynamic_regression(1, tol=1e-9).fit(y, inputs=X)
    assert ours.converged_
    model, constant = statsmodels_regression(y, X), 0.5 * 2 * np.log(2 * np.pi)
    theirs = model.smooth([ours.noise_[0, 0], *np.diag(ours.state_noise_)])
    assert ours.log_likelihood_ == pytest.approx(theirs.llf + constant, abs=1e-9)
    smoothed, filtered = ours.smooth(y, inputs=X), ours.filter(y, inputs=X)
    np.testing.assert_allclose(smoothed.mean, theirs.smoothed_state.T, atol=1e-9)
    np.testing.assert_allclose(smoothed.covariance, theirs.smoothed_state_cov.transpose(2, 0, 1), atol=1e-9)
    np.testing.assert_allclose(filtered.mean[2:], theirs.filtered_state.T[2:], atol=1e-9)
    ahead = np.array([0.5, -1.0, 2.0])
    longer = statsmodels_regression(np.append(y, np.full(3, np.nan)), np.append(X, ahead))
    predicted, forecast = longer.filter(theirs.params), ours.forecast(3, inputs=ahead)
    np.testing.assert_allclose(forecast.mean[:, 0], predicted.forecasts[0, -3:], atol=1e-9)
    np.testing.assert_allclose(forecast.covariance[:, 0, 0], predicted.forecasts_error_cov[0, 0, -3:], atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.fit(disp=0, maxiter=500)
    assert ours.log_likelihood_ == pytest.approx(found.llf + constant, abs=1e-5)
    np.testing.assert_allclose([ours.noise_[0, 0], *np.diag(ours.state_noise_)], found.params, rtol=0.02)


def test_known_variances_of_observations_as_in_statsmodels() -> None:
    """With `obs_cov` of shape (1, 1, n)."""
    rng = np.random.default_rng(4)
    X, s = rng.normal(size=(80, 2)), rng.uniform(0.2, 3.0, size=80)
    y = X @ [1.0, -1.0] + np.cumsum(0.3 * rng.normal(size=80)) + np.sqrt(s) * rng.normal(size=80)
    start = {"noise": [0.9], "state_noise": [0.1, 0.02, 0.05]}
    ours = em.LinearGaussianStateSpace.dynamic_regression(2, noise_by=2, max_iter=0, start=start)
    ours.fit(y, inputs=np.column_stack([X, s]))
    theirs = statsmodels_regression(y, X, scale=s).smooth([0.9, 0.1, 0.02, 0.05])
    assert ours.log_likelihood_ == pytest.approx(theirs.llf + 1.5 * np.log(2 * np.pi), abs=1e-9)
    smoothed = ours.smooth(y, inputs=np.column_stack([X, s]))
    np.testing.assert_allclose(smoothed.mean, theirs.smoothed_state.T, atol=1e-9)


def test_sums_of_components_have_their_states_side_by_side() -> None:
    total = local_level() + seasonal(3, form="trigonometric")
    assert np.shape(total.transition) == (3, 3) and total.loadings == (1.0, 1.0, 0.0)
    turned = np.array(total.transition)[1:, 1:].astype(float)
    np.testing.assert_allclose(np.linalg.matrix_power(turned, 3), np.eye(2), atol=1e-12)
    dummy = np.array(seasonal(4).transition)
    np.testing.assert_allclose(np.linalg.matrix_power(dummy, 4), np.eye(3), atol=1e-12)
    twice = seasonal(2, form="trigonometric") + seasonal(3, form="trigonometric")
    assert len({twice.noise[0], twice.noise[1]}) == 2
