"""`latentem fit` and `predict` with hidden Markov models: sequences by a column of keys."""

import numpy as np
import pytest

from latentem import GaussianHMM
from latentem.datasets import load_faithful
from latentem.io import read_table, write_table
from latentem.io.model_files import load_with_notes

DAYS = np.repeat(["mon", "tue", "wed", "thu"], 68)


@pytest.fixture
def geyser(tmp_path):
    """Waiting times of four days, and the day."""
    path = tmp_path / "geyser.csv"
    write_table(path, {"waiting": load_faithful().column("waiting"), "day": DAYS})
    return path


def test_fit_and_predict_by_days(cli, geyser, tmp_path):
    model, states = tmp_path / "m.latentem", tmp_path / "states.csv"
    done = cli("fit", "gaussian-hmm", geyser, "--groups", "day", "-k", "1..3", "-o", model, "--assignments", states)
    assert done.exit_code == 0, done.output
    assert "to state 1" in done.output and "Chosen: gaussian-hmm with 2 components" in done.output
    estimator, notes = load_with_notes(model)
    assert isinstance(estimator, GaussianHMM) and notes["columns"] == ["waiting"]
    waiting = load_faithful().select(["waiting"])
    written = read_table(states)
    np.testing.assert_array_equal(written.column("state"), estimator.predict(waiting, groups=DAYS))
    assert estimator.result_.bic == pytest.approx(estimator.bic(waiting, groups=DAYS))
    again = tmp_path / "again.csv"
    assert cli("predict", model, geyser, "--groups", "day", "-o", again, "--probabilities").exit_code == 0
    np.testing.assert_array_equal(read_table(again).column("state"), written.column("state"))
    shown = cli("show", model)
    assert "first state" in shown.output and "GaussianHMM" in shown.output
    assert cli("sample", model, "-n", "3").output.count("\n") == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gaussian-mixture", "--groups", "day", "--columns", "waiting"], "takes each row for itself"),
        (["gaussian-hmm", "--criterion", "icl", "--columns", "waiting"], "no ICL"),
        (["gaussian-hmm", "--weights", "waiting"], "weigh whole sequences"),
        (["gaussian-hmm", "--groups", "month"], "month"),
        (["gaussian-hmm", "--order", "mean", "--columns", "waiting"], "has no --order"),
    ],
)
def test_what_does_not_go_together(cli, geyser, arguments, said):
    done = cli("fit", arguments[0], geyser, *arguments[1:])
    assert done.exit_code == 2 and said in done.output


@pytest.mark.parametrize("name", ["categorical-hmm", "gmm-hmm", "multinomial-hmm", "poisson-hmm", "student-t-hmm"])
def test_every_model_of_sequences_has_a_name(cli, tmp_path, name):
    path, rng = tmp_path / "counts.csv", np.random.default_rng(0)
    columns = {"a": rng.poisson(3.0, 40)} if name == "categorical-hmm" else {c: rng.poisson(3.0, 40) for c in "ab"}
    write_table(path, columns)
    model = tmp_path / "m.latentem"
    assert cli("fit", name, path, "-k", "2", "--max-iter", "3", "-o", model).exit_code in (0, 1)
    assert "to state 1" in cli("show", model).output
    assert cli("predict", model, path).output.startswith('"state","probability"')
