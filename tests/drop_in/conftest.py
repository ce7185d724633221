"""Fixtures that scikit-learn's own tests ask for, and tables of which of the peers' tests met our classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drop_in.peers import CONSTRUCTED


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def global_dtype(request: pytest.FixtureRequest) -> Any:
    """The peer runs float32 on demand only; here both always run."""
    return request.param


@pytest.fixture(params=[0, 42])
def global_random_seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


PEERS = {
    "test_scikit_learn_gaussian_mixture.py": "scikit-learn's tests of GaussianMixture",
    "test_scikit_learn_factor_analysis.py": "scikit-learn's test of FactorAnalysis",
    "test_hmmlearn.py": "hmmlearn's tests of its models",
}


def _rows(terminalreporter: Any, file: str) -> dict[str, tuple[str, int]]:
    """Outcome and number of constructions of each test of a file that recorded one."""
    outcomes: dict[str, str] = {}
    counts: dict[str, int] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            place, *names = getattr(report, "nodeid", "").split("::")
            if not place.endswith(file):
                continue
            name = "::".join(names)
            if CONSTRUCTED in properties:
                counts[name] = properties[CONSTRUCTED]
            if outcome:
                outcomes[name] = outcome
    return {name: (outcomes[name], count) for name, count in counts.items() if name in outcomes}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for file, title in PEERS.items():
        rows = _rows(terminalreporter, file)
        if rows:
            _tell(terminalreporter, title, rows)


def _tell(terminalreporter: Any, title: str, rows: dict[str, tuple[str, int]]) -> None:
    terminalreporter.section(f"{title}, run on ours")
    for name, (outcome, count) in rows.items():
        said = f"constructed {count} times" if count else "not constructed: does not count"
        terminalreporter.write_line(f"{outcome:8} {name}: {said}")
    counted = [outcome for outcome, count in rows.values() if count]
    passed = counted.count("passed")
    terminalreporter.write_line(
        f"{len(counted)} tests met our class: {passed} passed, {counted.count('xfailed')} differ on purpose"
    )
