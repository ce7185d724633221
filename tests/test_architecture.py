"""The house stands: imports run downward only, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

import latentem

ROOT = Path(latentem.__file__).parent

# From the ground up; what stands on one floor does not know its neighbours.
FLOORS = [
    {"_typing", "errors"},
    {"domains", "layout", "secants"},
    {"parameters", "statistics", "data", "densities", "patterns"},
    {"model", "predictors", "multipliers"},
    {"result"},
    {"stopping"},
    {"em"},
    {"variants"},
    {"online"},
    {"kernels", "execution", "acceleration"},
    {"families", "latents"},
    {"io"},
    {"grouping"},
    {"datasets", "sources"},
    {"models"},
    {"inference"},
    {"fitting"},
    {"comparing"},
    {"streaming"},
    {"estimators"},
    {"summarizing"},
    {"plots"},
    {"report"},
    {"cli"},
    {"testing"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
VOCABULARY = set().union(*FLOORS[:7])

# These know few others: engines and schemes the vocabulary alone, kernels arrays alone.
APART = {"execution": VOCABULARY, "acceleration": VOCABULARY, "kernels": {"_typing", "errors"}}

# Imported when it is called.  A default of the contracts: derivatives by differences, starts by clusters.  The verbs of
# a result, which is a bare record: what stands above answers.
KNOWN = {("model.contracts", "kernels"), ("model.joined", "kernels"), ("result", "inference"), ("result", "summarizing"), ("result", "report")}

# Where a heavy library may be imported at all.
HEAVY = {
    "sklearn": {"estimators", "cli"},
    "matplotlib": {"plots", "report", "cli"},
    "jax": {"models.declared"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
    "pandas": set(),
    "polars": set(),
    "pyarrow": {"io", "cli"},
    "rich": {"cli"},
    "click": {"cli"},
}


@dataclass(frozen=True)
class Import:
    """Who imports what: dotted names below the package, or the name of another library."""

    path: Path
    line: int
    importer: str
    target: str
    ours: bool
    lazy: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.target}"


def room(dotted: str) -> str:
    return dotted.split(".")[0]


def dotted_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(node: ast.AST, path: Path) -> list[tuple[str, bool]]:
    """(name, whether it is ours) of what an import statement imports."""
    if isinstance(node, ast.Import):
        return [(alias.name.removeprefix("latentem."), alias.name.startswith("latentem")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = node.module or ""
    if node.level == 0:
        return [(module.removeprefix("latentem."), module.startswith("latentem"))]
    folder = path.relative_to(ROOT).parent.parts
    above = folder[: len(folder) - (node.level - 1)]
    base = ".".join([*above, *([module] if module else [])])
    return [(base, True)] if base else [(alias.name, True) for alias in node.names]


def imports_of(path: Path) -> list[Import]:
    tree = ast.parse(path.read_text())
    top = {id(node) for statement in tree.body for node in ([statement] if not _is_function(statement) else [])}
    return [
        Import(path, node.lineno, dotted_name(path), name, ours, id(node) not in top)
        for node in ast.walk(tree)
        for name, ours in targets(node, path)
    ]


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef)


FILES = sorted(ROOT.rglob("*.py"))
IMPORTS = [found for path in FILES if path != ROOT / "__init__.py" for found in imports_of(path)]
OURS = [found for found in IMPORTS if found.ours]


def test_every_file_has_its_floor_and_every_floor_its_files():
    rooms = {room(dotted_name(path)) for path in FILES if path != ROOT / "__init__.py"}
    assert rooms == set(FLOOR), f"say on which floor stand, or no longer do: {sorted(rooms ^ set(FLOOR))}"


def test_imports_run_downward_only():
    upward = [
        str(found)
        for found in OURS
        if room(found.importer) != room(found.target)
        and FLOOR[room(found.target)] >= FLOOR[room(found.importer)]
        and (found.importer, room(found.target)) not in KNOWN
    ]
    assert not upward, "\n".join(upward)


def test_known_exceptions_are_lazy_and_still_needed():
    found = [one for one in OURS if (one.importer, room(one.target)) in KNOWN]
    assert {(one.importer, room(one.target)) for one in found} == KNOWN
    assert all(one.lazy for one in found)


def test_engines_and_schemes_know_the_vocabulary_only_and_kernels_know_arrays():
    strangers = [
        str(found)
        for found in OURS
        if room(found.target) not in {room(found.importer), *APART.get(room(found.importer), FLOOR)}
    ]
    assert not strangers, "\n".join(strangers)


def test_the_loop_names_no_model_scheme_or_engine():
    names = {name.id for name in ast.walk(ast.parse((ROOT / "em.py").read_text())) if isinstance(name, ast.Name)}
    concrete = {"Serial", "Threads", "Processes", "Squarem", "Categorical", "MarkovChain", "FullGaussian"}
    assert not names & concrete
    assert {room(found.target) for found in OURS if found.importer == "em"} <= VOCABULARY


def _is_allowed(importer: str, homes: set[str]) -> bool:
    return any(importer == home or importer.startswith(home + ".") for home in homes)


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_where_they_belong(library):
    elsewhere = [
        str(found)
        for found in IMPORTS
        if not found.ours and found.target.split(".")[0] == library and not _is_allowed(found.importer, HEAVY[library])
    ]
    assert not elsewhere, "\n".join(elsewhere)


def test_nobody_imports_the_tests_kit():
    assert not [str(found) for found in OURS if room(found.target) == "testing" != room(found.importer)]
