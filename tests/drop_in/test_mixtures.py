"""Laws of the mixture estimators: what each option, each kind of input and each warning stands for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import latentem.estimators as estimators
from latentem.errors import DataError, ParameterError
from latentem.estimators import FindingWarning, GaussianMixture, LatentClassAnalysis, MixtureModel, PoissonMixture
from latentem.families.poisson import Poisson
from latentem.model import Prior

TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture
def table(rng: np.random.Generator) -> Any:
    values = rng.normal(size=(150, 2))
    values[:60] += [3.0, 2.0]
    return values


# -- inputs --------------------------------------------------------------------------------------


def test_every_container_gives_the_same_fit(table: Any) -> None:
    frame = pd.DataFrame(table, columns=["a", "b"])
    containers = [frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)]
    expected = GaussianMixture(2, random_state=0).fit(table)
    for container in containers:
        fitted = GaussianMixture(2, random_state=0).fit(container)
        assert np.array_equal(fitted.means_, expected.means_)
        assert list(fitted.feature_names_in_) == ["a", "b"]


def test_sparse_counts_are_dense_counts(rng: np.random.Generator) -> None:
    counts = rng.poisson(np.where(rng.random((9000, 1)) < 0.4, 0.3, 4.0), (9000, 50))
    dense = PoissonMixture(2, random_state=0).fit(counts)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        assert np.array_equal(PoissonMixture(2, random_state=0).fit(kind(counts)).rates_, dense.rates_)


def test_float32_in_float32_out_and_the_same_model(table: Any) -> None:
    single = GaussianMixture(2, random_state=0).fit(table.astype(np.float32))
    assert single.means_.dtype == single.predict_proba(table.astype(np.float32)).dtype == np.float32
    assert np.allclose(single.means_, GaussianMixture(2, random_state=0).fit(table).means_, atol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_clusters_far_apart_keep_their_variance(kind: str, rng: np.random.Generator) -> None:
    near = rng.normal(size=(200, 2))
    both = np.concatenate([near, near + 1e8])
    covariances = GaussianMixture(2, covariance_type=kind, random_state=0).fit(both).covariances_
    expected = np.cov(near.T, bias=True)
    expected = {"full": expected, "tied": expected, "diag": np.diag(expected)}.get(kind, np.trace(expected) / 2)
    assert np.allclose(covariances, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("scale", [(1e-9, 1e9), (1e-150, 1e-150), (1e140, 1e140)], ids=str)
def test_an_automatic_floor_makes_the_fit_free_of_scale(kind: str, scale: Any, table: Any) -> None:
    if kind == "spherical" and scale[0] != scale[1]:
        pytest.skip("one variance for all columns is not free of their scale")
    mixture = GaussianMixture(2, covariance_type=kind, reg_covar="auto", random_state=0)
    expected = mixture.fit(table).predict_proba(table)
    assert np.allclose(mixture.fit(table * np.array(scale)).predict_proba(table * np.array(scale)), expected, atol=1e-9)


def test_missing_entries_are_integrated_out(table: Any, rng: np.random.Generator) -> None:
    holes = np.where(rng.random(table.shape) < 0.1, np.nan, table)
    fitted = GaussianMixture(2, random_state=0).fit(holes)
    one, params = np.array([[1.0, np.nan]]), fitted.result_.parameters
    marginal = [
        np.exp(-0.5 * (1.0 - mean[0]) ** 2 / cov[0, 0]) / np.sqrt(2 * np.pi * cov[0, 0])
        for mean, cov in zip(params.emission.means, params.emission.covariances, strict=True)
    ]
    assert fitted.score_samples(one)[0] == pytest.approx(np.log(params.latent.weights @ marginal), rel=1e-12)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (np.array([[1.0, 2.0], [3.0, np.inf], [1.0, 0.0]]), "row 1, column 'x1'"),
        (np.array([[1.0, 2.0], [3.0, 1e200], [1.0, 0.0]]), "row 1, column 'x1'"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1, "x"]}), "row 1, column 'b' holds 'x'"),
        (np.array([[1.0, np.nan], [3.0, np.nan]]), "column 'x1' has no observed entry"),
        (np.array([[1.0, 2.0]]), "n_components = 2, n_samples = 1"),
    ],
)
def test_bad_tables_are_refused_with_their_place(data: Any, place: str) -> None:
    with pytest.raises(DataError, match=place):
        GaussianMixture(2).fit(data)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"sample_weight": [1.0, -1.0, 1.0]}, "row 1 has -1"),
        ({"sample_weight": [0.0, 0.0, 0.0]}, "all weights are zero"),
        ({"sample_weight": [1.0, np.nan, 1.0]}, "row 1"),
        ({"labels": [0, 2, -1]}, "row 1 has 2"),
        ({"labels": [0, 0.5, -1]}, "row 1 has 0.5"),
    ],
)
def test_bad_weights_and_labels_are_refused_with_their_row(arguments: Any, place: str) -> None:
    with pytest.raises(DataError, match=place):
        GaussianMixture(2).fit([[1.0], [2.0], [4.0]], **arguments)


@pytest.mark.parametrize(
    ("counts", "place"),
    [([[1, 2], [3, -1]], "row 1, column 'x1' holds -1"), ([[1, 2], [3, 0.5]], "row 1, column 'x1'")],
)
def test_what_is_no_count_is_refused_with_its_place(counts: Any, place: str) -> None:
    with pytest.raises(DataError, match=place):
        PoissonMixture(2).fit(counts)


# -- findings ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:component .*held by the floor")
@pytest.mark.parametrize(
    ("build", "n_components", "code"),
    [
        (lambda x: np.column_stack([x, np.ones(len(x))]), 2, "constant-column"),
        (lambda x: np.column_stack([x, x[:, 0]]), 2, "duplicated-column"),
        (lambda x: np.repeat(x[:2], 10, axis=0), 3, "few-distinct-rows"),
        (lambda x: x[:1], 1, "one-row"),
    ],
)
def test_odd_data_are_fitted_and_told(build: Any, n_components: int, code: str, table: Any) -> None:
    with pytest.warns(FindingWarning) as told:
        fitted = GaussianMixture(n_components, random_state=0).fit(build(table))
    message = next(finding.message for finding in fitted.result_.findings if finding.code == code)
    assert message in [str(warning.message) for warning in told]
    assert np.isfinite(fitted.score(build(table)))


def test_a_collapsed_component_is_told_with_its_row(table: Any) -> None:
    data = np.concatenate([table[:40], [[50.0, 50.0]], table[40:]])
    with pytest.warns(FindingWarning, match="its rows: 40"):
        GaussianMixture(2, random_state=0).fit(data)


def test_without_a_floor_a_collapse_is_an_error(table: Any) -> None:
    with pytest.raises(DataError, match="its rows: 150"):
        GaussianMixture(2, reg_covar=0, random_state=0).fit(np.concatenate([table, [[50.0, 50.0]]]))


def test_a_collapse_is_tried_again_on_request(table: Any) -> None:
    data = np.concatenate([table, [[9.0, 9.0]]])
    options: dict[str, Any] = {"n_components": 3, "init_params": "random_from_data", "max_iter": 500}
    for seed in range(20):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            GaussianMixture(random_state=seed, **options).fit(data)
        if any(issubclass(warning.category, FindingWarning) for warning in told):
            GaussianMixture(random_state=seed, restart_collapsed=20, **options).fit(data)
            return
    pytest.fail("no start collapsed: the test has lost its case")


def test_the_warning_is_the_status(table: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="did not converge; stopped at the iteration limit"):
        fitted = GaussianMixture(2, max_iter=1, random_state=0).fit(table)
    assert not fitted.converged_


# -- starts, labels, order -----------------------------------------------------------------------


def test_known_labels_number_the_components(table: Any) -> None:
    labels = np.full(150, -1)
    labels[:5], labels[-5:] = 1, 0
    for init in ("kmeans", "k-means++", "random_from_data"):
        fitted = GaussianMixture(2, init_params=init, random_state=0).fit(table, labels=labels)
        assert fitted.means_[1, 0] > fitted.means_[0, 0]


def test_all_labels_known_is_the_fit_of_each_class(table: Any) -> None:
    labels = (np.arange(150) < 60).astype(int)
    fitted = GaussianMixture(2, random_state=0).fit(table, labels=labels)
    assert np.allclose(fitted.means_, [table[60:].mean(axis=0), table[:60].mean(axis=0)])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("order", ["weight", "mean"])
def test_an_order_moves_components_and_nothing_else(kind: str, order: str, table: Any) -> None:
    plain = GaussianMixture(2, covariance_type=kind, random_state=0).fit(table)
    means = plain.means_[:, 0] if order == "mean" else -plain.weights_
    start = {"means_init": plain.means_[np.argsort(-means)]}
    against = GaussianMixture(2, covariance_type=kind, random_state=0, **start).fit(table)
    turned = GaussianMixture(2, covariance_type=kind, random_state=0, order=order, **start).fit(table)
    key = turned.means_[:, 0] if order == "mean" else -turned.weights_
    assert np.all(np.diff(key) > 0)
    assert np.array_equal(np.sort(turned.weights_), np.sort(against.weights_))
    assert np.allclose(turned.score_samples(table), against.score_samples(table), rtol=1e-13)
    assert np.allclose(turned.result_.expectation.statistics.latent.counts, 150 * turned.weights_, rtol=1e-2)


def test_given_precisions_are_the_start(table: Any) -> None:
    for kind in TYPES:
        start = GaussianMixture(2, covariance_type=kind, random_state=0).fit(table)
        given = {
            "weights_init": start.weights_,
            "means_init": start.means_,
            "precisions_init": start.precisions_,
        }
        again = GaussianMixture(2, covariance_type=kind, max_iter=0, **given).fit(table)
        assert np.allclose(again.covariances_, start.covariances_)
        assert np.allclose(again.precisions_cholesky_, start.precisions_cholesky_)


def test_a_warm_start_goes_on_where_the_last_fit_ended(table: Any) -> None:
    whole = GaussianMixture(2, tol=1e-9, random_state=0).fit(table)
    steps = GaussianMixture(2, tol=1e-9, max_iter=3, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(200):
            if steps.fit(table).converged_:
                break
    assert steps.converged_
    assert np.array_equal(steps.means_, whole.means_)


def test_a_warm_start_on_other_data_forgets_the_gains(table: Any) -> None:
    mixture = GaussianMixture(2, warm_start=True, max_iter=1, tol=1e3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        mixture.fit(table)
    with pytest.warns(ConvergenceWarning):
        mixture.fit(table[:100])


def test_a_warm_start_needs_the_same_model(table: Any) -> None:
    mixture = GaussianMixture(2, warm_start=True, random_state=0).fit(table)
    with pytest.raises(ParameterError, match="warm_start"):
        mixture.set_params(n_components=3).fit(table)


def test_attributes_are_the_model(table: Any) -> None:
    fitted = GaussianMixture(2, random_state=0).fit(table)
    bare = GaussianMixture(2)
    bare.weights_, bare.means_ = fitted.weights_, fitted.means_
    bare.precisions_cholesky_ = fitted.precisions_cholesky_
    assert np.allclose(bare.score_samples(table), fitted.score_samples(table), rtol=1e-12)
    fitted.means_ = fitted.means_[::-1]
    assert not np.allclose(bare.score_samples(table), fitted.score_samples(table))


# -- options -------------------------------------------------------------------------------------

CHANGES: dict[str, Any] = {
    "n_components": 3,
    "covariance_type": "diag",
    "tol": 1e-12,
    "reg_covar": 0.9,
    "max_iter": 1,
    "n_init": 5,
    "init_params": "random",
    "weights_init": [0.01, 0.99],
    "means_init": [[9.0, 9.0], [0.0, 0.0]],
    "precisions_init": [np.eye(2) * 9, np.eye(2) / 9],
    "random_state": 5,
    "prior": Prior(concentration=20.0),
    "tied": ("means",),
    "order": "weight",
    "acceleration": "squarem",
    "certify": True,
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_every_option_changes_the_fit(name: str, rng: np.random.Generator) -> None:
    data = rng.normal(size=(120, 2)) * [1.0, 2.0]
    base = GaussianMixture(2, random_state=1, init_params="random_from_data", max_iter=500)
    other = clone(base).set_params(**{name: CHANGES[name]})
    one, two = base.fit(data), other.fit(data)
    assert one.n_iter_ != two.n_iter_ or not np.array_equal(one.predict_proba(data), two.predict_proba(data))


def test_no_option_is_left_out_above() -> None:
    elsewhere = {"fixed", "restart_collapsed", "executor", "warm_start", "verbose", "verbose_interval"}
    assert set(GaussianMixture().get_params()) == set(CHANGES) | elsewhere


def test_fixed_parameters_stay(table: Any) -> None:
    fitted = GaussianMixture(2, fixed=("means",), means_init=[[0.0, 0.0], [3.0, 2.0]], random_state=0).fit(table)
    assert np.array_equal(fitted.means_, [[0.0, 0.0], [3.0, 2.0]])
    assert fitted._n_parameters() == 1 + 6
    weights = {"fixed": {"weights": [True, False, False]}, "weights_init": [0.2, 0.4, 0.4]}
    held = GaussianMixture(3, random_state=0, max_iter=500, **weights).fit(table)
    assert held.weights_[0] == pytest.approx(0.2, abs=1e-15)
    assert held._n_parameters() == 1 + 6 + 9


def test_fixed_weights_need_their_values(table: Any) -> None:
    with pytest.raises(ParameterError, match="weights_init"):
        GaussianMixture(2, fixed=("weights",)).fit(table)


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_executors_give_the_same_bits(executor: str, rng: np.random.Generator) -> None:
    data = rng.normal(size=(6000, 2)) + 4 * rng.integers(0, 2, (6000, 1))
    expected = GaussianMixture(2, random_state=0).fit(data).means_
    assert np.array_equal(GaussianMixture(2, random_state=0, executor=executor).fit(data).means_, expected)


def test_an_unknown_executor_is_refused(table: Any) -> None:
    with pytest.raises(ValueError, match="executor"):
        GaussianMixture(2, executor="cluster").fit(table)


def test_verbose_prints_starts_and_passes(table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    GaussianMixture(2, verbose=1, verbose_interval=1, n_init=2, random_state=0).fit(table)
    brief = capsys.readouterr().out
    GaussianMixture(2, verbose=2, verbose_interval=3, random_state=0).fit(table)
    full = capsys.readouterr().out
    assert "Start 0" in brief
    assert "Start 1" in brief
    assert "pass 1\n" in brief
    assert "mean log-likelihood" in full
    assert "pass 3:" in full
    assert "pass 2:" not in full


# -- the other mixtures --------------------------------------------------------------------------


def test_a_family_by_name_is_the_family(rng: np.random.Generator) -> None:
    counts = rng.poisson(3.0, (80, 2))
    named, given = MixtureModel("poisson", 2, random_state=0), MixtureModel(Poisson(), 2, random_state=0)
    assert np.array_equal(named.fit(counts).rates_, given.fit(counts).rates_)
    assert np.array_equal(named.rates_, PoissonMixture(2, random_state=0).fit(counts).rates_)
    assert clone(given).get_params()["family"] == Poisson()


def test_a_list_of_families_is_one_component_each(rng: np.random.Generator) -> None:
    counts = np.concatenate([rng.poisson(9.0, (150, 1)), rng.geometric(0.5, (150, 1)) - 1])
    model = MixtureModel(["poisson", "geometric"], n_init=10, random_state=0).fit(counts)
    assert model.parameters_.arrays()["parts.0.rates"] == pytest.approx(9.0, rel=0.1)
    assert model.predict_proba(counts).shape == (300, 2)
    with pytest.raises(ParameterError, match="leave n_components out"):
        MixtureModel(["poisson", "geometric"], 3).fit(counts)
    with pytest.raises(ParameterError, match="order=None"):
        MixtureModel(["poisson", "geometric"], order="weight", random_state=0).fit(counts)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ParameterError, match="no family 'poison'"):
        MixtureModel("poison").fit([[1.0], [2.0]])


def test_latent_classes_take_categories_of_any_kind(rng: np.random.Generator) -> None:
    z = rng.random(400) < 0.5
    answers = pd.DataFrame(
        {
            "text": np.where(rng.random(400) < np.where(z, 0.9, 0.1), "yes", "no"),
            "number": np.where(rng.random(400) < np.where(z, 0.8, 0.2), 10, 20),
            "truth": rng.random(400) < np.where(z, 0.85, 0.15),
            "some": rng.choice(["u", "v", None], 400),
        }
    )
    model = LatentClassAnalysis(2, random_state=0, tol=1e-5).fit(answers)
    assert [list(known) for known in model.categories_] == [["no", "yes"], [10, 20], [False, True], ["u", "v"]]
    assert np.mean(model.predict(answers) == z) % 1.0 in (pytest.approx(0.9, abs=0.08), pytest.approx(0.1, abs=0.08))
    drawn, _ = model.sample(10)
    assert set(drawn[:, 0]) <= {"no", "yes"}
    with pytest.raises(DataError, match="row 2, column 'text' holds the category 'maybe'"):
        model.predict(answers.assign(text=["yes", "no", "maybe"] + ["no"] * 397))


def test_binarize_is_a_threshold(rng: np.random.Generator) -> None:
    values = rng.normal(size=(80, 3))
    options: dict[str, Any] = {"acceleration": "squarem", "random_state": 0}
    raw = estimators.BernoulliMixture(2, binarize=0.2, **options).fit(values)
    done = estimators.BernoulliMixture(2, **options).fit((values > 0.2).astype(float))
    assert np.array_equal(raw.probabilities_, done.probabilities_)


def test_degrees_of_freedom_are_estimated_or_fixed(rng: np.random.Generator) -> None:
    values = rng.standard_t(3, size=(400, 1))
    free = estimators.StudentTMixture(random_state=0, acceleration="squarem").fit(values)
    fixed = estimators.StudentTMixture(dof=3.0, random_state=0).fit(values)
    assert 2 < free.dof_[0] < 6
    assert free._n_parameters() == fixed._n_parameters() + 1
    assert free.score(values) >= fixed.score(values)


@pytest.mark.parametrize("name", [name for name in estimators.__all__ if name.endswith(("Mixture", "ClassAnalysis"))])
def test_every_named_mixture_draws_what_it_fits(name: str, rng: np.random.Generator) -> None:
    kind = getattr(estimators, name)
    if name in ("FamilyMixture", "LatentClassAnalysis"):
        pytest.skip("no numbers to draw from")
    data = {
        "BernoulliMixture": rng.integers(0, 2, (90, 3)),
        "BetaMixture": rng.beta(2, 3, (90, 2)),
        "VonMisesFisherMixture": _unit(rng.normal(size=(90, 3)) + np.array([2.0, 0.0, 0.0])),
        "GaussianMixture": rng.normal(size=(90, 2)),
        "StudentTMixture": rng.normal(size=(90, 2)),
        "NegativeBinomialMixture": rng.negative_binomial(4, 0.5, (90, 2)),
    }.get(name, rng.poisson(4, (90, 2)) + 1)
    fitted = kind(1, random_state=0, max_iter=50, tol=1.0).fit(data)
    drawn, components = fitted.sample(4000)
    assert drawn.shape == (4000, data.shape[1])
    assert components.shape == (4000,)
    if name != "MultinomialMixture":
        assert np.allclose(drawn.mean(axis=0), data.mean(axis=0), atol=0.35 * max(1.0, float(data.mean())))
    assert np.all(np.isfinite(fitted.score_samples(drawn)))


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
