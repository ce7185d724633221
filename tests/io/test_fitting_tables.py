"""`fit` takes what `read_table` reads, and names its columns."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import latentem
from latentem.datasets import load_faithful

MODEL = latentem.LatentVariableModel(latentem.Categorical(2), latentem.families.Gamma())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables")
    for name in ("faithful.csv", "faithful.tsv", "faithful.parquet"):
        latentem.write_table(path / name, load_faithful())
    return path


def tables(folder):
    table = load_faithful()
    frame = pd.DataFrame(table.values, columns=table.names)
    yield from (folder / "faithful.csv", str(folder / "faithful.tsv"), folder / "faithful.parquet")
    yield from (table, frame, pl.from_pandas(frame), pl.from_pandas(frame).lazy(), pa.Table.from_pandas(frame))


def test_files_frames_and_tables_give_the_bits_of_the_array(folder):
    expected = latentem.fit(MODEL, load_faithful().values, random_state=0)
    for data in tables(folder):
        found = latentem.fit(MODEL, data, random_state=0)
        assert found.parameters.flatten().tobytes() == expected.parameters.flatten().tobytes()


def test_errors_name_the_columns(folder):
    for data in tables(folder):
        shifted = latentem.read_table(data)
        shifted.values[7, 1] = -1.0
        with pytest.raises(latentem.DataError, match="row 7, column 'waiting' holds -1"):
            latentem.fit(MODEL, shifted)


def test_weights_go_with_a_table(folder):
    table = load_faithful()
    twice = latentem.fit(MODEL, np.repeat(table.values, 2, axis=0), random_state=0)
    weighted = latentem.fit(MODEL, table, sample_weight=np.full(len(table), 2.0), random_state=0)
    assert weighted.log_likelihood == pytest.approx(twice.log_likelihood, rel=1e-9)
