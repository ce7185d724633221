"""`latentem fit`: every option does something, what is written is what was fitted, and exit codes tell the truth."""

import re
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import latentem
from latentem.cli.fit import fit
from latentem.cli.progress import Meter
from latentem.cli.registry import is_sequential, models
from latentem.cli.tell import choice_line, choose
from latentem.datasets import load_faithful
from latentem.io import read_table
from latentem.io.model_files import load_with_notes

fitting = import_module("latentem.cli.fit")
TWO = ["--columns", "eruptions,waiting"]
GAUSSIAN = ["gaussian-mixture", "faithful", *TWO, "-k", "2"]

# For each option: the command without it, what is added, and what that must change: the estimates ("parameters"), the
# "options" or "notes" kept with the model, or what is printed ("output").
CASES = {
    "components": (GAUSSIAN, ["-k", "3"], "parameters"),
    "criterion": ([*GAUSSIAN, "-k", "1..3"], ["--criterion", "icl"], "output"),
    "columns": (["gaussian-mixture", "faithful", "-k", "2", "--columns", "waiting"], TWO, "parameters"),
    "weights": (GAUSSIAN, ["--weights", "weight"], "parameters"),
    "labels": ([*GAUSSIAN, "--max-iter", "1"], ["--labels", "known"], "parameters"),
    "groups": (["gaussian-hmm", "faithful", "--columns", "waiting", "-k", "2"], ["--groups", "kind"], "parameters"),
    "categories": (["latent-class-analysis", "counts", "-k", "1"], ["--categories", "b"], "notes"),
    "covariance": (GAUSSIAN, ["--covariance", "diag"], "parameters"),
    "reg_covar": (GAUSSIAN, ["--reg-covar", "0.5"], "parameters"),
    "dof": (["student-t-mixture", "faithful", *TWO, "--max-iter", "20"], ["--dof", "4"], "parameters"),
    "binarize": (["bernoulli-mixture", "counts", "--binarize", "0.5"], ["--binarize", "5"], "parameters"),
    "init": ([*GAUSSIAN, "-k", "4", "--max-iter", "0"], ["--init", "random"], "parameters"),
    "n_init": ([*GAUSSIAN, "-k", "6", "--max-iter", "1", "--init", "random"], ["--n-init", "5"], "parameters"),
    "tol": (GAUSSIAN, ["--tol", "0.1"], "parameters"),
    "max_iter": (GAUSSIAN, ["--max-iter", "1"], "parameters"),
    "order": (GAUSSIAN, ["--order", "mean"], "parameters"),
    "acceleration": ([*GAUSSIAN, "-k", "3", "--max-iter", "15"], ["--acceleration", "none"], "parameters"),
    "executor": (GAUSSIAN, ["--executor", "serial"], "options"),
    "workers": (GAUSSIAN, ["--workers", "2"], "options"),
    "certify": (GAUSSIAN, ["--certify"], "output"),
    "seed": ([*GAUSSIAN, "-k", "5", "--max-iter", "0", "--init", "random"], ["--seed", "1"], "parameters"),
    "quiet": (GAUSSIAN, ["--quiet"], "output"),
}
TESTED_APART = {"model", "data", "no_header", "output", "assignments", "probabilities", "figure", "stream"}
TESTED_APART |= {"checkpoint", "checkpoint_every", "report"}


def files(arguments, faithful, counts):
    return [{"faithful": faithful, "counts": counts}.get(argument, argument) for argument in arguments]


def test_every_option_has_a_case():
    assert {parameter.name for parameter in fit.params} == set(CASES) | TESTED_APART


@pytest.mark.parametrize("option", CASES)
def test_every_option_does_something(cli, faithful, counts, tmp_path, option):
    arguments, added, changes = CASES[option]
    seen = []
    for extra in ([], added):
        path = tmp_path / f"{len(seen)}.latentem"
        result = cli("fit", *files(arguments, faithful, counts), *extra, "--output", path)
        assert result.exit_code in (0, 1), result.output
        model, notes = load_with_notes(path)
        seen.append(
            {
                "parameters": model.result_.parameters.flatten().tolist(),
                "options": repr(model.get_params()),
                "notes": notes,
                "output": result.stdout.replace(str(path), ""),
            }
        )
    assert seen[0][changes] != seen[1][changes]
    if option in ("executor", "workers"):
        assert seen[0]["parameters"] == seen[1]["parameters"]


def test_without_a_header_the_first_line_is_a_row(cli, tmp_path):
    (tmp_path / "bare.csv").write_text("1\n2\n4\n")
    path = tmp_path / "m.latentem"
    assert cli("fit", "gaussian-mixture", tmp_path / "bare.csv", "--no-header", "--output", path).exit_code == 0
    assert latentem.load(path).means_[0, 0] == pytest.approx(7 / 3)
    assert cli("fit", "gaussian-mixture", tmp_path / "bare.csv").exit_code == 2


def test_the_model_that_is_written_is_the_estimator_of_the_same_options(cli, faithful, tmp_path):
    path = tmp_path / "m.latentem"
    assert cli("fit", *files(GAUSSIAN, faithful, None), "--seed", "3", "--output", path).exit_code == 0
    values = load_faithful().values
    own = latentem.GaussianMixture(2, tol=1e-6, max_iter=1000, acceleration="squarem", random_state=3).fit(values)
    loaded = latentem.load(path)
    assert loaded.get_params() == own.get_params()
    np.testing.assert_array_equal(loaded.means_, own.means_)
    frame = pd.DataFrame(values, columns=["eruptions", "waiting"])
    np.testing.assert_array_equal(loaded.predict_proba(frame), own.predict_proba(values))
    assert loaded.feature_names_in_.tolist() == ["eruptions", "waiting"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_assignments_are_what_the_model_predicts(cli, faithful, tmp_path, suffix):
    model, out = tmp_path / "m.latentem", tmp_path / f"out.{suffix}"
    arguments = files(GAUSSIAN, faithful, None)
    assert cli("fit", *arguments, "--output", model, "--assignments", out, "--probabilities").exit_code == 0
    table, values = read_table(out), pd.DataFrame(load_faithful().values, columns=["eruptions", "waiting"])
    estimator = latentem.load(model)
    r = estimator.predict_proba(values)
    assert table.names == ("component", "probability", "log_density", "probability_0", "probability_1")
    np.testing.assert_array_equal(table.column("component"), estimator.predict(values))
    np.testing.assert_array_equal(table.column("probability"), r.max(axis=1))
    np.testing.assert_array_equal(table.column("log_density"), estimator.score_samples(values))
    np.testing.assert_array_equal(table.select(["probability_0", "probability_1"]).values, r)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_figure_is_drawn_in_the_format_of_its_name(cli, faithful, tmp_path, suffix):
    path = tmp_path / f"f.{suffix}"
    assert cli("fit", *files(GAUSSIAN, faithful, None), "--figure", path).exit_code == 0
    assert path.read_bytes()[:4] in {"png": [b"\x89PNG"], "pdf": [b"%PDF"], "svg": [b"<?xm"]}[suffix]


def test_the_smallest_bic_is_chosen_and_marked(cli, faithful, tmp_path):
    path = tmp_path / "m.latentem"
    result = cli("fit", *files(GAUSSIAN, faithful, None), "-k", "1..4", "--n-init", "2", "--output", path)
    assert result.exit_code == 0
    rows = [line.split("│")[1:-1] for line in result.stdout.splitlines() if line.count("│") == 8]
    bic = {int(row[1]): float(row[5]) for row in rows}
    assert list(bic) == [1, 2, 3, 4]
    best = min(bic, key=bic.get)
    assert [int(row[1]) for row in rows if "→" in row[0]] == [best]
    assert latentem.load(path).n_components == best
    assert latentem.load(path).result_.bic == pytest.approx(bic[best], abs=0.01)


def test_several_covariances_are_compared(cli, faithful):
    result = cli("fit", *files(GAUSSIAN, faithful, None), "-k", "1,2", "--covariance", "full,tied,diag,spherical")
    assert result.exit_code == 0
    assert all(result.stdout.count(f" {kind} ") >= 2 for kind in ("full", "tied", "diag", "spherical"))


def test_a_fit_that_did_not_converge_says_so_and_exits_with_1(cli, shell, faithful, tmp_path):
    arguments = ["fit", *files(GAUSSIAN, faithful, None), "--max-iter", "1", "--output", tmp_path / "m.latentem"]
    result = cli(*arguments)
    assert result.exit_code == 1 and "stopped at the iteration limit" in result.stdout
    assert not latentem.load(tmp_path / "m.latentem").converged_
    process = shell(*arguments, "--quiet")
    assert (process.returncode, process.stdout, process.stderr) == (1, "", "")


def margins(text):
    """The differences that a sentence on the choice tells."""
    return [float(number) for number in re.findall(r"with (\S+) more", text)]


def test_of_several_the_smallest_criterion_wins_and_a_winner_that_has_not_converged_exits_with_1(
    cli, faithful, tmp_path
):
    path = tmp_path / "m.latentem"
    arguments = files(GAUSSIAN, faithful, None)
    result = cli("fit", *arguments, "-k", "1,2", "--max-iter", "3", "--acceleration", "none", "--output", path)
    assert latentem.load(path).n_components == 2 and result.exit_code == 1
    rows = [line.split("│")[1:-1] for line in result.stdout.splitlines() if line.count("│") == 8]
    assert [row[-1].strip() for row in rows] == ["converged", "not converged (max iter)"]
    assert "Chosen: gaussian-mixture with 2 components, which has not converged." in result.stdout
    assert "the choice is not final" in result.stdout
    assert margins(result.stdout) == [pytest.approx(float(rows[0][5]) - float(rows[1][5]), abs=0.011)]
    assert margins(result.stdout)[0] > 200 and "close" not in result.stdout


def test_a_converged_winner_is_told_where_others_may_still_overtake_it(cli, faithful):
    arguments = ["gaussian-mixture", faithful, *TWO, "-k", "2,6", "--max-iter", "12"]
    result = cli("fit", *arguments)
    assert result.exit_code == 0 and margins(result.stdout)[0] > 0
    assert "Chosen: gaussian-mixture with 2 components. " in result.stdout
    assert "not converged (max iter)" in result.stdout and "the choice is not final" in result.stdout


@dataclass(frozen=True)
class Fitted:
    """A candidate of a comparison, as far as choosing goes."""

    bic: float
    converged: bool

    def __str__(self):
        return f"{self.bic:g}"


@given(st.lists(st.builds(Fitted, st.floats(-1e9, 1e9), st.booleans()), min_size=1, max_size=6), st.integers(0, 3))
def test_the_choice_is_the_smallest_its_margin_is_never_negative_and_what_may_change_it_is_told(candidates, unfitted):
    best = choose(candidates, "bic")
    line = choice_line(candidates, "bic", best, len(candidates) + unfitted)
    assert best.bic == min(candidate.bic for candidate in candidates)
    assert len(margins(line)) == (len(candidates) > 1) and all(margin >= 0 for margin in margins(line))
    assert ("which has not converged" in line) == (not best.converged)
    assert ("not final" in line) == (not all(candidate.converged for candidate in candidates))
    assert ("Interrupted" in line) == (unfitted > 0)


@pytest.mark.parametrize("passes", [3, 40])
def test_ctrl_c_while_models_are_compared_keeps_what_was_fitted_and_exits_with_1(
    cli, faithful, tmp_path, monkeypatch, passes
):
    path = tmp_path / "m.latentem"
    interrupt_after(passes, monkeypatch)
    result = cli("fit", *files(GAUSSIAN, faithful, None), "-k", "2,3,4", "--tol", "0", "--output", path)
    assert result.exit_code == 1 and latentem.load(path).n_components in (2, 3)
    fitted = 1 if passes == 3 else 2
    assert f"Interrupted: {fitted} of 3 models were fitted." in result.stdout
    assert "not converged (interrupted)" in result.stdout


def test_ctrl_c_between_two_fits_keeps_the_first(cli, faithful, monkeypatch):
    fit_one, fits = fitting._fit_one, []

    def second_is_stopped(*arguments):
        if fits:
            raise KeyboardInterrupt
        fits.append(fit_one(*arguments))
        return fits[0]

    monkeypatch.setattr(fitting, "_fit_one", second_is_stopped)
    result = cli("fit", *files(GAUSSIAN, faithful, None), "-k", "2,3")
    assert result.exit_code == 1 and "Interrupted: 1 of 2 models were fitted." in result.stdout
    assert "Status: converged" in result.stdout


def test_ctrl_c_during_the_first_model_of_the_demo_still_explains_it(cli, tmp_path, monkeypatch):
    interrupt_after(2, monkeypatch)
    result = cli("demo", "--folder", tmp_path, "--no-report")
    assert result.exit_code == 1 and "Interrupted: 1 of 6 models were fitted." in result.stdout
    assert (tmp_path / "old-faithful.png").exists()


def interrupt_after(passes, monkeypatch):
    """Ctrl-C in the E-step that follows so many, those that look for a start not counted."""
    seen, tell = [], Meter.__call__

    def watched(meter, log_likelihood):
        tell(meter, log_likelihood)
        seen.extend([log_likelihood] * (log_likelihood == log_likelihood))
        if len(seen) == passes + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Meter, "__call__", watched)


@pytest.mark.parametrize("name", ["model.txt", "model", "model.LATENTEM.zip"])
def test_a_model_goes_to_a_file_of_its_own_kind_only(cli, faithful, tmp_path, name):
    result = cli("fit", *files(GAUSSIAN, faithful, None), "--output", tmp_path / name)
    assert result.exit_code == 2 and "expected a file named *.latentem" in result.stderr
    assert list(tmp_path.iterdir()) == [faithful]


def test_findings_are_told_as_notes_and_not_as_warnings(shell, tmp_path):
    (tmp_path / "flat.csv").write_text("a,b\n" + "".join(f"{i},5\n" for i in range(9)))
    process = shell("fit", "gaussian-mixture", tmp_path / "flat.csv")
    assert process.returncode == 0 and "Note: column 'b' is constant" in process.stdout
    assert process.stderr == ""


@pytest.mark.parametrize("name", sorted(name for name in models() if not is_sequential(name)))
def test_every_model_fits_some_file_predicts_and_is_shown(cli, tmp_path, name):
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((40, 3))
    columns = {
        "von-mises-fisher-mixture": direction / np.linalg.norm(direction, axis=1, keepdims=True),
        "beta-mixture": rng.beta(2, 3, (40, 2)),
        "bernoulli-mixture": rng.integers(0, 2, (40, 3)),
        "geometric-mixture": rng.geometric(0.3, (40, 2)),
    }.get(name, rng.integers(1, 9, (40, 2)))
    data, path = tmp_path / "d.parquet", tmp_path / "m.latentem"
    latentem.io.write_table(data, {f"c{j}": column for j, column in enumerate(columns.T)})
    written = ["--output", path, "--assignments", tmp_path / "a.csv"]
    fitted = cli("fit", name, data, "-k", "2", "--max-iter", "30", *written)
    assert fitted.exit_code in (0, 1), fitted.output
    predicted = cli("predict", path, data, "--output", tmp_path / "p.csv")
    assert predicted.exit_code == 0, predicted.output
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()
    drawn = cli("sample", path, "--rows", "5", "--output", tmp_path / "s.csv")
    assert drawn.exit_code == 0, drawn.output
    assert read_table(tmp_path / "s.csv").values.shape == (5, columns.shape[1] + 1)
    shown = cli("show", path)
    assert shown.exit_code == 0 and "c0" in shown.stdout and "weight" in shown.stdout
