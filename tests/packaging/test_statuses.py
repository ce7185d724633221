"""Every code that a user can meet has its page, and every page its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentem
from latentem import Status, Verdict

SOURCE = Path(latentem.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in (DOCS / "statuses").glob("*.md")}
SECTIONS = ["## What it means", "## How it comes about", "## What to do", "## What it does not mean"]


def finding_codes() -> set[str]:
    """Codes of `Finding(…)`, of the triples (component, code, sentence), and `finding_code` of families."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py")]
    return {code for tree in trees for node in ast.walk(tree) for code in codes_at(node)}


def codes_at(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name("Finding"), args=[code, *_]):
            yield from choices(code)
        case ast.Tuple(elts=[ast.Constant(None) | ast.Name("k"), ast.Constant(str() as code), _]):
            yield code
        case (
            ast.Assign(targets=[ast.Name("finding_code")], value=ast.Constant(str() as code))
            | ast.AnnAssign(target=ast.Name("finding_code"), value=ast.Constant(str() as code))
        ):
            yield code


def choices(code: ast.expr) -> Iterator[str]:
    """A constant, or both sides of a choice; a name stands for a code that is found where it is made."""
    match code:
        case ast.Constant(str() as text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*choices(one), *choices(other))


def as_page(member: Status | Verdict) -> str:
    return member.name.lower().replace("_", "-")


def test_every_code_has_its_page_and_every_page_its_code() -> None:
    """A status, a verdict and a finding of one name share a page."""
    found = finding_codes()
    assert len(found) >= 29 and {"floor", "heywood", "unbounded", "quadrature", "online"} <= found
    assert PAGES.keys() == {as_page(member) for member in (*Status, *Verdict)} | found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_its_codes_and_says_what_to_do(page: str) -> None:
    title, text = PAGES[page].split("\n", 1)
    members = [member.name for member in (*Status, *Verdict) if as_page(member) == page]
    wanted = [*members, *([page] if page in finding_codes() else [])]
    assert all(f"`{code}`" in title + text.split("##")[0] for code in wanted)
    assert re.findall(r"^## .*", text, re.MULTILINE) == SECTIONS


def test_the_index_links_to_every_page() -> None:
    index = (DOCS / "statuses.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(statuses/([a-z-]+)\.md\)", index))
    assert linked == PAGES.keys()
    assert set(re.findall(r"^statuses/([a-z-]+)$", index, re.MULTILINE)) == PAGES.keys()
