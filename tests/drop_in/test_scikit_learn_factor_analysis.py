"""scikit-learn's own test of `FactorAnalysis`, with ours in its place; see test_scikit_learn_gaussian_mixture.py."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from latentem.estimators import FactorAnalysis as Ours

# The name under which conftest.py finds the count.
CONSTRUCTED = "our class constructed"
PEER = "sklearn.decomposition.tests.test_factor_analysis"

constructed = 0


class FactorAnalysis(Ours):
    """Ours, counting its constructions."""

    def __new__(cls, *args: Any, **options: Any) -> FactorAnalysis:
        global constructed
        constructed += 1
        return super().__new__(cls)


def _load_peer() -> ModuleType:
    found = importlib.util.find_spec(PEER)
    if found is None or found.loader is None:
        pytest.skip("scikit-learn came without its tests", allow_module_level=True)
    spec = importlib.util.spec_from_loader("peer_of_factor_analysis", found.loader, origin=found.origin)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    source = inspect.getsource(importlib.import_module(PEER))
    exec(compile(source, str(found.origin), "exec"), module.__dict__)
    module.__dict__["FactorAnalysis"] = FactorAnalysis
    return module


peer = _load_peer()

for _name, _function in list(vars(peer).items()):
    if _name.startswith("test_"):
        globals()[_name] = pytest.mark.filterwarnings("ignore::UserWarning")(_function)


@pytest.fixture(autouse=True)
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Record how often our class was constructed."""
    global constructed
    constructed = 0
    yield
    request.node.user_properties.append((CONSTRUCTED, constructed))
    assert constructed, "this test of the peer no longer constructs the class"
