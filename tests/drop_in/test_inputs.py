"""Tables of every library mean the same to every estimator, and their columns keep their names."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latentem
from latentem import (
    BernoulliMixture,
    DataError,
    FindingWarning,
    GaussianMixture,
    LatentClassAnalysis,
    MixtureModel,
    ParameterError,
    PoissonMixture,
)

CONTAINERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars, lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "Arrow table": pa.Table.from_pandas,
    "Arrow batch": lambda frame: pa.RecordBatch.from_pandas(frame),
    "latentem": lambda frame: latentem.read_table(frame, categories="text"),
}


@pytest.fixture(params=sorted(CONTAINERS))
def container(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    return CONTAINERS[request.param]


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    values = rng.normal(size=(80, 2))
    values[:30] += 4.0
    table = pd.DataFrame(values, columns=["width", "height"])
    return table.mask(rng.random(table.shape) < 0.05)


def test_every_container_gives_the_bits_of_the_array_and_keeps_its_names(container: Any, frame: pd.DataFrame) -> None:
    expected = GaussianMixture(2, random_state=0).fit(frame.to_numpy())
    fitted = GaussianMixture(2, random_state=0).fit(container(frame))
    assert np.array_equal(fitted.means_, expected.means_)
    assert list(fitted.feature_names_in_) == ["width", "height"] and fitted.n_features_in_ == 2
    assert np.array_equal(fitted.predict_proba(container(frame)), expected.predict_proba(frame.to_numpy()))
    assert fitted.score(container(frame)) == expected.score(frame.to_numpy())


def test_categories_are_the_same_from_every_container(container: Any, rng: np.random.Generator) -> None:
    votes = pd.DataFrame(
        {name: np.where(rng.random(60) < share, "yes", "no") for name, share in (("a", 0.7), ("b", 0.4), ("c", 0.5))}
    ).astype(object)
    votes.iloc[3, 1] = None
    expected = LatentClassAnalysis(2, random_state=0).fit(votes)
    fitted = LatentClassAnalysis(2, random_state=0).fit(container(votes))
    assert [known.tolist() for known in fitted.categories_] == [["no", "yes"]] * 3
    assert fitted.result_.log_likelihood == expected.result_.log_likelihood
    assert np.array_equal(fitted.predict(container(votes)), expected.predict(votes))


@pytest.mark.parametrize("order", [["height", "width"], ["width"]])
def test_other_columns_than_at_the_fit_are_refused(container: Any, frame: pd.DataFrame, order: list[str]) -> None:
    fitted = GaussianMixture(2, random_state=0).fit(container(frame))
    with pytest.raises(DataError, match="feature names should match"):
        fitted.predict(container(frame[order]))


@pytest.mark.parametrize("name", ["pandas", "polars", "Arrow table", "Arrow batch"])
def test_text_among_numbers_is_named(name: str) -> None:
    table = CONTAINERS[name](pd.DataFrame({"a": [1.0, 2.0], "b": ["1", "x"]}))
    with pytest.raises(DataError, match=r"row 1, column 'b' holds .*'x'"):
        GaussianMixture(2).fit(table)


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_an_entry_outside_the_support_is_named_by_its_column(container: Any, value: float) -> None:
    good = pd.DataFrame({"lines": [1.0, 2.0, 5.0], "bugs": [0.0, 3.0, 9.0]})
    bad = good.replace({"bugs": {3.0: value}})
    with pytest.raises(DataError, match=f"row 1, column 'bugs' holds {value:g}"):
        PoissonMixture(2).fit(container(bad))
    with pytest.raises(DataError, match=f"row 1, column 'bugs' holds {value:g}"):
        PoissonMixture(2, random_state=0).fit(container(good)).predict(container(bad))


def test_a_finding_about_a_column_says_its_name() -> None:
    frame = pd.DataFrame({"lines": [5.0, 6.0, 7.0, 8.0], "bugs": [2.0, 2.0, 2.0, 2.0]})
    families = latentem.families
    product = families.Product(((families.Exponential(), (0,)), (families.Gamma(), (1,))))
    for family in (families.Gamma(), product):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FindingWarning)
            fitted = MixtureModel(family, 1).fit(frame)
        assert any("column 'bugs'" in finding.message for finding in fitted.result_.findings)
        assert not any("column 'lines'" in finding.message for finding in fitted.result_.findings)


def test_single_precision_stays_single(container: Any, frame: pd.DataFrame) -> None:
    if container is CONTAINERS["latentem"]:
        pytest.skip("our own tables are in double precision")
    fitted = GaussianMixture(2, random_state=0).fit(container(frame.fillna(0).astype(np.float32)))
    assert fitted.means_.dtype == np.float32


def test_arrow_tables_need_no_pandas() -> None:
    code = """
import sys
class Without:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
import pyarrow as pa, latentem
for make in (lambda t: t, latentem.read_table):
    table = make(pa.table({"a": [1.0, 2.0, None, 9.0], "b": [1, 2, 3, 7]}))
    fitted = latentem.GaussianMixture(1).fit(table)
    assert list(fitted.feature_names_in_) == ["a", "b"] and len(fitted.predict(table)) == 4
votes = pa.table({"a": ["x", "y", "x", None]})
assert latentem.LatentClassAnalysis(1).fit(votes).categories_[0].tolist() == ["x", "y"]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# -- sources -------------------------------------------------------------------------------------


@pytest.fixture
def parquet(frame: pd.DataFrame, tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    """Over 400,000 numbers (of smaller tables equal rows are counted together), weights, a few known components."""
    rng = np.random.default_rng(3)
    table = pd.concat([frame] * 2600, ignore_index=True).fillna(0.0) + rng.normal(size=(208_000, 2))
    table["weight"] = 1.0 + np.arange(len(table)) % 3
    table["known"] = np.where(np.arange(len(table)) % 1000 == 0, (table["width"] > 2).astype(int), -1)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(table), path, row_group_size=30_000)
    return table, path


def test_a_source_is_fitted_and_predicted_as_the_table_that_it_reads(parquet: Any) -> None:
    table, path = parquet
    source = latentem.ParquetSource(path, weights="weight", labels="known")
    rows, options = table[["width", "height"]], {"random_state": 0, "tol": 1e-9}
    held = GaussianMixture(2, **options).fit(rows, sample_weight=table["weight"], labels=table["known"])
    read = GaussianMixture(2, **options).fit(source)
    assert np.allclose(read.means_, held.means_, rtol=1e-10)
    assert list(read.feature_names_in_) == ["width", "height"]
    assert np.array_equal(read.predict(source), read.predict(rows))
    assert np.array_equal(read.score_samples(source), read.score_samples(rows))
    assert read.score(source) == pytest.approx(read.score(rows, sample_weight=table["weight"]), rel=1e-12)
    assert read.bic(source) == pytest.approx(held.bic(rows, sample_weight=table["weight"]), rel=1e-10)


def test_what_a_source_cannot_give_is_refused() -> None:
    source = latentem.ArraySource(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]), names=("a", "b"))
    with pytest.raises(ParameterError, match="are its own"):
        PoissonMixture(1).fit(source, sample_weight=[1, 1, 2])
    with pytest.raises(DataError, match="codes"):
        LatentClassAnalysis(1).fit(source)
    with pytest.raises(ParameterError, match="binarize"):
        BernoulliMixture(1, binarize=0.5).fit(source)
    known = latentem.ArraySource(source.values, labels=[0, 7, -1])
    with pytest.raises(DataError, match="row 1 has 7"):
        PoissonMixture(1).fit(known)
    fitted = PoissonMixture(1).fit(source)
    with pytest.raises(DataError, match="feature names should match"):
        fitted.predict(latentem.ArraySource(source.values, names=("b", "a")))


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pd.Series(pd.date_range("2020", periods=60)), "row 0, column 't' holds Timestamp"),
        (pd.Series([1.0, pd.NA] * 30, dtype=object), "column 't' holds objects"),
    ],
)
def test_a_column_that_is_no_numbers_is_named(column, told):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "t": column})
    with pytest.raises(DataError, match=told):
        GaussianMixture(2).fit(frame)
