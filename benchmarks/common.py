"""What the benchmarks share: paired timing, peak memory of a child process, and a table of ratios."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, beside what is asked for."""

    work: str
    ours: str
    peer: str
    figure: str
    asked: str
    met: bool


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def paired(ours: Callable[[], float], peer: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Median seconds of each, and the median of the ratios peer / ours, taken in turn so that both see one machine."""
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )


def in_child(code: str) -> dict[str, float]:
    """Run Python code in a fresh interpreter; it prints one JSON object last."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def show(title: str, rows: list[Row]) -> bool:
    """Print the table; return whether every figure asked for is met."""
    print(f"\n{title}")
    header = Row("work", "latentem", "peer", "figure", "asked", True)
    widths = [max(len(getattr(row, name)) for row in [header, *rows]) for name in _COLUMNS]
    for row in [header, *rows]:
        cells = [getattr(row, name).ljust(width) for name, width in zip(_COLUMNS, widths, strict=True)]
        print("  ".join(cells) + ("" if row is header else "  met" if row.met else "  NOT MET"))
    return all(row.met for row in rows)


_COLUMNS = ("work", "ours", "peer", "figure", "asked")
