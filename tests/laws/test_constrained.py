"""Parameters that are fixed or tied."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from latentem.data import ArraySource, Batch
from latentem.em import run
from latentem.errors import ParameterError
from latentem.execution import Serial
from latentem.families.composite import CompositeParameters
from latentem.families.constrained import Constrained
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
    SphericalGaussian,
    TiedGaussian,
    TiedGaussianParameters,
)
from latentem.families.negative_binomial import NegativeBinomial
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.product import PerColumn
from latentem.families.weibull import Weibull, WeibullParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters
from latentem.fitting import fit
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters, Posterior

SERIAL = Serial()
TIED = Constrained(FullGaussian(), tied=("covariances",))
HELD = Constrained(DiagonalGaussian(), fixed=("means",))


def rates(*values: float) -> PoissonParameters:
    return PoissonParameters(np.array(values)[:, None])


def normals(means: list[float], variances: list[float]) -> DiagonalGaussianParameters:
    return DiagonalGaussianParameters(np.array(means)[:, None], np.array(variances)[:, None])


def full(k: int = 2) -> FullGaussianParameters:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(k, 2, 2))
    return FullGaussianParameters(rng.normal(size=(k, 2)) * 2, np.eye(2) + 0.4 * root @ np.swapaxes(root, 1, 2))


@cache
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(80, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    return x, rng.dirichlet([1, 1, 1], size=80).T * rng.random(80)


def maximized(family, params):
    x, r = sample()
    statistics = family.statistics(Batch(x), Posterior(r), params)
    return statistics, family.maximize(statistics, params)


def test_full_gaussians_with_tied_covariances_are_tied_gaussians() -> None:
    _, updated = maximized(TIED, TIED.constrain(full(3)))
    own = full(3)
    _, expected = maximized(TiedGaussian(), TiedGaussianParameters(own.means, own.covariances[0]))
    np.testing.assert_allclose(updated.means, expected.means, atol=1e-10)
    for covariance in updated.covariances:
        np.testing.assert_allclose(covariance, expected.covariance, atol=1e-9)
    np.testing.assert_array_equal(updated.covariances[0], updated.covariances[2])
    assert updated.n_free == expected.n_free


def test_fixed_means_leave_the_variance_about_them() -> None:
    params = HELD.constrain(DiagonalGaussianParameters(np.array([[0.0, 1], [1, 0], [0.5, 0.5]]), np.ones((3, 2))))
    x, r = sample()
    _, updated = maximized(HELD, params)
    np.testing.assert_array_equal(updated.means, params.means)
    squares = np.einsum("kn,knd->kd", r, (x - params.means[:, None]) ** 2) / r.sum(axis=1)[:, None]
    np.testing.assert_allclose(updated.variances, squares, rtol=1e-10)


def test_a_mask_holds_some_components_to_the_last_bit() -> None:
    family = Constrained(DiagonalGaussian(), fixed={"variances": (False, True, False)})
    params = family.constrain(DiagonalGaussianParameters(np.zeros((3, 2)), np.array([[1.0, 2], [0.3, 0.7], [1, 1]])))
    free = DiagonalGaussian()
    _, updated = maximized(family, params)
    _, expected = maximized(free, params.base)
    np.testing.assert_array_equal(updated.variances[1], [0.3, 0.7])
    np.testing.assert_allclose(updated.variances[[0, 2]], expected.variances[[0, 2]], rtol=1e-9)
    np.testing.assert_allclose(updated.means, expected.means, atol=1e-10)
    assert params.n_free == 10
    assert len(params.flatten()) == 10


def test_tied_rates_are_the_pooled_mean() -> None:
    rng = np.random.default_rng(4)
    x, r = rng.poisson(3, size=(50, 2)).astype(float), rng.dirichlet([1, 1], size=50).T
    family = Constrained(Poisson(), tied=("rates",))
    params = family.constrain(PoissonParameters(np.array([[1.0, 2.0], [4.0, 3.0]])))
    updated = family.maximize(family.statistics(Batch(x), Posterior(r), params), params)
    np.testing.assert_allclose(updated.rates, np.tile(x.mean(axis=0), (2, 1)), rtol=1e-11)


def test_parts_of_a_product_are_held_by_their_dotted_names() -> None:
    family = Constrained(PerColumn(ZeroInflated(Poisson())), fixed=("parts.0.inflation",), tied=("parts.1.base.rates",))
    own = [ZeroInflatedParameters(np.array([0.0, 0.4]), rates(2, 6)) for _ in range(2)]
    params = family.constrain(CompositeParameters(tuple(own)))
    assert params.n_free == 2 + 2 + 1
    x = np.random.default_rng(0).poisson(2, size=(60, 2)) * 1.0
    r = np.random.default_rng(1).dirichlet([1, 1], size=60).T
    statistics = family.statistics(Batch(x), Posterior(r), params)
    updated = family.maximize(statistics, params)
    np.testing.assert_array_equal(updated.parts[0].inflation, [0.0, 0.4])
    assert updated.parts[1].base.rates[0] == updated.parts[1].base.rates[1]
    np.testing.assert_allclose(family.score(statistics, updated), 0.0, atol=1e-8 * len(x))


def test_all_parameters_may_be_fixed() -> None:
    family = Constrained(Poisson(), fixed=("rates",))
    params = family.constrain(rates(1, 5))
    assert params.n_free == 0
    batch = Batch(np.array([[1.0], [3.0]]))
    statistics = family.statistics(batch, Posterior(np.full((2, 2), 0.5)), params)
    np.testing.assert_array_equal(family.maximize(statistics, params).rates, params.rates)
    assert family.score(statistics, params).shape == (0,)


def test_a_floor_holds_under_constrained_variances() -> None:
    family = Constrained(DiagonalGaussian(1e-3), fixed=("means",))
    params = family.constrain(normals([0, 5], [1, 1]))
    x = np.concatenate([np.zeros(20), np.random.default_rng(0).normal(5, 1, 20)])[:, None]
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), params)
    result = run(LatentVariableModel(Categorical(2), family), ArraySource(x), start, executor=SERIAL, max_iter=30)
    variances = result.parameters.emission.variances[:, 0]
    assert 1e-3 * (1 - 1e-5) <= variances[0] <= 2e-3
    assert 0.5 < variances[1] < 2


def test_constraints_that_cannot_be_are_told() -> None:
    with pytest.raises(ParameterError, match="means, variances"):
        Constrained(DiagonalGaussian(), fixed=("mean",)).constrain(normals([0], [1]))
    with pytest.raises(ParameterError, match="both fixed and tied"):
        Constrained(Poisson(), fixed=("rates",), tied=("rates",))
    with pytest.raises(ParameterError, match="3 entries"):
        Constrained(Poisson(), fixed={"rates": (True, False, True)}).constrain(rates(1, 2))
    with pytest.raises(ParameterError, match="no axis of components"):
        Constrained(TiedGaussian(), tied=("covariance",)).constrain(TiedGaussianParameters(np.zeros((2, 2)), np.eye(2)))
    with pytest.raises(ParameterError, match="to fix or to tie"):
        Constrained(Poisson())


def test_the_m_step_asks_for_q_and_its_score_a_few_dozen_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("expected_log_density", "score"):
        plain = getattr(FullGaussian, name)
        counted = lambda self, *rest, name=name, plain=plain: calls.append(name) or plain(self, *rest)  # noqa: E731
        monkeypatch.setattr(FullGaussian, name, counted)
    tied_means = Constrained(FullGaussian(), tied=("means",))
    maximized(tied_means, tied_means.constrain(full(3)))
    assert 10 < len(calls) < 100


@pytest.mark.parametrize("tied", ["shapes", "scales"])
def test_tied_weibulls_are_found_from_the_default_start(tied: str) -> None:
    rng, states = np.random.default_rng(2), np.arange(600) % 2
    truth = WeibullParameters(np.array([[6.0], [6.0]]), np.array([[1.0], [9.0]]))
    if tied == "scales":
        truth = WeibullParameters(np.array([[0.4], [60.0]]), np.array([[5.0], [5.0]]))
    family = Constrained(Weibull(), tied=(tied,))
    rows = family.family.sample(truth, states, rng)
    model = LatentVariableModel(Categorical(2), family)
    result = fit(model, rows, executor=SERIAL, random_state=0)
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), family.constrain(truth))
    assert result.log_likelihood >= model.e_step(start, Batch(rows)).log_likelihood


def test_a_size_on_its_bound_does_not_hold_back_one_that_is_free() -> None:
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.binomial(20, 0.5, 400), rng.negative_binomial(4, 0.3, 400)])
    family = Constrained(NegativeBinomial(), tied=("sizes",))
    result = fit(LatentVariableModel(Categorical(1), family), rows, executor=SERIAL)
    free = fit(LatentVariableModel(Categorical(1), NegativeBinomial()), rows, executor=SERIAL)
    assert result.parameters.emission.sizes[0, 0] > 5e7
    np.testing.assert_allclose(result.log_likelihood, free.log_likelihood, rtol=1e-6)
    np.testing.assert_allclose(result.parameters.emission.sizes[0, 1], free.parameters.emission.sizes[0, 1], rtol=1e-3)


# -- a floor that binds ----------------------------------------------------------------------------


def long_and_thin():
    rng = np.random.default_rng(0)
    thin = rng.multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], size=300)
    thin[150:, 0] += 3
    return thin


def fitted(family, data, start):
    model = LatentVariableModel(Categorical(2), family)
    params = ModelParameters(model.latent.start(), start)
    return run(model, ArraySource(data), params, executor=Serial(), tol=1e-9, max_iter=5000)


def test_tied_covariances_on_their_floor_are_those_of_the_tied_family():
    data, means = long_and_thin(), np.array([[0.0, 0.0], [3.0, 0.0]])
    tied = fitted(TiedGaussian(floor=0.3), data, TiedGaussianParameters(means, np.eye(2)))
    family = Constrained(FullGaussian(floor=0.3), tied=("covariances",))
    constrained = fitted(family, data, family.constrain(FullGaussianParameters(means, np.tile(np.eye(2), (2, 1, 1)))))
    assert np.linalg.eigvalsh(tied.parameters.emission.covariance)[0] == pytest.approx(0.3, rel=1e-12)
    assert constrained.objective == pytest.approx(tied.objective, abs=1e-7)


@pytest.mark.parametrize("family", [FullGaussian(floor=0.3), DiagonalGaussian(floor=1.2), SphericalGaussian(floor=1.5)])
def test_no_admissible_point_nearby_is_better_than_the_maximizer_with_means_held(family):
    data, rng = long_and_thin(), np.random.default_rng(1)
    constrained = Constrained(family, fixed=("means",))
    start = constrained.constrain(family.start(Batch(data), 2))
    posterior = Posterior(rng.dirichlet([1, 1], size=len(data)).T)
    statistics = constrained.statistics(Batch(data), posterior, start)
    best = constrained.maximize(statistics, start)
    value, at = constrained.expected_log_density(statistics, best), best.flatten()
    for _ in range(300):
        other = best.unflatten(at + rng.normal(scale=rng.choice([1e-3, 1e-2, 0.1]), size=at.shape))
        smallest = np.linalg.eigvalsh(getattr(other.base, "covariances", np.zeros((1, 1, 1)))).min()
        inside = smallest >= family.floor if isinstance(family, FullGaussian) else np.all(
            other.base.variances >= family.floor
        )
        if inside:
            assert constrained.expected_log_density(statistics, other) <= value + 1e-9
