"""`predict`, `sample`, `show`, `info`, `demo`, and what is shown while a fit runs."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import latentem
from latentem.cli.progress import Meter, Watched, passes_left
from latentem.cli.registry import kebab
from latentem.execution import Serial
from latentem.io import read_table, write_table
from latentem.result import Status


@pytest.fixture
def fitted(cli, faithful, tmp_path):
    path = tmp_path / "m.latentem"
    columns = ["--columns", "waiting,eruptions"]
    assert cli("fit", "gaussian-mixture", faithful, *columns, "-k", "2", "-o", path).exit_code == 0
    return path


def test_predict_takes_its_columns_by_name_whatever_else_is_in_the_file(cli, fitted, faithful, tmp_path):
    assert cli("predict", fitted, faithful, "--output", tmp_path / "p.csv").exit_code == 0
    values = read_table(faithful, columns=["waiting", "eruptions"])
    values = pd.DataFrame(values.values, columns=values.names)
    predicted = read_table(tmp_path / "p.csv")
    np.testing.assert_array_equal(predicted.column("component"), latentem.load(fitted).predict(values))


def test_predict_without_an_output_writes_the_same_csv_to_the_terminal(shell, fitted, faithful, tmp_path):
    printed = shell("predict", fitted, faithful)
    assert printed.returncode == 0 and printed.stderr == ""
    shell("predict", fitted, faithful, "--output", tmp_path / "p.csv")
    assert printed.stdout == (tmp_path / "p.csv").read_text()


def test_samples_depend_on_the_seed_alone_and_have_the_models_columns(cli, fitted, tmp_path):
    paths = [tmp_path / f"{i}.csv" for i in range(3)]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        assert cli("sample", fitted, "--rows", 50, "--seed", seed, "--output", path).exit_code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()
    table = read_table(paths[0])
    assert table.names == ("waiting", "eruptions", "component") and len(table) == 50
    assert 40 < table.column("waiting").mean() < 100


def test_categories_are_remembered_and_spelled_out(cli, tmp_path):
    rows = ["yes,red", "no,blue", "no,red", "yes,red", ",blue", "no,blue"] * 5
    (tmp_path / "votes.csv").write_text("vote,colour\n" + "\n".join(rows) + "\n")
    path = tmp_path / "m.latentem"
    assert cli("fit", "latent-class-analysis", tmp_path / "votes.csv", "-k", "2", "--output", path).exit_code in (0, 1)
    shown = cli("show", path).stdout
    assert "vote = no" in shown and "colour = red" in shown and "Categories of vote: 0 = no, 1 = yes" in shown
    assert cli("sample", path, "--output", tmp_path / "s.csv").exit_code == 0
    drawn = read_table(tmp_path / "s.csv", categories=["vote", "colour"])
    assert drawn.levels == {"vote": ("no", "yes"), "colour": ("blue", "red")}
    (tmp_path / "new.csv").write_text("vote,colour\nyes,red\nmaybe,red\n")
    result = cli("predict", path, tmp_path / "new.csv")
    assert result.exit_code == 2 and "row 1, column 'vote' holds the category 'maybe'" in result.stderr


def test_show_prints_estimates_status_and_on_request_all(cli, tmp_path):
    rng = np.random.default_rng(0)
    write_table(tmp_path / "wide.parquet", {f"c{j}": rng.standard_normal(60) for j in range(12)})
    path = tmp_path / "m.latentem"
    assert cli("fit", "gaussian-mixture", tmp_path / "wide.parquet", "--output", path).exit_code == 0
    short, whole = cli("show", path).stdout, cli("show", path, "--all").stdout
    assert "31 more estimates" in short and "more estimates" not in whole
    assert "c11" not in short.split("covariances")[1] and "covariances: c11, c10" in whole
    assert "Status: converged" in whole


def test_a_model_saved_from_python_is_shown_and_predicts(cli, faithful, tmp_path):
    values = read_table(faithful, columns=["eruptions", "waiting"]).values
    latentem.save(latentem.GaussianMixture(2, random_state=0).fit(values), tmp_path / "m")
    write_table(tmp_path / "x.csv", {"u": values[:, 0], "v": values[:, 1]})
    assert cli("predict", tmp_path / "m", tmp_path / "x.csv", "--output", tmp_path / "p.csv").exit_code == 0
    assert "means: x1" in cli("show", tmp_path / "m").stdout


def test_info_tells_versions_cores_and_kernels(shell):
    process = shell("info")
    assert process.returncode == 0
    for expected in (latentem.__version__, "Cores", "Compiled kernels: ", f"numpy {np.__version__}"):
        assert expected in process.stdout
    assert "missing" not in process.stdout


def test_info_lists_the_packages_that_the_installation_asks_for():
    project = Path(__file__).parents[2] / "pyproject.toml"
    if not project.exists():
        pytest.skip("not in a checkout")
    asked = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    listed = import_module("latentem.cli.info").REQUIRED
    assert sorted(listed) == sorted(re.match(r"[\w-]+", package)[0] for package in asked)


def test_info_says_what_to_do_where_kernels_are_off(cli, monkeypatch):
    monkeypatch.setenv("LATENTEM_PURE_PYTHON", "1")
    assert "Compiled kernels: no" in cli("info").stdout


def test_version_and_help(cli):
    assert cli("--version").stdout == f"latentem {latentem.__version__}\n"
    listed = cli("--help").stdout
    assert all(name in listed for name in ("fit", "predict", "sample", "show", "info", "demo"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GaussianMixture", "gaussian-mixture"),
        ("StudentTMixture", "student-t-mixture"),
        ("LatentClassAnalysis", "latent-class-analysis"),
    ],
)
def test_names_of_models_are_those_of_their_classes(name, expected):
    assert kebab(name) == expected


def test_the_demo_says_what_it_did_and_every_command_it_prints_works(shell, tmp_path):
    process = shell("demo", "--folder", "out put", cwd=tmp_path)
    assert process.returncode == 0 and process.stderr == "", process.stderr
    text = process.stdout
    assert re.search(r"→ │ +2 │", text) and "Remaining gain" in text and "λ = " in text and "Status: converged" in text
    assert {path.name for path in (tmp_path / "out put").iterdir()} == {
        "old-faithful.png", "old-faithful.latentem", "faithful.csv", "old-faithful.html",
    }  # fmt: skip
    commands = [line.strip() for line in text.split("Try next:")[1].splitlines() if line.strip()]
    assert len(commands) >= 5
    for command in commands:
        tried = shell(line=command, cwd=tmp_path)
        assert tried.returncode == 0, (command, tried.stderr)
    assert len(read_table(tmp_path / "out put" / "assignments.csv")) == 272
    assert len(read_table(tmp_path / "out put" / "drawn.csv")) == 1000


# -- progress ----------------------------------------------------------------------------------


def test_passes_left_are_exact_where_gains_contract_evenly():
    ratio, limit = 0.8, 100.0
    objectives = [limit - ratio**m for m in range(60)]
    for now in (5, 20):
        left = passes_left(objectives[: now + 1], ratio**30, 1000)
        assert left == pytest.approx(30 - now)
    assert passes_left(objectives[:10], ratio**30, 3) == 3
    assert passes_left(objectives[:10], 0.0, 7) == 7
    assert np.isnan(passes_left(objectives[:2], 1.0, 7)) and np.isnan(passes_left([0.0, 1.0, 3.0], 1.0, 7))


def test_a_watched_executor_returns_the_bits_of_the_other_and_tells_each_pass():
    values = latentem.datasets.load_faithful().values
    meter = Meter()
    meter.begin("two", 1e-3, 100)
    assert str(meter) == "two: finding a start"
    options = {"random_state": 0, "acceleration": "squarem"}
    watched = latentem.GaussianMixture(2, executor=Watched(Serial(), meter), **options).fit(values)
    plain = latentem.GaussianMixture(2, executor="serial", **options).fit(values)
    assert watched.means_.tobytes() == plain.means_.tobytes()
    assert max(meter.log_likelihoods) == watched.result_.log_likelihood
    assert "two: pass" in str(meter) and f"log-likelihood {watched.result_.log_likelihood:.1f}" in str(meter)


def long_fit(tmp_path):
    rng = np.random.default_rng(0)
    write_table(tmp_path / "big.parquet", {f"c{j}": rng.standard_normal(40_000) for j in range(4)})
    return ["fit", "gaussian-mixture", tmp_path / "big.parquet", "-k", "4,5", "--tol", "0", "--max-iter", "100000"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_long_fit_shows_its_progress_on_a_terminal_and_ctrl_c_keeps_the_best_so_far(spawn, tmp_path):
    import pty

    leader, follower = pty.openpty()
    process = spawn(*long_fit(tmp_path), "--output", tmp_path / "m.latentem", stderr=follower)
    os.close(follower)
    shown = b""
    while not re.search(rb"pass \d+, log-likelihood -\d+", shown):
        shown += os.read(leader, 65536)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            if not os.read(leader, 65536):
                break
        except OSError:
            break
    printed = process.communicate(timeout=60)[0].decode()
    os.close(leader)
    assert process.returncode == 1 and "interrupted by the user" in printed
    result = latentem.load(tmp_path / "m.latentem").result_
    assert result.status is Status.INTERRUPTED and np.isfinite(result.log_likelihood)


def test_where_there_is_no_terminal_nothing_is_shown_but_the_result(shell, faithful):
    process = shell("fit", "gaussian-mixture", faithful, "--columns", "waiting", "-k", "1..3", "--n-init", "3")
    assert process.returncode == 0 and process.stderr == "" and "\x1b" not in process.stdout


# -- checkpoints -------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_fit_goes_on_from_its_checkpoint_to_the_bits_of_one_that_was_not(shell, spawn, tmp_path):
    rng = np.random.default_rng(0)
    write_table(tmp_path / "big.parquet", {f"c{j}": rng.standard_normal(10_000) for j in range(4)})
    command = ["fit", "gaussian-mixture", tmp_path / "big.parquet", "-k", "5", "--tol", "0", "--max-iter", "150", "-q"]
    assert shell(*command, "--output", tmp_path / "whole.latentem").returncode == 1
    broken = [*command, "--output", tmp_path / "broken.latentem", "--checkpoint", tmp_path / "c"]
    process = spawn(*broken, "--checkpoint-every", "0", stderr=subprocess.DEVNULL)
    while not (tmp_path / "c").exists() or latentem.load(tmp_path / "c").index < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "broken.latentem").exists()
    assert shell(*broken).returncode == 1
    whole, resumed = (latentem.load(tmp_path / f"{name}.latentem").result_ for name in ("whole", "broken"))
    assert resumed.parameters.flatten().tobytes() == whole.parameters.flatten().tobytes()
    assert (resumed.n_iter, resumed.status) == (whole.n_iter, whole.status)
    assert len(resumed.history) < len(whole.history)


def test_a_checkpoint_keeps_one_fit_of_one_start(cli, faithful, tmp_path):
    fit = ["fit", "gaussian-mixture", faithful, "--checkpoint", tmp_path / "c", "--columns"]
    common = [*fit, "waiting"]
    for more, message in ((["-k", "1..3"], "keeps one fit"), (["--n-init", "3"], "n_init=1")):
        result = cli(*common, *more)
        assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert not (tmp_path / "c").exists()
    assert cli(*common, "-k", "2").exit_code == 0 and (tmp_path / "c").exists()
    other = cli(*fit, "eruptions", "-k", "2")
    assert other.exit_code == 2 and "checkpoint of other data" in other.stderr


def test_compare_prints_a_row_for_each_method_and_draws_them(cli, faithful, tmp_path):
    figure = tmp_path / "methods.png"
    asked = ["--columns", "eruptions", "-k", "2", "--starts", "1", "--methods", "em,auto,l-bfgs", "--figure", figure]
    done = cli("compare", "gaussian-mixture", faithful, *asked)
    assert done.exit_code == 0, done.output
    for method in ("em", "auto", "l-bfgs"):
        assert re.search(rf"^\s+{method}\s+1/1", done.output, re.MULTILINE)
    assert "EM's rate" in done.output
    assert figure.read_bytes()[:4] == b"\x89PNG"


def test_compare_takes_sequences_by_groups_and_refuses_unknown_methods(cli, faithful, tmp_path):
    waiting = read_table(faithful, columns=["waiting"]).values[:, 0]
    table = pd.DataFrame({"waiting": waiting, "day": np.arange(len(waiting)) // 50})
    table.to_csv(tmp_path / "days.csv", index=False)
    asked = ["-k", "2", "--starts", "1", "--groups", "day", "--methods"]
    done = cli("compare", "poisson-hmm", tmp_path / "days.csv", *asked, "em,auto")
    assert done.exit_code == 0, done.output
    assert cli("compare", "poisson-hmm", tmp_path / "days.csv", *asked, "em,simplex").exit_code == 2
