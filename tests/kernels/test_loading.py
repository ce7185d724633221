"""Finding, checking and refusing the compiled library; life without it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from latentem.data import Batch
from latentem.kernels import build, compiled
from latentem.latents import MarkovChain


def test_the_switch_turns_compiled_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTEM_PURE_PYTHON", "1")
    assert compiled.library() is None
    assert "LATENTEM_PURE_PYTHON" in str(compiled.status().reason)


def test_a_status_is_either_available_with_flags_or_absent_with_a_reason() -> None:
    status = compiled.status()
    assert status.available == (compiled.library() is not None)
    assert (status.flags if status.available else status.reason)


def test_posteriors_are_the_same_without_compiled_kernels(use_compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    latent, batch = MarkovChain(3), Batch(np.zeros((40, 1)), offsets=np.array([0, 15, 40]))
    params, log_density = latent.start(), rng.normal(size=(3, 40))
    posterior, log_likelihood = latent.posterior(log_density.copy(), batch, params)
    monkeypatch.undo()
    monkeypatch.setenv("LATENTEM_PURE_PYTHON", "1")
    pure, pure_log_likelihood = latent.posterior(log_density.copy(), batch, params)
    np.testing.assert_allclose(posterior.probabilities, pure.probabilities, rtol=1e-12)
    np.testing.assert_allclose(posterior.pairs, pure.pairs, rtol=1e-12)
    np.testing.assert_allclose(log_likelihood, pure_log_likelihood, rtol=1e-12)


def test_a_missing_library_says_what_to_do(tmp_path: Path) -> None:
    library, status = compiled.load(tmp_path / "none.so")
    assert library is None
    assert not status.available
    assert compiled.REBUILD in str(status.reason)


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / build.NAME
    path.write_bytes(b"no library")
    library, status = compiled.load(path)
    assert library is None
    assert "cannot be loaded" in str(status.reason)


def test_a_library_from_other_sources_is_refused(
    kernels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "version", lambda: "0123456789abcdef")
    path = build.build(tmp_path / build.NAME, ["-O0", "-DLATENTEM_NO_CLONES"])
    monkeypatch.undo()
    library, status = compiled.load(path)
    assert library is None
    assert "0123456789abcdef" in str(status.reason)


def test_many_threads_load_one_library() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(library) for library in pool.map(lambda _: compiled.library(), range(64))}) == 1


def test_the_version_changes_with_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.version()
    (tmp_path / "c").mkdir()
    for path in (build.HERE / "c").glob("*.[ch]"):
        (tmp_path / "c" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert build.version() == before
    with (tmp_path / "c" / "latentem.h").open("a") as file:
        file.write("/* more */\n")
    assert build.version() != before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("LATENTEM_NO_COMPILER", "1", "LATENTEM_NO_COMPILER"), ("CC", "no-such-compiler", "no-such-compiler")],
)
def test_no_compiler_is_told_and_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.delenv("LATENTEM_NO_COMPILER", raising=False)
    monkeypatch.setenv(name, value)
    assert build.main(["--output", str(tmp_path / "new" / build.NAME)]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == []


def test_a_compiler_that_fails_leaves_the_old_library(tmp_path: Path, kernels: Any) -> None:
    path = tmp_path / build.NAME
    path.write_bytes(b"old")
    with pytest.raises(build.NoLibraryError, match="failed"):
        build.build(path, ["-no-such-flag-at-all"])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups here")
def test_a_compiler_that_takes_too_long_is_stopped_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow-cc"
    slow.write_text(f"#!/bin/sh\n(sleep 20; touch {tmp_path}/survived) &\necho $! > {tmp_path}/child\nwait\n")
    slow.chmod(0o755)
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setattr(build, "TIMEOUT", 1)
    with pytest.raises(build.NoLibraryError, match="timed out"):
        build.build(tmp_path / build.NAME)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _runs(child):
            break
        sleep(0.05)
    assert not _runs(child)


def _runs(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not (state.exists() and state.read_text().split()[2] == "Z")


def test_the_build_recipe_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import runpy, sys; recipe = runpy.run_path(sys.argv[1]); assert recipe['sources']();"
        "assert 'numpy' not in sys.modules and 'latentem' not in sys.modules"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(build.HERE / "build.py")], check=True)
