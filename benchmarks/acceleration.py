"""Passes over the data until the log-likelihood is within 1e-9 of its limit, on a suite of slow problems.

    make bench BENCHMARKS=acceleration        # or: python benchmarks/acceleration.py --only galaxies
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from common import Row, show
from slow_problems import PROBLEMS, Problem

import latentem as em
from latentem.acceleration import SCHEMES
from latentem.em import RemainingGain, iterate

WITHIN = 1e-9
MOST = 20_000
MOST_ACCELERATED = 3000
STILL = 100
EASY = 100  # Problems that plain EM solves in fewer passes are no slow ones; the bound on passes counts there too.


@dataclass(frozen=True)
class Prepared:
    """A model as it is fitted, its data, and where every scheme starts."""

    model: Any
    source: Any
    start: Any

    def steps(self, scheme: Any) -> Iterator[em.Iteration]:
        options = {"executor": em.Serial(), "acceleration": scheme, "rule": RemainingGain(0.0)}
        return iterate(self.model, self.source, self.start, **options)


class Spy(em.Executor):
    """Keeps the model and the source of the last E-step."""

    def __init__(self) -> None:
        self.seen: tuple[Any, Any] | None = None

    def fold(self, function: Any, source: Any) -> Any:
        if isinstance(function, partial) and getattr(function.func, "__name__", "") == "e_step":
            self.seen = function.func.__self__, source
        return em.Serial().fold(function, source)


def prepare(problem: Problem) -> Prepared:
    spy, starts = Spy(), []
    problem.fit(executor=spy, max_iter=0, callbacks=[lambda iteration: starts.append(iteration.parameters)])
    assert spy.seen is not None
    return Prepared(*spy.seen, starts[0])


@dataclass(frozen=True)
class Path:
    """(passes, objective) of every iteration, and how far the objective fell beyond its rounding error."""

    points: list[tuple[int, float]]
    fall: float

    @property
    def best(self) -> float:
        return max(objective for _, objective in self.points)

    def passes(self, limit: float) -> int | None:
        return next((index for index, objective in self.points if objective >= limit - WITHIN), None)


def walk(prepared: Prepared, scheme: Any, limit: float = math.inf, most: int = MOST) -> Path:
    """The path of a scheme to the limit; without one, until nothing has been gained for a hundred iterations."""
    points: list[tuple[int, float]] = []
    fall, before = 0.0, None
    for now in prepared.steps(scheme):
        points.append((now.index, now.objective))
        fall = fall if before is None else max(fall, before.objective - now.objective - before.rounding)
        before = now
        still = len(points) > STILL and points[-1][1] - points[-STILL][1] <= 1e-11
        if now.objective >= limit - WITHIN or now.index >= most or still:
            break
    return Path(points, fall)


@dataclass(frozen=True)
class Outcome:
    """Passes of each scheme on one problem; None where it did not get to the limit."""

    name: str
    free: int
    limit: float
    passes: dict[str, int | None]
    told: str
    elsewhere: frozenset[str]
    fall: float


def solve(name: str) -> Outcome:
    prepared = prepare(PROBLEMS[name]())
    paths = {"EM": walk(prepared, None)}
    for scheme in ("auto", "subspace-newton", "lbfgs"):
        paths[scheme] = walk(prepared, SCHEMES[scheme](), most=MOST_ACCELERATED)
    limit = paths["EM"].best
    near = [path.best for path in paths.values() if path.best - limit < 1e-3]
    limit = max(near)
    most = min(paths["EM"].passes(limit) or MOST, MOST_ACCELERATED) + 100
    paths |= {scheme: walk(prepared, SCHEMES[scheme](), limit, most) for scheme in SCHEMES if scheme not in paths}
    elsewhere = frozenset(scheme for scheme, path in paths.items() if abs(path.best - limit) > 1e-3)
    passes = {scheme: path.passes(path.best if scheme in elsewhere else limit) for scheme, path in paths.items()}
    told = em.run(
        prepared.model, prepared.source, prepared.start, executor=em.Serial(), acceleration=SCHEMES["auto"](), tol=1e-9
    )
    fall = max(path.fall for path in paths.values())
    return Outcome(name, prepared.start.n_free, limit, passes, told.algorithm, elsewhere, fall)


def table(outcomes: list[Outcome]) -> None:
    schemes = ["EM", *SCHEMES]
    print(f"\n{'problem':38s} {'free':>4s} " + " ".join(f"{scheme:>15s}" for scheme in schemes) + "  EM / auto")
    for outcome in outcomes:
        cells = []
        for scheme in schemes:
            passes = outcome.passes[scheme]
            cells.append(f"{'-' if passes is None else passes}{'*' if scheme in outcome.elsewhere else ''}")
        ratio = speedup(outcome)
        print(f"{outcome.name:38s} {outcome.free:4d} " + " ".join(f"{c:>15s}" for c in cells) + f"  {ratio:6.1f}")
    print("* another limit, passes to that; - not within the limit on passes")


def speedup(outcome: Outcome, scheme: str = "auto") -> float:
    plain, fast = outcome.passes["EM"], outcome.passes[scheme]
    return math.nan if plain is None or fast is None or scheme in outcome.elsewhere else plain / max(fast, 1)


def own_cost(scheme: Callable[[], Any]) -> float:
    """An acceleration's median time over an iteration's: 100,000 × 10, 8 components, full covariances."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(100_000, 10)) + np.random.default_rng(1).integers(0, 3, (100_000, 1))
    model = em.LatentVariableModel(em.Categorical(8), em.families.FullGaussian())
    spent: list[float] = []

    class Timed(em.Acceleration):
        """The scheme, with the seconds that it takes, those of the score counted in."""

        inner = scheme()

        def init(self, theta: Any) -> Any:
            return self.inner.init(theta)

        def propose(self, trial: Any, state: Any) -> Any:
            start = time.perf_counter()
            found = self.inner.propose(trial, state)
            spent.append(time.perf_counter() - start)
            return found

    marks: list[float] = []
    options = {"init": "random-rows", "random_state": 0, "tol": 0.0, "max_iter": 30}
    em.fit(model, x, acceleration=Timed(), callbacks=[lambda _: marks.append(time.perf_counter())], **options)
    return statistics.median(spent) / statistics.median(after - before for before, after in pairwise(marks))


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="problems whose name contains this")
    only = parser.parse_args().only
    outcomes = []
    for name in PROBLEMS:
        if only is None or only in name:
            outcomes.append(solve(name))
            print(f"{name}: {outcomes[-1].passes} {outcomes[-1].told}", file=sys.stderr, flush=True)
    table(outcomes)
    return show("Accelerations", rows(outcomes)) if only is None else True


def rows(outcomes: list[Outcome]) -> list[Row]:
    slow = [outcome for outcome in outcomes if (outcome.passes["EM"] or MOST) >= EASY]
    ratios = [ratio for outcome in slow if (ratio := speedup(outcome)) == ratio]
    lost = [outcome for outcome in outcomes if outcome.passes["auto"] is None]
    excess = max(
        (outcome.passes["auto"] or MOST) / (1.1 * (outcome.passes["EM"] or MOST) + 5) for outcome in outcomes
    )
    share = max(own_cost(SCHEMES[scheme]) for scheme in ("auto", "lbfgs", "anderson"))
    fall = max(outcome.fall for outcome in outcomes)
    median = statistics.median(ratios)
    notices = [outcome.passes for outcome in outcomes if outcome.name.startswith("death notices")]
    most = max(passes["auto"] or MOST for passes in notices)
    return [
        Row("slow problems", str(len(slow)), "", "", "25", len(slow) >= 25),
        Row("auto's passes, EM's over them, median", "", "", f"{median:.1f} times", "5 times", median >= 5),
        Row("auto's passes beside 1.1 EM + 5, worst", "", "", f"{excess:.2f}", "1", excess <= 1 and not lost),
        Row("death notices, SQUAREM of R: 45 to 72", f"{most} passes", "45", "", "45", most <= 45),
        Row("own cost at 100,000 × 10, of an iteration", "", "", f"{100 * share:.1f} %", "5 %", share <= 0.05),
        Row("largest fall beyond rounding", f"{fall:g}", "", "", "0", fall <= 0),
    ]


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
