"""The compiled kernels under test: the installed library, else one built for the session."""

from __future__ import annotations

from typing import Any

import pytest

from latentem.kernels import (
    build,
    chain,
    chain_blocks,
    compiled,
    filtering,
    inhomogeneous_chain,
    kalman,
    lookup,
    normalize,
    semi_markov,
    viterbi,
)

DISPATCHERS = (chain, chain_blocks, filtering, inhomogeneous_chain, kalman, lookup, normalize, semi_markov, viterbi)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Any:
    status = compiled.status()
    if status.available:
        return compiled.library()
    try:
        path = build.build(tmp_path_factory.mktemp("kernels") / build.NAME)
    except build.NoLibraryError as reason:
        pytest.skip(str(reason))
    library, status = compiled.load(path)
    assert status.available, status.reason
    return library


@pytest.fixture
def use_compiled(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the dispatchers take the compiled kernels, whatever is installed."""
    for module in DISPATCHERS:
        monkeypatch.setattr(module, "library", lambda: kernels)
    return kernels


@pytest.fixture(params=["compiled", "reference"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A law for both: the compiled kernels, and the NumPy references alone."""
    if request.param == "compiled":
        request.getfixturevalue("use_compiled")
    else:
        for module in DISPATCHERS:
            monkeypatch.setattr(module, "library", lambda: None)
    return str(request.param)
