"""A Parquet file read chunk by chunk is the same data as the array in memory."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from latentem.data import ArraySource
from latentem.em import run
from latentem.errors import DataError
from latentem.execution import Processes, Serial, Threads
from latentem.families.gaussian import FullGaussian
from latentem.io import ParquetSource
from latentem.latents.categorical import Categorical
from latentem.model import LatentVariableModel

N = 5000


@pytest.fixture
def values():
    rng = np.random.default_rng(3)
    return rng.standard_normal((N, 3)) + 4 * (rng.random(N) < 0.4)[:, None]


def write(path, values, group=1000, **extra):
    columns = {f"c{j}": values[:, j] for j in range(values.shape[1])}
    parquet.write_table(pa.table({**columns, **extra}), path, row_group_size=group)
    return path


def starting(model, source):
    start = model.start(source.read(source.chunks[0]))
    means = start.emission.means + np.array([[0.0], [4.0]])
    return type(start)(start.latent, type(start.emission)(means, start.emission.covariances))


def test_chunks_are_the_rows_of_the_file_in_order(tmp_path, values):
    source = ParquetSource(write(tmp_path / "t.parquet", values), chunk_rows=300)
    batches = list(source)
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in batches]), values)
    assert [batch.first_row for batch in batches] == [g * 1000 + s for g in range(5) for s in range(0, 1000, 300)]
    assert max(map(len, batches)) == 300 and source.n_rows == N and source.names == ("c0", "c1", "c2")


def test_chunks_may_be_read_in_any_order_and_again(tmp_path, values):
    source = ParquetSource(write(tmp_path / "t.parquet", values), chunk_rows=300)
    for index in np.random.default_rng(0).permutation(len(source.chunks)):
        chunk = source.chunks[index]
        first = chunk[3]
        np.testing.assert_array_equal(source.read(chunk).values, values[first : first + chunk[2] - chunk[1]])


def test_a_fit_from_the_file_has_the_bits_of_one_from_memory(tmp_path, values):
    streamed = ParquetSource(write(tmp_path / "t.parquet", values), chunk_rows=500)
    in_memory = ArraySource(values, chunk_rows=500)
    model = LatentVariableModel(Categorical(2), FullGaussian())
    start = starting(model, in_memory)
    with Processes(2) as processes:
        results = [
            run(model, source, start, executor=executor, max_iter=4, tol=0.0)
            for source, executor in [
                (in_memory, Serial()), (streamed, Serial()), (streamed, Threads(3)), (streamed, processes),
            ]
        ]  # fmt: skip
    assert len({result.objective for result in results}) == 1
    assert len({result.parameters.flatten().tobytes() for result in results}) == 1


def test_weights_and_labels_come_from_their_columns_and_are_no_observations(tmp_path, values):
    weights = np.random.default_rng(1).random(N)
    labels = pa.array([None, 1, 0, -1] * (N // 4))
    source = ParquetSource(write(tmp_path / "t.parquet", values, w=weights, z=labels), weights="w", labels="z")
    assert source.names == ("c0", "c1", "c2")
    np.testing.assert_array_equal(np.concatenate([batch.weights for batch in source]), weights)
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in source]), [-1, 1, 0, -1] * (N // 4))


def test_missing_entries_are_nan_and_announced(tmp_path, values):
    complete = ParquetSource(write(tmp_path / "a.parquet", values))
    assert not complete.missing and not any(batch.missing for batch in complete)
    values[3210, 1] = np.nan
    source = ParquetSource(write(tmp_path / "b.parquet", values))
    assert source.missing and all(batch.missing for batch in source)
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in source]), values)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e200])
def test_what_would_overflow_is_named_by_its_place_in_the_whole_file(tmp_path, values, bad):
    values[3210, 1] = bad
    with pytest.raises(DataError, match=r"row 3210, column 'c1'"):
        ParquetSource(write(tmp_path / "t.parquet", values))


def test_bad_weights_labels_text_and_columns_are_named(tmp_path, values):
    weights = np.ones(N)
    weights[4321] = -1
    texts = ["1"] * 2500 + ["x"] * 2500
    path = write(tmp_path / "t.parquet", values, w=weights, zero=np.zeros(N), t=texts, half=np.full(N, 0.5))
    numbers = ["c0", "c1", "c2"]
    with pytest.raises(DataError, match=r"row 4321 has -1"):
        ParquetSource(path, columns=numbers, weights="w")
    with pytest.raises(DataError, match="all weights are zero"):
        ParquetSource(path, columns=numbers, weights="zero")
    with pytest.raises(DataError, match=r"row 0, column 'half' holds 0.5"):
        ParquetSource(path, columns=numbers, labels="half")
    with pytest.raises(DataError, match=r"row 0, column 't' holds the text '1'"):
        ParquetSource(path)
    with pytest.raises(DataError, match=r"no column 'no'"):
        ParquetSource(path, columns=["no"])


def test_no_rows_is_an_error(tmp_path):
    with pytest.raises(DataError, match="0 rows"):
        ParquetSource(write(tmp_path / "t.parquet", np.empty((0, 2))))


def test_a_file_changed_between_passes_is_noticed(tmp_path, values):
    source = ParquetSource(write(tmp_path / "t.parquet", values))
    write(tmp_path / "t.parquet", values[:4500])
    with pytest.raises(DataError, match="was changed"):
        list(source)


def test_at_most_two_row_groups_are_held(tmp_path, values):
    source = ParquetSource(write(tmp_path / "t.parquet", values, group=500))
    for _ in source:
        assert len(source._kept) <= 2


def test_it_travels_to_workers_without_its_cache(tmp_path, values):
    source = ParquetSource(write(tmp_path / "t.parquet", values))
    assert len(pickle.dumps(source)) < 5000
    np.testing.assert_array_equal(np.concatenate([b.values for b in pickle.loads(pickle.dumps(source))]), values)
