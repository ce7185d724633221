"""A warm start goes on from the last fit under the options that hold now, or says why it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentem import (
    GammaMixture,
    GaussianMixture,
    MixtureModel,
    ParameterError,
    PoissonMixture,
    Status,
    StudentTMixture,
)
from latentem.families.gaussian import DiagonalGaussian

FIELDS = {"full": "covariances", "tied": "covariance", "diag": "variances", "spherical": "variances"}


@pytest.fixture
def table(rng: np.random.Generator) -> Any:
    values = rng.normal(size=(200, 3))
    values[:80] += 5.0
    return values


@pytest.fixture
def positive(rng: np.random.Generator) -> Any:
    return rng.poisson(np.where(np.arange(200)[:, None] < 80, 2.0, 12.0), (200, 2)) + 1.0


def warm(mixture: Any, data: Any) -> Any:
    return mixture.set_params(warm_start=True, random_state=0, init_params="k-means++").fit(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_parameters_fixed_at_a_warm_start_stay_where_the_last_fit_ended(kind: str, table: Any) -> None:
    mixture = warm(GaussianMixture(2, covariance_type=kind), table)
    means = mixture.means_
    mixture.set_params(fixed=["means"]).fit(table + 0.5)
    assert np.array_equal(mixture.means_, means)
    held = mixture._n_parameters()
    mixture.set_params(fixed=None).fit(table + 0.5)
    assert np.abs(mixture.means_ - means).max() > 0.1 and mixture._n_parameters() == held + means.size


def test_parameters_tied_at_a_warm_start_become_equal(table: Any) -> None:
    mixture = warm(GaussianMixture(2, covariance_type="diag"), table).set_params(tied=["variances"]).fit(table)
    assert np.array_equal(mixture.covariances_[0], mixture.covariances_[1])
    assert mixture.converged_


@pytest.mark.parametrize("make", [PoissonMixture, GammaMixture])
def test_weights_fixed_at_a_warm_start_stay(make: Any, positive: Any) -> None:
    mixture = warm(make(2), positive)
    weights = mixture.weights_
    mixture.set_params(fixed=["weights"], weights_init=weights).fit(positive[:120])
    assert np.array_equal(mixture.weights_, weights)


@pytest.mark.parametrize(
    "options",
    [{"covariance_type": "full"}, {"covariance_type": "tied"}, {"n_components": 3}, {"n_components": 1}],
    ids=str,
)
@pytest.mark.parametrize("fixed", [None, ["means"]], ids=["free", "fixed"])
def test_another_model_is_refused(options: Any, fixed: Any, table: Any) -> None:
    mixture = warm(GaussianMixture(2, covariance_type="diag"), table)
    with pytest.raises(ParameterError, match="warm_start"):
        mixture.set_params(fixed=fixed, **options).fit(table)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [GaussianMixture, StudentTMixture, PoissonMixture, GammaMixture])
def test_another_number_of_columns_is_refused(make: Any, positive: Any) -> None:
    mixture = warm(make(2), positive)
    with pytest.raises(ParameterError, match=r"warm_start.*columns"):
        mixture.fit(positive[:, :1])
    assert mixture.predict(positive).shape == (200,)


@pytest.mark.filterwarnings("ignore")
def test_other_degrees_of_freedom_are_refused(table: Any) -> None:
    mixture = warm(StudentTMixture(2, max_iter=5), table)
    with pytest.raises(ParameterError, match="warm_start"):
        mixture.set_params(dof="tied").fit(table)


@pytest.mark.filterwarnings("ignore:component")
@pytest.mark.parametrize("kind", sorted(FIELDS))
@pytest.mark.parametrize("fixed", [None, ["means"]], ids=["free", "fixed"])
def test_a_higher_floor_lifts_the_start(kind: str, fixed: Any, table: Any) -> None:
    mixture = warm(GaussianMixture(2, covariance_type=kind), table).set_params(reg_covar=5.0, fixed=fixed).fit(table)
    covariances = mixture.result_.parameters.emission.arrays()[FIELDS[kind]]
    lowest = np.linalg.eigvalsh(covariances).min() if kind in ("full", "tied") else covariances.min()
    assert lowest >= 5.0 * (1 - 1e-9)
    assert mixture.result_.status is Status.CONVERGED


@pytest.mark.filterwarnings("ignore:component")
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_a_higher_floor_lifts_the_scales_of_t_distributions(kind: str, table: Any) -> None:
    mixture = warm(StudentTMixture(2, covariance_type=kind, dof=5.0), table).set_params(reg_covar=5.0).fit(table)
    scales = mixture.scales_
    assert (np.linalg.eigvalsh(scales) if kind == "full" else scales).min() >= 5.0 * (1 - 1e-9)
    assert mixture.result_.status is Status.CONVERGED


def test_a_start_outside_the_bounds_of_a_family_is_refused(table: Any) -> None:
    mixture = warm(MixtureModel(DiagonalGaussian(), 2), table)
    with pytest.raises(ParameterError, match="warm_start"):
        mixture.set_params(family=DiagonalGaussian(floor=5.0)).fit(table)


def test_a_warm_start_with_nothing_changed_takes_up_its_gains(table: Any) -> None:
    mixture = warm(GaussianMixture(2, fixed=["means"], max_iter=300), table)
    objective = mixture.result_.objective
    mixture.fit(table)
    assert mixture.converged_ and mixture.n_iter_ <= 2
    assert mixture.result_.objective >= objective
