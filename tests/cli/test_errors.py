"""Bad input ends with exit code 2, one message that names the place, and nothing written."""

import sys

import numpy as np
import pytest

from latentem.io import save, write_table

FILES = {
    "text.csv": "a,b\n1,2\n3,x\n",
    "infinite.csv": "a,b\n1,2\n3,inf\n",
    "huge.csv": "a,b\n1,2\n3,1e200\n",
    "empty.csv": "",
    "header.csv": "a,b\n",
    "cut.csv": "a,b\n1,2\n3\n",
    "negative.csv": "a\n1\n-1\n",
    "half.csv": "a\n1\n1.5\n",
    "weights.csv": "a,w,zero,t,l\n1,1,0,x,0\n2,-1,0,y,0.5\n3,1,0,z,7\n",
    "good.csv": "a,b\n1,2\n3,4\n5,6\n",
    "lies.parquet": "a,b\n1,2\n",
    "other.txt": "a\n1\n",
    "model.latentem": "no model",
}

BAD = [
    (["gaussian-mixture", "none.csv"], "No such file"),
    (["gaussian-mixture", "text.csv"], "row 1, column 'b' holds the text 'x'"),
    (["gaussian-mixture", "infinite.csv"], "row 1, column 'b'"),
    (["gaussian-mixture", "huge.csv"], "row 1, column 'b'"),
    (["gaussian-mixture", "empty.csv"], "empty"),
    (["gaussian-mixture", "header.csv"], "at least one row"),
    (["gaussian-mixture", "cut.csv"], "cut off"),
    (["gaussian-mixture", "lies.parquet"], "not what its name says"),
    (["gaussian-mixture", "other.txt"], "*.csv"),
    (["poisson-mixture", "negative.csv"], "row 1, column 'a'"),
    (["poisson-mixture", "half.csv"], "row 1, column 'a'"),
    (["gaussian-mixture", "weights.csv", "--columns", "a", "--weights", "w"], "row 1 has -1"),
    (["gaussian-mixture", "weights.csv", "--columns", "a", "--weights", "zero"], "all weights are zero"),
    (["gaussian-mixture", "weights.csv", "--columns", "a", "--weights", "t"], "column 't' holds the text 'x'"),
    (["latent-class-analysis", "weights.csv", "--columns", "a", "--weights", "t"], "column 't' holds text"),
    (["gaussian-mixture", "weights.csv", "--columns", "a", "--weights", "no"], "no column 'no'"),
    (["gaussian-mixture", "weights.csv", "--columns", "a", "--labels", "l"], "row 1, column 'l' holds 0.5"),
    (["gaussian-mixture", "good.csv", "--columns", "a,c"], "no column 'c'"),
    (["gaussian-mixture", "good.csv", "--columns", "a,a"], "different names"),
    (["gaussian-mixture", "good.csv", "-k", "4"], "n_samples = 3"),
    (["gaussian-mixture", "good.csv", "-k", "0"], "from 1 to"),
    (["gaussian-mixture", "good.csv", "-k", "3..1"], "expected a number of components"),
    (["gaussian-mixture", "good.csv", "-k", "two"], "expected a number of components"),
    (["gaussian-mixture", "good.csv", "-k", "1..999999999999"], "from 1 to"),
    (["gaussian-mixture", "good.csv", "--covariance", "round"], "covariance_type"),
    (["gaussian-mixture", "good.csv", "--dof", "3"], "no --dof; models that have it: student-t-hmm, student-t-mixture"),
    (["poisson-mixture", "good.csv", "--covariance", "full"], "has no --covariance"),
    (["gaussian-mixture", "good.csv", "--reg-covar", "much"], "expected a number or auto"),
    (["gaussian-mixture", "good.csv", "--reg-covar", "nan"], "finite"),
    (["gaussian-mixture", "good.csv", "--reg-covar", "-1"], "reg_covar"),
    (["gaussian-mixture", "good.csv", "--tol", "-1"], "--tol"),
    (["gaussian-mixture", "good.csv", "--executor", "serial", "--workers", "2"], "leave out --workers"),
    (["gaussian-mixture", "good.csv", "--probabilities"], "--assignments"),
    (["gaussian-mixture", "good.csv", "--figure", "f.bmp"], "*.png"),
    (["gaussian-mixture", "good.csv", "--assignments", "a.xlsx"], "*.csv"),
    (["gaussian-mixture", "good.csv", "--output", "none/m.latentem"], "no folder none"),
    (["gaussian-mixtures", "good.csv"], "there are bernoulli-mixture"),
    (["gaussian-mixture"], "Missing argument 'DATA'"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_to_fit_is_one_message_and_nothing_is_written(cli, folder, arguments, message):
    written = [] if "--output" in arguments or len(arguments) < 2 else ["--output", "m.latentem"]
    result = cli("fit", *arguments, *written)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split()) and result.stdout == ""
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_in_a_process_of_its_own_the_message_is_one_line_on_stderr(shell, folder):
    for arguments in (["fit", "gaussian-mixture", "text.csv"], ["show", "model.latentem"], ["show", "none"]):
        process = shell(*arguments, cwd=folder)
        assert process.returncode == 2 and process.stdout == ""
        assert process.stderr.startswith("latentem: ") and process.stderr.count("\n") == 1


def test_bad_model_files_and_bad_new_data_are_told(cli, folder):
    assert cli("fit", "gaussian-mixture", "good.csv", "--output", "m.latentem").exit_code == 0
    content = (folder / "m.latentem").read_bytes()
    (folder / "cut.latentem").write_bytes(content[:-50])
    save(np.ones(3), folder / "array.latentem")
    write_table(folder / "other.csv", {"a": [1.0], "c": [2.0]})
    for arguments, message in [
        (["predict", "cut.latentem", "good.csv"], "cut off"),
        (["predict", "array.latentem", "good.csv"], "no fitted estimator"),
        (["predict", "m.latentem", "other.csv"], "no column 'b'"),
        (["predict", "m.latentem", "text.csv"], "row 1, column 'b'"),
        (["predict", "m.latentem", "infinite.csv"], "row 1"),
        (["predict", "m.latentem", "header.csv"], "no rows"),
        (["predict", "m.latentem", "good.csv", "--output", "p.doc"], "*.csv"),
        (["sample", "m.latentem", "--output", "none/s.csv"], "none"),
        (["sample", "m.latentem", "--rows", "0"], "--rows"),
        (["show", "model.latentem"], "no model file"),
    ]:
        result = cli(*arguments)
        assert result.exit_code == 2, arguments
        assert message in " ".join(result.stderr.split()) and result.stdout == ""


def test_an_error_that_nobody_foresaw_is_a_message_too_unless_a_traceback_is_asked_for(cli, folder, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(sys.modules["latentem.cli.fit"], "fit_all", broken)
    result = cli("fit", "gaussian-mixture", "good.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("latentem: unexpected ZeroDivisionError: by zero (LATENTEM_TRACEBACK=1 shows where")
