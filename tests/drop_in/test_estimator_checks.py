"""scikit-learn's common checks on every estimator; what may fail is listed with its reason, and must fail.

The checks' data are real numbers.  For counts they are rounded by the checks themselves (a tag asks for it).  For
positive numbers scikit-learn knows a tag for "not negative" only and hands out exact zeros, which no density on (0, ∞)
can produce: there the data are moved up by one, and all checks must pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentem.estimators as estimators
from latentem.families.gaussian import DiagonalGaussian
from latentem.families.poisson import Poisson

REAL = [
    estimators.GaussianMixture(),
    estimators.GaussianMixture(n_components=2, covariance_type="tied", n_init=2, init_params="k-means++"),
    estimators.GaussianMixture(n_components=2, covariance_type="diag", reg_covar="auto", acceleration="squarem"),
    estimators.GaussianMixture(n_components=2, covariance_type="spherical", order="mean", init_params="small-em"),
    estimators.StudentTMixture(max_iter=30),
    estimators.StudentTMixture(n_components=2, covariance_type="diag", dof=5.0),
    estimators.MixtureModel(),
    estimators.MixtureModel(family=DiagonalGaussian(floor=1e-3), n_components=2),
    estimators.FactorAnalysis(n_components=1),
    estimators.FactorAnalysis(n_components=2, rotation="oblimin", tol=1e-12, acceleration="auto"),
    estimators.ProbabilisticPCA(n_components=1),
]
POSITIVE = [
    estimators.ExponentialMixture(),
    estimators.GammaMixture(),
    estimators.WeibullMixture(),
    estimators.LogNormalMixture(),
    estimators.InverseGaussianMixture(),
    estimators.MixtureModel(family="gamma"),
]
COUNTS = [
    estimators.PoissonMixture(),
    estimators.NegativeBinomialMixture(),
    estimators.GeometricMixture(),
    estimators.MultinomialMixture(),
    estimators.MixtureModel(family=Poisson(), n_components=2),
]
# Zeros and ones and categories; without `binarize` a BernoulliMixture refuses nearly all data of the checks.
CATEGORIES = [
    estimators.BernoulliMixture(n_components=2, binarize=0.5),
    estimators.LatentClassAnalysis(),
]

CLASSIFIER = "the check takes an estimator with sparse input and predict_proba for a classifier and reads its tags"
FRACTIONS = "the check's data are fractions, not counts; test_weights.py has the same law on counts"
UNSEEN = "rows of weight zero hold categories that no other row has; predicting them is an error"
SPARSE = {"check_estimator_sparse_array": CLASSIFIER, "check_estimator_sparse_matrix": CLASSIFIER}


def expected(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, estimators.LatentClassAnalysis):
        return {"check_sample_weight_equivalence_on_dense_data": UNSEEN}
    if isinstance(estimator, estimators.BernoulliMixture):
        return SPARSE
    weights = (f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse"))
    return SPARSE | dict.fromkeys(weights, FRACTIONS)


@pytest.fixture(autouse=True)
def no_global_random_state() -> None:
    """Some checks draw from NumPy's global generator themselves."""


@pytest.fixture
def data_above_zero(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    original = estimator_checks._enforce_estimator_tags_X

    def moved(*args: Any, **options: Any) -> Any:
        given = original(*args, **options)
        return tuple(table + 1 for table in given) if isinstance(given, tuple) else given + 1

    monkeypatch.setattr(estimator_checks, "_enforce_estimator_tags_X", moved)
    return None


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@parametrize_with_checks(REAL)
def test_real_numbers(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.usefixtures("data_above_zero")
@parametrize_with_checks(POSITIVE)
def test_positive_numbers(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks(COUNTS, expected_failed_checks=expected, xfail_strict=True)
def test_counts(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks(CATEGORIES, expected_failed_checks=expected, xfail_strict=True)
def test_categories(estimator: Any, check: Any) -> None:
    check(estimator)
