"""Fixtures that scikit-learn's own tests ask for, and the table of which of them met our class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

CONSTRUCTED = "our class constructed"


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def global_dtype(request: pytest.FixtureRequest) -> Any:
    """The peer runs float32 on demand only; here both always run."""
    return request.param


@pytest.fixture(params=[0, 42])
def global_random_seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def _rows(terminalreporter: Any) -> dict[str, tuple[str, int]]:
    """Outcome and number of constructions of each test that recorded one."""
    outcomes: dict[str, str] = {}
    counts: dict[str, int] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            name = getattr(report, "nodeid", "").split("::")[-1]
            if CONSTRUCTED in properties:
                counts[name] = properties[CONSTRUCTED]
            if outcome:
                outcomes[name] = outcome
    return {name: (outcomes[name], count) for name, count in counts.items() if name in outcomes}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = _rows(terminalreporter)
    if not rows:
        return
    terminalreporter.section("scikit-learn's own tests, run on our classes")
    for name, (outcome, count) in rows.items():
        said = f"constructed {count} times" if count else "not constructed: does not count"
        terminalreporter.write_line(f"{outcome:8} {name}: {said}")
    counted = [outcome for outcome, count in rows.values() if count]
    passed = counted.count("passed")
    terminalreporter.write_line(
        f"{len(counted)} tests met our class: {passed} passed, {counted.count('xfailed')} differ on purpose"
    )
