"""Files to fit, and the command in this process and in one of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from latentem.cli import main
from latentem.datasets import load_faithful
from latentem.io import write_table


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "COLUMNS": "120"}


@pytest.fixture
def cli():
    """Run the command in this process."""

    def run(*arguments):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def shell():
    """Run a command line, or `latentem` with arguments, in a process of its own."""

    def run(*arguments, line=None, cwd=None):
        command = line or [sys.executable, "-m", "latentem.cli", *map(str, arguments)]
        return subprocess.run(
            command, shell=line is not None, capture_output=True, text=True, timeout=120, env=environment(), cwd=cwd
        )

    return run


@pytest.fixture
def spawn():
    """Start `latentem` with its stderr where the test says."""

    def start(*arguments, stderr):
        command = [sys.executable, "-m", "latentem.cli", *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env={**environment(), "TERM": "xterm"})

    return start


@pytest.fixture
def faithful(tmp_path):
    """Old Faithful with a column of weights, one of known components, and one of text."""
    table = load_faithful()
    rows = np.arange(len(table))
    known = np.where(rows % 10 == 0, table.column("waiting") > 67, -1)
    path = tmp_path / "faithful.csv"
    columns = {name: table.column(name) for name in table.names}
    kind = np.where(table.column("eruptions") > 3, "long", "short")
    write_table(path, {**columns, "weight": 1.0 + rows % 3, "known": known, "kind": kind})
    return path


@pytest.fixture
def counts(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "counts.parquet"
    write_table(path, {"a": rng.poisson(np.repeat([2, 12], 60)), "b": rng.integers(0, 2, 120)})
    return path
