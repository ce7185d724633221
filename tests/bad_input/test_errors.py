"""Bad input is refused by an error of ours that names the place, and nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bad_input.specimens import COUNTS, NUMERIC, POSITIVE, REAL, built, estimators, fitted, suiting, unchanged
from scipy import sparse

import latentem as em
from latentem.errors import DataError, LatentemError, ParameterError
from latentem.estimators import LatentClassAnalysis, MixtureModel, PoissonMixture
from latentem.families.categorical import CategoricalColumns
from latentem.families.gaussian import DiagonalGaussian
from latentem.latents import Categorical
from latentem.model import Prior

EVERY = list(estimators())
METHODS = ["fit", "predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl"]


def with_entry(name: str, value: Any, row: int = 3, column: int = 1) -> Any:
    table = suiting(name)
    table[row, column] = value
    return table


def refused(estimator: Any, place: str, X: Any, **columns: Any) -> None:
    """`fit` refuses with a message that holds the place, and estimator and data are what they were."""
    with unchanged(estimator, X), pytest.raises(LatentemError, match=place) as told:
        estimator.fit(X, **columns)
    assert isinstance(told.value, ValueError)


def before_and_after_a_fit(name: str) -> list[Any]:
    """The estimator new, and fitted: a refusal must leave both as they are."""
    return [built(name), fitted(name, suiting(name))]


# -- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(0, 2), (5, 0), (0, 0)])
def test_empty_data_are_refused(name: str, shape: tuple[int, int]) -> None:
    for estimator in before_and_after_a_fit(name):
        refused(estimator, r"0 (sample|feature)|minimum of 1|at least one|one row", np.empty(shape))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("X", [np.float64(3.0), np.ones(5), np.ones((2, 2, 2))], ids=lambda X: str(X.ndim))
def test_what_is_no_table_is_refused(name: str, X: Any) -> None:
    refused(built(name), "2D array|dim", X)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused_with_row_and_column(name: str, value: float) -> None:
    for estimator in before_and_after_a_fit(name):
        refused(estimator, "row 3, column .?x?1", with_entry(name, value))


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("value", [1e200, 1.7e308])
def test_magnitudes_whose_squares_overflow_are_refused_with_row_and_column(name: str, value: float) -> None:
    refused(built(name), "row 3, column .?x?1", with_entry(name, value))


@pytest.mark.parametrize("name", NUMERIC)
def test_text_in_a_column_is_refused_with_row_and_column(name: str) -> None:
    frame = pd.DataFrame(suiting(name), columns=["a", "b"]).astype({"b": object})
    frame.loc[3, "b"] = "many"
    refused(built(name), "row 3, column 'b' holds 'many'", frame)
    refused(fitted(name, suiting(name)), "row 3, column 'b' holds 'many'", frame)
    refused(built(name), "row 3, column 1 holds 'many'", frame.to_numpy())


@pytest.mark.parametrize("name", NUMERIC)
def test_names_of_columns_are_those_of_the_table(name: str) -> None:
    frame = pd.DataFrame(with_entry(name, np.inf), columns=["a", "b"])
    refused(built(name), "row 3, column 'b'", frame)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1.0, 1.5, -0.5])
def test_negative_or_fractional_counts_are_refused_with_row_and_column(name: str, value: float) -> None:
    for estimator in before_and_after_a_fit(name):
        refused(estimator, rf"row 3, column .?x?1.? holds {value:g}", with_entry(name, value))


def test_negative_or_fractional_sparse_counts_are_refused_with_row_and_column() -> None:
    for value in (-1.0, 1.5):
        with pytest.raises(DataError, match=rf"row 3, column .?x?1.? holds {value:g}"):
            PoissonMixture(2).fit(sparse.csr_array(with_entry("PoissonMixture", value)))


@pytest.mark.parametrize("name", [*POSITIVE, "BetaMixture"])
def test_values_outside_the_support_are_refused_with_row_and_column(name: str) -> None:
    for estimator in before_and_after_a_fit(name):
        refused(estimator, r"row 3, column .?x?1.? holds -2", with_entry(name, -2.0))


def test_rows_that_are_no_directions_are_refused_with_their_row() -> None:
    name = "VonMisesFisherMixture"
    refused(built(name), "row 3", with_entry(name, 0.123))


@pytest.mark.parametrize("name", EVERY)
def test_a_column_without_entries_is_refused_by_its_name(name: str) -> None:
    X = suiting(name)
    X[:, 1] = np.nan
    for estimator in before_and_after_a_fit(name):
        refused(estimator, "column 'x1' (has no observed entry|is missing)", X)


@pytest.mark.parametrize("name", EVERY)
def test_fewer_rows_than_components_are_refused_with_both_numbers(name: str) -> None:
    for estimator in before_and_after_a_fit(name):
        estimator.set_params(n_components=4)
        refused(estimator, "n_components = 4, n_samples = 3", suiting(name)[:3])
        weights = np.r_[np.ones(3), np.zeros(37)]
        refused(estimator, "n_components = 4, n_samples = 3", suiting(name), sample_weight=weights)


# -- beside the table ----------------------------------------------------------------------------

BAD_WEIGHTS = [
    (lambda n: np.where(np.arange(n) == 2, -1.0, 1.0), "row 2 has -1"),
    (lambda n: np.where(np.arange(n) == 2, np.nan, 1.0), "row 2 has nan"),
    (lambda n: np.where(np.arange(n) == 2, np.inf, 1.0), "row 2 has inf"),
    (lambda n: np.zeros(n), "all weights are zero"),
    (lambda n: np.full(n, 1e300), "sums with them overflow"),
    (lambda n: np.full(n, 1e-300), "sums with them underflow"),
    (lambda n: np.ones(n - 1), "one entry for each of the 40 rows"),
    (lambda n: np.ones((n, 1)), "one-dimensional"),
    (lambda n: np.full(n, "1"), "numbers"),
]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("weights", "place"), BAD_WEIGHTS, ids=[place for _, place in BAD_WEIGHTS])
def test_bad_weights_are_refused_with_their_row(name: str, weights: Any, place: str) -> None:
    X = suiting(name)
    for estimator in before_and_after_a_fit(name):
        refused(estimator, place, X, sample_weight=weights(len(X)))


@pytest.mark.parametrize(("weights", "place"), BAD_WEIGHTS, ids=[place for _, place in BAD_WEIGHTS])
def test_scores_refuse_bad_weights_too(weights: Any, place: str) -> None:
    estimator = fitted("GaussianMixture", suiting("GaussianMixture"))
    for method in ("score", "aic", "bic", "icl"):
        with pytest.raises(DataError, match=place):
            getattr(estimator, method)(suiting("GaussianMixture"), sample_weight=weights(40))


@pytest.mark.parametrize(("weight", "scale", "what"), [(1e100, 1e120, "overflow"), (1e-100, 1e-120, "underflow")])
def test_weights_whose_squares_with_the_data_are_no_numbers_are_refused(weight: float, scale: float, what: str) -> None:
    X = suiting("GaussianMixture") * [1.0, scale]
    place = f"column 'x1' .* sums of their squares {what}"
    refused(built("GaussianMixture", reg_covar="auto"), place, X, sample_weight=np.full(40, weight))


def test_weights_in_a_file_are_checked_like_others(tmp_path: Path) -> None:
    X = suiting("GaussianMixture")
    for weights, place in [
        (np.where(np.arange(40) == 2, -1.0, 1.0), "row 2 has -1"),
        (np.where(np.arange(40) == 2, np.nan, 1.0), "row 2 has nan"),
        (np.zeros(40), "all weights are zero"),
        (np.full(40, 1e300), "sums with them overflow"),
        (np.full(40, 1e120), "sums of their squares overflow"),
    ]:
        em.write_table(tmp_path / "data.parquet", {"a": X[:, 0] * 1e100, "w": weights})
        with pytest.raises(DataError, match=place):
            em.ParquetSource(tmp_path / "data.parquet", weights="w")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("label", "place"), [(2, "row 4 has 2"), (-2, "row 4 has -2"), (0.5, "row 4 has 0.5"), (np.nan, "row 4 has nan")]
)
def test_bad_labels_are_refused_with_their_row(name: str, label: float, place: str) -> None:
    labels = np.where(np.arange(40) == 4, label, -1.0)
    refused(built(name), place, suiting(name), labels=labels)


def test_labels_and_an_order_contradict_each_other() -> None:
    labels = np.where(np.arange(40) < 4, np.arange(40) % 2, -1)
    refused(built("GaussianMixture", order="mean"), "order=None", suiting("GaussianMixture"), labels=labels)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in COUNTS])
def test_sparse_input_is_refused_where_zeros_are_no_counts(name: str) -> None:
    with pytest.raises(DataError, match="sparse input; convert it"):
        built(name).fit(sparse.csr_array(suiting(name)))


def test_the_general_fit_refuses_with_row_and_column() -> None:
    model = em.LatentVariableModel(Categorical(2), DiagonalGaussian())
    good = suiting("GaussianMixture")
    for X, columns, place in [
        (with_entry("GaussianMixture", np.inf), {}, "row 3, column 'x1'"),
        (np.empty((0, 2)), {}, "at least one row"),
        (good.astype(str), {}, "expected numbers"),
        (good, {"sample_weight": -np.ones(40)}, "row 0 has -1"),
        (good, {"sample_weight": np.zeros(40)}, "all weights are zero"),
        (good, {"labels": np.full(40, 2)}, "row 0"),
        (good, {"lengths": [40, 1]}, "41"),
    ]:
        with pytest.raises(DataError, match=place):
            em.fit(model, X, random_state=0, **columns)


# -- categories ----------------------------------------------------------------------------------


def answers() -> pd.DataFrame:
    return pd.DataFrame({"a": ["yes", "no"] * 20, "b": [1, 2, 2, 1] * 10})


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_category_never_seen_is_refused_with_row_column_and_the_known_ones(method: str) -> None:
    estimator = LatentClassAnalysis(2, random_state=0).fit(answers())
    new = answers().iloc[:4].copy()
    new.loc[2, "a"] = "perhaps"
    before = estimator.predict_proba(answers())
    with pytest.raises(DataError, match=r"row 2, column 'a' holds the category 'perhaps'.*'no', 'yes'"):
        getattr(estimator, method)(new)
    assert np.array_equal(estimator.predict_proba(answers()), before)


def test_a_code_beyond_the_categories_is_refused_with_row_and_column() -> None:
    model = MixtureModel(CategoricalColumns((2, 3)), 2, random_state=0)
    codes = np.random.default_rng(0).integers(0, [2, 3], (30, 2))
    wrong = codes.copy()
    wrong[5, 0] = 2
    with pytest.raises(DataError, match=r"row 5, column .?x?0"):
        model.fit(wrong)
    with pytest.raises(DataError, match=r"row 5, column .?x?0"):
        model.fit(codes).predict(wrong)


def test_a_family_that_needs_its_categories_says_so() -> None:
    with pytest.raises(ParameterError, match="'categorical' needs n_categories"):
        MixtureModel("categorical", 2).fit([[0.0], [1.0]])


# -- new data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("method", METHODS[1:])
def test_bad_new_data_are_refused_with_their_place(name: str, method: str) -> None:
    estimator = fitted(name, suiting(name))
    call = getattr(estimator, method)
    bad = [(np.empty((0, 2)), "0 sample"), (np.ones((3, 5)), "features")]
    bad.append((with_entry(name, np.inf), "row 3, column .?x?1"))
    if name in COUNTS:
        bad.append((with_entry(name, 0.5), "row 3, column .?x?1.? holds 0.5"))
    if name in POSITIVE:
        bad.append((with_entry(name, -2.0), "row 3, column .?x?1.? holds -2"))
    for X, place in bad:
        with unchanged(estimator, X), pytest.raises(DataError, match=place):
            call(X)


def test_a_row_that_no_component_can_produce_is_refused_with_its_number() -> None:
    codes = suiting("BernoulliMixture") * [1.0, 0.0]
    estimator, new = MixtureModel(CategoricalColumns((2, 2)), 2, random_state=0).fit(codes), codes.copy()
    new[3, 1] = 1.0
    for method in METHODS[1:]:
        with pytest.raises(DataError, match=r"row 3 .*no state can have produced it"):
            getattr(estimator, method)(new)


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"weights_init": [0.5, 0.6]}, "normalized"),
        ({"weights_init": [1.5, -0.5]}, "component"),
        ({"weights_init": [1.0]}, "shape"),
        ({"init_params": np.ones((40, 3))}, "shape"),
        ({"init_params": np.full((40, 2), np.nan)}, "finite"),
        ({"init_params": np.ones((39, 2))}, "39"),
        ({"fixed": ("nothing",)}, "'nothing'"),
        ({"tied": ("nothing",)}, "'nothing'"),
        ({"fixed": ("weights",)}, "weights_init"),
        ({"fixed": {"means": [True]}}, "means"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_bad_options_are_refused_by_name(name: str, options: dict[str, Any], place: str) -> None:
    estimator = built(name, **options)
    refused(estimator, place, suiting(name))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("WeibullMixture", {"shapes": np.full((2, 2), 1e-5)}),
        ("GammaMixture", {"shapes": np.full((2, 2), 1e12)}),
        ("LogNormalMixture", {"variances": np.full((2, 2), 1e-20)}),
        ("MixtureModel", {"covariances": np.tile(1e-20 * np.eye(2), (2, 1, 1))}),
        ("StudentTMixture", {"scales": np.tile(1e-20 * np.eye(2), (2, 1, 1))}),
        ("NegativeBinomialMixture", {"sizes": np.full((2, 2), 1e-9)}),
    ],
)
def test_starting_values_that_the_family_does_not_allow_are_refused_by_name(name: str, values: dict[str, Any]) -> None:
    refused(built(name, parameters_init=values), f"starting values of {next(iter(values))}", suiting(name))


@pytest.mark.parametrize("name", NUMERIC)
def test_a_prior_that_is_no_data_is_refused_with_its_place(name: str) -> None:
    for rows, weights, place in [
        (np.ones((1, 3)), None, "prior: its rows have 3 columns, the data have 2"),
        (with_entry(name, np.inf)[2:5], None, "prior: row 1"),
        (suiting(name)[:2], [1.0, -1.0], "prior: .*row 1 has -1"),
        (np.empty((0, 2)), None, "prior: .*0 x 2"),
    ]:
        refused(built(name, prior=Prior(rows=rows, weights=weights)), place, suiting(name))
    if name in COUNTS + POSITIVE:
        impossible = built(name, prior=Prior(rows=np.full((1, 2), -2.0)))
        refused(impossible, "prior: .*row 0, column .?x?0.? holds -2", suiting(name))


def test_a_prior_of_impossible_strength_is_refused() -> None:
    for concentration in (-1.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="concentration"):
            Prior(concentration=concentration)
    with pytest.raises(ParameterError, match="no rows"):
        Prior(weights=np.ones(2))


def test_a_start_that_the_prior_excludes_is_refused() -> None:
    start = {"weights_init": [0.0, 1.0], "prior": Prior(concentration=1.0)}
    refused(built("GaussianMixture", **start), "prior holds them for impossible", suiting("GaussianMixture"))
