"""The code in the documentation runs as it stands, page by page."""

from __future__ import annotations

import importlib
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import jax.scipy.stats  # noqa: F401 - draws from NumPy's global generator when it is imported
import pytest

import latentem

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "tutorials", "statuses", "coming-from", "theory")
PAGES = sorted([*(page for name in FOLDERS for page in (ROOT / "docs" / name).glob("*.md")), ROOT / "README.md"])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITH_CODE = [page for page in PAGES if page.exists() and BLOCK.search(page.read_text(encoding="utf-8"))]
SHORT = [page for page in WITH_CODE if page.parent.name == "statuses"]


@pytest.mark.parametrize("page", SHORT, ids=lambda page: page.stem)
def test_the_code_of_a_short_page_prints_what_the_page_shows(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has imported everything already; warnings are errors here, too."""
    text = page.read_text(encoding="utf-8")
    script = tmp_path / "page.py"
    script.write_text("\n".join(BLOCK.findall(text)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    assert capsys.readouterr().out == "".join(OUTPUT.findall(text))


@pytest.mark.parametrize("page", [page for page in WITH_CODE if page not in SHORT], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_without_a_warning_and_prints_what_the_page_shows(
    page: Path, tmp_path: Path, output_of: Callable[[Path], str]
) -> None:
    text = page.read_text(encoding="utf-8")
    script = tmp_path / "page.py"  # not the page's own name, which may be that of a package
    script.write_text("\n".join(BLOCK.findall(text)), encoding="utf-8")
    shown, printed = "".join(OUTPUT.findall(text)), output_of(script)
    assert not shown or printed == shown


def test_the_page_on_families_has_code() -> None:
    assert ROOT / "docs" / "add-a-family.md" in WITH_CODE


def public_names(room: str) -> set[str]:
    """What a room offers: its names at the top, and what it exports or, without a list of that, defines."""
    module = importlib.import_module(f"latentem.{room}")
    top = {name for name, home in latentem._HOME.items() if home == room}
    defined = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    exported = getattr(module, "__all__", defined if room in latentem._MODULES else ())
    return top | {name for name in exported if name[0] != "_"}


def names_by_room() -> dict[str, list[str]]:
    """What the page of names lists."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## `latentem\.([\w.]+)`\n", page, flags=re.MULTILINE)
    return {
        room: sorted(re.findall(r"^- `(\w+)`: \S", lines, re.MULTILINE))
        for room, lines in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_page_of_names_has_every_public_name_once_and_no_other() -> None:
    listed = names_by_room()
    rooms = {*latentem._HOME.values(), *latentem._MODULES}
    assert listed == {room: sorted(public_names(room)) for room in rooms if public_names(room)}


def test_the_reference_has_every_public_name_once_and_no_other() -> None:
    folder = ROOT / "docs" / "reference"
    documented = {
        page.read_text(encoding="utf-8").split("`")[1].removeprefix("latentem."): sorted(
            re.findall(r"^\.\. auto\w+:: latentem\.[\w.]+\.(\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        )
        for page in folder.glob("*.md")
        if page.stem != "index"
    }
    assert documented == names_by_room()
    listed = set(re.findall(r"^[a-z-]+$", (folder / "index.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {page.stem for page in folder.glob("*.md")} - {"index"}


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
