"""Tables keep every number and every name, and name the place of what is no number."""

import sys
from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from latentem.errors import DataError
from latentem.io import Table, read_table, write_table

NAMES = ("a", "b")
VALUES = np.array([[1.0, 2.5], [np.nan, -3e-300], [7.0, 1 / 3]])

FRAMES = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "polars": lambda columns: pl.DataFrame(columns),
    "polars lazy": lambda columns: pl.DataFrame(columns).lazy(),
    "pyarrow": lambda columns: pa.table(columns),
}


@pytest.fixture(params=["csv", "tsv", "parquet", *FRAMES])
def carried(request, tmp_path):
    """A function from columns to something that `read_table` reads: the same columns in every form."""
    if request.param in FRAMES:
        return FRAMES[request.param]

    def write(columns):
        path = tmp_path / f"table.{request.param}"
        table = pa.table(columns)
        if request.param == "parquet":
            parquet.write_table(table, path)
        else:
            csv.write_csv(table, path, csv.WriteOptions(delimiter="\t" if request.param == "tsv" else ","))
        return path

    return write


def columns_of(values, names=NAMES):
    return {name: values[:, j].tolist() for j, name in enumerate(names)}


def test_every_form_gives_the_same_names_and_bits(carried):
    columns = {name: [None if np.isnan(v) else v for v in column] for name, column in columns_of(VALUES).items()}
    table = read_table(carried(columns))
    assert table.names == NAMES
    np.testing.assert_array_equal(table.values, VALUES)
    assert table.values.dtype == np.float64 and table.values.flags.c_contiguous


def test_integers_and_truth_values_become_numbers(carried):
    table = read_table(carried({"n": [1, 2**53, -5], "t": [True, False, True]}))
    np.testing.assert_array_equal(table.values, [[1, 1], [2**53, 0], [-5, 1]])


def test_integers_with_nulls_become_nan(carried):
    np.testing.assert_array_equal(read_table(carried({"n": [1, None, 3], "b": [0, 0, 0]})).column("n"), [1, np.nan, 3])


def test_integers_that_float64_cannot_hold_are_refused(carried):
    with pytest.raises(DataError, match=r"column 'id'.*float64"):
        read_table(carried({"id": [1, 2**53 + 1], "b": [1, 2]}))


def test_text_among_numbers_names_row_column_and_text(carried):
    with pytest.raises(DataError, match=r"row 2, column 'b' holds the text 'oops'"):
        read_table(carried({"a": [1, 2, 3, 4], "b": ["1.5", None, "oops", "worse"]}))


def test_infinite_values_are_kept_for_the_source_to_name(carried):
    assert np.isposinf(read_table(carried({"a": [1.0, float("inf")], "b": [1.0, 2.0]})).values[1, 0])


def test_chosen_columns_come_in_the_order_chosen_and_the_rest_may_be_text(carried):
    data = carried({"a": [1, 2], "s": ["x", "y"], "b": [3, 4]})
    table = read_table(data, columns=["b", "a"])
    assert table.names == ("b", "a")
    np.testing.assert_array_equal(table.values, [[3, 1], [4, 2]])
    with pytest.raises(DataError, match=r"no column 'c'; the table has 'a', 's', 'b'"):
        read_table(data, columns=["c"])


def test_categories_are_coded_by_their_sorted_levels_and_remembered(carried):
    table = read_table(carried({"s": ["v", "u", None, "v"], "n": [1, 2, 3, 4]}), categories="text")
    np.testing.assert_array_equal(table.values, [[1, 1], [0, 2], [np.nan, 3], [1, 4]])
    assert table.levels == {"s": ("u", "v")}


def test_remembered_levels_code_other_data_alike_and_refuse_the_unseen(carried):
    levels = {"s": ("a", "u", "v")}
    table = read_table(carried({"s": ["v", "u"]}), levels=levels)
    np.testing.assert_array_equal(table.column("s"), [2, 1])
    with pytest.raises(DataError, match=r"row 1, column 's' holds the category 'w', which was never seen; known are"):
        read_table(carried({"s": ["v", "w"]}), levels=levels)


def test_whole_numbers_may_be_categories_and_sort_by_size(carried):
    table = read_table(carried({"n": [10, 9, None, 10]}), categories=["n"])
    np.testing.assert_array_equal(table.column("n"), [1, 0, np.nan, 1])
    assert table.levels["n"] == ("9", "10")


def test_a_pandas_column_of_objects_is_numbers_or_an_error_with_its_place():
    numbers = read_table(pd.DataFrame({"o": [1, None, 2.5]}, dtype=object))
    np.testing.assert_array_equal(numbers.values, [[1], [np.nan], [2.5]])
    with pytest.raises(DataError, match=r"row 1, column 'o' holds the text 'x'"):
        read_table(pd.DataFrame({"o": [1.0, "x", "y"]}, dtype=object))
    with pytest.raises(DataError, match=r"row 0, column 'o' holds"):
        read_table(pd.DataFrame({"o": [{"a": 1}, "x"]}, dtype=object))


def test_dates_are_no_numbers(carried):
    data = carried({"when": [datetime(2020, 1, 1), datetime(2021, 1, 1)], "b": [1, 2]})
    with pytest.raises(DataError, match=r"column 'when' holds .*not numbers"):
        read_table(data)


def test_numpy_arrays_of_any_kind_of_number():
    np.testing.assert_array_equal(read_table(np.float32([[1, 2]])).values, [[1, 2]])
    objects = np.array([[1, 2.5], [None, 3]], dtype=object)
    np.testing.assert_array_equal(read_table(objects).values, [[1, 2.5], [np.nan, 3]])
    masked = np.ma.masked_array([[1, 2]], mask=[[False, True]])
    np.testing.assert_array_equal(read_table(masked).values, [[1, np.nan]])
    assert read_table(VALUES).names == ("x0", "x1")
    assert read_table(VALUES, columns=["x1"]).names == ("x1",)


def test_numpy_text_and_complex_numbers_are_refused_with_their_place():
    with pytest.raises(DataError, match=r"row 1, column 'x0' holds the text 'b'"):
        read_table(np.array([["1"], ["b"]]))
    with pytest.raises(DataError, match=r"row 0, column 'x0'"):
        read_table(np.array([[1j]]))
    with pytest.raises(DataError, match=r"2 dimensions"):
        read_table(np.zeros(3))


@pytest.mark.parametrize("nonsense", [3, None, object(), {"a": [1]}, [[1, 2]]])
def test_other_objects_are_refused_with_the_list_of_what_is_read(nonsense):
    with pytest.raises(DataError, match=r"expected the path"):
        read_table(nonsense)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty"),
        ("cut.csv", b"a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("binary.csv", b"a,b\n\x00\x01,2\n", "binary data"),
        ("parquet.csv", b"PAR1....", "is a Parquet file"),
        ("text.parquet", b"a,b\n1,2\n", "is cut off, damaged or not what its name says"),
        ("empty.parquet", b"", "is cut off, damaged or not what its name says"),
        ("twice.csv", b"a,a\n1,2\n", "two columns are named 'a'"),
        ("numbers.csv", b"1,2\n3,4\n", "holds numbers .*--no-header"),
        ("semicolons.csv", b"a;b\n1;2\n", "seems to be separated by ';'"),
        ("other.xlsx", b"", r"\*\.csv, \*\.tsv, \*\.parquet"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_one_clear_error(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_clear_errors(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path / "folder.csv")


def test_a_parquet_file_cut_at_any_length_is_a_data_error(tmp_path):
    write_table(tmp_path / "whole.parquet", {"a": np.arange(50.0)})
    content = (tmp_path / "whole.parquet").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "cut.parquet").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut\.parquet"):
            read_table(tmp_path / "cut.parquet")


def test_without_a_header_the_first_line_is_data(tmp_path):
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    table = read_table(tmp_path / "bare.csv", header=False)
    assert table.names == ("x0", "x1")
    np.testing.assert_array_equal(table.values, [[1, 2], [3, 4]])


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_what_is_written_is_read_again_bit_for_bit(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    values = np.random.default_rng(0).standard_normal((50, 2)) * 10.0 ** np.arange(-25, 25)[:, None]
    write_table(path, Table(("a", "b c"), values))
    table = read_table(path)
    assert table.names == ("a", "b c")
    np.testing.assert_array_equal(table.values, values)


def test_levels_are_spelled_out_when_written(tmp_path):
    table = Table(("s", "n"), np.array([[1.0, 5], [np.nan, 6], [0, 7]]), {"s": ("u", "v")})
    write_table(tmp_path / "t.csv", table)
    again = read_table(tmp_path / "t.csv", categories=["s"])
    np.testing.assert_array_equal(again.values, table.values)
    assert again.levels == table.levels


def test_a_failed_writing_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path, {"a": [1]})
    with pytest.raises(pa.ArrowInvalid):
        write_table(path, {"a": [1, 2], "b": [1]})
    assert [item.name for item in tmp_path.iterdir()] == ["t.csv"]
    assert read_table(path).values.tolist() == [[1.0]]
    with pytest.raises(DataError, match="cannot write"):
        write_table(tmp_path / "none" / "t.csv", {"a": [1]})


def test_reading_arrays_imports_no_dataframe_library(run_python):
    code = "import sys, numpy; from latentem.io import read_table; read_table(numpy.ones((2, 2))); "
    assert run_python(code + "print([m for m in ('pandas', 'polars', 'pyarrow') if m in sys.modules])") == "[]"


def test_this_suite_runs_where_the_frames_are_real():
    assert {"pandas", "polars", "pyarrow"} <= set(sys.modules)
