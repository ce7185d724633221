"""Imports run downward only, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentem

SOURCE = Path(str(latentem.__file__)).parent
# From the bottom up; parts of one layer do not import each other.
LAYERS = (
    {"_typing", "errors"},
    {"kernels", "parameters", "statistics", "data"},
    {"model", "result"},
    {"em"},
    {"families", "latents", "acceleration", "execution", "io"},
    {"models", "datasets"},
    {"fitting", "testing"},
    {"inference"},
    {"selection"},
    {"estimators"},
    {"plots"},
    {"report"},
    {"cli"},
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
# The only parts that may import a library: nothing below them ever loads it.
LIBRARIES = {
    "sklearn": {"estimators", "plots", "report", "cli"},
    "matplotlib": {"plots", "report", "cli"},
    "jinja2": {"report"},
    "rich": {"cli"},
    "click": {"cli"},
    "pyarrow": {"io", "cli"},
    "pandas": set(),
    "polars": set(),
}
PARTS = sorted({path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")} - {"__init__"})


def imports(part: str) -> Iterator[tuple[str, str]]:
    """(file, what it imports): parts of latentem as `.part`, libraries by their name."""
    files = [SOURCE / f"{part}.py"] if (SOURCE / f"{part}.py").exists() else sorted((SOURCE / part).rglob("*.py"))
    for path in files:
        package = path.relative_to(SOURCE).parts[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in _names(node, package):
                yield path.name, name


def _names(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = tuple((node.module or "").split(".")) if node.module else ()
    if not node.level:
        return [module[0]]
    base = (*package[: len(package) - node.level + 1], *module)
    return [f".{base[0]}"] if base else [f".{alias.name}" for alias in node.names]


@pytest.mark.parametrize("part", PARTS)
def test_imports_run_downward_only(part: str) -> None:
    assert part in RANK, f"{part} is new: give it a layer"
    others = {(file, name) for file, name in imports(part) if name.startswith(".")}
    allowed = {f".{below}" for below in RANK if RANK[below] < RANK[part]} | {f".{part}", ".__version__"}
    assert not {(file, name) for file, name in others if name not in allowed}


@pytest.mark.parametrize("part", PARTS)
def test_heavy_libraries_stay_where_they_belong(part: str) -> None:
    assert not {(file, name) for file, name in imports(part) if part not in LIBRARIES.get(name, {part})}


def test_accelerations_know_vectors_and_kernels_know_arrays() -> None:
    assert {name for _, name in imports("acceleration") if name.startswith(".")} <= {".acceleration", "._typing", ".em"}
    assert {name for _, name in imports("kernels") if name.startswith(".")} <= {".kernels", "._typing", ".errors"}


def test_the_loop_names_no_model_scheme_or_engine() -> None:
    known = {"._typing", ".data", ".errors", ".model", ".parameters", ".result", ".statistics"}
    assert {name for _, name in imports("em") if name.startswith(".")} <= known
