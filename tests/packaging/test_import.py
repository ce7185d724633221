"""`import latentem` is light, and its lazy names are all there."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

import latentem

HEAVY = {"click", "jax", "joblib", "matplotlib", "pandas", "polars", "pyarrow", "rich", "scipy", "sklearn"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules of a fresh interpreter after the code."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_latentem_loads_numpy_and_nothing_heavier() -> None:
    loaded = loaded_after("import latentem")
    assert "numpy" in loaded
    assert not loaded & HEAVY
    extra = loaded - loaded_after("import numpy") - {"latentem"}
    assert extra <= set(sys.stdlib_module_names)


def test_the_vocabulary_and_the_loop_need_no_more_than_numpy() -> None:
    code = "import latentem; latentem.Status, latentem.iterate, latentem.ArraySource, latentem.LatentVariableModel"
    assert not loaded_after(code) & HEAVY


def test_fitting_a_model_loads_no_learning_plotting_or_file_library() -> None:
    loaded = loaded_after(
        "import numpy, latentem\n"
        "for latent in (latentem.Categorical(2), latentem.MarkovChain(2)):\n"
        "    model = latentem.LatentVariableModel(latent, latentem.families.FullGaussian())\n"
        "    x = numpy.random.default_rng(0).normal(size=(60, 2))\n"
        "    latentem.fit(model, x, lengths=[30, 30], max_iter=3, random_state=0)"
    )
    assert not loaded & (HEAVY - {"scipy"})


@pytest.mark.parametrize("name", [name for name in latentem.__all__ if name != "__version__"])
def test_every_name_resolves_to_what_its_module_holds(name: str) -> None:
    value = getattr(latentem, name)
    home = latentem._HOME.get(name)
    module = import_module(f"latentem.{home or name}")
    assert value is (getattr(module, name) if home else module)


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse(Path(str(latentem.__file__)).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    seen = {(alias.name, node.module) for node in imports for alias in node.names}
    assert seen == {*latentem._HOME.items(), *((name, None) for name in latentem._MODULES)}


def test_every_family_that_can_be_made_is_in_families() -> None:
    folder = Path(str(latentem.families.__file__)).parent
    modules = [import_module(f"latentem.families.{path.stem}") for path in folder.glob("*.py") if path.stem[0] != "_"]
    made = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, latentem.Family) and not isabstract(value)
    }
    public = {name for name in made if name[0] != "_"}
    assert public <= set(latentem.families.__all__)
    assert all(getattr(latentem.families, name) is made[name] for name in public)


def test_a_family_from_the_top_is_fitted() -> None:
    mixture = latentem.MixtureModel(latentem.families.Poisson(), 2, random_state=0)
    assert mixture.fit([[0], [1], [1], [9], [10], [8]]).converged_


@pytest.mark.parametrize("module", ["acceleration", "errors", "estimators", "execution", "latents"])
def test_everything_that_users_construct_is_at_the_top(module: str) -> None:
    home = import_module(f"latentem.{module}")
    classes = {name: value for name, value in vars(home).items() if isinstance(value, type) and name[0] != "_"}
    defined = [name for name, value in classes.items() if value.__module__ == home.__name__]
    public = getattr(home, "__all__", defined)
    assert set(public) <= set(latentem._NAMES[module])


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        latentem.nothing  # noqa: B018


def test_dir_lists_lazy_names_before_they_are_used() -> None:
    code = "import latentem; assert {'GaussianMixture', 'families'} <= set(dir(latentem))"
    assert "sklearn" not in loaded_after(code)
