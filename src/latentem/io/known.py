"""The classes that a model file may name: the library's own records, enums and estimators, and named tuples."""

from __future__ import annotations

import inspect
from collections import namedtuple
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

PACKAGE = __name__.rsplit(".", 2)[0]
MODULES = (
    "data",
    "layout",
    "multipliers",
    "parameters",
    "patterns",
    "result",
    "secants",
    "statistics",
    "em",
    "fitting",
)
PACKAGES = (
    "model",
    "domains",
    "online",
    "families",
    "latents",
    "models",
    "models.declared",
    "models.declared.e_steps",
    "models.declared.m_steps",
    "acceleration",
    "execution",
    "estimators",
)


def full_name(cls: type) -> str:
    """The module and name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


@cache
def library_modules() -> frozenset[str]:
    """The modules of this library whose records, enums and estimators a file may name; nothing is imported to know."""
    root = Path(__file__).parent.parent
    inside = {
        f"{package}.{item.name}"
        for package in PACKAGES
        for item in iter_modules([str(root.joinpath(*package.split(".")))])
    }
    return frozenset({*MODULES, *inside})


@cache
def library_classes(module: str) -> dict[str, type]:
    """The classes of one of `library_modules` that a file may name; none for any other module."""
    if module not in library_modules():
        return {}
    loaded = import_module(f"{PACKAGE}.{module}")
    return {name: cls for name, cls in inspect.getmembers(loaded, inspect.isclass) if _storable(cls, loaded)}


def _storable(cls: type, module: Any) -> bool:
    kind = is_dataclass(cls) or issubclass(cls, Enum) or hasattr(cls, "get_params")
    return kind and cls.__module__ == module.__name__ and not inspect.isabstract(cls)


def is_row_type(value: Any) -> bool:
    """Whether it is a class of named tuples."""
    return isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields")


def fields_of(cls: Any) -> tuple[str, ...]:
    """The fields of a class of named tuples."""
    return tuple(cls._fields)


@lru_cache(maxsize=64)
def row_type(name: str, names: tuple[str, ...]) -> type:
    """A named tuple; the same class for the same names, since compiled functions are kept by it."""
    found: type = namedtuple(name, names)  # type: ignore[misc]
    return found
