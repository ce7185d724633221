"""The scripts of the gallery run as they stand, print something, and save their picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
LARGEST_PICTURE = 60_000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_runs_without_a_warning_and_saves_its_picture(
    script: Path, tmp_path: Path, output_of: Callable[[Path], str]
) -> None:
    assert output_of(script).strip()
    assert [file.name for file in tmp_path.iterdir()] == [f"{script.stem}.png"]


def test_the_gallery_shows_every_script_with_a_small_picture() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(SCRIPTS) >= 8
    assert sorted(re.findall(r"\]\((\w+)\.py\)", page)) == [script.stem for script in SCRIPTS]
    for picture in re.findall(r"\]\(\.\./(docs/_static/[\w.-]+)\)", page):
        assert (ROOT / picture).stat().st_size < LARGEST_PICTURE
