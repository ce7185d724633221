"""Any model: its estimates over the iterations, a small line each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from .packing import significant
from .subject import Subject

MOST_LINES = 24
# Below this share of its size an estimate has not moved.
STILL = 1e-9


def parameters(subject: Subject) -> dict[str, Any]:
    """Every number that the fit estimates, or the 24 that moved most, at each step."""
    names, table = _numbers(subject)
    chosen = _telling(table)
    all_drawn = len(chosen) == len(names)
    told = "" if all_drawn else f"{len(chosen)} of {len(names)} numbers are drawn, those that moved most."
    return {
        "kind": "parameters",
        "title": "Estimates over the iterations",
        "description": f"A line for each number; the marker is where it is now. {told}".strip(),
        "names": [names[j] for j in chosen],
        "values": [significant(table[:, j], 5) for j in chosen],
        "numbers": list(subject.numbers),
    }


def _numbers(subject: Subject) -> tuple[list[str], FloatArray]:
    """Names and values (S, numbers) of all entries of all arrays."""
    steps = [params.arrays() for params in subject.parameters]
    names = [name + _index(index) for name, array in steps[0].items() for index in np.ndindex(np.shape(array))]
    flat = [np.concatenate([np.ravel(array) for array in arrays.values()] or [np.empty(0)]) for arrays in steps]
    return [name.removeprefix("latent.").removeprefix("emission.") for name in names], np.array(flat, float)


def _index(index: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, index))}]" if index else ""


def _telling(table: FloatArray) -> list[int]:
    """The numbers that moved most for their size, in their order; all where they are few."""
    if table.shape[1] <= MOST_LINES:
        return list(range(table.shape[1]))
    moved = np.ptp(table, axis=0) / np.maximum(np.abs(table).max(axis=0), STILL)
    return sorted(int(j) for j in np.argsort(-moved, kind="stable")[:MOST_LINES])
