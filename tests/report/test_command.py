"""`latentem report`, and `--report` of the other commands."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from latentem.cli import main
from latentem.datasets import load_faithful
from latentem.io import write_table


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    write_table(path, load_faithful())
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_page_is_written_with_the_command_that_makes_it_again(data, tmp_path):
    page = tmp_path / "fit.html"
    done = run("report", "gaussian-mixture", data, "-k", "2,3", "--no-compare", "--seconds", "3", "--output", page)
    assert done.exit_code == 0, done.output
    assert f"Report: {page}" in done.output and "Chosen: gaussian-mixture with 2 components" in done.output
    text = page.read_text(encoding="utf-8")
    assert f"latentem report gaussian-mixture {data} --components 2,3" in text and "--no-compare" in text
    assert "gaussian-mixture with 3 components" in text


def test_fit_writes_a_page_on_demand(data, tmp_path):
    page = tmp_path / "fit.html"
    done = run("fit", "gamma-mixture", data, "-k", "2", "--report", page)
    assert done.exit_code == 0, done.output
    assert f"Report: {page}" in done.output and page.exists()


@pytest.mark.parametrize(("name", "told"), [("fit.pdf", "*.html"), ("nowhere/fit.html", "there is no folder")])
def test_where_no_page_can_be_written_is_told_before_the_fit(data, tmp_path, name, told):
    for command in (["report", "--output"], ["fit", "--report"]):
        done = run(command[0], "gaussian-mixture", data, command[1], tmp_path / name)
        assert done.exit_code == 2
        assert told in done.output


def test_what_the_page_does_not_need_is_no_option_of_it(data):
    assert "No such option" in run("report", "gaussian-mixture", data, "--assignments", "x.csv").output
