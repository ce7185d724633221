"""How far from the limit the way is at each pass, at what rate it comes nearer, and what an acceleration does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import exp, nan
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..acceleration import SCHEMES
from ..em import TO_ROUNDING, iterate
from ..errors import LatentemError
from ..result import Iteration
from ..stopping import RemainingGain
from .trail import LEFT, Trail

ACCELERATION = "auto"
# The rate is fitted to the last of the points, as many as that, whose distance is this many times what is known of it.
LAST, FEWEST, CLEAR = 12, 3, 30.0
# An accelerated run within this of the limit has arrived there and nowhere else.
SAME = 1e-3
MOST_PASSES = 2000


@dataclass(frozen=True)
class Limit:
    """Distances to the limit.

    Attributes
    ----------
    passes : (t,)
        Over the data, of plain EM.
    gaps : (t,)
        ℓ at the limit less ℓ there.
    distances : (t,)
        √(2 gap): near the limit the distance in standard errors, √((θₜ - θ*)ᵀ I_o (θₜ - θ*)).
    rate : float
        λ fitted to the last distances; NaN where they are too few.
    fitted : slice
        Which those are.
    fast_passes, fast_gaps : (s,)
        Of the accelerated run from the same start.
    scheme : str
        What it says of itself.
    elsewhere : bool
        Whether it arrived at another point; its gaps are to that one then.
    objective : float
        At the limit.
    end : Iteration
        There.
    """

    passes: FloatArray
    gaps: FloatArray
    distances: FloatArray
    rate: float
    fitted: slice
    fast_passes: FloatArray
    fast_gaps: FloatArray
    scheme: str
    elsewhere: bool
    objective: float
    end: Iteration


def find_limit(trail: Trail, seconds: float) -> Limit:
    """The limit that the way leads to, found by an acceleration from its end, and how the ways to it went.

    Parameters
    ----------
    trail : Trail
    seconds : float
        For both runs together.
    """
    until = time.perf_counter() + seconds
    _, objectives, end, _ = _run(trail, trail.end.parameters, TO_ROUNDING, time.perf_counter() + seconds / 2)
    best = float(max(objectives))
    gaps = best - np.array([one.objective for one in trail.passages])
    fitted = _clear(gaps, trail.end.rounding)
    distances = np.sqrt(2 * np.maximum(gaps, 0.0))
    fast_passes, fast, _, scheme = _run(trail, trail.steps[0].parameters, RemainingGain(LEFT), until)
    elsewhere = bool(abs(fast[-1] - best) > SAME)
    return Limit(
        passes=np.array([float(one.passes) for one in trail.passages]),
        gaps=gaps,
        distances=distances,
        rate=_rate(distances[fitted]),
        fitted=fitted,
        fast_passes=fast_passes,
        fast_gaps=(float(fast.max()) if elsewhere else best) - fast,
        scheme=scheme,
        elsewhere=elsewhere,
        objective=best,
        end=end,
    )


def _run(trail: Trail, start: Any, rule: RemainingGain, until: float) -> tuple[FloatArray, FloatArray, Iteration, str]:
    """Passes, objectives, the last iteration and the description of an accelerated run."""
    acceleration = SCHEMES[ACCELERATION]()
    passes, objectives, now = [], [], None
    steps = iterate(
        trail.model, trail.problem.source, start, executor=trail.problem.executor, acceleration=acceleration, rule=rule
    )
    try:
        for now in steps:
            passes.append(float(now.index + 1))
            objectives.append(now.objective)
            over = now.index >= MOST_PASSES or time.perf_counter() > until
            if rule.status(now) is not None or over:
                break
    except (LatentemError, ArithmeticError, ValueError):
        if now is None:
            raise
    assert now is not None
    return np.array(passes), np.array(objectives), now, acceleration.describe(now.scheme)


def _clear(gaps: FloatArray, rounding: float) -> slice:
    """The last of the points whose gap stands clear of its error."""
    clear = np.flatnonzero(gaps > CLEAR * rounding)
    stop = int(clear[-1]) + 1 if len(clear) else 0
    return slice(max(0, stop - LAST, stop // 3), stop)


def _rate(distances: FloatArray) -> float:
    """λ of distances that fall as λᵗ: the slope of their logarithm, by least squares."""
    if len(distances) < FEWEST or np.any(distances <= 0):
        return nan
    slope = float(np.polyfit(np.arange(len(distances)), np.log(distances), 1)[0])
    return exp(slope)
