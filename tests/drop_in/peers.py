"""A peer's own tests with our classes in the places of its own, and how often each test constructed one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

# The name under which conftest.py finds a test's count.
CONSTRUCTED = "our class constructed"


class Count:
    """How often our classes were constructed since the last reset."""

    def __init__(self) -> None:
        self.n = 0

    def of(self, ours: type, **methods: Any) -> type:
        """Ours under its own name, counting its constructions; with methods that the peer's tests reach for."""

        def new(cls: type, *args: Any, **options: Any) -> Any:
            self.n += 1
            return ours.__new__(cls)

        return type(ours.__name__, (ours,), {"__new__": new, "__doc__": ours.__doc__, **methods})


def load(tests: str, change: Callable[[str], str] = lambda source: source, **names: Any) -> ModuleType:
    """A module of the peer's tests, loaded afresh with other things under these names; skips where there is none."""
    found = importlib.util.find_spec(tests)
    if found is None or found.loader is None:
        pytest.skip(f"there is no {tests}: the peer came without its tests", allow_module_level=True)
    source = inspect.getsource(importlib.import_module(tests))
    package, name = tests.rsplit(".", 1)
    spec = importlib.util.spec_from_loader(f"{package}.ours_{name}", found.loader, origin=found.origin)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(change(source), str(found.origin), "exec"), module.__dict__)
    module.__dict__.update(names)
    return module
