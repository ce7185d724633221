"""Wheels: one for every Python of a platform with the compiled kernels, a pure one without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from latentem.kernels import build

ROOT = Path(__file__).parents[2]
pytest.importorskip("hatchling")
pytestmark = pytest.mark.skipif(not (ROOT / "hatch_build.py").exists(), reason="not in a checkout")


def wheel(folder: Path, **environment: str) -> tuple[str, set[str]]:
    """Build one; its file name and the names in it."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return path.name, set(archive.namelist())


def has_compiler() -> bool:
    try:
        return bool(build.compiler())
    except build.NoLibraryError:
        return False


@pytest.mark.skipif(not has_compiler(), reason="no C compiler")
def test_a_wheel_with_kernels_serves_every_python_of_the_platform(tmp_path: Path) -> None:
    name, files = wheel(tmp_path)
    _, _, python, abi, platform = name.removesuffix(".whl").split("-")
    assert (python, abi) == ("py3", "none")
    assert platform != "any"
    assert f"latentem/kernels/{build.NAME}" in files


def test_without_a_compiler_the_wheel_is_pure_and_complete(tmp_path: Path) -> None:
    name, files = wheel(tmp_path, LATENTEM_NO_COMPILER="1")
    assert name.endswith("-py3-none-any.whl")
    assert not any(Path(file).suffix in (".so", ".dylib", ".dll") for file in files)
    modules = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "latentem").rglob("*.py")}
    assert {Path(module).as_posix() for module in modules} <= files
    page = {f"latentem/report/page/{path.name}" for path in (ROOT / "src/latentem/report/page").iterdir()}
    assert {"latentem/py.typed", "latentem/kernels/c/latentem.h", *page} <= files
