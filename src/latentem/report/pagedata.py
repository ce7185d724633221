"""What the scripts of the page read: plain lists and numbers, few digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .identity import Residual
from .limit import Limit
from .lines import Explored, Line, Plane
from .methods import Methods
from .numbers import curve, finite, number
from .trail import LOST, Trail, TrailStep

# Courses of more points than this are thinned.
MOST_POINTS = 160


def steps_data(trail: Trail) -> list[dict[str, Any]]:
    """The exact numbers of every shown step: ℓ, Q, H and KL at θₜ and at θₜ₊₁."""
    return [_step(trail, step) for step in trail.steps]


def _step(trail: Trail, step: TrailStep) -> dict[str, Any]:
    here, there = step.iteration, step.iteration.em_parameters
    touching = trail.bound(here)
    q, q_next = touching.q_here, touching.q(there)
    objective = trail.problem.evaluate(there)[1]
    entropy = here.objective - q
    found = {
        "t": step.number,
        "l": number(here.objective),
        "q": number(q),
        "h": number(entropy),
        "lNext": number(objective),
        "qNext": number(q_next),
        "kl": _clear(objective - (q_next + entropy), here.rounding),
        "klOld": None,
    }
    if step.before is not None and not trail.local:
        found["klOld"] = _clear(here.objective - trail.bound(step.before)(here.parameters), here.rounding)
    return found


def _clear(value: float, rounding: float) -> float | None:
    """A divergence, which is 0 where rounding leaves less of it."""
    return 0.0 if -rounding <= value <= rounding / LOST else number(value)


def explorer_data(trail: Trail, explored: Explored, names: Sequence[str]) -> dict[str, Any]:
    """Lines and planes."""
    return {
        "local": trail.local,
        "along": [_line(line) for line in explored.along],
        "across": [
            {"name": names[i], "lines": [_line(line, at=True) for line in lines]}
            for i, lines in zip(explored.coordinates, explored.across, strict=True)
        ],
        "share": [round(float(x), 5) for x in next((one.at for one in explored.along if one is not None), np.empty(0))],
        "planes": [_plane(trail, plane, names) for plane in explored.planes],
    }


def _line(line: Line | None, at: bool = False) -> dict[str, Any] | None:
    if line is None:
        return None
    if np.isnan(line.rise).all() or np.nanmax(np.abs(line.rise)) <= LOST * line.rounding:
        return {"still": True}
    found: dict[str, Any] = {"touches": line.touches, "rise": curve(line.rise), "gap": curve(line.gap)}
    if at:
        found["at"] = [number(x, 6) for x in line.at]
    if line.old_gap is not None:
        found["old"] = curve(line.old_gap)
    return found


def _plane(trail: Trail, plane: Plane, names: Sequence[str]) -> dict[str, Any]:
    step = trail.steps[plane.step]
    here, there = step.parameters.flatten(), step.iteration.em_parameters.flatten()
    pair = [plane.first, plane.second]
    return {
        "names": [names[i] for i in pair],
        "x": [number(x, 6) for x in plane.x],
        "y": [number(y, 6) for y in plane.y],
        "step": plane.step,
        "here": [number(x, 7) for x in here[pair]],
        "there": [number(x, 7) for x in there[pair]],
        "rise": curve(plane.rise.ravel(), 3),
        "gap": curve(plane.gap.ravel(), 3),
    }


def ascent_data(trail: Trail, found: Sequence[Residual]) -> dict[str, Any]:
    """ℓ as bound + KL after each step, and the residuals of the identity."""
    shown = _thinned(len(trail.passages) - 1, 60) + 1
    before = np.array([one.objective for one in trail.passages])
    q = np.array([one.q_gain for one in trail.passages])
    return {
        "start": number(before[0]),
        "still": bool(before[-1] - before[0] <= trail.end.rounding),
        "least": number(trail.end.rounding),
        "t": [int(t) for t in shown],
        "l": finite(before[shown]),
        "gain": finite(before[shown] - before[shown - 1]),
        "q": finite(q[shown]),
        "residuals": [[one.number, number(one.value, 3), number(one.rounding, 3)] for one in found],
    }


def limit_data(limit: Limit) -> dict[str, Any]:
    """Gaps and distances against passes, thinned; distances below `least` are rounding."""
    shown, fast = _thinned(len(limit.passes)), _thinned(len(limit.fast_passes))
    first, last = limit.fitted.start, limit.fitted.stop - 1
    return {
        "passes": finite(limit.passes[shown]),
        "distance": finite(limit.distances[shown]),
        "gap": [number(x, 4) for x in limit.gaps[shown]],
        "least": max(1e-7, float(np.sqrt(2 * limit.end.rounding / LOST))),
        "rate": number(limit.rate, 6),
        "fitted": [number(limit.passes[i]) for i in (first, last)] if last > first else None,
        "anchor": number(limit.distances[last], 6) if last >= 0 else None,
        "perStep": number((limit.passes[-1] - limit.passes[0]) / max(1, len(limit.passes) - 1), 6),
        "fastPasses": finite(limit.fast_passes[fast]),
        "fastGap": [number(x, 4) for x in limit.fast_gaps[fast]],
        "elsewhere": limit.elsewhere,
    }


def methods_data(methods: Methods | None) -> list[dict[str, Any]]:
    """The course of every method: passes, seconds, and the gap to the best."""
    if methods is None or methods.found is None:
        return []
    best = methods.found.best_of(0)
    found = []
    for run in methods.found.runs:
        shown = _thinned(len(run.passes), 60)
        found.append({
            "name": run.method,
            "direct": run.method in methods.direct,
            "passes": finite(run.passes[shown]),
            "gap": [number(best - x, 4) for x in run.objectives[shown]],
        })
    return found


def _thinned(n: int, most: int = MOST_POINTS) -> Any:
    """Places of at most so many of n points: all, or the first third and then ever fewer, with the last."""
    if n <= most:
        return np.arange(n)
    dense = most // 3
    later = np.geomspace(dense, n - 1, most - dense)
    return np.unique(np.concatenate([np.arange(dense), np.round(later).astype(int)]))
