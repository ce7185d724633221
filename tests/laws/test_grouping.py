"""A column of keys says which rows belong together, and is none of the data: whatever the data come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from latentem import DataError, LatentVariableModel, MarkovChain, ParameterError, fit
from latentem.families import FullGaussian
from latentem.grouping import gathered, split_off
from latentem.io.tables import Table
from latentem.sources import as_source

N = 60
KEYS = np.random.default_rng(0).permutation(np.repeat([7, 3, 5], N // 3))
X = np.random.default_rng(1).normal(size=(N, 2)) + KEYS[:, None]
COLUMNS = {"a": X[:, 0], "id": KEYS, "b": X[:, 1]}
TEXT = np.array(["c", "a", "b"])[np.searchsorted([3, 5, 7], KEYS)]
WAYS: dict[str, Any] = {
    "pandas": pd.DataFrame(COLUMNS),
    "pandas with text keys": pd.DataFrame({**COLUMNS, "id": TEXT}),
    "polars": pl.DataFrame(COLUMNS),
    "mapping": COLUMNS,
    "Table": Table(("a", "id", "b"), np.column_stack([X[:, 0], KEYS, X[:, 1]])),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_column_that_is_named_is_none_of_the_values(way):
    source, expected = as_source(WAYS[way], groups="id"), as_source(X, groups=KEYS)
    assert source.names == ("a", "b")
    np.testing.assert_array_equal(source.values, expected.values)
    np.testing.assert_array_equal(source.offsets, expected.offsets)
    np.testing.assert_array_equal(source.rows, expected.rows)


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_is_that_of_keys_beside_the_values(way):
    model = LatentVariableModel(MarkovChain(2), FullGaussian())
    named, beside = (
        fit(model, data, groups=groups, random_state=0, max_iter=4)
        for data, groups in ((WAYS[way], "id"), (X, KEYS))
    )
    assert named.parameters.flatten().tobytes() == beside.parameters.flatten().tobytes()


def test_rows_are_put_together_in_the_order_of_first_appearance():
    order, lengths = gathered(KEYS, N)
    assert list(lengths) == [N // 3] * 3
    together = KEYS[order].reshape(3, -1)
    assert np.all(together == together[:, :1])
    assert list(together[:, 0]) == list(dict.fromkeys(KEYS.tolist()))
    assert all(np.all(np.diff(part) > 0) for part in np.split(order, 3))


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (KEYS[:5], "one entry for each of the 60 rows"),
        ([None, *KEYS[1:]], "row 0 belongs to no group"),
        (np.where(np.arange(N) == 4, np.nan, KEYS), "row 4 belongs to no group"),
        (["a", *KEYS[1:].tolist()], None),  # NumPy makes them all text
        (np.array(["a", *KEYS[1:].tolist()], dtype=object), "row 1 has 3|row 1 has 5|row 1 has 7"),
    ],
)
def test_keys_that_are_none_are_told(groups, told):
    if told is None:
        assert len(as_source(X, groups=groups).offsets) == 5
        return
    with pytest.raises(DataError, match=told):
        as_source(X, groups=groups)


def test_a_column_that_is_not_there_or_cannot_be_is_told():
    with pytest.raises(DataError, match="an array without names"):
        as_source(X, groups="id")
    with pytest.raises(DataError, match="'who'"):
        split_off(COLUMNS, "who")
    with pytest.raises(DataError, match="column 'b' holds text"):
        as_source(pd.DataFrame({**COLUMNS, "b": TEXT}), groups="id")
    with pytest.raises(ParameterError, match="cannot be a covariate too"):
        as_source(pd.DataFrame(COLUMNS), groups="id", covariates=["id"])
