"""Build hook: compile the C kernels where there is a compiler; without one the NumPy references serve.

The library has a plain C interface, so that one wheel serves every Python version of a platform.
"""

from __future__ import annotations

import importlib.util
import platform
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = "latentem/kernels"


class KernelsHook(BuildHookInterface):
    """Adds the compiled library to wheels, and to the source tree for editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        recipe = _recipe(Path(self.root) / "src" / KERNELS / "build.py")
        editable = version == "editable"
        folder = recipe.HERE if editable else Path(self._scratch())
        try:
            library = recipe.build(folder / recipe.NAME)
        except recipe.NoLibraryError as reason:
            (folder / recipe.NAME).unlink(missing_ok=True)
            self.app.display_warning(f"latentem without compiled kernels: {reason}")
            return
        if not editable:
            build_data["force_include"][str(library)] = f"{KERNELS}/{recipe.NAME}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _scratch(self) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="latentem-kernels-")
        return self._folder.name


def _recipe(path: Path) -> ModuleType:
    """`latentem.kernels.build`, loaded by its path: latentem is not installed yet."""
    spec = importlib.util.spec_from_file_location("latentem_kernels_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _platform_tag() -> str:
    """The platform that the compiler builds for: on macOS one architecture, whatever the interpreter carries."""
    if platform.system() == "Darwin":
        from packaging.tags import mac_platforms

        return next(mac_platforms(arch=platform.machine()))
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
