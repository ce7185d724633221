"""scikit-learn's own test of `FactorAnalysis`, with ours in its place; see test_scikit_learn_gaussian_mixture.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drop_in.peers import CONSTRUCTED, Count, load

from latentem.estimators import FactorAnalysis

COUNT = Count()
peer = load("sklearn.decomposition.tests.test_factor_analysis", FactorAnalysis=COUNT.of(FactorAnalysis))

for _name, _function in list(vars(peer).items()):
    if _name.startswith("test_"):
        globals()[_name] = pytest.mark.filterwarnings("ignore::UserWarning")(_function)


@pytest.fixture(autouse=True)
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Record how often our class was constructed."""
    COUNT.n = 0
    yield
    request.node.user_properties.append((CONSTRUCTED, COUNT.n))
    assert COUNT.n, "this test of the peer no longer constructs the class"
