"""Files larger than memory: what is read again at every pass gives the fit of what is held in memory."""

import sys

import numpy as np
import pytest

import latentem
from latentem.cli import options
from latentem.data import Source
from latentem.io import read_table


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Three clusters of 60,000 rows in row groups of 7,000, with weights, and with known components of a few."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(1)
    z = rng.integers(0, 3, 60_000)
    values = rng.normal(size=(60_000, 8)) + 4 * np.eye(3, 8)[z]
    columns = {f"c{j}": column for j, column in enumerate(values.T)}
    columns |= {"weight": 1.0 + rng.integers(0, 3, 60_000), "known": np.where(rng.random(60_000) < 0.01, z, -1)}
    path = tmp_path_factory.mktemp("stream") / "large.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=7_000)
    return path


@pytest.mark.parametrize("beside", [[], ["--weights", "weight", "--labels", "known"]], ids=["plain", "weighted"])
def test_a_streamed_fit_is_the_fit_in_memory(cli, file, tmp_path, beside):
    names = ["--columns", ",".join(f"c{j}" for j in range(8))]
    common = ["gaussian-mixture", file, "-k", "3", "--tol", "1e-12", "--criterion", "icl", *names, *beside]
    fitted, assigned = [], []
    for number, stream in enumerate(("--stream", "--no-stream")):
        model, rows = tmp_path / f"{number}.latentem", tmp_path / f"{number}.parquet"
        result = cli("fit", *common, stream, "--output", model, "--assignments", rows)
        assert result.exit_code == 0, result.output
        fitted.append(latentem.load(model))
        assigned.append(read_table(rows))
    streamed, held = fitted
    assert streamed.feature_names_in_.tolist() == held.feature_names_in_.tolist()
    assert streamed.result_.n_rows == held.result_.n_rows == 60_000
    np.testing.assert_allclose(streamed.means_, held.means_, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(streamed.covariances_, held.covariances_, rtol=1e-10, atol=1e-10)
    assert streamed.result_.log_likelihood == pytest.approx(held.result_.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(assigned[0].values, assigned[1].values, rtol=1e-8, atol=1e-8)


def test_large_files_are_streamed_unless_rows_are_needed_in_memory(cli, file, monkeypatch):
    seen = []

    def stop(model, content, _):
        seen.append(isinstance(content.rows, Source))
        raise latentem.DataError("seen")

    monkeypatch.setattr(sys.modules["latentem.cli.fit"], "fit_all", stop)
    for limit, more in ((10**12, []), (1000, []), (1000, ["--no-stream"]), (1000, ["--categories", "known"])):
        monkeypatch.setattr(options, "STREAMED_FROM", limit)
        cli("fit", "gaussian-mixture", file, *more)
    assert seen == [False, True, False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gaussian-mixture", "faithful", "--columns", "waiting"], "only .parquet has"),
        (["latent-class-analysis", "file"], "latent-class-analysis needs all rows in memory"),
        (["bernoulli-mixture", "file", "--binarize", "0"], "--binarize needs all rows in memory"),
        (["gaussian-mixture", "file", "--categories", "known"], "--categories needs all rows in memory"),
    ],
)
def test_what_cannot_be_streamed_is_refused(cli, file, faithful, arguments, message):
    result = cli("fit", *({"file": file, "faithful": faithful}.get(a, a) for a in arguments), "--stream")
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())


def test_a_streamed_fit_is_drawn_over_some_of_its_rows(cli, file, tmp_path):
    columns = ["--columns", "c0,c1", "-k", "2", "--max-iter", "3"]
    result = cli("fit", "gaussian-mixture", file, *columns, "--stream", "--figure", tmp_path / "f.png")
    assert result.exit_code in (0, 1), result.output
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


def test_an_entry_that_is_no_number_is_named_by_its_row_in_the_file(cli, tmp_path):
    latentem.write_table(tmp_path / "bad.parquet", {"a": [1.0, 2.0, np.inf], "b": [1.0, 2.0, 3.0]})
    result = cli("fit", "gaussian-mixture", tmp_path / "bad.parquet", "--stream")
    assert result.exit_code == 2 and "row 2, column 'a'" in result.stderr
