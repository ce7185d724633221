"""Files that are cut off, not what they claim, or tampered with: an error of ours, exit code 2, nothing written."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_input.specimens import fitted, quiet, suiting
from click.testing import CliRunner

import latentem as em
from latentem.cli import main
from latentem.errors import DataError, LatentemError, ModelFileError
from latentem.families.gaussian import DiagonalGaussian
from latentem.io import Checkpoint, ParquetSource, load, read_table, save, write_table
from latentem.latents import Categorical

NAME = "GaussianMixture"
COLUMNS = {"a": suiting(NAME)[:, 0], "b": suiting(NAME)[:, 1]}


def parquet(folder: Path) -> bytes:
    write_table(folder / "whole.parquet", COLUMNS)
    return (folder / "whole.parquet").read_bytes()


def csv(folder: Path) -> bytes:
    write_table(folder / "whole.csv", COLUMNS)
    return (folder / "whole.csv").read_bytes()


# The name of a file, what is in it, and what the message must say beside the name.
FILES: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "empty table": ("data.csv", lambda folder: b"", "Empty"),
    "empty parquet": ("data.parquet", lambda folder: b"", "cut off"),
    "cut parquet": ("data.parquet", lambda folder: parquet(folder)[:-30], "cut off"),
    "half a parquet": ("data.parquet", lambda folder: parquet(folder)[: len(parquet(folder)) // 2], "cut off"),
    "cut line": ("data.csv", lambda folder: b"a,b\n1,2\n3,4\n5", "cut off"),
    "text named parquet": ("data.parquet", csv, "not what its name says"),
    "parquet named csv": ("data.csv", parquet, "Parquet"),
    "parquet named tsv": ("data.tsv", parquet, "Parquet"),
    "commas named tsv": ("data.tsv", csv, "separated by ','"),
    "semicolons": ("data.csv", lambda folder: csv(folder).replace(b",", b";"), "separated by ';'"),
    "bytes": ("data.csv", lambda folder: bytes(range(256)) * 20, "binary"),
    "an archive": ("data.csv", lambda folder: b"PK\x03\x04" + bytes(100), "binary"),
    "no text": ("data.csv", lambda folder: b"a,b\n1,2\n\xff\xfe,4\n", "column 'a' holds binary"),
    "another kind": ("data.xlsx", csv, r"\*\.csv"),
    "no names": ("data.csv", lambda folder: b"1,2\n3,4\n", "names"),
    "names twice": ("data.csv", lambda folder: b"a,a\n1,2\n3,4\n", "'a'"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_it_should_be_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    file, content, message = FILES[name]
    path = tmp_path / file
    path.write_bytes(content(tmp_path))
    with pytest.raises(DataError, match=message):
        read_table(path)
    assert_refused(["fit", "gaussian-mixture", path, "--output", tmp_path / "m.latentem"], message, tmp_path)


@pytest.mark.parametrize("length", [0, 3, 4, 11, 12, 100, -1, -4, -9, -100])
def test_a_parquet_file_cut_at_any_length_is_refused_by_its_name(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    path.write_bytes(parquet(tmp_path)[:length])
    for read in (read_table, ParquetSource):
        with pytest.raises(DataError, match=r"cut\.parquet"):
            read(path)


def test_a_file_that_is_not_there_and_a_folder_are_refused_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "none.parquet", "folder.csv"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read_table(tmp_path / name)
        assert_refused(["fit", "gaussian-mixture", tmp_path / name], name, tmp_path)


BAD_TABLES: list[tuple[str, str, list[str], str]] = [
    ("gaussian-mixture", "a,b\n1,2\n3,inf\n5,6\n", [], "row 1, column 'b'"),
    ("gaussian-mixture", "a,b\n1,2\n3,-1e300\n5,6\n", [], "row 1, column 'b'"),
    ("gaussian-mixture", "a,b\n1,2\n3,many\n5,6\n", [], "row 1, column 'b' holds the text 'many'"),
    ("gaussian-mixture", "a,b\n1,\n3,\n", [], "column 'b'"),
    ("gaussian-mixture", "a,b\n", [], "at least one row"),
    ("gaussian-mixture", "a,b\n1,2\n", ["-k", "2"], "n_components = 2, n_samples = 1"),
    ("poisson-mixture", "a,b\n1,2\n3,-4\n", [], "row 1, column 'b' holds -4"),
    ("poisson-mixture", "a,b\n1,2\n3,0.5\n", [], "row 1, column 'b' holds 0.5"),
    ("bernoulli-mixture", "a,b\n1,0\n3,0\n", [], "row 1, column 'a' holds 3"),
    ("gamma-mixture", "a,b\n1,2\n0,1\n", [], "row 1, column 'a' holds 0"),
    ("beta-mixture", "a\n0.5\n1\n", [], "row 1, column 'a' holds 1"),
    ("gaussian-mixture", "a,w\n1,1\n2,-1\n", ["--weights", "w"], "row 1 has -1"),
    ("gaussian-mixture", "a,w\n1,1\n2,\n", ["--weights", "w"], "row 1 has nan"),
    ("gaussian-mixture", "a,w\n1,0\n2,0\n", ["--weights", "w"], "all weights are zero"),
    ("gaussian-mixture", "a,l\n1,0\n2,5\n", ["--labels", "l", "-k", "2"], "row 1 has 5"),
]


@pytest.mark.parametrize(("model", "content", "options", "place"), BAD_TABLES)
def test_bad_tables_end_the_command_with_the_place(
    model: str, content: str, options: list[str], place: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(content)
    assert_refused(["fit", model, path, *options, "--output", tmp_path / "m.latentem"], place, tmp_path)


def test_a_category_never_seen_ends_prediction_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "seen.csv").write_text("a,b\nyes,u\nno,v\nyes,v\nno,u\n")
    (tmp_path / "new.csv").write_text("a,b\nyes,u\nperhaps,v\n")
    model, out = tmp_path / "m.latentem", tmp_path / "out.csv"
    fit = ["fit", "latent-class-analysis", tmp_path / "seen.csv", "-k", "2", "--output", model]
    assert run(fit).exit_code in (0, 1)
    place = "row 1, column 'a' holds the category 'perhaps'"
    assert_refused(["predict", model, tmp_path / "new.csv", "--output", out], place, tmp_path)


def test_the_command_tells_what_is_odd(tmp_path: Path) -> None:
    path, out = tmp_path / "data.csv", tmp_path / "m.latentem"
    write_table(path, {**COLUMNS, "flat": np.full(40, 2.5), "copy": COLUMNS["a"]})
    result = run(["fit", "gaussian-mixture", path, "-k", "2", "--output", out])
    said = " ".join(result.stdout.split())
    assert result.exit_code in (0, 1)
    assert "column 'flat' is constant (2.5)" in said
    assert "columns 'a' and 'copy' are equal" in said
    assert "held by the floor" in " ".join(run(["show", out]).stdout.split())


def run(arguments: list[Any]) -> Any:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


def assert_refused(arguments: list[Any], message: str, folder: Path) -> None:
    """Exit code 2, one message that holds `message`, nothing on stdout, and no file written or changed."""
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    result = run(arguments)
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.search(message, said) or message in said
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


# -- model files ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.latentem"
    save(fitted(NAME, suiting(NAME)), path)
    return path


def rewritten(content: bytes, changes: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with its entries changed, and all checksums right again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    changes(entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def every_number(value: float) -> Callable[[dict[str, bytes]], None]:
    """All floating-point arrays overwritten by one number, header and size kept."""

    def change(entries: dict[str, bytes]) -> None:
        for name, data in entries.items():
            if name.endswith(".npy") and b"<f8" in data[:128]:
                size = int.from_bytes(data[8:10], "little") + 10
                entries[name] = data[:size] + np.full((len(data) - size) // 8, value).tobytes()

    return change


def in_text(old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        text = entries["model.json"].decode()
        assert old in text
        entries["model.json"] = text.replace(old, new).encode()

    return change


def no_json(entries: dict[str, bytes]) -> None:
    entries["model.json"] = b"{"


def newer(entries: dict[str, bytes]) -> None:
    entries["model.json"] = json.dumps({**json.loads(entries["model.json"]), "format_version": 999}).encode()


def pickled(entries: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], object), allow_pickle=True)
    entries["arrays/0.npy"] = buffer.getvalue()


TAMPERINGS = {
    "NaN": every_number(np.nan),
    "infinity": every_number(np.inf),
    "negative": every_number(-1.0),
    "another class": in_text("GaussianMixture", "subprocess.Popen"),
    "no JSON": no_json,
    "newer": newer,
    "a pickle": pickled,
    "an entry more": lambda entries: entries.update({"more.txt": b"x"}),
    "an entry less": lambda entries: entries.pop("arrays/0.npy") and None,
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_model_file_is_refused_by_its_name(name: str, model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "tampered.latentem"
    path.write_bytes(rewritten(model_file.read_bytes(), TAMPERINGS[name]))
    with pytest.raises(ModelFileError, match=r"tampered\.latentem"):
        load(path)
    write_table(tmp_path / "data.csv", COLUMNS)
    predict = ["predict", path, tmp_path / "data.csv", "--output", tmp_path / "out.csv"]
    for arguments in (predict, ["show", path], ["sample", path]):
        assert_refused(arguments, "tampered.latentem", tmp_path)


def test_a_model_file_with_a_changed_byte_is_refused_or_predicts_the_same_bits(
    model_file: Path, tmp_path: Path
) -> None:
    content, path = model_file.read_bytes(), tmp_path / "changed.latentem"
    expected = load(model_file).predict_proba(suiting(NAME))
    refused = 0
    for position in np.random.default_rng(0).integers(0, len(content), 150):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        model = loaded(path)
        refused += model is None
        assert model is None or np.array_equal(model.predict_proba(suiting(NAME)), expected)
    assert refused > 100


def loaded(path: Path) -> Any:
    """The model, or None where the file is refused by an error that names it."""
    with contextlib.suppress(ModelFileError):
        return load(path)
    with pytest.raises(ModelFileError, match=re.escape(path.name)):
        load(path)
    return None


def test_a_model_file_cut_anywhere_is_refused_by_its_name(model_file: Path, tmp_path: Path) -> None:
    content, path = model_file.read_bytes(), tmp_path / "cut.latentem"
    for length in (0, 1, 30, 100, len(content) // 2, len(content) - 30, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"cut\.latentem"):
            load(path)
    assert_refused(["show", path], "cut.latentem", tmp_path)


def test_a_cut_checkpoint_stops_a_fit_and_stays_as_it_is(tmp_path: Path) -> None:
    model = em.LatentVariableModel(Categorical(2), DiagonalGaussian())
    path = tmp_path / "fit.checkpoint"
    with quiet():
        em.fit(model, suiting(NAME), max_iter=2, random_state=0, checkpoint=Checkpoint(path, every_seconds=0.0))
    path.write_bytes(path.read_bytes()[:-40])
    content = path.read_bytes()
    with pytest.raises(LatentemError, match=r"fit\.checkpoint"):
        em.fit(model, suiting(NAME), random_state=0, checkpoint=Checkpoint(path, every_seconds=0.0))
    assert path.read_bytes() == content
